//! The log as an operator reads it: a line for each request where that is set, and lines that a program can read.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::{Server, Setup, database};
use crate::support::{eventually, random_secret};

/// The lines of a request, by its id, once there is one.
fn lines(server: &Server, id: &str) -> Vec<String> {
    let find = || server.log().lines().filter(|line| line.contains(id)).map(str::to_owned).collect::<Vec<_>>();
    eventually("the line is there", || !find().is_empty());
    find()
}

#[test]
fn every_request_has_one_line_at_info_where_that_is_set() {
    let database = database();
    let server = Setup::on(&database).with("ACCESS_LOG", "on").with("TRUSTED_PROXIES", "127.0.0.1").ready();
    let ivan = server.client().new_user("ivan@example.com");
    let user = ivan.get("/api/users/me").send().json()["id"].to_string();
    let answer = ivan.get("/api/contacts/?first_name=secretive").header("X-Request-Id", "id.1");
    let answer = answer.header("X-Forwarded-For", "203.0.113.7").send().expect(200);
    let [line] = lines(&server, "id.1").try_into().unwrap();
    assert!(line.contains(" INFO  GET /api/contacts/ 200 ") && !line.contains("secretive"), "{line}");
    let rest = format!(" bytes={} user={user} address=203.0.113.7 request=id.1", answer.body.len());
    assert!(line.ends_with(&rest), "{line} ends with {rest}");

    // A user is one with an API token, too.
    let made = ivan.post("/api/auth/tokens", &json!({ "name": "A", "password": "123456" })).send().expect(201).json();
    let script = server.client().with_token(made["token"].as_str().unwrap());
    script.get("/api/contacts").header("X-Request-Id", "id.0").send().expect(200);
    let is_told = |line: &String| line.contains("GET /api/contacts 200") && line.contains(&format!(" user={user} "));
    eventually("who it is", || lines(&server, "id.0").iter().any(is_told));

    // Who calls is not known, there is nothing at the path, the method is another's, or it is no request at all.
    let anyone = server.client();
    for (method, path, told) in [
        ("GET", "/livez", "GET /livez 200 "),
        ("HEAD", "/livez", "HEAD /livez 200 "),
        ("DELETE", "/nowhere", "DELETE /nowhere 404 "),
        ("BREW", "/livez", "BREW /livez 405 "),
        ("PUT", "/api/contacts/7", "PUT /api/contacts/7 401 "),
    ] {
        anyone.request(method, path).header("X-Request-Id", "id.2").send();
        eventually(told, || lines(&server, "id.2").last().is_some_and(|line| line.contains(told)));
        let line = lines(&server, "id.2").pop().unwrap();
        assert!(line.contains("user=unknown") && (method != "HEAD" || line.contains("bytes=0")), "{line}");
    }
    assert_eq!(lines(&server, "id.2").len(), 5, "a line each");
    let refused = anyone.get("/livez").header("Content-Length", "x").send().expect(400);
    assert_eq!(lines(&server, refused.header("X-Request-Id").unwrap()).len(), 1);
}

#[test]
fn without_the_setting_requests_have_lines_at_debug_only() {
    let database = database();
    for (level, expected) in [("info", 0), ("debug", 1)] {
        let server = Setup::on(&database).with("LOG", level).ready();
        server.client().get("/livez").header("X-Request-Id", "id.3").send().expect(200);
        // Logins are told at info, after it.
        let login = json!({ "email": "nobody@example.com", "password": "123456" });
        server.client().post("/api/auth/login", &login).header("X-Request-Id", "id.4").send().expect(401);
        lines(&server, "id.4");
        assert_eq!(server.log().matches("id.3").count(), expected, "{level}");
    }
}

#[test]
fn a_download_has_its_line_when_all_of_it_is_sent() {
    let database = database();
    let server = Setup::on(&database).with("ACCESS_LOG", "on").ready();
    let ivan = server.client().new_user("ivan@example.com");
    ivan.new_contact(&json!({ "first_name": "Леся" }));
    let export = ivan.get("/api/contacts/export?format=json").header("X-Request-Id", "id.5").send().expect(200);
    let [line] = lines(&server, "id.5").try_into().unwrap();
    assert!(line.contains(&format!(" bytes={} ", export.body.len())), "{line}");
    ivan.request("HEAD", "/api/contacts/export?format=json").header("X-Request-Id", "id.6").send().expect(200);
    let [line] = lines(&server, "id.6").try_into().unwrap();
    assert!(line.contains(" bytes=0 "), "{line}");
}

/// A mistyped address of a calendar has the secret in it all the same.
#[test]
fn a_secret_in_a_path_is_never_shown_however_it_is_spelled() {
    let database = database();
    for format in ["text", "json"] {
        let setup = Setup::on(&database).with("ACCESS_LOG", "on").with("LOG", "debug").with("LOG_FORMAT", format);
        let server = setup.start();
        let secret = format!("1-{}", &random_secret()[..40]);
        let encoded: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let paths = [
            format!("/api/calendar/{secret}.ics"),
            format!("/api/calendar/{secret}"),
            format!("/api/calendar/{secret}.ics/"),
            format!("/api/calendar//{secret}.ics"),
            format!("//api/calendar/{secret}.ics?{secret}"),
            format!("/API/Calendar/{secret}.ICS"),
            format!("/api/calender/{secret}.ics"),
            format!("/api/%63alendar/{secret}.ics"),
            format!("/book/api/calendar/{secret}.ics"),
            format!("/api/contacts/{secret}.ics"),
            format!("/api/calendar/{encoded}.ics"),
            format!("/api/calendar%2F{secret}.ics"),
            format!("/{secret}"),
        ];
        for (number, path) in paths.iter().enumerate() {
            for method in ["GET", "POST", "OPTIONS", "BREW"] {
                let id = format!("n{number}-{method}");
                server.client().request(method, path.as_str()).header("X-Request-Id", &id).send();
                lines(&server, &id);
            }
        }
        let log = server.log();
        assert!(!log.contains(&secret) && !log.contains(&encoded), "{log}");
        assert!(log.contains("GET /api/calendar/… "), "{log}");
    }
}

#[test]
fn in_json_every_line_is_an_object_whatever_a_client_sends() {
    let database = database();
    let setup = Setup::on(&database).with("ACCESS_LOG", "on").with("LOG", "debug").with("LOG_FORMAT", "json");
    let mut server = setup.ready();
    let ivan = server.client().new_user("ivan@example.com");
    let user = ivan.get("/api/users/me").send().json()["id"].to_string();
    ivan.get("/api/contacts/8").header("X-Request-Id", "17").send().expect(404);
    server.client().get("/a\"b\\c\u{2028}").send().expect(404);
    server.client().request("\"'", "/livez").send();
    server.client().get("/livez").header("Host", "a b").send();
    lines(&server, "/api/contacts/8");
    server.signal("TERM");
    server.wait(std::time::Duration::from_secs(10));
    eventually("the last line is there", || server.log().contains("\"stopped\""));

    let objects: Vec<Value> = server.log().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for object in &objects {
        object["time"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().expect("a time");
        assert!(["info", "debug", "warn"].contains(&object["level"].as_str().unwrap()), "{object}");
        assert!(!object["message"].as_str().unwrap().is_empty(), "{object}");
    }
    let find = |name: &str, value: &str| objects.iter().find(|object| object[name] == value).unwrap();
    let request = find("path", "/api/contacts/8");
    let names: BTreeSet<_> = request.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["time", "level", "message", "method", "path", "route", "status", "ms", "bytes", "user", "address"];
    assert_eq!(names, expected.into_iter().chain(["request"]).collect());
    assert_eq!((&request["method"], &request["route"]), (&json!("GET"), &json!("/api/contacts/{id}")));
    assert_eq!((&request["status"], &request["user"]), (&json!(404), &json!(user)));
    assert!(request["ms"].is_f64() && request["bytes"].is_u64() && request["request"] == "17", "{request}");
    assert_eq!(find("message", "auth signup")["user"], user.as_str());
    assert_eq!(find("path", "/a\"b\\c%E2%80%A8")["route"], "-");
}

/// Until somebody else gives way, the request waits; the database says for how long.
#[test]
fn a_slow_request_has_its_line_at_info_and_others_have_none() {
    let database = database();
    let server = Setup::on(&database).with("LOG_SLOW_MS", "300").ready();
    let ivan = server.client().new_user("ivan@example.com");
    let id = ivan.new_contact(&json!({ "first_name": "Леся" }));
    let path = format!("/api/contacts/{id}");
    let patch = |ivan: &Client, request: &str| {
        ivan.patch(&path, &json!({ "last_name": "Українка" })).header("X-Request-Id", request).send().expect(200);
    };
    patch(&ivan, "id.7");
    let (mut other, mut watcher) = (database.client(), database.client());
    other.batch_execute("begin; select from contacts for update").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| patch(&ivan, "id.8"));
        let waits = "select exists (select from pg_stat_activity where datname = current_database()
            and wait_event_type = 'Lock' and clock_timestamp() - query_start > '300 ms')";
        eventually("it waits", || watcher.query_one(waits, &[]).unwrap().get(0));
        other.batch_execute("rollback").unwrap();
    });
    let [line] = lines(&server, "id.8").try_into().unwrap();
    assert!(line.contains(" INFO  PATCH "), "{line}");
    assert!(!server.log().contains("id.7"));
}
