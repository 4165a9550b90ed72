//! The service about itself: index, health, documentation.

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::api::docs;
use crate::api::endpoint::{Answer, Documented, FileHeaders, Operation, Path, Reply, Shape, always};
use crate::api::problem::Error;
use crate::domain::fields::{Fields, FromFields};
use crate::domain::rules::{Doc, Opaque};
use crate::http::{Body, Response};

/// `{"message": …}`
pub struct Message;

impl Shape for Message {
    const NAME: &'static str = "Message";
    fn schema() -> Value {
        always(json!({ "message": { "type": "string" } }))
    }
}

/// The index.
pub struct Index;

impl Shape for Index {
    const NAME: &'static str = "Index";
    fn schema() -> Value {
        let text = json!({ "type": "string" });
        always(json!({ "name": text, "version": text, "docs": text, "openapi": text, "health": text }))
    }
}

/// `GET /`
pub fn index(_: &Context, (): ()) -> Result<Answer<200, Index>, Error> {
    Ok(Answer::json(&json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "docs": "/docs",
        "openapi": "/openapi.json",
        "health": "/api/healthchecker",
    })))
}

/// `GET /healthchecker`, `GET /api/healthchecker`
pub fn health(cx: &Context, (): ()) -> Result<Answer<200, Message>, Error> {
    cx.store.ping()?;
    Ok(Answer::json(&json!({ "message": "The address book is up, and so is its database." })))
}

/// `GET /livez`
pub fn livez(_: &Context, (): ()) -> Result<Answer<200, Message>, Error> {
    Ok(Answer::json(&json!({ "message": "alive" })))
}

/// `GET /readyz`
pub fn readyz(cx: &Context, (): ()) -> Result<Answer<200, Message>, Error> {
    if cx.is_draining() {
        return Err(Error::Unavailable("draining".to_owned()));
    }
    cx.store.ping()?;
    Ok(Answer::json(&json!({ "message": "ready" })))
}

/// The OpenAPI document.
pub struct OpenApi;

impl Shape for OpenApi {
    const NAME: &'static str = "OpenApi";
    fn schema() -> Value {
        json!({ "type": "object", "description": "an OpenAPI 3.1 document" })
    }
}

/// `GET /openapi.json`
pub fn openapi(cx: &Context, (): ()) -> Result<Answer<200, OpenApi>, Error> {
    Ok(Answer::fixed(cx.openapi.as_bytes()))
}

/// A file of the documentation page.
pub struct File(Response);

impl Reply for File {
    fn into_response(self) -> Response {
        self.0
    }

    fn describe(operation: &mut Operation) {
        // The page is HTML, its files are what they are.
        let content = vec![("*/*", json!({ "type": "string" }))];
        operation.replies.push(Documented { status: 200, description: "The file.", content });
    }
}

/// The `{file}` of a path.
pub struct FileName(String);

impl FromFields for FileName {
    fn from_fields(fields: &mut Fields<'_>) -> Option<FileName> {
        let file = Doc(Opaque { max: 100 }, "Its name, as the page has it.");
        fields.required("file", &file).map(FileName)
    }
}

fn file(asset: &'static docs::Asset, headers: &FileHeaders) -> File {
    let (bytes, encoding) = asset.body(headers.accept_encoding.as_deref());
    let mut response = Response::with_body(200, asset.content_type, Body::Static(bytes));
    if headers.known.names(&asset.etag()) {
        response = Response::new(304);
    } else if let Some(encoding) = encoding {
        response = response.header("Content-Encoding", encoding);
    }
    let response =
        response.header("ETag", asset.etag()).header("Vary", "Accept-Encoding").header("Cache-Control", "no-cache");
    File(response.header("Content-Security-Policy", docs::CONTENT_SECURITY_POLICY))
}

/// `GET /docs`
pub fn docs_page(_: &Context, headers: FileHeaders) -> Result<File, Error> {
    Ok(file(docs::page(), &headers))
}

/// `GET /docs/{file}`
pub fn docs_file(_: &Context, (Path(FileName(name)), headers): (Path<FileName>, FileHeaders)) -> Result<File, Error> {
    match docs::asset(&name) {
        Some(asset) => Ok(file(asset, &headers)),
        None => Err(Error::NotFound("The documentation has no such file.")),
    }
}
