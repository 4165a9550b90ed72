//! The server as the program sees it: start it, receive requests, drain it.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fair_queue::{Kind, Taken};
use super::limits::{Limits, Program};
use super::poller::Poller;
use super::pool::Pool;
use super::queue::Take;
use super::request::Request;
use super::shared::Shared;

/// A server at work. Dropping it closes the listening socket and every connection at once; [`Server::drain`] does it gently.
pub struct Server {
    shared: Arc<Shared>,
    poller: Poller,
}

impl Server {
    /// Serves HTTP on `listener`, which may be a Unix socket, from now on, within `limits`; `program` decides what only the program can.
    ///
    /// # Errors
    /// When the system gives no thread or no descriptors for watching connections.
    pub fn start(listener: TcpListener, limits: Limits, program: Arc<dyn Program>) -> io::Result<Server> {
        let shared = Arc::new(Shared::new(limits, program)?);
        let poller = Poller::start(listener, Arc::clone(&shared))?;
        Ok(Server { shared, poller })
    }

    /// Waits for a request, which is whole, and returns it.
    ///
    /// # Errors
    /// For every worker once [`Server::drain`] is over: it is time to leave.
    pub fn recv(&self) -> io::Result<Taken<Arc<Request>>> {
        self.shared.next_request().ok_or_else(|| io::Error::other("the server was drained"))
    }

    /// The next request that a worker takes who does not take all; waits so long for one.
    pub fn recv_some(&self, take: &Take<'_>, most: Duration) -> Option<Taken<Arc<Request>>> {
        self.shared.queue.pop_some(take, most)
    }

    /// Those that wait and can be answered together with a request of this kind; so many at most.
    pub fn more(&self, kind: Kind, most: usize) -> Vec<Arc<Request>> {
        self.shared.queue.more(kind, most)
    }

    /// A request of this kind, with those that went along, is answered. The caller goes on receiving.
    pub fn done(&self, kind: Kind) {
        self.shared.queue.done(kind);
    }

    /// Takes out the requests that arrived before this instant and still wait.
    pub fn take_older(&self, than: Instant) -> Vec<Arc<Request>> {
        self.shared.queue.take_older(than)
    }

    /// How many requests wait for a worker, and since when the oldest does.
    pub fn waiting(&self) -> (usize, Option<Instant>) {
        self.shared.queue.waiting()
    }

    /// The threads on demand, for what the program does besides.
    pub fn pool(&self) -> &Pool {
        &self.shared.pool
    }

    /// Stops accepting, closes the connections without a request, and waits until the others have been answered, with
    /// `Connection: close`. Those that are not done `within` this time are cut off. Then [`Server::recv`] ends every worker.
    ///
    /// Returns true if all were done in time. Workers must go on receiving meanwhile.
    pub fn drain(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let _ = self.shared.drain.set(deadline);
        self.poller.join();
        let left = deadline.saturating_duration_since(Instant::now());
        let in_time = self.shared.connections.wait_until_empty(left);
        self.shared.queue.close();
        in_time
    }

    /// Whether a drain has begun.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// The number of connections: those open, and those whose last answer is still being written.
    pub fn connections(&self) -> usize {
        self.shared.connections.count().0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.drain(Duration::ZERO);
    }
}
