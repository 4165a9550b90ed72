//! The OpenAPI 3.1 document, made from the table of routes.

use serde_json::{Map, Value, json};

use crate::api::endpoint::{Operation, Route};
use crate::domain::fields::Fault;
use crate::http::reason;

/// Renders the document. Tests compare it with the routes and with real answers.
pub fn render(routes: &[Route], password_min: usize) -> String {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    schemas.insert("Problem".to_owned(), problem_schema());
    for route in routes {
        let described = route.operation(password_min);
        for (name, schema) in &described.components {
            schemas.insert((*name).to_owned(), schema.clone());
        }
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method.as_str().to_ascii_lowercase()] = operation(route, &described);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "contactd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A private, multi-user address book. Sign up, press Authorize with your e-mail as username, and try it out.",
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "paths": paths,
        "components": { "schemas": schemas, "securitySchemes": security_schemes() },
    });
    document.to_string()
}

fn security_schemes() -> Value {
    json!({
        "password": {
            "type": "oauth2",
            "description": "Your e-mail as username, and your password.",
            "flows": { "password": { "tokenUrl": "/api/auth/login", "refreshUrl": "/api/auth/refresh_token", "scopes": {} } },
        },
        "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A token that you already have." },
    })
}

fn operation(route: &Route, described: &Operation) -> Value {
    let mut operation = json!({
        "tags": [route.tag],
        "summary": route.summary,
        "operationId": operation_id(route),
        "responses": responses(route, described),
    });
    if !described.parameters.is_empty() {
        operation["parameters"] = json!(described.parameters);
    }
    if !described.bodies.is_empty() {
        let content = content(&described.bodies);
        operation["requestBody"] = json!({ "required": !described.body_is_optional, "content": content });
    }
    if route.is_guarded() {
        operation["security"] = json!([{ "password": [] }, { "bearer": [] }]);
    } else if described.takes_token {
        // Authorize gets an access token by a password, so that scheme does not fit a refresh token. None is needed where the
        // body contains the token.
        operation["security"] =
            if described.bodies.is_empty() { json!([{ "bearer": [] }]) } else { json!([{ "bearer": [] }, {}]) };
    }
    operation
}

/// Unique and stable: the method and the words of the path.
fn operation_id(route: &Route) -> String {
    let words = route
        .path
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty() && *word != "api");
    let mut id = route.method.as_str().to_ascii_lowercase();
    for word in words {
        id = format!("{id}_{word}");
    }
    if route.path == "/api/healthchecker" { id + "_api" } else { id }
}

fn content(bodies: &[(&'static str, Value)]) -> Value {
    let content: Map<_, _> =
        bodies.iter().map(|(media_type, schema)| ((*media_type).to_owned(), json!({ "schema": schema }))).collect();
    Value::Object(content)
}

/// The replies of the handler, and the errors that follow from what it takes.
fn responses(route: &Route, described: &Operation) -> Value {
    let mut responses = Map::new();
    for (status, description, bodies) in &described.replies {
        let mut response = json!({ "description": description });
        if !bodies.is_empty() {
            response["content"] = content(bodies);
        }
        responses.insert(status.to_string(), response);
    }
    let mut errors = described.errors.clone();
    if route.is_guarded() {
        errors.push(401);
    }
    // An invalid header counts as absent, so it causes no 422.
    let mut parameters = described.parameters.iter();
    if parameters.any(|parameter| parameter["in"] != "header") || !described.bodies.is_empty() {
        errors.push(422);
    }
    if !described.bodies.is_empty() {
        errors.extend([400, 413, 415]);
    }
    errors.extend([429, 503]);
    errors.sort_unstable();
    errors.dedup();
    for status in errors {
        let problem = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
        responses.insert(status.to_string(), json!({ "description": reason(status), "content": problem }));
    }
    Value::Object(responses)
}

/// RFC 9457, with what this API adds.
fn problem_schema() -> Value {
    let example = json!([Fault::new("birthday", "must be a date such as 2001-02-28")]);
    json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "format": "uri-reference" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "request_id": { "type": "string" },
            "errors": {
                "type": "array",
                "items": { "type": "object", "properties": { "field": { "type": "string" }, "detail": { "type": "string" } }, "required": ["field", "detail"] },
                "example": example,
            },
            "error": { "type": "string", "description": "what OAuth2 calls a refused login or refresh (RFC 6749, section 5.2)", "example": "invalid_grant" },
            "error_description": { "type": "string", "description": "the detail again, where OAuth2 clients look for it" },
        },
        "required": ["type", "title", "status", "detail", "request_id"],
    })
}
