//! A request on its way to a handler, with all that a handler may ask of it besides its input.

use std::borrow::Cow;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Once;

use super::Route;
use crate::api::context::Context;
use crate::http::{Method, Network, Pair, Request};

/// What a token must allow to open a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Scope {
    Read,
    Write,
}

impl Scope {
    /// What a call by this method needs. HEAD finds the rows of GET.
    pub fn of(method: &Method) -> Scope {
        if *method == Method::Get { Scope::Read } else { Scope::Write }
    }
}

/// Who calls, by a session or by an API token whose scope is enough for the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub user: i64,
}

/// Who calls by a session, and by nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedIn {
    /// The user's id.
    pub user: i64,
    /// The session's id.
    pub session: i64,
}

/// A request, what the router found for it, and what handlers share.
pub struct Call<'a> {
    /// What handlers share.
    pub context: &'a Context,
    /// The request.
    pub request: &'a Request,
    /// The row of the table, if there is one for this method and path.
    pub route: Option<&'a Route>,
    /// The parameters of its path.
    pub params: Vec<Pair<'a>>,
    /// The id in `X-Request-Id`.
    pub id: Cow<'a, str>,
}

impl Deref for Call<'_> {
    type Target = Context;

    fn deref(&self) -> &Context {
        self.context
    }
}

impl Call<'_> {
    /// The client's address: the connection's, or the one that a trusted proxy names.
    pub fn client_address(&self) -> IpAddr {
        static WARNED: Once = Once::new();
        let (request, trusted) = (self.request, &self.trusted_proxies);
        if !request.is_from_proxy(trusted) && request.header("X-Forwarded-For").is_some() {
            let what = "is not believed: if that is a proxy of yours, TRUSTED_PROXIES should name it";
            WARNED.call_once(|| log::warn!("X-Forwarded-For from {} {what}", request.peer()));
        }
        request.client_address(trusted)
    }

    /// The number of the network that the client is in.
    pub fn network(&self) -> i64 {
        Network::of(self.client_address()).number()
    }

    /// `User-Agent`, at most 200 characters of it, to be shown.
    pub fn user_agent(&self) -> Option<String> {
        let shown = |c: char| if c.is_control() { '?' } else { c };
        self.request.header("User-Agent").map(|text| text.chars().take(200).map(shown).collect())
    }

    /// The scheme and host by which the client reached this server; empty where it named none, which leaves addresses
    /// relative.
    pub fn origin(&self) -> String {
        self.request.origin(&self.trusted_proxies).unwrap_or_default()
    }

    /// Logs an event of an account in one line; the logger adds the time.
    pub fn audit(&self, event: &str, user: Option<i64>) {
        self.metrics.happened(event);
        let user = user.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        log::info!(user, address:% = self.client_address(), request:% = self.id; "auth {event}");
    }
}
