//! What an endpoint is: a row of the table in `routes.rs`, typed input in, typed reply out.
//!
//! A handler is a plain function: `fn(&Call, Input) -> Result<Reply, Error>`, or with a [`Caller`] or a [`LoggedIn`] in the
//! middle where a token is needed. [`public`], [`guarded`] and [`personal`] turn it into a [`Route`], so a handler that wants one of
//! them cannot be mounted where there is none. Input and reply types describe themselves, and OpenAPI is made from these descriptions.

mod batch;
mod call;
mod input;
mod reply;

use serde_json::{Value, json};

pub use self::batch::*;
pub use self::call::*;
pub use self::input::*;
pub use self::reply::*;
use crate::api::problem::Error;
use crate::domain::fields::Described;
use crate::http::{Method, Response};

/// Which workers run a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Work that needs no database, and so never waits for one.
    Instant,
    /// Reads, of a query or two.
    Read,
    /// Writes, of a query or two that wait for the disk.
    Write,
    /// Work that burns the processor: hashing a password.
    Hash,
    /// Work that takes long: import and export.
    File,
}

/// Takes the outcome of a call.
pub type Finish<'f> = dyn FnMut(&Call<'_>, Result<Response, Error>) + 'f;
/// Says who calls, or why the call is refused.
pub type Admit<'f, C> = dyn Fn(&Call<'_>) -> Result<C, Error> + 'f;
/// Gives each call its outcome. There is one, unless the row takes several.
type Run<C> = Box<dyn Fn(&[Call<'_>], &Admit<'_, C>, &mut Finish<'_>) + Send + Sync>;

/// A handler with its input and reply types erased.
pub enum Handler {
    /// Needs no token.
    Public(Run<()>),
    /// Runs only for a [`Caller`]: an API token opens it, too, for reading with GET and for writing with any other method.
    Guarded(Run<Caller>),
    /// Runs only for who is [`LoggedIn`]: no API token opens it.
    Personal(Run<LoggedIn>),
}

/// One row of the table.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path as matchit writes it: `{name}` stands for one segment.
    pub path: &'static str,
    /// Which workers run it.
    pub lane: Lane,
    /// Whether it may take longer than other requests: a file, or an account with all that is in it.
    pub is_patient: bool,
    /// Which calls that wait are answered together, by their query, if any are.
    pub goes_along: Option<fn(&str) -> bool>,
    /// The most bytes its body may have.
    pub body_limit: usize,
    /// The OpenAPI tag that it is listed under.
    pub tag: &'static str,
    /// The operation's name in generated clients. `api/openapi.md` describes the operation under this name.
    pub id: &'static str,
    /// One line for the documentation.
    pub summary: &'static str,
    /// Whether the OpenAPI document lists it.
    pub is_listed: bool,
    /// Headers of its answers that clients use, but for errors and for those that every answer has.
    pub sends: &'static [&'static str],
    /// What runs.
    pub handler: Handler,
    /// Errors that do not follow from its input, as its handler returns them.
    pub errors: Vec<Error>,
    describe: fn(&mut Operation),
}

/// 1 MiB, the limit of every body but an import's.
pub const BODY_LIMIT: usize = 1 << 20;

impl Route {
    /// Runs on this lane, not on that of its method.
    pub fn on(self, lane: Lane) -> Route {
        Route { lane, ..self }
    }

    /// May take long.
    pub fn patient(self) -> Route {
        Route { is_patient: true, ..self }
    }

    /// Takes bodies of at most so many bytes.
    pub fn body_limit(self, bytes: usize) -> Route {
        Route { body_limit: bytes, ..self }
    }

    /// May answer with these errors, which the documentation then shows in place of the usual ones of their statuses.
    pub fn fails_with<const N: usize>(self, errors: [Error; N]) -> Route {
        Route { errors: errors.into(), ..self }
    }

    /// Its answers have these headers, always or sometimes.
    pub fn sends(self, headers: &'static [&'static str]) -> Route {
        Route { sends: headers, ..self }
    }

    /// Stays out of the OpenAPI document.
    pub fn unlisted(self) -> Route {
        Route { is_listed: false, ..self }
    }

    /// What goes in and comes out, for OpenAPI, where a new password has at least so many characters.
    pub fn operation(&self, password_min: usize) -> Operation {
        let mut operation = Operation { password_min, ..Operation::default() };
        (self.describe)(&mut operation);
        if self.method != Method::Get {
            operation.replies.retain(|(status, ..)| *status != 304);
        }
        operation
    }

    /// Whether it needs a token.
    pub fn is_guarded(&self) -> bool {
        !matches!(self.handler, Handler::Public(_))
    }

    /// What an API token opens it for, if one does.
    pub fn scope(&self) -> Option<Scope> {
        matches!(self.handler, Handler::Guarded(_)).then(|| Scope::of(&self.method))
    }
}

/// What the table says of a row besides what runs: its method, path and tag, its name in generated clients, and its summary.
pub type About = (Method, &'static str, &'static str, &'static str, &'static str);

/// A row for a handler that needs no token.
pub fn public<I: Input, O: Reply>(about: About, handler: fn(&Call<'_>, I) -> Result<O, Error>) -> Route {
    let handle = move |call: &Call<'_>, ()| handler(call, I::read(call)?).map(Reply::into_response);
    row::<I, O>(about, Handler::Public(each(handle)))
}

/// A row for a handler that runs only for who is [`LoggedIn`].
pub fn personal<I: Input, O: Reply>(about: About, handler: fn(&Call<'_>, &LoggedIn, I) -> Result<O, Error>) -> Route {
    let handle = move |call: &Call<'_>, caller| handler(call, &caller, I::read(call)?).map(Reply::into_response);
    row::<I, O>(about, Handler::Personal(each(handle)))
}

/// A row for a handler that runs only for a [`Caller`].
pub fn guarded<I: Input, O: Reply>(about: About, handler: fn(&Call<'_>, &Caller, I) -> Result<O, Error>) -> Route {
    let handle = move |call: &Call<'_>, caller| handler(call, &caller, I::read(call)?).map(Reply::into_response);
    row::<I, O>(about, Handler::Guarded(each(handle)))
}

fn each<C: 'static>(handle: impl Fn(&Call<'_>, C) -> Result<Response, Error> + Send + Sync + 'static) -> Run<C> {
    Box::new(move |calls, admit, finish| {
        calls.iter().for_each(|call| finish(call, shielded(|| handle(call, admit(call)?))));
    })
}

fn row<I: Input, O: Reply>((method, path, tag, id, summary): About, handler: Handler) -> Route {
    Route {
        lane: if method == Method::Get { Lane::Read } else { Lane::Write },
        method,
        path,
        is_patient: false,
        goes_along: None,
        body_limit: BODY_LIMIT,
        tag,
        id,
        summary,
        is_listed: true,
        sends: &[],
        handler,
        errors: Vec::new(),
        describe: |operation| {
            I::describe(operation);
            O::describe(operation);
        },
    }
}

/// The media type and the schema of each body that is possible.
pub type Bodies = Vec<(&'static str, Value)>;

/// What OpenAPI says of one route.
#[derive(Debug, Default)]
pub struct Operation {
    /// The fewest characters of a new password, by the settings.
    pub password_min: usize,
    /// Parameter objects.
    pub parameters: Vec<Value>,
    /// The bodies that it accepts.
    pub bodies: Bodies,
    /// Whether the body may be left out.
    pub body_is_optional: bool,
    /// Whether it reads a token by itself, as a refresh does.
    pub takes_token: bool,
    /// Each answer but the errors: its status, a description, and the bodies that it may have.
    pub replies: Vec<(u16, &'static str, Bodies)>,
    /// Named schemas that bodies and replies refer to.
    pub components: Vec<(String, Value)>,
    /// Errors that follow from what it takes and gives, as they are answered.
    pub errors: Vec<Error>,
}

impl Operation {
    /// Adds a named schema; returns a reference to it.
    pub fn add_schema(&mut self, name: impl Into<String>, schema: Value) -> Value {
        let name = name.into();
        let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.components.push((name, schema));
        reference
    }

    fn add_parameters(&mut self, place: &str, fields: Vec<Described>) {
        for mut field in fields {
            // Programs that show the document take a parameter's description from itself, not from its schema.
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

    /// Adds a header that it reads.
    pub fn add_header(&mut self, name: &str, description: &str) {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": { "type": "string" },
        }));
    }
}
