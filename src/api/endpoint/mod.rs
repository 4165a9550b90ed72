//! What an endpoint is: a row of the table in `routes.rs`, typed input in, typed reply out.
//!
//! A handler is a plain function: `fn(&Context, Input) -> Result<Reply, Error>`, or with a [`Caller`] in the middle where a
//! token is needed. [`public`] and [`guarded`] turn it into a [`Route`], so a handler that wants a `Caller` cannot be
//! mounted where there is none. Input and reply types describe themselves, which is where OpenAPI comes from.

mod input;
mod reply;

use std::borrow::Cow;

use serde_json::{Value, json};

pub use self::input::*;
pub use self::reply::*;
use crate::api::context::Context;
use crate::api::problem::Error;
use crate::domain::fields::Described;
use crate::http::{Method, Request, Response};

/// Which workers run a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Reads: what is done in a query or two.
    Fast,
    /// Writes: a query or two that wait for the disk.
    Write,
    /// What burns CPU or takes long: hashing, import, export.
    Slow,
}

/// Whoever sent a valid access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub user: i64,
    /// The session that the token belongs to.
    pub session: i64,
}

/// A request on its way to a handler, with what the router found in its path.
pub struct Call<'a> {
    /// The request.
    pub request: &'a Request,
    /// Name and decoded value of each path parameter.
    pub params: Vec<(&'a str, Cow<'a, str>)>,
    /// The id in `X-Request-Id`.
    pub id: &'a str,
}

type Public = Box<dyn Fn(&Context, &Call<'_>) -> Result<Response, Error> + Send + Sync>;
type Guarded = Box<dyn Fn(&Context, &Caller, &Call<'_>) -> Result<Response, Error> + Send + Sync>;

/// A handler with its input and reply types erased.
pub enum Handler {
    /// Needs no token.
    Public(Public),
    /// Runs only for a [`Caller`].
    Guarded(Guarded),
}

/// One row of the table.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path as matchit writes it: `{name}` stands for one segment.
    pub path: &'static str,
    /// Which workers run it.
    pub lane: Lane,
    /// The most bytes its body may have.
    pub body_limit: usize,
    /// The OpenAPI tag that it is listed under.
    pub tag: &'static str,
    /// One line for the documentation.
    pub summary: &'static str,
    /// What runs.
    pub handler: Handler,
    /// Error statuses besides those that follow from the input.
    pub errors: Vec<u16>,
    describe: fn(&mut Operation),
}

/// 1 MiB, the limit of every body but an import's.
pub const BODY_LIMIT: usize = 1 << 20;

impl Route {
    /// Runs on the slow lane.
    pub fn slow(mut self) -> Route {
        self.lane = Lane::Slow;
        self
    }

    /// Takes bodies up to so many bytes.
    pub fn body_limit(mut self, bytes: usize) -> Route {
        self.body_limit = bytes;
        self
    }

    /// May answer with these errors, besides those that follow from its input.
    pub fn errors(mut self, statuses: &[u16]) -> Route {
        self.errors.extend(statuses);
        self
    }

    /// What goes in and comes out, for OpenAPI, where a new password has at least so many characters.
    pub fn operation(&self, password_min: usize) -> Operation {
        let mut operation = Operation { password_min, ..Operation::default() };
        (self.describe)(&mut operation);
        operation.errors.extend(&self.errors);
        operation
    }

    /// Whether it needs an access token.
    pub fn is_guarded(&self) -> bool {
        matches!(self.handler, Handler::Guarded(_))
    }
}

/// A row for a handler that needs no token.
pub fn public<I: Input + 'static, O: Reply + 'static>(
    method: Method,
    path: &'static str,
    handler: fn(&Context, I) -> Result<O, Error>,
    tag: &'static str,
    summary: &'static str,
) -> Route {
    let run: Public = Box::new(move |cx, call| handler(cx, input::<I>(cx, call)?).map(Reply::into_response));
    row::<I, O>(method, path, Handler::Public(run), tag, summary)
}

/// A row for a handler that runs only for a [`Caller`].
pub fn guarded<I: Input + 'static, O: Reply + 'static>(
    method: Method,
    path: &'static str,
    handler: fn(&Context, &Caller, I) -> Result<O, Error>,
    tag: &'static str,
    summary: &'static str,
) -> Route {
    let run: Guarded =
        Box::new(move |cx, caller, call| handler(cx, caller, input::<I>(cx, call)?).map(Reply::into_response));
    row::<I, O>(method, path, Handler::Guarded(run), tag, summary)
}

fn row<I: Input, O: Reply>(
    method: Method,
    path: &'static str,
    handler: Handler,
    tag: &'static str,
    summary: &'static str,
) -> Route {
    Route {
        lane: if method == Method::Get { Lane::Fast } else { Lane::Write },
        method,
        path,
        body_limit: BODY_LIMIT,
        tag,
        summary,
        handler,
        errors: Vec::new(),
        describe: |operation| {
            I::describe(operation);
            O::describe(operation);
        },
    }
}

/// What OpenAPI says of one route.
#[derive(Debug, Default)]
pub struct Operation {
    /// The fewest characters of a new password, by the settings.
    pub password_min: usize,
    /// Parameter objects.
    pub parameters: Vec<Value>,
    /// Media type and schema of each body that is taken.
    pub bodies: Vec<(&'static str, Value)>,
    /// Whether the body may be left out.
    pub body_is_optional: bool,
    /// Whether it reads a token by itself, as a refresh does.
    pub takes_token: bool,
    /// Each answer but the errors.
    pub replies: Vec<Documented>,
    /// Named schemas that the replies refer to.
    pub components: Vec<(&'static str, Value)>,
    /// Error statuses that follow from the input, and those that the row adds.
    pub errors: Vec<u16>,
}

/// An answer as OpenAPI describes it.
#[derive(Debug)]
pub struct Documented {
    /// The status.
    pub status: u16,
    /// A sentence.
    pub description: &'static str,
    /// Media type and schema of each body that it may have.
    pub content: Vec<(&'static str, Value)>,
}

impl Operation {
    fn add_parameters(&mut self, place: &str, fields: Vec<Described>) {
        for mut field in fields {
            // Of a parameter, readers of the document show what it says itself, and not its schema.
            let description = field.schema.as_object_mut().and_then(|s| s.remove("description"));
            let mut parameter = json!({
                "name": field.name, "in": place, "required": field.required || place == "path", "schema": field.schema,
            });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            self.parameters.push(parameter);
        }
    }

    fn add_header(&mut self, name: &str, description: &str) {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string" },
        }));
    }
}
