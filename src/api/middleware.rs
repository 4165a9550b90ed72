//! What happens around every handler, as plain functions: request id, bearer token, CORS, response headers.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::api::context::Context;
use crate::api::endpoint::{Call, Caller, LoggedIn, Route, Scope};
use crate::api::problem::Error;
use crate::http::{Identity, Method, Request, Response};
use crate::security::api_token;

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

/// A counter makes it unique within a process; its random start, over restarts.
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

/// 401 for a request without a token.
pub const NO_TOKEN: Error = Error::Unauthorized("Send an access token: Authorization: Bearer …");

/// 403 for an API token where no scope would help.
pub const NEEDS_SESSION: Error = Error::Forbidden("An API token does not open this: log in, and use the access token.");

/// Who calls a row that API tokens open for this.
pub fn admit(call: &Call<'_>, scope: Scope) -> Result<Caller, Error> {
    match authenticate(call)? {
        By::Session(LoggedIn { user, .. }) => Ok(Caller { user }),
        By::ApiToken { user, may_write } if may_write || scope == Scope::Read => Ok(Caller { user }),
        By::ApiToken { .. } => Err(Error::InsufficientScope),
    }
}

/// Who calls a row that no API token opens. One that would open others is told so.
pub fn admit_logged_in(call: &Call<'_>) -> Result<LoggedIn, Error> {
    match authenticate(call)? {
        By::Session(session) => Ok(session),
        By::ApiToken { .. } => Err(NEEDS_SESSION),
    }
}

/// What a caller is known by.
enum By {
    Session(LoggedIn),
    ApiToken { user: i64, may_write: bool },
}

/// Finds out who calls, by the token, and counts the request. An access token is checked without I/O: signature, claims, and the
/// list of sessions that ended lately. An API token is by its row: in one round trip, but for the first use, which is written down.
fn authenticate(call: &Call<'_>) -> Result<By, Error> {
    let token = call.request.bearer().ok_or(NO_TOKEN)?;
    let (user, by) = if let Some(Identity { user, session }) = identity(call.context, call.request) {
        if call.revocations.holds(&call.store, session)? {
            return Err(Error::InvalidToken("The session has ended: log in again."));
        }
        (user, By::Session(LoggedIn { user, session }))
    } else {
        let refused = "The access token is invalid, expired or revoked: refresh it, or log in again.";
        let (user, digest) = api_token::read(token).ok_or(Error::InvalidToken(refused))?;
        let found = call.store.use_token(user, &digest)?;
        call.api_tokens.set(digest, found.is_some());
        let (may_write, is_first) =
            found.ok_or(Error::InvalidToken("The API token has ended, or never was one: make a new one."))?;
        if is_first {
            call.audit("api-token-first-used", Some(user));
        }
        (user, By::ApiToken { user, may_write })
    };
    let too_many = |seconds| Error::TooManyRequests("requests", seconds);
    call.rates.take(user, call.request.arrived()).map_err(too_many)?;
    Ok(by)
}

/// Whether the token may turn out to be valid, as far as can be told without the database.
pub fn may_be_valid(cx: &Context, request: &Request) -> bool {
    identity(cx, request).is_some() || request.bearer().and_then(api_token::read).is_some()
}

/// The user whom a request is counted for, without a look into the database: the one of a valid access token, or of an API token
/// that counted the last time.
pub fn user(cx: &Context, request: &Request) -> Option<i64> {
    identity(cx, request).map(|identity| identity.user).or_else(|| {
        let (user, digest) = api_token::read(request.bearer()?)?;
        cx.api_tokens.holds(&digest).then_some(user)
    })
}

/// Who the access token says the caller is; `None` without a valid one. Whether the session has ended it does not say.
pub fn identity(cx: &Context, request: &Request) -> Option<Identity> {
    let verify = |token| cx.keys.verify_access(token, cx.now());
    let refused = |error| log::debug!("an access token was refused: {error:?}");
    request.identity(|| {
        let access = verify(request.bearer()?).map_err(refused).ok()?;
        Some(Identity { user: access.user, session: access.session })
    })
}

/// Adds the headers that every answer carries.
pub fn finish(call: &Call<'_>, response: Response) -> Response {
    let mut response = safe(response, call.id.clone().into_owned());
    response.close |= call.is_leaving();
    let is_guarded = call.route.is_some_and(Route::is_guarded);
    if is_guarded && !response.has("Cache-Control") {
        let value = if response.has("ETag") { "private, no-cache" } else { "no-store" };
        response = response.header("Cache-Control", value);
    }
    if is_guarded {
        response = rate_limit(call, response);
    }
    cors(call, response)
}

/// Adds the request's id, and what keeps browsers from doing more with an answer than to show it.
pub fn safe(response: Response, id: String) -> Response {
    let response = response.header("X-Request-Id", id).header("X-Content-Type-Options", "nosniff");
    // The address of a calendar is a secret.
    let response = response.header("Referrer-Policy", "no-referrer");
    if response.has("Content-Security-Policy") {
        return response;
    }
    response.header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
}

/// What the caller has left of the requests of a minute, if there is a limit.
fn rate_limit(call: &Call<'_>, mut response: Response) -> Response {
    let user = user(call.context, call.request);
    let left = user.and_then(|user| call.rates.left(user, call.request.arrived()));
    for (name, value) in
        ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"].into_iter().zip(left.iter().flatten())
    {
        response = response.header(name, value.to_string());
    }
    response
}

/// The headers that pages of other origins may read.
const EXPOSED: &str = "ETag, Idempotency-Replayed, Link, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, \
    Retry-After, X-Request-Id, X-Total-Count";
/// The headers that they may send.
const ACCEPTED: &str = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, X-Request-Id";

/// CORS (the Fetch standard), only for the origins of the setting; without it, browsers keep other origins out.
fn cors(call: &Call<'_>, response: Response) -> Response {
    if call.cors_origins.is_empty() {
        return response;
    }
    let response = response.header("Vary", "Origin");
    let Some(origin) = call.request.header("Origin") else {
        return response;
    };
    let Some(allowed) = call.cors_origins.iter().find(|o| *o == origin || *o == "*") else {
        return response;
    };
    let response = response
        .header("Access-Control-Allow-Origin", allowed.clone())
        .header("Access-Control-Expose-Headers", EXPOSED);
    let is_preflight = call.request.header("Access-Control-Request-Method").is_some();
    if *call.request.method() != Method::Options || !is_preflight {
        return response;
    }
    response
        .header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
        .header("Access-Control-Allow-Headers", ACCEPTED)
        .header("Access-Control-Max-Age", "600")
}
