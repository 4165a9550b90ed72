//! Secret addresses of birthday calendars, by their digests.

use super::contacts::ContactRow;
use super::{Error, Store, queries};

impl Store {
    /// Sets the user's calendar secret, by its SHA-256, in place of the old one.
    pub fn set_calendar(&self, user: i64, secret_hash: &[u8]) -> Result<(), Error> {
        self.write(|conn| conn.execute(&queries::CALENDAR_SET, &[&user, &secret_hash])).map(drop)
    }

    /// Closes the user's calendar.
    pub fn delete_calendar(&self, user: i64) -> Result<(), Error> {
        self.write(|conn| conn.execute(&queries::CALENDAR_DELETE, &[&user])).map(drop)
    }

    /// Whose calendar it is, as id and name. An address that names its user is looked for among that user's rows alone.
    pub fn calendar_owner(&self, named: Option<i64>, secret_hash: &[u8]) -> Result<(i64, String), Error> {
        let row = self.read(|conn| match named {
            Some(user) => conn.query_opt(&queries::CALENDAR_OWNER, &[&secret_hash, &user]),
            None => conn.query_opt(&queries::CALENDAR_OWNER_BY_SECRET, &[&secret_hash]),
        })?;
        row.map(|row| (row.get(0), row.get(1))).ok_or(Error::NotFound)
    }

    /// A digest that changes whenever the calendar does.
    pub fn calendar_digest(&self, user: i64) -> Result<String, Error> {
        Ok(self.read(|conn| conn.query_one(&queries::CALENDAR_DIGEST, &[&user]))?.get(0))
    }

    /// The contacts after this id that have a birthday, in the order of their ids.
    pub fn birthdays_after(&self, user: i64, after: i64, limit: i64) -> Result<Vec<ContactRow>, Error> {
        self.contact_rows(&queries::CALENDAR_PAGE, &[&user, &after, &limit])
    }
}
