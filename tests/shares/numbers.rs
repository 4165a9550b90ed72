//! The limits that are numbers: of a body, of requests a minute, of contacts. Each at the limit and beyond it.

use serde_json::json;

use crate::program;
use crate::support::client::{Answer, Client};
use crate::support::database::Database;
use crate::support::server::{Server, Setup, database};

fn server(settings: &[(&str, &str)]) -> (Server, Database) {
    let database = database();
    let setup = Setup::on(&database).program(program());
    (settings.iter().fold(setup, |setup, (name, value)| setup.with(name, *value)).ready(), database)
}

/// JSON of exactly so many bytes.
fn padded(body: &str, length: usize) -> String {
    format!("{body}{}", " ".repeat(length - body.len()))
}

#[test]
fn bodies_of_accounts_have_at_most_16_kib() {
    let (server, _database) = server(&[]);
    let user = server.client().new_user("a@example.com");
    let login = r#"{"email": "a@example.com", "password": "123456"}"#;
    let ways = [("POST", "/api/auth/login", login, 200), ("PATCH", "/api/users/me", r#"{"username": "B"}"#, 200)];
    for (method, path, body, status) in ways {
        let ask =
            |length| user.request(method, path).header("Content-Type", "application/json").body(padded(body, length));
        ask(16 * 1024).send().expect(status);
        ask(16 * 1024 + 1).send().expect(413);
    }
    for (method, path) in [
        ("POST", "/api/auth/signup"),
        ("POST", "/api/auth/refresh_token"),
        ("PUT", "/api/users/me/password"),
        ("DELETE", "/api/users/me"),
    ] {
        let request = user.request(method, path).header("Content-Type", "application/json");
        request.body(padded("{}", 16 * 1024 + 1)).send().expect(413);
    }
    let contact = padded(r#"{"first_name": "A"}"#, 1 << 20);
    user.request("POST", "/api/contacts").header("Content-Type", "application/json").body(contact).send().expect(201);
}

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name).unwrap_or_else(|| panic!("no {name}: {:?}", answer.headers));
    value.parse().unwrap_or_else(|_| panic!("{name}: {value}"))
}

#[test]
fn requests_a_minute_are_counted_for_each_user() {
    const LIMIT: u64 = 60;
    let (server, _database) = server(&[("RATE_LIMIT", "60")]);
    let client = server.client();
    let (user, other) = (client.new_user("a@example.com"), client.new_user("b@example.com"));
    // The bucket fills up by one a second meanwhile.
    let answers: Vec<_> = (0..LIMIT).map(|_| user.get("/api/users/me").send().expect(200)).collect();
    for answer in &answers {
        assert_eq!(number(answer, "RateLimit-Limit"), LIMIT);
        assert!(number(answer, "RateLimit-Reset") <= 60);
    }
    let left: Vec<_> = answers.iter().map(|answer| number(answer, "RateLimit-Remaining")).collect();
    assert_eq!(left[0], LIMIT - 1);
    assert!(left[left.len() - 1] < 10, "{left:?}");
    let refused = (0..LIMIT).map(|_| user.get("/api/contacts").send()).find(|answer| answer.status != 200);
    let refused = refused.expect("somewhere it ends").expect(429);
    let wait = number(&refused, "Retry-After");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(number(&refused, "RateLimit-Limit"), LIMIT);
    assert_eq!(number(&refused, "RateLimit-Remaining"), 0);
    other.get("/api/users/me").send().expect(200);
    client.get("/livez").send().expect(200);
    // Another session of the same user has no bucket of its own.
    client.login("a@example.com", "123456").get("/api/users/me").send();
    std::thread::sleep(std::time::Duration::from_secs(wait));
    user.get("/api/users/me").send().expect(200);
}

#[test]
fn without_a_limit_nothing_is_said_of_it() {
    let (server, _database) = server(&[]);
    let user = server.client().new_user("a@example.com");
    let answer = user.get("/api/users/me").send().expect(200);
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("RateLimit")), "{:?}", answer.headers);
}

fn import(user: &Client, names: &[&str]) -> Answer {
    let file: Vec<_> = names.iter().map(|name| json!({ "first_name": name })).collect();
    user.post("/api/contacts/import", &json!(file)).send()
}

fn is_full(answer: Answer) {
    let answer = answer.expect(409);
    assert_eq!(answer.json()["type"], "urn:contactd:address-book-full", "{}", answer.text());
}

fn count(user: &Client) -> usize {
    user.get("/api/contacts").send().expect(200).names().len()
}

#[test]
fn an_address_book_has_at_most_so_many_contacts() {
    let (server, _database) = server(&[("MAX_CONTACTS", "5")]);
    let user = server.client().new_user("a@example.com");
    let create = || user.post("/api/contacts", &json!({ "first_name": "A" })).send();
    let ids: Vec<_> = (0..3).map(|_| create().expect(201).json()["id"].as_i64().expect("an id")).collect();
    is_full(import(&user, &["B", "C", "D"]));
    assert_eq!(count(&user), 3, "all of an import or nothing");
    import(&user, &["B", "C"]).expect(200);
    assert_eq!(count(&user), 5, "it may be full to the last place");
    is_full(create());
    is_full(import(&user, &["D"]));
    user.patch(&format!("/api/contacts/{}", ids[0]), &json!({ "last_name": "Z" })).send().expect(200);
    user.delete(&format!("/api/contacts/{}", ids[0])).send().expect(204);
    create().expect(201);
    is_full(create());
    server.client().new_user("b@example.com").new_contact(&json!({ "first_name": "A" }));
}

#[test]
fn a_quota_holds_against_many_at_once() {
    let (server, _database) = server(&[("MAX_CONTACTS", "20")]);
    let user = server.client().new_user("a@example.com");
    let create = || user.post("/api/contacts", &json!({ "first_name": "A" })).send().status;
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..5).map(|_| create()).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("nobody panics")).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 20, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 20, "{statuses:?}");
    assert_eq!(count(&user), 20);
}

#[test]
fn no_quota_is_none() {
    let (server, _database) = server(&[("MAX_CONTACTS", "0")]);
    let user = server.client().new_user("a@example.com");
    user.new_contact(&json!({ "first_name": "A" }));
    import(&user, &["B"]).expect(200);
}
