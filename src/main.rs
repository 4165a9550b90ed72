//! The program: environment and flags → [`Config`] → [`App`](contactd::api::app::App) → server. The only place that reads the
//! environment, handles signals and exits.
#![expect(clippy::print_stdout, clippy::print_stderr)] // a command talks to whoever runs it

mod command;

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use contactd::api::app::App;
use contactd::api::context::Context;
use contactd::config::{Config, SettingError, Values};
use contactd::domain::rules;
use contactd::http::{Limits, Pool};
use contactd::lanes::{Running, Workers};
use contactd::store::{self, Store};
use contactd::system::listener::{self, Site};
use contactd::system::systemd::Notifier;
use contactd::system::{descriptors, log as logger, memory};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use command::Command;

/// How long the first look at the database may take before the program accepts connections all the same.
const FIRST_LOOK: Duration = Duration::from_secs(3);
/// How often a program that is about to stop looks for another signal.
const SIGNAL_CHECK: Duration = Duration::from_millis(50);
/// How often the list of ended sessions is refreshed, and a database that is away is tried again.
const TICK: Duration = Duration::from_millis(500);
/// How long the database may take for what housekeeping asks it each tick.
const ANSWER: Duration = Duration::from_secs(2);
/// The same for a database that answers and cannot be used.
const PAUSE: Duration = Duration::from_secs(2);
/// How often it is logged that it still cannot be used.
const REMINDER: Duration = Duration::from_secs(60);
/// How long the program may take to tell `contactd health` that it is ready.
const HEALTH: Duration = Duration::from_secs(5);
/// How long a migration may take.
const MIGRATION: Duration = Duration::from_secs(3600);
/// How often free memory is given back.
const TRIM: Duration = Duration::from_secs(5);
/// How often old sessions, revocations and attempts are deleted.
const PURGE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods)] // the one place that reads the environment and the arguments
fn main() -> ExitCode {
    memory::return_large_blocks();
    let parsed = command::parse(|name| std::env::var_os(name), std::env::args_os());
    let outcome = parsed.map_err(Into::into).and_then(|(command, values)| run(command, &values));
    log::logger().flush();
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    error.to_string().lines().for_each(|line| eprintln!("contactd: {line}"));
    ExitCode::from(if error.is::<SettingError>() { 2 } else { 1 })
}

/// A [`SettingError`] ends the program with exit code 2, any other error with 1.
type Outcome = Result<(), Box<dyn Error>>;

fn run(command: Command, values: &Values) -> Outcome {
    match command {
        Command::Print(text) => print!("{text}"),
        Command::Serve { migrates } => serve(&values.config()?, values, migrates)?,
        Command::Migrate => store_of(values)?.migrate()?,
        Command::Health => {
            let place = values.place("LISTEN")?;
            let answer = ask(&Site::named(&place)?, "/readyz", HEALTH).map_err(|error| format!("{place}: {error}"))?;
            let is_ready = answer.starts_with("HTTP/1.1 200 ");
            is_ready.then_some(()).ok_or_else(|| answer.lines().last().unwrap_or_default().to_owned())?;
        }
        Command::LogOutAll => {
            let store = store_of(values)?;
            store.migrate()?;
            println!("ended {} sessions", store.end_all_sessions()?);
        }
        Command::ListUsers => {
            let store = store_of(values)?;
            store.migrate()?;
            command::list_users(&store)?;
        }
        Command::User(action, email) => {
            let (min, refused) = values.new_password()?;
            let rule = rules::PasswordRule { min, refused: &rules::PasswordRule::refusals(&refused) };
            command::user(&store_of(values)?, action, &email, &rule)?;
        }
    }
    Ok(())
}

/// The store of a command that ends when its work is done.
fn store_of(values: &Values) -> Result<Store, SettingError> {
    logger::start(values.log()?, false);
    Ok(Store::new(values.database()?, 1))
}

#[expect(clippy::disallowed_methods)] // what systemd says is in the environment, too
fn serve(config: &Config, values: &Values, migrates: bool) -> Outcome {
    // Before any thread starts, so that an early signal does not meet the default action.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    logger::start(config.log, config.log_as_json);
    let app = Arc::new(App::new(config));
    let listener = listener(config)?;
    let metrics = config.metrics_listen.as_ref().map(|place| bind("METRICS_LISTEN", place)).transpose()?;
    let site = Site::of(&listener)?;
    let workers = Workers {
        read: config.workers,
        write: config.write_workers,
        slow: config.slow_workers,
        batch: config.max_batch,
    };
    let limits = Limits {
        idle_timeout: config.idle_timeout,
        connections: descriptors::connections(config.max_connections, config.database_connections()),
        ..Limits::default()
    };

    let wrong_setting = Arc::new(OnceLock::new());
    let (found, housekeeper) = (Arc::clone(&wrong_setting), Arc::clone(&app));
    let pool = Pool::new(limits.thread_stack);
    let (sender, looked) = mpsc::sync_channel(1);
    // This thread ends with the process: it may be waiting for a database that is away, and the end does not wait for that.
    thread::Builder::new().name("housekeeping".to_owned()).spawn(move || {
        let _ = found.set(keep_house(&housekeeper, &pool, migrates, &sender));
        let _ = low_level::raise(SIGTERM);
    })?;
    // Whoever connects meanwhile waits a moment; accepted at once, they would get 503.
    let _ = looked.recv_timeout(FIRST_LOOK);
    if let Some(wrong) = wrong_setting.get() {
        return Err(wrong.clone().into());
    }
    let server = Running::start(Arc::clone(&app), listener, workers, limits)?;
    if let Some(listener) = metrics {
        log::info!("metrics: http://{}/metrics", listener.local_addr()?);
        server.serve_metrics(listener)?;
    }
    log::info!("serving on {site}");
    if let Site::Address(address) = site {
        log::info!("documentation: http://{address}/docs");
    }
    let systemd = Notifier::new(|name| std::env::var_os(name));
    systemd.tell("READY=1");
    watchdog(&app, site, &systemd)?;

    for _ in signals.forever().take_while(|signal| *signal == SIGHUP) {
        match values.jwt_secrets() {
            Ok(secrets) => {
                app.context.keys.replace(&secrets);
                log::info!("read the secrets again: the first of {} signs, all verify", secrets.len());
            }
            Err(error) => log::error!("the secrets stay as they were: {error}"),
        }
    }
    app.context.leaving.store(true, Relaxed);
    systemd.tell("STOPPING=1");
    // Another SIGTERM ends the wait.
    let left = Instant::now() + config.shutdown_delay;
    while Instant::now() < left && signals.pending().all(|signal| signal == SIGHUP) {
        thread::sleep(SIGNAL_CHECK);
    }
    log::info!("stopping: finishing the requests in progress");
    if !server.stop(config.drain_timeout) {
        log::warn!("some requests were not answered in time");
    }
    log::info!("stopped");
    wrong_setting.get().map_or(Ok(()), |wrong: &SettingError| Err(wrong.clone().into()))
}

/// The socket that systemd holds, or one of our own.
fn listener(config: &Config) -> Result<TcpListener, SettingError> {
    let held = listener::held().map_err(|error| SettingError(format!("LISTEN_FDS cannot be used: {error}")))?;
    held.map_or_else(|| bind("LISTEN", &config.listen), Ok)
}

fn bind(name: &str, place: &str) -> Result<TcpListener, SettingError> {
    listener::bind(place).map_err(|error| {
        let next = place.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let next = next.map(|(host, port)| format!("; try another, such as {name}={host}:{}", port.wrapping_add(1)));
        SettingError(format!("{name} {place} cannot be bound: {error}{}", next.unwrap_or_default()))
    })
}

/// Tells systemd, as often as it wants, that the program answers; one that does not is started anew. It is asked as clients ask,
/// so its threads and its socket are part of that, and the database is not.
fn watchdog(app: &Arc<App>, site: Site, systemd: &Notifier) -> io::Result<()> {
    let Some(time) = systemd.watchdog else { return Ok(()) };
    let (app, systemd) = (Arc::clone(app), systemd.clone());
    let answers = move || ask(&site, "/livez", time / 4).map(drop);
    let watch = move || loop {
        // A stop takes no longer than DRAIN_TIMEOUT anyway.
        match app.context.is_leaving().then_some(Ok(())).unwrap_or_else(&answers) {
            Ok(()) => systemd.tell("WATCHDOG=1"),
            Err(error) => log::error!("the program does not answer: {error}"),
        }
        thread::sleep(time / 4);
    };
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

/// What a program that listens there answers to a client, head and body.
fn ask(site: &Site, path: &str, within: Duration) -> io::Result<String> {
    let mut stream = site.connect(within)?;
    stream.set_read_timeout(Some(within))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// Runs a job of housekeeping on a thread of the pool, and waits for it so long. A database that does not answer would keep
/// it for ever; then the job is left behind, and the store finds out.
fn within<T: Send + 'static>(
    time: Duration,
    pool: &Pool,
    app: &Arc<App>,
    job: impl FnOnce(&Context) -> Result<T, store::Error> + Send + 'static,
) -> Result<T, store::Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let of_job = Arc::clone(app);
    pool.spawn(move |has_thread| {
        if has_thread {
            let _ = sender.send(job(&of_job.context));
        }
    });
    receiver.recv_timeout(time).unwrap_or_else(|_| {
        app.context.store.doubt(time);
        Err(store::Error::Unavailable(format!("the database did not answer within {time:?}")))
    })
}

/// Migrates as soon as the database answers; then keeps the list of ended sessions, knows whether the database can be used,
/// and deletes what is old. Logs when the database goes away and when it is back, once each. Returns only if the database
/// reveals that a setting is wrong.
fn keep_house(app: &Arc<App>, pool: &Pool, migrates: bool, looked: &SyncSender<()>) -> SettingError {
    let cx = &app.context;
    let (mut is_away, mut zone_checked, mut has_old_keys, mut told) = (false, false, true, None);
    let (mut trimmer, mut trimmed, mut purged) = (memory::Trimmer::at_start(), Instant::now(), Instant::now());
    loop {
        let outcome = visit(app, pool, migrates);
        let is_broken = outcome.as_ref().is_err_and(|error| !matches!(error, store::Error::Unavailable(_)));
        match &outcome {
            Ok(()) if is_away => log::info!("the database is back"),
            Err(store::Error::Unavailable(cause)) if !is_away => {
                log::warn!("the database is away, requests get 503 until it is back: {cause}");
            }
            // A migration that fails, or the schema of a newer program. It is tried again all the same: somebody may put it right.
            Err(error) if is_broken && told.is_none_or(|at: Instant| at.elapsed() >= REMINDER) => {
                told = Some(Instant::now());
                log::error!("the database cannot be used, requests get 503: {error}");
            }
            _ => {}
        }
        is_away = outcome.is_err();
        // A migration that fails held up others until it did.
        let pause = if is_broken { PAUSE } else { TICK };
        told = told.filter(|_| is_away);
        cx.store.set_trouble(outcome.err().map(|error| error.to_string()));
        if !is_away && !zone_checked {
            zone_checked = true;
            if let Some(wrong) = wrong_time_zone(app, pool) {
                return wrong;
            }
            let _ = looked.try_send(());
        }
        if !is_away && purged.elapsed() >= PURGE {
            purged = Instant::now();
            if let Err(error) = within(PURGE, pool, app, |cx| cx.store.purge()) {
                log::warn!("what is old could not be deleted: {error}");
            }
            // An older release beside this one may make some.
            has_old_keys = true;
        }
        if !is_away && has_old_keys {
            has_old_keys = within(PURGE, pool, app, |cx| cx.store.renew_keys()).unwrap_or_else(|error| {
                log::warn!("older search keys could not be made anew: {error}");
                false
            });
        }
        if trimmed.elapsed() >= TRIM {
            trimmed = Instant::now();
            trimmer.trim();
        }
        thread::sleep(pause);
    }
}

/// One round of housekeeping: whether the database can be used.
fn visit(app: &Arc<App>, pool: &Pool, migrates: bool) -> Result<(), store::Error> {
    let store = &app.context.store;
    if store.is_away() {
        within(ANSWER, pool, app, |cx| cx.store.probe())?;
    }
    if !store.is_migrated() && !within(ANSWER, pool, app, |cx| cx.store.check_schema())? {
        if !migrates {
            return Err(store::Error::Internal("its schema is older than the program: `contactd migrate`".to_owned()));
        }
        within(MIGRATION, pool, app, |cx| cx.store.migrate())?;
    }
    within(ANSWER, pool, app, |cx| {
        cx.store.check()?;
        cx.revocations.refresh(&cx.store)
    })
}

/// Only Postgres knows the time zones, so this setting alone is checked once the database answers.
fn wrong_time_zone(app: &Arc<App>, pool: &Pool) -> Option<SettingError> {
    match within(ANSWER, pool, app, |cx| cx.today.get(&cx.store)) {
        // 22023: invalid parameter value.
        Err(store::Error::Internal(cause)) if cause.contains("22023") => {
            Some(SettingError(format!("TIMEZONE is not a time zone that Postgres knows: {cause}")))
        }
        _ => None,
    }
}
