//! The pool of connections, and what is done when one turns out dead or the database does not answer.
//!
//! r2d2 alone would test each connection before each use, which costs a round trip, or never. And when the database is away,
//! each caller would wait for a connection of its own until the checkout times out. So r2d2 is wrapped:
//! - Connections are not tested, but one that is found dead begins a new *epoch*. In each epoch a connection is tested once,
//!   before its first use: after a restart of the database all pooled connections are dead.
//! - Nothing bounds a statement that the server does not answer. Whoever watches over the requests calls [`Store::doubt`] when
//!   one has taken too long, which connects anew. If that gets no answer either, the database is *away*: every request is
//!   refused at once, the pool is replaced, since its connections may never come back, and only housekeeping goes on trying.
//! - A connection that has carried a large answer, or that was used for too long, is *spent* and is closed after use (see
//!   [`Connection`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use postgres::Client;
use postgres::error::SqlState;
use r2d2::{Pool, PooledConnection};
use scheduled_thread_pool::ScheduledThreadPool;

use super::connect::{CONNECT, Connector};
use super::connection::{Connection, Manager};
use super::together::{Outcomes, together};
use super::{Error, is_connection_lost, queries};
use crate::config::Database;

/// How long a request waits for a connection; then it gets 503.
const CHECKOUT: Duration = Duration::from_secs(1);
/// A connection that was used for longer is not used again: somebody may have given up on it.
const USE_AT_MOST: Duration = Duration::from_secs(2);

thread_local! {
    static WAIT: Arc<Wait> = Arc::default();
}

/// Since when a thread waits for the database, for whoever watches over it.
#[derive(Default)]
pub struct Wait(Mutex<Option<Instant>>);

impl Wait {
    /// That of this thread.
    pub fn of_this_thread() -> Arc<Wait> {
        WAIT.with(Arc::clone)
    }

    /// How long it has waited; `None` if it does not wait.
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.lock().map(|since| since.elapsed())
    }
}

/// While it lives, the thread waits for the database.
struct Waiting;

impl Waiting {
    fn since(began: Instant) -> Waiting {
        WAIT.with(|wait| *wait.0.lock() = Some(began));
        Waiting
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAIT.with(|wait| *wait.0.lock() = None);
    }
}

/// The database, through a pool.
pub struct Store {
    database: Database,
    connector: Arc<Connector>,
    pool: RwLock<Pool<Manager>>,
    size: u32,
    /// The one thread that opens the pool's connections.
    opener: Arc<ScheduledThreadPool>,
    /// Set once the schema is up to date. Nothing but the migration runs before.
    migrated: AtomicBool,
    /// The migration that was begun last: one that fails is begun again and again.
    announced: AtomicI32,
    /// Why the database cannot be used, if it cannot, as far as is known.
    trouble: RwLock<Option<String>>,
    /// The trouble is that it does not answer: only [`Store::probe`] tries.
    away: AtomicBool,
    /// Somebody is finding out whether it answers.
    probing: AtomicBool,
    /// Counts the connections that were found dead.
    epoch: AtomicU64,
    /// Threads that wait for a connection, those included that find one at once.
    waiting: AtomicUsize,
}

impl Store {
    /// A pool of at most `connections`. It connects when it is first used, so the program can start while the database is away.
    pub fn new(mut database: Database, connections: usize) -> Store {
        let config = &mut database.config;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_application_name().is_none() {
            config.application_name("contactd");
        }
        config.keepalives_idle(Duration::from_secs(30));
        // So that a server that vanished without a word is noticed while a statement waits for it.
        config.tcp_user_timeout(Duration::from_secs(15));
        let (size, connector) = (u32::try_from(connections).unwrap_or(u32::MAX), Arc::new(Connector::new(&database)));
        let opener = Arc::new(ScheduledThreadPool::builder().num_threads(1).thread_name_pattern("pool").build());
        Store {
            pool: RwLock::new(pool(&database, &connector, size, &opener)),
            database,
            connector,
            size,
            opener,
            migrated: AtomicBool::new(false),
            announced: AtomicI32::new(0),
            trouble: RwLock::new(Some("the database has not been reached yet".to_owned())),
            away: AtomicBool::new(false),
            probing: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A connection outside of the pool and without the limits on statements: for migrations, which may take long.
    pub(super) fn connect(&self) -> Result<Client, Error> {
        self.connector.connect("")
    }

    /// How many connections there are, how many of them are lent, and how many threads wait for one.
    pub fn pool_state(&self) -> [usize; 3] {
        let r2d2::State { connections, idle_connections, .. } = self.pool.read().state();
        let lent = connections.saturating_sub(idle_connections);
        [connections as usize, lent as usize, self.waiting.load(Ordering::Relaxed)]
    }

    /// Whether it is the first time that a migration to this version is begun.
    pub(super) fn announce(&self, version: i32) -> bool {
        self.announced.swap(version, Ordering::Relaxed) != version
    }

    pub(super) fn set_migrated(&self, migrated: bool) {
        self.migrated.store(migrated, Ordering::Release);
    }

    /// Whether the schema is known to be up to date.
    pub fn is_migrated(&self) -> bool {
        self.migrated.load(Ordering::Acquire)
    }

    /// Whether the database did not answer when somebody last tried.
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// Whether the database can be used, by what housekeeping knows, without asking it.
    pub fn usable(&self) -> Result<(), Error> {
        self.trouble.read().clone().map_or(Ok(()), |cause| Err(Error::Unavailable(cause)))
    }

    /// Housekeeping tells what it found.
    pub fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.write() = trouble;
    }

    /// Somebody has waited so long for an answer: finds out whether the database still gives any.
    pub fn doubt(self: &Arc<Store>, waited: Duration) {
        if self.is_away() || self.probing.swap(true, Ordering::Relaxed) {
            return;
        }
        let store = Arc::clone(self);
        let probe = thread::Builder::new().name("probe".to_owned()).spawn(move || {
            store.connector.doubt();
            match store.connector.connect("") {
                Err(error) => store.declare_away(&error),
                // It answers, but not on these connections: something in between has lost them.
                Ok(_) if waited >= USE_AT_MOST => store.replace_pool(),
                Ok(_) => {}
            }
            store.probing.store(false, Ordering::Relaxed);
        });
        if probe.is_err() {
            self.probing.store(false, Ordering::Relaxed);
        }
    }

    /// Tries to reach a database that was away.
    pub fn probe(&self) -> Result<(), Error> {
        self.connector.connect("")?;
        self.epoch.fetch_add(1, Ordering::Relaxed);
        self.away.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn declare_away(&self, cause: &Error) {
        if self.away.swap(true, Ordering::Relaxed) {
            return;
        }
        self.set_trouble(Some(format!("the database is away: {cause}")));
        self.replace_pool();
    }

    /// Leaves the connections to whoever waits for them, since they may never come back.
    pub(super) fn replace_pool(&self) {
        let abandoned =
            std::mem::replace(&mut *self.pool.write(), pool(&self.database, &self.connector, self.size, &self.opener));
        self.epoch.fetch_add(1, Ordering::Relaxed);
        // It lives for as long as one of its connections is in use, so those that are not are taken out of it: all but one, or it
        // would open another. Closing says good-bye to a server that does not listen, on a thread that may wait for that.
        let close = move || {
            for _ in 1..abandoned.state().idle_connections {
                abandoned.try_get().into_iter().for_each(|mut connection| connection.is_spent = true);
            }
        };
        let _ = thread::Builder::new().name("probe".to_owned()).spawn(close);
    }

    /// One round trip for all who ask: whether the database answers.
    pub fn ping_for(&self, asked: &[()]) -> Outcomes<()> {
        let ping = || self.read(|connection| connection.query_one(&queries::PING, &[])).map(drop);
        together(asked, |()| ping(), || ping().map(|()| asked.iter().map(|()| Some(Ok(()))).collect()))
    }

    /// Runs statements that change nothing. If the connection turns out dead, they are run once more on another.
    pub fn read<T>(&self, work: impl Fn(&mut Connection) -> Result<T, postgres::Error>) -> Result<T, Error> {
        match self.run(&work)? {
            Err(error) if is_connection_lost(&error) => Ok(self.run(&work)??),
            outcome => Ok(outcome?),
        }
    }

    /// Runs statements that change something. They are not repeated: if the connection breaks in between, nobody knows whether
    /// they were carried out, and the client has to find out.
    pub fn write<T>(&self, work: impl FnOnce(&mut Connection) -> Result<T, postgres::Error>) -> Result<T, Error> {
        Ok(self.run(work)??)
    }

    /// The outer error is that there is no connection.
    fn run<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, postgres::Error>,
    ) -> Result<Result<T, postgres::Error>, Error> {
        let began = Instant::now();
        let _waiting = Waiting::since(began);
        let mut connection = self.checkout()?;
        let outcome = work(&mut connection);
        // A connection of a pool that was replaced meanwhile would lie idle there for as long as another one of it is in use.
        if began.elapsed() > USE_AT_MOST || connection.epoch != Some(self.epoch.load(Ordering::Relaxed)) {
            connection.is_spent = true;
        }
        if let Err(error) = &outcome {
            if is_connection_lost(error) {
                connection.is_spent = true;
                self.epoch.fetch_add(1, Ordering::Relaxed);
            }
            // The database was dropped and made anew, and its tables are missing: housekeeping migrates it again.
            if error.code() == Some(&SqlState::UNDEFINED_TABLE) {
                self.set_migrated(false);
            }
        }
        Ok(outcome)
    }

    fn checkout(&self) -> Result<PooledConnection<Manager>, Error> {
        if !self.is_migrated() {
            return Err(Error::Unavailable("the database has not been reached yet".to_owned()));
        }
        if self.is_away() {
            return Err(Error::Unavailable("the database is away".to_owned()));
        }
        let pool = self.pool.read().clone();
        // The pool drops a dead connection, so this loop ends after as many turns as there are connections.
        loop {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let connection = pool.get();
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            let mut connection = connection.map_err(|error| {
                let error = Error::Unavailable(format!("no connection: {error}"));
                if pool.state().connections == 0 {
                    self.declare_away(&error);
                }
                error
            })?;
            let epoch = Some(self.epoch.load(Ordering::Relaxed));
            if connection.epoch == epoch || connection.is_alive() {
                connection.epoch = epoch;
                return Ok(connection);
            }
        }
    }
}

fn pool(
    database: &Database,
    connector: &Arc<Connector>,
    size: u32,
    opener: &Arc<ScheduledThreadPool>,
) -> Pool<Manager> {
    Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .test_on_check_out(false)
        .connection_timeout(CHECKOUT)
        .idle_timeout(Some(Duration::from_secs(300)))
        .max_lifetime(Some(Duration::from_secs(3600)))
        .thread_pool(Arc::clone(opener))
        .error_handler(Box::new(LogAtDebug))
        .build_unchecked(Manager::new(database.config.clone(), Arc::clone(connector)))
}

/// r2d2 reports each attempt to connect that fails. Each request that fails logs a line already, so these are debug lines.
#[derive(Debug)]
struct LogAtDebug;

impl r2d2::HandleError<Error> for LogAtDebug {
    fn handle_error(&self, error: Error) {
        log::debug!("connecting to the database: {error}");
    }
}
