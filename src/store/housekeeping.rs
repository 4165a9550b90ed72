//! What housekeeping does in the database.

use postgres::types::ToSql;

use super::contacts::ContactRow;
use super::{Error, Store, queries, revocations, sessions};

/// Rows that one statement deletes where there may be many.
const SOME: i64 = 1_000;
/// How often it is run in one go.
const TURNS: usize = 100;

impl Store {
    /// Asks the database whether the program can work on it; it may be read-only, or the rights may be missing.
    pub fn check(&self) -> Result<(), Error> {
        let trouble: Option<String> = self.read(|connection| connection.query_one(&queries::TROUBLE, &[]))?.get(0);
        let Some(trouble) = trouble else {
            return Ok(());
        };
        // Connections may outlive what made them read-only.
        self.replace_pool();
        Err(Error::Unavailable(format!("the database cannot be used: {trouble}")))
    }

    /// Deletes what is of no more use: old sessions, revocations, attempts, tokens, trash and keys of requests. Each statement deletes
    /// some, so that it ends long before its time limit.
    pub fn purge(&self) -> Result<(), Error> {
        let (lifetime, kept) = (sessions::LIFETIME.as_seconds_f64(), revocations::KEPT.as_secs_f64());
        let purges: [(_, &[&(dyn ToSql + Sync)]); 6] = [
            (&queries::SESSION_PURGE, &[&SOME, &lifetime]),
            (&queries::SESSION_PURGE_REVOKED, &[&SOME, &kept]),
            (&queries::TOKEN_PURGE, &[&SOME]),
            (&queries::ATTEMPT_PURGE, &[&SOME]),
            (&queries::TRASH_PURGE, &[&SOME]),
            (&queries::REPEAT_PURGE, &[&SOME]),
        ];
        for (purge, params) in purges {
            let has_more =
                || self.write(|connection| connection.execute(purge, params)).map(|count| count == SOME as u64);
            // What is left after so many is for the next time.
            let mut turns = 0..TURNS;
            while turns.next().is_some() && has_more()? {}
        }
        Ok(())
    }

    /// Makes some search keys anew that an older folding made, all of one user; whether there may be more. It goes on wherever
    /// it was interrupted, and leaves a contact alone that has changed meanwhile. A new key is no new version of a contact.
    pub fn renew_keys(&self) -> Result<bool, Error> {
        self.write(|connection| {
            let Some(row) = connection.query_opt(&queries::KEYS_NEXT_USER, &[])? else {
                return Ok(false);
            };
            let user: i64 = row.get(0);
            let rows = connection.query(&queries::KEYS_OLD, &[&user])?.into_iter().map(ContactRow);
            let (ids, versions, keys): (Vec<_>, Vec<_>, Vec<_>) =
                rows.map(|row| (row.contact().id, row.contact().version, row.contact().values.search_key())).collect();
            connection.execute(&queries::KEYS_RENEW, &[&user, &ids, &versions, &keys])?;
            Ok(true)
        })
    }
}
