//! One request from plain values to a plain response. Everything that happens to a request is called here, in its order.

use std::borrow::Cow;
use std::time::Instant;

use crate::api::context::Context;
use crate::api::endpoint::{BODY_LIMIT, Call, Handler, Lane, Route};
use crate::api::middleware;
use crate::api::problem::{self, Error};
use crate::api::router::{Found, Router};
use crate::http::{Method, Request, Response};

/// The program without its server.
pub struct App {
    /// What handlers share.
    pub context: Context,
    /// The table of routes.
    pub router: Router,
}

impl App {
    /// Answers a request, whatever it is.
    pub fn handle(&self, request: &Request<'_>) -> Response {
        let started = Instant::now();
        let id = middleware::request_id(request);
        let found = self.router.find(request.method, request.path);
        let guarded = matches!(&found, Found::Route(route, _) if route.is_guarded());
        let outcome = match found {
            Found::Route(route, params) => self.run(route, &Call { request, params, id: &id }),
            Found::Options(allow) => Ok(Response::new(204).header("Allow", allow.to_owned())),
            Found::WrongMethod(allow) => Err(Error::MethodNotAllowed(allow.to_owned())),
            Found::NotFound => Err(Error::NotFound("There is nothing at this path: see /docs for what there is.")),
        };
        let response = outcome.unwrap_or_else(|error| error.into_response(&id));
        self.finish(request, &id, guarded, response, started)
    }

    /// Answers a request that is not run, or that broke off.
    pub fn fail(&self, request: &Request<'_>, error: Error) -> Response {
        let started = Instant::now();
        let id = middleware::request_id(request);
        let guarded = self.is_guarded(request);
        self.finish(request, &id, guarded, error.into_response(&id), started)
    }

    fn finish(&self, request: &Request<'_>, id: &str, guarded: bool, response: Response, started: Instant) -> Response {
        let response = middleware::finish(&self.context, request, id, guarded, response);
        middleware::access_log(request, id, &response, started);
        response
    }

    fn run(&self, route: &Route, call: &Call<'_>) -> Result<Response, Error> {
        if call.request.body.len() > route.body_limit {
            return Err(Error::PayloadTooLarge(route.body_limit));
        }
        match &route.handler {
            Handler::Public(handler) => handler(&self.context, call),
            Handler::Guarded(handler) => {
                let caller = middleware::authenticate(&self.context, call)?;
                handler(&self.context, &caller, call)
            }
        }
    }

    /// Which workers a request is for.
    pub fn lane(&self, method: Method, path: &str) -> Lane {
        match self.router.find(method, path) {
            Found::Route(route, _) => route.lane,
            _ => Lane::Fast,
        }
    }

    /// How many bytes a request's body may have, asked before it is read. More than the usual only for who is known.
    pub fn body_limit(&self, request: &Request<'_>) -> usize {
        match self.router.find(request.method, request.path) {
            Found::Route(route, _) if route.body_limit <= BODY_LIMIT => route.body_limit,
            Found::Route(route, _) if self.is_known(request) => route.body_limit,
            _ => BODY_LIMIT,
        }
    }

    /// Whether a request has a valid access token. It is asked on the thread that watches all connections, so it never waits for the database:
    /// whether the session has ended is found out before the handler runs.
    fn is_known(&self, request: &Request<'_>) -> bool {
        let now = self.context.now();
        request.bearer().is_some_and(|token| self.context.keys.verify_access(token, now).is_ok())
    }

    /// The answer to what the server refuses by itself; the request is given where its head is known.
    pub fn refuse(&self, status: u16, detail: &str, request: Option<&Request<'_>>) -> Response {
        let started = Instant::now();
        let id = request.map_or_else(|| Cow::Owned(middleware::new_request_id()), middleware::request_id);
        log::debug!("{id} refused: {status} {detail}");
        let mut response = problem::document(status, detail, &id, &[]);
        if status == 503 {
            response = response.header("Retry-After", problem::RETRY_AFTER);
        }
        match request {
            Some(request) => {
                let guarded = self.is_guarded(request);
                self.finish(request, &id, guarded, response, started)
            }
            None => response.header("X-Request-Id", id.into_owned()).header("X-Content-Type-Options", "nosniff"),
        }
    }

    fn is_guarded(&self, request: &Request<'_>) -> bool {
        let found = self.router.find(request.method, request.path);
        matches!(found, Found::Route(route, _) if route.is_guarded())
    }
}
