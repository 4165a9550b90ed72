//! Safe repeats: a request with an `Idempotency-Key` makes what it makes once, however often it is sent.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use contactd::store::Store;
use serde_json::{Value, json};

use crate::api_tokens::with_token;
use crate::sessions::{at, two_instances};
use crate::support::client::{Answer, Client, Request};
use crate::support::server::{Server, Setup, database};
use crate::support::shared::shared;

const CONTACTS: &str = "/api/contacts";
const IMPORT: &str = "/api/contacts/import";

fn create(user: &Client, key: &str, name: &str) -> Request {
    user.post(CONTACTS, &json!({ "first_name": name })).header("Idempotency-Key", key)
}

fn import(user: &Client, key: &str, names: &[&str]) -> Request {
    let contacts: Vec<_> = names.iter().map(|name| json!({ "first_name": name })).collect();
    user.post(IMPORT, &Value::Array(contacts)).header("Idempotency-Key", key)
}

fn count(user: &Client) -> usize {
    user.get("/api/contacts?limit=1000").send().expect(200).names().len()
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("Idempotency-Replayed").inspect(|value| assert_eq!(*value, "true")).is_some()
}

/// The same answer, as a repeat.
#[track_caller]
fn is_repeat(repeat: &Answer, first: &Answer) {
    assert!(is_replayed(repeat) && !is_replayed(first), "{} {}", repeat.text(), first.text());
    assert_eq!((repeat.status, repeat.text()), (first.status, first.text()));
    for name in ["ETag", "Location", "Content-Type", "Cache-Control"] {
        assert_eq!(repeat.header(name), first.header(name), "{name}");
    }
}

#[test]
fn a_repeat_gets_the_same_answer_and_makes_nothing() {
    let (here, there, _database) = two_instances();
    let user = here.client().new_user("a@example.com");
    let first = create(&user, "k1", "Іван").send().expect(201);
    let id = first.json()["id"].clone();
    assert!(first.header("ETag").is_some() && first.header("Location").is_some());
    is_repeat(&create(&user, "k1", "Іван").send(), &first);
    is_repeat(&create(&at(&there, &user), "k1", "Іван").send(), &first);
    // Also once the contact is another, or gone; and by an API token.
    user.patch(&format!("{CONTACTS}/{id}"), &json!({ "first_name": "B" })).send().expect(200);
    is_repeat(&create(&with_token(&user, "write"), "k1", "Іван").send(), &first);
    user.delete(&format!("{CONTACTS}/{id}")).send().expect(204);
    is_repeat(&create(&user, "k1", "Іван").send(), &first);
    assert_eq!(count(&user), 0);
    // Another key, another contact; another user, another key.
    assert_ne!(create(&user, "k2", "Іван").send().expect(201).json()["id"], id);
    let other = here.client().new_user("b@example.com");
    assert!(!is_replayed(&create(&other, "k1", "Іван").send().expect(201)));
    assert_eq!((count(&user), count(&other)), (1, 1));
    // It lives through a restart.
    drop(here);
    is_repeat(&create(&at(&there, &user), "k1", "Іван").send(), &first);
}

#[test]
fn an_import_is_repeated_with_its_report() {
    let shared = shared();
    let user = shared.user();
    let file = "first_name,birthday\nA,1850-01-01\n,\nB,\nB,\n";
    let send = |query: &str| {
        let import = user.request("POST", format!("{IMPORT}{query}")).header("Content-Type", "text/csv");
        import.header("Idempotency-Key", "k").body(file).send()
    };
    // What is only tried is not remembered.
    for _ in 0..2 {
        assert!(!is_replayed(&send("?dry_run=true").expect(200)));
    }
    let first = send("").expect(200);
    assert_eq!((&first.json()["created"], &first.json()["duplicates"]), (&json!(2), &json!(1)), "{}", first.text());
    is_repeat(&send(""), &first);
    is_repeat(&send(""), &first);
    send("?duplicates=add").expect(422);
    assert_eq!(count(&user), 2);
    // One that makes nothing is remembered, too.
    let names = ["A", "B"];
    import(&user, "k2", &names).send().expect(200);
    let nothing = import(&user, "k3", &names).send().expect(200);
    assert_eq!(nothing.json()["created"], 0);
    is_repeat(&import(&user, "k3", &names).send(), &nothing);
}

#[test]
fn the_same_key_with_another_request_is_refused() {
    let shared = shared();
    let user = shared.user();
    let body = "{\"first_name\":\"A\"}";
    let send = |path: &str, kind: &str, body: &str| {
        let request = user.request("POST", path).header("Content-Type", kind);
        request.header("Idempotency-Key", "k").body(body).send()
    };
    let first = send("/api/contacts?x=1", "application/json", body).expect(201);
    is_repeat(&send("/api/contacts/?x=1", "application/json", body), &first);
    let others = [
        ("/api/contacts", "application/json", body),
        ("/api/contacts?x=2", "application/json", body),
        ("/api/contacts?x=1", "application/json; charset=utf-8", body),
        ("/api/contacts?x=1", "application/json", "{\"first_name\": \"A\"}"),
        ("/api/contacts/import", "application/json", "[{\"first_name\":\"A\"}]"),
    ];
    for (path, kind, body) in others {
        assert_eq!(send(path, kind, body).expect(422).faults(), ["Idempotency-Key"], "{path} {kind} {body}");
    }
    is_repeat(&send("/api/contacts?x=1", "application/json", body), &first);
    assert_eq!(count(&user), 1);
}

#[test]
fn a_request_that_failed_is_not_remembered() {
    let database = database();
    let server = Setup::on(&database).with("MAX_CONTACTS", "2").ready();
    let user = server.client().new_user("a@example.com");
    create(&user, "k", "").send().expect(422);
    create(&user, "k", "A").header("Content-Encoding", "gzip").send().expect(415);
    let first = create(&user, "k", "A").send().expect(201);
    import(&user, "i", &["B", "C"]).send().expect(409);
    import(&user, "i", &["B"]).send().expect(200);
    create(&user, "full", "C").send().expect(409);
    // A repeat needs no room.
    is_repeat(&create(&user, "k", "A").send(), &first);
    assert!(is_replayed(&import(&user, "i", &["B"]).send().expect(200)));
    user.delete(first.header("Location").unwrap()).send().expect(204);
    assert!(!is_replayed(&create(&user, "full", "C").send().expect(201)));
    create(&user, "more", "D").send().expect(409);
}

#[test]
fn a_key_is_of_visible_characters_or_refused() {
    let shared = shared();
    let user = shared.user();
    let longest = "~".repeat(64);
    for good in ["!", "\"quoted\"", "a,b", "8e03978e-40d5-43dd-bc93-6894a57f9324", &longest] {
        create(&user, good, "A").send().expect(201);
        assert!(is_replayed(&create(&user, good, "A").send().expect(201)), "{good}");
    }
    let before = count(&user);
    for bad in ["", " ", "a b", "a\tb", "ключ", &"x".repeat(65)] {
        let answer = create(&user, bad, "A").send().expect(400);
        assert!(answer.text().contains("Idempotency-Key"), "{bad}: {}", answer.text());
        import(&user, bad, &["A"]).send().expect(400);
    }
    create(&user, "k", "A").header("Idempotency-Key", "k").send().expect(400);
    assert_eq!(count(&user), before);
    // Elsewhere it means nothing.
    user.get(CONTACTS).header("Idempotency-Key", "").send().expect(200);
}

#[test]
fn twenty_at_once_over_two_instances_make_one_contact() {
    let (here, there, _database) = two_instances();
    let user = here.client().new_user("a@example.com");
    let elsewhere = at(&there, &user);
    for round in 0..5 {
        let (key, barrier) = (format!("k{round}"), Barrier::new(20));
        let answers: Vec<Answer> = thread::scope(|scope| {
            let asked: Vec<_> = (0..20)
                .map(|n| {
                    let (user, key, barrier) = (if n % 2 == 0 { &user } else { &elsewhere }, &key, &barrier);
                    scope.spawn(move || {
                        let request = if round % 2 == 0 { create(user, key, "A") } else { import(user, key, &["B"]) };
                        barrier.wait();
                        request.send()
                    })
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        });
        let good: Vec<_> = answers.iter().filter(|answer| answer.status < 300).collect();
        let first = good.iter().find(|answer| !is_replayed(answer)).expect("one made it");
        for repeat in good.iter().filter(|answer| is_replayed(answer)) {
            is_repeat(repeat, first);
        }
        assert_eq!(good.iter().filter(|answer| !is_replayed(answer)).count(), 1);
        // Imports of a user run one after the other, and one that finds no turn is told so.
        let refused = answers.iter().filter(|answer| answer.status >= 300);
        refused.for_each(|answer| assert!(round % 2 == 1 && answer.status == 429, "{}", answer.text()));
    }
    // Three contacts, and the second import found the first one's.
    assert_eq!(count(&user), 4);
}

/// The first request is under way: here somebody else holds its key.
#[test]
fn a_repeat_waits_for_the_first_and_in_the_end_says_that_it_is_under_way() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let id = crate::sessions::id(&user);
    let mut behind = database.client();
    let mut first = behind.transaction().unwrap();
    first.execute("select pg_advisory_xact_lock(hashtextextended('k', $1))", &[&id]).unwrap();
    let began = Instant::now();
    let answer = create(&user, "k", "A").send().expect(409);
    assert_eq!(answer.json()["type"], "urn:contactd:request-in-progress");
    assert_eq!(answer.header("Retry-After"), Some("1"));
    assert!((2_900..5_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    create(&user, "other", "B").send().expect(201);
    // When the first fails, a repeat that waits does it.
    let waiting = thread::spawn({
        let user = user.clone();
        move || create(&user, "k", "A").send()
    });
    thread::sleep(Duration::from_millis(300));
    first.rollback().unwrap();
    let made = waiting.join().unwrap().expect(201);
    assert!(!is_replayed(&made));
    is_repeat(&create(&user, "k", "A").send(), &made);
    assert_eq!(count(&user), 2);
}

#[test]
fn keys_count_for_a_day_and_the_latest_thousand() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let first = create(&user, "k", "A").send().expect(201);
    let mut behind = database.client();
    let age = "update repeats set made_at = now() - make_interval(secs => 86400 - $1::float8)";
    behind.execute(age, &[&60.0]).unwrap();
    is_repeat(&create(&user, "k", "A").send(), &first);
    behind.execute(age, &[&-1.0]).unwrap();
    let again = create(&user, "k", "A").send().expect(201);
    assert!(!is_replayed(&again), "after a day it is a new request");
    is_repeat(&create(&user, "k", "A").send(), &again);
    // A thousand keys: the oldest gives way to the next.
    let fill = "insert into repeats (user_id, key, fingerprint, body)
        select id, format('f%s', n), '', '' from users, generate_series(1, 999) as n";
    behind.execute(fill, &[]).unwrap();
    is_repeat(&create(&user, "k", "A").send(), &again);
    create(&user, "next", "A").send().expect(201);
    assert!(!is_replayed(&create(&user, "k", "A").send().expect(201)));
    let mut left = || -> i64 { behind.query_one("select count(*) from repeats", &[]).unwrap().get(0) };
    assert_eq!(left(), 1_000);
    // Housekeeping forgets what is a day old, however much that is.
    behind
        .batch_execute(
            "insert into repeats (user_id, key, fingerprint, body)
             select id, format('g%s', n), '', '' from users, generate_series(1, 2500) as n;
             update repeats set made_at = now() - interval '24 hours' where key <> 'k'",
        )
        .unwrap();
    let store = Store::new(database.url().parse().unwrap(), 1);
    store.migrate().unwrap();
    store.purge().unwrap();
    let left: Vec<String> =
        behind.query("select key from repeats", &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(left, ["k"]);
    user.request("DELETE", "/api/users/me").json(&json!({ "password": "123456" })).send().expect(204);
    let left: i64 = behind.query_one("select count(*) from repeats", &[]).unwrap().get(0);
    assert_eq!(left, 0);
}

#[test]
fn requests_with_keys_and_without_get_along() {
    let database = database();
    let server = Setup::on(&database).with("WRITE_WORKERS", "2").ready();
    let user = server.client().new_user("a@example.com");
    thread::scope(|scope| {
        for n in 0..8 {
            let user = &user;
            scope.spawn(move || {
                for round in 0..10 {
                    if n % 2 == 0 {
                        user.new_contact(&json!({ "first_name": "Without" }));
                    } else {
                        create(user, &format!("{n}-{round}"), "With").send().expect(201);
                        assert!(is_replayed(&create(user, &format!("{n}-{round}"), "With").send().expect(201)));
                    }
                }
            });
        }
    });
    assert_eq!(count(&user), 80);
}
