//! What housekeeping does in the database.

use super::{Error, Store, queries, revocations, sessions};

impl Store {
    /// Asks the database whether the program can work on it; it may be read-only, or the rights may be missing.
    pub fn check(&self) -> Result<(), Error> {
        let trouble: Option<String> =
            self.read(|connection| Ok(connection.query_one(&queries::TROUBLE, &[])?.get(0)))?;
        let Some(trouble) = trouble else {
            return Ok(());
        };
        // Connections may outlive what made them read-only.
        self.replace_pool();
        Err(Error::Unavailable(format!("the database cannot be used: {trouble}")))
    }

    /// Deletes what is of no more use: old sessions, revocations and attempts.
    pub fn purge(&self) -> Result<(), Error> {
        let (lifetime, unused) = (sessions::LIFETIME.as_seconds_f64(), sessions::UNUSED_AT_MOST.as_seconds_f64());
        self.write(|connection| {
            connection.transaction(|connection| {
                connection.without_time_limit()?;
                let kept = revocations::KEPT.as_secs_f64();
                connection.execute(&queries::SESSION_PURGE, &[&lifetime, &unused, &kept])?;
                connection.execute(&queries::ATTEMPT_PURGE, &[])
            })
        })?;
        Ok(())
    }
}
