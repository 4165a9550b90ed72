//! What is told of each answer as it goes out: its line in the log. The engine asks for it, so it is told once, whoever gave
//! the answer and however late another one came.

use std::io::{self, Read};

use log::Level;

use crate::api::context::Context;
use crate::api::endpoint::Route;
use crate::api::middleware;
use crate::http::{Body, Method, Request, Response};

/// Tells of an answer to a request. The query is left out, since it contains people's names.
pub fn told(cx: &Context, request: &Request, route: Option<&Route>, response: &mut Response) {
    let (access_log, slow) = (cx.access_log, cx.log_slow);
    if !(access_log || slow.is_some() || log::log_enabled!(Level::Debug)) {
        return;
    }
    let (method, path) = (request.method().clone(), masked(request.path()));
    let (route, status, arrived) = (route.map_or("-", |route| route.path), response.status.0, request.arrived());
    let user = middleware::user(cx, request).map_or("unknown".to_owned(), |user| user.to_string());
    let address = request.client_address(&cx.trusted_proxies);
    let id = response.get("X-Request-Id").unwrap_or_default().to_owned();
    let tell = move |bytes: usize| {
        let time = arrived.elapsed();
        let at_info = access_log || slow.is_some_and(|slow| time >= slow);
        let (level, ms) = (if at_info { Level::Info } else { Level::Debug }, time.as_micros() as f64 / 1e3);
        log::log!(level, method:%, path, route, status, ms, bytes, user, address:%, request = id; "{method} {path} {status} {ms} ms");
    };
    match std::mem::replace(&mut response.body, Body::Empty) {
        Body::Stream(body) => response.body = Body::Stream(Box::new(Counted { body, bytes: 0, tell })),
        body => {
            let bytes = if *request.method() == Method::Head { 0 } else { body.bytes().len() };
            response.body = body;
            tell(bytes);
        }
    }
}

/// Tells of the answer to what is no request.
pub fn refused(cx: &Context, status: u16, detail: &str, id: &str) {
    let level = if cx.access_log { Level::Info } else { Level::Debug };
    log::log!(level, status, request = id; "refused {status} {detail}");
}

/// A body that is read while it is sent: what is told waits until all of it is sent, or that is given up.
struct Counted<F: Fn(usize)> {
    body: Box<dyn Read + Send>,
    bytes: usize,
    tell: F,
}

impl<F: Fn(usize)> Read for Counted<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.body.read(buffer).inspect(|count| self.bytes += count)
    }
}

impl<F: Fn(usize)> Drop for Counted<F> {
    fn drop(&mut self) {
        (self.tell)(self.bytes);
    }
}

/// No part of a path that is anything of ours is longer.
const PART: usize = 32;

/// The path without what may be the secret of a calendar's address, or a token, at whatever wrong address somebody tries it.
/// It goes by the length, which no percent-encoding makes less.
fn masked(path: &str) -> String {
    let parts: Vec<_> = path.split('/').map(|part| if part.len() > PART { "…" } else { part }).collect();
    parts.join("/")
}
