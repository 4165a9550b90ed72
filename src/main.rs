//! The program: environment and flags → [`Config`] → [`App`] → server. The only place that reads the environment, handles
//! signals and exits.

mod command;

use std::net::TcpListener;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use contactd::api::app::App;
use contactd::config::{Config, SETTINGS, Values, Wrong};
use contactd::domain::rules;
use contactd::http::Limits;
use contactd::lanes::{Running, Workers};
use contactd::store::{self, Store};
use contactd::system::{descriptors, log as logger, memory};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use command::{Command, Parsed};

/// How often the list of ended sessions is brought up to date, and a database that is away is tried again.
const TICK: Duration = Duration::from_millis(500);
/// How often memory that is free is given back.
const GIVE_BACK: Duration = Duration::from_secs(5);
/// How often what has no more use is forgotten.
const PURGE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    memory::return_large_blocks();
    let outcome = match command::parse(std::env::vars_os(), std::env::args_os()) {
        Ok(Parsed::Help) => {
            print!("{}", command::help(SETTINGS));
            return ExitCode::SUCCESS;
        }
        Ok(Parsed::Version) => {
            println!("contactd {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Ok(Parsed::Run(command, values)) => run(command, &values),
        Err(wrong) => Err(Failure::Setting(wrong)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Setting(wrong)) => {
            eprintln!("contactd: {wrong}");
            ExitCode::from(2)
        }
        Err(Failure::Other(text)) => {
            eprintln!("contactd: {text}");
            ExitCode::FAILURE
        }
    }
}

enum Failure {
    /// Exit 2: a setting or an argument is wrong.
    Setting(Wrong),
    /// Exit 1: it could not be done.
    Other(String),
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Failure {
        Failure::Setting(wrong)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Failure {
        Failure::Other(error.to_string())
    }
}

fn run(command: Command, values: &Values) -> Result<(), Failure> {
    logger::start(values.log()?);
    match command {
        Command::Serve => serve(&values.config()?),
        Command::Migrate => {
            let options = store::Options { database: values.database()?, size: 1 };
            Ok(Store::new(&options).migrate()?)
        }
        Command::User(action, email) => {
            let options = store::Options { database: values.database()?, size: 1 };
            let (min, refused) = values.new_password()?;
            let rule = rules::Password { min, refused: &rules::Password::refusals(&refused) };
            command::user(&Store::new(&options), action, &email, &rule).map_err(Failure::Other)
        }
    }
}

fn serve(config: &Config) -> Result<(), Failure> {
    let app = Arc::new(App::new(config)?);
    let listener = TcpListener::bind(config.listen)
        .map_err(|error| Wrong(format!("LISTEN {} cannot be bound: {error}", config.listen)))?;
    // Before any thread starts, so that no early signal finds the default action in place.
    let mut signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|error| Failure::Other(format!("signals cannot be handled: {error}")))?;
    let workers = Workers { read: config.workers, write: config.write_workers, slow: config.slow_workers };
    let limits = Limits {
        idle_timeout: Duration::from_secs(config.idle_timeout),
        connections: descriptors::connections(config.max_connections, config.database_connections()),
        ..Limits::default()
    };
    let server = Running::start(Arc::clone(&app), listener, workers, limits)
        .map_err(|error| Failure::Other(error.to_string()))?;
    log::info!("serving on http://{}", server.address());

    let wrong = Arc::new(OnceLock::new());
    let found = Arc::clone(&wrong);
    // It ends with the process: it may just be waiting for a database that is away, which is not worth a wait at the end.
    thread::Builder::new()
        .name("housekeeping".to_owned())
        .spawn(move || {
            if let Err(setting) = keep_house(&app) {
                let _ = found.set(setting);
                let _ = low_level::raise(SIGTERM);
            }
        })
        .map_err(|error| Failure::Other(error.to_string()))?;

    signals.forever().next();
    log::info!("stopping: answering what is in flight");
    if !server.stop(Duration::from_secs(config.drain_timeout)) {
        log::warn!("some requests were not answered in time");
    }
    log::info!("stopped");
    match wrong.get() {
        Some(setting) => Err(Failure::Setting(Wrong::clone(setting))),
        None => Ok(()),
    }
}

/// Only Postgres knows whether the time zone is one, so this setting alone is checked once the database is there.
fn check_time_zone(app: &App) -> Result<(), Wrong> {
    match app.context.today.get(&app.context.store) {
        // 22023: invalid parameter value.
        Err(store::Error::Internal(cause)) if cause.contains("22023") => {
            Err(Wrong(format!("TIMEZONE is no time zone that Postgres knows: {cause}")))
        }
        _ => Ok(()),
    }
}

/// Migrates as soon as the database answers, then keeps the list of ended sessions and forgets what is old. Says when the
/// database goes away and when it is back, once each.
///
/// # Errors
/// A setting that only the database could tell is wrong.
fn keep_house(app: &App) -> Result<(), Wrong> {
    let cx = &app.context;
    let mut away = false;
    let mut zone_checked = false;
    let mut purged = Instant::now();
    let (mut keeper, mut looked) = (memory::Keeper::at_start(), Instant::now());
    loop {
        let outcome = match () {
            () if !cx.store.is_migrated() => cx.store.migrate(),
            () if cx.store.is_away() => cx.store.probe(),
            () => cx.revocations.refresh(&cx.store),
        };
        if outcome.is_ok() && !zone_checked {
            check_time_zone(app)?;
            zone_checked = true;
        }
        match outcome {
            Ok(()) if away => {
                away = false;
                log::info!("the database is back");
            }
            Err(store::Error::Unavailable(cause)) if !away => {
                away = true;
                log::warn!("the database is away, requests get 503 until it is back: {cause}");
            }
            // Rights that are missing, a schema of a newer program: it is tried again all the same, for it may be mended.
            Err(error) if !away => {
                away = true;
                log::error!("the database cannot be used, requests get 503: {error}");
            }
            _ => {}
        }
        if !away && purged.elapsed() >= PURGE {
            purged = Instant::now();
            if let Err(error) = cx.store.purge() {
                log::warn!("old sessions and attempts could not be forgotten: {error}");
            }
        }
        if looked.elapsed() >= GIVE_BACK {
            looked = Instant::now();
            keeper.look();
        }
        thread::sleep(TICK);
    }
}
