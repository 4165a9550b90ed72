//! Sessions: one row a login. A refresh token is a signed (session, generation), so the table holds no secret.

use chrono::{DateTime, Utc};

use super::accounts::Credentials;
use super::{Conn, Error, Store, queries};

/// A session lives at most so many days after its login, whatever is refreshed.
pub const DAYS_AT_MOST: i32 = 30;
/// A session ends after so many days without a refresh: the life of a refresh token.
pub const DAYS_UNUSED: i32 = 7;
/// The previous generation gets the same successor for so many seconds: a lost reply, two tabs.
const GRACE_SECONDS: f64 = 10.0;

/// A session that tokens are made for.
#[derive(Debug, Clone, Copy)]
pub struct Session {
    /// Its id, the tokens' `sid`.
    pub id: i64,
    /// The refresh token that counts.
    pub generation: i32,
    /// The login.
    pub created_at: DateTime<Utc>,
}

/// A session as its user sees it.
#[derive(Debug)]
pub struct Listed {
    /// Its id.
    pub id: i64,
    /// The login.
    pub created_at: DateTime<Utc>,
    /// The last refresh.
    pub last_used_at: DateTime<Utc>,
    /// What logged in.
    pub user_agent: Option<String>,
    /// From where.
    pub ip: Option<String>,
}

/// Which of a user's sessions end.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    /// This one.
    One(i64),
    /// All of them.
    All,
    /// All but this one.
    Others(i64),
}

impl Store {
    /// Begins a session of whoever knows the password. [`Error::NotFound`] where these credentials count no more: the user
    /// is gone or disabled, or has another password since.
    pub fn begin_session(
        &self,
        known: &Credentials,
        user_agent: Option<&str>,
        ip: Option<&str>,
    ) -> Result<Session, Error> {
        let row = self.write(|conn| {
            conn.query_opt(&queries::SESSION_INSERT, &[&known.user, &user_agent, &ip, &known.password_hash])
        })?;
        let row = row.ok_or(Error::NotFound)?;
        Ok(Session { id: row.get(0), generation: row.get(1), created_at: row.get(2) })
    }

    /// The next generation, for the refresh token of `generation`. [`Error::NotFound`] when that counts no more.
    pub fn rotate_session(&self, user: i64, session: i64, generation: i32) -> Result<Session, Error> {
        let row = self.write(|conn| {
            conn.query_opt(&queries::SESSION_ROTATE, &[&user, &session, &generation, &GRACE_SECONDS, &DAYS_AT_MOST])
        })?;
        let row = row.ok_or(Error::NotFound)?;
        Ok(Session { id: session, generation: row.get(0), created_at: row.get(1) })
    }

    /// A user's sessions.
    pub fn sessions(&self, user: i64) -> Result<Vec<Listed>, Error> {
        let rows = self.read(|conn| conn.query(&queries::SESSION_LIST, &[&user, &DAYS_AT_MOST, &DAYS_UNUSED]))?;
        let listed = |row: &postgres::Row| Listed {
            id: row.get(0),
            created_at: row.get(1),
            last_used_at: row.get(2),
            user_agent: row.get(3),
            ip: row.get(4),
        };
        Ok(rows.iter().map(listed).collect())
    }

    /// Ends sessions; those that were there to end.
    pub fn end_sessions(&self, user: i64, which: Which) -> Result<Vec<i64>, Error> {
        self.write(|conn| end(conn, user, which))
    }

    /// Forgets what has no more use: old sessions, revocations, attempts.
    pub fn purge(&self) -> Result<(), Error> {
        let kept = super::revocations::KEPT.as_secs_f64();
        self.write(|conn| {
            conn.execute(&queries::SESSION_PURGE, &[&DAYS_AT_MOST, &DAYS_UNUSED, &kept])?;
            conn.execute(&queries::ATTEMPT_PURGE, &[])
        })?;
        Ok(())
    }

    /// A round trip.
    pub fn ping(&self) -> Result<(), Error> {
        self.read(|conn| conn.query_one(&queries::PING, &[])).map(drop)
    }
}

/// Ends sessions, maybe within a transaction; those that were there to end.
pub(super) fn end(conn: &mut Conn, user: i64, which: Which) -> Result<Vec<i64>, postgres::Error> {
    let (one, spared) = match which {
        Which::One(id) => (Some(id), None),
        Which::All => (None, None),
        Which::Others(id) => (None, Some(id)),
    };
    let rows = conn.query(&queries::SESSION_END, &[&user, &one, &spared])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
