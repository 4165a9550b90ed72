//! The trash: a contact that was deleted can come back, for 30 days, and counts nowhere meanwhile.

use std::sync::Barrier;
use std::thread;

use chrono::{DateTime, Utc};
use contactd::store::Store;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::database::Database;
use crate::support::server::{Server, Setup, database};
use crate::support::shared::shared;

const TRASH: &str = "/api/contacts/trash";

fn trash(user: &Client) -> Vec<Value> {
    user.get(TRASH).send().expect(200).json().as_array().unwrap().clone()
}

fn names(user: &Client) -> Vec<String> {
    user.get(TRASH).send().expect(200).names()
}

fn restore(user: &Client, id: i64) -> Answer {
    user.request("POST", format!("{TRASH}/{id}/restore")).send()
}

fn restore_after(user: &Client, instant: &str) -> Answer {
    user.request("POST", format!("{TRASH}/restore?deleted_after={instant}")).send()
}

fn delete(user: &Client, id: i64) {
    user.delete(&format!("/api/contacts/{id}")).send().expect(204);
}

/// A contact that was deleted at once.
fn deleted(user: &Client, name: &str) -> i64 {
    let id = user.new_contact(&json!({ "first_name": name }));
    delete(user, id);
    id
}

/// When a contact was deleted, to the microsecond.
pub fn deleted_at(database: &Database, id: i64) -> String {
    let exactly =
        "select to_char(deleted_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') from trash where id = $1";
    database.client().query_one(exactly, &[&id]).unwrap().get(0)
}

/// Without what a restoration changes.
fn lasting(contact: &Value) -> Value {
    let mut contact = contact.clone();
    contact.as_object_mut().unwrap().retain(|name, _| !["updated_at", "deleted_at"].contains(&name.as_str()));
    contact
}

#[test]
fn a_deleted_contact_comes_back_with_its_id_and_all_that_was_in_it() {
    let shared = shared();
    let (user, other) = (shared.user(), shared.user());
    let draft = json!({
        "first_name": "Іван", "last_name": "Франко", "email": "ivan@example.com", "phone_number": "+38 (050) 123-45-67",
        "birthday": "1996-02-29", "additional_info": "A note",
    });
    let made = user.post("/api/contacts", &draft).send().expect(201).json();
    let id = made["id"].as_i64().unwrap();
    let path = format!("/api/contacts/{id}");
    assert_eq!(trash(&user), [] as [Value; 0]);
    delete(&user, id);
    // It is nowhere but in the trash of its user.
    user.get(&path).send().expect(404);
    for list in ["/api/contacts", "/api/contacts?q=1234567", "/api/contacts/export", "/api/contacts?sort=last_name"] {
        assert_eq!(user.get(list).send().expect(200).json(), json!([]), "{list}");
    }
    let birthdays = "/api/contacts/upcoming_birthdays?today=2027-02-28";
    assert_eq!(user.get(birthdays).send().expect(200).json(), json!([]));
    let kept = trash(&user);
    assert_eq!(kept.len(), 1);
    assert_eq!(lasting(&kept[0]), lasting(&made));
    let deleted_at: DateTime<Utc> = kept[0]["deleted_at"].as_str().unwrap().parse().unwrap();
    assert!((Utc::now() - deleted_at).num_seconds() < 60, "{deleted_at}");
    assert_eq!(trash(&other), [] as [Value; 0]);
    restore(&other, id).expect(404);
    other.delete(&format!("{TRASH}/{id}")).send().expect(404);
    // It comes back as it was, at a new version, and is found in every way.
    let back = restore(&user, id).expect(200);
    assert_eq!(lasting(&back.json()), lasting(&made));
    assert_eq!(back.header("ETag"), Some("\"2\""));
    assert_eq!(trash(&user), [] as [Value; 0]);
    for found in ["/api/contacts", "/api/contacts?q=1234567", "/api/contacts?q=франко%20іван"] {
        assert_eq!(user.get(found).send().expect(200).json(), json!([back.json()]), "{found}");
    }
    assert_eq!(user.get(birthdays).send().expect(200).json()[0]["id"], id);
    user.put(&path, &draft).header("If-Match", "\"1\"").send().expect(412);
    user.put(&path, &draft).header("If-Match", "\"2\"").send().expect(200);
    // And may go again.
    restore(&user, id).expect(404);
    delete(&user, id);
    assert_eq!(restore(&user, id).expect(200).header("ETag"), Some("\"4\""));
}

#[test]
fn a_condition_that_fails_leaves_the_contact_where_it_is() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&json!({ "first_name": "A" }));
    user.delete(&format!("/api/contacts/{id}")).header("If-Match", "\"7\"").send().expect(412);
    user.delete(&format!("/api/contacts/{}", id + 1_000_000)).send().expect(404);
    assert_eq!(trash(&user), [] as [Value; 0]);
    user.delete(&format!("/api/contacts/{id}")).header("If-Match", "\"7\", \"1\"").send().expect(204);
    user.delete(&format!("/api/contacts/{id}")).send().expect(404);
    assert_eq!(names(&user), ["A"]);
}

#[test]
fn the_latest_deletion_comes_first_and_pages_go_by_number() {
    let shared = shared();
    let user = shared.user();
    for name in ["A", "B", "C", "D"] {
        deleted(&user, name);
    }
    assert_eq!(names(&user), ["D", "C", "B", "A"]);
    let page = |query: &str| user.get(format!("{TRASH}/?{query}")).send();
    assert_eq!(page("skip=1&limit=2").expect(200).names(), ["C", "B"]);
    assert_eq!(page("skip=4").expect(200).names(), [] as [&str; 0]);
    assert_eq!(page("skip=1000000000").expect(200).names(), [] as [&str; 0]);
    assert_eq!(page("skip=-1&limit=0").expect(422).faults(), ["skip", "limit"]);
}

#[test]
fn what_a_script_deleted_comes_back_at_once() {
    let shared = shared();
    let (user, other) = (shared.user(), shared.user());
    let old = deleted(&user, "Old");
    let before = Utc::now().format("%FT%T%.6fZ").to_string();
    let kept = user.new_contact(&json!({ "first_name": "Kept" }));
    let ids: Vec<_> = (0..5).map(|_| deleted(&user, "Mistake")).collect();
    deleted(&other, "Theirs");
    assert_eq!(restore_after(&other, &Utc::now().to_rfc3339().replace('+', "%2B")).expect(200).json()["restored"], 0);
    assert_eq!(restore_after(&user, &before).expect(200).json(), json!({ "restored": 5 }));
    let there: Vec<_> =
        user.get("/api/contacts").send().json().as_array().unwrap().iter().map(|c| c["id"].clone()).collect();
    assert_eq!(there, [vec![json!(kept)], ids.iter().map(|id| json!(id)).collect()].concat());
    assert_eq!(trash(&user).iter().map(|c| c["id"].clone()).collect::<Vec<_>>(), [json!(old)]);
    assert_eq!(restore_after(&user, &before).expect(200).json(), json!({ "restored": 0 }));
    assert_eq!(names(&other), ["Theirs"]);
    // The instant itself is not included.
    assert_eq!(restore_after(&user, &deleted_at(&shared.database, old)).expect(200).json()["restored"], 0);
    assert_eq!(restore_after(&user, "0000-01-01T00:00:00Z").expect(200).json()["restored"], 1);
}

#[test]
fn an_instant_that_is_none_is_refused() {
    let shared = shared();
    let user = shared.user();
    let id = deleted(&user, "A");
    for wrong in [
        "",
        "yesterday",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-02-30T00:00:00Z",
        "0",
        "2026-01-02T03:04:05+02:00",
        "%00",
        "%ff",
    ] {
        assert_eq!(restore_after(&user, wrong).expect(422).faults(), ["deleted_after"], "{wrong}");
    }
    assert_eq!(user.request("POST", format!("{TRASH}/restore")).send().expect(422).faults(), ["deleted_after"]);
    for right in ["9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999999999%2B23:59", "2999-01-02t03:04:05z"] {
        assert_eq!(restore_after(&user, right).expect(200).json()["restored"], 0, "{right}");
    }
    restore(&user, id).expect(200);
    for wrong in ["0", "-1", "x", "99999999999999999999", "1%00"] {
        user.request("POST", format!("{TRASH}/{wrong}/restore")).send().expect(422);
        user.delete(&format!("{TRASH}/{wrong}")).send().expect(422);
    }
    user.get(format!("{TRASH}/restore")).send().expect(405);
    user.get(format!("{TRASH}/{id}")).send().expect(405);
    user.delete(&format!("{TRASH}/restore")).send().expect(405);
}

#[test]
fn only_who_says_so_empties_the_trash() {
    let shared = shared();
    let (user, other) = (shared.user(), shared.user());
    let ids: Vec<_> = ["A", "B", "C"].iter().map(|name| deleted(&user, name)).collect();
    deleted(&other, "Theirs");
    for query in ["", "?", "?all", "?all=", "?all=false", "?all=TRUE", "?all=1", "?all=yes", "?id=1", "/?all=%20true"] {
        assert_eq!(user.delete(&format!("{TRASH}{query}")).send().expect(422).faults(), ["all"], "{query}");
    }
    assert_eq!(names(&user), ["C", "B", "A"]);
    user.delete(&format!("{TRASH}/{}", ids[1])).send().expect(204);
    user.delete(&format!("{TRASH}/{}", ids[1])).send().expect(404);
    restore(&user, ids[1]).expect(404);
    assert_eq!(names(&user), ["C", "A"]);
    for _ in 0..2 {
        user.delete(&format!("{TRASH}?all=true")).send().expect(204);
        assert_eq!(names(&user), [] as [&str; 0]);
    }
    restore(&user, ids[0]).expect(404);
    assert_eq!(names(&other), ["Theirs"]);
}

#[test]
fn it_counts_in_no_quota_and_is_no_duplicate() {
    let database = database();
    let server = Setup::on(&database).with("MAX_CONTACTS", "3").ready();
    let user = server.client().new_user("a@example.com");
    let first = deleted(&user, "A");
    let full = |answer: Answer| assert_eq!(answer.expect(409).json()["type"], "urn:contactd:address-book-full");
    let import = json!([{ "first_name": "A" }, { "first_name": "B" }, { "first_name": "C" }]);
    let report = user.post("/api/contacts/import", &import).send().expect(200).json();
    assert_eq!((&report["created"], &report["duplicates"]), (&json!(3), &json!(0)));
    full(restore(&user, first));
    full(restore_after(&user, "2000-01-01T00:00:00Z"));
    let there: Vec<_> = user.get("/api/contacts").send().json().as_array().unwrap().clone();
    delete(&user, there[0]["id"].as_i64().unwrap());
    // Two are in the trash, and there is room for one: all of them or none.
    full(restore_after(&user, "2000-01-01T00:00:00Z"));
    assert_eq!(names(&user), ["A", "A"]);
    restore(&user, first).expect(200);
    full(user.post("/api/contacts", &json!({ "first_name": "D" })).send());
    // It holds three at most, and the oldest give way: to the list, and to who restores.
    user.delete(&format!("{TRASH}?all=true")).send().expect(204);
    let left = user.get("/api/contacts").send().json().as_array().unwrap().clone();
    left.iter().for_each(|contact| delete(&user, contact["id"].as_i64().unwrap()));
    assert_eq!(names(&user).len(), 3);
    let oldest = left[0]["id"].as_i64().unwrap();
    let newest = deleted(&user, "E");
    assert_eq!(names(&user).len(), 3);
    assert_eq!(user.get(format!("{TRASH}?skip=2")).send().expect(200).names().len(), 1);
    assert_eq!(user.get(format!("{TRASH}?skip=3")).send().expect(200).names().len(), 0);
    restore(&user, oldest).expect(404);
    assert_eq!(restore_after(&user, "2000-01-01T00:00:00Z").expect(200).json()["restored"], 3);
    user.get(format!("/api/contacts/{newest}")).send().expect(200);
    user.get(format!("/api/contacts/{oldest}")).send().expect(404);
}

/// One deletion in a thousand looks whether there is too much.
#[test]
fn what_is_too_much_is_deleted_in_the_end() {
    let database = database();
    let server = Setup::on(&database).with("MAX_CONTACTS", "10").ready();
    let user = server.client().new_user("a@example.com");
    let mut behind = database.client();
    behind
        .batch_execute(
            "insert into trash (user_id, id, first_name, created_at, updated_at, version, search, deleted_at)
             select users.id, -n, 'T', now(), now(), 1, '', now() - make_interval(secs => n) from users, generate_series(1, 50) as n;",
        )
        .unwrap();
    assert_eq!(names(&user).len(), 10);
    let mut count = || -> i64 { behind.query_one("select count(*) from trash", &[]).unwrap().get(0) };
    let mut deletions = 0;
    while count() > 10 + 1 {
        deleted(&user, "A");
        deletions += 1;
        assert!(deletions < 20_000, "it is never deleted");
    }
    assert_eq!(names(&user).len(), 10);
}

#[test]
fn after_30_days_it_is_gone_whether_or_not_it_was_purged() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let ids: Vec<_> = ["A", "B", "C"].iter().map(|name| deleted(&user, name)).collect();
    let mut behind = database.client();
    let age = "update trash set deleted_at = now() - make_interval(secs => 30 * 86400 - $2::float8) where id = $1";
    behind.execute(age, &[&ids[0], &-1.0]).unwrap();
    behind.execute(age, &[&ids[1], &60.0]).unwrap();
    assert_eq!(names(&user), ["C", "B"]);
    restore(&user, ids[0]).expect(404);
    assert_eq!(restore_after(&user, "2000-01-01T00:00:00Z").expect(200).json()["restored"], 2);
    user.delete(&format!("{TRASH}/{}", ids[0])).send().expect(404);
    // Housekeeping takes some at a time, until none is left that is old.
    behind
        .batch_execute(
            "insert into trash (user_id, id, first_name, created_at, updated_at, version, search, deleted_at)
             select users.id, -n, 'T', now(), now(), 1, '', now() - make_interval(secs => 30 * 86400 + n)
             from users, generate_series(-1, 2500) as n where n <> 0;",
        )
        .unwrap();
    let store = Store::new(database.url().parse().unwrap(), 1);
    store.migrate().unwrap();
    store.purge().unwrap();
    let left: i64 = behind.query_one("select count(*) from trash", &[]).unwrap().get(0);
    assert!(left <= 1, "{left}");
}

#[test]
fn it_goes_with_its_user() {
    let shared = shared();
    let user = shared.user();
    let id = deleted(&user, "A");
    user.request("DELETE", "/api/users/me").json(&json!({ "password": "123456" })).send().expect(204);
    let mut behind = shared.database.client();
    let left: i64 = behind.query_one("select count(*) from trash where id = $1", &[&id]).unwrap().get(0);
    assert_eq!(left, 0);
}

/// Of many who restore the same contact, and delete it again, one does it each time; a deleted user is in nobody's way.
#[test]
fn a_contact_is_in_one_place_whoever_moves_it_at_the_same_time() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let barrier = Barrier::new(8);
    let moved: Vec<(usize, usize)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|n| {
                let (user, barrier) = (&user, &barrier);
                scope.spawn(move || {
                    let (mut there, mut back) = (0, 0);
                    barrier.wait();
                    for _ in 0..20 {
                        let answer = if n % 2 == 0 {
                            user.delete(&format!("/api/contacts/{id}")).send()
                        } else {
                            restore(user, id)
                        };
                        assert!([200, 204, 404].contains(&answer.status), "{}", answer.text());
                        there += usize::from(answer.status == 204);
                        back += usize::from(answer.status == 200);
                    }
                    (there, back)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let (there, back) = moved.iter().fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let in_trash = trash(&user).len();
    assert_eq!(there, back + in_trash, "each deletion but the last was undone once");
    let listed = user.get("/api/contacts").send().names().len();
    assert_eq!(in_trash + listed, 1);
    let version: i64 = if listed == 1 {
        user.get(format!("/api/contacts/{id}")).send().header("ETag").unwrap().trim_matches('"').parse().unwrap()
    } else {
        back as i64 + 1
    };
    assert_eq!(version, back as i64 + 1, "each restoration is a version");
}

#[test]
fn deletions_and_the_deletion_of_their_user_do_not_wait_for_each_other_in_a_circle() {
    let shared = shared();
    for _ in 0..5 {
        let user = shared.user();
        let ids: Vec<_> = (0..40).map(|_| user.new_contact(&json!({ "first_name": "A" }))).collect();
        let barrier = Barrier::new(5);
        thread::scope(|scope| {
            for part in ids.chunks(10) {
                let (user, barrier) = (&user, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    for id in part {
                        let deleted = user.delete(&format!("/api/contacts/{id}")).send().status;
                        let restored = restore(user, *id).status;
                        assert!(
                            [204, 404, 401].contains(&deleted) && [200, 404, 401].contains(&restored),
                            "{deleted} {restored}"
                        );
                    }
                });
            }
            barrier.wait();
            user.request("DELETE", "/api/users/me").json(&json!({ "password": "123456" })).send().expect(204);
        });
    }
}
