//! Typed input: path, query, body and the few headers that handlers look at.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::Value;

use super::{Call, Documented, Operation};
use crate::api::context::Context;
use crate::api::problem::Error;
use crate::domain::fields::{Described, Fault, Fields, FromFields, Patch, Source, no_json, object_schema};
use crate::http;

/// What a handler takes, read from a [`Call`].
pub trait Input: Sized {
    /// Reads it. A fault of a value is noted in `faults`, so that all of them are told at once; an error ends the reading.
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error>;
    /// Adds itself to the operation.
    fn describe(operation: &mut Operation);
}

/// Reads the whole input of a handler, or tells everything that is wrong with it.
pub(super) fn input<I: Input>(cx: &Context, call: &Call<'_>) -> Result<I, Error> {
    let mut faults = Vec::new();
    match I::read(cx, call, &mut faults)? {
        Some(value) if faults.is_empty() => Ok(value),
        _ => Err(Error::Invalid(faults)),
    }
}

impl Input for () {
    fn read(_: &Context, _: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<()>, Error> {
        Ok(Some(()))
    }
    fn describe(_: &mut Operation) {}
}

impl<A: Input, B: Input> Input for (A, B) {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        let (a, b) = (A::read(cx, call, faults)?, B::read(cx, call, faults)?);
        Ok(a.zip(b))
    }
    fn describe(operation: &mut Operation) {
        A::describe(operation);
        B::describe(operation);
    }
}

impl<A: Input, B: Input, C: Input> Input for (A, B, C) {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        let (a, b, c) = (A::read(cx, call, faults)?, B::read(cx, call, faults)?, C::read(cx, call, faults)?);
        Ok(a.zip(b).zip(c).map(|((a, b), c)| (a, b, c)))
    }
    fn describe(operation: &mut Operation) {
        A::describe(operation);
        B::describe(operation);
        C::describe(operation);
    }
}

fn read_fields<T: FromFields>(cx: &Context, source: Source<'_>, faults: &mut Vec<Fault>) -> Option<T> {
    let mut fields = Fields::new(source, cx.now().date_naive());
    fields.password_min = cx.password_min;
    fields.refused_passwords = &cx.refused_passwords;
    fields.read().map_err(|wrong| faults.extend(wrong)).ok()
}

fn describe_fields<T: FromFields>(operation: &Operation) -> Vec<Described> {
    Fields::describe::<T>(operation.password_min)
}

/// The path's parameters.
pub struct Path<T>(pub T);

impl<T: FromFields> Input for Path<T> {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        let pairs: Vec<_> = call.params.iter().map(|(name, value)| (Cow::Borrowed(*name), value.clone())).collect();
        Ok(read_fields(cx, Source::Pairs(&pairs), faults).map(Path))
    }
    fn describe(operation: &mut Operation) {
        operation.add_parameters("path", describe_fields::<T>(operation));
    }
}

/// The query's values.
pub struct Query<T>(pub T);

impl<T: FromFields> Input for Query<T> {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        match http::parse_pairs(call.request.query()) {
            Ok(pairs) => Ok(read_fields(cx, Source::Pairs(&pairs), faults).map(Query)),
            Err(name) => {
                faults.push(Fault::new(name, "must be percent-encoded UTF-8"));
                Ok(None)
            }
        }
    }
    fn describe(operation: &mut Operation) {
        operation.add_parameters("query", describe_fields::<T>(operation));
    }
}

/// A JSON object as body.
pub struct Json<T>(pub T);

impl<T: FromFields> Input for Json<T> {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        want_media_type(call, &["application/json"])?;
        Ok(read_object(cx, call, faults)?.map(Json))
    }
    fn describe(operation: &mut Operation) {
        operation.bodies.push(("application/json", object_schema(&describe_fields::<T>(operation))));
    }
}

/// An RFC 7396 merge patch as body.
pub struct MergePatch<T>(pub Patch<T>);

impl<T: FromFields> Input for MergePatch<T> {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        want_media_type(call, &["application/merge-patch+json", "application/json"])?;
        Ok(read_object(cx, call, faults)?.map(MergePatch))
    }
    fn describe(operation: &mut Operation) {
        let schema = object_schema(&describe_fields::<Patch<T>>(operation));
        operation.bodies.push(("application/merge-patch+json", schema.clone()));
        operation.bodies.push(("application/json", schema));
    }
}

/// A JSON object, or the form that stands for it.
pub struct JsonOrForm<J, F>(pub Either<J, F>);

/// One or the other.
#[allow(missing_docs)]
pub enum Either<A, B> {
    Left(A),
    Right(B),
}

const FORM: &str = "application/x-www-form-urlencoded";

impl<J: FromFields, F: FromFields> Input for JsonOrForm<J, F> {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        want_media_type(call, &["application/json", FORM])?;
        if call.request.media_type().as_deref() != Some(FORM) {
            return Ok(read_object(cx, call, faults)?.map(|j| JsonOrForm(Either::Left(j))));
        }
        let text = std::str::from_utf8(call.request.body())
            .map_err(|_| Error::BadRequest("The form is not UTF-8.".to_owned()))?;
        match http::parse_pairs(text) {
            Ok(pairs) => Ok(read_fields(cx, Source::Pairs(&pairs), faults).map(|f| JsonOrForm(Either::Right(f)))),
            Err(name) => Err(Error::BadRequest(format!("The form's `{name}` is not percent-encoded UTF-8."))),
        }
    }
    fn describe(operation: &mut Operation) {
        operation.bodies.push(("application/json", object_schema(&describe_fields::<J>(operation))));
        operation.bodies.push((FORM, object_schema(&describe_fields::<F>(operation))));
    }
}

/// A JSON object as body, or no body at all.
pub struct OptionalJson<T>(pub Option<T>);

impl<T: FromFields> Input for OptionalJson<T> {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        if call.request.body().is_empty() {
            return Ok(Some(OptionalJson(None)));
        }
        Ok(Json::<T>::read(cx, call, faults)?.map(|Json(value)| OptionalJson(Some(value))))
    }
    fn describe(operation: &mut Operation) {
        Json::<T>::describe(operation);
        operation.body_is_optional = true;
    }
}

/// Refuses a body of another media type than these.
pub fn want_media_type(call: &Call<'_>, takes: &'static [&'static str]) -> Result<(), Error> {
    match call.request.media_type() {
        Some(given) if takes.contains(&given.as_str()) => Ok(()),
        _ => Err(Error::UnsupportedMediaType(takes)),
    }
}

fn read_object<T: FromFields>(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<T>, Error> {
    let value: Value = serde_json::from_slice(call.request.body())
        .map_err(|error| Error::BadRequest(format!("The body is not JSON: {}.", no_json(&error))))?;
    match value {
        Value::Object(members) => Ok(read_fields(cx, Source::Json(&members), faults)),
        _ => {
            faults.push(Fault::new("", "The body must be a JSON object."));
            Ok(None)
        }
    }
}

/// The query as it came, for links that repeat it.
pub struct RawQuery(pub String);

impl Input for RawQuery {
    fn read(_: &Context, call: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        Ok(Some(RawQuery(call.request.query().to_owned())))
    }
    fn describe(_: &mut Operation) {}
}

/// Scheme and host of our own, as the client wrote them; empty where it did not, which leaves addresses relative.
pub struct Origin(pub String);

impl Input for Origin {
    fn read(cx: &Context, call: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        let origin = call.request.origin(&cx.trusted_proxies);
        Ok(Some(Origin(origin.unwrap_or_default())))
    }
    fn describe(_: &mut Operation) {}
}

/// `Accept`, its lines joined by commas as RFC 9110 §5.3 allows.
pub struct Accept(pub Option<String>);

impl Input for Accept {
    fn read(_: &Context, call: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        Ok(Some(Accept(joined(call, "Accept"))))
    }
    fn describe(operation: &mut Operation) {
        // No parameter of its own: OpenAPI has Accept follow from the answers' media types.
        operation.errors.push(406);
    }
}

/// `Accept-Encoding` and `If-None-Match`, for files.
pub struct FileHeaders {
    /// `Accept-Encoding`.
    pub accept_encoding: Option<String>,
    /// `If-None-Match`.
    pub known: IfNoneMatch,
}

impl Input for FileHeaders {
    fn read(_: &Context, call: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        Ok(Some(FileHeaders {
            accept_encoding: joined(call, "Accept-Encoding"),
            known: IfNoneMatch(joined(call, "If-None-Match")),
        }))
    }
    fn describe(operation: &mut Operation) {
        IfNoneMatch::describe(operation);
    }
}

/// `If-Match` (RFC 9110 §13.1.1), several lines joined by commas as §5.3 allows. Who takes it may answer 412.
pub struct IfMatch(pub Option<String>);

impl Input for IfMatch {
    fn read(_: &Context, call: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        Ok(Some(IfMatch(joined(call, "If-Match"))))
    }
    fn describe(operation: &mut Operation) {
        operation.add_header("If-Match", "do it only if the ETag is one of these");
        operation.errors.push(412);
    }
}

/// `If-None-Match` (RFC 9110 §13.1.2), joined in the same way. Who takes it may answer 304.
pub struct IfNoneMatch(pub Option<String>);

impl IfNoneMatch {
    /// Whether the client has what this tag stands for: any, or one that is the same when compared weakly (§8.8.3.2).
    /// Tags of ours hold no comma, so a foreign one that does is taken apart without harm.
    pub fn names(&self, tag: &str) -> bool {
        fn opaque(tag: &str) -> &str {
            tag.strip_prefix("W/").unwrap_or(tag)
        }
        let Some(given) = &self.0 else {
            return false;
        };
        let mut tags = given.split(',').map(str::trim);
        given.trim() == "*" || tags.any(|given| opaque(given) == opaque(tag))
    }
}

impl Input for IfNoneMatch {
    fn read(_: &Context, call: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        Ok(Some(IfNoneMatch(joined(call, "If-None-Match"))))
    }
    fn describe(operation: &mut Operation) {
        operation.add_header("If-None-Match", "send it only if the ETag is none of these");
        operation.replies.push(Documented { status: 304, description: "It is what you have.", content: Vec::new() });
    }
}

fn joined(call: &Call<'_>, name: &'static str) -> Option<String> {
    let mut values = call.request.headers_named(name);
    let first = values.next()?.to_owned();
    Some(values.fold(first, |all, value| all + "," + value))
}

/// The token in `Authorization: Bearer …` (RFC 6750 §2.1), not yet checked.
pub struct BearerToken(pub Option<String>);

impl Input for BearerToken {
    fn read(_: &Context, call: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        Ok(Some(BearerToken(call.request.bearer().map(str::to_owned))))
    }
    fn describe(operation: &mut Operation) {
        operation.takes_token = true;
    }
}

/// Who is on the other side, for the list of sessions, the throttle and the log.
pub struct Client {
    /// The address: the connection's, or what a trusted proxy says.
    pub address: Option<IpAddr>,
    /// `User-Agent`, at most 200 characters of it.
    pub user_agent: Option<String>,
    /// The request id, for the log.
    pub request_id: String,
}

impl Input for Client {
    fn read(cx: &Context, call: &Call<'_>, _: &mut Vec<Fault>) -> Result<Option<Self>, Error> {
        let user_agent = call.request.header("User-Agent").map(|text| text.chars().take(200).collect());
        let address = call.request.client_address(&cx.trusted_proxies);
        Ok(Some(Client { address: Some(address), user_agent, request_id: call.id.to_owned() }))
    }
    fn describe(_: &mut Operation) {}
}
