//! What happens around every handler, as plain functions: request id, bearer token, CORS, response headers, access log.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::api::context::Context;
use crate::api::endpoint::{Call, Caller};
use crate::api::problem::Error;
use crate::http::{Method, Request, Response};

/// The client's own request id, if it is one that can be echoed (1–64 of `A-Za-z0-9._-`), else a new one.
pub fn request_id(request: &Request) -> Cow<'_, str> {
    match request.header("X-Request-Id") {
        Some(id) if is_request_id(id) => Cow::Borrowed(id),
        _ => Cow::Owned(new_request_id()),
    }
}

fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Unique within a process by a counter, over restarts by where the counter starts.
pub fn new_request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut next = NEXT.fetch_add(1, Ordering::Relaxed);
    if next == 0 {
        let start = getrandom::u64().unwrap_or_default() | 1;
        NEXT.fetch_add(start, Ordering::Relaxed);
        next = start;
    }
    format!("{next:016x}")
}

/// Who calls, by the access token. One check without I/O: signature, claims, and the list of sessions that ended lately.
pub fn authenticate(cx: &Context, call: &Call<'_>) -> Result<Caller, Error> {
    let Some(token) = call.request.bearer() else {
        return Err(Error::Unauthorized("Send an access token: Authorization: Bearer …"));
    };
    let access = cx.keys.verify_access(token, cx.now()).map_err(|error| {
        log::debug!("{} access token refused: {error:?}", call.id);
        Error::Unauthorized("The access token does not count (any more): refresh it, or log in again.")
    })?;
    if cx.revocations.holds(&cx.store, access.session)? {
        return Err(Error::Unauthorized("The session has ended: log in again."));
    }
    Ok(Caller { user: access.user, session: access.session })
}

/// Headers that every answer carries.
pub fn finish(cx: &Context, request: &Request, request_id: &str, guarded: bool, response: Response) -> Response {
    let mut response =
        response.header("X-Request-Id", request_id.to_owned()).header("X-Content-Type-Options", "nosniff");
    if guarded && !response.has("Cache-Control") {
        let value = if response.has("ETag") { "private, no-cache" } else { "no-store" };
        response = response.header("Cache-Control", value);
    }
    cors(cx, request, response)
}

/// CORS (the Fetch standard), for the origins of the setting alone; without it, browsers of other origins are kept out.
fn cors(cx: &Context, request: &Request, response: Response) -> Response {
    if cx.cors_origins.is_empty() {
        return response;
    }
    let response = response.header("Vary", "Origin");
    let Some(origin) = request.header("Origin") else {
        return response;
    };
    let Some(allowed) = cx.cors_origins.iter().find(|o| *o == origin || *o == "*") else {
        return response;
    };
    let response = response
        .header("Access-Control-Allow-Origin", allowed.clone())
        .header("Access-Control-Expose-Headers", "ETag, Link, Location, Retry-After, X-Request-Id, X-Total-Count");
    if *request.method() != Method::Options || request.header("Access-Control-Request-Method").is_none() {
        return response;
    }
    response
        .header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
        .header("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, If-None-Match, X-Request-Id")
        .header("Access-Control-Max-Age", "600")
}

/// One line a request, at level debug: at info it would be the costliest part of a read. The query is left out, for it
/// holds people's names, and so is the secret of a calendar's address.
pub fn access_log(request: &Request, request_id: &str, response: &Response, started: Instant) {
    log::debug!(
        "{request_id} {} {} {} {}us",
        request.method().as_str(),
        masked(request.path()),
        response.status.0,
        started.elapsed().as_micros()
    );
}

fn masked(path: &str) -> &str {
    const SECRET: &str = "/api/calendar/";
    if path.starts_with(SECRET) { "/api/calendar/…" } else { path }
}
