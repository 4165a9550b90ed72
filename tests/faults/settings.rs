//! A setting that is wrong ends the program with one line that names it, and exit code 2.

use std::net::TcpListener;
use std::process::Output;

use crate::support::random_secret;
use crate::support::server::{Setup, command, database};

/// Settings that are right but for the database, which is not reached before they are checked.
fn run(changed: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut settings = vec![
        ("DATABASE_URL".to_owned(), "postgres://nobody@127.0.0.1:9/none".to_owned()),
        ("LISTEN".to_owned(), "127.0.0.1:0".to_owned()),
        ("JWT_SECRET".to_owned(), random_secret()),
    ];
    for (name, value) in changed {
        settings.retain(|(known, _)| known != name);
        settings.push(((*name).to_owned(), (*value).to_owned()));
    }
    command(&settings).args(arguments).output().expect("the program starts")
}

fn refuses(name: &str, changed: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = run(changed, arguments);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{changed:?} {arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "one line: {said}");
    assert!(said.contains(name), "{name} is named: {said}");
    said
}

#[test]
fn each_setting_is_checked_before_anything_else_happens() {
    let wrong = [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "postgres://127.0.0.1/none"),
        ("DATABASE_URL", "postgres://user@/none"),
        ("DATABASE_URL", "postgres://user@db.example.com/none"),
        ("DATABASE_URL", "postgres://user@10.0.0.1/none?sslmode=allow"),
        ("LISTEN", "nowhere"),
        ("LISTEN", "127.0.0.1:99999"),
        ("METRICS_LISTEN", "nowhere"),
        ("METRICS_LISTEN", "unix:/tmp/metrics"),
        ("LISTEN", "unix:"),
        ("LISTEN", "unix:relative/path"),
        ("JWT_SECRET", ""),
        ("JWT_SECRET", "0123456789abcdef0123456789abcde"),
        ("JWT_SECRET_PREVIOUS", "0123456789abcdef0123456789abcdef"),
        ("DATABASE_URL_FILE", "/does/not/exist"),
        ("SIGNUP", "maybe"),
        ("PASSWORD_MIN_LENGTH", "0"),
        ("PASSWORD_MIN_LENGTH", "six"),
        ("REFUSED_PASSWORDS_FILE", "/does/not/exist"),
        ("LOGIN_ATTEMPTS", "-1"),
        ("ADDRESS_ATTEMPTS", "many"),
        ("TRUSTED_PROXIES", "127.0.0.1, proxy.example.com"),
        ("CORS_ORIGINS", "app.example.com"),
        ("LOG", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LOG_SLOW_MS", "slow"),
        ("ACCESS_LOG", "yes"),
        ("WORKERS", "0"),
        ("SLOW_WORKERS", "1000"),
        ("WRITE_WORKERS", "0"),
        ("MAX_CONNECTIONS", "0"),
        ("IDLE_TIMEOUT", "0"),
        ("IDLE_TIMEOUT", "99999"),
        ("DRAIN_TIMEOUT", "soon"),
        ("SHUTDOWN_DELAY", "-1"),
        ("DATABASE_CONNECTIONS", "-1"),
        ("DATABASE_CONNECTIONS", "10001"),
        ("MAX_BATCH", "0"),
        ("MAX_CONTACTS", "-1"),
        ("RATE_LIMIT", "none"),
        ("REFRESH_GRACE", "3601"),
        ("SHUTDOWN_DELAY", "3601"),
    ];
    // Empty counts as not set, so it is wrong only where there is no default.
    for (name, value) in
        wrong.iter().filter(|(name, value)| !value.is_empty() || name.len() == 12 || *name == "JWT_SECRET")
    {
        refuses(name, &[(name, value)], &[]);
    }
    refuses("JWT_SECRET_FILE", &[("JWT_SECRET_FILE", "/dev/null")], &[]);
    refuses("JWT_SECRET_FILE", &[("JWT_SECRET", ""), ("JWT_SECRET_FILE", "/does/not/exist")], &[]);
}

#[test]
fn a_wrong_database_url_does_not_show_its_password() {
    let said = refuses("DATABASE_URL", &[("DATABASE_URL", "postgres://user:hunter2hunter2@host:port/none")], &[]);
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_time_zone_that_postgres_does_not_know_is_said_once_it_is_there() {
    let database = database();
    refuses("TIMEZONE", &[("DATABASE_URL", &database.url()), ("TIMEZONE", "Mars/Olympus")], &[]);
    Setup::on(&database).with("TIMEZONE", "Europe/Kyiv").ready();
}

#[test]
fn a_flag_wins_over_the_environment_and_an_unknown_one_is_named() {
    refuses("LOG", &[("LOG", "info")], &["--log", "loud"]);
    refuses("--colour", &[], &["--colour", "red"]);
    refuses("dance", &[], &["dance"]);
    refuses("no-address", &[], &["user", "add", "no-address"]);
}

/// Every user of a machine can read every program's arguments.
#[test]
fn a_secret_is_refused_as_a_flag_and_not_repeated() {
    for (name, flag) in [("DATABASE_URL", "--database-url"), ("JWT_SECRET", "--jwt-secret")] {
        for arguments in [&[&format!("{flag}=hunter2")][..], &[&flag.to_owned(), &"hunter2".to_owned()]] {
            let arguments: Vec<_> = arguments.iter().map(|argument| argument.as_str()).collect();
            let said = refuses(name, &[], &arguments);
            assert!(said.contains(&format!("{flag}-file")) && !said.contains("hunter2"), "{said}");
        }
    }
    refuses("DATABASE_URL", &[("DATABASE_URL", "")], &["--database-url-file", "/does/not/exist"]);
    refuses("JWT_SECRET", &[("JWT_SECRET", "")], &["--jwt-secret-file", "/does/not/exist"]);
}

#[test]
fn a_taken_port_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let said = refuses("LISTEN", &[("LISTEN", &address)], &[]);
    assert!(said.contains(&address), "{said}");
}

#[test]
fn help_lists_every_setting() {
    let output = run(&[], &["--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    for setting in contactd::config::SETTINGS {
        assert!(text.contains(setting.name), "{} is missing in {text}", setting.name);
    }
}
