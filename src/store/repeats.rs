//! Requests that may be sent again without harm: what a key was used for, and what was answered.
//!
//! Key and answer are written in the transaction that makes the contacts, under a lock on the key that ends with it. So a crash leaves
//! both or neither, and of several at the same time, at whichever instances, one makes something.

use super::{Connection, Error, Store, queries};
use crate::domain::repeat::{Kept, Key};

/// How many keys a user may have beside the latest: 1,000 in all.
const OTHERS: i64 = 999;

/// What comes of a request with a key.
pub enum Outcome {
    /// It was done now.
    Done(Kept),
    /// It was done before.
    Again(Kept),
    /// The key was used for another request.
    OtherRequest,
    /// There is no room for it.
    NoRoom,
    /// Another one with this key is under way.
    UnderWay,
    /// It has to wait for something else.
    Waits,
}

/// What is to be done once: for which user and key, and whether the address book has room for it.
pub type Once<'a> = (i64, &'a Key, bool);

impl Store {
    /// Does it for a key, unless it was done: within one transaction, with the answer. `make` gives nothing where it has to wait.
    pub(super) fn once(
        &self,
        (user, key, has_room): Once<'_>,
        make: impl FnOnce(&mut Connection) -> Result<Option<Kept>, postgres::Error>,
    ) -> Result<Outcome, Error> {
        let (text, fingerprint) = (&key.text, key.fingerprint.as_slice());
        let work = |conn: &mut Connection| {
            if !conn.query_one(&queries::REPEAT_LOCK, &[&user, text])?.get::<_, bool>(0) {
                return Ok(Outcome::UnderWay);
            }
            // A statement of its own, which sees what was committed before the lock was free.
            let found = conn.query_opt(&queries::REPEAT_FIND, &[&user, text, &fingerprint])?;
            match found.map(|row| (row.get(0), Kept { headers: [row.get(1), row.get(2)], body: row.get(3) })) {
                Some((true, kept)) => return Ok(Outcome::Again(kept)),
                Some((false, _)) => return Ok(Outcome::OtherRequest),
                None if !has_room => return Ok(Outcome::NoRoom),
                None => {}
            }
            let Some(kept) = make(conn)? else {
                return Ok(Outcome::Waits);
            };
            let Kept { headers: [etag, location], body } = &kept;
            conn.execute(&queries::REPEAT_KEEP, &[&user, text, &fingerprint, etag, location, body, &OTHERS])?;
            Ok(Outcome::Done(kept))
        };
        self.write(|conn| conn.transaction(work))
    }
}
