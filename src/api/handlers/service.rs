//! The service about itself: index, health, documentation.

use serde_json::{Value, json};

use crate::api::context::Context;
use crate::api::docs;
use crate::api::endpoint::{Answer, Batch, Call, Operation, Path, Preconditions, Reply};
use crate::api::problem::Error;
use crate::domain::fields::{Fields, FromFields};
use crate::domain::rules::{Doc, Verbatim};
use crate::domain::shape::{Shape, shape};
use crate::http::{Body, Response};
use crate::store;

shape! {
    /// A sentence about the service.
    pub struct Message as "Message" {
        /// The sentence.
        pub message: &'static str,
    }
}

shape! {
    /// The index.
    pub struct Index as "Index" {
        /// The program.
        pub name: &'static str,
        /// Its version.
        pub version: &'static str,
        /// Where its documentation is.
        pub docs: &'static str,
        /// Where its OpenAPI document is.
        pub openapi: &'static str,
        /// Where its health can be checked.
        pub health: &'static str,
    }
}

/// `GET /`
pub fn index(_: &Call<'_>, (): ()) -> Result<Answer<200, Index>, Error> {
    Ok(Answer::json(&Index {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        docs: "/docs",
        openapi: "/openapi.json",
        health: "/api/healthchecker",
    }))
}

/// `GET /healthchecker`, `GET /api/healthchecker`
pub struct Health;

impl Batch for Health {
    type Who = ();
    type Input = ();
    type Asked = ();
    type Kept = ();
    type Got = Result<(), store::Error>;
    type Reply = Answer<200, Message>;

    fn ask((): &(), (): ()) -> ((), ()) {
        ((), ())
    }
    fn run(cx: &Context, asked: &[()]) -> Vec<Option<Self::Got>> {
        cx.store.ping_for(asked)
    }
    fn reply((): (), ping: Self::Got) -> Result<Self::Reply, Error> {
        ping?;
        Ok(Answer::json(&Message { message: "The address book is up, and so is its database." }))
    }
}

/// `GET /livez`
pub fn livez(_: &Call<'_>, (): ()) -> Result<Answer<200, Message>, Error> {
    Ok(Answer::json(&Message { message: "alive" }))
}

/// `GET /readyz`
pub fn readyz(call: &Call<'_>, (): ()) -> Result<Answer<200, Message>, Error> {
    if call.is_draining() {
        return Err(Error::Unavailable("draining".to_owned()));
    }
    call.store.usable()?;
    Ok(Answer::json(&Message { message: "ready" }))
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
pub fn openapi(call: &Call<'_>, (): ()) -> Result<Answer<200, OpenApi>, Error> {
    Ok(Answer::fixed(call.openapi))
}

/// A file of the documentation page.
pub struct AssetFile(Response);

impl Reply for AssetFile {
    fn into_response(self) -> Response {
        self.0
    }
    fn describe(operation: &mut Operation) {
        // The page is HTML; each of its files has a type of its own.
        operation.replies.push((200, "The file", vec![("*/*", json!({ "type": "string" }))]));
    }
}

/// The `{file}` of a path.
pub struct FileName(String);

impl FromFields for FileName {
    fn from_fields(fields: &mut Fields<'_>) -> Option<FileName> {
        let file = Doc(Verbatim { max: 100 }, "The name of the file, as the page refers to it.");
        fields.required("file", &file).map(FileName)
    }
}

/// `GET /docs`
pub fn docs_page(call: &Call<'_>, conditions: Preconditions) -> Result<AssetFile, Error> {
    file(call, docs::page(), &conditions)
}

/// `GET /docs/{file}`
pub fn docs_file(
    call: &Call<'_>,
    (Path(FileName(name)), conditions): (Path<FileName>, Preconditions),
) -> Result<AssetFile, Error> {
    let asset = docs::asset(&name).ok_or(Error::NotFound("The documentation has no such file."))?;
    file(call, asset, &conditions)
}

fn file(call: &Call<'_>, asset: &'static docs::Asset, conditions: &Preconditions) -> Result<AssetFile, Error> {
    let (bytes, encoding) = asset.body(call.request.list("Accept-Encoding"));
    let mut response = Response::with_body(200, asset.content_type, Body::Static(bytes));
    if !conditions.allow(&asset.etag())? {
        response = Response::new(304);
    } else if let Some(encoding) = encoding {
        response = response.header("Content-Encoding", encoding);
    }
    let response =
        response.header("ETag", asset.etag()).header("Vary", "Accept-Encoding").header("Cache-Control", "no-cache");
    Ok(AssetFile(response.header("Content-Security-Policy", docs::CONTENT_SECURITY_POLICY)))
}
