//! What housekeeping does in the database.

use super::{Error, Store, queries, revocations, sessions};

impl Store {
    /// Deletes what is of no more use: old sessions, revocations and attempts.
    pub fn purge(&self) -> Result<(), Error> {
        let (lifetime, unused) = (sessions::LIFETIME.as_seconds_f64(), sessions::UNUSED_AT_MOST.as_seconds_f64());
        self.write(|connection| {
            let kept = revocations::KEPT.as_secs_f64();
            connection.execute(&queries::SESSION_PURGE, &[&lifetime, &unused, &kept])?;
            connection.execute(&queries::ATTEMPT_PURGE, &[])
        })?;
        Ok(())
    }
}
