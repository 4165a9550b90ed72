//! What handlers share.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::api::metrics::Metrics;
use crate::security::api_token::Known;
use crate::security::rate::Rates;
use crate::security::throttle::Line;
use crate::security::token::Keys;
use crate::store::Store;
use crate::store::quota::Quota;
use crate::store::revocations::Revocations;
use crate::store::zone::Today;

/// What handlers use besides their input.
pub struct Context {
    /// The database.
    pub store: Arc<Store>,
    /// The keys that sign and verify tokens.
    pub keys: Keys,
    /// The sessions that ended lately, whose access tokens are invalid before they expire.
    pub revocations: Arc<Revocations>,
    /// Attempts at passwords that ask for their place.
    pub line: Line,
    /// How many contacts a user may have.
    pub quota: Quota,
    /// The API tokens that counted lately.
    pub api_tokens: Known,
    /// How many requests a minute a user may make.
    pub rates: Rates,
    /// The date in the set time zone.
    pub today: Today,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether every request has its line in the log at info.
    pub access_log: bool,
    /// From when on a request has it in any case.
    pub log_slow: Option<Duration>,
    /// Whether anybody may sign up.
    pub signup_is_open: bool,
    /// The fewest characters of a new password.
    pub password_min: usize,
    /// Passwords that are refused, in the form that is compared.
    pub refused_passwords: Vec<String>,
    /// Failures for an account from a network in a quarter of an hour; 0 for no limit.
    pub login_attempts: i32,
    /// Failures or sign-ups from a network in a quarter of an hour; 0 for no limit.
    pub address_attempts: i32,
    /// How long the refresh token before the current one still counts.
    pub refresh_grace: Duration,
    /// Networks of proxies whose `X-Forwarded-For` counts: an address of each, and how many bits of it count.
    pub trusted_proxies: Vec<(IpAddr, u32)>,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// The OpenAPI document.
    pub openapi: &'static str,
    /// Set once the program is to stop, while it still takes requests: `/readyz` says so, and every answer is its connection's
    /// last, so that proxies turn to another instance before this one is gone.
    pub leaving: AtomicBool,
}

impl Context {
    /// The present time.
    #[expect(clippy::disallowed_methods)] // the one real clock
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// Whether the program is about to stop.
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }
}
