//! Hostile values, on every endpoint that takes input: never a 5xx, never a silence.

use contactd::api::endpoint::Route;
use contactd::api::routes::routes;
use contactd::http::percent_encode;
use serde_json::Value;

use crate::support::client::{Answer, Client};
use crate::support::server::{Setup, database};
use crate::support::shared::{shared, unused_email};
use crate::table::{bodies as bodies_of, has_parameter, json_routes, operation, with_parameter};

/// Percent-encoded, as they stand in a path or a query.
fn targets() -> Vec<String> {
    let mut values: Vec<String> = [
        "%00",
        "a%00b",
        "%1F",
        "%ff",
        "%c3%28",
        "%ed%a0%80", // a lone surrogate as UTF-8 would have it
        "%",
        "%z",
        "%zz",
        "%25",
        "_",
        "%5C",
        "'",
        "%27%20or%201=1--",
        "%22",
        "100000000000000000000",
        "1000000000000000000000000000000",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-1",
        "0",
        "1e3",
        "0x10",
        "+1",
        "1.0",
        "%20",
        "null",
        "NaN",
        "true",
        "2001-02-30",
        "0000-00-00",
        "9999-12-31",
        "-0001-01-01",
        "%EF%B7%BA", // one character that decomposes to eighteen
        "..",
        "%2e%2e%2f",
        "%2F",
        ";",
        "%0d%0aX-Evil:%201",
        "Ж",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("a".repeat(20_000));
    values.push("%EF%B7%BA".repeat(254));
    values.push("%F0%9F%98%80".repeat(254));
    values
}

/// JSON texts, as they stand in a body.
fn texts() -> Vec<String> {
    let mut values: Vec<String> = [
        r#""\u0000""#,
        r#""a\u0000b""#,
        r#""\u001f""#,
        r#""\ud800""#,
        r#""\udfff\ud800""#,
        r#""%""#,
        r#""_""#,
        r#""'; drop table contacts; --""#,
        r#""\\""#,
        r#""\"""#,
        r#""""#,
        r#""   ""#,
        r#""\u202e\u200b""#,
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "1e400",
        "-0",
        "100000000000000000000",
        "123456789012345678901234567890123456789012345678901234567890",
        "[]",
        "{}",
        "[[[[]]]]",
        r#"{"first_name":{"first_name":1}}"#,
        r#""2001-02-30""#,
        r#""99999-01-01""#,
        r#""9999-12-31""#,
        r#""a@b""#,
        r#""a@@b.c""#,
        r#""@""#,
    ]
    .map(str::to_owned)
    .to_vec();
    values.push(format!("\"{}\"", "x".repeat(100_000)));
    values.push(format!("\"{}\"", "é".repeat(100_000)));
    values.push(format!("\"{}\"", "\u{fdfa}".repeat(100)));
    values.push(format!("\"{}@example.com\"", "x".repeat(64)));
    values
}

/// Whole bodies, deeper or longer than any that is meant.
fn bodies() -> Vec<String> {
    vec![
        format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000)),
        "[".repeat(1_000_000),
        format!("{{\"first_name\":{}{}}}", "[".repeat(200), "]".repeat(200)),
        format!("{{{}\"a\":1}}", "\"a\":1,".repeat(100_000)),
        format!("{{\"a\":{}}}", "9".repeat(1_000_000)),
        " ".repeat(1_000_000),
    ]
}

fn assert_client_error(answer: &Answer, what: &str) {
    let shown: String = what.chars().take(200).collect();
    assert!(answer.status < 500, "{shown}: {}", answer.text());
    assert!(answer.header("X-Request-Id").is_some(), "{shown}");
    assert!(answer.header("X-Evil").is_none(), "{shown}");
}

fn query_parameters(route: &Route) -> Vec<String> {
    let parameters = operation(route).parameters.into_iter();
    parameters
        .filter(|parameter| parameter["in"] == "query")
        .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
        .collect()
}

#[test]
fn hostile_values_in_path_and_query_are_no_5xx() {
    let database = database();
    let server = Setup::on(&database).with("LOGIN_ATTEMPTS", "0").ready();
    for route in routes() {
        let user = server.client().new_user(&unused_email());
        let method = route.method.as_str();
        let try_target = |target: String| {
            let mut request = user.request(method, &target);
            if let Some((kind, _)) = operation(&route).bodies.first() {
                request = request.header("Content-Type", kind).body("{}");
            }
            assert_client_error(&request.send(), &format!("{method} {target}"));
        };
        for value in targets() {
            if has_parameter(route.path) {
                try_target(with_parameter(route.path, &value));
            }
            let path = with_parameter(route.path, "1");
            for name in query_parameters(&route) {
                try_target(format!("{path}?{name}={value}"));
            }
            if method == "GET" {
                try_target(format!("{path}?{value}={value}&&=&=="));
            }
        }
    }
    assert_no_fault_in(&server.log());
}

#[test]
fn hostile_values_in_bodies_are_no_5xx() {
    let database = database();
    let server = Setup::on(&database).with("LOGIN_ATTEMPTS", "0").ready();
    for route in json_routes() {
        let user = server.client().new_user(&unused_email());
        let id = user.new_contact(&serde_json::json!({ "first_name": "A" }));
        let path = with_parameter(route.path, &id.to_string());
        let send = |body: String| {
            let request = user.request(route.method.as_str(), &path);
            let request = request.header("Content-Type", "application/json");
            let what = format!("{} {path} {body}", route.method.as_str());
            let answer = request.body(body).send();
            assert_client_error(&answer, &what);
        };
        for value in texts() {
            for member in members(&route) {
                send(body_with(&route, &member, &value));
            }
            send(value.clone());
            send(format!("{{\"unknown\":{value}}}"));
            send(format!("{{{value}:{value}}}"));
        }
        for body in bodies() {
            send(body);
        }
        let raw: [&[u8]; 5] = [b"\xff\xfe", b"{\"first_name\":\"\xff\"}", b"\0", b"", b"\xef\xbb\xbf{}"];
        for body in raw {
            let request = user.request(route.method.as_str(), &path);
            let request = request.header("Content-Type", "application/json");
            let answer = request.body(body).send();
            assert_client_error(&answer, &format!("{path} {body:?}"));
        }
    }
    assert_no_fault_in(&server.log());
}

/// Whatever an endpoint takes, it may be sent anything under that name.
#[test]
fn hostile_bodies_of_every_media_type_are_no_5xx() {
    let database = database();
    let server = Setup::on(&database).with("LOGIN_ATTEMPTS", "0").ready();
    let user = server.client().new_user(&unused_email());
    let mut all: Vec<Vec<u8>> = bodies().into_iter().chain(texts()).map(String::into_bytes).collect();
    for text in [
        "",
        "\0",
        "a=b&c",
        "=",
        "username=%00&password=%00",
        "username=%ff",
        "first_name\n\0",
        "first_name\n\"",
        "BEGIN:VCARD",
    ] {
        all.push(text.as_bytes().to_vec());
    }
    all.push(b"\xff\xfe\x00".to_vec());
    all.push(b"first_name\n\xff\n".to_vec());
    all.push(b"BEGIN:VCARD\r\n".repeat(50_000));
    for route in routes().into_iter().filter(|route| !route.is_guarded() || route.path.contains("contacts")) {
        for (kind, _) in &operation(&route).bodies {
            for body in &all {
                let request = user.request(route.method.as_str(), with_parameter(route.path, "1"));
                let answer = request.header("Content-Type", kind).body(body.clone()).send();
                let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
                assert_client_error(&answer, &format!("{} as {kind}: {start}", route.path));
            }
        }
    }
    assert_no_fault_in(&server.log());
}

fn members(route: &Route) -> Vec<String> {
    let schemas = bodies_of(route).into_iter();
    let mut names: Vec<String> = schemas
        .filter_map(|(_, schema)| schema["properties"].as_object().cloned())
        .flat_map(|properties| properties.into_iter().map(|(name, _)| name))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A body that would fit, but for this member: so the value gets as far as it can.
fn body_with(route: &Route, member: &str, value: &str) -> String {
    let mut body = Vec::new();
    for name in members(route) {
        let text = match name.as_str() {
            name if name == member => value.to_owned(),
            "email" => "\"somebody@example.com\"".to_owned(),
            "birthday" => "\"2001-02-28\"".to_owned(),
            _ => "\"a value\"".to_owned(),
        };
        body.push(format!("\"{name}\":{text}"));
    }
    // Twice, so that there is a duplicate too.
    body.push(format!("\"{member}\":{value}"));
    format!("{{{}}}", body.join(","))
}

fn assert_no_fault_in(log: &str) {
    // The start, when the database has not been reached yet, is not what this is about.
    let told = log.lines().filter(|line| !line.contains("reached yet"));
    for line in told {
        let fault = ["panicked", "ERROR", "WARN"].iter().any(|w| line.contains(w));
        assert!(!fault, "{line}");
    }
}

#[test]
fn hostile_headers_are_no_5xx() {
    let shared = shared();
    let user = shared.user();
    let id = user.new_contact(&serde_json::json!({ "first_name": "A" }));
    let path = format!("/api/contacts/{id}");
    let long = "\"1\",".repeat(3_000);
    let values =
        ["", "\"", "\"\"", "W/", "W/\"1\"", "*,*", ",,,", "\"99999999999999999999\"", "\"-1\"", "\"a,b\"", "é", &long];
    for value in values {
        for name in [
            "If-Match",
            "If-None-Match",
            "Accept",
            "Accept-Encoding",
            "Origin",
            "User-Agent",
            "X-Forwarded-For",
            "X-Request-Id",
            "Content-Type",
        ] {
            for method in ["GET", "PUT", "PATCH", "DELETE"] {
                let request = user.request(method, &path).header(name, value);
                let request =
                    if name == "Content-Type" { request } else { request.header("Content-Type", "application/json") };
                // Nothing that fits, so that the contact stays: what counts is what is made of the header.
                let answer = request.body("{\"first_name\":1}").send();
                assert!(answer.status < 500, "{method} {name}: {value:?}: {}", answer.text());
            }
            user.login_anew(name, value);
        }
    }
}

impl Client {
    /// A login that fails, with this header on it.
    fn login_anew(&self, name: &str, value: &str) {
        let request = self.request("POST", "/api/auth/login");
        let answer = request.header(name, value).body("{}").send();
        assert!(answer.status < 500, "{name}: {value:?}: {}", answer.text());
    }
}

/// What looks like a pattern is searched for as it is, and what no field can hold is found nowhere.
#[test]
fn hostile_searches_find_what_they_say_and_nothing_else() {
    let shared = shared();
    let user = shared.user();
    let names = ["100%", "a_b", r"back\slash", "O'Brien", "plain", "aXb", "semi;colon", "quo\"te", "--"];
    for name in names {
        user.new_contact(&serde_json::json!({ "first_name": name }));
    }
    let found = |query: String| user.get(&query).send().expect(200).names();
    for field in ["first_name", "q"] {
        let search = |text: &str| found(format!("/api/contacts?{field}={}", percent_encode(text)));
        assert_eq!(search("%"), ["100%"]);
        assert_eq!(search("_"), ["a_b"]);
        assert_eq!(search("a_b"), ["a_b"]);
        assert_eq!(search(r"\"), [r"back\slash"]);
        assert_eq!(search("'"), ["O'Brien"]);
        assert_eq!(search("\""), ["quo\"te"]);
        assert_eq!(search("--"), ["--"]);
        assert_eq!(search(r"\%"), [""; 0]);
        assert_eq!(search("%%"), [""; 0]);
        for nothing in ["\0", "\u{1f}", "\u{301}", "a\u{1f}b"] {
            let all: Vec<String> = search(nothing);
            assert!(all.len() < names.len(), "{nothing:?} must not find the whole address book: {all:?}");
        }
        assert_eq!(search("\0"), [""; 0]);
        assert_eq!(search("\u{1f}"), [""; 0]);
    }
    let whole: Value = user.get("/api/contacts?first_name=").send().expect(200).json();
    assert_eq!(whole.as_array().unwrap().len(), names.len());
}
