//! The OpenAPI document: well formed, of all routes and no others, and telling the truth about real answers.

use std::collections::BTreeSet;

use contactd::api::endpoint::Route;
use contactd::api::openapi;
use contactd::api::routes::routes;
use contactd::config::Values;
use contactd::http::percent_encode;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client, Request};
use crate::support::schema::{check, resolve};
use crate::support::server::{Server, Setup, database};
use crate::support::shared::{shared, unused_email};
use crate::table::{has_parameter, operation, with_parameter};

fn document(client: &Client) -> Value {
    let answer = client.get("/openapi.json").send().expect(200);
    assert!(answer.text().ends_with("}\n"));
    assert_eq!(answer.header("Content-Type"), Some("application/json"));
    answer.json()
}

/// Method, path and operation object.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("a path item").iter();
        methods.map(move |(method, operation)| (method.to_uppercase(), path.clone(), operation))
    });
    operations.collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    let text = value[name].as_str();
    text.unwrap_or_else(|| panic!("{name} is missing in {value}"))
}

#[test]
fn the_document_has_every_route_and_nothing_else() {
    let document = document(&shared().client());
    let documented: BTreeSet<_> = operations(&document)
        .into_iter()
        .map(|(method, path, operation)| {
            // Logging in is a way to whatever is guarded; to a refresh, only a token is.
            let ways = operation["security"].as_array().into_iter().flatten();
            let is_guarded = ways.clone().any(|way| way.get("password").is_some());
            let takes_token = ways.count() > 0;
            assert!(operation["security"].is_array(), "{path} says whether it needs a token");
            assert_eq!(takes_token, is_guarded || method == "GET" && path == "/api/auth/refresh_token", "{path}");
            (method, path, is_guarded)
        })
        .collect();
    let table: BTreeSet<_> = routes()
        .iter()
        .filter(|route| route.is_listed)
        .map(|route| (route.method.as_str().to_owned(), route.path.to_owned(), route.is_guarded()))
        .collect();
    assert_eq!(documented, table);
}

#[test]
fn the_document_is_openapi_3_1() {
    let document = document(&shared().client());
    assert!(text(&document, "openapi").starts_with("3.1."), "{document}");
    for name in ["title", "version", "description"] {
        assert!(!text(&document["info"], name).is_empty());
    }
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let what = format!("{method} {path}");
        assert!(path.starts_with('/') && !path.contains('?'), "{what}");
        let id = text(operation, "operationId");
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{what}: `{id}` is a name in snake_case");
        assert!(ids.insert(id.to_owned()), "{id} is there twice");
        assert!(!text(operation, "summary").is_empty(), "{what}");
        assert!(!text(operation, "description").is_empty(), "src/api/openapi.md needs a section `## {id}`");
        assert_eq!(operation["tags"].as_array().expect("tags").len(), 1, "{what}");
        check_parameters(&path, operation);
        check_responses(&document, &what, operation);
        if let Some(body) = operation.get("requestBody") {
            assert!(body["required"].is_boolean(), "{what}");
            assert!(!body["content"].as_object().expect("content").is_empty(), "{what}");
        }
        for requirement in operation["security"].as_array().into_iter().flatten() {
            for scheme in requirement.as_object().expect("a requirement").keys() {
                assert!(document["components"]["securitySchemes"].get(scheme).is_some(), "{scheme}");
            }
        }
    }
}

fn check_parameters(path: &str, operation: &Value) {
    let mut seen = BTreeSet::new();
    let mut in_path = BTreeSet::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (name, place) = (text(parameter, "name"), text(parameter, "in"));
        assert!(["path", "query", "header"].contains(&place), "{path}: {place}");
        assert!(seen.insert((name, place)), "{path}: {name} twice");
        assert!(parameter["schema"].is_object(), "{path}: {name}");
        assert!(!text(parameter, "description").is_empty(), "{path}: {name}");
        if place == "path" {
            assert_eq!(parameter["required"], true, "{path}: {name}");
            in_path.insert(name);
        }
    }
    let in_template: BTreeSet<_> = path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
    assert_eq!(in_path, in_template, "{path}");
}

/// The response of an operation, wherever the document has it.
fn response<'a>(document: &'a Value, operation: &'a Value, status: &str) -> &'a Value {
    let response = &operation["responses"][status];
    response["$ref"].as_str().map_or(response, |reference| resolve(document, reference).expect("a response"))
}

fn check_responses(document: &Value, what: &str, operation: &Value) {
    let responses = operation["responses"].as_object().expect("responses");
    assert!(responses.keys().any(|status| status.starts_with('2')), "{what}");
    for status in responses.keys() {
        let response = response(document, operation, status);
        let status: u16 = status.parse().expect("a status");
        assert!((200..600).contains(&status), "{what}: {status}");
        assert!(!text(response, "description").is_empty(), "{what}: {status}");
        for (media_type, content) in response["content"].as_object().into_iter().flatten() {
            assert!(media_type.contains('/'), "{what}: {media_type}");
            assert!(content["schema"].is_object(), "{what}: {status} {media_type}");
        }
        let is_problem = response.pointer("/content/application~1problem+json").is_some();
        assert_eq!(is_problem, status >= 400, "{what}: {status}");
        if let Some(problem) = response.pointer("/content/application~1problem+json") {
            let several = problem["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
            let examples: Vec<_> = problem.get("example").into_iter().chain(several).collect();
            assert!(!examples.is_empty(), "{what}: {status} has an example");
            for example in examples {
                assert_eq!(example["status"], status, "{what}");
                check(document, &problem["schema"], example).unwrap_or_else(|fault| panic!("{what} {status}: {fault}"));
            }
        }
    }
}

#[test]
fn every_section_of_the_texts_is_used() {
    let texts = include_str!("../../src/api/openapi.md");
    let sections: BTreeSet<_> = texts.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let routes = routes();
    let listed = routes.iter().filter(|route| route.is_listed);
    let used: BTreeSet<_> = listed.flat_map(|route| [route.id, route.tag]).chain(["info"]).collect();
    assert_eq!(sections, used);
}

/// The document under the default settings, for whoever reads it, and for programs that check it. A change of it is looked at.
#[test]
fn the_document_is_the_one_that_is_kept() {
    const KEPT: &str = "docs/openapi.json";
    let (password_min, _) = Values::new([]).new_password().expect("the default fits");
    let document: Value = serde_json::from_str(&openapi::render(&routes(), password_min)).expect("JSON");
    let document = format!("{document:#}\n");
    if std::env::var_os("KEEP_OPENAPI").is_some() {
        std::fs::write(KEPT, &document).expect("it can be written");
    }
    let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
    let same = kept.lines().zip(document.lines()).take_while(|(a, b)| a == b).count();
    let (was, is) = (kept.lines().nth(same), document.lines().nth(same));
    assert!(kept == document, "{KEPT} line {}: {was:?} is now {is:?}. If that is meant: make openapi", same + 1);
}

/// What the documentation shows as an answer or fills in as a body.
#[test]
fn every_value_has_an_example_that_keeps_its_rule() {
    let document = document(&shared().client());
    let mut rest: Vec<(String, &Value)> = vec![("paths".to_owned(), &document["paths"])];
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        // The answers show whole problems.
        if !["Problem", "Fault"].iter().any(|end| name.ends_with(end)) {
            rest.push((name.clone(), schema));
        }
    }
    while let Some((path, value)) = rest.pop() {
        let is_value = ["string", "integer"].iter().any(|kind| value["type"] == **kind || value["type"][0] == **kind);
        let is_parameter = path.contains("/parameters/");
        if is_value && !is_parameter {
            // What fills in a body takes a default for an example.
            let shows = ["enum", "const", "examples", "default"].iter().any(|keyword| value.get(keyword).is_some());
            assert!(shows, "{path}");
        }
        if let Some(default) = value.get("default").filter(|_| !path.ends_with("/properties")) {
            check(&document, value, default).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        }
        for example in value["examples"].as_array().into_iter().flatten() {
            check(&document, value, example).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        }
        match value {
            Value::Object(members) => rest.extend(members.iter().map(|(name, v)| (format!("{path}/{name}"), v))),
            Value::Array(values) => rest.extend(values.iter().enumerate().map(|(at, v)| (format!("{path}/{at}"), v))),
            _ => {}
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_used() {
    let document = document(&shared().client());
    let mut used = BTreeSet::new();
    let mut rest = vec![&document];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(values) => rest.extend(values),
            Value::Object(members) => {
                rest.extend(members.values());
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    assert!(resolve(&document, reference).is_some(), "{reference}");
                    used.insert(reference.to_owned());
                }
            }
            _ => {}
        }
    }
    let kinds = ["schemas", "responses", "headers"].into_iter();
    let there: BTreeSet<_> = kinds
        .flat_map(|kind| {
            let names = document["components"][kind].as_object().expect("components").keys();
            names.map(move |name| format!("#/components/{kind}/{name}"))
        })
        .collect();
    assert_eq!(used, there);
}

// ---------------------------------------------------------------------------------------- the document against real answers

/// The answer is the document's example of its status, but for the request's id.
#[track_caller]
fn expect_example(document: &Value, route: &Route, answer: &Answer) {
    let operation = &document["paths"][route.path][route.method.as_str().to_lowercase()];
    let response = response(document, operation, &answer.status.to_string());
    let example = response.pointer("/content/application~1problem+json/example");
    let mut example = example.unwrap_or_else(|| panic!("{} {}", route.id, answer.status)).clone();
    let answer = answer.json();
    example["request_id"] = answer["request_id"].clone();
    assert_eq!(example, answer, "{}", route.id);
}

#[test]
fn the_example_of_a_body_that_cannot_be_read_is_a_real_answer() {
    let shared = shared();
    let (document, user) = (document(&shared.client()), shared.user());
    for route in routes() {
        let bodies = operation(&route).bodies;
        let Some((kind, schema)) = bodies.first() else { continue };
        // An upload shows a file, and this one ends before its last line.
        let file = schema["examples"][0].as_str().and_then(|file| file.trim_end().rsplit_once('\n'));
        let broken = file.map_or(r#"{"first_name": }"#, |(start, _)| start);
        let request = user.request(route.method.as_str(), with_parameter(route.path, "1"));
        let answer = request.header("Content-Type", kind).body(broken).send().expect(400);
        expect_example(&document, &route, &answer);
    }
}

#[test]
fn the_example_of_media_types_that_nobody_writes_is_a_real_answer() {
    let shared = shared();
    let (document, user) = (document(&shared.client()), shared.user());
    let writes_files = |route: &Route| operation(route).replies.iter().any(|(.., bodies)| bodies.len() > 1);
    let route = routes().into_iter().find(writes_files).expect("the export");
    let answer = user.get(route.path).header("Accept", "image/png").send().expect(406);
    expect_example(&document, &route, &answer);
}

/// Holds real answers against the document.
struct Truth {
    document: Value,
    succeeded: BTreeSet<(String, String)>,
    /// The documented headers that a good answer had, of which route.
    sent: BTreeSet<(String, String, String)>,
}

/// Headers that every answer has, or that say nothing of the API.
const UNSAID: [&str; 11] = [
    "Content-Type",
    "Content-Length",
    "Transfer-Encoding",
    "Date",
    "Connection",
    "Cache-Control",
    "Vary",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Content-Security-Policy",
    "X-Request-Id",
];

impl Truth {
    /// Checks an answer of a route: its status is documented, and so is what it holds. Gives it back.
    #[track_caller]
    fn of(&mut self, method: &str, path: &str, request: Request) -> Answer {
        let answer = request.send();
        let what = format!("{method} {path} {}", answer.status);
        let operation = &self.document["paths"][path][method.to_lowercase()];
        let response = response(&self.document, operation, &answer.status.to_string());
        assert!(response.is_object(), "{what} is not documented: {}", answer.text());
        if answer.status < 300 {
            self.succeeded.insert((method.to_owned(), path.to_owned()));
        }
        for (name, _) in &answer.headers {
            let is_said = response["headers"].as_object().is_some_and(|headers| headers.contains_key(name));
            assert!(is_said || UNSAID.contains(&name.as_str()), "{what}: {name}");
            if is_said && answer.status < 300 {
                self.sent.insert((method.to_owned(), path.to_owned(), name.clone()));
            }
        }
        let Some(kind) = answer.header("Content-Type") else {
            assert!(answer.body.is_empty(), "{what} has a body of no type");
            assert!(response.get("content").is_none(), "{what} should have had a body");
            return answer;
        };
        let kind = kind.split(';').next().unwrap_or_default();
        let content = response["content"].as_object();
        let content = content.unwrap_or_else(|| panic!("{what} should have had no body"));
        let content = content.get(kind).or(content.get("*/*"));
        let schema = &content.unwrap_or_else(|| panic!("{what}: {kind} is not documented"))["schema"];
        if kind.ends_with("json") {
            check(&self.document, schema, &answer.json()).unwrap_or_else(|fault| panic!("{what}: {fault}"));
        }
        answer
    }
}

#[test]
fn real_answers_are_as_documented() {
    let (server, _database) = Server::with_database();
    let nobody = server.client();
    let mut truth = Truth { document: document(&nobody), succeeded: BTreeSet::new(), sent: BTreeSet::new() };
    good_answers_of_accounts(&mut truth, &nobody);
    let user = nobody.new_user("book@example.com");
    good_answers_of_contacts(&mut truth, &user);
    good_answers_of_files(&mut truth, &user);
    for path in ["/", "/healthchecker", "/api/healthchecker", "/livez", "/readyz"] {
        truth.of("GET", path, nobody.get(path)).expect(200);
    }
    truth.of("GET", "/", nobody.get("/").header("Accept", "text/html,*/*;q=0.8")).expect(303);
    let all: BTreeSet<_> = operations(&truth.document).into_iter().map(|(method, path, _)| (method, path)).collect();
    let missing: Vec<_> = all.difference(&truth.succeeded).collect();
    assert!(missing.is_empty(), "no good answer of {missing:?} was looked at");
    for route in routes().iter().filter(|route| route.is_listed) {
        for header in route.sends {
            let (method, path) = (route.method.as_str().to_owned(), route.path.to_owned());
            assert!(truth.sent.contains(&(method, path, (*header).to_owned())), "{} sends no {header}", route.id);
        }
    }
}

fn good_answers_of_accounts(truth: &mut Truth, nobody: &Client) {
    let email = unused_email();
    let signup = json!({ "username": "A", "email": email, "password": "123456" });
    truth.of("POST", "/api/auth/signup", nobody.post("/api/auth/signup", &signup)).expect(201);
    truth.of("POST", "/api/auth/signup", nobody.post("/api/auth/signup", &signup)).expect(409);
    let login = json!({ "email": email, "password": "123456" });
    let wrong = json!({ "email": email, "password": "wrong" });
    truth.of("POST", "/api/auth/login", nobody.post("/api/auth/login", &wrong)).expect(401);
    let pair = truth.of("POST", "/api/auth/login", nobody.post("/api/auth/login", &login)).expect(200).json();
    let form = nobody.request("POST", "/api/auth/login").header("Content-Type", "application/x-www-form-urlencoded");
    let form = form.body(format!("username={}&password=123456", percent_encode(&email)));
    truth.of("POST", "/api/auth/login", form).expect(200);
    let token = |pair: &Value, name: &str| nobody.with_token(text(pair, name));
    let path = "/api/auth/refresh_token";
    let by_get = token(&pair, "refresh_token").get(path);
    let pair = truth.of("GET", path, by_get).expect(200).json();
    let by_post = nobody.post(path, &json!({ "refresh_token": pair["refresh_token"] }));
    let pair = truth.of("POST", path, by_post).expect(200).json();
    let user = token(&pair, "access_token");
    let me = "/api/users/me";
    truth.of("GET", me, user.get(me)).expect(200);
    truth.of("PATCH", me, user.patch(me, &json!({ "username": "B" }))).expect(200);
    let list = truth.of("GET", "/api/auth/sessions", user.get("/api/auth/sessions")).expect(200).json();
    let sessions = list.as_array().unwrap();
    let other = sessions.iter().find(|session| session["current"] == false).expect("the one of the form");
    let end = user.delete(&format!("/api/auth/sessions/{}", other["id"]));
    truth.of("DELETE", "/api/auth/sessions/{id}", end).expect(204);
    let tokens = "/api/auth/tokens";
    let draft = json!({ "name": "Backup", "password": "123456" });
    let made = truth.of("POST", tokens, user.post(tokens, &draft)).expect(201).json();
    truth.of("GET", tokens, user.get(tokens)).expect(200);
    let script = user.with_token(text(&made, "token"));
    truth.of("GET", me, script.get(me)).expect(200);
    truth.of("PATCH", me, script.patch(me, &json!({ "username": "C" }))).expect(403);
    truth.of("POST", "/api/contacts", script.post("/api/contacts", &json!({ "first_name": "A" }))).expect(403);
    let end = || user.delete(&format!("{tokens}/{}", made["id"]));
    truth.of("DELETE", "/api/auth/tokens/{id}", end()).expect(204);
    truth.of("DELETE", "/api/auth/tokens/{id}", end()).expect(404);
    let path = "/api/users/me/password";
    let change = json!({ "current_password": "123456", "new_password": "654321" });
    truth.of("PUT", path, user.put(path, &change)).expect(204);
    truth.of("PUT", path, user.put(path, &change)).expect(401);
    let path = "/api/auth/logout";
    truth.of("POST", path, user.request("POST", path)).expect(204);
    truth.of("POST", path, user.request("POST", path)).expect(401);
    let user = nobody.login(&email, "654321");
    let delete = user.delete(me).json(&json!({ "password": "654321" }));
    truth.of("DELETE", me, delete).expect(204);
    let guesses = (0..20).map(|_| truth.of("POST", "/api/auth/login", nobody.post("/api/auth/login", &wrong)).status);
    assert_eq!(guesses.last(), Some(429));
}

fn good_answers_of_contacts(truth: &mut Truth, user: &Client) {
    let list = "/api/contacts";
    let one = "/api/contacts/{id}";
    let whole = json!({
        "first_name": "A", "last_name": "B", "email": "c@example.com", "phone_number": "1",
        "birthday": "2000-02-29", "additional_info": "D",
    });
    let bare = json!({ "first_name": "A" });
    let made = truth.of("POST", list, user.post(list, &whole)).expect(201);
    truth.of("POST", list, user.post(list, &bare)).expect(201);
    for _ in 0..2 {
        let keyed = user.post(list, &bare).header("Idempotency-Key", "k");
        truth.of("POST", list, keyed).expect(201);
    }
    truth.of("POST", list, user.post(list, &whole).header("Idempotency-Key", "k")).expect(422);
    truth.of("POST", list, user.post(list, &whole).header("Idempotency-Key", "")).expect(400);
    truth.of("GET", list, user.get(format!("{list}?count=true&limit=1&sort=-birthday"))).expect(200);
    let path = made.header("Location").unwrap().to_owned();
    let version = made.header("ETag").unwrap().to_owned();
    truth.of("GET", one, user.get(&path)).expect(200);
    truth.of("GET", one, user.get(&path).header("If-None-Match", &version)).expect(304);
    let upcoming = "/api/contacts/upcoming_birthdays";
    let birthdays = truth.of("GET", upcoming, user.get(format!("{upcoming}?days=366"))).expect(200).json();
    assert_eq!(birthdays.as_array().unwrap().len(), 1);
    truth.of("PATCH", one, user.patch(&path, &bare)).expect(200);
    truth.of("PUT", one, user.put(&path, &bare)).expect(200);
    for method in ["PUT", "PATCH", "DELETE"] {
        let stale = user.request(method, &path).json(&bare).header("If-Match", &version);
        truth.of(method, one, stale).expect(412);
    }
    truth.of("DELETE", one, user.delete(&path)).expect(204);
    good_answers_of_the_trash(truth, user, &path);
}

/// With this contact in it.
fn good_answers_of_the_trash(truth: &mut Truth, user: &Client, path: &str) {
    let list = "/api/contacts/trash";
    truth.of("GET", list, user.get(list)).expect(200);
    let id = path.rsplit('/').next().unwrap();
    let restore = || user.request("POST", format!("{list}/{id}/restore"));
    truth.of("POST", "/api/contacts/trash/{id}/restore", restore()).expect(200);
    truth.of("POST", "/api/contacts/trash/{id}/restore", restore()).expect(404);
    user.delete(path).send().expect(204);
    let all = "/api/contacts/trash/restore";
    truth.of("POST", all, user.request("POST", format!("{all}?deleted_after=2000-01-01T00:00:00Z"))).expect(200);
    user.delete(path).send().expect(204);
    truth.of("DELETE", "/api/contacts/trash/{id}", user.delete(&format!("{list}/{id}"))).expect(204);
    truth.of("DELETE", list, user.delete(&format!("{list}?all=true"))).expect(204);
}

fn good_answers_of_files(truth: &mut Truth, user: &Client) {
    let path = "/api/contacts/import";
    let content = truth.document["paths"][path]["post"]["requestBody"]["content"].clone();
    for kind in ["text/vcard", "text/x-vcard", "text/directory", "text/csv"] {
        let example = content[kind]["schema"]["examples"][0].as_str().expect("an example");
        // The example is the same under each of its names.
        let import = user.request("POST", "/api/contacts/import?duplicates=add").header("Content-Type", kind);
        let report = truth.of("POST", path, import.body(example)).expect(200).json();
        assert_eq!((&report["created"], &report["errors"]), (&json!(1), &json!([])), "{kind}");
    }
    let files = [
        ("application/json", "[{\"first_name\":\"A\",\"birthday\":\"2000-02-29\"},{}]"),
        ("text/csv", "first_name,last_name\nA,B\n,C\n"),
        ("text/vcard", "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:A\r\nEND:VCARD\r\n"),
    ];
    for (kind, file) in files.iter().chain(&files[2..]) {
        let import = user.request("POST", path).header("Content-Type", kind);
        truth.of("POST", path, import.header("Idempotency-Key", kind).body(*file)).expect(200);
    }
    let path = "/api/contacts/export";
    for format in ["vcf", "csv", "json"] {
        let export = user.get(format!("{path}?format={format}"));
        truth.of("GET", path, export).expect(200);
    }
    truth.of("GET", path, user.get(path).header("Accept", "image/png")).expect(406);
    let path = "/api/contacts/calendar";
    let opened = truth.of("POST", path, user.request("POST", path)).expect(201);
    let address = text(&opened.json(), "url").to_owned();
    let target = &address[address.find("/api/").expect("a path")..];
    let feed = "/api/calendar/{secret}.ics";
    let calendar = truth.of("GET", feed, user.get(target)).expect(200);
    let known = user.get(target).header("If-None-Match", calendar.header("ETag").unwrap());
    truth.of("GET", feed, known).expect(304);
    truth.of("DELETE", path, user.delete(path)).expect(204);
    truth.of("GET", feed, user.get(target)).expect(404);
}

/// What each route says to bad input is documented, whatever route it is.
#[test]
fn errors_of_every_route_are_documented() {
    let shared = shared();
    let nobody = shared.client();
    let mut truth = Truth { document: document(&nobody), succeeded: BTreeSet::new(), sent: BTreeSet::new() };
    for route in routes().into_iter().filter(|route| route.is_listed) {
        let user = shared.user();
        let method = route.method.as_str();
        let paths = if has_parameter(route.path) { vec!["x", "0", "9999999999", "%zz"] } else { vec!["1"] };
        for path in paths.into_iter().map(|value| with_parameter(route.path, value)) {
            for client in [&nobody, &user] {
                for query in ["", "?skip=x&limit=x&days=x&everywhere=x&dry_run=x&format=x", "?first_name=%ff"] {
                    let plain = || client.request(method, format!("{path}{query}"));
                    truth.of(method, route.path, plain().header("If-Match", "\"x\""));
                    truth.of(method, route.path, plain().header("If-None-Match", "*"));
                    truth.of(method, route.path, plain().header("Accept", "image/png"));
                    if operation(&route).bodies.is_empty() {
                        continue;
                    }
                    for body in ["{", "[]", "{}", "\u{0}", "{\"first_name\":1,\"email\":\"x\"}"] {
                        for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded"] {
                            let request = plain().header("Content-Type", kind);
                            truth.of(method, route.path, request.body(body));
                        }
                    }
                    let large = plain().header("Content-Type", "application/json");
                    truth.of(method, route.path, large.body(vec![b' '; route.body_limit + 1])).expect(413);
                }
            }
        }
    }
}

#[test]
fn the_document_shows_the_password_length_that_is_set() {
    let database = database();
    let server = Setup::on(&database).with("PASSWORD_MIN_LENGTH", "11").ready();
    let document = document(&server.client());
    assert_eq!(document["components"]["schemas"]["Signup"]["properties"]["password"]["minLength"], 11);
}
