//! Calls that are answered together: what each of them gets, and what that costs the others.
//!
//! A lock in the database holds the first statements, the test sees that the server has taken all requests, and lets go:
//! those that waited then go together.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::client::{Answer, Client, Request};
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::proxy::Proxy;
use crate::support::server::{Server, Setup, database};

/// More than may be under way at once, so that the rest goes together.
const MANY: usize = 16;

struct Place {
    server: Server,
    database: Database,
    proxy: Proxy,
}

impl Place {
    fn new(settings: &[(&str, &str)]) -> Place {
        let database = database();
        let (url, proxy) = Proxy::before(&database);
        let setup = Setup::on(&database).with("DATABASE_URL", url);
        let server = settings.iter().fold(setup, |setup, (name, value)| setup.with(name, *value)).ready();
        Place { server, database, proxy }
    }

    /// Sends all while a lock of this mode on the contacts holds the first of them; the answers, in their order.
    fn together(&self, mode: &str, requests: Vec<Request>) -> Vec<Answer> {
        let mut admin = self.database.client();
        let mut lock = admin.transaction().expect("a transaction");
        lock.batch_execute(&format!("lock table contacts in {mode} mode")).expect("a lock");
        thread::scope(|scope| {
            let asked: Vec<_> = requests.into_iter().map(|request| scope.spawn(|| request.send())).collect();
            let answered = || asked.iter().filter(|asked| asked.is_finished()).count();
            eventually("the server has taken all requests", || self.server.taken() + answered() >= asked.len());
            lock.rollback().expect("it is let go");
            asked.into_iter().map(|asked| asked.join().expect("an answer")).collect()
        })
    }

    /// How many rows were made by a statement that made others, too: they have the time of its transaction in common.
    fn made_together(&self) -> i64 {
        let query = "select coalesce(sum(n), 0)::bigint
            from (select count(*) as n from contacts group by created_at having count(*) > 1) as statements";
        self.database.client().query_one(query, &[]).expect("a count").get(0)
    }
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[test]
fn each_read_gets_its_own_answer_and_few_statements_serve_them() {
    let place = Place::new(&[]);
    let users = ["a@example.com", "b@example.com"].map(|email| place.server.client().new_user(email));
    let own = |user: &Client, name: &str| format!("/api/contacts/{}", user.new_contact(&json!({ "first_name": name })));
    let [a, b] = [own(&users[0], "Андрій"), own(&users[1], "Богдан")];
    let tag = users[0].get(&a).send().expect(200).header("ETag").expect("a tag").to_owned();
    let gone = users[1].login("b@example.com", "123456");
    gone.request("POST", "/api/auth/logout").send().expect(204);
    let requests = || {
        let mut all = vec![
            users[0].get(&a),
            users[0].get(&a).header("If-None-Match", &tag),
            users[0].get(&b),
            users[1].get(&b).header("X-Request-Id", "mine"),
            gone.get(&b),
            users[1].get("/api/contacts/0"),
            users[0].get(&a).header("If-Match", "\"99\""),
        ];
        all.extend((0..MANY).map(|n| users[n % 2].get(if n % 2 == 0 { &a } else { &b })));
        all.rotate_left(7);
        all
    };
    let mut cost = place.proxy.count();
    let fewest = (0..5).map(|_| {
        let before = place.proxy.count();
        let answers = place.together("access exclusive", requests());
        cost = place.proxy.count() - before;
        for (n, answer) in answers[..MANY].iter().enumerate() {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json()["first_name"], ["Андрій", "Богдан"][n % 2]);
            assert!(answer.header("ETag").is_some());
        }
        let rest = &answers[MANY..];
        assert_eq!(statuses(rest), [200, 304, 404, 200, 401, 422, 412]);
        assert_eq!(rest[1].header("ETag"), Some(&*tag));
        assert_eq!(rest[3].header("X-Request-Id"), Some("mine"));
        assert_eq!(rest[3].json()["first_name"], "Богдан");
        assert!(rest[4].header("WWW-Authenticate").is_some());
        cost.bind
    });
    // 21 of the 23 ask the database. Those under way at once make a statement each, and then one answers up to sixteen.
    let fewest = fewest.min().expect("it ran");
    assert!(fewest <= 8, "{fewest} statements for 21 reads");
}

#[test]
fn birthdays_are_each_users_own_in_their_order() {
    let place = Place::new(&[]);
    let users = ["a@example.com", "b@example.com"].map(|email| place.server.client().new_user(email));
    for (n, user) in users.iter().enumerate() {
        // Each has as many birthdays on a day as it has days, on both sides of a new year and of 28 February.
        for day in ["1990-12-30", "1992-01-02", "1991-02-28", "1992-02-29", "1993-03-01"] {
            for name in ["Ярослав", "Ґанна", "Andrij"] {
                user.new_contact(&json!({ "first_name": name, "last_name": format!("{n}"), "birthday": day }));
            }
        }
    }
    let birthdays = [
        "?today=2025-12-30",
        "?today=2025-12-30&limit=4&limit=4",
        "?today=2025-12-30&limit=0",
        "?today=2025-12-30&limit=101",
        "?today=2025-12-30&skip=1",
        "?today=2025-02-20&days=20",
        "?today=2024-02-20&days=20&limit=5",
    ];
    let paths: Vec<_> = birthdays.iter().map(|query| format!("/api/contacts/upcoming_birthdays{query}")).collect();
    for path in &paths {
        let ask = |n: usize| users[n % 2].get(path);
        let expected = [0, 1].map(|n| ask(n).send());
        let mut cost = u64::MAX;
        for _ in 0..3 {
            let before = place.proxy.count();
            let answers = place.together("access exclusive", (0..MANY).map(ask).collect());
            cost = cost.min((place.proxy.count() - before).bind);
            for (n, answer) in answers.iter().enumerate() {
                assert_eq!(answer.status, expected[n % 2].status, "{path}");
                assert_eq!(answer.header("Link"), expected[n % 2].header("Link"), "{path}");
                if answer.status == 200 {
                    assert_eq!(answer.json(), expected[n % 2].json(), "{path}");
                }
            }
        }
        let goes_along = !["101", "skip", "2025-02"].iter().any(|part| path.contains(part));
        let is_read = expected[0].status == 200;
        assert_eq!(goes_along && is_read, is_read && cost < MANY as u64 / 2, "{path}: {cost} statements");
    }
}

#[test]
fn a_batch_may_be_turned_off() {
    let place = Place::new(&[("MAX_BATCH", "1")]);
    let user = place.server.client().new_user("a@example.com");
    let one = format!("/api/contacts/{}", user.new_contact(&json!({ "first_name": "A" })));
    let before = place.proxy.count();
    let answers = place.together("access exclusive", (0..MANY).map(|_| user.get(&one)).collect());
    assert_eq!(statuses(&answers), [200; MANY]);
    assert!((place.proxy.count() - before).bind >= MANY as u64);
}

fn named(name: &str) -> Value {
    json!({ "first_name": name, "birthday": "2000-02-29" })
}

#[test]
fn each_create_gets_its_own_contact_and_they_share_a_commit() {
    let place = Place::new(&[]);
    let users = ["a@example.com", "b@example.com"].map(|email| place.server.client().new_user(email));
    // The first of each is counted for the quota, and goes by itself.
    for user in &users {
        user.new_contact(&named("first"));
    }
    let create = |n: usize| users[n % 2].post("/api/contacts", &named(&format!("N{n}")));
    let mut requests: Vec<_> = (0..MANY).map(create).collect();
    requests.push(users[0].post("/api/contacts", &json!({ "first_name": "" })));
    let mut answers = place.together("share", requests);
    answers.pop().expect("the last").expect(422);
    for (n, answer) in answers.into_iter().enumerate() {
        let contact = answer.expect(201);
        assert_eq!(contact.json()["first_name"], format!("N{n}"));
        let there = users[n % 2].get(contact.header("Location").expect("a place")).send().expect(200);
        assert_eq!((there.json(), there.header("ETag")), (contact.json(), contact.header("ETag")));
    }
    for user in &users {
        assert_eq!(user.get("/api/contacts").send().expect(200).names().len(), 1 + MANY / 2);
    }
    assert!(place.made_together() >= 4, "{} were made together", place.made_together());
}

/// Somebody holds a user's row, as the deletion of the user does. The others' contacts are made meanwhile.
#[test]
fn a_user_who_is_being_deleted_holds_up_nobody_else_in_the_batch() {
    let place = Place::new(&[]);
    let [a, b] = ["a@example.com", "b@example.com"].map(|email| place.server.client().new_user(email));
    for user in [&a, &b] {
        user.new_contact(&named("first"));
    }
    let mut admin = place.database.client();
    let mut deletion = admin.transaction().expect("a transaction");
    deletion.execute("select from users where email = 'a@example.com' for update", &[]).expect("it is locked");
    thread::scope(|scope| {
        let (send, answered) = mpsc::channel();
        let place = &place;
        let mut requests: Vec<_> = (0..MANY).map(|_| b.post("/api/contacts", &named("B"))).collect();
        requests.insert(MANY / 2, a.post("/api/contacts", &named("A")));
        // Those who are done are seen while the one still waits, so each answer is passed on as it comes.
        let mut admin = place.database.client();
        let mut lock = admin.transaction().expect("a transaction");
        lock.batch_execute("lock table contacts in share mode").expect("a lock");
        let count = requests.len();
        for (n, request) in requests.into_iter().enumerate() {
            let send = send.clone();
            scope.spawn(move || send.send((n, request.send().status)));
        }
        eventually("the server has taken all requests", || place.server.taken() >= count);
        lock.rollback().expect("it is let go");
        let began = Instant::now();
        for _ in 0..MANY {
            let (n, status) = answered.recv_timeout(Duration::from_secs(3)).expect("the others go on");
            assert_eq!(status, 201, "{n}");
            assert_ne!(n, MANY / 2, "its row is held");
        }
        assert!(began.elapsed() < Duration::from_millis(1200), "they waited for the lock: {:?}", began.elapsed());
        deletion.execute("delete from users where email = 'a@example.com'", &[]).expect("it goes");
        deletion.commit().expect("it is done");
        let (n, status) = answered.recv_timeout(Duration::from_secs(5)).expect("an answer");
        assert_eq!((n, status), (MANY / 2, 401), "the user is gone");
    });
    assert!(place.made_together() >= 4, "{} were made together", place.made_together());
}
