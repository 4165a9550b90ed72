//! `contactd user …`: what the person who runs it does, since no e-mail resets a password. Straight in the database, while
//! instances serve.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::json;

use crate::sessions::{at, refresh};
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::server::{Server, Setup, command, database};

/// Runs `contactd user …` with this on its standard input.
pub fn user(database: &Database, words: &[&str], input: &str) -> Output {
    user_with(&[("DATABASE_URL".to_owned(), database.url())], words, input)
}

fn user_with(settings: &[(String, String)], words: &[&str], input: &str) -> Output {
    let mut child = command(settings)
        .arg("user")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It may end before it reads.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// The exit code and all that was said.
fn outcome(output: &Output) -> (i32, String) {
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code().expect("it exits"), String::from_utf8(said).unwrap())
}

#[test]
fn a_user_is_made_given_another_password_locked_out_and_let_in_again() {
    let (server, database) = Server::with_database();
    let (code, said) = outcome(&user(&database, &["add", "Ivan@Example.com"], "пароль 1\n"));
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("ivan@example.com") && !said.contains("пароль"), "{said}");
    let ivan = server.client().login("ivan@example.com", "пароль 1");
    let me = ivan.get("/api/users/me").send().json();
    assert_eq!((&me["username"], &me["email"]), (&json!("ivan"), &json!("ivan@example.com")));

    // Another password ends the sessions, and opens an account that guesses have closed.
    for _ in 0..10 {
        let guess = json!({ "email": "ivan@example.com", "password": "guess" });
        assert_eq!(server.client().post("/api/auth/login", &guess).send().status, 401);
    }
    let (code, said) = outcome(&user(&database, &["passwd", "ivan@example.com"], "another one"));
    assert_eq!(code, 0, "{said}");
    eventually("the token is dead", || ivan.get("/api/users/me").send().status == 401);
    assert_eq!(refresh(&server, ivan.refresh_token.as_deref().unwrap()).status, 401);
    let ivan = server.client().login("ivan@example.com", "another one");

    let (code, said) = outcome(&user(&database, &["disable", "ivan@example.com"], ""));
    assert_eq!(code, 0, "{said}");
    let body = json!({ "email": "ivan@example.com", "password": "another one" });
    let right = server.client().post("/api/auth/login", &body).send();
    let body = json!({ "email": "ivan@example.com", "password": "a wrong one" });
    let wrong = server.client().post("/api/auth/login", &body).send();
    assert_eq!((right.status, wrong.status), (401, 401));
    assert_eq!(right.json()["detail"], wrong.json()["detail"], "it does not tell that the password is right");
    assert_eq!(refresh(&server, ivan.refresh_token.as_deref().unwrap()).status, 401);
    eventually("the token is dead", || ivan.get("/api/users/me").send().status == 401);

    let (code, said) = outcome(&user(&database, &["enable", "ivan@example.com"], ""));
    assert_eq!(code, 0, "{said}");
    assert_eq!(ivan.get("/api/users/me").send().status, 401, "what was ended stays so");
    server.client().login("ivan@example.com", "another one");
}

/// "Dead at once": within a second on every instance, none of which is told.
#[test]
fn a_user_who_is_locked_out_is_out_of_every_instance_within_a_second() {
    let database = database();
    let setup = Setup::on(&database);
    let servers = [setup.ready(), setup.ready()];
    let ivan = servers[0].client().new_user("ivan@example.com");
    let clients = [at(&servers[0], &ivan), at(&servers[1], &ivan)];
    for client in &clients {
        assert_eq!(client.get("/api/users/me").send().status, 200);
    }
    assert_eq!(outcome(&user(&database, &["disable", "ivan@example.com"], "")).0, 0);
    let done = Instant::now();
    for client in &clients {
        eventually("the token is dead", || client.get("/api/users/me").send().status == 401);
    }
    assert!(done.elapsed() < Duration::from_millis(1500), "{:?}", done.elapsed());
}

#[test]
fn what_cannot_be_done_is_said_in_a_line_with_exit_code_1_or_2() {
    let database = database();
    assert_eq!(outcome(&user(&database, &["add", "ivan@example.com"], "123456\n")).0, 0);
    let refused = format!("{}/contactd-refused-{}", std::env::temp_dir().display(), std::process::id());
    std::fs::write(&refused, "Password\n").unwrap();
    let url = ("DATABASE_URL".to_owned(), database.url());
    let list = ("REFUSED_PASSWORDS_FILE".to_owned(), refused.clone());
    let away = ("DATABASE_URL".to_owned(), "postgres://x@127.0.0.1:1/x".to_owned());
    for (settings, words, input, code, told) in [
        (
            vec![url.clone()],
            &["add", "IVAN@example.com"][..],
            "123456\n",
            1,
            "there is already a user ivan@example.com",
        ),
        (vec![url.clone()], &["passwd", "nobody@example.com"], "123456\n", 1, "there is no user nobody@example.com"),
        (vec![url.clone()], &["disable", "nobody@example.com"], "", 1, "there is no user nobody@example.com"),
        (vec![url.clone()], &["enable", "nobody@example.com"], "", 1, "there is no user nobody@example.com"),
        (vec![url.clone()], &["delete", "nobody@example.com"], "", 1, "there is no user nobody@example.com"),
        (vec![url.clone()], &["passwd", "ivan@example.com"], "12345\n", 1, "at least 6 characters"),
        (vec![url.clone()], &["passwd", "ivan@example.com"], "", 1, "at least 6 characters"),
        (vec![url.clone(), list], &["passwd", "ivan@example.com"], "PASSWORD\n", 1, "refused"),
        (vec![away], &["disable", "ivan@example.com"], "", 1, "onnect"),
        (vec![], &["disable", "ivan@example.com"], "", 2, "DATABASE_URL is not set"),
        (vec![url.clone()], &["add", "no address"], "123456\n", 2, "`no address` is not an e-mail address"),
        (vec![url.clone()], &["add", "x@example.com", "hunter22"], "", 2, "ask for the password"),
        (vec![url.clone()], &["rename", "x@example.com"], "", 2, "is not a command"),
        (vec![url], &["add"], "", 2, "is not a command"),
    ] {
        let (got, said) = outcome(&user_with(&settings, words, input));
        assert_eq!(got, code, "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
        let lines: Vec<_> = said.lines().filter(|line| !line.contains(" INFO ")).collect();
        assert_eq!(lines.len(), 1, "{words:?}: {said}");
        assert!(!said.contains("hunter22"), "{said}");
    }
    std::fs::remove_file(refused).unwrap();
}

#[test]
fn the_users_are_listed_and_one_is_deleted_with_all_that_is_theirs() {
    let (server, database) = Server::with_database();
    let list = || {
        let (code, said) = outcome(&user(&database, &["list"], ""));
        assert_eq!(code, 0, "{said}");
        let rows = said.lines().filter(|line| !line.contains(" INFO "));
        rows.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    assert_eq!(list(), [["id", "created", "last", "used", "state", "address"]], "nobody is there yet");
    assert_eq!(outcome(&user(&database, &["add", "olena@example.com"], "123456\n")).0, 0);
    assert_eq!(outcome(&user(&database, &["disable", "olena@example.com"], "")).0, 0);
    let ivan = server.client().new_user("ivan@example.com");
    ivan.new_contact(&json!({ "first_name": "Леся" }));
    let id = ivan.get("/api/users/me").send().json()["id"].to_string();

    let rows = list();
    let [_, first, second] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((&first[0], &first[3..]), (&id, &["active".to_owned(), "ivan@example.com".to_owned()][..]));
    for time in &first[1..3] {
        time.parse::<chrono::DateTime<chrono::Utc>>().unwrap_or_else(|_| panic!("{time} is no time"));
    }
    assert_eq!(second[2..], ["-", "disabled", "olena@example.com"], "who never logged in was never seen");

    let (code, said) = outcome(&user(&database, &["delete", "IVAN@example.com"], ""));
    assert_eq!((code, said.contains(&id)), (0, true), "{said}");
    eventually("the token is dead", || ivan.get("/api/users/me").send().status == 401);
    assert_eq!(list().len(), 2);
    let left: i64 = database.client().query_one("select count(*) from contacts", &[]).unwrap().get(0);
    assert_eq!(left, 0);
    // The address is free again.
    assert_eq!(outcome(&user(&database, &["add", "ivan@example.com"], "123456\n")).0, 0);
}

#[test]
fn a_list_of_more_users_than_one_statement_gives_has_each_once() {
    let database = database();
    let many = "insert into users (username, email, password_hash) \
        select 'x', 'user' || n || '@example.com', '' from generate_series(1, 2000) as n";
    database.client().batch_execute(many).unwrap();
    let (code, said) = outcome(&user(&database, &["list"], ""));
    let mut seen: Vec<_> = said.lines().filter_map(|line| line.rsplit_once("  user")).map(|(_, rest)| rest).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((code, seen.len()), (0, 2000));
}

#[test]
fn while_signing_up_is_closed_only_the_operator_makes_users() {
    let database = database();
    let server = Setup::on(&database).with("SIGNUP", "closed").ready();
    let body = json!({ "username": "Ivan", "email": "ivan@example.com", "password": "123456" });
    let sign_up = |body| server.client().post("/api/auth/signup", body).send();
    let refused = sign_up(&body);
    assert_eq!((refused.status, refused.header("Content-Type")), (403, Some("application/problem+json")));
    assert!(refused.json()["detail"].as_str().unwrap().contains("closed"), "{}", refused.text());
    assert_eq!(outcome(&user(&database, &["add", "ivan@example.com"], "123456\n")).0, 0);
    server.client().login("ivan@example.com", "123456");
    assert_eq!(sign_up(&body).json()["detail"], refused.json()["detail"], "it does not tell that the address is taken");
}

#[test]
fn the_database_may_be_named_in_a_file() {
    let database = database();
    let file = format!("{}/contactd-url-{}", std::env::temp_dir().display(), std::process::id());
    std::fs::write(&file, format!("  {}\n", database.url())).unwrap();
    let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let (code, said) = outcome(&user_with(&[setting("DATABASE_URL_FILE", &file)], &["list"], ""));
    assert_eq!(code, 0, "{said}");
    let both = [setting("DATABASE_URL_FILE", &file), setting("DATABASE_URL", &database.url())];
    let (code, said) = outcome(&user_with(&both, &["list"], ""));
    assert_eq!((code, said.contains("both set")), (2, true), "{said}");
    std::fs::write(&file, "postgres://ivan:hunter2hunter2@[nowhere").unwrap();
    let (code, said) = outcome(&user_with(&[setting("DATABASE_URL_FILE", &file)], &["list"], ""));
    assert_eq!((code, said.contains("DATABASE_URL_FILE"), said.contains("hunter2")), (2, true, false), "{said}");
    std::fs::remove_file(&file).unwrap();
    let (code, said) = outcome(&user_with(&[setting("DATABASE_URL_FILE", &file)], &["list"], ""));
    assert_eq!((code, said.contains(&file)), (2, true), "{said}");
}

/// The program at a terminal of its own.
fn at_a_terminal(database: &Database, words: &[&str]) -> (File, Child) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let name = ptsname(&terminal, Vec::new()).unwrap();
    let end = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let child = command(&[("DATABASE_URL".to_owned(), database.url())])
        .arg("user")
        .args(words)
        .stdin(end)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    (File::from(terminal), child)
}

fn shows_what_is_typed(terminal: &File) -> bool {
    tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
}

/// Types a line once the terminal no longer shows what is typed, and waits until the program has taken it.
fn type_hidden(terminal: &mut File, child: &mut Child, lines: &[&str]) -> String {
    let mut said = child.stderr.take().unwrap();
    let mut heard = Vec::new();
    for line in lines {
        // A prompt ends in a blank, and comes after the echo is off.
        let mut byte = [0];
        while !heard.ends_with(b": ") {
            assert_eq!(said.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&heard));
            heard.push(byte[0]);
        }
        assert!(!shows_what_is_typed(terminal));
        writeln!(terminal, "{line}").unwrap();
        heard.push(b'|');
    }
    said.read_to_end(&mut heard).unwrap();
    String::from_utf8(heard).unwrap()
}

/// All that the terminal has shown, once nobody writes to it any more.
fn shown(mut terminal: File) -> String {
    let mut all = Vec::new();
    let _ = terminal.read_to_end(&mut all); // the end of a terminal is an error
    String::from_utf8(all).unwrap()
}

#[test]
fn a_password_typed_at_a_terminal_is_not_shown_and_asked_for_twice() {
    let (server, database) = Server::with_database();
    let (mut terminal, mut child) = at_a_terminal(&database, &["add", "ivan@example.com"]);
    let said = type_hidden(&mut terminal, &mut child, &["hunter22", "hunter22"]);
    assert!(child.wait().unwrap().success(), "{said}");
    assert!(said.contains("Password: |") && said.contains("Repeat the password: |"), "{said}");
    assert!(shows_what_is_typed(&terminal), "the terminal is left as it was");
    assert_eq!(shown(terminal), "");
    server.client().login("ivan@example.com", "hunter22");

    let (mut terminal, mut child) = at_a_terminal(&database, &["passwd", "ivan@example.com"]);
    let said = type_hidden(&mut terminal, &mut child, &["hunter33", "hunter34"]);
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("not the same"), "{said}");
    assert!(shows_what_is_typed(&terminal));
    server.client().login("ivan@example.com", "hunter22");
}

#[test]
fn an_interrupted_prompt_leaves_the_terminal_as_it_was() {
    let database = database();
    let (terminal, mut child) = at_a_terminal(&database, &["add", "ivan@example.com"]);
    eventually("the terminal hides what is typed", || !shows_what_is_typed(&terminal));
    let sent = std::process::Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(2), "a shell sees what ended it: {status}");
    assert!(shows_what_is_typed(&terminal));
}

#[test]
fn a_database_that_cannot_hold_every_name_is_refused_before_it_holds_any() {
    let latin = Database::in_encoding("LATIN1");
    let (code, said) = outcome(&user(&latin, &["add", "ivan@example.com"], "hunter22"));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("LATIN1") && said.contains("UTF8"), "{said}");

    let bytes = Database::in_encoding("SQL_ASCII");
    let (code, said) = outcome(&user(&bytes, &["add", "іван@example.com"], "hunter22"));
    assert_eq!(code, 0, "{said}");
}
