//! Finds the route of a method and a path, on matchit: the raw path is matched, then each parameter decoded.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::api::endpoint::{Lane, Route};
use crate::http::{Method, Pair, percent_decode};

/// The routes of one path.
struct Methods {
    /// Their places in the table.
    routes: Vec<usize>,
    allow: String,
}

/// The table, ready for look-ups.
pub struct Router {
    routes: Vec<Route>,
    paths: matchit::Router<Methods>,
}

/// What the router found for a method and a path.
pub struct Lookup<'a> {
    /// The route.
    pub route: Result<&'a Route, Miss<'a>>,
    /// The parameters of the path, decoded.
    pub params: Vec<Pair<'a>>,
}

impl Lookup<'_> {
    /// The workers that the request is for.
    pub fn lane(&self) -> Lane {
        self.route.map_or(Lane::Instant, |route| route.lane)
    }
}

/// Why there is no route.
#[derive(Clone, Copy)]
pub enum Miss<'a> {
    /// `OPTIONS` of a known path; the methods that it has.
    Options(&'a str),
    /// A known path without this method; the methods that it has.
    Method(&'a str),
    /// An unknown path.
    Path,
}

/// The methods that some path has: the answer to `OPTIONS *`, which no other method may ask (RFC 9110 §9.3.7).
const EVERYWHERE: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Whether HEAD works where this row's GET does. It must change nothing, so it does not where GET writes.
fn has_head(route: &Route) -> bool {
    route.method == Method::Get && route.lane != Lane::Write
}

impl Router {
    /// Builds the router from the table.
    ///
    /// # Panics
    /// If two rows collide. The table is part of the program, so this is a fault of the program.
    pub fn new(routes: Vec<Route>) -> Router {
        let mut by_path = BTreeMap::<_, Vec<usize>>::new();
        for (index, route) in routes.iter().enumerate() {
            by_path.entry(route.path).or_default().push(index);
        }
        let mut paths = matchit::Router::new();
        for (path, indices) in by_path {
            let mut names: Vec<_> = indices.iter().map(|index| routes[*index].method.as_str()).collect();
            if indices.iter().any(|index| has_head(&routes[*index])) {
                names.push("HEAD");
            }
            names.push("OPTIONS");
            let allow = names.join(", ");
            paths.insert(path, Methods { routes: indices, allow }).expect("routes do not collide");
        }
        Router { routes, paths }
    }

    /// All rows, in their order.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The place of a row of its own.
    pub fn number(&self, route: &Route) -> usize {
        self.routes.iter().position(|other| std::ptr::eq(route, other)).expect("a row of this table")
    }

    /// Finds the route. One slash at the end of the path makes no difference.
    pub fn find<'a>(&'a self, method: &Method, path: &'a str) -> Lookup<'a> {
        let path = path.strip_suffix('/').filter(|p| !p.is_empty()).unwrap_or(path);
        let Ok(found) = self.paths.at(path) else {
            let miss = if path == "*" { Miss::Options(EVERYWHERE) } else { Miss::Path };
            return Lookup { route: Err(miss), params: Vec::new() };
        };
        let Methods { routes, allow } = found.value;
        let is_wanted = |route: &Route| route.method == *method || *method == Method::Head && has_head(route);
        let route = match routes.iter().map(|index| &self.routes[*index]).find(|route| is_wanted(route)) {
            Some(route) => Ok(route),
            None if *method == Method::Options => Err(Miss::Options(allow)),
            None => Err(Miss::Method(allow)),
        };
        // A value that cannot be decoded is passed on as it came. No id and no name looks like it.
        let decoded = |value| percent_decode(value, false).or(Some(Cow::Borrowed(value)));
        Lookup { route, params: found.params.iter().map(|(name, value)| (name.into(), decoded(value))).collect() }
    }
}
