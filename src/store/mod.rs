//! The database: a pool of blocking Postgres clients, statements from `sql/queries`, and what can go wrong.
//!
//! Nothing here knows HTTP or JSON. A connection is held for one [`Store::read`] or [`Store::write`], never while a password is
//! hashed and never while a response is written to a client.
//!
//! # When Postgres does not answer
//!
//! `crate::lanes` watches how long each worker waits here. 2.1 s after its request arrived the client gets 503, a fresh worker
//! takes over, and [`Store::doubt`] connects anew. If that gets no answer within 0.5 s, the database is *away*: the pool is
//! replaced, and every request is refused at once, so everybody has an answer within 3 s. Housekeeping ([`Store::probe`]) tries
//! twice a second; once it gets an answer, the database is back. The connections that were left behind close when their
//! statements return, if ever.

pub mod accounts;
pub mod attempts;
pub mod calendars;
mod connect;
mod connection;
pub mod contacts;
mod housekeeping;
mod imports;
pub mod migrations;
mod pool;
mod pooler;
pub mod queries;
pub mod quota;
pub mod repeats;
pub mod revocations;
pub mod sessions;
mod together;
pub mod tokens;
mod trash;
pub mod zone;

use std::error::Error as _;
use std::iter;

use postgres::error::SqlState;

pub use self::connection::{CONNECTION_SETTINGS, Connection};
pub use self::pool::{Store, Wait};

/// What can go wrong, in the caller's terms.
#[derive(Debug)]
pub enum Error {
    /// There is no such row for this user.
    NotFound,
    /// The contact that a change is meant for is there, at another version.
    OtherVersion,
    /// Another user has this e-mail address.
    EmailTaken,
    /// The user is gone to whom the row would belong.
    NoUser,
    /// There is such a row already. Which rows may be, the statement tells: a database that is spread does not name the constraint.
    Duplicate(String),
    /// The database is away, too busy, or took too long: the same call may succeed later.
    Unavailable(String),
    /// Anything else: a fault of this program.
    Internal(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::NotFound => f.write_str("not found"),
            Error::OtherVersion => f.write_str("at another version"),
            Error::EmailTaken => f.write_str("the address is taken"),
            Error::NoUser => f.write_str("the user is gone"),
            Error::Duplicate(cause) | Error::Unavailable(cause) | Error::Internal(cause) => f.write_str(cause),
        }
    }
}

impl std::error::Error for Error {}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Error {
        if is_connection_lost(&error) {
            return Error::Unavailable(describe(&error));
        }
        let Some(db) = error.as_db_error() else {
            return Error::Internal(describe(&error));
        };
        let cause = format!("{} ({})", db.message(), db.code().code());
        // The classes are those of appendix A of the Postgres manual.
        match db.code() {
            &SqlState::UNIQUE_VIOLATION => Error::Duplicate(cause),
            // All references are to users.
            &SqlState::FOREIGN_KEY_VIOLATION => Error::NoUser,
            // A statement or a lock took longer than it may; or the table is missing, until housekeeping has migrated anew.
            &SqlState::QUERY_CANCELED
            | &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::UNDEFINED_TABLE
            | &SqlState::T_R_SERIALIZATION_FAILURE
            | &SqlState::T_R_DEADLOCK_DETECTED => Error::Unavailable(cause),
            // 53: out of disk, memory or connections. 55: not in a state to do it, such as a database that takes no connections.
            code if matches!(&code.code()[..2], "53" | "55") => Error::Unavailable(cause),
            _ => Error::Internal(cause),
        }
    }
}

/// Whether the connection is of no more use: it broke; the server says that it ends it (57P01…57P05) or cannot take it (08);
/// or the server is read-only (25006), as after a failover, and another one takes writes now.
fn is_connection_lost(error: &postgres::Error) -> bool {
    match error.code().map(SqlState::code) {
        Some(code) => code.starts_with("08") || code.starts_with("57P0") || code == "25006",
        None => error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()),
    }
}

/// The error with its causes: postgres prints only the outermost, "db error".
fn describe(error: &postgres::Error) -> String {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
