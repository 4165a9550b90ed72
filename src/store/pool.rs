//! The pool: connections with their prepared statements, and what is done when one turns out dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use postgres::types::ToSql;
use postgres::{Client, NoTls, Row, Statement};
use r2d2::{CustomizeConnection, Pool, PooledConnection};
use r2d2_postgres::PostgresConnectionManager;
use scheduled_thread_pool::ScheduledThreadPool;

use super::manager::{Connection, Manager};
use super::queries::{self, Query};
use super::{Error, is_connection_lost};

type Params<'a> = [&'a (dyn ToSql + Sync)];

/// How the pool is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the database is.
    pub database: postgres::Config,
    /// The most connections.
    pub size: u32,
}

/// A request waits so long for a connection; then 503.
const CHECKOUT: Duration = Duration::from_secs(1);

/// What every connection is set to, in the round trip that opens it. Statements and locks are bounded, for a worker waits
/// for each. Plans are made once and never from a scan of a whole table: each statement is keyed by user, so the index is
/// always right, also while the statistics still tell of an empty table. JIT costs more than any statement here takes.
/// What a database or a role may set otherwise for its clients, and the statements count on, is set too: each statement
/// sees what was committed before it, and an escape in U&'…' is read.
pub const SETTINGS: &str = "set statement_timeout = '10s'; set lock_timeout = '5s'; \
    set idle_in_transaction_session_timeout = '15s'; set timezone = 'UTC'; \
    set default_transaction_isolation = 'read committed'; set standard_conforming_strings = on; set client_min_messages = 'warning'; \
    set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off";

#[derive(Debug)]
struct Setup;

impl CustomizeConnection<Connection, postgres::Error> for Setup {
    fn on_acquire(&self, connection: &mut Connection) -> Result<(), postgres::Error> {
        connection.client.batch_execute(SETTINGS)
    }
}

/// What a connection carries along.
struct Prepared {
    /// By a query's slot.
    statements: Vec<Option<Statement>>,
    /// The store's epoch when the connection was last known to be alive; `None` for one that just came from the pool's own
    /// thread, which may have opened it before the database went away.
    epoch: Option<u64>,
}

/// The database, through a pool.
pub struct Store {
    pool: Pool<Manager>,
    database: postgres::Config,
    /// Set once the schema is up to date; nothing but the migration runs before.
    migrated: AtomicBool,
    /// Set when a checkout found no connection at all, cleared by [`Store::probe`]. Meanwhile requests are refused at once: if
    /// each waited for its own checkout, all workers would, and what needs no database would wait behind them.
    away: AtomicBool,
    /// Counts the connections found dead. After a restart of the database *all* pooled ones are, so one that was last seen
    /// alive in an earlier epoch is tried before it is used.
    epoch: AtomicU64,
}

impl Store {
    /// A pool that connects when it is first used, so that the program starts while the database is away.
    pub fn new(options: &Options) -> Store {
        let mut database = options.database.clone();
        if database.get_connect_timeout().is_none() {
            database.connect_timeout(Duration::from_secs(2));
        }
        database.application_name("contactd").keepalives_idle(Duration::from_secs(30));
        // A server that vanished without a word is noticed while a statement waits for it.
        database.tcp_user_timeout(Duration::from_secs(15));
        let pool = Pool::builder()
            .max_size(options.size)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(CHECKOUT)
            .idle_timeout(Some(Duration::from_secs(300)))
            .max_lifetime(Some(Duration::from_secs(3600)))
            .thread_pool(Arc::new(ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("pool").build()))
            .error_handler(Box::new(LogAtDebug))
            .connection_customizer(Box::new(Setup))
            .build_unchecked(Manager(PostgresConnectionManager::new(database.clone(), NoTls)));
        Store {
            pool,
            database,
            migrated: AtomicBool::new(false),
            away: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
        }
    }

    /// A connection outside of the pool, without the limits on statements: for migrations, which may take long.
    pub(super) fn connect(&self) -> Result<Client, Error> {
        Ok(self.database.connect(NoTls)?)
    }

    pub(super) fn set_migrated(&self) {
        self.migrated.store(true, Ordering::Release);
    }

    /// Whether the schema is known to be up to date.
    pub fn is_migrated(&self) -> bool {
        self.migrated.load(Ordering::Acquire)
    }

    /// Runs statements that change nothing. If the connection turns out dead they are run once more on another.
    pub fn read<T>(&self, work: impl Fn(&mut Conn) -> Result<T, postgres::Error>) -> Result<T, Error> {
        let mut conn = self.checkout()?;
        match work(&mut conn) {
            Err(error) if self.is_lost(&error) => {
                drop(conn);
                Ok(work(&mut self.checkout()?)?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Runs statements that change something. They are not repeated: a connection that breaks in between leaves open
    /// whether they were carried out, which is for the client to find out.
    pub fn write<T>(&self, work: impl FnOnce(&mut Conn) -> Result<T, postgres::Error>) -> Result<T, Error> {
        let mut conn = self.checkout()?;
        let outcome = work(&mut conn);
        if let Err(error) = &outcome {
            self.is_lost(error);
        }
        Ok(outcome?)
    }

    fn is_lost(&self, error: &postgres::Error) -> bool {
        let lost = is_connection_lost(error);
        if lost {
            self.epoch.fetch_add(1, Ordering::Relaxed);
        }
        lost
    }

    /// Whether the database was away when somebody last looked.
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Looks whether a database that was away is back.
    pub fn probe(&self) -> Result<(), Error> {
        match self.pool.get() {
            Ok(_) => {
                self.away.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(Error::Unavailable(format!("no connection: {error}"))),
        }
    }

    fn checkout(&self) -> Result<Conn, Error> {
        if !self.is_migrated() {
            return Err(Error::Unavailable("the database has not been reached yet".to_owned()));
        }
        if self.is_away() {
            return Err(Error::Unavailable("the database is away".to_owned()));
        }
        loop {
            let pooled = self.pool.get().map_err(|error| {
                let away = self.pool.state().connections == 0;
                self.away.store(away, Ordering::Relaxed);
                Error::Unavailable(format!("no connection: {error}"))
            })?;
            let mut conn = Conn(pooled);
            let now = self.epoch.load(Ordering::Relaxed);
            let prepared = conn.prepared();
            if prepared.epoch == Some(now) {
                return Ok(conn);
            }
            // A dead one is dropped by the pool, so this loop ends after as many turns as there are connections.
            if conn.0.client.batch_execute("").is_ok() {
                conn.prepared().epoch = Some(now);
                return Ok(conn);
            }
        }
    }
}

/// A connection in use.
pub struct Conn(PooledConnection<Manager>);

impl Conn {
    fn prepared(&mut self) -> &mut Prepared {
        let extensions = PooledConnection::extensions_mut(&mut self.0);
        if extensions.get::<Prepared>().is_none() {
            extensions.insert(Prepared { statements: vec![None; queries::ALL.len()], epoch: None });
        }
        extensions.get_mut().expect("it was put there")
    }

    fn statement(&mut self, query: &Query) -> Result<Statement, postgres::Error> {
        if let Some(statement) = &self.prepared().statements[query.slot] {
            return Ok(statement.clone());
        }
        let statement = self.0.client.prepare(query.sql)?;
        self.prepared().statements[query.slot] = Some(statement.clone());
        Ok(statement)
    }

    /// All rows.
    pub fn query(&mut self, query: &Query, params: &Params<'_>) -> Result<Vec<Row>, postgres::Error> {
        let statement = self.statement(query)?;
        let rows = self.0.client.query(&statement, params)?;
        self.0.note(&rows);
        Ok(rows)
    }

    /// The one row, if there is one.
    pub fn query_opt(&mut self, query: &Query, params: &Params<'_>) -> Result<Option<Row>, postgres::Error> {
        let statement = self.statement(query)?;
        self.0.client.query_opt(&statement, params)
    }

    /// The one row that there is.
    pub fn query_one(&mut self, query: &Query, params: &Params<'_>) -> Result<Row, postgres::Error> {
        let statement = self.statement(query)?;
        self.0.client.query_one(&statement, params)
    }

    /// Lets the statements of this transaction take as long as they need.
    pub fn without_time_limit(&mut self) -> Result<(), postgres::Error> {
        self.0.client.batch_execute("set local statement_timeout = 0")
    }

    /// The number of rows changed.
    pub fn execute(&mut self, query: &Query, params: &Params<'_>) -> Result<u64, postgres::Error> {
        let statement = self.statement(query)?;
        self.0.client.execute(&statement, params)
    }

    /// Runs `work` within one transaction, rolled back when it fails.
    pub fn transaction<T>(
        &mut self,
        work: impl FnOnce(&mut Conn) -> Result<T, postgres::Error>,
    ) -> Result<T, postgres::Error> {
        self.0.client.batch_execute("begin")?;
        let mut open = Open { conn: self, ended: false };
        let value = work(open.conn)?;
        open.ended = true;
        open.conn.0.client.batch_execute("commit").map(|()| value)
    }
}

/// An open transaction. It is rolled back unless its end was reached: also after a panic, when the pool would lend the
/// connection, transaction and all, to the next.
struct Open<'a> {
    conn: &'a mut Conn,
    ended: bool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if !self.ended {
            // On a broken connection this fails too, and the server rolls back by itself.
            let _ = self.conn.0.client.batch_execute("rollback");
        }
    }
}

/// r2d2 reports each failing attempt to connect; one line a request tells as much, so these are for those who look closer.
#[derive(Debug)]
struct LogAtDebug;

impl r2d2::HandleError<postgres::Error> for LogAtDebug {
    fn handle_error(&self, error: postgres::Error) {
        log::debug!("connecting to the database: {}", super::describe(&error));
    }
}
