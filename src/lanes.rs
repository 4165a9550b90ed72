//! The listener, the lanes of workers, and the drain.
//!
//! tiny_http reads whole requests and queues them. A worker of the fast lane takes each one, and either handles it or passes it
//! on to another lane: what writes waits for the disk, and many can wait at once; what hashes, imports or exports burns the
//! processor, and few should. So logins queue up behind each other, and neither they nor writes ever before a read.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tiny_http::{Limits, Program, ResponseBox};

use crate::api::app::App;
use crate::api::edge;
use crate::api::endpoint::Lane;
use crate::api::problem::Error;
use crate::http::Method;

/// How many requests may wait for the slow lane: about two seconds of hashing on two cores. Beyond it, 503 at once.
const SLOW_QUEUE: usize = 64;

/// Stack of a worker's thread; measured use is below a quarter of it.
const STACK: usize = 512 * 1024;

/// Connections that may wait to be accepted; the kernel takes fewer where its own limit is lower. The standard library asks
/// for 128: when more come at once, the next client's first packet is dropped, and sent again only a second later.
const BACKLOG: i32 = 4096;

/// How the server is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads of the fast lane.
    pub workers: usize,
    /// Threads for writes, at most; they exist while there is work.
    pub write_workers: usize,
    /// Threads of the slow lane, at most; they exist while there is work.
    pub slow_workers: usize,
    /// What clients may cost.
    pub limits: Limits,
}

/// A server at work.
pub struct Server {
    inner: Arc<tiny_http::Server>,
    app: Arc<App>,
    address: SocketAddr,
    workers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Serves on a bound listener until [`Server::stop`].
    pub fn start(app: Arc<App>, listener: TcpListener, options: Options) -> io::Result<Server> {
        let address = listener.local_addr()?;
        // On a socket that listens already, it only sets the number.
        rustix::net::listen(&listener, BACKLOG)?;
        let program = Arc::new(Hooks(Arc::clone(&app)));
        let connections = options.limits.connections;
        let inner = Arc::new(tiny_http::Server::hardened(listener, options.limits, program)?);
        // A connection has one request at a time, so there are never more writes than connections.
        let write = OnDemand::new("write", &app, options.write_workers, connections);
        let slow = OnDemand::new("slow", &app, options.slow_workers, SLOW_QUEUE);
        let lanes = Arc::new(Lanes { app: Arc::clone(&app), write, slow });
        let mut workers = Vec::new();
        for n in 0..options.workers {
            let (server, lanes) = (Arc::clone(&inner), Arc::clone(&lanes));
            let thread = thread::Builder::new().name(format!("worker-{n}")).stack_size(STACK);
            workers.push(thread.spawn(move || {
                while let Ok(request) = server.recv() {
                    lanes.dispatch(request);
                }
            })?);
        }
        Ok(Server { inner, app, address, workers })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting, answers what is in flight, closes the rest. Whether all was answered within the time.
    pub fn stop(self, within: Duration) -> bool {
        self.app.context.draining.store(true, Ordering::Relaxed);
        let answered = self.inner.drain(within);
        if answered {
            for worker in self.workers {
                let _ = worker.join();
            }
        }
        answered
    }
}

/// What tiny_http asks of the program.
struct Hooks(Arc<App>);

impl Program for Hooks {
    fn body_limit(&self, request: &tiny_http::Request) -> Option<usize> {
        Some(self.0.body_limit(&edge::request(request)))
    }

    fn refuse(&self, status: u16, detail: &str, request: Option<&tiny_http::Request>) -> ResponseBox {
        edge::boxed(self.0.refuse(status, detail, request.map(edge::request).as_ref()))
    }
}

/// Where requests go from the fast lane.
struct Lanes {
    app: Arc<App>,
    write: Arc<OnDemand>,
    slow: Arc<OnDemand>,
}

impl Lanes {
    fn dispatch(&self, request: tiny_http::Request) {
        let path = request.url().split('?').next().unwrap_or("");
        let lane = match self.app.lane(Method::parse(request.method().as_str()), path) {
            Lane::Fast => return answer(&self.app, request),
            Lane::Write => &self.write,
            Lane::Slow => &self.slow,
        };
        if let Some(request) = lane.submit(request) {
            let full = Error::Unavailable(format!("the {} lane is full", lane.name));
            let refusal = self.app.fail(&edge::request(&request), full);
            edge::respond(request, refusal);
        }
    }
}

/// Handles a request and sends the response. A handler that panics costs its client a 500 and nobody else anything: the
/// request is held out here, and the worker lives on.
fn answer(app: &App, request: tiny_http::Request) {
    let outcome = catch_unwind(AssertUnwindSafe(|| app.handle(&edge::request(&request))));
    let response = outcome.unwrap_or_else(|_| {
        let panicked = Error::Internal("the handler panicked, as told above".to_owned());
        app.fail(&edge::request(&request), panicked)
    });
    edge::respond(request, response);
}

/// A lane of at most so many threads, which exist while there is work, and a bounded queue before them.
struct OnDemand {
    name: &'static str,
    app: Arc<App>,
    threads: usize,
    queue: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: usize,
    waiting: VecDeque<tiny_http::Request>,
}

impl OnDemand {
    fn new(name: &'static str, app: &Arc<App>, threads: usize, queue: usize) -> Arc<OnDemand> {
        Arc::new(OnDemand { name, app: Arc::clone(app), threads, queue, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the request back when it cannot be taken.
    fn submit(self: &Arc<Self>, request: tiny_http::Request) -> Option<tiny_http::Request> {
        let mut state = self.lock();
        if state.waiting.len() >= self.queue {
            return Some(request);
        }
        state.waiting.push_back(request);
        if state.running < self.threads {
            let lane = Arc::clone(self);
            let thread = thread::Builder::new().name(self.name.to_owned()).stack_size(STACK);
            match thread.spawn(move || lane.run()) {
                Ok(_) => state.running += 1,
                // Whoever runs takes it in turn. With nobody running, nobody would.
                Err(error) if state.running == 0 => {
                    log::error!("no thread for the {} lane: {error}", self.name);
                    return state.waiting.pop_back();
                }
                Err(_) => {}
            }
        }
        None
    }

    fn run(&self) {
        loop {
            let mut state = self.lock();
            let Some(request) = state.waiting.pop_front() else {
                state.running -= 1;
                return;
            };
            drop(state);
            answer(&self.app, request);
        }
    }
}
