//! What one user may have and do at most: contacts, requests a minute, sessions, bytes.

use std::thread;

use serde_json::{Value, json};

use crate::sessions::{at, is_alive, two_instances};
use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::server::{Setup, database};
use crate::support::shared::{shared, unused_email};

fn create(user: &Client, name: &str) -> Answer {
    user.post("/api/contacts", &json!({ "first_name": name })).send()
}

fn import(user: &Client, query: &str, names: &[&str]) -> Answer {
    let contacts: Vec<_> = names.iter().map(|name| json!({ "first_name": name })).collect();
    user.post(&format!("/api/contacts/import{query}"), &Value::Array(contacts)).send()
}

fn names(user: &Client) -> Vec<String> {
    user.get("/api/contacts?limit=1000").send().names()
}

#[track_caller]
fn is_full(answer: Answer) {
    assert_eq!(answer.expect(409).json()["type"], "urn:contactd:address-book-full");
}

#[test]
fn an_address_book_takes_its_limit_and_no_more() {
    let database = database();
    let server = Setup::on(&database).with("MAX_CONTACTS", "5").ready();
    let (user, other) = (server.client().new_user("a@example.com"), server.client().new_user("b@example.com"));
    let ids: Vec<_> = (0..5).map(|_| user.new_contact(&json!({ "first_name": "A" }))).collect();
    for _ in 0..2 {
        is_full(create(&user, "B"));
        is_full(import(&user, "", &["B"]));
    }
    import(&user, "?dry_run=true", &["B"]).expect(200);
    assert_eq!(names(&user), ["A"; 5]);
    other.new_contact(&json!({ "first_name": "Other" }));
    // What is there can be changed and deleted, and then there is room again, at once.
    user.patch(&format!("/api/contacts/{}", ids[0]), &json!({ "first_name": "C" })).send().expect(200);
    user.delete(&format!("/api/contacts/{}", ids[1])).send().expect(204);
    user.delete(&format!("/api/contacts/{}", ids[2])).send().expect(204);
    is_full(import(&user, "", &["D", "E", "F"]));
    assert_eq!(names(&user), ["C", "A", "A"], "an import that does not fit makes nothing");
    import(&user, "", &["D", "E"]).expect(200);
    is_full(create(&user, "F"));
    is_full(import(&user, "", &["F"]));
    // An import counts what it would create, not what it would skip or is there already.
    import(&user, "", &["D", "E", "D"]).expect(200);
    user.delete(&format!("/api/contacts/{}", ids[3])).send().expect(204);
    let answer =
        user.post("/api/contacts/import", &json!([{ "first_name": "F" }, { "last_name": 5 }])).send().expect(200);
    assert_eq!((&answer.json()["created"], &answer.json()["skipped"]), (&json!(1), &json!(1)));
}

#[test]
fn many_creates_at_once_do_not_pass_the_limit() {
    let database = database();
    let server = Setup::on(&database).with("MAX_CONTACTS", "40").with("WRITE_WORKERS", "16").ready();
    let user = server.client().new_user("a@example.com");
    for room in [40, 3, 1] {
        let ids = user.get("/api/contacts").send().json();
        for contact in ids.as_array().unwrap().iter().take(room) {
            user.delete(&format!("/api/contacts/{}", contact["id"])).send().expect(204);
        }
        let statuses: Vec<_> = thread::scope(|scope| {
            let clients: Vec<_> =
                (0..16).map(|_| scope.spawn(|| [(); 4].map(|()| create(&user, "A").status))).collect();
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
        });
        let count = |status| statuses.iter().filter(|s| **s == status).count();
        assert_eq!((count(201), count(409)), (room, 64 - room), "{statuses:?}");
        assert_eq!(names(&user).len(), 40);
    }
}

#[test]
fn a_full_address_book_is_counted_afresh_whichever_instance_made_room() {
    let database = database();
    let setup = Setup::on(&database).with("MAX_CONTACTS", "3");
    let (here, there) = (setup.ready(), setup.ready());
    let user = here.client().new_user("a@example.com");
    let ids: Vec<_> = (0..3).map(|_| user.new_contact(&json!({ "first_name": "A" }))).collect();
    is_full(create(&at(&there, &user), "B"));
    user.delete(&format!("/api/contacts/{}", ids[0])).send().expect(204);
    create(&at(&there, &user), "B").expect(201);
    is_full(create(&user, "C"));
    let setup = setup.with("MAX_CONTACTS", "0");
    create(&at(&setup.ready(), &user), "D").expect(201);
}

#[test]
fn a_create_counts_no_contacts_but_once_a_minute() {
    let (server, database) = crate::support::server::Server::with_database();
    let user = server.client().new_user("a@example.com");
    create(&user, "A").expect(201);
    let mut client = database.client();
    // Reads of the index that a count goes by: the statistics come late, so a count would be seen at the end at the latest.
    let mut scans = || -> i64 {
        let sum =
            "select coalesce(sum(idx_scan), 0)::bigint from pg_stat_user_indexes where indexrelname = 'contacts_pkey'";
        client.query_one(sum, &[]).unwrap().get(0)
    };
    thread::sleep(std::time::Duration::from_secs(2));
    let before = scans();
    for _ in 0..200 {
        create(&user, "A").expect(201);
    }
    thread::sleep(std::time::Duration::from_secs(2));
    let after = scans();
    assert!(after - before < 20, "{before} {after}");
}

#[test]
fn requests_beyond_the_rate_are_refused_and_every_answer_tells_what_is_left() {
    let database = database();
    let server = Setup::on(&database).with("RATE_LIMIT", "6").ready();
    let (user, other) = (server.client().new_user("a@example.com"), server.client().new_user("b@example.com"));
    let told = |answer: &Answer| {
        ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
            .map(|name| answer.header(name).unwrap_or_else(|| panic!("{name}: {answer:?}")).parse::<u64>().unwrap())
    };
    for (remaining, (path, status)) in
        [(5, ("/api/contacts", 200)), (4, ("/api/contacts/1", 404)), (3, ("/api/contacts/x", 422))]
    {
        let answer = user.get(path).send().expect(status);
        let [limit, left, reset] = told(&answer);
        assert_eq!((limit, left), (6, remaining));
        assert!(((6 - remaining) * 10 - 3..=(6 - remaining) * 10).contains(&reset), "{reset}");
    }
    assert_eq!(told(&create(&user, "A").expect(201))[1], 2);
    assert_eq!(told(&user.request("HEAD", "/api/users/me").send().expect(200))[1], 1);
    user.get("/api/contacts").send().expect(200);
    for path in ["/api/contacts", "/api/contacts/export"] {
        let answer = user.get(path).send().expect(429);
        assert_eq!(told(&answer)[1], 0);
        let wait: u64 = answer.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..=10).contains(&wait), "{wait}");
    }
    assert_eq!(told(&other.get("/api/contacts").send().expect(200))[1], 5);
    // Without a token there is no user to count for.
    for _ in 0..20 {
        assert_eq!(server.client().get("/livez").send().expect(200).header("RateLimit-Limit"), None);
        server.client().get("/api/contacts").send().expect(401);
    }
    // By default there is no limit and no such header.
    let answer = shared().user().get("/api/contacts").send().expect(200);
    assert_eq!(answer.header("RateLimit-Limit"), None);
}

#[test]
fn a_login_beyond_a_hundred_sessions_ends_the_one_least_recently_used() {
    let (here, there, database) = two_instances();
    let oldest = here.client().new_user("a@example.com");
    let refreshed = here.client().login("a@example.com", "123456");
    let mut client = database.client();
    client
        .batch_execute(
            "update sessions set last_used_at = now() - interval '2 days' where created_at = (select min(created_at) from sessions);
             update sessions set last_used_at = now() - interval '1 day' where created_at = (select max(created_at) from sessions);
             insert into sessions (user_id, last_used_at)
             select id, now() - n * interval '1 minute' from users, generate_series(1, 98) as n",
        )
        .unwrap();
    let count = |user: &Client| user.get("/api/auth/sessions").send().expect(200).json().as_array().unwrap().len();
    assert_eq!(count(&oldest), 100);
    let new = here.client().login("a@example.com", "123456");
    assert_eq!(count(&new), 100);
    assert!(!is_alive(&oldest), "here at once");
    eventually("there within a second", || !is_alive(&at(&there, &oldest)));
    assert!(is_alive(&refreshed));
    // Too many from before there was a limit end with the next login; a wrong password ends none.
    client
        .batch_execute(
            "insert into sessions (user_id, last_used_at) select id, now() from users, generate_series(1, 500)",
        )
        .unwrap();
    let wrong = json!({ "email": "a@example.com", "password": "wrong!" });
    here.client().post("/api/auth/login", &wrong).send().expect(401);
    assert!(is_alive(&refreshed));
    let last = here.client().login("a@example.com", "123456");
    assert_eq!(count(&last), 100);
    assert!(!is_alive(&refreshed));
}

#[test]
fn bodies_about_accounts_are_small() {
    let shared = shared();
    let user = shared.user();
    let padded = |bytes: usize| {
        let mut body = json!({ "email": "nobody@example.com", "password": "123456", "pad": "" }).to_string();
        body.insert_str(body.len() - 2, &"x".repeat(bytes - body.len()));
        body
    };
    for (method, path) in [
        ("POST", "/api/auth/signup"),
        ("POST", "/api/auth/login"),
        ("POST", "/api/auth/refresh_token"),
        ("POST", "/api/auth/logout"),
        ("PATCH", "/api/users/me"),
        ("PUT", "/api/users/me/password"),
        ("DELETE", "/api/users/me"),
    ] {
        let send =
            |bytes| user.request(method, path).header("Content-Type", "application/json").body(padded(bytes)).send();
        send((16 << 10) + 1).expect(413);
        if path != "/api/auth/logout" {
            assert_ne!(send(16 << 10).status, 413, "{method} {path}");
        }
    }
}

#[test]
fn a_small_file_is_sent_whole_and_a_large_one_as_it_is_made() {
    let shared = shared();
    let user = shared.user();
    let address =
        user.post("/api/contacts/calendar", &json!({})).send().expect(201).json()["url"].as_str().unwrap().to_owned();
    let feed = &address[address.find("/api/calendar").unwrap()..];
    let file = |more: &str, number: usize| -> String {
        (0..number)
            .map(|n| format!("BEGIN:VCARD\r\nVERSION:4.0\r\nFN:A{n}\r\nBDAY:19900101\r\nNOTE:{more}\r\nEND:VCARD\r\n"))
            .collect()
    };
    let import = |file: String| {
        user.request("POST", "/api/contacts/import").header("Content-Type", "text/vcard").body(file).send()
    };
    let paths = [
        "/api/contacts/export?format=json",
        "/api/contacts/export?format=csv",
        "/api/contacts/export?format=vcf",
        feed,
    ];
    let check = |is_small: bool| {
        for path in paths {
            let answer = user.get(path).send().expect(200);
            let length = answer.body.len().to_string();
            assert_eq!(answer.header("Content-Length"), is_small.then_some(length.as_str()), "{path}");
            assert_eq!(answer.header("Transfer-Encoding"), (!is_small).then_some("chunked"), "{path}");
            let head = user.request("HEAD", path).send().expect(200);
            assert_eq!(head.header("Content-Length"), answer.header("Content-Length"), "{path}");
            assert_eq!(answer.body.len() <= 1 << 20, is_small, "{path}");
        }
    };
    check(true);
    import(file("", 450)).expect(200);
    check(true);
    import(file(&"x".repeat(150), 6_000)).expect(200);
    check(false);
}

#[test]
fn an_address_that_is_taken_has_a_type_of_its_own() {
    let shared = shared();
    let email = unused_email();
    shared.client().new_user(&email);
    let body = json!({ "username": "A", "email": email, "password": "123456" });
    let answer = shared.client().post("/api/auth/signup", &body).send().expect(409);
    assert_eq!(answer.json()["type"], "urn:contactd:email-taken");
}
