//! One contact: made, read, written anew, changed, deleted, and kept from everybody else.

use std::collections::BTreeSet;
use std::sync::Barrier;

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::shared::shared;

fn whole() -> Value {
    json!({
        "first_name": "Іван",
        "last_name": "Франко",
        "email": "Ivan.Franko@Gmail.com",
        "phone_number": "+38 (050) 123-45-67",
        "birthday": "1990-05-17",
        "additional_info": "Line one\nLine two\tand a tab",
    })
}

const OPTIONAL: [&str; 5] = ["last_name", "email", "phone_number", "birthday", "additional_info"];

fn path(id: i64) -> String {
    format!("/api/contacts/{id}")
}

fn etag(answer: &Answer) -> String {
    answer.header("ETag").expect("an ETag").to_owned()
}

#[test]
fn a_contact_is_read_as_it_was_made() {
    let shared = shared();
    let user = shared.user();
    let made = user.post("/api/contacts", &whole()).send().expect(201);
    assert_eq!(made.header("Content-Type"), Some("application/json"));
    let contact = made.json();
    let id = contact["id"].as_i64().unwrap();
    assert_eq!(made.header("Location"), Some(path(id).as_str()));
    for (name, value) in whole().as_object().unwrap() {
        assert_eq!(&contact[name], value, "{name}");
    }
    assert_eq!(contact["created_at"], contact["updated_at"]);
    let read = user.get(path(id)).send().expect(200);
    assert_eq!(read.json(), contact);
    assert_eq!(etag(&read), etag(&made));
    let list = user.get("/api/contacts").send().expect(200).json();
    assert_eq!(list, json!([contact]));
}

#[test]
fn text_is_trimmed_and_kept_in_nfc_and_what_is_empty_is_null() {
    let shared = shared();
    let user = shared.user();
    let draft = json!({
        "first_name": "  Jose\u{301} \u{a0}",
        "last_name": "\tA\u{30a}ngström\n",
        "email": "  a@example.com ",
        "phone_number": "   ",
        "additional_info": " \n two\n lines \n",
        "birthday": "",
    });
    let contact = user.post("/api/contacts", &draft).send().expect(201).json();
    assert_eq!(contact["first_name"], "Jos\u{e9}");
    assert_eq!(contact["last_name"], "\u{c5}ngström");
    assert_eq!(contact["email"], "a@example.com");
    assert_eq!(contact["phone_number"], Value::Null);
    assert_eq!(contact["additional_info"], "two\n lines");
    assert_eq!(contact["birthday"], Value::Null);
    let id = user.new_contact(&json!({ "first_name": "A", "last_name": null }));
    let bare = user.get(path(id)).send().expect(200).json();
    for name in OPTIONAL {
        assert_eq!(bare.get(name), Some(&Value::Null), "{name}");
    }
}

#[test]
fn lengths_are_counted_in_characters_after_trimming() {
    let shared = shared();
    let user = shared.user();
    for (field, most) in [("first_name", 100), ("last_name", 100), ("phone_number", 40), ("additional_info", 5000)] {
        for (letter, count, status) in [
            ("x", most, 201),
            ("x", most + 1, 422),
            ("Є", most, 201),
            ("Є", most + 1, 422),
            ("😀", most, 201),
            ("e\u{301}", most, 201),
        ] {
            let mut draft = json!({ "first_name": "A" });
            draft[field] = json!(format!("  {}  ", letter.repeat(count)));
            let answer = user.post("/api/contacts", &draft).send();
            assert_eq!(answer.status, status, "{field} {count} × {letter}: {}", answer.text());
            if status == 422 {
                assert_eq!(answer.faults(), [field]);
            } else {
                let kept = answer.json()[field].as_str().unwrap().chars().count();
                assert_eq!(kept, count);
            }
        }
    }
    let longest = format!("{}@{}.example", "x".repeat(64), "y".repeat(60));
    assert!(longest.len() < 254);
    for (email, status) in [
        (longest.as_str(), 201),
        ("plain@example.com", 201),
        ("пошта@приклад.укр", 201),
        ("a.b+c@d-e.co", 201),
        ("no-at.example.com", 422),
        ("a@b", 422),
        ("a b@example.com", 422),
        ("a@exa mple.com", 422),
        (".a@example.com", 422),
        ("a..b@example.com", 422),
        ("a@-example.com", 422),
        ("a@example..com", 422),
        ("a@example.com\u{0}", 422),
        ("<a@example.com>", 422),
    ] {
        let draft = json!({ "first_name": "A", "email": email });
        let answer = user.post("/api/contacts", &draft).send();
        assert_eq!(answer.status, status, "{email:?}: {}", answer.text());
    }
}

#[test]
fn a_birthday_is_a_date_from_1900_to_tomorrow() {
    let shared = shared();
    let user = shared.user();
    let day = |days: i64| {
        let date = chrono::Utc::now().date_naive() + chrono::Duration::days(days);
        date.to_string()
    };
    let (today, later) = (day(0), day(3));
    for (birthday, status) in [
        ("1900-01-01", 201),
        ("2000-02-29", 201),
        (today.as_str(), 201),
        ("1899-12-31", 422),
        (later.as_str(), 422),
        ("2001-02-29", 422),
        ("1900-02-29", 422),
        ("2001-2-3", 422),
        ("20010203", 422),
        ("2001-02-03T00:00:00Z", 422),
        ("03.02.2001", 422),
        ("+2001-02-03", 422),
        ("２００１-02-03", 422),
    ] {
        let draft = json!({ "first_name": "A", "birthday": birthday });
        let answer = user.post("/api/contacts", &draft).send();
        assert_eq!(answer.status, status, "{birthday}: {}", answer.text());
        if status == 201 {
            assert_eq!(answer.json()["birthday"], birthday);
        } else {
            assert_eq!(answer.faults(), ["birthday"]);
        }
    }
}

#[test]
fn put_writes_the_whole_contact_anew() {
    let shared = shared();
    let user = shared.user();
    let made = user.post("/api/contacts", &whole()).send().expect(201);
    let id = made.json()["id"].as_i64().unwrap();
    let put = user.put(&path(id), &json!({ "first_name": "Леся", "email": "l@example.com" }));
    let put = put.send().expect(200);
    let contact = put.json();
    assert_eq!(contact["first_name"], "Леся");
    assert_eq!(contact["email"], "l@example.com");
    for name in ["last_name", "phone_number", "birthday", "additional_info"] {
        assert_eq!(contact[name], Value::Null, "{name}");
    }
    assert_eq!(contact["id"], id);
    assert_eq!(contact["created_at"], made.json()["created_at"]);
    assert_ne!(etag(&put), etag(&made));
    let read = user.get(path(id)).send().expect(200);
    assert_eq!(read.json(), contact);
    assert_eq!(etag(&read), etag(&put));
    // It is found by what it is now, and not by what it was.
    let found = |query: &str| user.get(format!("/api/contacts?{query}")).send().names();
    assert_eq!(found("first_name=леся"), ["Леся"]);
    assert_eq!(found("first_name=іван"), [""; 0]);
    assert_eq!(found("phone_number=0501234"), [""; 0]);
    let nothing = user.put(&path(id), &json!({ "last_name": "X" })).send();
    assert_eq!(nothing.expect(422).faults(), ["first_name"]);
}

#[test]
fn patch_changes_what_it_names_and_nothing_else() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&whole());
    let patch = |changes: Value, kind: &str| {
        let request = user.request("PATCH", path(id));
        let request = request.header("Content-Type", kind);
        request.body(changes.to_string()).send()
    };
    let mut expected = user.get(path(id)).send().json();
    for (field, value) in [
        ("first_name", json!("Петро")),
        ("last_name", json!("Мельник")),
        ("email", json!("p@example.com")),
        ("phone_number", json!("067 1")),
        ("birthday", json!("2000-02-29")),
        ("additional_info", json!("x")),
        ("last_name", Value::Null),
        ("email", json!("")),
        ("phone_number", json!("  ")),
        ("birthday", Value::Null),
        ("additional_info", Value::Null),
        ("last_name", json!("Back")),
    ] {
        for kind in ["application/merge-patch+json", "application/json"] {
            let changed = patch(json!({ field: value }), kind).expect(200).json();
            let cleared = value.as_str().is_some_and(|text| text.trim().is_empty());
            expected[field] = if cleared { Value::Null } else { value.clone() };
            expected["updated_at"] = changed["updated_at"].clone();
            assert_eq!(changed, expected, "{field} = {value}");
            assert_eq!(user.get(path(id)).send().json(), expected);
        }
    }
    let unchanged = patch(json!({}), "application/merge-patch+json").expect(200).json();
    expected["updated_at"] = unchanged["updated_at"].clone();
    assert_eq!(unchanged, expected);
    for required in [Value::Null, json!(""), json!("   ")] {
        let answer = patch(json!({ "first_name": required, "last_name": "Lost" }), "application/json");
        assert_eq!(answer.expect(422).faults(), ["first_name"]);
    }
    assert_eq!(user.get(path(id)).send().json(), expected);
}

/// The search key is put together in SQL from parts that change and parts that stay: every combination must come out right.
#[test]
fn what_a_patch_changed_is_found_and_what_it_did_not_is_found_still() {
    let shared = shared();
    let user = shared.user();
    let fields = ["first_name", "last_name", "email", "phone_number"];
    let old = ["Oldfirst", "Oldlast", "old@example.com", "111 222"];
    let new = ["Éwfirst", "Ñewlast", "new@example.com", "+3 (33) 4"];
    let needles = [["oldfirst", "ewfirst"], ["oldlast", "newlast"], ["old@", "NEW@"], ["111222", "3334"]];
    for chosen in 0..16_u8 {
        let id = user.new_contact(&json!({
            "first_name": old[0], "last_name": old[1], "email": old[2], "phone_number": old[3],
        }));
        let is_chosen = |n: usize| chosen >> n & 1 == 1;
        let mut changes = json!({});
        for n in (0..4).filter(|n| is_chosen(*n)) {
            changes[fields[n]] = json!(new[n]);
        }
        user.patch(&path(id), &changes).send().expect(200);
        for n in 0..4 {
            let wanted = needles[n][usize::from(is_chosen(n))];
            let other = needles[n][usize::from(!is_chosen(n))];
            let found = |needle: &str| {
                let list = user.get(format!("/api/contacts?{}={needle}", fields[n])).send();
                list.expect(200).json().as_array().unwrap().len()
            };
            assert_eq!(found(wanted), 1, "{changes} {wanted}");
            assert_eq!(found(other), 0, "{changes} {other}");
        }
        user.delete(&path(id)).send().expect(204);
    }
}

#[test]
fn delete_takes_a_contact_away_once() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&whole());
    let gone = user.delete(&path(id)).send().expect(204);
    assert_eq!(gone.body, b"");
    assert_eq!(gone.header("Content-Length"), None); // RFC 9110 §8.6
    assert_eq!(gone.header("Content-Type"), None);
    user.delete(&path(id)).send().expect(404);
    user.get(path(id)).send().expect(404);
    user.put(&path(id), &whole()).send().expect(404);
    user.patch(&path(id), &json!({})).send().expect(404);
    assert_eq!(user.get("/api/contacts").send().names(), [""; 0]);
}

#[test]
fn an_id_is_a_positive_integer() {
    let shared = shared();
    let user = shared.user();
    for id in ["0", "-1", "x", "1.0", "1e3", "+1", "%201", "100000000000000000000", "١"] {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            let answer = user.request(method, format!("/api/contacts/{id}"));
            let answer = answer.json(&json!({ "first_name": "A" })).send();
            assert_eq!(answer.status, 422, "{method} {id}: {}", answer.text());
            assert_eq!(answer.faults(), ["id"], "{method} {id}");
        }
    }
    user.get("/api/contacts/9223372036854775807").send().expect(404);
}

// ------------------------------------------------------------------------------------------------ ETags and preconditions

#[test]
fn a_stale_if_match_is_412_and_changes_nothing() {
    let shared = shared();
    let user = shared.user();
    let made = user.post("/api/contacts", &whole()).send().expect(201);
    let id = made.json()["id"].as_i64().unwrap();
    let first = etag(&made);
    let body = json!({ "first_name": "Second" });
    let try_with = |method: &str, condition: &str| {
        let request = user.request(method, path(id)).json(&body);
        request.header("If-Match", condition).send()
    };
    let second = etag(&try_with("PATCH", &first).expect(200));
    assert_ne!(first, second);
    let weak = format!("W/{second}");
    let bare = second.trim_matches('"').to_owned();
    for stale in [first.as_str(), "\"\"", "\"x\"", &weak, &bare, "\"99999999999999999999\"", "\"-1\"", "\"02\"", ""] {
        for method in ["PUT", "PATCH", "DELETE"] {
            let answer = try_with(method, stale);
            assert_eq!(answer.status, 412, "{method} {stale:?}: {}", answer.text());
        }
    }
    let now = user.get(path(id)).send();
    assert_eq!(etag(&now), second);
    assert_eq!(now.names_of_one(), "Second");
    // The current one among others, in one line and in several; any.
    let third = etag(&try_with("PUT", &format!("{first}, \"x\" ,{second}")).expect(200));
    let lines = user.request("PATCH", path(id)).json(&body);
    let lines = lines.header("If-Match", &first).header("If-Match", &third);
    let fourth = etag(&lines.send().expect(200));
    let fifth = etag(&try_with("PATCH", "*").expect(200));
    assert_eq!(BTreeSet::from([&first, &second, &third, &fourth, &fifth]).len(), 5);
    try_with("DELETE", &fourth).expect(412);
    try_with("DELETE", &fifth).expect(204);
}

impl Answer {
    fn names_of_one(&self) -> String {
        self.json()["first_name"].as_str().expect("a name").to_owned()
    }
}

#[test]
fn a_contact_that_is_not_there_is_404_whatever_the_condition() {
    let shared = shared();
    let user = shared.user();
    for condition in ["*", "\"1\"", "W/\"1\"", "nonsense"] {
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            for header in ["If-Match", "If-None-Match"] {
                let request = user.request(method, "/api/contacts/9999999999");
                let request = request.json(&json!({ "first_name": "A" }));
                request.header(header, condition).send().expect(404);
            }
        }
    }
}

#[test]
fn a_contact_that_the_client_knows_is_304_without_a_body() {
    let shared = shared();
    let user = shared.user();
    let made = user.post("/api/contacts", &whole()).send().expect(201);
    let id = made.json()["id"].as_i64().unwrap();
    let current = etag(&made);
    let ask = |method: &str, condition: &str| {
        let request = user.request(method, path(id));
        request.header("If-None-Match", condition).send()
    };
    for known in [
        current.clone(),
        "*".to_owned(),
        format!("W/{current}"),
        format!("\"x\", W/{current}"),
        format!("{current},\"x\""),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = ask(method, &known).expect(304);
            assert_eq!(answer.body, b"", "{known}");
            // A length here would be that of the contact (RFC 9110 §8.6), not of nothing.
            assert_eq!(answer.header("Content-Length"), None, "{known}");
            assert_eq!(answer.header("Transfer-Encoding"), None, "{known}");
            assert_eq!(answer.header("Content-Type"), None, "{known}");
            assert_eq!(etag(&answer), current);
            assert_eq!(answer.header("Cache-Control"), Some("private, no-cache"));
        }
    }
    let lines = user.get(path(id)).header("If-None-Match", "\"x\"");
    lines.header("If-None-Match", &current).send().expect(304);
    for unknown in ["\"x\"", "", "W/\"77\"", current.trim_matches('"')] {
        let answer = ask("GET", unknown).expect(200);
        assert_eq!(answer.json(), made.json());
    }
    user.patch(&path(id), &json!({ "last_name": "New" })).send().expect(200);
    let fresh = ask("GET", &current).expect(200);
    assert_eq!(fresh.json()["last_name"], "New");
    assert_ne!(etag(&fresh), current);
}

#[test]
fn of_fifty_changes_of_one_version_one_is_made() {
    let shared = shared();
    let user = shared.user();
    let made = user.post("/api/contacts", &whole()).send().expect(201);
    let id = made.json()["id"].as_i64().unwrap();
    let version = etag(&made);
    let start = Barrier::new(50);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..50)
            .map(|n| {
                let (user, start, version) = (&user, &start, &version);
                scope.spawn(move || {
                    let change = json!({ "last_name": format!("Client {n}") });
                    let request = user.patch(&path(id), &change);
                    let request = request.header("If-Match", version);
                    start.wait();
                    request.send()
                })
            })
            .collect();
        let answers = clients.into_iter().map(|client| client.join().unwrap());
        answers.collect()
    });
    let with = |status: u16| answers.iter().filter(move |a| a.status == status);
    assert_eq!(with(200).count(), 1);
    assert_eq!(with(412).count(), 49);
    let winner = with(200).next().unwrap();
    let read = user.get(path(id)).send().expect(200);
    assert_eq!(read.json(), winner.json());
    assert_eq!(etag(&read), etag(winner));
}

/// Without a condition nothing of two changes to different fields is lost.
#[test]
fn changes_of_different_fields_at_the_same_moment_are_all_made() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let values = [("last_name", "B"), ("email", "c@example.com"), ("phone_number", "4"), ("additional_info", "E")];
    std::thread::scope(|scope| {
        for (field, value) in values {
            let user = &user;
            scope.spawn(move || {
                for _ in 0..5 {
                    user.patch(&path(id), &json!({ field: value })).send().expect(200);
                }
            });
        }
    });
    let contact = user.get(path(id)).send().expect(200).json();
    for (field, value) in values {
        assert_eq!(contact[field], value, "{field}");
    }
    let query = "/api/contacts?first_name=a&last_name=b&email=c@&phone_number=4";
    assert_eq!(user.get(query).send().names(), ["A"]);
}

// -------------------------------------------------------------------------------------------------- whose contacts are whose

/// The whole answer, without what differs between any two answers.
fn without_request_id(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut headers = answer.headers.clone();
    headers.retain(|(name, _)| name != "X-Request-Id" && name != "Date");
    let mut body = answer.json();
    body.as_object_mut().unwrap().remove("request_id");
    (answer.status, headers, body)
}

#[test]
fn another_users_contact_is_the_same_404_as_none() {
    let shared = shared();
    let (owner, stranger) = (shared.user(), shared.user());
    let id = owner.new_contact(&whole());
    let before = owner.get(path(id)).send().expect(200);
    let deleted = stranger.new_contact(&whole());
    stranger.delete(&path(deleted)).send().expect(204);
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        for condition in [None, Some("*"), Some("\"1\""), Some("\"9\"")] {
            let ask = |id: i64| {
                let request = stranger.request(method, path(id));
                let request = request.json(&json!({ "first_name": "Mine now" }));
                let request = match condition {
                    Some(tag) => request.header("If-Match", tag).header("If-None-Match", tag),
                    None => request,
                };
                request.send().expect(404)
            };
            let theirs = without_request_id(&ask(id));
            for missing in [deleted, i64::MAX] {
                assert_eq!(theirs, without_request_id(&ask(missing)), "{method}");
            }
        }
    }
    for list in [
        "/api/contacts",
        "/api/contacts?q=франко",
        "/api/contacts?sort=-email",
        "/api/contacts/upcoming_birthdays?days=366",
    ] {
        let answer = stranger.get(list).send().expect(200);
        assert_eq!(answer.names(), [""; 0], "{list}");
    }
    let count = stranger.get("/api/contacts?count=true").send();
    assert_eq!(count.header("X-Total-Count"), Some("0"));
    let after = owner.get(path(id)).send().expect(200);
    assert_eq!((after.json(), etag(&after)), (before.json(), etag(&before)));
}

#[test]
fn ids_are_unique_over_all_users() {
    let shared = shared();
    let users = [shared.user(), shared.user(), shared.user()];
    let mut ids: Vec<i64> = std::thread::scope(|scope| {
        let threads: Vec<_> = users.iter().map(|user| scope.spawn(|| make_contacts(user, 20))).collect();
        let made = threads.into_iter().map(|thread| thread.join().unwrap());
        made.flatten().collect()
    });
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 60);
}

fn make_contacts(user: &Client, count: usize) -> Vec<i64> {
    let one = || user.new_contact(&json!({ "first_name": "A" }));
    (0..count).map(|_| one()).collect()
}

/// An ETag must not die for nothing.
#[test]
fn a_patch_that_changes_no_field_leaves_the_version_as_it_is() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let path = format!("/api/contacts/{id}");
    for body in [json!({}), json!({ "id": 5, "nonsense": true })] {
        let answer = user.patch(&path, &body).send();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("ETag"), Some("\"1\""));
    }
    let stale = user.patch(&path, &json!({})).header("If-Match", "\"7\"").send();
    assert_eq!(stale.status, 412);
}
