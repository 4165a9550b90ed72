//! Typed replies: what a handler gives back, and how OpenAPI describes it.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Documented, Operation};
use crate::http::{Body, Response, StatusCode};

/// What a handler gives back.
pub trait Reply {
    /// The response.
    fn into_response(self) -> Response;
    /// Adds its statuses to the operation.
    fn describe(operation: &mut Operation);
}

/// A shape of JSON, as a type without values: the handler serializes what it has borrowed, the shape says what that is.
pub trait Shape {
    /// Its name under `components/schemas`.
    const NAME: &'static str;
    /// Its JSON Schema.
    fn schema() -> Value;
}

/// An array of a shape.
pub struct ListOf<S>(PhantomData<S>);

/// What may stand in an [`Answer`]: a [`Shape`], or a list of one.
pub trait Content {
    /// The schema, by reference, and what it refers to.
    fn describe() -> (Value, &'static str, Value);
}

impl<S: Shape> Content for S {
    fn describe() -> (Value, &'static str, Value) {
        (json!({ "$ref": format!("#/components/schemas/{}", S::NAME) }), S::NAME, S::schema())
    }
}

impl<S: Shape> Content for ListOf<S> {
    fn describe() -> (Value, &'static str, Value) {
        let (one, name, schema) = S::describe();
        (json!({ "type": "array", "items": one }), name, schema)
    }
}

/// JSON with this status.
pub struct Answer<const STATUS: u16, S> {
    response: Response,
    shape: PhantomData<S>,
}

impl<const STATUS: u16, S: Content> Answer<STATUS, S> {
    /// Serializes the value.
    pub fn json(value: &impl Serialize) -> Self {
        // Every answer but a long list fits, and a list grows in few steps from here.
        let mut bytes = Vec::with_capacity(512);
        serde_json::to_writer(&mut bytes, value).expect("values of our own serialize into memory");
        Self::bytes(bytes)
    }

    /// Takes JSON that is written already.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Answer { response: Response::with_body(STATUS, "application/json", Body::Bytes(bytes)), shape: PhantomData }
    }

    /// JSON that is part of the program.
    pub fn fixed(bytes: &'static [u8]) -> Self {
        Answer { response: Response::with_body(STATUS, "application/json", Body::Static(bytes)), shape: PhantomData }
    }

    /// Serializes the values as an array, each as it comes.
    pub fn array<T: Serialize>(values: impl ExactSizeIterator<Item = T>) -> Self {
        let mut bytes = Vec::with_capacity(2 + 256 * values.len());
        let mut separator = b'[';
        for value in values {
            bytes.push(separator);
            separator = b',';
            serde_json::to_writer(&mut bytes, &value).expect("values of our own serialize into memory");
        }
        if separator == b'[' {
            bytes.push(b'[');
        }
        bytes.push(b']');
        Self::bytes(bytes)
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.response = self.response.header(name, value);
        self
    }

    /// The same, without its body, as 304 (RFC 9110 §15.4.5).
    pub fn not_modified(mut self) -> Self {
        self.response.status = StatusCode(304);
        self.response.body = Body::Empty;
        self.response.headers.retain(|(name, _)| *name != "Content-Type");
        self
    }
}

impl<const STATUS: u16, S: Content> Reply for Answer<STATUS, S> {
    fn into_response(self) -> Response {
        self.response
    }

    fn describe(operation: &mut Operation) {
        let description = if STATUS == 201 { "Made." } else { "Done." };
        let (schema, name, component) = S::describe();
        operation.components.push((name, component));
        operation.replies.push(Documented { status: STATUS, description, content: vec![("application/json", schema)] });
    }
}

/// 204.
pub struct NoContent;

impl Reply for NoContent {
    fn into_response(self) -> Response {
        Response::new(204)
    }

    fn describe(operation: &mut Operation) {
        operation.replies.push(Documented {
            status: 204,
            description: "Done; there is nothing to show.",
            content: Vec::new(),
        });
    }
}

/// The schema of an object whose members are always all there.
pub fn always(properties: Value) -> Value {
    let required: Vec<_> = properties.as_object().map(Map::keys).into_iter().flatten().cloned().collect();
    json!({ "type": "object", "properties": properties, "required": required })
}
