//! Every error a client can meet, and the one place that turns it into a status and an RFC 9457 `application/problem+json`.

use serde_json::{Value, json};

use crate::domain::fields::Fault;
use crate::domain::rules::one_of;
use crate::http::{Body, Response, reason};
use crate::store;

/// Why a request failed.
#[derive(Debug, Clone)]
pub enum Error {
    /// 400: the request cannot be read.
    BadRequest(String),
    /// 401: no token, or a wrong password beside a token that is good. The text never says more than the client may know.
    Unauthorized(&'static str),
    /// 401: a token that is refused, and says so (RFC 6750 §3.1), by which clients know that refreshing it may help.
    InvalidToken(&'static str),
    /// 401: a wrong password or an invalid refresh token, with the challenge. The answer also has the members of RFC 6749 §5.2,
    /// where OAuth2 clients look, such as the documentation page.
    InvalidGrant(&'static str, &'static str),
    /// 403: not here, or not with this.
    Forbidden(&'static str),
    /// 403: an API token that may only read.
    InsufficientScope,
    /// 404: there is no such thing, or it belongs to another user.
    NotFound(&'static str),
    /// 405, with the methods that the path has.
    MethodNotAllowed(String),
    /// 406: none of the media types that the client accepts.
    NotAcceptable(String),
    /// 409: it conflicts with what is there. With the problem's type, where clients must tell causes apart.
    Conflict(&'static str, &'static str),
    /// 409: another request with the same key is not done yet.
    InProgress,
    /// 412: what the request is about is not as its `If-Match` or `If-None-Match` says.
    PreconditionFailed,
    /// 413, with the limit in bytes.
    PayloadTooLarge(usize),
    /// 415, with the media types that are accepted, and what the client probably forgot; empty if that is not known.
    UnsupportedMediaType(Vec<&'static str>, &'static str),
    /// 415, with a charset that is not known.
    UnknownCharset(String),
    /// 415: a body that is compressed or encoded in another way.
    UnsupportedCoding,
    /// 422, with every fault.
    Invalid(Vec<Fault>),
    /// 429, with what there are too many of, and the seconds to wait.
    TooManyRequests(&'static str, u64),
    /// 429: the caller's other requests take all of its share.
    OverShare,
    /// 503, with the cause for the log.
    Unavailable(String),
    /// 500, with the cause for the log.
    Internal(String),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::NotFound => Error::NotFound("There is no such thing."),
            store::Error::OtherVersion => Error::PreconditionFailed,
            store::Error::EmailTaken => Error::EMAIL_TAKEN,
            // The user was deleted between the token check and the write.
            store::Error::NoUser => Error::ACCOUNT_DELETED,
            store::Error::Unavailable(cause) => Error::Unavailable(cause),
            store::Error::Duplicate(cause) | store::Error::Internal(cause) => Error::Internal(cause),
        }
    }
}

/// The challenge of a 401 where no token was refused.
pub const NO_TOKEN: &str = "Bearer";
/// The same where one was.
pub const INVALID_TOKEN: &str = "Bearer error=\"invalid_token\"";

/// The challenge of a 403 where a token of a wider scope would do (RFC 6750 §3.1).
const INSUFFICIENT_SCOPE: &str = "Bearer error=\"insufficient_scope\", scope=\"write\"";

/// The media type of errors (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";
/// The type of a problem that its status says all about.
pub const BLANK: &str = "about:blank";

/// A problem document with this status, this sentence, and these members besides those that every problem has.
pub fn document<const N: usize>(status: u16, detail: &str, request_id: &str, more: [(&str, Value); N]) -> Response {
    let mut problem = json!({
        "type": BLANK,
        "title": reason(status),
        "status": status,
        "detail": detail,
        "request_id": request_id,
    });
    for (name, value) in more {
        problem[name] = value;
    }
    Response::with_body(status, PROBLEM, Body::Bytes(format!("{problem}\n").into_bytes()))
}

/// Seconds after which a retry is worthwhile when the server is short of something.
pub const RETRY_AFTER: &str = "1";

/// 503, without its cause.
pub fn unavailable(request_id: &str) -> Response {
    let detail = "The service cannot answer right now: try again in a moment.";
    document(503, detail, request_id, []).header("Retry-After", RETRY_AFTER)
}

impl Error {
    /// 401, for a caller whose row is missing: the account was deleted a moment ago.
    pub const ACCOUNT_DELETED: Error = Error::InvalidToken("This account has been deleted.");
    /// 409: another user has this address.
    pub const EMAIL_TAKEN: Error =
        Error::Conflict("urn:contactd:email-taken", "An account with this e-mail address already exists.");
    /// 409: see `MAX_CONTACTS`.
    pub const ADDRESS_BOOK_FULL: Error = Error::Conflict(
        "urn:contactd:address-book-full",
        "Your address book is full, or would be: delete contacts that you no longer need.",
    );
    /// 429: too many wrong passwords; of which user, and for how long, only the request tells.
    pub const TOO_MANY_ATTEMPTS: Error = Error::TooManyRequests("attempts", 900);

    /// The error of the store; this one instead where it found nothing.
    pub fn if_missing(self) -> impl FnOnce(store::Error) -> Error {
        |error| match error {
            store::Error::NotFound => self,
            error => error.into(),
        }
    }

    /// The answer. A cause that clients must not see goes to the log, under the same request id.
    pub fn into_response(self, request_id: &str) -> Response {
        let plain = |status, detail: &str| document(status, detail, request_id, []);
        match self {
            Error::BadRequest(detail) => plain(400, &detail),
            Error::Unauthorized(detail) => plain(401, detail).header("WWW-Authenticate", NO_TOKEN),
            Error::InvalidToken(detail) => plain(401, detail).header("WWW-Authenticate", INVALID_TOKEN),
            Error::InvalidGrant(detail, challenge) => {
                let more = [("error", json!("invalid_grant")), ("error_description", json!(detail))];
                document(401, detail, request_id, more).header("WWW-Authenticate", challenge)
            }
            Error::Forbidden(detail) => plain(403, detail),
            Error::InsufficientScope => plain(403, "This API token may only read: make one with the scope write.")
                .header("WWW-Authenticate", INSUFFICIENT_SCOPE),
            Error::NotFound(detail) => plain(404, detail),
            Error::MethodNotAllowed(allow) => plain(405, &format!("This path allows {allow}.")).header("Allow", allow),
            Error::NotAcceptable(detail) => plain(406, &detail),
            Error::Conflict(kind, detail) => document(409, detail, request_id, [("type", json!(kind))]),
            Error::InProgress => {
                let detail = "The same request is under way: try again in a moment, to get its answer.";
                let kind = json!("urn:contactd:request-in-progress");
                document(409, detail, request_id, [("type", kind)]).header("Retry-After", RETRY_AFTER)
            }
            Error::PreconditionFailed => plain(
                412,
                "It has changed since you read it, or is there already: read it again, then repeat the request.",
            ),
            Error::PayloadTooLarge(limit) => plain(413, &format!("The body may have at most {limit} bytes.")),
            Error::UnsupportedMediaType(takes, hint) => {
                plain(415, &format!("The Content-Type {}.{hint}", one_of(&takes))).header("Accept", takes.join(", "))
            }
            Error::UnknownCharset(name) => {
                plain(415, &format!("The charset {name} is not known here: save the file as UTF-8."))
            }
            Error::UnsupportedCoding => {
                plain(415, "Send the body as it is, without a Content-Encoding.").header("Accept-Encoding", "identity")
            }
            Error::Invalid(faults) => {
                let detail = match faults.as_slice() {
                    [one] if one.field.is_empty() => one.detail.clone(),
                    [one] => format!("{} {}.", one.field, one.detail),
                    many => format!("{} fields are invalid; see errors.", many.len()),
                };
                document(422, &detail, request_id, [("errors", json!(faults))])
            }
            Error::TooManyRequests(what, seconds) => {
                plain(429, &format!("Too many {what}: try again in {seconds} seconds."))
                    .header("Retry-After", seconds.to_string())
            }
            Error::OverShare => plain(429, "Too many of your requests wait for their turn: try again in a moment.")
                .header("Retry-After", RETRY_AFTER),
            Error::Unavailable(cause) => {
                log::warn!("{request_id} unavailable: {cause}");
                unavailable(request_id)
            }
            Error::Internal(cause) => {
                log::error!("{request_id} failed: {cause}");
                plain(500, "The server failed on this request; its log has the cause under the request id.")
            }
        }
    }
}
