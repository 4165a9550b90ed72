//! Typed replies: what a handler gives back, and how OpenAPI describes it.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::{Serialize, Serializer};

use super::Operation;
use crate::domain::fields::JSON;
use crate::domain::repeat::Kept;
use crate::domain::shape::Shape;
use crate::http::{Body, Response, StatusCode};

/// What a handler gives back.
pub trait Reply: 'static {
    /// The response.
    fn into_response(self) -> Response;
    /// Adds its statuses to the operation.
    fn describe(operation: &mut Operation);
}

/// The headers of an answer that repeats of the request get, too.
const KEPT: [&str; 2] = ["ETag", "Location"];

/// JSON of this shape, with this status. The shape may be an array, `[S]`. A shape that borrows is named with `'static`.
pub struct Answer<const STATUS: u16, S: ?Sized> {
    response: Response,
    shape: PhantomData<S>,
}

impl<const STATUS: u16, S: Shape + ?Sized> Answer<STATUS, S> {
    /// The answer that was kept.
    pub fn of(kept: Kept) -> Self {
        let mut response = Response::with_body(STATUS, JSON, Body::Bytes(kept.body));
        for (name, value) in KEPT.into_iter().zip(kept.headers) {
            response = value.into_iter().fold(response, |response, value| response.header(name, value));
        }
        Answer { response, shape: PhantomData }
    }

    /// Serializes the value.
    pub fn json<V: Shape + Serialize>(value: &V) -> Self {
        debug_assert_eq!(V::NAME, S::NAME);
        // Every answer but a list fits.
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, value).expect("values of our own serialize into memory");
        Self::line(bytes)
    }

    /// Ends the JSON with a newline, so that a shell's prompt does not stick to it.
    fn line(mut json: Vec<u8>) -> Self {
        json.push(b'\n');
        Answer { response: Response::with_body(STATUS, JSON, Body::Bytes(json)), shape: PhantomData }
    }

    /// Serializes the values as an array, each as it comes.
    pub fn array<V: Shape + Serialize>(values: impl ExactSizeIterator<Item = V>) -> Self {
        debug_assert_eq!(V::NAME, S::NAME);
        let mut serializer = serde_json::Serializer::new(Vec::with_capacity(2 + 256 * values.len()));
        serializer.collect_seq(values).expect("values of our own serialize into memory");
        Self::line(serializer.into_inner())
    }

    /// What repeats of the request get.
    pub fn kept(self) -> Kept {
        let Response { headers, body: Body::Bytes(body), .. } = self.response else {
            panic!("JSON is made for each answer");
        };
        let value = |name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        Kept { headers: KEPT.map(value), body }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.response = self.response.header(name, value);
        self
    }

    /// The same, without its body, as another status: 304 (RFC 9110 §15.4.5) or a redirection.
    pub fn without_body(mut self, status: u16) -> Self {
        self.response.status = StatusCode(status);
        self.response.body = Body::Empty;
        self.response.headers.retain(|(name, _)| *name != "Content-Type");
        self
    }
}

impl<const STATUS: u16, S: Shape + ?Sized + 'static> Reply for Answer<STATUS, S> {
    fn into_response(self) -> Response {
        self.response
    }
    fn describe(operation: &mut Operation) {
        operation.add_schema(S::NAME, S::schema());
        let description = if STATUS == 201 { "Created" } else { "OK" };
        operation.replies.push((STATUS, description, vec![(JSON, S::reference())]));
    }
}

/// A response of its own kind, of a route that the document does not list.
impl Reply for Response {
    fn into_response(self) -> Response {
        self
    }
    fn describe(_: &mut Operation) {}
}

/// 204.
pub struct NoContent;

impl Reply for NoContent {
    fn into_response(self) -> Response {
        Response::new(204)
    }
    fn describe(operation: &mut Operation) {
        operation.replies.push((204, "Done; the answer has no content", Vec::new()));
    }
}
