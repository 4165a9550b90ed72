//! Typed input: path, query, body, and the headers that the documentation describes.

use serde_json::{Value, json};

use super::{Call, Operation};
use crate::api::problem::Error;
use crate::domain::fields::{FORM, Fault, Fields, FromFields, Source, no_json, object_schema};
use crate::domain::repeat::Key;
use crate::domain::rules::PasswordRule;
use crate::http::{self, Request};
use crate::security::secret;

/// What a handler takes, read from a [`Call`].
pub trait Input: Sized + 'static {
    /// Reads it, or returns everything that is wrong with it.
    fn read(call: &Call<'_>) -> Result<Self, Error>;
    /// Adds itself to the operation.
    fn describe(operation: &mut Operation);
}

impl Input for () {
    fn read(_: &Call<'_>) -> Result<(), Error> {
        Ok(())
    }
    fn describe(_: &mut Operation) {}
}

impl<A: Input, B: Input> Input for (A, B) {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        both(A::read(call), || B::read(call))
    }
    fn describe(operation: &mut Operation) {
        A::describe(operation);
        B::describe(operation);
    }
}

impl<A: Input, B: Input, C: Input> Input for (A, B, C) {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        both(A::read(call), || <(B, C)>::read(call)).map(|(a, (b, c))| (a, b, c))
    }
    fn describe(operation: &mut Operation) {
        A::describe(operation);
        <(B, C)>::describe(operation);
    }
}

/// Two inputs. The faults of both are told at once; any other error ends the reading.
fn both<A, B>(a: Result<A, Error>, b: impl FnOnce() -> Result<B, Error>) -> Result<(A, B), Error> {
    match (a, b) {
        (Ok(a), b) => Ok((a, b()?)),
        (Err(Error::Invalid(mut faults)), b) => match b() {
            Ok(_) => Err(Error::Invalid(faults)),
            Err(Error::Invalid(more)) => {
                faults.extend(more);
                Err(Error::Invalid(faults))
            }
            Err(error) => Err(error),
        },
        (Err(error), _) => Err(error),
    }
}

fn read<T: FromFields>(call: &Call<'_>, source: Source<'_>, is_form: bool) -> Result<T, Error> {
    let mut fields = Fields::new(source, call.now().date_naive());
    fields.new_password = PasswordRule { min: call.password_min, refused: &call.refused_passwords };
    fields.is_form = is_form;
    fields.read().map_err(Error::Invalid)
}

/// The path's parameters.
pub struct Path<T>(pub T);

impl<T: FromFields> Input for Path<T> {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        read(call, Source::Pairs(&call.params), false).map(Path)
    }
    fn describe(operation: &mut Operation) {
        operation.add_parameters("path", Fields::describing().describe::<T>());
    }
}

/// The query's values.
pub struct Query<T>(pub T);

impl<T: FromFields> Input for Query<T> {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        read(call, Source::Pairs(&http::parse_pairs(call.request.query())), false).map(Query)
    }
    fn describe(operation: &mut Operation) {
        operation.add_parameters("query", Fields::describing().describe::<T>());
    }
}

/// A body, in one of the media types of `T`: a JSON object or a form.
pub struct Payload<T>(pub T);

impl<T: FromFields> Input for Payload<T> {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        let (media_type, body) = (call.request.media_type().unwrap_or_default(), call.request.body());
        if !T::MEDIA_TYPES.contains(&media_type.as_str()) || media_type == FORM && looks_like_json(body) {
            return Err(unsupported(call.request, T::MEDIA_TYPES.to_vec()));
        }
        if media_type == FORM {
            let text = std::str::from_utf8(body).map_err(|_| Error::BadRequest("The form is not UTF-8.".to_owned()))?;
            let pairs = http::parse_pairs(text);
            if let Some((name, _)) = pairs.iter().find(|(_, value)| value.is_none()) {
                return Err(Error::BadRequest(format!("The form's `{name}` is not percent-encoded UTF-8.")));
            }
            return read(call, Source::Pairs(&pairs), true).map(Payload);
        }
        match serde_json::from_slice(without_bom(body)) {
            Ok(Value::Object(members)) => read(call, Source::Json(&members), false).map(Payload),
            Ok(_) => Err(Error::Invalid(vec![Fault::new("", "The body must be a JSON object.")])),
            Err(error) => Err(Error::BadRequest(format!("The body is not JSON: {}.", no_json(&error)))),
        }
    }

    fn describe(operation: &mut Operation) {
        const { assert!(!T::NAME.is_empty(), "the type of a body needs a NAME") };
        for media_type in T::MEDIA_TYPES {
            let mut fields = Fields::describing();
            fields.new_password.min = operation.password_min;
            fields.is_form = *media_type == FORM;
            let name = T::NAME.to_owned() + if fields.is_form { "Form" } else { "" };
            let reference = operation.add_schema(name, object_schema(&fields.describe::<T>()));
            operation.bodies.push((media_type, reference));
        }
    }
}

/// 415, with a hint where curl's `-d` or `-F` chose the media type and the client did not.
pub fn unsupported(request: &Request, takes: Vec<&'static str>) -> Error {
    let hint = match request.media_type().as_deref() {
        Some(FORM) if looks_like_json(request.body()) => {
            " The body looks like JSON: send it with Content-Type: application/json (curl: -H 'Content-Type: application/json')."
        }
        Some("multipart/form-data") => {
            " Send the file as the body itself, not as a multipart form (curl: --data-binary @FILE instead of -F)."
        }
        _ => "",
    };
    Error::UnsupportedMediaType(takes, hint)
}

/// The name of a form's first field begins with neither of these.
fn looks_like_json(body: &[u8]) -> bool {
    let body = without_bom(body).trim_ascii_start();
    body.starts_with(b"{") || body.starts_with(b"[")
}

/// A byte order mark before JSON may be ignored (RFC 8259 §8.1); Windows' editors and shells write one.
fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body)
}

/// A body that may be left out.
impl<T: FromFields> Input for Option<Payload<T>> {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        if call.request.body().is_empty() { Ok(None) } else { Payload::read(call).map(Some) }
    }
    fn describe(operation: &mut Operation) {
        Payload::<T>::describe(operation);
        operation.body_is_optional = true;
    }
}

/// `If-Match` and `If-None-Match` (RFC 9110 §13.1). An endpoint that takes them may answer 412, and 304 to GET.
pub struct Preconditions {
    /// The tags of the first; empty without it.
    pub r#match: Vec<String>,
    /// The tags of the second.
    pub none_match: Vec<String>,
}

impl Preconditions {
    /// Whether a request about what has this tag may proceed: `Err` if `If-Match` forbids it, `Ok(false)` if `If-None-Match`
    /// does. The first compares tags strongly, the second weakly (§8.8.3.2). Our own tags contain no comma, so it does no harm
    /// that a foreign one with a comma is split.
    pub fn allow(&self, tag: &str) -> Result<bool, Error> {
        let opaque = |tag: &str| tag.trim_start_matches("W/").to_owned();
        let is_same = |given: &String| given == tag && !tag.starts_with("W/");
        if !(self.r#match.is_empty() || self.r#match == ["*"] || self.r#match.iter().any(is_same)) {
            return Err(Error::PreconditionFailed);
        }
        Ok(self.none_match != ["*"] && !self.none_match.iter().any(|given| opaque(given) == opaque(tag)))
    }
}

impl Input for Preconditions {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        let tags = |name| call.request.list(name).map(str::to_owned).collect();
        Ok(Preconditions { r#match: tags("If-Match"), none_match: tags("If-None-Match") })
    }
    fn describe(operation: &mut Operation) {
        operation.add_header("If-Match", "Proceed only if the ETag is one of these.");
        operation.add_header("If-None-Match", "Proceed only if the ETag is none of these.");
        operation.replies.push((304, "Not modified", Vec::new()));
        operation.errors.push(Error::PreconditionFailed);
    }
}

/// `Idempotency-Key`, with a fingerprint of the request.
pub struct RepeatKey(pub Option<Key>);

impl Input for RepeatKey {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        let request = call.request;
        let mut given = request.headers_named("Idempotency-Key");
        let Some(text) = given.next() else {
            return Ok(RepeatKey(None));
        };
        let is_key = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !is_key || given.next().is_some() {
            return Err(Error::BadRequest(
                "Idempotency-Key must be one key of 1 to 64 visible ASCII characters.".to_owned(),
            ));
        }
        let path = request.path().strip_suffix('/').unwrap_or(request.path());
        let kind = request.header("Content-Type").unwrap_or_default();
        let texts = [request.method().as_str(), path, request.query(), kind].map(str::as_bytes);
        let fingerprint = secret::fingerprint(&[&texts[..], &[request.body()]].concat());
        Ok(RepeatKey(Some(Key { text: text.to_owned(), fingerprint, arrived: request.arrived() })))
    }
    fn describe(operation: &mut Operation) {
        operation
            .add_header("Idempotency-Key", "A new key for each request, by which it can be repeated: it is done once.");
        operation.parameters.last_mut().expect("it is there")["schema"]["pattern"] = json!("^[!-~]{1,64}$");
    }
}

/// The token in `Authorization: Bearer …` (RFC 6750 §2.1), not yet checked.
pub struct BearerToken(pub Option<String>);

impl Input for BearerToken {
    fn read(call: &Call<'_>) -> Result<Self, Error> {
        Ok(BearerToken(call.request.bearer().map(str::to_owned)))
    }
    fn describe(operation: &mut Operation) {
        operation.takes_token = true;
    }
}
