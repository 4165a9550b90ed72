//! API tokens, by their digests. One counts while its row is there, so each call that has one asks for it.

use postgres::Row;

use super::{Error, Store, queries};
use crate::domain::user::{ApiToken, TokenDraft};

/// How many API tokens that live a user may have.
const AT_MOST: i64 = 20;

fn token(row: &Row) -> ApiToken {
    let scope = if row.get(2) { ApiToken::WRITE } else { ApiToken::READ };
    ApiToken { id: row.get(0), name: row.get(1), scope, created_at: row.get(3), expires_at: row.get(4) }
}

impl Store {
    /// Makes an API token for a user whose password has this hash; `None` if there are too many. [`Error::NotFound`] if the user is
    /// gone or disabled, or has changed the password since: it waits for such a change, which ends the tokens that there are.
    pub fn make_token(
        &self,
        (user, hash): (i64, &str),
        draft: &TokenDraft,
        digest: &[u8],
    ) -> Result<Option<ApiToken>, Error> {
        let TokenDraft { name, may_write, days, .. } = draft;
        let made = self.with_new_id(|conn| {
            conn.transaction(|conn| {
                let is_right = conn.query_opt(&queries::USER_LOCK_FOR_LOGIN, &[&user, &hash])?;
                let params: [&(dyn postgres::types::ToSql + Sync); 6] =
                    [&user, name, &digest, may_write, days, &AT_MOST];
                is_right.map(|_| conn.query_opt(&queries::TOKEN_INSERT, &params)).transpose()
            })
        })?;
        Ok(made.ok_or(Error::NotFound)?.as_ref().map(token))
    }

    /// A user's API tokens that live, the latest first.
    pub fn tokens(&self, user: i64) -> Result<Vec<ApiToken>, Error> {
        Ok(self.read(|conn| conn.query(&queries::TOKEN_LIST, &[&user]))?.iter().map(token).collect())
    }

    /// The API token of a user by its digest, if it counts: whether it may write, and whether this is its first use, which is
    /// written down.
    pub fn use_token(&self, user: i64, digest: &[u8]) -> Result<Option<(bool, bool)>, Error> {
        let Some(row) = self.read(|conn| conn.query_opt(&queries::TOKEN_FIND, &[&user, &digest]))? else {
            return Ok(None);
        };
        let (id, may_write, was_used): (i64, bool, bool) = (row.get(0), row.get(1), row.get(2));
        let is_first = !was_used && self.write(|conn| conn.execute(&queries::TOKEN_USE, &[&user, &id]))? > 0;
        Ok(Some((may_write, is_first)))
    }

    /// Ends an API token; whether there was one.
    pub fn end_token(&self, user: i64, id: i64) -> Result<bool, Error> {
        Ok(self.write(|conn| conn.execute(&queries::TOKEN_DELETE, &[&user, &id]))? > 0)
    }
}
