//! Brings the schema up to date, forward only. Any number of instances may start at once, and one of them does the work.

use postgres::Client;

use super::{Error, Store};

/// One step, from `sql/migrations`.
struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "address_book", sql: include_str!("../../sql/migrations/0001_address_book.sql") },
    Migration {
        version: 2,
        name: "search_and_order",
        sql: include_str!("../../sql/migrations/0002_search_and_order.sql"),
    },
    Migration { version: 3, name: "accounts", sql: include_str!("../../sql/migrations/0003_accounts.sql") },
    Migration { version: 4, name: "trash", sql: include_str!("../../sql/migrations/0004_trash.sql") },
    Migration { version: 5, name: "api_tokens", sql: include_str!("../../sql/migrations/0005_api_tokens.sql") },
    Migration { version: 6, name: "repeats", sql: include_str!("../../sql/migrations/0006_repeats.sql") },
];

/// The key of the advisory lock, a number that no other program uses: "contactd" in ASCII.
const LOCK: i64 = 0x636f_6e74_6163_7464;

impl Store {
    /// Whether the schema is up to date, which lets the store be used.
    pub fn check_schema(&self) -> Result<bool, Error> {
        let mut client = self.connect()?;
        check_encoding(&mut client)?;
        let is_latest = version(&mut client)? == latest();
        self.set_migrated(is_latest);
        Ok(is_latest)
    }

    /// Applies the missing steps, and lets the store be used.
    pub fn migrate(&self) -> Result<(), Error> {
        if !self.check_schema()? {
            let mut client = self.connect()?;
            // Asked again under the lock: another instance may just have done it. The lock ends with the connection.
            client.execute("select pg_advisory_lock($1)", &[&LOCK])?;
            let from = version(&mut client)?;
            if from > latest() {
                return Err(Error::Internal(format!(
                    "the schema is at version {from}, this program knows {}: start a newer one",
                    latest()
                )));
            }
            for step in MIGRATIONS.iter().filter(|step| step.version > from) {
                apply(&mut client, step)?;
            }
        }
        self.set_migrated(true);
        Ok(())
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

fn latest() -> i32 {
    MIGRATIONS.last().map_or(0, |step| step.version)
}

/// The schema's version, 0 before the first migration.
fn version(client: &mut Client) -> Result<i32, Error> {
    let exists: bool = client.query_one("select to_regclass('schema_migrations') is not null", &[])?.get(0);
    if !exists {
        return Ok(0);
    }
    Ok(client.query_one("select coalesce(max(version), 0) from schema_migrations", &[])?.get(0))
}

fn apply(client: &mut Client, step: &Migration) -> Result<(), Error> {
    log::info!("migrating the database: {:04} {}", step.version, step.name);
    let mut transaction = client.transaction()?;
    transaction.batch_execute(
        "create table if not exists schema_migrations (
           version integer primary key, name text not null, applied_at timestamptz not null default now())",
    )?;
    transaction.batch_execute(step.sql)?;
    transaction
        .execute("insert into schema_migrations (version, name) values ($1, $2)", &[&step.version, &step.name])?;
    Ok(transaction.commit()?)
}
