//! Whole requests on their way to a worker, in turns. One connection has one request in flight, so the number of connections
//! bounds it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::budget::{Holder, Network};
use super::fair_queue::FairQueue;
use super::limits::Program;
use super::request::Request;

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    wake_picky: Condvar,
    nap_over: Condvar,
}

#[derive(Default)]
struct Waiting {
    /// What is done in no time, and has turns of its own.
    instant: VecDeque<Arc<Request>>,
    turns: FairQueue<Arc<Request>>,
    /// The last one that was taken was an instant one.
    was_instant: bool,
    /// Workers in `pop`'s wait, those woken but not yet running included: as many of the waiting requests are theirs
    /// already. Nobody is woken when nobody sleeps, for a notification is a system call.
    asleep: usize,
    /// The same in `pop_some`'s wait.
    picky: usize,
    /// The poller naps until a worker is about to sleep.
    naps: bool,
    closed: bool,
}

/// Which requests a worker takes.
pub enum Take<'a> {
    /// Only what is done in no time.
    Instant,
    /// That, and what is for one of these holders.
    Of(&'a dyn Fn(&Holder) -> bool),
}

impl Waiting {
    fn len(&self) -> usize {
        self.instant.len() + self.turns.len()
    }

    /// A worker waits for whatever comes next.
    fn is_awaited(&self) -> bool {
        self.asleep > self.len()
    }

    fn pop(&mut self, take: &Take<'_>) -> Option<Arc<Request>> {
        let instant = |waiting: &mut Waiting| waiting.instant.pop_front();
        let in_turn = |waiting: &mut Waiting| match take {
            Take::Instant => None,
            Take::Of(may) => waiting.turns.pop(may).map(|(_, request)| request),
        };
        // One of each in turn, so that neither keeps the other waiting.
        let first = if self.was_instant { in_turn(self) } else { instant(self) };
        self.was_instant = first.is_some() != self.was_instant;
        first.or_else(|| if self.was_instant { instant(self) } else { in_turn(self) })
    }
}

impl Queue {
    /// Hands a request to the next worker; gives it back if the queue is closed.
    #[must_use]
    pub(super) fn push(&self, request: Arc<Request>, program: &dyn Program) -> Option<Arc<Request>> {
        // A worker is there for it, so its turn is now, whoever sent it; it may be gone in a moment, which does no harm. Else
        // its token is checked, not under the lock, on which all workers would wait.
        let is_awaited = self.waiting.lock().is_awaited();
        let is_instant = !is_awaited && program.is_instant(&request);
        let holder = if is_awaited || is_instant {
            Holder { network: Network::of(request.peer()), user: None }
        } else {
            program.holder(&request)
        };
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Some(request);
        }
        if is_instant {
            waiting.instant.push_back(request);
        } else {
            waiting.turns.push(holder, request);
        }
        let (wake, wake_picky) = (waiting.asleep >= waiting.len(), waiting.picky > 0);
        // Woken outside the lock, or the worker would run straight into it.
        drop(waiting);
        if wake {
            self.wake.notify_one();
        } else if wake_picky {
            self.wake_picky.notify_all();
        }
        None
    }

    /// The next request; waits for one. `None` once the queue is closed, for every worker.
    pub(super) fn pop(&self) -> Option<Arc<Request>> {
        let mut waiting = self.waiting.lock();
        loop {
            if let Some(request) = waiting.pop(&Take::Of(&|_| true)) {
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
        self.waiting.lock().pop(&Take::Of(&|_| true))
    }

    /// The next request that such a worker takes; waits so long for one.
    pub(super) fn pop_some(&self, take: &Take<'_>, most: Duration) -> Option<Arc<Request>> {
        let (mut waiting, until) = (self.waiting.lock(), Instant::now() + most);
        loop {
            let request = waiting.pop(take);
            if request.is_some() || waiting.closed {
                return request;
            }
            waiting.picky += 1;
            let timed_out = self.wake_picky.wait_until(&mut waiting, until).timed_out();
            waiting.picky -= 1;
            if timed_out {
                return None;
            }
        }
    }

    /// Takes out what arrived before this instant.
    pub(super) fn take_older(&self, than: Instant) -> Vec<(Holder, Arc<Request>)> {
        self.waiting.lock().turns.take(|request| request.arrived() < than)
    }

    /// For the poller: sleeps, unless a worker does, until one is about to. False if it did not sleep.
    pub(super) fn nap(&self, most: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.naps = !waiting.is_awaited();
        let naps = waiting.naps;
        self.nap_over.wait_while_for(&mut waiting, |waiting| waiting.naps, most);
        waiting.naps = false;
        naps
    }

    /// Lets every worker leave. Requests that still wait are dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let left = (std::mem::take(&mut waiting.instant), std::mem::take(&mut waiting.turns));
        drop(waiting);
        self.wake.notify_all();
        self.wake_picky.notify_all();
        // Dropping a request answers it, which is no work to do under the lock.
        drop(left);
    }
}
