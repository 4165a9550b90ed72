//! The command line: which command, and the settings as flags.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal};
use std::thread;

use contactd::config::{Setting, Values, Wrong};
use contactd::domain::fields::{Given, Rule};
use contactd::domain::rules::{self, Email};
use contactd::security::password;
use contactd::security::throttle::Subject;
use contactd::store::sessions::Which;
use contactd::store::{self, Store};
use lexopt::Arg;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Migrate and serve.
    Serve,
    /// Migrate alone.
    Migrate,
    /// Something with the user of this e-mail.
    User(UserAction, String),
}

/// What to do with a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserAction {
    /// Make it.
    Add,
    /// Set its password, and end its sessions.
    Passwd,
    /// Lock it out, and end its sessions.
    Disable,
    /// Let it in again.
    Enable,
}

/// What a command line says.
pub enum Parsed {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// A command and the settings.
    Run(Command, Values),
}

const USAGE: &str = "\
contactd: a private, multi-user address book behind a REST API

  contactd [serve]                migrate the database and serve
  contactd migrate                migrate the database
  contactd user add EMAIL         make a user; the password is asked for, or read from standard input
  contactd user passwd EMAIL      set a user's password and end their sessions
  contactd user disable EMAIL     lock a user out; their tokens are dead at once
  contactd user enable EMAIL      let a user in again
  contactd --help | --version

Settings, from the environment or as flags (LISTEN is --listen):
";

/// The text of `--help`.
pub fn help(settings: &[Setting]) -> String {
    let mut text = USAGE.to_owned();
    for setting in settings {
        let default = if setting.default.is_empty() { String::new() } else { format!(" ({})", setting.default) };
        let _ = writeln!(text, "  {:26}{}{default}", setting.name, setting.help);
    }
    text
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong(text.into()))
}

/// Reads environment and arguments.
pub fn parse(
    environment: impl Iterator<Item = (OsString, OsString)>,
    arguments: impl Iterator<Item = OsString>,
) -> Result<Parsed, Wrong> {
    let mut given: Vec<(String, String)> = Vec::new();
    for (name, value) in environment {
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            Ok(value) => given.push((name, value)),
            Err(_) if contactd::config::SETTINGS.iter().any(|s| s.name == name) => {
                return wrong(format!("{name} is not UTF-8"));
            }
            Err(_) => {}
        }
    }
    let mut words = Vec::new();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next().map_err(|error| Wrong(error.to_string()))? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return Ok(Parsed::Help),
            Arg::Long("version") | Arg::Short('V') => return Ok(Parsed::Version),
            Arg::Long(flag) => {
                let name = flag.to_ascii_uppercase().replace('-', "_");
                if !contactd::config::SETTINGS.iter().any(|s| s.name == name) {
                    return wrong(format!("--{flag} is no setting: see contactd --help"));
                }
                let value = parser.value().map_err(|error| Wrong(error.to_string()))?;
                given.push((name.clone(), value.into_string().map_err(|_| Wrong(format!("{name} is not UTF-8")))?));
            }
            Arg::Short(letter) => {
                return wrong(format!("-{letter} is no flag: see contactd --help"));
            }
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        [] | ["serve"] => Command::Serve,
        ["migrate"] => Command::Migrate,
        ["user", "add", email] => Command::User(UserAction::Add, address(email)?),
        ["user", "passwd", email] => Command::User(UserAction::Passwd, address(email)?),
        ["user", "disable", email] => Command::User(UserAction::Disable, address(email)?),
        ["user", "enable", email] => Command::User(UserAction::Enable, address(email)?),
        // What follows may be a password: it is not repeated.
        ["user", "add" | "passwd", _, ..] => {
            return wrong("`user add` and `user passwd` take an e-mail address and ask for the password");
        }
        other => {
            return wrong(format!("`{}` is no command: see contactd --help", other.join(" ")));
        }
    };
    Ok(Parsed::Run(command, Values::new(given)))
}

fn address(text: &str) -> Result<String, Wrong> {
    match Email.read(Given::Text(text)) {
        Ok(Some(email)) => Ok(email.to_lowercase()),
        _ => wrong(format!("`{text}` is no e-mail address")),
    }
}

/// Does something with a user, straight in the database: running instances notice within a second.
pub fn user(store: &Store, action: UserAction, email: &str, rule: &rules::Password<'_>) -> Result<(), String> {
    store.migrate().map_err(|error| error.to_string())?;
    let unknown = |error| match error {
        store::Error::NotFound => format!("there is no user {email}"),
        error => error.to_string(),
    };
    match action {
        UserAction::Add => {
            let hash = new_password_hash(rule)?;
            let name: String = email.split('@').next().unwrap_or(email).chars().take(50).collect();
            let user = store.insert_user(&name, email, &hash).map_err(|error| match error {
                store::Error::Conflict(_) => format!("there is a user {email} already"),
                error => error.to_string(),
            })?;
            println!("user {} {email} made", user.id);
        }
        UserAction::Passwd => {
            let user = store
                .credentials_by_email(email)
                .map_err(unknown)?
                .ok_or_else(|| format!("there is no user {email}"))?
                .user;
            let hash = new_password_hash(rule)?;
            let changed = store.change_password(user, &hash, None, Which::All);
            changed.map_err(unknown)?.ok_or_else(|| format!("there is no user {email}"))?;
            forget_failures(store, email)?;
            println!("password of user {user} {email} set, their sessions ended");
        }
        UserAction::Disable => {
            let user = store.disable_user(email).map_err(unknown)?;
            println!("user {user} {email} locked out, their sessions ended");
        }
        UserAction::Enable => {
            let user = store.enable_user(email).map_err(unknown)?;
            forget_failures(store, email)?;
            println!("user {user} {email} let in again");
        }
    }
    Ok(())
}

/// Whoever has a new password, or is let in again, is not held up by the failures before.
fn forget_failures(store: &Store, email: &str) -> Result<(), String> {
    let subject = Subject::Account(email).digest();
    store.forget_attempts(&subject).map_err(|error| error.to_string())
}

/// Asks for a password, or reads a line of standard input; never an argument, which everybody on the machine could see.
fn new_password_hash(rule: &rules::Password<'_>) -> Result<String, String> {
    let typed = read_password().map_err(|error| format!("the password cannot be read: {error}"))?;
    match rule.read(Given::Text(&typed)) {
        Ok(Some(new)) => Ok(password::hash(new.reveal())),
        Ok(None) => Err("the password is empty".to_owned()),
        Err(detail) => Err(format!("the password {detail}")),
    }
}

/// From a terminal without showing what is typed, and twice, for nobody sees a slip; else a line of standard input.
fn read_password() -> io::Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return read_line();
    }
    let shown = tcgetattr(&stdin)?;
    // Ctrl-C would leave the terminal without echo.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let (handle, restored) = (signals.handle(), shown.clone());
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &restored);
            eprintln!();
            let _ = emulate_default_handler(signal);
        }
    });
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let typed = ask("Password: ").and_then(|first| Ok((first, ask("Once more: ")?)));
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    handle.close();
    let (first, again) = typed?;
    if first != again {
        return Err(io::Error::other("what was typed was not the same twice"));
    }
    Ok(first)
}

fn ask(prompt: &str) -> io::Result<String> {
    eprint!("{prompt}");
    let line = read_line();
    eprintln!();
    line
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
