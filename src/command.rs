//! The command line: which command to run, and settings as flags.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

use chrono::{DateTime, SecondsFormat, Utc};
use contactd::config::{SETTINGS, SettingError, Values, is_secret};
use contactd::domain::fields::{Given, Rule};
use contactd::domain::rules::{self, Email};
use contactd::security::password;
use contactd::security::throttle::Subject;
use contactd::store::sessions::Sessions;
use contactd::store::{self, Store};
use lexopt::Arg;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// What to do.
pub enum Command {
    /// Print the help or the version.
    Print(String),
    /// Migrate the database unless told not to, then serve.
    Serve { migrates: bool },
    /// Migrate the database.
    Migrate,
    /// Ask the program that serves whether it is ready.
    Health,
    /// Do something with the user of this e-mail.
    User(UserAction, String),
    /// End the sessions of all users.
    LogOutAll,
    /// List the users.
    ListUsers,
}

/// What to do with a user.
#[derive(Clone, Copy)]
pub enum UserAction {
    /// Create the user.
    Add,
    /// Set the password and end the user's sessions.
    SetPassword,
    /// Lock the user out and end their sessions.
    Disable,
    /// Let the user log in again.
    Enable,
    /// End the user's sessions.
    LogOut,
    /// Delete the user with everything of theirs.
    Delete,
}

/// The word for each.
const USER_ACTIONS: [(&str, UserAction); 6] = [
    ("add", UserAction::Add),
    ("passwd", UserAction::SetPassword),
    ("disable", UserAction::Disable),
    ("enable", UserAction::Enable),
    ("logout", UserAction::LogOut),
    ("delete", UserAction::Delete),
];

const USAGE: &str = "\
contactd: a private, multi-user address book behind a REST API

  contactd [serve]                migrate the database and serve; with --no-migrate, only serve
  contactd migrate                migrate the database
  contactd health                 ask the program that serves on LISTEN whether it is ready: the exit code is 0, or 1
  contactd user add EMAIL         create a user; the password is prompted for, or read from standard input
  contactd user list              list the users: id, sign-up, when the latest of their sessions was used, and the address
  contactd user passwd EMAIL      set a user's password; ends their sessions and API tokens
  contactd user disable EMAIL     lock a user out; their tokens stop working within a second
  contactd user enable EMAIL      let a user log in again
  contactd user logout EMAIL      end a user's sessions and API tokens; with --all in place of EMAIL, those of all users
  contactd user delete EMAIL      delete a user with all contacts, for good
  contactd help | version         print this text, or the version

Settings, from the environment or as flags (LISTEN is --listen; what has a _FILE beside it is no flag), with their defaults:
";

fn help() -> String {
    let lines = SETTINGS.iter().map(|setting| {
        let default = if setting.default.is_empty() { String::new() } else { format!(" ({})", setting.default) };
        format!("  {:26}{}{default}\n", setting.name, setting.help)
    });
    USAGE.to_owned() + &lines.collect::<String>()
}

/// With the commit, where the build names one.
fn version() -> String {
    let commit = option_env!("CONTACTD_COMMIT").map(|commit| format!(" ({commit})"));
    format!("contactd {}{}\n", env!("CARGO_PKG_VERSION"), commit.unwrap_or_default())
}

fn usage(text: impl ToString) -> SettingError {
    SettingError(text.to_string())
}

/// The command and the settings, from the environment and the arguments.
pub fn parse(
    environment: impl Fn(&str) -> Option<OsString>,
    arguments: impl Iterator<Item = OsString>,
) -> Result<(Command, Values), SettingError> {
    let utf8 = |name: &str, value: OsString| value.into_string().map_err(|_| usage(format!("{name} is not UTF-8")));
    let mut given = Vec::new();
    for setting in SETTINGS {
        if let Some(value) = environment(setting.name) {
            given.push((setting.name.to_owned(), utf8(setting.name, value)?));
        }
    }
    if environment("JWT_SECRET_PREVIOUS").is_some_and(|value| !value.is_empty()) {
        return Err(usage(
            "JWT_SECRET_PREVIOUS is no setting any more: JWT_SECRET_FILE takes both secrets, one a line",
        ));
    }
    let print = |text| Ok((Command::Print(text), Values::new([])));
    let mut words = Vec::new();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Arg::Long("help") | Arg::Short('h') => return print(help()),
            Arg::Long("version") | Arg::Short('V') => return print(version()),
            Arg::Long(word @ ("all" | "no-migrate")) => words.push(format!("--{word}")),
            Arg::Long(flag) => {
                let name = flag.to_ascii_uppercase().replace('-', "_");
                if !SETTINGS.iter().any(|setting| setting.name == name) {
                    return Err(usage(format!("--{flag} is not a setting: see contactd --help")));
                }
                // The value is not repeated.
                if is_secret(&name) {
                    let what = "as a flag could be read by every user of this machine";
                    return Err(usage(format!("{name} {what}: set {name} in the environment, or give --{flag}-file")));
                }
                let value = utf8(&name, parser.value().map_err(usage)?)?;
                given.push((name, value));
            }
            Arg::Short(letter) => return Err(usage(format!("-{letter} is not a flag: see contactd --help"))),
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let command = match words.as_slice() {
        [] | ["serve"] => Command::Serve { migrates: true },
        ["--no-migrate"] | ["serve", "--no-migrate"] => Command::Serve { migrates: false },
        ["help"] => Command::Print(help()),
        ["version"] => Command::Print(version()),
        ["migrate"] => Command::Migrate,
        ["health"] => Command::Health,
        ["user", "list"] => Command::ListUsers,
        ["user", "logout", "--all"] => Command::LogOutAll,
        ["user", word, email] if let Some((_, action)) = USER_ACTIONS.iter().find(|(name, _)| name == word) => {
            Command::User(*action, address(email)?)
        }
        // The words that follow may be a password, so they are not repeated.
        ["user", "add" | "passwd", _, ..] => {
            return Err(usage("`user add` and `user passwd` take an e-mail address and ask for the password"));
        }
        other => return Err(usage(format!("`{}` is not a command: `contactd help` lists them", other.join(" ")))),
    };
    Ok((command, Values::new(given)))
}

fn address(text: &str) -> Result<String, SettingError> {
    match Email.read(Given::Text(text)) {
        Ok(Some(email)) => Ok(email.to_lowercase()),
        _ => Err(usage(format!("`{text}` is not an e-mail address"))),
    }
}

/// Does something with a user, directly in the database: running instances notice within a second.
pub fn user(store: &Store, action: UserAction, email: &str, rule: &rules::PasswordRule<'_>) -> Result<(), String> {
    let said = |error| match error {
        store::Error::NotFound => format!("there is no user {email}"),
        store::Error::EmailTaken => format!("there is already a user {email}"),
        error => error.to_string(),
    };
    store.migrate().map_err(said)?;
    // From no network.
    let known = || store.credentials(email, 0).and_then(|known| known.ok_or(store::Error::NotFound)).map_err(said);
    match action {
        UserAction::Add => {
            let hash = new_password_hash(rule)?;
            let name: String = email.split('@').next().unwrap_or(email).chars().take(50).collect();
            let user = store.insert_user(&name, email, &hash).map_err(said)?;
            println!("created user {} {email}", user.id);
        }
        UserAction::SetPassword => {
            let user = known()?.user;
            let hash = new_password_hash(rule)?;
            let changed = store.change_password(user, &hash, None, Sessions::All);
            changed.and_then(|ended| ended.ok_or(store::Error::NotFound)).map_err(said)?;
            forget_failures(store, email).map_err(said)?;
            println!("changed the password of user {user} {email} and ended their sessions and API tokens");
        }
        UserAction::Disable => {
            let user = store.disable_user(email).map_err(said)?;
            println!("disabled user {user} {email} and ended their sessions");
        }
        UserAction::Enable => {
            let user = store.enable_user(email).map_err(said)?;
            forget_failures(store, email).map_err(said)?;
            println!("enabled user {user} {email}");
        }
        UserAction::LogOut => {
            let user = known()?.user;
            let ended = store.end_sessions(user, Sessions::All).map_err(said)?.len();
            println!("ended {ended} sessions of user {user} {email}");
        }
        UserAction::Delete => {
            let user = known()?.user;
            store.delete_user(user).map_err(said)?;
            println!("deleted user {user} {email} and everything of theirs");
        }
    }
    Ok(())
}

/// Lists all users by their addresses, each on a line.
pub fn list_users(store: &Store) -> Result<(), Box<dyn Error>> {
    let time =
        |time: Option<DateTime<Utc>>| time.map_or("-".to_owned(), |t| t.to_rfc3339_opts(SecondsFormat::Secs, true));
    let mut out = io::stdout().lock();
    writeln!(out, "{:16}  {:20}  {:20}  {:8}  address", "id", "created", "last used", "state")?;
    let (mut after, mut is_last) = (String::new(), false);
    while !is_last {
        let users = store.users_after(&after)?;
        is_last = users.is_empty();
        for known in users {
            let state = if known.is_disabled { "disabled" } else { "active" };
            let (id, created, used) = (known.user.id, time(Some(known.user.created_at)), time(known.last_used_at));
            writeln!(out, "{id:<16}  {created:20}  {used:20}  {state:8}  {}", known.user.email)?;
            after = known.user.email;
        }
    }
    Ok(())
}

/// A user with a new password, or one who is enabled again, must not be throttled for earlier failures.
fn forget_failures(store: &Store, email: &str) -> Result<(), store::Error> {
    store.forget_attempts(&Subject::Account(email).digest())
}

/// Prompts for a password, or reads a line of standard input. It is never an argument: everybody on the machine could see it.
fn new_password_hash(rule: &rules::PasswordRule<'_>) -> Result<String, String> {
    let typed = read_password().map_err(|error| format!("the password cannot be read: {error}"))?;
    match rule.read(Given::Text(&typed)) {
        Ok(Some(new)) => Ok(password::hash(new.reveal())),
        Ok(None) => Err("the password is empty".to_owned()),
        Err(detail) => Err(format!("the password {detail}")),
    }
}

/// At a terminal, hides what is typed and asks twice, since a typing error cannot be seen. Otherwise reads a line.
fn read_password() -> io::Result<String> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return read_line();
    }
    let shown = tcgetattr(&stdin)?;
    // Otherwise Ctrl-C would leave the terminal without echo.
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
    let typed = prompt("Password: ").and_then(|first| Ok((first, prompt("Repeat the password: ")?)));
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    handle.close();
    let (first, second) = typed?;
    if first != second {
        return Err(io::Error::other("the two passwords are not the same"));
    }
    Ok(first)
}

fn prompt(text: &str) -> io::Result<String> {
    eprint!("{text}");
    let line = read_line();
    eprintln!();
    line
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
