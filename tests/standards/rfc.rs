//! The RFCs: HTTP (9110, 9112), bearer tokens (6750), OAuth2 (6749), JSON Web Tokens (7519, 8725).

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::Level::{Must, Should};
use crate::Verdict::{Met, Refused};
use crate::support::client::Answer;
use crate::{Point, World, proved_by, refuses_to_start};

#[rustfmt::skip] // a list is read by its columns
pub const POINTS: &[Point] = &[
    ("RFC 9110 §2.5", Should, "a higher minor version is read as the highest that is known", Met, minor_version),
    ("RFC 9110 §5.5", Should, "bytes over 127 in a field value are opaque data", Met, opaque_bytes),
    ("RFC 9110 §8.4", Should, "a body in a coding that is not understood is 415", Met, content_coding),
    ("RFC 9110 §9.2.1", Should, "HEAD changes nothing", Met, head_changes_nothing),
    ("RFC 9110 §9.2.1", Should, "GET changes nothing",
        Refused("GET /api/auth/refresh_token is the original application's, and its clients keep working; each other GET only reads"),
        refresh_by_get),
    ("RFC 9110 §9.3.7", Should, "OPTIONS * is about the server", Met, options_of_the_server),
    ("RFC 9110 §13.1.1", Must, "If-Match that fails is 412, with GET too", Met, if_match),
    ("RFC 9110 §13.1.2", Must, "If-None-Match that fails is 412 with what writes, which then changes nothing", Met, if_none_match),
    ("RFC 9110 §13.2.1", Must, "preconditions are ignored where the answer would be an error without them", Met, errors_first),
    ("RFC 9112 §3.2.2", Must, "the host of a target in absolute form counts, and Host is ignored", Met, absolute_form),
    ("RFC 9112 §3.2", Must, "no Host, two, or one that is none is 400, with a target in absolute form too", Met, bad_host),
    ("RFC 6750 §3", Must, "a 401 has a challenge of the scheme Bearer", Met, challenge),
    ("RFC 6750 §3.1", Should, "a token that is refused is told so, a request without one is not", Met, challenge),
    ("RFC 6749 §6", Must, "a refresh token is taken from a form", Met, refresh_by_form),
    ("RFC 6749 §5.1", Must, "an answer that holds tokens is not stored", Met, refresh_by_form),
    ("RFC 6749 §3.2", Must, "parameters without a value count as absent, unknown ones are ignored", Met, odd_parameters),
    ("RFC 7519 §4.1.2", Must, "a subject never becomes somebody else's", Met, subject),
    ("RFC 7518 §3.2", Must, "a secret has at least 32 bytes", Met, short_secret),
    ("RFC 8725 §3.5", Must, "a secret that people made up is refused", Met, made_up_secret),
];

/// What the server says to these bytes.
fn exchange(world: &World, bytes: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(world.server.address).expect("it listens");
    socket.write_all(bytes).expect("it takes them");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("it closes");
    Answer::parse(&answer).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&answer)))
}

fn minor_version(world: &World) {
    exchange(world, b"GET /livez HTTP/1.2\r\nHost: a\r\nConnection: close\r\n\r\n").expect(200);
    exchange(world, b"GET /livez HTTP/2.0\r\nHost: a\r\n\r\n").expect(505);
}

fn opaque_bytes(world: &World) {
    for line in [&b"Cookie: name=\xe9"[..], b"User-Agent: \xff\x80", "X-Anything: Їжак".as_bytes()] {
        let head = [b"GET /docs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", line, b"\r\n\r\n"].concat();
        exchange(world, &head).expect(200);
    }
    // What is read does not fit, and what frames a request is refused as before.
    let token = world.user.token.as_deref().unwrap();
    let head = format!("GET /api/users/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {token}");
    exchange(world, &[head.as_bytes(), b"\xe9\r\n\r\n"].concat()).expect(401);
    let id = exchange(world, b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-Id: \xe9\r\n\r\n")
        .expect(200);
    assert!(id.header("X-Request-Id").is_some_and(|id| id.len() == 16), "{id:?}");
    for line in [&b"Content-Length: 1\xe9"[..], b"Transfer-Encoding: chunked\xe9", b"Host: \xe9"] {
        let refused = exchange(world, &[b"POST / HTTP/1.1\r\nHost: a\r\n", line, b"\r\n\r\n"].concat());
        assert!(matches!(refused.status, 400 | 501), "{}", refused.status);
    }
}

fn content_coding(world: &World) {
    let create = |coding: &str| {
        world.user.post("/api/contacts", &json!({ "first_name": "A" })).header("Content-Encoding", coding).send()
    };
    for coding in ["gzip", "br", "identity, gzip", "x"] {
        let refused = create(coding).expect(415);
        assert_eq!(refused.header("Accept-Encoding"), Some("identity"));
    }
    create("identity").expect(201);
    create("Identity").expect(201);
    let import = world.user.request("POST", "/api/contacts/import").header("Content-Type", "text/csv");
    import.header("Content-Encoding", "deflate").body("first_name\nA\n").send().expect(415);
    world.user.get("/api/contacts").header("Content-Encoding", "gzip").send().expect(200);
    let nobody = world.server.client().post("/api/contacts", &json!({})).header("Content-Encoding", "gzip");
    nobody.send().expect(401);
}

fn head_changes_nothing(world: &World) {
    let token = world.user.refresh_token.as_deref().unwrap();
    let head = world.server.client().with_token(token).request("HEAD", "/api/auth/refresh_token").send().expect(405);
    assert_eq!(head.header("Allow"), Some("GET, POST, OPTIONS"));
    let generation: i32 = world.database.client().query_one("select generation from sessions", &[]).unwrap().get(0);
    assert_eq!(generation, 1);
}

fn refresh_by_get(world: &World) {
    let token = world.user.refresh_token.as_deref().unwrap();
    world.server.client().with_token(token).get("/api/auth/refresh_token").send().expect(200);
}

fn options_of_the_server(world: &World) {
    let answer = world.server.client().request("OPTIONS", "*").send().expect(204);
    assert_eq!(answer.header("Allow"), Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    exchange(world, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n").expect(400);
}

fn if_match(world: &World) {
    let get = |tags: &str| world.user.get(&world.contact).header("If-Match", tags).send().status;
    assert_eq!([get("\"1\""), get("*"), get("\"7\", \"1\"")], [200; 3]);
    assert_eq!([get("\"7\""), get("W/\"1\""), get("1"), get("\"x\"")], [412; 4]);
    let both = |tags: &str| {
        world.user.get(&world.contact).header("If-Match", tags).header("If-None-Match", "\"1\"").send().status
    };
    assert_eq!([both("\"1\""), both("\"7\"")], [304, 412], "If-Match comes first (§13.2.2)");
    let docs = world.server.client().get("/docs").header("If-Match", "\"x\"");
    docs.send().expect(412);
    for method in ["PUT", "PATCH", "DELETE"] {
        let stale = world.user.request(method, &world.contact).json(&json!({ "first_name": "B" }));
        stale.header("If-Match", "\"7\"").send().expect(412);
    }
    assert_eq!(world.user.get(&world.contact).send().json()["first_name"], "A");
}

fn if_none_match(world: &World) {
    for method in ["PUT", "PATCH", "DELETE"] {
        for tags in ["*", "\"1\"", "W/\"1\"", "\"7\", \"1\""] {
            let request = world.user.request(method, &world.contact).json(&json!({ "first_name": "B" }));
            request.header("If-None-Match", tags).send().expect(412);
        }
    }
    let contact = world.user.get(&world.contact).send();
    assert_eq!((contact.header("ETag"), contact.json()["first_name"].as_str()), (Some("\"1\""), Some("A")));
    for (method, tags, status) in [("PUT", "\"7\"", 200), ("PATCH", "\"1\"", 200), ("DELETE", "\"x\"", 204)] {
        let request = world.user.request(method, &world.contact).json(&json!({ "first_name": "B" }));
        request.header("If-None-Match", tags).send().expect(status);
    }
    assert_eq!(world.user.get(&world.contact).send().status, 404);
}

fn errors_first(world: &World) {
    for (path, status) in [("/api/contacts/4242", 404), ("/api/contacts/x", 422)] {
        for (name, value) in [("If-Match", "\"7\""), ("If-None-Match", "*"), ("If-Match", "*")] {
            for method in ["GET", "PUT", "DELETE"] {
                let request = world.user.request(method, path).json(&json!({ "first_name": "B" }));
                request.header(name, value).send().expect(status);
            }
        }
    }
    let faulty = world.user.put(&world.contact, &json!({})).header("If-None-Match", "*");
    faulty.send().expect(422);
}

fn absolute_form(world: &World) {
    let token = world.user.token.as_deref().unwrap();
    let open = |target: &str, rest: &str| {
        let head =
            format!("POST {target} HTTP/1.1\r\n{rest}Connection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
        exchange(world, head.as_bytes()).expect(201).json()["url"].as_str().unwrap().to_owned()
    };
    let url = open("http://real.example:8000/api/contacts/calendar", "Host: evil.example\r\n");
    assert!(url.starts_with("http://real.example:8000/api/calendar/"), "{url}");
    let url = open("/api/contacts/calendar", "Host: plain.example\r\n");
    assert!(url.starts_with("http://plain.example/api/calendar/"), "{url}");
    let head =
        format!("POST http://old.example/api/contacts/calendar HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n");
    let url = exchange(world, head.as_bytes()).expect(201).text();
    assert!(url.contains("\"http://old.example/api/calendar/"), "{url}");
}

fn bad_host(world: &World) {
    for target in ["/livez", "http://a.example/livez"] {
        for hosts in ["", "Host: a\r\nHost: b\r\n", "Host: a b\r\n", "Host: x@y\r\n"] {
            exchange(world, format!("GET {target} HTTP/1.1\r\n{hosts}\r\n").as_bytes()).expect(400);
        }
    }
    exchange(world, b"GET http://user@a.example/livez HTTP/1.1\r\nHost: a\r\n\r\n").expect(400);
}

fn challenge(world: &World) {
    const REFUSED: Option<&str> = Some("Bearer error=\"invalid_token\"");
    let challenge = |answer: Answer| answer.expect(401).header("WWW-Authenticate").map(str::to_owned);
    let nobody = world.server.client();
    let refresh_token = world.user.refresh_token.as_deref().unwrap();
    assert_eq!(challenge(nobody.get("/api/contacts").send()).as_deref(), Some("Bearer"));
    assert_eq!(challenge(nobody.get("/api/auth/refresh_token").send()).as_deref(), Some("Bearer"));
    for token in ["x", refresh_token] {
        assert_eq!(challenge(nobody.with_token(token).get("/api/contacts").send()).as_deref(), REFUSED);
    }
    assert_eq!(challenge(nobody.with_token("x").get("/api/auth/refresh_token").send()).as_deref(), REFUSED);
    // A wrong password is no fault of the token that came along.
    assert_eq!(challenge(world.login("ivan@example.com", "guess", "192.0.2.1")).as_deref(), Some("Bearer"));
    let delete = world.user.request("DELETE", "/api/users/me").json(&json!({ "password": "guess" }));
    assert_eq!(challenge(delete.send()).as_deref(), Some("Bearer"));
    world.user.request("POST", "/api/auth/logout").send().expect(204);
    assert_eq!(challenge(world.user.get("/api/contacts").send()).as_deref(), REFUSED, "the session has ended");
}

fn form(world: &World, body: &str) -> Answer {
    let request = world.server.client().request("POST", "/api/auth/refresh_token");
    request.header("Content-Type", "application/x-www-form-urlencoded").body(body).send()
}

fn refresh_by_form(world: &World) {
    let token = world.user.refresh_token.as_deref().unwrap();
    let pair = form(world, &format!("grant_type=refresh_token&refresh_token={token}")).expect(200);
    assert_eq!(pair.header("Cache-Control"), Some("no-store"));
    assert_eq!(pair.json()["token_type"], "bearer");
    let dead = form(world, "grant_type=refresh_token&refresh_token=x").expect(401);
    assert_eq!(dead.json()["error"], "invalid_grant");
    let other = form(world, &format!("grant_type=password&refresh_token={token}")).expect(422);
    assert_eq!(other.faults(), ["grant_type"]);
}

fn odd_parameters(world: &World) {
    let token = world.user.refresh_token.as_deref().unwrap();
    form(world, &format!("grant_type=&refresh_token={token}&scope=&client_id=me&audience=x")).expect(200);
    assert_eq!(
        form(world, "grant_type=refresh_token&refresh_token=").expect(401).header("WWW-Authenticate"),
        Some("Bearer")
    );
    form(world, "grant_type=refresh_token").expect(401);
}

fn subject(_: &World) {
    proved_by(&[
        "api/identity.rs: after_a_restore_no_old_token_opens_what_is_not_its_own",
        "api/identity.rs: ids_of_users_and_sessions_are_random_and_every_reader_of_json_keeps_them",
    ]);
}

fn short_secret(_: &World) {
    assert!(refuses_to_start(&[("JWT_SECRET", "0123456789abcdef0123456789abcde")]));
}

fn made_up_secret(_: &World) {
    for secret in ["password".repeat(8), "a".repeat(64), "0123456789".repeat(4)] {
        assert!(refuses_to_start(&[("JWT_SECRET", &secret)]), "{secret}");
    }
}
