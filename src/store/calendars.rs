//! Secret addresses of birthday calendars, by their digests.

use super::{Error, Store, queries};

impl Store {
    /// Sets the user's calendar secret, by its SHA-256; the old one is gone.
    pub fn set_calendar(&self, user: i64, secret_hash: &[u8]) -> Result<(), Error> {
        self.write(|conn| conn.execute(&queries::CALENDAR_SET, &[&user, &secret_hash]))
            .map(drop)
    }

    /// Closes the user's calendar.
    pub fn delete_calendar(&self, user: i64) -> Result<(), Error> {
        self.write(|conn| conn.execute(&queries::CALENDAR_DELETE, &[&user]))
            .map(drop)
    }

    /// Whose calendar it is.
    pub fn calendar_owner(&self, secret_hash: &[u8]) -> Result<i64, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::CALENDAR_OWNER, &[&secret_hash]))?;
        row.map(|row| row.get(0)).ok_or(Error::NotFound)
    }
}
