//! The service about itself: index, health, documentation.

use crate::api::context::Context;
use crate::api::docs;
use crate::api::endpoint::{Answer, Asking, Batch, Call, Input, Operation, Path, Preconditions};
use crate::api::problem::Error;
use crate::domain::fields::{Fields, FromFields, JSON};
use crate::domain::rules::Verbatim;
use crate::domain::shape::shape;
use crate::http::{Body, Response};
use crate::store;

shape! {
    /// A sentence about the service.
    pub struct Message as "Message" {
        /// The sentence.
        pub message: &'static str = { "examples": ["ready"] },
    }
}

shape! {
    /// The index.
    pub struct Index as "Index" {
        /// The program.
        pub name: &'static str = { "examples": [env!("CARGO_PKG_NAME")] },
        /// Its version.
        pub version: &'static str = { "examples": [env!("CARGO_PKG_VERSION")] },
        /// Where its documentation is.
        pub docs: &'static str = { "examples": ["/docs"] },
        /// Where its OpenAPI document is.
        pub openapi: &'static str = { "examples": ["/openapi.json"] },
        /// Where its health can be checked.
        pub health: &'static str = { "examples": ["/api/healthchecker"] },
    }
}

/// Whether a browser asks: it accepts HTML by name, and other clients do not.
pub struct IsBrowser(bool);

impl Input for IsBrowser {
    fn read(call: &Call<'_>) -> Result<IsBrowser, Error> {
        let mut accepted = call.request.list("Accept").filter_map(|range| range.split(';').next());
        Ok(IsBrowser(accepted.any(|range| range.trim_end().eq_ignore_ascii_case("text/html"))))
    }
    fn describe(operation: &mut Operation) {
        operation.replies.push((303, "A browser, which accepts `text/html`, is sent to the documentation", Vec::new()));
    }
}

/// `GET /`
pub fn index(_: &Call<'_>, IsBrowser(is_browser): IsBrowser) -> Result<Answer<200, Index>, Error> {
    let index = Answer::json(&Index {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        docs: "/docs",
        openapi: "/openapi.json",
        health: "/api/healthchecker",
    });
    let index = index.header("Vary", "Accept");
    Ok(if is_browser { index.without_body(303).header("Location", "/docs") } else { index })
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

    fn ask(_: &Call<'_>, (): &(), (): ()) -> Asking<Self> {
        Ok(((), ()))
    }
    fn run(cx: &Context, asked: &[()]) -> Vec<Option<Self::Got>> {
        cx.store.ping_for(asked)
    }
    fn reply(_: &Call<'_>, (): (), ping: Self::Got) -> Result<Self::Reply, Error> {
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
    if call.is_leaving() {
        return Err(Error::Unavailable("it is about to stop".to_owned()));
    }
    call.store.usable()?;
    Ok(Answer::json(&Message { message: "ready" }))
}

/// `GET /openapi.json`
pub fn openapi(call: &Call<'_>, (): ()) -> Result<Response, Error> {
    Ok(Response::with_body(200, JSON, Body::Static(call.openapi.as_bytes())))
}

/// The `{file}` of a path.
pub struct FileName(String);

impl FromFields for FileName {
    fn from_fields(fields: &mut Fields<'_>) -> FileName {
        FileName(fields.required("file", &Verbatim { max: 100 }))
    }
}

/// `GET /docs`
pub fn docs_page(call: &Call<'_>, conditions: Preconditions) -> Result<Response, Error> {
    file(call, docs::page(), &conditions)
}

/// `GET /docs/{file}`
pub fn docs_file(
    call: &Call<'_>,
    (Path(FileName(name)), conditions): (Path<FileName>, Preconditions),
) -> Result<Response, Error> {
    let asset = docs::asset(&name).ok_or(Error::NotFound("The documentation has no such file."))?;
    file(call, asset, &conditions)
}

fn file(call: &Call<'_>, asset: &'static docs::Asset, conditions: &Preconditions) -> Result<Response, Error> {
    let (bytes, encoding) = asset.body(call.request.list("Accept-Encoding"));
    let mut response = Response::with_body(200, asset.content_type, Body::Static(bytes));
    if !conditions.allow(&asset.etag())? {
        response = Response::new(304);
    } else if let Some(encoding) = encoding {
        response = response.header("Content-Encoding", encoding);
    }
    let response =
        response.header("ETag", asset.etag()).header("Vary", "Accept-Encoding").header("Cache-Control", "no-cache");
    Ok(response.header("Content-Security-Policy", docs::CONTENT_SECURITY_POLICY))
}
