//! The listener for whoever collects the metrics, and what is measured for them.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::{Lanes, Running};
use crate::api::endpoint::Lane;
use crate::api::metrics::Measured;
use crate::api::middleware;
use crate::api::problem::Error;
use crate::http::{Body, Limits, Method, Response, Server};

/// Who collects metrics is a program or two.
const CONNECTIONS: usize = 16;

impl Running {
    /// Serves `/metrics` on a listener of its own, as long as the program runs. One thread does, which waits for nobody.
    ///
    /// # Errors
    /// When the system gives no thread or descriptors.
    pub fn serve_metrics(&self, listener: TcpListener) -> io::Result<()> {
        let (lanes, limits) = (Arc::clone(&self.lanes), Limits { connections: CONNECTIONS, ..Limits::default() });
        let server = Server::start(listener, limits, Arc::clone(&lanes.app) as _)?;
        let serve = move || {
            while let Ok(taken) = server.recv() {
                let response = match (taken.item.path(), taken.item.method()) {
                    ("/metrics", Method::Get | Method::Head) => {
                        let text = lanes.app.context.metrics.text(lanes.measured()).into_bytes();
                        let text =
                            Response::with_body(200, "text/plain; version=0.0.4; charset=utf-8", Body::Bytes(text));
                        middleware::safe(text, middleware::request_id(&taken.item).into_owned())
                    }
                    ("/metrics", _) => lanes.app.fail(&taken.item, Error::MethodNotAllowed("GET, HEAD".to_owned())),
                    _ => lanes.app.fail(&taken.item, Error::NotFound("There is only /metrics here.")),
                };
                taken.item.respond(response);
            }
        };
        thread::Builder::new().name("metrics".to_owned()).spawn(serve).map(drop)
    }
}

impl Lanes {
    fn measured(&self) -> Vec<Measured> {
        let queue = |lane| {
            let state = self.queue(lane).state.lock();
            (state.waiting.len(), state.waiting.iter().map(|request| request.arrived()).min())
        };
        let queues = [self.server.waiting(), queue(Lane::Write), queue(Lane::Hash), queue(Lane::File)];
        let by_lane = |value: &dyn Fn((usize, Option<Instant>)) -> f64| {
            ["read", "write", "hash", "file"].into_iter().map(Some).zip(queues.map(value)).collect()
        };
        let age = |oldest: Instant| oldest.elapsed().as_secs_f64();
        let one = |value: usize| vec![(None, value as f64)];
        let store = &self.app.context.store;
        let [open, lent, waiting] = store.pool_state();
        vec![
            ("waiting_requests", "Requests that wait for a worker", by_lane(&|(count, _)| count as f64)),
            ("oldest_wait_seconds", "Wait of the oldest", by_lane(&|(_, oldest)| oldest.map_or(0.0, age))),
            ("connections", "Connections of clients", one(self.server.connections())),
            ("database_usable", "Whether the database can be used", one(store.usable().is_ok().into())),
            ("pool_connections", "Connections to the database", one(open)),
            ("pool_in_use", "Those that are lent", one(lent)),
            ("pool_waiting", "Threads that wait for one", one(waiting)),
        ]
    }
}
