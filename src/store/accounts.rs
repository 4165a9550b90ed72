//! Users: creating, finding, changing and deleting them.

use chrono::{DateTime, Utc};
use postgres::Row;
use postgres::types::ToSql;

use super::sessions::{self, Sessions};
use super::together::{Outcomes, by_place, together};
use super::{Connection, Error, Store, queries};
use crate::domain::user::User;

/// What a login is checked against.
pub struct Credentials {
    /// The user.
    pub user: i64,
    /// A PHC string.
    pub password_hash: String,
    /// Disabled by the operator.
    pub disabled: bool,
    /// Whether a session of theirs lives in the network that asks.
    pub is_at_home: bool,
}

/// A user, as the operator sees them.
pub struct Known {
    /// The user.
    pub user: User,
    /// When a session of theirs that is still there was last used.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Disabled by the operator.
    pub is_disabled: bool,
}

fn user(row: &Row) -> User {
    User { id: row.get(0), username: row.get(1), email: row.get(2), created_at: row.get(3) }
}

fn credentials(row: &Row) -> Credentials {
    Credentials { user: row.get(0), password_hash: row.get(1), disabled: row.get(2), is_at_home: row.get(3) }
}

impl Store {
    /// Creates a user. [`Error::EmailTaken`] when the address is.
    pub fn insert_user(&self, username: &str, email: &str, password_hash: &str) -> Result<User, Error> {
        let row =
            self.with_new_id(|conn| conn.query_opt(&queries::USER_INSERT, &[&username, &email, &password_hash]))?;
        row.as_ref().map(user).ok_or(Error::EmailTaken)
    }

    /// Makes a row whose id the database draws at random; again, should a row have that id.
    pub(super) fn with_new_id<T>(
        &self,
        insert: impl Fn(&mut Connection) -> Result<T, postgres::Error>,
    ) -> Result<T, Error> {
        loop {
            match self.write(&insert) {
                Err(Error::Duplicate(_)) => {}
                outcome => return outcome,
            }
        }
    }

    /// A user by id.
    pub fn user(&self, id: i64) -> Result<User, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::USER_BY_ID, &[&id]))?;
        row.as_ref().map(user).ok_or(Error::NotFound)
    }

    /// Users by their ids.
    pub fn users(&self, asked: &[i64]) -> Outcomes<User> {
        let one = |id: &i64| self.user(*id);
        let found = |row: Option<Row>| row.as_ref().map(user).ok_or(Error::NotFound);
        together(asked, one, || {
            let rows = self.read(|conn| conn.query(&queries::USERS_BY_IDS, &[&asked]))?;
            Ok(by_place(rows, asked.len()).into_iter().map(|row| Some(found(row))).collect())
        })
    }

    /// A thousand users at most by their addresses, those after this one.
    pub fn users_after(&self, email: &str) -> Result<Vec<Known>, Error> {
        let rows = self.read(|conn| conn.query(&queries::USERS_PAGE, &[&email]))?;
        let known = |row: &Row| Known { user: user(row), last_used_at: row.get(4), is_disabled: row.get(5) };
        Ok(rows.iter().map(known).collect())
    }

    /// The credentials of the user with this e-mail, if there is one, for whoever asks from a network.
    pub fn credentials(&self, email: &str, network: i64) -> Result<Option<Credentials>, Error> {
        let (lifetime, unused) = (sessions::LIFETIME.as_seconds_f64(), sessions::UNUSED_AT_MOST.as_seconds_f64());
        let params: [&(dyn ToSql + Sync); 4] = [&email, &network, &lifetime, &unused];
        let row = self.read(|conn| conn.query_opt(&queries::USER_CREDENTIALS, &params))?;
        Ok(row.as_ref().map(credentials))
    }

    /// Gives a user another name, and another address if the password's hash still is this one; `None` keeps them.
    /// [`Error::EmailTaken`] when the address is.
    pub fn update_user(&self, id: i64, username: Option<&str>, email: Option<(&str, &str)>) -> Result<User, Error> {
        let (email, hash) = email.unzip();
        let updated = self.write(|conn| conn.query_opt(&queries::USER_UPDATE, &[&id, &username, &email, &hash]));
        match updated {
            Err(Error::Duplicate(_)) => Err(Error::EmailTaken),
            row => row?.as_ref().map(user).ok_or(Error::NotFound),
        }
    }

    /// Stores a new hash of the same password, if its hash still is `old`.
    pub fn renew_hash(&self, id: i64, hash: &str, old: &str) -> Result<(), Error> {
        let old = Some(old);
        self.write(|conn| conn.query_opt(&queries::USER_SET_PASSWORD, &[&id, &hash, &old])).map(drop)
    }

    /// Sets a new password, if the hash still is `old` (where that is given), and ends sessions: those that the old password
    /// began must not outlive it. Returns the sessions that have ended; `None` if the password was not set.
    ///
    /// These are two statements, because a login that the first one waited for is seen only by a statement that begins later.
    pub fn change_password(
        &self,
        id: i64,
        hash: &str,
        old: Option<&str>,
        ended: Sessions,
    ) -> Result<Option<Vec<i64>>, Error> {
        self.write(|conn| {
            conn.transaction(|conn| {
                let set = conn.query_opt(&queries::USER_SET_PASSWORD, &[&id, &hash, &old])?;
                set.map(|_| sessions::end(conn, id, ended)).transpose()
            })
        })
    }

    /// Disables a user and ends their sessions; returns the user's id.
    pub fn disable_user(&self, email: &str) -> Result<i64, Error> {
        let id = self.write(|conn| {
            conn.transaction(|conn| {
                let row = conn.query_opt(&queries::USER_DISABLE, &[&email])?;
                let id: Option<i64> = row.map(|row| row.get(0));
                id.map(|id| sessions::end(conn, id, Sessions::AllButTokens).map(|_| id)).transpose()
            })
        })?;
        id.ok_or(Error::NotFound)
    }

    /// Enables a disabled user; returns the user's id.
    pub fn enable_user(&self, email: &str) -> Result<i64, Error> {
        let row = self.write(|conn| conn.query_opt(&queries::USER_ENABLE, &[&email]))?;
        row.map(|row| row.get(0)).ok_or(Error::NotFound)
    }

    /// Deletes a user and everything of theirs; returns the sessions that have ended.
    pub fn delete_user(&self, id: i64) -> Result<Vec<i64>, Error> {
        let (sessions, is_gone): (Vec<i64>, bool) = self.write(|conn| {
            conn.transaction(|conn| {
                conn.query_opt(&queries::USER_LOCK, &[&id])?;
                // Otherwise an account of some million contacts could never be deleted.
                conn.without_time_limit()?;
                let row = conn.query_one(&queries::USER_DELETE, &[&id])?;
                let sessions: Vec<i64> = row.get(0);
                sessions::revoke(conn, &sessions)?;
                Ok((sessions, row.get(1)))
            })
        })?;
        if is_gone { Ok(sessions) } else { Err(Error::NotFound) }
    }
}
