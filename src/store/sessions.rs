//! Sessions: one row per login. A refresh token is a signed (session, generation), so the table holds no secret.

use chrono::{DateTime, TimeDelta, Utc};

use super::accounts::Credentials;
use super::{Connection, Error, Store, queries};
use crate::domain::user::ListedSession;

/// How long a session lives after its login, however often it is refreshed.
pub const LIFETIME: TimeDelta = TimeDelta::days(30);
/// How long a session lives without a refresh: the lifetime of a refresh token.
pub const UNUSED_AT_MOST: TimeDelta = TimeDelta::days(7);
/// How many sessions a user may have besides the one that a login begins: 100 in all.
const OTHERS: i64 = 99;

/// A session that tokens are made for.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Its id, the tokens' `sid`.
    pub id: i64,
    /// The generation of the refresh token that is valid now.
    pub generation: i32,
    /// The login.
    pub created_at: DateTime<Utc>,
}

/// Some of a user's sessions, and maybe the API tokens with them.
#[derive(Debug, Clone, Copy)]
pub enum Sessions {
    /// This one.
    One(i64),
    /// All of them, and the API tokens.
    All,
    /// All but this one, and the API tokens.
    Others(i64),
    /// All of them. API tokens stay: while their user is disabled they are refused.
    AllButTokens,
}

impl Store {
    /// Begins a session for a user whose password was right. [`Error::NotFound`] if these credentials are no longer valid: the
    /// user is gone or disabled, or has changed the password since. Also returns the sessions that ended to make room.
    pub fn begin_session(
        &self,
        known: &Credentials,
        user_agent: Option<&str>,
        ip: &str,
        network: i64,
    ) -> Result<(Session, Vec<i64>), Error> {
        let row = self.with_new_id(|conn| {
            conn.transaction(|conn| {
                // The statement after it sees the sessions of those that this one waited for.
                let is_right = conn.query_opt(&queries::USER_LOCK_FOR_LOGIN, &[&known.user, &known.password_hash])?;
                let begin =
                    |_| conn.query_one(&queries::SESSION_INSERT, &[&known.user, &user_agent, &ip, &network, &OTHERS]);
                let row = is_right.map(begin).transpose()?;
                row.as_ref().map_or(Ok(()), |row| revoke(conn, &row.get::<_, Vec<i64>>(3)))?;
                Ok(row)
            })
        })?;
        let row = row.ok_or(Error::NotFound)?;
        Ok((Session { id: row.get(0), generation: row.get(1), created_at: row.get(2) }, row.get(3)))
    }

    /// The next generation, for the refresh token of a user, a session and a generation, which comes from a network. [`Error::NotFound`] if that
    /// token is no longer valid. The one before it still gets the same successor for some seconds of grace: a reply may be
    /// lost, two tabs may refresh at once.
    pub fn rotate_session(&self, token: (i64, i64, i32), network: i64, grace: f64) -> Result<Session, Error> {
        let ((user, session, generation), lifetime) = (token, LIFETIME.as_seconds_f64());
        let row = self.write(|conn| {
            conn.query_opt(&queries::SESSION_ROTATE, &[&user, &session, &generation, &grace, &lifetime, &network])
        })?;
        let row = row.ok_or(Error::NotFound)?;
        Ok(Session { id: session, generation: row.get(0), created_at: row.get(1) })
    }

    /// A user's sessions, one of which is the current one.
    pub fn sessions(&self, user: i64, current: i64) -> Result<Vec<ListedSession>, Error> {
        let (lifetime, unused) = (LIFETIME.as_seconds_f64(), UNUSED_AT_MOST.as_seconds_f64());
        let rows = self.read(|conn| conn.query(&queries::SESSION_LIST, &[&user, &lifetime, &unused]))?;
        let listed = |row: &postgres::Row| ListedSession {
            id: row.get(0),
            created_at: row.get(1),
            last_used_at: row.get(2),
            user_agent: row.get(3),
            ip: row.get(4),
            current: row.get::<_, i64>(0) == current,
        };
        Ok(rows.iter().map(listed).collect())
    }

    /// Ends sessions of a user; returns those that have ended.
    pub fn end_sessions(&self, user: i64, which: Sessions) -> Result<Vec<i64>, Error> {
        self.write(|conn| conn.transaction(|conn| end(conn, user, which)))
    }

    /// Ends the sessions of all users; returns how many there were.
    pub fn end_all_sessions(&self) -> Result<usize, Error> {
        self.write(|conn| {
            conn.transaction(|conn| {
                conn.without_time_limit()?;
                conn.execute(&queries::TOKEN_END_ALL, &[])?;
                let ended = ids(&conn.query(&queries::SESSION_END_ALL, &[])?);
                revoke(conn, &ended).map(|()| ended.len())
            })
        })
    }
}

/// Ends sessions of a user, within a transaction; returns those that have ended.
pub(super) fn end(conn: &mut Connection, user: i64, which: Sessions) -> Result<Vec<i64>, postgres::Error> {
    let (one, spared, tokens) = match which {
        Sessions::One(id) => (Some(id), None, false),
        Sessions::All => (None, None, true),
        Sessions::Others(id) => (None, Some(id), true),
        Sessions::AllButTokens => (None, None, false),
    };
    let ended = ids(&conn.query(&queries::SESSION_END, &[&user, &one, &spared, &tokens])?);
    revoke(conn, &ended).map(|()| ended)
}

/// Revokes the access tokens of sessions that have ended, at the end of the transaction that ends them.
pub(super) fn revoke(conn: &mut Connection, ended: &[i64]) -> Result<(), postgres::Error> {
    if ended.is_empty() { Ok(()) } else { conn.execute(&queries::SESSION_REVOKE, &[&ended]).map(drop) }
}

fn ids(rows: &[postgres::Row]) -> Vec<i64> {
    rows.iter().map(|row| row.get(0)).collect()
}
