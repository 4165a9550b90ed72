//! Users: making, finding, changing, deleting them.

use postgres::Row;

use super::sessions::{self, Which};
use super::{Error, Store, queries};
use crate::domain::user::User;

/// What a login is checked against.
pub struct Credentials {
    /// The user.
    pub user: i64,
    /// A PHC string.
    pub password_hash: String,
    /// Locked out by the operator.
    pub disabled: bool,
}

fn user(row: &Row) -> User {
    User { id: row.get(0), username: row.get(1), email: row.get(2), created_at: row.get(3) }
}

fn credentials(row: &Row) -> Credentials {
    Credentials { user: row.get(0), password_hash: row.get(1), disabled: row.get(2) }
}

impl Store {
    /// Makes a user. [`Error::Conflict`] on `users_email_key` when the address is taken.
    pub fn insert_user(&self, username: &str, email: &str, password_hash: &str) -> Result<User, Error> {
        let row = self.write(|conn| conn.query_one(&queries::USER_INSERT, &[&username, &email, &password_hash]))?;
        Ok(user(&row))
    }

    /// A user by id.
    pub fn user(&self, id: i64) -> Result<User, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::USER_BY_ID, &[&id]))?;
        row.as_ref().map(user).ok_or(Error::NotFound)
    }

    /// What a login is checked against, if there is such a user.
    pub fn credentials_by_email(&self, email: &str) -> Result<Option<Credentials>, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::USER_CREDENTIALS_BY_EMAIL, &[&email]))?;
        Ok(row.as_ref().map(credentials))
    }

    /// What a user who is logged in is asked for again.
    pub fn credentials(&self, id: i64) -> Result<Credentials, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::USER_CREDENTIALS_BY_ID, &[&id]))?;
        row.as_ref().map(credentials).ok_or(Error::NotFound)
    }

    /// Gives a user another name, or none other.
    pub fn rename_user(&self, id: i64, username: Option<&str>) -> Result<User, Error> {
        let row = self.write(|conn| conn.query_opt(&queries::USER_RENAME, &[&id, &username]))?;
        row.as_ref().map(user).ok_or(Error::NotFound)
    }

    /// Hashes the same password anew, if it still has the hash `old`.
    pub fn renew_hash(&self, id: i64, hash: &str, old: &str) -> Result<(), Error> {
        let old = Some(old);
        self.write(|conn| conn.query_opt(&queries::USER_SET_PASSWORD, &[&id, &hash, &old])).map(drop)
    }

    /// Sets another password, if its hash still is `old` (where that is given), and ends sessions: what the old password
    /// began must not outlive it. Those that ended; `None` if it was not set.
    ///
    /// Two statements: a login that the first waited for is only seen by one that begins later.
    pub fn change_password(
        &self,
        id: i64,
        hash: &str,
        old: Option<&str>,
        ended: Which,
    ) -> Result<Option<Vec<i64>>, Error> {
        self.write(|conn| {
            conn.transaction(|conn| {
                let set = conn.query_opt(&queries::USER_SET_PASSWORD, &[&id, &hash, &old])?;
                set.map(|_| sessions::end(conn, id, ended)).transpose()
            })
        })
    }

    /// Locks a user out and ends their sessions; their id.
    pub fn disable_user(&self, email: &str) -> Result<i64, Error> {
        let id = self.write(|conn| {
            conn.transaction(|conn| {
                let row = conn.query_opt(&queries::USER_DISABLE, &[&email])?;
                let id: Option<i64> = row.map(|row| row.get(0));
                id.map(|id| sessions::end(conn, id, Which::All).map(|_| id)).transpose()
            })
        })?;
        id.ok_or(Error::NotFound)
    }

    /// Lets a user in again.
    pub fn enable_user(&self, email: &str) -> Result<i64, Error> {
        let row = self.write(|conn| conn.query_opt(&queries::USER_ENABLE, &[&email]))?;
        row.map(|row| row.get(0)).ok_or(Error::NotFound)
    }

    /// Deletes a user with everything of theirs; the sessions that ended by it.
    pub fn delete_user(&self, id: i64) -> Result<Vec<i64>, Error> {
        let row = self.write(|conn| {
            conn.transaction(|conn| {
                conn.query_opt(&queries::USER_LOCK, &[&id])?;
                // Or an account of some million contacts could never be deleted. It is one worker of the slow lane that waits.
                conn.without_time_limit()?;
                conn.query_one(&queries::USER_DELETE, &[&id])
            })
        })?;
        if row.get(1) { Ok(row.get(0)) } else { Err(Error::NotFound) }
    }
}
