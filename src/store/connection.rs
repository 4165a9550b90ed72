//! A connection to the database with its prepared statements, and how the pool opens one and decides to drop one.

use std::sync::Arc;

use postgres::types::ToSql;
use postgres::{Client, NoTls, Row, Statement};
use r2d2::ManageConnection;
use r2d2_postgres::PostgresConnectionManager;

use super::Error;
use super::connect::Connector;
use super::queries::{self, Query};

type Params<'a> = [&'a (dyn ToSql + Sync)];

/// What every connection is set to, in the round trip that opens it. Statements and locks are bounded, because a worker waits
/// for each. A transaction whose connection is lost without a word ends as soon as its request would have, for others wait for
/// its locks. Plans are made once, unless the database or the role says otherwise (`sql/citus.sql` does), and never scan a whole
/// table: every statement is keyed by user, so the index is always right, even while the statistics still show an empty table.
/// JIT costs more than any statement here takes. The statements rely on the rest, which a database or a role may set
/// differently: each statement sees what was committed before it, and an escape in U&'…' is read.
pub const CONNECTION_SETTINGS: &str = "set statement_timeout = '2s'; set lock_timeout = '1500ms'; \
    set idle_in_transaction_session_timeout = '3s'; set timezone = 'UTC'; \
    set default_transaction_isolation = 'read committed'; set standard_conforming_strings = on; set client_min_messages = 'warning'; \
    select set_config('plan_cache_mode', 'force_generic_plan', false) where current_setting('plan_cache_mode') = 'auto'; \
    set enable_seqscan = off; set jit = off";

/// In a transaction it holds a pooler's connection to the database. Should the pooler have no other, the server ends this one, and whoever
/// waits for it goes on.
pub(super) const HOLD: &str = "set local idle_in_transaction_session_timeout = '1s'";

/// A connection that has carried an answer of more bytes than this is not used again. The postgres crate reads into one buffer
/// for as long as a connection lives, and the buffer never shrinks: a list of 10 MB left 16 MiB in each of the pool's
/// connections. Few answers are so large, and they cost far more than a new connection. Sixteen pages of a hundred contacts fit.
const LARGE: usize = 2 << 20;

/// A connection to the database.
pub struct Connection {
    client: Client,
    /// The prepared statements, by [`Query::slot`].
    statements: Vec<Option<Statement>>,
    /// The store's epoch when this connection was last known to work. `None` for a new one: the pool's own thread may have
    /// opened it before the database went away.
    pub(super) epoch: Option<u64>,
    /// It is not to be used again.
    pub(super) is_spent: bool,
}

impl Connection {
    fn statement(&mut self, query: &Query) -> Result<Statement, postgres::Error> {
        if let Some(statement) = &self.statements[query.slot] {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(query.sql)?;
        self.statements[query.slot] = Some(statement.clone());
        Ok(statement)
    }

    /// All rows.
    pub fn query(&mut self, query: &Query, params: &Params<'_>) -> Result<Vec<Row>, postgres::Error> {
        let statement = self.statement(query)?;
        let rows = self.client.query(&statement, params)?;
        self.is_spent |= rows.iter().map(Row::raw_size_bytes).sum::<usize>() > LARGE;
        Ok(rows)
    }

    /// The row, if there is one.
    pub fn query_opt(&mut self, query: &Query, params: &Params<'_>) -> Result<Option<Row>, postgres::Error> {
        let statement = self.statement(query)?;
        self.client.query_opt(&statement, params)
    }

    /// The row of a statement that always returns one.
    pub fn query_one(&mut self, query: &Query, params: &Params<'_>) -> Result<Row, postgres::Error> {
        let statement = self.statement(query)?;
        self.client.query_one(&statement, params)
    }

    /// The number of rows changed.
    pub fn execute(&mut self, query: &Query, params: &Params<'_>) -> Result<u64, postgres::Error> {
        let statement = self.statement(query)?;
        self.client.execute(&statement, params)
    }

    /// Runs `work` within one transaction, which is rolled back if `work` fails.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Connection) -> Result<T, postgres::Error>,
    ) -> Result<T, postgres::Error> {
        self.client.batch_execute("begin")?;
        let mut open = OpenTransaction { connection: self, has_ended: false };
        let value = work(open.connection)?;
        open.has_ended = true;
        open.connection.client.batch_execute("commit").map(|()| value)
    }

    /// Lets the statements of this transaction take as long as they need.
    pub fn without_time_limit(&mut self) -> Result<(), postgres::Error> {
        self.client.batch_execute("set local statement_timeout = 0")
    }

    /// One round trip: whether the connection still works.
    pub(super) fn is_alive(&mut self) -> bool {
        self.client.batch_execute("").is_ok()
    }
}

/// An open transaction. It is rolled back unless its end was reached, also after a panic: otherwise the pool would lend the
/// connection with the transaction still open.
struct OpenTransaction<'a> {
    connection: &'a mut Connection,
    has_ended: bool,
}

impl Drop for OpenTransaction<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            // On a broken connection this fails too, and the server rolls back by itself.
            let _ = self.connection.client.batch_execute("rollback");
        }
    }
}

/// r2d2_postgres's manager, but for connecting, which it does not bound; in addition it sets connections up, and drops those
/// that are spent.
pub struct Manager {
    manager: PostgresConnectionManager<NoTls>,
    connector: Arc<Connector>,
}

impl Manager {
    pub(super) fn new(database: postgres::Config, connector: Arc<Connector>) -> Manager {
        Manager { manager: PostgresConnectionManager::new(database, NoTls), connector }
    }
}

impl ManageConnection for Manager {
    type Connection = Connection;
    type Error = Error;

    fn connect(&self) -> Result<Connection, Error> {
        let client = self.connector.connect(CONNECTION_SETTINGS)?;
        Ok(Connection { client, statements: vec![None; queries::ALL.len()], epoch: None, is_spent: false })
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), Error> {
        Ok(self.manager.is_valid(&mut connection.client)?)
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_spent || self.manager.has_broken(&mut connection.client)
    }
}
