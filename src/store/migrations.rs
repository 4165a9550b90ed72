//! Brings the schema up to date, forward only. Any number of instances may start at once, and one of them does the work, while
//! those of the release before go on. So a step may wait, but nobody may wait behind it.

use std::thread;
use std::time::{Duration, Instant};

use postgres::error::SqlState;
use postgres::{Client, GenericClient};

use super::{Error, Store, pooler};

/// One step, from `sql/migrations`.
pub struct Migration {
    /// The schema's version after it.
    pub version: i32,
    /// The oldest program that can work on the schema after it, by the newest version that it knows.
    pub min_program: i32,
    /// What it is about.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
    /// Its statements run one by one and outside of a transaction, as an index that is made concurrently needs it. They begin anew
    /// after an interruption, so the first one drops what was left of the index.
    pub is_concurrent: bool,
}

const fn step(version: i32, min_program: i32, name: &'static str, sql: &'static str) -> Migration {
    Migration { version, min_program, name, sql, is_concurrent: false }
}

/// All steps. Programs that knew less than the third refuse every newer schema, whatever it says.
pub const MIGRATIONS: &[Migration] = &[
    step(1, 1, "address_book", include_str!("../../sql/migrations/0001_address_book.sql")),
    step(2, 2, "search_and_order", include_str!("../../sql/migrations/0002_search_and_order.sql")),
    step(3, 3, "accounts", include_str!("../../sql/migrations/0003_accounts.sql")),
    step(4, 3, "trash", include_str!("../../sql/migrations/0004_trash.sql")),
    step(5, 3, "api_tokens", include_str!("../../sql/migrations/0005_api_tokens.sql")),
    step(6, 3, "repeats", include_str!("../../sql/migrations/0006_repeats.sql")),
    Migration { is_concurrent: true, ..step(7, 3, "size", include_str!("../../sql/migrations/0007_size.sql")) },
];

/// The key of the advisory lock, a number that no other program uses: "contactd" in ASCII.
const LOCK: i64 = 0x636f_6e74_6163_7464;
/// How a step runs. It waits a moment for a lock on a table, behind a long read: all others wait behind the step meanwhile, so
/// that is far shorter than what a request may take. Nothing else is limited, whatever the role's settings are. A transaction
/// that does nothing must hold no snapshot, for which an index that is made concurrently would wait.
const STEP_SETTINGS: &str = "set transaction isolation level read committed; set local lock_timeout = '200ms'; \
    set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; \
    set local client_min_messages = 'warning'";
/// Then it tries again after this pause.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is logged that a step waits.
const REMINDER: Duration = Duration::from_secs(60);

impl Store {
    /// Whether the schema is one that the program can work on, which lets the store be used. It is not while steps are missing;
    /// one that only a newer program can work on is an error.
    pub fn check_schema(&self) -> Result<bool, Error> {
        self.knows(MIGRATIONS)
    }

    /// Applies the missing steps, and lets the store be used.
    pub fn migrate(&self) -> Result<(), Error> {
        self.migrate_to(MIGRATIONS)
    }

    fn knows(&self, steps: &[Migration]) -> Result<bool, Error> {
        let mut client = self.connect()?;
        pooler::check(&mut client, &mut self.connect()?)?;
        check_encoding(&mut client)?;
        let (known, (version, min_program)) = (steps.last().map_or(0, |step| step.version), state(&mut client)?);
        self.set_migrated(version >= known && min_program <= known);
        if min_program > known {
            return Err(Error::Internal(format!(
                "the schema is at version {version}, this program knows {known}: start one that knows {min_program}"
            )));
        }
        if version > known {
            log::info!("the schema is at version {version}, and this program, which knows {known}, can work on it");
        }
        Ok(version >= known)
    }

    /// The same as [`Store::migrate`] by steps of one's own.
    pub fn migrate_to(&self, steps: &[Migration]) -> Result<(), Error> {
        if self.knows(steps)? {
            return Ok(());
        }
        let mut reminded: Option<Instant> = None;
        for step in steps {
            while !self.apply(step)? {
                if reminded.is_none_or(|at| at.elapsed() >= REMINDER) {
                    reminded = Some(Instant::now());
                    log::info!("migration {:04} waits for locks that others hold, and tries again", step.version);
                }
                thread::sleep(PAUSE);
            }
        }
        self.set_migrated(true);
        Ok(())
    }

    /// Applies a step unless it was applied already. False if it has to wait for somebody.
    fn apply(&self, step: &Migration) -> Result<bool, Error> {
        match self.try_apply(step) {
            Err(Error::Unavailable(cause)) if cause.contains(SqlState::LOCK_NOT_AVAILABLE.code()) => Ok(false),
            outcome => outcome,
        }
    }

    fn try_apply(&self, step: &Migration) -> Result<bool, Error> {
        let mut client = self.connect()?;
        let mut transaction = client.transaction()?;
        transaction.batch_execute(STEP_SETTINGS)?;
        // Asked for, not waited for: an index that is made concurrently waits for all statements that have begun, this one included.
        let is_mine: bool = transaction.query_one("select pg_try_advisory_xact_lock($1)", &[&LOCK])?.get(0);
        if !is_mine || state(&mut transaction)?.0 >= step.version {
            return Ok(is_mine);
        }
        if self.announce(step.version) {
            log::info!("migrating the database: {:04} {}", step.version, step.name);
        }
        if step.is_concurrent {
            // The lock stays with the transaction, which does nothing meanwhile. In place of the query above, whose result would
            // keep its snapshot:
            transaction.batch_execute("select")?;
            let mut outside = self.connect()?;
            outside.batch_execute(
                "set statement_timeout = 0; set lock_timeout = 0; set client_min_messages = 'warning'",
            )?;
            step.sql.split(";\n").try_for_each(|statement| outside.batch_execute(statement))?;
        } else {
            transaction.batch_execute(step.sql)?;
        }
        // At the end, since others look at this table when they start, and cannot while it changes.
        transaction.batch_execute(
            "create table if not exists schema_migrations (
               version integer primary key, name text not null, applied_at timestamptz not null default now());
             alter table schema_migrations add column if not exists min_program integer",
        )?;
        let insert = "insert into schema_migrations (version, name, min_program) values ($1, $2, $3)";
        transaction.execute(insert, &[&step.version, &step.name, &step.min_program])?;
        transaction.commit()?;
        Ok(true)
    }
}

/// A database in an encoding such as LATIN1 would refuse most of the world's names, one by one and much later. SQL_ASCII takes
/// any bytes.
fn check_encoding(client: &mut Client) -> Result<(), Error> {
    let encoding: String = client.query_one("show server_encoding", &[])?.get(0);
    if matches!(encoding.as_str(), "UTF8" | "SQL_ASCII") {
        return Ok(());
    }
    Err(Error::Internal(format!(
        "the database is in the encoding {encoding}, which cannot hold every name: create one with encoding 'UTF8'"
    )))
}

/// The schema's version, 0 before the first migration, and the oldest program that can work on it. The rows of releases that did not
/// know of `min_program` are without.
fn state(client: &mut impl GenericClient) -> Result<(i32, i32), Error> {
    let exists: bool = client.query_one("select to_regclass('schema_migrations') is not null", &[])?.get(0);
    if !exists {
        return Ok((0, 0));
    }
    let row = client.query_one(
        "select coalesce(max(version), 0), coalesce(max(coalesce((to_jsonb(step) ->> 'min_program')::integer, version)), 0)
         from schema_migrations as step",
        &[],
    )?;
    Ok((row.get(0), row.get(1)))
}
