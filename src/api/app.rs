//! The program without its server: one request from plain values to a plain response. Everything that happens to a request
//! is called here, in its order.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::api::context::Context;
use crate::api::endpoint::{BODY_LIMIT, Call, Finish, Handler, Lane, Route, Scope};
use crate::api::metrics::Metrics;
use crate::api::problem::{self, Error};
use crate::api::router::{Lookup, Miss, Router};
use crate::api::{access, middleware, openapi, routes};
use crate::config::Config;
use crate::domain::rules;
use crate::http::{self, Holder, Kind, Network, Pair, Request, Response};
use crate::security::api_token::Known;
use crate::security::rate::Rates;
use crate::security::throttle::Line;
use crate::security::token::Keys;
use crate::store::Store;
use crate::store::quota::Quota;
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
            keys: Keys::new(&config.jwt_secrets),
            revocations: Arc::new(Revocations::default()),
            line: Line::default(),
            quota: Quota::new(config.max_contacts),
            api_tokens: Known::default(),
            rates: Rates::new(config.rate_limit),
            today: Today::in_zone(config.timezone.clone()),
            metrics: Metrics::default(),
            access_log: config.access_log,
            log_slow: config.log_slow,
            signup_is_open: config.signup_is_open,
            password_min: config.password_min,
            refused_passwords: rules::PasswordRule::refusals(&config.refused_passwords),
            login_attempts: config.login_attempts,
            address_attempts: config.address_attempts,
            refresh_grace: config.refresh_grace,
            trusted_proxies: config.trusted_proxies.clone(),
            cors_origins: config.cors_origins.clone(),
            // It is made once, and needed as long as the program runs.
            openapi: openapi::render(&routes, config.password_min).leak(),
            leaving: AtomicBool::new(false),
        };
        App { context, router: Router::new(routes) }
    }

    /// Answers a request, whatever it is.
    pub fn handle(&self, request: &Request) -> Response {
        let mut answer = None;
        self.answer(request, self.find(request), &[], &mut |_, response| answer = Some(response));
        answer.expect("a handler gives each call an outcome")
    }

    /// What the router finds for a request.
    pub fn find<'a>(&'a self, request: &'a Request) -> Lookup<'a> {
        self.router.find(request.method(), request.path())
    }

    /// The row of a request, looked for once: the queues, the lanes and the metrics ask for it.
    pub fn route(&self, request: &Request) -> Option<&Route> {
        let found = || self.find(request).route.ok().map(|route| self.router.number(route));
        request.row(found).map(|number| &self.router.routes()[number])
    }

    /// Whether the answer to a request needs the database. It does not if the path has no row, or the token is refused.
    pub fn needs_database(&self, request: &Request) -> bool {
        match self.route(request) {
            Some(route) if route.is_guarded() => middleware::may_be_valid(&self.context, request),
            Some(route) => route.lane != Lane::Instant,
            None => false,
        }
    }

    /// Answers a request by what the router found for it, together with others of the same row, if there are any.
    pub fn answer(
        &self,
        request: &Request,
        lookup: Lookup<'_>,
        others: &[Arc<Request>],
        respond: &mut dyn FnMut(&Request, Response),
    ) {
        let mut finish = |call: &Call<'_>, outcome: Result<Response, Error>| {
            let response = outcome.unwrap_or_else(|error| error.into_response(&call.id));
            respond(call.request, middleware::finish(call, response));
        };
        let call = self.call(request, lookup.route.ok(), lookup.params);
        let outcome = match lookup.route {
            Ok(route) if others.is_empty() => return run(route, std::slice::from_ref(&call), &mut finish),
            Ok(route) => {
                let others = others.iter().map(|other| self.call(other, Some(route), self.find(other).params));
                let calls: Vec<_> = std::iter::once(call).chain(others).collect();
                return run(route, &calls, &mut finish);
            }
            Err(Miss::Options(allow)) => Ok(Response::new(204).header("Allow", allow.to_owned())),
            Err(Miss::Method(allow)) => Err(Error::MethodNotAllowed(allow.to_owned())),
            Err(Miss::Path) => Err(Error::NotFound("There is nothing at this path; /docs lists what there is.")),
        };
        finish(&call, outcome);
    }

    /// Which others the request can be answered together with: those of the same row, where it says so. One with an API token or
    /// a key is answered by itself: others need not wait while the database is asked what became of these.
    pub fn together(&self, request: &Request, lane: Lane) -> Kind {
        let route = self.route(request).filter(|route| route.lane == lane)?;
        route.goes_along.filter(|goes_along| goes_along(request.query()))?;
        let is_plain = !route.is_guarded() || middleware::identity(&self.context, request).is_some();
        let has_key = || lane == Lane::Write && request.header("Idempotency-Key").is_some();
        (is_plain && !has_key()).then(|| self.router.number(route))
    }

    /// Answers a request that is not run, or whose handler panicked.
    pub fn fail(&self, request: &Request, error: Error) -> Response {
        let call = self.call(request, self.route(request), Vec::new());
        middleware::finish(&call, error.into_response(&call.id))
    }

    fn call<'a>(&'a self, request: &'a Request, route: Option<&'a Route>, params: Vec<Pair<'a>>) -> Call<'a> {
        Call { context: &self.context, request, route, params, id: middleware::request_id(request) }
    }
}

fn run(route: &Route, calls: &[Call<'_>], finish: &mut Finish<'_>) {
    match &route.handler {
        Handler::Public(handler) => handler(calls, &|call| admit(call, route, |_| Ok(())), finish),
        Handler::Guarded(handler) => {
            let by_scope = |call: &Call<'_>| middleware::admit(call, Scope::of(&route.method));
            handler(calls, &|call| admit(call, route, by_scope), finish);
        }
        Handler::Personal(handler) => handler(calls, &|call| admit(call, route, middleware::admit_logged_in), finish),
    }
}

/// Who calls, if the row lets them in with this body.
fn admit<C>(call: &Call<'_>, route: &Route, who: impl Fn(&Call<'_>) -> Result<C, Error>) -> Result<C, Error> {
    if call.request.body().len() > route.body_limit {
        return Err(Error::PayloadTooLarge(route.body_limit));
    }
    let who = who(call)?;
    // A body that is compressed, or encoded in another way, is not read as if it were not.
    let is_other = |coding: &str| !coding.eq_ignore_ascii_case("identity");
    let is_coded = !call.request.body().is_empty() && call.request.list("Content-Encoding").any(is_other);
    if is_coded { Err(Error::UnsupportedCoding) } else { Ok(who) }
}

impl http::Program for App {
    fn holder(&self, request: &Request) -> Holder {
        let network = Network::of(request.client_address(&self.context.trusted_proxies));
        Holder { network, user: middleware::user(&self.context, request) }
    }

    fn is_instant(&self, request: &Request) -> bool {
        !self.needs_database(request)
    }

    /// Only what readers do: what is for another lane, they only pass on.
    fn batch(&self, request: &Request) -> Kind {
        self.together(request, Lane::Read)
    }

    /// More than the usual only for a client with a valid access token. The database is not asked whether its session has
    /// ended: the handler does that.
    fn body_limit(&self, request: &Request) -> usize {
        match self.route(request) {
            Some(route) if route.body_limit <= BODY_LIMIT || self.needs_database(request) => route.body_limit,
            _ => BODY_LIMIT,
        }
    }

    fn refuse(&self, status: u16, detail: &str, request: Option<&Request>) -> Response {
        let call = request.map(|request| self.call(request, self.route(request), Vec::new()));
        let id = call.as_ref().map_or_else(|| Cow::Owned(middleware::new_request_id()), |call| call.id.clone());
        self.context.metrics.refused(detail);
        if call.is_none() {
            access::refused(&self.context, status, detail, &id);
        }
        let mut response = problem::document(status, detail, &id, []);
        if status == 503 {
            response = response.header("Retry-After", problem::RETRY_AFTER);
        }
        match call {
            Some(call) => middleware::finish(&call, response),
            None => middleware::safe(response, id.into_owned()),
        }
    }

    fn answered(&self, request: Option<&Request>, response: &mut Response) {
        let Some(request) = request else {
            return;
        };
        let route = self.route(request);
        let (path, operation) = route.map_or(("none", "none"), |route| (route.path, route.id));
        self.context.metrics.answered(path, operation, response.status.0, request.arrived().elapsed());
        access::told(&self.context, request, route, response);
    }
}
