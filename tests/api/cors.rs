//! Which pages of other origins may call, and what they may see of an answer (the Fetch standard's CORS protocol).

use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::server::{Setup, database};
use crate::support::shared::shared;

const APP: &str = "https://app.example.com";

fn cors_headers(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.to_lowercase().starts_with("access-control-")).collect()
}

fn preflight(client: &Client, origin: &str, path: &str) -> Answer {
    client
        .request("OPTIONS", path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "PATCH")
        .header("Access-Control-Request-Headers", "authorization, content-type, if-match")
        .send()
}

#[test]
fn without_the_setting_no_other_origin_is_let_in() {
    let shared = shared();
    let user = shared.user();
    let answer = user.get("/api/contacts").header("Origin", APP).send();
    assert_eq!(cors_headers(&answer.expect(200)), [""; 0]);
    assert_eq!(cors_headers(&preflight(&user, APP, "/api/contacts/1")), [""; 0]);
}

#[test]
fn the_origins_of_the_setting_are_let_in_and_no_others() {
    let database = database();
    let origins = format!("{APP}, http://localhost:5173");
    let server = Setup::on(&database).with("CORS_ORIGINS", origins).ready();
    let user = server.client().new_user("a@example.com");
    for origin in [APP, "http://localhost:5173"] {
        let preflight = preflight(&server.client(), origin, "/api/contacts/1").expect(204);
        assert_eq!(preflight.header("Access-Control-Allow-Origin"), Some(origin));
        let methods = preflight.header("Access-Control-Allow-Methods").unwrap();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            assert!(methods.contains(method), "{methods}");
        }
        let headers = preflight.header("Access-Control-Allow-Headers").unwrap();
        for header in ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "X-Request-Id"]
        {
            assert!(headers.contains(header), "{headers}");
        }
        // A token is sent by the page itself and never by the browser, so credentials in CORS' sense need no leave.
        assert_eq!(preflight.header("Access-Control-Allow-Credentials"), None);
        let made = user.post("/api/contacts", &json!({ "first_name": "A" }));
        let made = made.header("Origin", origin).send().expect(201);
        assert_eq!(made.header("Access-Control-Allow-Origin"), Some(origin));
        let exposed = made.header("Access-Control-Expose-Headers").unwrap();
        for header in [
            "ETag",
            "Idempotency-Replayed",
            "Link",
            "Location",
            "RateLimit-Remaining",
            "Retry-After",
            "X-Request-Id",
            "X-Total-Count",
        ] {
            assert!(exposed.contains(header), "{exposed}");
        }
        // A page must be able to read what was wrong.
        for path in ["/api/contacts?limit=0", "/no/such/path"] {
            let error = user.get(path).header("Origin", origin).send();
            assert_eq!(error.header("Access-Control-Allow-Origin"), Some(origin), "{path}");
            assert!(error.headers_named("Vary").contains(&"Origin"), "{error:?}");
        }
    }
    for origin in ["https://evil.example.com", "https://app.example.com.evil.org", "http://app.example.com", "null", ""]
    {
        let answer = user.get("/api/contacts").header("Origin", origin).send().expect(200);
        assert_eq!(cors_headers(&answer), [""; 0], "{origin}");
        assert_eq!(cors_headers(&preflight(&user, origin, "/api/contacts/1")), [""; 0], "{origin}");
        // A cache must know that others may get another answer.
        assert!(answer.headers_named("Vary").contains(&"Origin"), "{answer:?}");
    }
}
