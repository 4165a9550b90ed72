//! The table of routes, as tests walk through it: what is in it is tested, without a line for each new row.

use contactd::api::endpoint::{Operation, Route};
use contactd::api::routes::routes;
use contactd::config::Values;
use contactd::http::Method;
use serde_json::Value;

use crate::support::client::{Client, Request};

/// The paths of the table, each once, with the methods that it has.
pub fn paths() -> Vec<(&'static str, Vec<Method>)> {
    let mut paths: Vec<(&str, Vec<Method>)> = Vec::new();
    for route in routes() {
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, methods)) => methods.push(route.method),
            None => paths.push((route.path, vec![route.method])),
        }
    }
    paths
}

/// A path that fits: each parameter is some value.
pub fn concrete(path: &str) -> String {
    with_parameter(path, "1")
}

/// The path with this in place of its parameter.
pub fn with_parameter(path: &str, value: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(from), Some(to)) => format!("{}{value}{}", &path[..from], &path[to + 1..]),
        _ => path.to_owned(),
    }
}

/// What a route takes and gives, under the default settings.
pub fn operation(route: &Route) -> Operation {
    let (password_min, _) = Values::new([]).new_password().expect("the default fits");
    route.operation(password_min)
}

/// The media types of the bodies that a route takes, each with its schema.
pub fn bodies(route: &Route) -> Vec<(&'static str, Value)> {
    let operation = operation(route);
    let named = |schema: Value| match schema["$ref"].as_str() {
        Some(reference) => {
            let mut components = operation.components.iter();
            let name = reference.rsplit('/').next().unwrap_or_default();
            components.find(|(known, _)| known == name).unwrap_or_else(|| panic!("{reference}")).1.clone()
        }
        None => schema,
    };
    operation.bodies.iter().map(|(kind, schema)| (*kind, named(schema.clone()))).collect()
}

/// Whether the path has a parameter.
pub fn has_parameter(path: &str) -> bool {
    path.contains('{')
}

/// A request of this route with a body that it could be about, if it takes one.
pub fn request(client: &Client, route: &Route) -> Request {
    let request = client.request(route.method.as_str(), concrete(route.path));
    match operation(route).bodies.first() {
        Some((media_type, _)) => request.header("Content-Type", media_type).body("{}"),
        None => request,
    }
}

/// The routes that take a JSON object.
pub fn json_routes() -> Vec<Route> {
    let takes_object = |route: &Route| {
        bodies(route).iter().any(|(kind, schema)| *kind == "application/json" && schema["type"] == "object")
    };
    routes().into_iter().filter(takes_object).collect()
}
