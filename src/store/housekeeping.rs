//! What housekeeping does in the database.

use super::{Error, Store, queries, revocations, sessions};

impl Store {
    /// Asks the database whether the program can work on it; it may be read-only, or the rights may be missing.
    pub fn check(&self) -> Result<(), Error> {
        let trouble: Option<String> = self.read(|connection| {
            let row = connection.query_one(&queries::TROUBLE, &[])?;
            // A connection may outlive what made it read-only.
            connection.is_spent |= row.get::<_, Option<&str>>(0).is_some();
            Ok(row.get(0))
        })?;
        trouble.map_or(Ok(()), |trouble| Err(Error::Unavailable(format!("the database cannot be used: {trouble}"))))
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
