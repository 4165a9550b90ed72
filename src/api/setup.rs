//! From settings to the program: the one place where its parts are put together, for `main` and for the tests alike.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::Utc;
use tiny_http::Limits;

use crate::api::app::App;
use crate::api::context::Context;
use crate::api::router::Router;
use crate::api::{openapi, routes};
use crate::config::Config;
use crate::domain::rules;
use crate::security::throttle::InFlight;
use crate::security::token::Keys;
use crate::store::Store;
use crate::store::revocations::Revocations;
use crate::store::zone::Today;
use crate::system::descriptors;

/// The program without its server. It does not touch the database yet.
pub fn app(config: &Config) -> App {
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
        refused_passwords: rules::Password::refusals(&config.refused_passwords),
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

/// What clients may cost the server.
pub fn limits(config: &Config) -> Limits {
    Limits {
        idle_timeout: config.idle_timeout,
        connections: descriptors::connections(config.max_connections, config.database_connections()),
        ..Limits::default()
    }
}
