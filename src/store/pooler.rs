//! Finds out whether prepared statements survive on the way to the database.
//!
//! A pooler such as PgBouncer in transaction mode lends a connection of its own to one client after the other. Two instances name their
//! prepared statements alike, so one would run the other's: a GET has deleted rows that way. Nothing in the protocol says that there is
//! a pooler, so it is tried.

use postgres::Client;

use super::connection::HOLD;
use super::{Error, queries};

/// How often it is tried. Once would do if the pooler lent what was given back last, and nobody else used it.
const ROUNDS: usize = 8;

/// Refuses a way to the database on which one client's prepared statement is not found, or another one is found in its place, while a
/// second client holds the connection that it was prepared on.
pub(super) fn check(client: &mut Client, other: &mut Client) -> Result<(), Error> {
    let cause = match try_check(client, other).map_err(Error::from) {
        Ok(true) => return Ok(()),
        Ok(false) => "another was run".to_owned(),
        Err(Error::Internal(cause)) => cause,
        Err(error) => return Err(error),
    };
    Err(Error::Internal(format!(
        "DATABASE_URL leads through a pooler that mixes up prepared statements ({cause}): set its pool_mode to session, or \
         max_prepared_statements in PgBouncer 1.21 or newer, with at least two connections to the database",
    )))
}

fn try_check(client: &mut Client, other: &mut Client) -> Result<bool, postgres::Error> {
    let mark = getrandom::u64().unwrap_or_default().to_string();
    let statement = client.prepare(&queries::POOLER.sql.replace("MARK", &mark))?;
    let mut is_right = || Ok(client.query_one(&statement, &[&0_i8, &0_u32])?.get::<_, &str>(0) == mark);
    for _ in 0..ROUNDS {
        // While nothing is held the client gets what was given back last; then it cannot.
        let is_found = is_right()?;
        let mut held = other.transaction()?;
        held.batch_execute(HOLD)?;
        if !is_found || !is_right()? {
            return Ok(false);
        }
        held.commit()?;
    }
    Ok(true)
}
