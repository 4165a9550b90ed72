//! From settings to the program: the one place where its parts are put together, for `main` and for the tests alike.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chrono::Utc;
use tiny_http::Limits;

use crate::api::app::App;
use crate::api::context::Context;
use crate::api::router::Router;
use crate::api::{openapi, routes};
use crate::config::{Config, Wrong};
use crate::domain::rules;
use crate::security::throttle::InFlight;
use crate::security::token::Keys;
use crate::store::revocations::Revocations;
use crate::store::zone::Today;
use crate::store::{self, Store};
use crate::system::descriptors;

/// Connections to the database beyond those of the workers, for downloads: each borrows one for each of its pages, and gives it
/// back before it sends the page.
const DOWNLOADS: usize = 3;

/// The program without its server. It does not touch the database yet.
pub fn app(config: &Config) -> Result<App, Wrong> {
    let previous = config.jwt_secret_previous.as_ref().map(|secret| secret.reveal());
    let keys =
        Keys::new(config.jwt_secret.reveal(), previous).map_err(|short| Wrong(format!("JWT_SECRET: {short}")))?;
    let routes = routes::routes();
    let context = Context {
        store: Arc::new(Store::new(&store::Options {
            database: config.database.clone(),
            size: u32::try_from(pool(config)).unwrap_or(u32::MAX),
        })),
        keys,
        revocations: Arc::new(Revocations::default()),
        in_flight: InFlight::default(),
        today: Today::in_zone(config.timezone.clone()),
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
    Ok(App { context, router: Router::new(routes) })
}

/// Connections to the database: one for each worker, so that none waits for another's, one for housekeeping, some for downloads.
fn pool(config: &Config) -> usize {
    config.workers + config.write_workers + config.slow_workers + 1 + DOWNLOADS
}

/// What clients may cost the server.
pub fn limits(config: &Config) -> Limits {
    Limits {
        head_bytes: config.max_head_bytes,
        headers: config.max_headers,
        bodies_in_flight: config.bodies_in_flight,
        head_timeout: Duration::from_secs(config.head_timeout),
        body_timeout: Duration::from_secs(config.body_timeout),
        idle_timeout: Duration::from_secs(config.idle_timeout),
        write_timeout: Duration::from_secs(config.write_timeout),
        connections: descriptors::connections(config.max_connections, pool(config)),
        ..Limits::default()
    }
}
