//! Who gets in where: asked of every row of the table, so that no new row is forgotten.

use contactd::api::endpoint::Route;
use contactd::api::routes::routes;

use crate::support::client::{Answer, Request};
use crate::support::shared::shared;
use crate::table::{concrete, request};

/// Adding a public endpoint is a decision: it is made here a second time.
#[test]
fn these_routes_and_no_others_are_public() {
    let public: Vec<_> = routes()
        .iter()
        .filter(|route| !route.is_guarded())
        .map(|route| format!("{} {}", route.method.as_str(), route.path))
        .collect();
    assert_eq!(
        public,
        [
            "POST /api/auth/signup",
            "POST /api/auth/login",
            "GET /api/auth/refresh_token",
            "POST /api/auth/refresh_token",
            // the secret is in its address
            "GET /api/calendar/{secret}.ics",
            "GET /",
            "GET /healthchecker",
            "GET /api/healthchecker",
            "GET /livez",
            "GET /readyz",
            "GET /openapi.json",
            "GET /docs",
            "GET /docs/{file}",
        ]
    );
}

fn guarded() -> impl Iterator<Item = Route> {
    routes().into_iter().filter(Route::is_guarded)
}

/// Whether a token was sent tells a client whether refreshing it may help.
fn assert_refused(answer: &Answer, with_token: bool, what: &str) {
    let challenge = if with_token { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    assert_eq!(answer.header("WWW-Authenticate"), Some(challenge), "{what}: {answer:?}");
    assert_eq!(answer.header("Cache-Control"), Some("no-store"), "{what}: {answer:?}");
}

#[test]
fn nothing_guarded_is_reached_without_an_access_token() {
    let shared = shared();
    let user = shared.user();
    let nobody = shared.client();
    let (access, refresh) = (user.token.clone().unwrap(), user.refresh_token.unwrap());
    let flipped = flip_last_letter(&access);
    let unsigned = access.rsplit_once('.').unwrap().0;
    let refused = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer garbage".to_owned(),
        "Bearer ey.ey.ey".to_owned(),
        format!("Bearer {refresh}"),
        format!("Bearer {flipped}"),
        format!("Bearer {unsigned}."),
        format!("Bearer {access}{access}"),
        format!("Basic {access}"),
        access.clone(),
        format!("Bearer: {access}"),
    ];
    for route in guarded() {
        let what = format!("{} {}", route.method.as_str(), route.path);
        assert_refused(&request(&nobody, &route).send(), false, &what);
        for value in &refused {
            let answer = request(&nobody, &route).header("Authorization", value).send();
            assert_refused(&answer, value.starts_with("Bearer "), &format!("{what} with {value:?}"));
        }
    }
    // None of it had an effect, and the token itself is good.
    user_is_there(&shared.client().get("/api/users/me").header("Authorization", &format!("Bearer {access}")).send());
}

fn user_is_there(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Another signature, still base64url: of the last character only some bits count, so the one before is changed.
fn flip_last_letter(token: &str) -> String {
    let at = token.len() - 2;
    let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// The token is looked at first: without one, nobody learns what a body should look like, or which ids there are.
#[test]
fn without_a_token_nothing_else_is_looked_at() {
    let shared = shared();
    let nobody = shared.client();
    for route in guarded() {
        let path = concrete(route.path);
        let variants: [(&str, Request); 5] = [
            ("slash", nobody.request(route.method.as_str(), format!("{path}/"))),
            ("query", nobody.request(route.method.as_str(), format!("{path}?skip=x&q=%ff"))),
            ("no type", nobody.request(route.method.as_str(), &path).body("{")),
            ("other type", nobody.request(route.method.as_str(), &path).header("Content-Type", "text/plain").body("x")),
            (
                "condition",
                nobody.request(route.method.as_str(), &path).header("If-Match", "\"9\"").header("If-None-Match", "*"),
            ),
        ];
        for (what, request) in variants {
            let answer = request.send();
            assert_refused(&answer, false, &format!("{} {path}, {what}", route.method.as_str()));
        }
        if route.method.as_str() == "GET" {
            assert_refused(&nobody.request("HEAD", &path).send(), false, &format!("HEAD {path}"));
        }
    }
}

#[test]
fn the_scheme_is_read_in_any_case() {
    let shared = shared();
    let user = shared.user();
    let (token, refresh) = (user.token.unwrap(), user.refresh_token.unwrap());
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let request = shared.client().get("/api/users/me");
        let answer = request.header("Authorization", &format!("{scheme} {token}")).send();
        user_is_there(&answer);
    }
    let request = shared.client().get("/api/auth/refresh_token");
    let answer = request.header("authorization", &format!("bearer {refresh}")).send();
    user_is_there(&answer);
}
