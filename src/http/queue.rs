//! Whole requests on their way to a worker. One connection has one request in flight, so the number of connections
//! bounds it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::request::Request;

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    nap_over: Condvar,
}

#[derive(Default)]
struct Waiting {
    requests: VecDeque<Arc<Request>>,
    /// Workers in `pop`'s wait, those woken but not yet running included: as many of the waiting requests are theirs
    /// already. Nobody is woken when nobody sleeps, for a notification is a system call.
    asleep: usize,
    /// The poller naps until a worker is about to sleep.
    naps: bool,
    closed: bool,
}

impl Queue {
    /// Hands a request to the next worker; gives it back if the queue is closed.
    #[must_use]
    pub(super) fn push(&self, request: Arc<Request>) -> Option<Arc<Request>> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Some(request);
        }
        waiting.requests.push_back(request);
        let wake = waiting.asleep >= waiting.requests.len();
        // Woken outside the lock, or the worker would run straight into it.
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        None
    }

    /// The next request; waits for one. `None` once the queue is closed, for every worker.
    pub(super) fn pop(&self) -> Option<Arc<Request>> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(request) = waiting.requests.pop_front() {
                return Some(request);
            }
            if waiting.closed {
                return None;
            }
            if waiting.naps {
                waiting.naps = false;
                self.nap_over.notify_one();
            }
            waiting.asleep += 1;
            self.wake.wait(&mut waiting);
            waiting.asleep -= 1;
        }
    }

    /// The next request, if there is one.
    pub(super) fn try_pop(&self) -> Option<Arc<Request>> {
        self.waiting.lock().requests.pop_front()
    }

    /// For the poller: sleeps, unless a worker does, until one is about to. False if it did not sleep.
    pub(super) fn nap(&self, most: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.naps = waiting.asleep <= waiting.requests.len();
        let naps = waiting.naps;
        self.nap_over.wait_while_for(&mut waiting, |waiting| waiting.naps, most);
        waiting.naps = false;
        naps
    }

    /// Lets every worker leave. Requests that still wait are dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let left = std::mem::take(&mut waiting.requests);
        drop(waiting);
        self.wake.notify_all();
        // Dropping a request answers it, which is no work to do under the lock.
        drop(left);
    }
}
