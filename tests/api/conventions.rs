//! The contract's first section: what every answer has in common, asked of every row of the table.

use std::collections::BTreeSet;

use contactd::api::routes::routes;
use contactd::http::Method;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::server::Server;
use crate::support::shared::{shared, unused_email};
use crate::table::{concrete, has_parameter, json_routes, paths, request};

const MIB: usize = 1 << 20;

/// Every error is an RFC 9457 document, whose members agree with the answer that carries it.
fn assert_problem(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("Content-Type"), Some("application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert!(problem["type"].is_string(), "{problem}");
    assert!(!problem["title"].as_str().expect("a title").is_empty(), "{problem}");
    assert_eq!(problem["status"], json!(status), "{problem}");
    assert!(!problem["detail"].as_str().expect("a detail").is_empty(), "{problem}");
    assert_eq!(problem["request_id"].as_str(), answer.header("X-Request-Id"), "{problem}");
    assert_eq!(problem.get("errors").is_some(), status == 422, "{problem}");
    if status == 422 {
        let errors = problem["errors"].as_array().expect("errors");
        assert!(!errors.is_empty());
        for error in errors {
            assert!(error["field"].is_string(), "{problem}");
            assert!(!error["detail"].as_str().expect("a detail").is_empty(), "{problem}");
        }
    }
    problem
}

/// What every answer has, error or not.
fn assert_common_headers(answer: &Answer, what: &str) {
    assert_eq!(answer.headers_named("X-Request-Id").len(), 1, "{what}: {answer:?}");
    assert_eq!(answer.headers_named("X-Content-Type-Options"), ["nosniff"], "{what}");
    for name in ["Server", "Via", "X-Powered-By"] {
        assert_eq!(answer.header(name), None, "{what}");
    }
    assert!(!(300..304).contains(&answer.status), "{what}: a redirect");
}

#[test]
fn each_kind_of_error_is_a_problem_document() {
    let shared = shared();
    let (user, nobody) = (shared.user(), shared.client());
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let one = format!("/api/contacts/{id}");
    let taken = unused_email();
    nobody.new_user(&taken);

    let not_json = user.request("POST", "/api/contacts");
    let not_json = not_json.header("Content-Type", "application/json");
    assert_problem(&not_json.body("{").send(), 400);
    let unknown = assert_problem(&nobody.get("/api/contacts").send(), 401);
    assert_eq!(unknown["title"], "Unauthorized");
    assert_problem(&nobody.get("/no/such/path").send(), 404);
    assert_problem(&user.get("/api/contacts/9999999999").send(), 404);
    assert_problem(&user.delete("/api/contacts").send(), 405);
    let again = json!({ "username": "B", "email": taken, "password": "123456" });
    assert_problem(&nobody.post("/api/auth/signup", &again).send(), 409);
    assert_problem(&user.delete(&one).header("If-Match", "\"7\"").send(), 412);
    let large = user.request("POST", "/api/contacts");
    let large = large.header("Content-Type", "application/json");
    assert_problem(&large.body(vec![b' '; MIB + 1]).send(), 413);
    let other = user.request("POST", "/api/contacts");
    let other = other.header("Content-Type", "text/plain");
    assert_problem(&other.body("{}").send(), 415);
    assert_problem(&user.post("/api/contacts", &json!({})).send(), 422);
    assert_problem(&user.get("/api/contacts/x").send(), 422);
    assert_problem(&user.get("/api/contacts?limit=0").send(), 422);

    let wrong = json!({ "email": taken, "password": "not the one" });
    let throttled = (0..20)
        .map(|_| nobody.post("/api/auth/login", &wrong).send())
        .find(|answer| answer.status != 401)
        .expect("an end to guessing");
    assert_problem(&throttled, 429);
    let seconds: u32 = throttled.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=15 * 60).contains(&seconds), "{seconds}");
}

#[test]
fn a_database_that_is_away_is_a_503_that_says_when_to_come_back() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    database.kick();
    for path in ["/healthchecker", "/api/healthchecker", "/readyz", "/api/contacts"] {
        let answer = user.get(path).send();
        assert_problem(&answer, 503);
        assert_common_headers(&answer, path);
        let seconds: u32 = answer.header("Retry-After").unwrap().parse().unwrap();
        assert!((1..60).contains(&seconds), "{seconds}");
    }
    assert_eq!(user.get("/livez").send().status, 200);
    database.allow();
    eventually("it comes back by itself", || user.get("/api/contacts").send().status == 200);
}

#[test]
fn a_request_id_is_echoed_if_it_is_one_and_new_otherwise() {
    let shared = shared();
    let id_of = |given: Option<&str>, path: &str| {
        let request = shared.client().get(path);
        let request = match given {
            Some(id) => request.header("X-Request-Id", id),
            None => request,
        };
        request.send().header("X-Request-Id").unwrap().to_owned()
    };
    let long = "x".repeat(64);
    for path in ["/livez", "/no/such/path", "/api/contacts"] {
        for good in ["a", "A-z_0.9", "550e8400-e29b-41d4-a716-446655440000", &long] {
            assert_eq!(id_of(Some(good), path), good);
        }
        let too_long = "x".repeat(65);
        let mut seen = BTreeSet::new();
        for bad in
            [None, None, Some(""), Some("a b"), Some("a/b"), Some("<a>"), Some("a\"b"), Some("é"), Some(&too_long)]
        {
            let id = id_of(bad, path);
            assert_ne!(Some(id.as_str()), bad);
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            assert!((1..=64).contains(&id.len()) && id.bytes().all(fits), "{id}");
            assert!(seen.insert(id.clone()), "{id} came twice");
        }
    }
}

#[test]
fn every_answer_of_every_route_has_the_common_headers() {
    let shared = shared();
    for route in routes() {
        let user = shared.user();
        let what = format!("{} {}", route.method.as_str(), route.path);
        for client in [&user, &shared.client()] {
            let answer = request(client, &route).send();
            assert_common_headers(&answer, &what);
            if !route.is_guarded() {
                continue;
            }
            let expected = if answer.header("ETag").is_some() { "private, no-cache" } else { "no-store" };
            assert_eq!(answer.headers_named("Cache-Control"), [expected], "{what}");
        }
    }
    for path in ["/no/such/path", "/api", "/api/contacts/1/2"] {
        assert_common_headers(&shared.client().get(path).send(), path);
    }
}

#[test]
fn with_an_etag_an_answer_is_private_and_asked_for_again() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let answer = user.get(format!("/api/contacts/{id}")).send().expect(200);
    assert!(answer.header("ETag").is_some());
    assert_eq!(answer.header("Cache-Control"), Some("private, no-cache"));
    let list = user.get("/api/contacts").send().expect(200);
    assert_eq!(list.header("Cache-Control"), Some("no-store"));
}

#[test]
fn tokens_are_not_stored_on_their_way() {
    let shared = shared();
    let email = unused_email();
    shared.client().new_user(&email);
    let login = json!({ "email": email, "password": "123456" });
    let answer = shared.client().post("/api/auth/login", &login).send();
    assert_eq!(answer.expect(200).header("Cache-Control"), Some("no-store"));
}

#[test]
fn a_slash_at_the_end_changes_nothing_and_redirects_nobody() {
    let shared = shared();
    let user = shared.user();
    user.new_contact(&json!({ "first_name": "A" }));
    for (path, methods) in paths() {
        if !methods.contains(&Method::Get) {
            continue;
        }
        let path = concrete(path);
        let plain = user.get(&path).send();
        let slashed = user.get(format!("{}/", path.trim_end_matches('/'))).send();
        assert_eq!(slashed.status, plain.status, "{path}");
        assert_eq!(slashed.header("Location"), None, "{path}");
        if plain.status == 200 {
            assert_eq!(slashed.body, plain.body, "{path}");
        }
    }
    let made = user.post("/api/contacts/", &json!({ "first_name": "B" })).send();
    let id = made.expect(201).json()["id"].to_string();
    let list = user.get("/api/contacts/?first_name=b").send();
    assert_eq!(list.names(), ["B"]);
    user.delete(&format!("/api/contacts/{id}/")).send().expect(204);
    user.get("/api/contacts//").send().expect(404);
}

/// Without what two answers to the same question may differ in.
fn lasting_headers(answer: &Answer) -> Vec<(String, String)> {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .filter(|(name, _)| name != "date" && name != "x-request-id")
        .collect();
    headers.sort();
    headers
}

#[test]
fn head_is_get_without_a_body() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let nobody = shared.client();
    for (path, methods) in paths() {
        if !methods.contains(&Method::Get) {
            continue;
        }
        let path = crate::table::with_parameter(path, &id.to_string());
        for client in [&user, &nobody] {
            let head = client.request("HEAD", &path).send();
            if path == "/api/auth/refresh_token" {
                assert_eq!((head.status, head.body), (405, Vec::new()), "it would spend the token");
                continue;
            }
            let get = client.get(&path).send();
            assert_eq!(head.status, get.status, "{path}");
            assert_eq!(head.body, b"", "{path}");
            if get.status == 200 {
                assert_eq!(lasting_headers(&head), lasting_headers(&get), "{path}");
            }
        }
    }
    for path in ["/api/auth/signup", "/api/auth/logout"] {
        let answer = user.request("HEAD", path).send();
        assert_eq!(answer.status, 405, "{path}: no GET, no HEAD");
    }
}

/// What a path takes, from the table.
fn allowed<'a>(path: &str, methods: &'a [Method]) -> BTreeSet<&'a str> {
    let mut names: BTreeSet<_> = methods.iter().map(|method| method.as_str()).collect();
    names.insert("OPTIONS");
    // Refreshing is the one GET that writes.
    if methods.contains(&Method::Get) && !path.contains("/api/auth/refresh_token") {
        names.insert("HEAD");
    }
    names
}

fn assert_allow(answer: &Answer, methods: &[Method], what: &str) {
    let allow = answer.header("Allow").unwrap_or_else(|| panic!("{what}"));
    let given: Vec<_> = allow.split(", ").collect();
    assert_eq!(given.iter().copied().collect::<BTreeSet<_>>(), allowed(what, methods), "{what}");
    assert_eq!(given.len(), allowed(what, methods).len(), "{what}: {allow}");
}

#[test]
fn options_tells_the_methods_of_every_path() {
    let shared = shared();
    for (path, methods) in paths() {
        for path in [concrete(path), format!("{}/", concrete(path))] {
            let answer = shared.client().request("OPTIONS", &path).send();
            assert_eq!(answer.status, 204, "{path}");
            assert_eq!(answer.body, b"", "{path}");
            // RFC 9110 §8.6
            assert_eq!(answer.header("Content-Length"), None, "{path}");
            assert_allow(&answer, &methods, &path);
            assert_common_headers(&answer, &path);
        }
    }
    let unknown = shared.client().request("OPTIONS", "/no/such/path").send();
    assert_problem(&unknown, 404);
}

#[test]
fn another_method_of_a_known_path_is_405_with_those_it_has() {
    let shared = shared();
    for (path, methods) in paths() {
        let known = allowed(path, &methods);
        let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "FROB", "get"];
        for method in all.into_iter().filter(|method| !known.contains(method)) {
            let what = format!("{method} {path}");
            let answer = shared.client().request(method, concrete(path)).send();
            if method == "HEAD" {
                assert_eq!(answer.status, 405, "{what}");
            } else {
                assert_problem(&answer, 405);
            }
            assert_allow(&answer, &methods, &what);
        }
    }
}

#[test]
fn what_is_not_there_is_404() {
    let shared = shared();
    for path in [
        "/nothing",
        "/api",
        "/api/",
        "/api/contact",
        "/API/CONTACTS",
        "/api/contacts/1/phone",
        "/api//contacts",
        "/docs/nothing.js",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/healthchecker/x",
        "/index.html",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            if method != "GET" && path.starts_with("/docs") {
                continue;
            }
            assert_problem(&shared.client().request(method, path).send(), 404);
        }
    }
}

#[test]
fn a_body_over_the_limit_is_413_and_one_at_it_is_read() {
    let shared = shared();
    let user = shared.user();
    for route in json_routes() {
        if route.body_limit != MIB {
            continue;
        }
        let send = |bytes: usize| {
            let request = user.request(route.method.as_str(), concrete(route.path));
            let request = request.header("Content-Type", "application/json");
            let request = request.header("X-Request-Id", "large.1");
            request.body(vec![b' '; bytes]).send()
        };
        let what = format!("{} {}", route.method.as_str(), route.path);
        let over = send(MIB + 1);
        assert_problem(&over, 413);
        // Refused before the body is read, and still an answer to this request.
        assert_eq!(over.header("X-Request-Id"), Some("large.1"), "{over:?}");
        assert_common_headers(&over, &what);
        let at = send(MIB);
        assert_eq!(at.status, 400, "{what}: blanks are no JSON: {}", at.text());
    }
}

#[test]
fn another_media_type_is_415_and_parameters_of_it_do_not_count() {
    let shared = shared();
    let user = shared.user();
    for route in json_routes() {
        let send = |kind: Option<&str>| {
            let request = user.request(route.method.as_str(), concrete(route.path));
            let request = match kind {
                Some(kind) => request.header("Content-Type", kind),
                None => request,
            };
            request.body("[]").send()
        };
        for kind in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/xml"),
            Some("application/jsonx"),
            Some("multipart/form-data; boundary=x"),
            Some("json"),
        ] {
            let answer = send(kind);
            assert_problem(&answer, 415);
            let accept = answer.header("Accept").expect("what would be taken");
            assert!(accept.contains("application/json"), "{accept}");
        }
        for kind in ["application/json", "application/json; charset=utf-8", "Application/JSON ;charset=UTF-8"] {
            assert_problem(&send(Some(kind)), 422);
        }
    }
    let patch = user.request("PUT", "/api/contacts/1");
    let patch = patch.header("Content-Type", "application/merge-patch+json");
    assert_problem(&patch.body("{}").send(), 415);
}

#[test]
fn json_that_does_not_parse_is_400_with_line_and_column() {
    let shared = shared();
    let user = shared.user();
    for route in json_routes() {
        for (body, place) in [
            ("{", "line 1 column 1"),
            ("{\n  \"first_name\": \"A\",\n  x", "line 3 column 3"),
            ("{} {}", "line 1 column 4"),
            ("{\"a\": 1e999}", "line 1 column 11"),
        ] {
            let request = user.request(route.method.as_str(), concrete(route.path));
            let request = request.header("Content-Type", "application/json");
            let problem = assert_problem(&request.body(body).send(), 400);
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(place), "{body}: {detail}");
        }
    }
}

#[test]
fn a_byte_order_mark_before_json_is_skipped_and_another_is_not() {
    let shared = shared();
    let user = shared.user();
    let create =
        |body: &str| user.request("POST", "/api/contacts").header("Content-Type", "application/json").body(body).send();
    assert_eq!(create("\u{feff}{\"first_name\":\"Ann\"}").expect(201).json()["first_name"], "Ann");
    assert_problem(&create("\u{feff}\u{feff}{\"first_name\":\"Ann\"}"), 400);
    assert_problem(&create("\u{feff}"), 400);
}

#[test]
fn all_faults_are_told_at_once() {
    let shared = shared();
    let user = shared.user();
    let wrong = json!({
        "first_name": " ",
        "last_name": "x".repeat(101),
        "email": "nobody",
        "phone_number": 5,
        "birthday": "yesterday",
        "additional_info": ["x"],
    });
    let fields = ["first_name", "last_name", "email", "phone_number", "birthday", "additional_info"];
    let answer = user.post("/api/contacts", &wrong).send();
    assert_problem(&answer, 422);
    assert_eq!(answer.faults(), fields);
    // The path's faults come with the body's.
    for method in ["PUT", "PATCH"] {
        let answer = user.request(method, "/api/contacts/zero").json(&wrong).send();
        assert_problem(&answer, 422);
        assert_eq!(answer.faults()[0], "id");
        assert_eq!(answer.faults()[1..], fields);
    }
    let answer = user.get("/api/contacts?sort=age&skip=-1&limit=1001&count=maybe").send();
    assert_problem(&answer, 422);
    assert_eq!(answer.faults(), ["sort", "skip", "limit", "count"]);
    let answer = user.get("/api/contacts/upcoming_birthdays?days=367&skip=x&limit=0&today=1-2-3").send();
    assert_eq!(answer.faults(), ["days", "skip", "limit", "today"]);
    let signup = json!({ "username": "", "email": "x", "password": "short" });
    let answer = shared.client().post("/api/auth/signup", &signup).send();
    assert_eq!(answer.faults(), ["username", "email", "password"]);
    let nothing = shared.client().post("/api/auth/signup", &json!({})).send();
    assert_eq!(nothing.faults(), ["username", "email", "password"]);
}

#[test]
fn an_array_is_no_object_even_if_its_values_would_fit() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let lists = [
        json!(["Іван", "Франко", "a@example.com", "1", "2001-02-28", "x"]),
        json!(["a@example.com", "123456"]),
        json!([{ "first_name": "A" }]),
        json!([]),
        json!("text"),
        json!(1),
        Value::Null,
    ];
    for route in json_routes() {
        for list in &lists {
            let path = crate::table::with_parameter(route.path, &id.to_string());
            let answer = user.request(route.method.as_str(), path).json(list).send();
            let problem = assert_problem(&answer, 422);
            assert_eq!(answer.faults()[0], "", "{problem}");
        }
    }
    let left = user.get("/api/contacts").send();
    assert_eq!(left.names(), ["A"]);
}

#[test]
fn unknown_and_read_only_fields_change_nothing() {
    let shared = shared();
    let (user, other) = (shared.user(), shared.user());
    let other_id = other.get("/api/users/me").send().json()["id"].clone();
    let extra = json!({
        "first_name": "A", "id": 1, "user_id": other_id, "created_at": "1999-01-01T00:00:00Z",
        "updated_at": "nonsense", "version": 77, "search": "zzz", "birthday_md": 101, "next_birthday": 5, "": {},
    });
    let made = user.post("/api/contacts", &extra).send().expect(201).json();
    let id = made["id"].as_i64().unwrap();
    let path = format!("/api/contacts/{id}");
    for method in ["PUT", "PATCH"] {
        let changed = user.request(method, &path).json(&extra).send();
        let changed = changed.expect(200).json();
        for field in ["id", "created_at", "first_name"] {
            assert_eq!(changed[field], made[field], "{method} {field}");
        }
    }
    let members: Vec<_> = made.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        members,
        [
            "id",
            "first_name",
            "last_name",
            "email",
            "phone_number",
            "birthday",
            "additional_info",
            "created_at",
            "updated_at"
        ]
    );
    assert_eq!(user.get("/api/contacts").send().names(), ["A"]);
    assert_eq!(user.get("/api/contacts?q=zzz").send().names(), [""; 0]);
    assert_eq!(other.get("/api/contacts").send().names(), [""; 0]);
    let rename = json!({ "username": "New", "created_at": "2001-01-01T00:00:00Z", "id": 1, "password": "1" });
    let before = user.get("/api/users/me").send().json();
    let after = user.patch("/api/users/me", &rename).send().expect(200).json();
    assert_eq!(after["username"], "New");
    assert_eq!((&after["id"], &after["email"]), (&before["id"], &before["email"]));
}

#[test]
fn a_query_is_read_raw_and_percent_encoded() {
    let shared = shared();
    let user = shared.user();
    for name in ["Іван", "Ivan Franko", "C+"] {
        user.new_contact(&json!({ "first_name": name }));
    }
    for (query, found) in [
        ("first_name=Іван", "Іван"),
        ("first_name=%D0%86%D0%B2%D0%B0%D0%BD", "Іван"),
        ("first_name=%d0%86ван", "Іван"),
        ("first%5Fname=Іван", "Іван"),
        ("first_name=n+F", "Ivan Franko"),
        ("first_name=n%20F", "Ivan Franko"),
        ("first_name=C%2B", "C+"),
        ("x=1&first_name=C%2B&first_name=nobody", "C+"),
        ("&&first_name=C%2B&", "C+"),
    ] {
        for path in ["/api/contacts", "/api/contacts/"] {
            let answer = user.get(format!("{path}?{query}")).send().expect(200);
            assert_eq!(answer.names(), [found], "{query}");
        }
    }
}

#[test]
fn broken_percent_encoding_is_told_and_not_guessed() {
    let shared = shared();
    let user = shared.user();
    for value in ["%", "%2", "%zz", "%ff", "%C3%28", "%ED%A0%80", "Іван%"] {
        let answer = user.get(format!("/api/contacts?last_name=x&first_name={value}")).send();
        assert_problem(&answer, 422);
        assert_eq!(answer.faults(), ["first_name"], "{value}");
        // It hides no other fault. What nobody reads is ignored, broken or not.
        let both = user.get(format!("/api/contacts?limit=0&first_name={value}")).send();
        assert_eq!(both.expect(422).faults(), ["first_name", "limit"], "{value}");
        for unread in [format!("utm={value}"), format!("{value}=x"), value.to_owned()] {
            user.get(format!("/api/contacts?{unread}&limit=1")).send().expect(200);
        }
    }
    // Raw bytes that are no UTF-8 are no text either.
    let raw = [b"/api/contacts?first_name=".as_slice(), b"\xff\xfe"].concat();
    let answer = user.get(raw).send();
    assert!((400..500).contains(&answer.status), "{answer:?}");
    for path in ["/api/contacts/%", "/api/contacts/%zz", "/api/contacts/%ff"] {
        assert_problem(&user.get(path).send(), 422);
        assert_problem(&shared.client().get(path).send(), 401);
    }
    let form = shared.client().request("POST", "/api/auth/login");
    let form = form.header("Content-Type", "application/x-www-form-urlencoded");
    assert_problem(&form.body("username=%ff&password=x").send(), 400);
}

/// Of one name given twice the last counts in JSON, as in every common parser, so that none of them is led astray.
#[test]
fn of_duplicate_members_the_last_counts() {
    let shared = shared();
    let user = shared.user();
    let request = user.request("POST", "/api/contacts");
    let request = request.header("Content-Type", "application/json");
    let body = r#"{"first_name":"first","first_name":"last"}"#;
    let made = request.body(body).send().expect(201).json();
    assert_eq!(made["first_name"], "last");
}

#[test]
fn instants_are_rfc_3339_in_utc() {
    let shared = shared();
    let user: Client = shared.user();
    let me = user.get("/api/users/me").send().json();
    let instant = me["created_at"].as_str().unwrap();
    let parsed = chrono::DateTime::parse_from_rfc3339(instant).unwrap();
    assert!(instant.ends_with('Z') && instant.len() == 20, "{instant}");
    let age = chrono::Utc::now().signed_duration_since(parsed);
    assert!(age.num_minutes().abs() < 10, "{instant}");
}

#[test]
fn every_route_without_a_parameter_answers_json_or_a_page_in_utf_8() {
    let shared = shared();
    let user = shared.user();
    for (path, methods) in paths() {
        if has_parameter(path) || !methods.contains(&Method::Get) {
            continue;
        }
        let answer = user.get(path).send();
        if answer.status != 200 {
            continue;
        }
        let kind = answer.header("Content-Type").expect("a type").to_owned();
        assert!(std::str::from_utf8(&answer.body).is_ok(), "{path}");
        if kind == "application/json" {
            answer.json();
        }
    }
}

/// RFC 9112 §3.2.2: a server takes the whole address in a request line too, though only proxies send it.
#[test]
fn a_whole_address_in_the_request_line_is_its_path() {
    let shared = shared();
    let user = shared.user();
    let base = format!("http://{}", shared.server.address);
    for path in ["/", "/livez", "/api/contacts?first_name=x", "/api/contacts/"] {
        user.get(format!("{base}{path}")).send().expect(200);
    }
    assert_problem(&user.get(format!("{base}/no/such/path")).send(), 404);
}

/// The pages come packed and plain. A strong tag stands for one sequence of bytes (RFC 9110 §8.8.1), so the two may not share one.
#[test]
fn a_page_that_the_client_has_is_304_however_it_was_packed() {
    let shared = shared();
    let client = shared.client();
    for path in ["/docs", "/docs/swagger-ui.css"] {
        let ask = |encoding: &str, known: &str| {
            let request = client.get(path).header("Accept-Encoding", encoding);
            request.header("If-None-Match", known).send()
        };
        let (plain, packed) = (ask("identity", "").expect(200), ask("gzip", "").expect(200));
        let tag = plain.header("ETag").unwrap();
        if plain.body != packed.body {
            assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
            let same = packed.header("ETag") == Some(tag);
            assert!(!same || tag.starts_with("W/"), "{path}: {tag} for both");
        }
        let strong = tag.trim_start_matches("W/");
        for known in [tag.to_owned(), strong.to_owned(), format!("W/{strong}"), format!("\"x\", {tag}"), "*".to_owned()]
        {
            for encoding in ["identity", "gzip"] {
                let answer = ask(encoding, &known).expect(304);
                assert_eq!((answer.body.len(), answer.header("Content-Type")), (0, None), "{known}");
                assert_eq!(answer.header("ETag"), Some(tag));
            }
        }
        ask("gzip", "\"x\", W/\"y\"").expect(200);
    }
}
