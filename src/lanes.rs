//! The lanes of workers, and the drain.
//!
//! The engine queues whole requests. A worker of the read lane takes each one, and either handles it or passes it on to
//! another lane: a write waits for the disk, and many can wait at once; hashing, imports and exports burn the processor, and
//! few should. So logins queue up behind each other, and neither they nor writes ever before a read.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;

use crate::api::app::App;
use crate::api::endpoint::Lane;
use crate::api::problem::Error;
use crate::api::router::Lookup;
use crate::http::{Limits, Pool, Request, Server};

/// How many requests may wait for the slow lane: about two seconds of hashing on two cores. Beyond it, 503 at once.
const SLOW_QUEUE: usize = 64;

/// The threads of each lane.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    /// Threads for reads.
    pub read: usize,
    /// Threads for writes, at most; they exist while there is work.
    pub write: usize,
    /// Threads of the slow lane, at most; they exist while there is work.
    pub slow: usize,
}

/// The program at work on a listener.
pub struct Running {
    server: Arc<Server>,
    app: Arc<App>,
    address: SocketAddr,
    workers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Serves on a bound listener until [`Running::stop`].
    pub fn start(app: Arc<App>, listener: TcpListener, workers: Workers, limits: Limits) -> io::Result<Running> {
        let address = listener.local_addr()?;
        let (connections, stack) = (limits.connections, limits.thread_stack);
        let server = Arc::new(Server::start(listener, limits, Arc::clone(&app) as _)?);
        // A connection has one request at a time, so there are never more writes than connections.
        let write = Handoff::new("write", &app, server.pool(), workers.write, connections);
        let slow = Handoff::new("slow", &app, server.pool(), workers.slow, SLOW_QUEUE);
        let mut threads = Vec::new();
        for n in 0..workers.read {
            let (app, server, write, slow) = (Arc::clone(&app), Arc::clone(&server), write.clone(), slow.clone());
            let thread = thread::Builder::new().name(format!("worker-{n}")).stack_size(stack);
            threads.push(thread.spawn(move || {
                while let Ok(request) = server.recv() {
                    let lookup = app.find(&request);
                    match lookup.lane() {
                        Lane::Fast => answer(&app, &request, lookup),
                        Lane::Write => write.submit(request),
                        Lane::Slow => slow.submit(request),
                    }
                }
            })?);
        }
        Ok(Running { server, app, address, workers: threads })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The threads on demand.
    pub fn pool(&self) -> &Pool {
        self.server.pool()
    }

    /// Stops accepting, answers what is in flight, closes the rest. Whether all was answered within the time.
    pub fn stop(self, within: Duration) -> bool {
        self.app.context.draining.store(true, Ordering::Relaxed);
        let answered = self.server.drain(within);
        if answered {
            for worker in self.workers {
                let _ = worker.join();
            }
        }
        answered
    }
}

/// Handles a request and sends the response. A handler that panics costs its client a 500 and nobody else anything: the
/// request is held out here, and the worker lives on.
fn answer(app: &App, request: &Request, lookup: Lookup<'_>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| app.answer(request, lookup)));
    let response = outcome.unwrap_or_else(|_| app.fail(request, Error::Internal("the handler panicked".to_owned())));
    request.respond(response);
}

/// A lane of at most so many threads of the pool, which it has while there is work, and a bounded queue before them.
struct Handoff {
    name: &'static str,
    app: Arc<App>,
    pool: Pool,
    threads: usize,
    queue: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    running: usize,
    requests: VecDeque<Arc<Request>>,
}

impl Handoff {
    fn new(name: &'static str, app: &Arc<App>, pool: &Pool, threads: usize, queue: usize) -> Arc<Handoff> {
        let (app, pool) = (Arc::clone(app), pool.clone());
        Arc::new(Handoff { name, app, pool, threads, queue, waiting: Mutex::default() })
    }

    /// Queues the request, and takes a thread for it where the lane may have one more. 503 where the queue is full.
    fn submit(self: &Arc<Handoff>, request: Arc<Request>) {
        let mut waiting = self.waiting.lock();
        if waiting.requests.len() >= self.queue {
            drop(waiting);
            return self.turn_away(request);
        }
        waiting.requests.push_back(request);
        if waiting.running < self.threads {
            waiting.running += 1;
            drop(waiting);
            let lane = Arc::clone(self);
            self.pool.spawn(move |has_thread| lane.run(has_thread));
        }
    }

    fn run(&self, has_thread: bool) {
        loop {
            let mut waiting = self.waiting.lock();
            // Without a thread, those who have one take the requests in turn. With nobody running, nobody would.
            let is_over = !has_thread && waiting.running > 1;
            let request = if is_over { None } else { waiting.requests.pop_front() };
            let Some(request) = request else {
                waiting.running -= 1;
                return;
            };
            drop(waiting);
            if has_thread {
                answer(&self.app, &request, self.app.find(&request));
            } else {
                self.turn_away(request);
            }
        }
    }

    fn turn_away(&self, request: Arc<Request>) {
        let full = Error::Unavailable(format!("the {} lane is full", self.name));
        let response = self.app.fail(&request, full);
        request.respond(response);
    }
}
