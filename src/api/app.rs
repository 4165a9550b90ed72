//! The program without its server: one request from plain values to a plain response. Everything that happens to a request
//! is called here, in its order.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use chrono::Utc;

use crate::api::context::Context;
use crate::api::endpoint::{BODY_LIMIT, Call, Handler, Lane, Route};
use crate::api::problem::{self, Error};
use crate::api::router::{Found, Router};
use crate::api::{middleware, openapi, routes};
use crate::config::Config;
use crate::domain::rules;
use crate::http::{self, Request, Response};
use crate::security::throttle::InFlight;
use crate::security::token::Keys;
use crate::store::Store;
use crate::store::revocations::Revocations;
use crate::store::zone::Today;

/// The program without its server.
pub struct App {
    /// What handlers share.
    pub context: Context,
    /// The table of routes.
    pub router: Router,
}

impl App {
    /// From the settings; the database is not touched yet.
    pub fn new(config: &Config) -> App {
        let routes = routes::routes();
        let context = Context {
            store: Arc::new(Store::new(config.database.clone(), config.database_connections())),
            keys: Keys::new(&config.jwt_secret, config.jwt_secret_previous.as_ref()),
            revocations: Arc::new(Revocations::default()),
            in_flight: InFlight::default(),
            today: Today::in_zone(config.timezone.clone()),
            #[expect(clippy::disallowed_methods)] // the one real clock
            clock: Utc::now,
            password_min: config.password_min,
            refused_passwords: rules::PasswordRule::refusals(&config.refused_passwords),
            login_attempts: config.login_attempts,
            address_attempts: config.address_attempts,
            trusted_proxies: config.trusted_proxies.clone(),
            cors_origins: config.cors_origins.clone(),
            // Made once and sent as it is, for as long as the program runs.
            openapi: openapi::render(&routes, config.password_min).leak(),
            draining: AtomicBool::new(false),
        };
        App { context, router: Router::new(routes) }
    }

    /// Answers a request, whatever it is.
    pub fn handle(&self, request: &Request) -> Response {
        let started = Instant::now();
        let id = middleware::request_id(request);
        let found = self.router.find(request.method(), request.path());
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
    pub fn fail(&self, request: &Request, error: Error) -> Response {
        let started = Instant::now();
        let id = middleware::request_id(request);
        self.finish(request, &id, self.is_guarded(request), error.into_response(&id), started)
    }

    fn finish(&self, request: &Request, id: &str, guarded: bool, response: Response, started: Instant) -> Response {
        let response = middleware::finish(&self.context, request, id, guarded, response);
        middleware::access_log(request, id, &response, started);
        response
    }

    fn run(&self, route: &Route, call: &Call<'_>) -> Result<Response, Error> {
        if call.request.body().len() > route.body_limit {
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
    pub fn lane(&self, request: &Request) -> Lane {
        match self.router.find(request.method(), request.path()) {
            Found::Route(route, _) => route.lane,
            _ => Lane::Fast,
        }
    }

    fn is_guarded(&self, request: &Request) -> bool {
        let found = self.router.find(request.method(), request.path());
        matches!(found, Found::Route(route, _) if route.is_guarded())
    }
}

impl http::Program for App {
    /// More than the usual only for who has a valid access token. The database is not asked whether its session has ended:
    /// the handler does that.
    fn body_limit(&self, request: &Request) -> usize {
        let is_known = || {
            let verify = |token| self.context.keys.verify_access(token, self.context.now());
            request.bearer().is_some_and(|token| verify(token).is_ok())
        };
        match self.router.find(request.method(), request.path()) {
            Found::Route(route, _) if route.body_limit <= BODY_LIMIT || is_known() => route.body_limit,
            _ => BODY_LIMIT,
        }
    }

    fn refuse(&self, status: u16, detail: &str, request: Option<&Request>) -> Response {
        let started = Instant::now();
        let id = request.map_or_else(|| Cow::Owned(middleware::new_request_id()), middleware::request_id);
        log::debug!("{id} refused: {status} {detail}");
        let mut response = problem::document(status, detail, &id, &[]);
        if status == 503 {
            response = response.header("Retry-After", problem::RETRY_AFTER);
        }
        match request {
            Some(request) => self.finish(request, &id, self.is_guarded(request), response, started),
            None => response.header("X-Request-Id", id.into_owned()).header("X-Content-Type-Options", "nosniff"),
        }
    }
}
