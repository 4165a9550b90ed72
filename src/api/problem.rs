//! Every error a client can meet, and the one place that turns it into a status and an RFC 9457 `application/problem+json`.

use serde_json::{Value, json};

use crate::domain::fields::Fault;
use crate::http::{Body, Response};
use crate::store;

/// Why a request was not done.
#[derive(Debug)]
pub enum Error {
    /// 400: the request cannot be read.
    BadRequest(String),
    /// 401: no token, or none that counts. The text never says more than the client may know.
    Unauthorized(&'static str),
    /// 401: a password or a refresh token that does not count. It also says so in the members of RFC 6749 §5.2, where
    /// OAuth2 clients look, such as the documentation's page.
    InvalidGrant(&'static str),
    /// 404: there is no such thing, or it belongs to somebody else.
    NotFound(&'static str),
    /// 405, with the methods that there are.
    MethodNotAllowed(String),
    /// 406: none of the media types that the client accepts.
    NotAcceptable(String),
    /// 409: it would clash with what is there.
    Conflict(&'static str),
    /// 412: the contact was changed meanwhile.
    PreconditionFailed,
    /// 413, with the limit in bytes.
    PayloadTooLarge(usize),
    /// 415, with the media types that are taken.
    UnsupportedMediaType(&'static [&'static str]),
    /// 422, with everything that is wrong.
    Invalid(Vec<Fault>),
    /// 429, with the seconds to wait.
    TooManyRequests(u64),
    /// 503, the reason for the log, to come back soon.
    Unavailable(String),
    /// 500, the cause for the log.
    Internal(String),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::NotFound => Error::NotFound("There is no such thing."),
            store::Error::Conflict(constraint) if constraint == "users_email_key" => {
                Error::Conflict("An account with this e-mail address exists already.")
            }
            // The user was deleted between the token check and the write.
            store::Error::Conflict(constraint) if constraint.ends_with("_user_id_fkey") => {
                Error::Unauthorized("This account is gone.")
            }
            store::Error::Conflict(constraint) => Error::Internal(format!("constraint {constraint} was violated")),
            store::Error::Unavailable(cause) => Error::Unavailable(cause),
            store::Error::Internal(cause) => Error::Internal(cause),
        }
    }
}

/// The title (RFC 9110's reason phrase) of a status.
pub fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Internal Server Error",
    }
}

fn members(status: u16, detail: &str, request_id: &str) -> Value {
    json!({
        "type": "about:blank",
        "title": title(status),
        "status": status,
        "detail": detail,
        "request_id": request_id,
    })
}

/// A problem document with this status and sentence.
pub fn document(status: u16, detail: &str, request_id: &str, faults: &[Fault]) -> Response {
    let mut problem = members(status, detail, request_id);
    if !faults.is_empty() {
        problem["errors"] = json!(faults);
    }
    with_problem(status, &problem)
}

fn with_problem(status: u16, problem: &Value) -> Response {
    Response::with_body(status, "application/problem+json", Body::Bytes(problem.to_string().into_bytes()))
}

/// Seconds after which it is worth to come back when the server is short of something.
pub const RETRY_AFTER: &str = "1";

impl Error {
    /// The answer. What must not be told goes to the log, under the same request id.
    pub fn into_response(self, request_id: &str) -> Response {
        let plain = |status, detail: &str| document(status, detail, request_id, &[]);
        match self {
            Error::BadRequest(detail) => plain(400, &detail),
            Error::Unauthorized(detail) => plain(401, detail).header("WWW-Authenticate", "Bearer"),
            Error::InvalidGrant(detail) => {
                let mut problem = members(401, detail, request_id);
                problem["error"] = json!("invalid_grant");
                problem["error_description"] = json!(detail);
                with_problem(401, &problem).header("WWW-Authenticate", "Bearer")
            }
            Error::NotFound(detail) => plain(404, detail),
            Error::MethodNotAllowed(allow) => plain(405, &format!("This path takes {allow}.")).header("Allow", allow),
            Error::NotAcceptable(detail) => plain(406, &detail),
            Error::Conflict(detail) => plain(409, detail),
            Error::PreconditionFailed => {
                plain(412, "The contact was changed meanwhile: read it again, then repeat the change.")
            }
            Error::PayloadTooLarge(limit) => plain(413, &format!("The body may have at most {limit} bytes here.")),
            Error::UnsupportedMediaType(takes) => {
                plain(415, &format!("Send the body with Content-Type {}.", takes.join(" or ")))
                    .header("Accept", takes.join(", "))
            }
            Error::Invalid(faults) => {
                let detail = match faults.as_slice() {
                    [one] if one.field.is_empty() => one.detail.clone(),
                    [one] => format!("{} {}.", one.field, one.detail),
                    many => format!("{} values do not fit: see errors.", many.len()),
                };
                document(422, &detail, request_id, &faults)
            }
            Error::TooManyRequests(seconds) => {
                plain(429, &format!("Too many attempts: try again in {seconds} seconds."))
                    .header("Retry-After", seconds.to_string())
            }
            Error::Unavailable(cause) => {
                log::warn!("{request_id} unavailable: {cause}");
                plain(503, "The service cannot answer right now: try again in a moment.")
                    .header("Retry-After", RETRY_AFTER)
            }
            Error::Internal(cause) => {
                log::error!("{request_id} failed: {cause}");
                plain(500, "Something went wrong here; the request id leads to the cause in the server's log.")
            }
        }
    }
}
