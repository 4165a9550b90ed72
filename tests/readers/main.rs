//! The calendar and the cards, read back by parsers that nobody of us wrote: PyPI's icalendar (with dateutil for the rules) and
//! vobject. And logging in and refreshing, by OAuth2 clients: requests-oauthlib and authlib.
//!
//! `make check` runs it, `make test` does not, for it needs the packages that `setup.sh` beside this file installs.

#[path = "../support/mod.rs"]
mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use chrono::NaiveDate;
use contactd::domain::birthday;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::{Server, Setup, database};

/// What `read.py` finds in a file.
fn read(arguments: &[&str], file: &[u8]) -> Vec<Value> {
    run("read.py", arguments, file)
}

/// What a program beside this file says, with this on its standard input.
fn run(program: &str, arguments: &[&str], file: &[u8]) -> Vec<Value> {
    let root = env!("CARGO_MANIFEST_DIR");
    let mut python = Command::new(format!("{root}/target/readers/bin/python"))
        .arg(format!("{root}/tests/readers/{program}"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the readers are installed: run tests/readers/setup.sh, or `make check`");
    let mut stdin = python.stdin.take().expect("stdin is piped");
    stdin.write_all(file).expect("it takes the file");
    drop(stdin);
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the reader failed, see above");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Contacts with all that has to be escaped or folded, and birthdays of every kind.
fn contacts() -> Vec<Value> {
    vec![
        json!({ "first_name": "Іван", "last_name": "Франко", "birthday": "1956-08-27", "email": "ivan@example.com" }),
        json!({ "first_name": "Comma, Semicolon; Colon: \"Quote\" \\n back\\slash", "birthday": "1990-02-28" }),
        json!({ "first_name": "Leap", "last_name": "Day", "birthday": "2004-02-29", "phone_number": "+38 (050) 123-45-67" }),
        json!({ "first_name": "їжак 😀 ".repeat(12).trim(), "birthday": "1900-12-31" }),
        json!({ "first_name": "Noted", "last_name": "X; Y", "birthday": "1999-01-01",
            "additional_info": format!("one, two; three\n\n  END:VCARD\nEND:VCARD\n{}", "ж".repeat(300)) }),
        json!({ "first_name": "Without a birthday" }),
    ]
}

fn user(server: &Server) -> Client {
    let user = server.client().new_user("ivan@example.com");
    let answer = user.post("/api/contacts/import", &json!(contacts())).send();
    assert_eq!(answer.json()["created"], contacts().len(), "{}", answer.text());
    user
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn full_name(contact: &Value) -> String {
    let name = format!("{} {}", text(contact, "first_name"), text(contact, "last_name"));
    name.trim_end().to_owned()
}

#[test]
fn icalendar_finds_each_birthday_on_the_day_that_the_list_has_it() {
    let (server, _database) = Server::with_database();
    let user = user(&server);
    let address = user.request("POST", "/api/contacts/calendar").send().json();
    let url = text(&address, "url");
    let path = &url[url.find("/api/").expect("a path")..];
    let feed = server.client().get(path).send();
    let events = read(&["ics", "1999", "2101"], &feed.body);

    let mut born = contacts();
    born.retain(|contact| contact["birthday"].is_string());
    assert_eq!(events.len(), born.len());
    for (event, contact) in events.iter().zip(&born) {
        assert_eq!(text(event, "summary"), full_name(contact));
        assert_eq!(event["start"], contact["birthday"]);
        assert_eq!(event["faults"], json!([]));
        assert_eq!((&event["transparent"], &event["stamped"]), (&json!(true), &json!(true)));
        assert_eq!(event["lasts"], 1);
        assert_eq!(text(event, "description"), format!("Born {}", text(event, "start")));
        let birthday: NaiveDate = text(contact, "birthday").parse().expect("a date");
        let days: Vec<_> = (1999..=2101)
            .map(|year| birthday::in_year(birthday, year))
            .filter(|day| *day >= birthday)
            .map(|day| day.to_string())
            .collect();
        assert_eq!(event["days"], json!(days), "{contact}");
    }
    let mut uids: Vec<_> = events.iter().map(|event| text(event, "uid")).collect();
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), events.len());
}

#[test]
fn vobject_finds_in_each_card_what_the_contact_has() {
    let (server, _database) = Server::with_database();
    let user = user(&server);
    let file = user.get("/api/contacts/export?format=vcf").send();
    let cards = read(&["vcf"], &file.body);
    assert_eq!(cards.len(), contacts().len());
    for (card, contact) in cards.iter().zip(contacts()) {
        assert_eq!(text(card, "version"), "4.0");
        assert!(text(card, "uid").starts_with("urn:uuid:"));
        assert_eq!(text(card, "fn"), full_name(&contact));
        assert_eq!(text(card, "given"), text(&contact, "first_name"));
        assert_eq!(text(card, "family"), text(&contact, "last_name"));
        assert_eq!(text(card, "email"), text(&contact, "email"));
        assert_eq!(text(card, "tel"), text(&contact, "phone_number"));
        assert_eq!(text(card, "bday"), text(&contact, "birthday").replace('-', ""));
        assert_eq!(text(card, "note"), text(&contact, "additional_info"));
    }
}

#[test]
fn oauth2_clients_log_in_refresh_and_learn_that_a_token_is_dead() {
    let (server, database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let site = format!("http://{}", server.address);
    for client in ["requests", "authlib"] {
        let said = run("oauth.py", &[client, &site, "ivan@example.com", "123456"], b"").remove(0);
        assert_eq!((&said["statuses"], &said["dead"]), (&json!([200, 200]), &json!("invalid_grant")), "{client}");
        for pair in ["first", "second", "third"] {
            let pair = &said[pair];
            assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("bearer"), &json!(900)), "{client}: {said}");
            assert!(!text(pair, "access_token").is_empty() && pair.get("title").is_none(), "{client}: {said}");
        }
        assert_ne!(said["first"]["refresh_token"], said["second"]["refresh_token"], "{client}");
        assert_ne!(said["second"]["refresh_token"], said["third"]["refresh_token"], "{client}");
    }
    let refreshed = "select count(*) from sessions where generation = 3";
    assert_eq!(database.client().query_one(refreshed, &[]).unwrap().get::<_, i64>(0), 2);
}

#[test]
fn prometheus_reads_the_metrics() {
    let database = database();
    let server = Setup::on(&database).with("METRICS_LISTEN", "127.0.0.1:0").ready();
    let log = server.log();
    let address = log.split("metrics: http://").nth(1).and_then(|rest| rest.split('/').next()).expect("its address");
    let user = user(&server);
    user.get("/api/contacts").send().expect(200);
    user.get("/livez").header("Content-Length", "x").send().expect(400);
    let text = Client::new(address.parse().unwrap()).get("/metrics").send().expect(200).text();
    let families = run("metrics.py", &[], text.as_bytes());
    let kind = |name: &str| families.iter().find_map(|family| family[name].as_str()).unwrap_or("none").to_owned();
    for (name, expected) in [
        ("requests", "counter"),
        ("request_seconds", "histogram"),
        ("refusals", "counter"),
        ("account_events", "counter"),
        ("log_lines_dropped", "counter"),
        ("build_info", "gauge"),
        ("waiting_requests", "gauge"),
        ("oldest_wait_seconds", "gauge"),
        ("connections", "gauge"),
        ("database_usable", "gauge"),
        ("pool_connections", "gauge"),
        ("pool_in_use", "gauge"),
        ("pool_waiting", "gauge"),
    ] {
        assert_eq!(kind(&format!("contactd_{name}")), expected, "{name}: {text}");
    }
}
