//! The trash: contacts that were deleted within the last 30 days. One moves there, and back, by one statement.
//!
//! It holds as many contacts as an address book may, and the oldest give way. What is older, or too much, is as good as gone for
//! every statement here, whether or not it was purged yet.

use chrono::{DateTime, Utc};

use super::contacts::{ContactRow, Versions};
use super::quota::Quota;
use super::{Error, Store, queries};
use crate::domain::page::Page;

/// Contacts that one statement moves: it ends long before its time limit.
const BATCH: usize = 1_000;

impl Store {
    /// Deletes a contact: it moves to the trash.
    pub fn delete_contact(&self, quota: &Quota, user: i64, id: i64, versions: Versions<'_>) -> Result<(), Error> {
        let delete = &queries::CONTACT_DELETE;
        // One time in a thousand; drawn here, for a spread database lets no statement that writes draw.
        let looks = getrandom::u32().unwrap_or_default().is_multiple_of(1000);
        match self.write(|conn| conn.query_opt(delete, &[&user, &id, &versions, &quota.of_trash(), &looks]))? {
            Some(_) => Ok(()),
            None => self.unchanged(user, id, versions),
        }
    }

    /// A page of the trash, the latest deletion first.
    pub fn trash(&self, quota: &Quota, user: i64, page: Page) -> Result<Vec<ContactRow>, Error> {
        let limit = page.limit.min(quota.of_trash() - page.skip).max(0);
        self.contact_rows(&queries::TRASH_LIST, &[&user, &limit, &page.skip])
    }

    /// Moves a contact back.
    pub fn restore_contact(&self, quota: &Quota, user: i64, id: i64) -> Result<ContactRow, Error> {
        let ids = vec![id];
        let row = self.write(|conn| conn.query_opt(&queries::TRASH_RESTORE, &[&user, &ids, &quota.of_trash()]))?;
        row.map(ContactRow).ok_or(Error::NotFound)
    }

    /// The contacts that were deleted after an instant.
    pub fn deleted_after(&self, quota: &Quota, user: i64, instant: DateTime<Utc>) -> Result<Vec<i64>, Error> {
        let deleted = &queries::TRASH_DELETED_AFTER;
        Ok(self.read(|conn| conn.query_one(deleted, &[&user, &instant, &quota.of_trash()]))?.get(0))
    }

    /// Moves contacts back, all of them or none, but for those that are not there any more; how many.
    pub fn restore_contacts(&self, quota: &Quota, user: i64, ids: &[i64]) -> Result<u64, Error> {
        self.write(|conn| {
            conn.transaction(|conn| {
                let restore = |batch| conn.execute(&queries::TRASH_RESTORE, &[&user, &batch, &quota.of_trash()]);
                ids.chunks(BATCH).map(restore).sum()
            })
        })
    }

    /// Deletes a contact from the trash for good, or all; how many there were.
    pub fn empty_trash(&self, user: i64, id: Option<i64>) -> Result<i64, Error> {
        let row = self.write(|conn| {
            conn.transaction(|conn| {
                conn.without_time_limit()?;
                conn.query_one(&queries::TRASH_DELETE, &[&user, &id])
            })
        })?;
        Ok(row.get(0))
    }
}
