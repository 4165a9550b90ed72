//! The pool of connections, and what is done when one turns out dead.
//!
//! r2d2 alone would test each connection before each use, which costs a round trip, or never. And when the database is away,
//! each caller would wait for a connection of its own until the checkout times out. So r2d2 is wrapped:
//! - Connections are not tested, but one that is found dead begins a new *epoch*. In each epoch a connection is tested once,
//!   before its first use: after a restart of the database all pooled connections are dead.
//! - Once nobody can connect, the store is *away*: every request is refused at once, and only [`Store::probe`], which
//!   housekeeping calls, tries to connect.
//! - A connection that has carried a large answer is *spent* and is closed after use (see [`Connection`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use postgres::{Client, NoTls};
use r2d2::{Pool, PooledConnection};
use r2d2_postgres::PostgresConnectionManager;
use scheduled_thread_pool::ScheduledThreadPool;

use super::connection::{Connection, Manager};
use super::{Error, is_connection_lost, queries};

/// How long a request waits for a connection; then it gets 503.
const CHECKOUT: Duration = Duration::from_secs(1);

/// The database, through a pool.
pub struct Store {
    pool: Pool<Manager>,
    database: postgres::Config,
    /// Set once the schema is up to date. Nothing but the migration runs before.
    migrated: AtomicBool,
    /// Set when a checkout found no connection at all, cleared by [`Store::probe`]. If each request waited for its own checkout
    /// meanwhile, all workers would wait, and what needs no database would wait behind them.
    away: AtomicBool,
    /// Counts the connections that were found dead.
    epoch: AtomicU64,
}

impl Store {
    /// A pool of at most `connections`. It connects when it is first used, so the program can start while the database is away.
    pub fn new(mut database: postgres::Config, connections: usize) -> Store {
        if database.get_connect_timeout().is_none() {
            database.connect_timeout(Duration::from_secs(2));
        }
        database.application_name("contactd").keepalives_idle(Duration::from_secs(30));
        // So that a server that vanished without a word is noticed while a statement waits for it.
        database.tcp_user_timeout(Duration::from_secs(15));
        let pool = Pool::builder()
            .max_size(u32::try_from(connections).unwrap_or(u32::MAX))
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(CHECKOUT)
            .idle_timeout(Some(Duration::from_secs(300)))
            .max_lifetime(Some(Duration::from_secs(3600)))
            .thread_pool(Arc::new(ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("pool").build()))
            .error_handler(Box::new(LogAtDebug))
            .build_unchecked(Manager(PostgresConnectionManager::new(database.clone(), NoTls)));
        let (migrated, away) = (AtomicBool::new(false), AtomicBool::new(false));
        Store { pool, database, migrated, away, epoch: AtomicU64::new(0) }
    }

    /// A connection outside of the pool and without the limits on statements: for migrations, which may take long.
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

    /// Whether the last checkout found no connection at all.
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Tries to reach a database that was away.
    pub fn probe(&self) -> Result<(), Error> {
        self.pool.get().map_err(no_connection)?;
        self.away.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// One round trip: whether the database answers.
    pub fn ping(&self) -> Result<(), Error> {
        self.read(|connection| connection.query_one(&queries::PING, &[])).map(drop)
    }

    /// Runs statements that change nothing. If the connection turns out dead, they are run once more on another.
    pub fn read<T>(&self, work: impl Fn(&mut Connection) -> Result<T, postgres::Error>) -> Result<T, Error> {
        let mut connection = self.checkout()?;
        match work(&mut connection) {
            Err(error) if self.is_lost(&error) => {
                drop(connection);
                Ok(work(&mut *self.checkout()?)?)
            }
            outcome => Ok(outcome?),
        }
    }

    /// Runs statements that change something. They are not repeated: if the connection breaks in between, nobody knows whether
    /// they were carried out, and the client has to find out.
    pub fn write<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, postgres::Error>) -> Result<T, Error> {
        let mut connection = self.checkout()?;
        let outcome = work(&mut connection);
        if let Err(error) = &outcome {
            self.is_lost(error);
        }
        Ok(outcome?)
    }

    fn is_lost(&self, error: &postgres::Error) -> bool {
        let is_lost = is_connection_lost(error);
        if is_lost {
            self.epoch.fetch_add(1, Ordering::Relaxed);
        }
        is_lost
    }

    fn checkout(&self) -> Result<PooledConnection<Manager>, Error> {
        if !self.is_migrated() {
            return Err(Error::Unavailable("the database has not been reached yet".to_owned()));
        }
        if self.is_away() {
            return Err(Error::Unavailable("the database is away".to_owned()));
        }
        // The pool drops a dead connection, so this loop ends after as many turns as there are connections.
        loop {
            let mut connection = self.pool.get().map_err(|error| {
                self.away.store(self.pool.state().connections == 0, Ordering::Relaxed);
                no_connection(error)
            })?;
            let epoch = Some(self.epoch.load(Ordering::Relaxed));
            if connection.epoch == epoch || connection.is_alive() {
                connection.epoch = epoch;
                return Ok(connection);
            }
        }
    }
}

fn no_connection(error: r2d2::Error) -> Error {
    Error::Unavailable(format!("no connection: {error}"))
}

/// r2d2 reports each attempt to connect that fails. Each request that fails logs a line already, so these are debug lines.
#[derive(Debug)]
struct LogAtDebug;

impl r2d2::HandleError<postgres::Error> for LogAtDebug {
    fn handle_error(&self, error: postgres::Error) {
        log::debug!("connecting to the database: {}", super::describe(&error));
    }
}
