//! Imports: many contacts in one transaction, without those that are there already.

use std::borrow::Cow;
use std::collections::HashSet;

use sha2::{Digest, Sha256};

use super::contacts::Columns;
use super::repeats::{Once, Outcome};
use super::{Connection, Error, Store, queries};
use crate::domain::contact::{Draft, Value};
use crate::domain::repeat::Kept;

/// Contacts inserted by one statement: so many that round trips cost little, and so few that each statement ends long before
/// its time limit.
const BATCH: usize = 1_000;

/// What tells whether two contacts have the same fields: so many bytes of a digest.
type Likeness = [u8; 16];

/// Contacts whose likenesses one statement makes: of the longest ones it does so in half a second.
const PAGE: i64 = 10_000;

/// The likenesses of all contacts of a user.
fn known(conn: &mut Connection, user: i64) -> Result<HashSet<Likeness>, postgres::Error> {
    let (mut known, mut after) = (HashSet::new(), Some(0_i64));
    while let Some(last) = after {
        let row = conn.query_one(&queries::CONTACT_LIKENESSES, &[&user, &last, &PAGE])?;
        known.extend(row.get::<_, Option<&[u8]>>(0).unwrap_or_default().as_chunks().0);
        after = row.get(1);
    }
    Ok(known)
}

/// Keeps the drafts that are not known, and the first of several that are the same.
fn retain_new(drafts: &mut Vec<Draft>, mut known: HashSet<Likeness>) {
    drafts.retain(|draft| {
        let values = draft.0.each_ref().map(|value| match value {
            Some(Value::Text(text)) => Cow::Borrowed(text.as_str()),
            Some(Value::Date(date)) => Cow::Owned(date.to_string()),
            None => Cow::Borrowed(""),
        });
        let digest = Sha256::digest(values.join("\u{1f}"));
        known.insert(*digest.first_chunk().expect("a digest has 32 bytes"))
    });
}

impl Store {
    /// Takes out the drafts that are the same as a contact that the user has, or as a draft before.
    pub fn drop_known(&self, user: i64, drafts: &mut Vec<Draft>) -> Result<(), Error> {
        retain_new(drafts, self.read(|conn| known(conn, user))?);
        Ok(())
    }

    /// Creates contacts, all of them or none. With `is_new`, without those that are known by then: an import at another
    /// instance may have made them. Whether it was done: not while that import is not done.
    pub fn insert_contacts(&self, user: i64, drafts: &mut Vec<Draft>, is_new: bool) -> Result<bool, Error> {
        self.write(|conn| conn.transaction(|conn| insert(conn, user, drafts, is_new)))
    }

    /// The same once for a key, with the answer that is made of the contacts.
    pub fn insert_contacts_once(
        &self,
        once: Once<'_>,
        drafts: &mut Vec<Draft>,
        is_new: bool,
        answer: impl FnOnce(&[Draft]) -> Kept,
    ) -> Result<Outcome, Error> {
        self.once(once, |conn| Ok(insert(conn, once.0, drafts, is_new)?.then(|| answer(drafts))))
    }
}

fn insert(conn: &mut Connection, user: i64, drafts: &mut Vec<Draft>, is_new: bool) -> Result<bool, postgres::Error> {
    if is_new {
        if !conn.query_one(&queries::CONTACT_IMPORT_LOCK, &[&user])?.get::<_, bool>(0) {
            return Ok(false);
        }
        retain_new(drafts, known(conn, user)?);
    }
    for batch in drafts.chunks(BATCH) {
        conn.execute(&queries::CONTACT_INSERT_MANY, &Columns::of(batch.iter()).params(&user))?;
    }
    Ok(true)
}
