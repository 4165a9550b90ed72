//! Users: creating, finding, changing and deleting them.

use postgres::Row;

use super::sessions::{self, Sessions};
use super::together::{by_place, together};
use super::{Error, Store, queries};
use crate::domain::user::User;

/// What a login is checked against.
pub struct Credentials {
    /// The user.
    pub user: i64,
    /// A PHC string.
    pub password_hash: String,
    /// Disabled by the operator.
    pub disabled: bool,
}

fn user(row: &Row) -> User {
    User { id: row.get(0), username: row.get(1), email: row.get(2), created_at: row.get(3) }
}

fn credentials(row: &Row) -> Credentials {
    Credentials { user: row.get(0), password_hash: row.get(1), disabled: row.get(2) }
}

impl Store {
    /// Creates a user. [`Error::Conflict`] on `users_email_key` when the address is taken.
    pub fn insert_user(&self, username: &str, email: &str, password_hash: &str) -> Result<User, Error> {
        let row = self.write(|conn| conn.query_one(&queries::USER_INSERT, &[&username, &email, &password_hash]))?;
        Ok(user(&row))
    }

    /// Users by their ids.
    pub fn users(&self, asked: &[i64]) -> Vec<Option<Result<User, Error>>> {
        let found = |row: Option<Row>| row.as_ref().map(user).ok_or(Error::NotFound);
        let one = |id: &i64| self.read(|conn| conn.query_opt(&queries::USER_BY_ID, &[id])).and_then(found);
        together(asked, one, || {
            let rows = self.read(|conn| conn.query(&queries::USERS_BY_IDS, &[&asked]))?;
            Ok(by_place(rows, asked.len()).into_iter().map(|row| Some(found(row))).collect())
        })
    }

    /// The credentials of the user with this e-mail, if there is one.
    pub fn credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::USER_CREDENTIALS_BY_EMAIL, &[&email]))?;
        Ok(row.as_ref().map(credentials))
    }

    /// The credentials of a user by id, to confirm the password.
    pub fn credentials(&self, id: i64) -> Result<Credentials, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::USER_CREDENTIALS_BY_ID, &[&id]))?;
        row.as_ref().map(credentials).ok_or(Error::NotFound)
    }

    /// Renames a user; `None` keeps the name.
    pub fn rename_user(&self, id: i64, username: Option<&str>) -> Result<User, Error> {
        let row = self.write(|conn| conn.query_opt(&queries::USER_RENAME, &[&id, &username]))?;
        row.as_ref().map(user).ok_or(Error::NotFound)
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
                id.map(|id| sessions::end(conn, id, Sessions::All).map(|_| id)).transpose()
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
                conn.execute(&queries::SESSION_REVOKE, &[&sessions])?;
                Ok((sessions, row.get(1)))
            })
        })?;
        if is_gone { Ok(sessions) } else { Err(Error::NotFound) }
    }
}
