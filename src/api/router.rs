//! Finds the route of a method and a path, on matchit: the raw path is matched, then each parameter decoded.

use std::borrow::Cow;

use crate::api::endpoint::Route;
use crate::http::{Method, percent_decode};

/// The routes of one path, by method.
struct Methods {
    routes: Vec<(Method, usize)>,
    allow: String,
}

/// The table, ready to be matched against.
pub struct Router {
    routes: Vec<Route>,
    paths: matchit::Router<Methods>,
}

/// What a path leads to.
pub enum Found<'r, 'p> {
    /// A route, and its path's parameters, decoded.
    Route(&'r Route, Vec<(&'r str, Cow<'p, str>)>),
    /// `OPTIONS` of a known path; the methods that it has.
    Options(&'r str),
    /// A known path, without this method; those that it has.
    WrongMethod(&'r str),
    /// No such path.
    NotFound,
}

impl Router {
    /// Builds the router from the table.
    ///
    /// # Panics
    /// When two rows are in each other's way: the table is part of the program, so this is a fault of the program.
    pub fn new(routes: Vec<Route>) -> Router {
        let mut order: Vec<(&'static str, Vec<(Method, usize)>)> = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            match order.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, methods)) => methods.push((route.method.clone(), index)),
                None => order.push((route.path, vec![(route.method.clone(), index)])),
            }
        }
        let mut paths = matchit::Router::new();
        for (path, routes) in order {
            let mut names: Vec<_> = routes.iter().map(|(method, _)| method.as_str()).collect();
            if names.contains(&"GET") {
                names.push("HEAD");
            }
            names.push("OPTIONS");
            let allow = names.join(", ");
            paths.insert(path, Methods { routes, allow }).expect("routes do not collide");
        }
        Router { routes, paths }
    }

    /// All rows, in their order.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Finds what a request asks for. One slash at the end makes no difference.
    pub fn find<'r, 'p>(&'r self, method: &Method, path: &'p str) -> Found<'r, 'p> {
        let path = path.strip_suffix('/').filter(|p| !p.is_empty()).unwrap_or(path);
        let Ok(found) = self.paths.at(path) else {
            return Found::NotFound;
        };
        let wanted = if *method == Method::Head { &Method::Get } else { method };
        let Some((_, index)) = found.value.routes.iter().find(|(m, _)| m == wanted) else {
            return match method {
                Method::Options => Found::Options(&found.value.allow),
                _ => Found::WrongMethod(&found.value.allow),
            };
        };
        let mut params = Vec::with_capacity(found.params.len());
        for (name, value) in found.params.iter() {
            // What does not decode is passed on as it came: no id and no name looks like it.
            let value = percent_decode(value, false).unwrap_or(Cow::Borrowed(value));
            params.push((name, value));
        }
        Found::Route(&self.routes[*index], params)
    }
}
