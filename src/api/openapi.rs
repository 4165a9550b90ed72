//! The OpenAPI 3.1 document, made from the table of routes. What stays the same whatever the table says is in `openapi.json`, and
//! the longer texts are the sections of `openapi.md`.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use crate::api::endpoint::{BODY_LIMIT, Bodies, Operation, Route, Scope};
use crate::api::middleware::{NEEDS_SESSION, NO_TOKEN};
use crate::api::problem::{Error, PROBLEM, unavailable};
use crate::domain::contact::Draft;
use crate::domain::fields::{Fields, JSON, Source};
use crate::http::{Body, Response, reason};

/// That of the examples.
const REQUEST_ID: &str = "5d0c8b1a2e3f4a5b";

/// The text of a section of `openapi.md`; empty if there is none, which the tests find.
fn prose(section: &str) -> &'static str {
    let mut sections = include_str!("openapi.md").split("\n## ");
    sections.find_map(|text| text.strip_prefix(section)?.strip_prefix('\n')).unwrap_or_default().trim()
}

/// The usual error of each status that follows from what an operation takes.
fn usual_errors() -> [Error; 8] {
    let body = json!({ "first_name": "José", "email": "not an address", "birthday": "2001-02-30" });
    let fields = Fields::new(Source::Json(body.as_object().expect("an object")), NaiveDate::MIN);
    [
        Error::BadRequest("The body is not JSON: expected value, at line 1 column 16.".to_owned()),
        NO_TOKEN,
        Error::InsufficientScope,
        Error::PreconditionFailed,
        Error::PayloadTooLarge(BODY_LIMIT),
        Error::UnsupportedMediaType(vec![JSON], ""),
        Error::Invalid(fields.read::<Draft>().expect_err("two fields are invalid")),
        Error::OverShare,
    ]
}

/// Renders the document. Tests compare it with the routes and with real answers.
pub fn render(routes: &[Route], password_min: usize) -> String {
    let mut document: Value = serde_json::from_str(include_str!("openapi.json")).expect("the tests read it");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["info"]["description"] = prose("info").into();
    let usual = usual_errors().into_iter().map(seen).chain([unavailable(REQUEST_ID)]);
    let usual: BTreeMap<_, _> = usual.map(|answer| error_response(&[answer])).collect();
    let mut tags = Vec::new();
    for route in routes.iter().filter(|route| route.is_listed) {
        let described = route.operation(password_min);
        let method = route.method.as_str().to_ascii_lowercase();
        document["paths"][route.path][method] = operation(route, &described, &usual);
        for (name, schema) in described.components {
            document["components"]["schemas"][name] = schema;
        }
        let tag = json!({ "name": route.tag, "description": prose(route.tag) });
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    document["tags"] = tags.into();
    for (status, response) in usual {
        document["components"]["responses"][component(status)] = response;
    }
    document.to_string() + "\n"
}

fn operation(route: &Route, described: &Operation, usual: &BTreeMap<u16, Value>) -> Value {
    // Authorize gets an access token by a password, so that scheme does not fit a refresh token. Where a body may contain the
    // token, none is asked for: Swagger UI shows a lock that is optional as one that is closed.
    let security = match () {
        // Linters take scopes of a scheme that is not OAuth2's for a mistake, so only the 403 and the texts tell them.
        () if route.scope().is_some() => json!([{ "password": [] }, { "bearer": [] }, { "apiToken": [] }]),
        () if route.is_guarded() => json!([{ "password": [] }, { "bearer": [] }]),
        () if described.takes_token && described.bodies.is_empty() => json!([{ "bearer": [] }]),
        () => json!([]),
    };
    let mut operation = json!({
        "tags": [route.tag],
        "summary": route.summary,
        "description": prose(route.id),
        "operationId": route.id,
        "security": security,
        "parameters": described.parameters,
        "responses": responses(route, described, usual),
    });
    if !described.bodies.is_empty() {
        let content = content(&described.bodies);
        operation["requestBody"] = json!({ "required": !described.body_is_optional, "content": content });
    }
    operation
}

fn content(bodies: &Bodies) -> Map<String, Value> {
    bodies.iter().map(|(media_type, schema)| ((*media_type).to_owned(), json!({ "schema": schema }))).collect()
}

fn headers<'a>(names: impl IntoIterator<Item = &'a str>) -> Map<String, Value> {
    let reference = |name: &str| (name.to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    names.into_iter().chain(["X-Request-Id"]).map(reference).collect()
}

/// The replies of the handler, its own errors, and those that follow from what it takes.
fn responses(route: &Route, described: &Operation, usual: &BTreeMap<u16, Value>) -> Value {
    let mut responses = BTreeMap::new();
    for (status, description, bodies) in &described.replies {
        let sent = if *status == 303 { &["Location"] } else { route.sends };
        let mut response = json!({ "description": description, "headers": headers(sent.iter().copied()) });
        if !bodies.is_empty() {
            response["content"] = content(bodies).into();
        }
        responses.insert(*status, response);
    }
    let mut own = [&route.errors[..], &described.errors].concat();
    let mut statuses = vec![429, 503];
    if route.is_guarded() {
        statuses.push(401);
        match route.scope() {
            Some(Scope::Read) => {}
            Some(Scope::Write) => statuses.push(403),
            None => own.push(NEEDS_SESSION),
        }
    }
    if !described.bodies.is_empty() {
        statuses.push(400);
        own.push(Error::PayloadTooLarge(route.body_limit));
        own.push(Error::UnsupportedMediaType(described.bodies.iter().map(|(media_type, _)| *media_type).collect(), ""));
    }
    // An invalid header counts as absent, so it causes no 422.
    if described.parameters.iter().any(|parameter| parameter["in"] != "header") || !described.bodies.is_empty() {
        statuses.push(422);
    }
    let mut answers = BTreeMap::<u16, Vec<Response>>::new();
    for answer in own.into_iter().map(seen) {
        answers.entry(answer.status.0).or_default().push(answer);
    }
    let own = answers.values().map(|answers| error_response(answers));
    for (status, response) in statuses.into_iter().map(|status| (status, usual[&status].clone())).chain(own) {
        let is_usual = usual.get(&status) == Some(&response);
        let reference = json!({ "$ref": format!("#/components/responses/{}", component(status)) });
        responses.insert(status, if is_usual { reference } else { response });
    }
    responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect()
}

/// What the usual error of a status is called: `BadRequest`.
fn component(status: u16) -> String {
    reason(status).replace(' ', "")
}

fn seen(error: Error) -> Response {
    error.into_response(REQUEST_ID)
}

/// The status of these answers, which they share, and what the document says of it. They are real, so the examples are.
fn error_response(answers: &[Response]) -> (u16, Value) {
    let problem = |answer: &Response| match &answer.body {
        Body::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        _ => Value::Null,
    };
    let examples: Vec<Value> = answers.iter().map(problem).collect();
    let schema = match &examples[0] {
        first if first.get("errors").is_some() => "ValidationProblem",
        first if first.get("error").is_some() => "GrantProblem",
        _ => "Problem",
    };
    let mut content = json!({ "schema": { "$ref": format!("#/components/schemas/{schema}") } });
    match examples.as_slice() {
        [example] => content["example"] = example.clone(),
        _ => content["examples"] = examples.iter().map(named).collect(),
    }
    let (status, sent) = (answers[0].status.0, answers[0].headers.iter().map(|(name, _)| *name));
    let headers = headers(sent.filter(|name| *name != "Content-Type"));
    (status, json!({ "description": reason(status), "headers": headers, "content": { PROBLEM: content } }))
}

/// An example under a name: the last word of the problem's type.
fn named(problem: &Value) -> (String, Value) {
    let name = problem["type"].as_str().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default();
    (name.to_owned(), json!({ "summary": problem["detail"], "value": problem }))
}
