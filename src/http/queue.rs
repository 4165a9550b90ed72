//! Whole requests on their way to a worker, in turns. One connection has one request in flight, so the number of connections
//! bounds it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::budget::{Holder, Network};
use super::fair_queue::{FairQueue, Kind, Taken};
use super::limits::Program;
use super::request::Request;

pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    wake_picky: Condvar,
    nap_over: Condvar,
}

struct Waiting {
    /// What is done in no time, and has turns of its own.
    instant: VecDeque<Arc<Request>>,
    turns: FairQueue<Arc<Request>>,
    /// The last one that was taken was an instant one.
    was_instant: bool,
    /// Workers that look for a request: each takes one before it sleeps, so nobody is woken for that.
    looking: usize,
    /// Workers in `pop`'s wait.
    asleep: usize,
    /// Those of them who were woken and do not run yet.
    woken: usize,
    /// Workers in `pop_some`'s wait.
    picky: usize,
    /// The poller naps until a worker is about to sleep.
    naps: bool,
    closed: bool,
}

/// Which requests a worker takes.
pub enum Take<'a> {
    /// All, but of what is done together only so many batches at once.
    All,
    /// Only what is done in no time.
    Instant,
    /// That, and what is for one of these holders.
    Of(&'a dyn Fn(&Holder) -> bool),
}

impl Waiting {
    /// How many a worker could take now.
    fn ready(&self) -> usize {
        self.instant.len() + self.turns.ready()
    }

    /// A worker is there for whatever comes next.
    fn is_awaited(&self) -> bool {
        self.looking + self.asleep > self.ready()
    }

    /// Whether somebody must be woken for what is ready, beside those who are about to take it. A notification is a system
    /// call, and a worker more is a switch of threads more.
    fn wakes(&mut self) -> bool {
        let wakes = self.asleep > self.woken && self.ready() > self.looking + self.woken;
        self.woken += usize::from(wakes);
        wakes
    }

    fn pop(&mut self, take: &Take<'_>) -> Option<Taken<Arc<Request>>> {
        let instant = |waiting: &mut Waiting| {
            let item = waiting.instant.pop_front()?;
            Some(Taken { holder: unknown(&item), kind: None, item })
        };
        let in_turn = |waiting: &mut Waiting| match take {
            Take::All => waiting.turns.pop(|_| true, false),
            Take::Instant => None,
            Take::Of(may) => waiting.turns.pop(may, true),
        };
        // One of each in turn, so that neither keeps the other waiting.
        let first = if self.was_instant { in_turn(self) } else { instant(self) };
        self.was_instant = first.is_some() != self.was_instant;
        first.or_else(|| if self.was_instant { instant(self) } else { in_turn(self) })
    }
}

/// Whose request it is, before its token is checked.
fn unknown(request: &Request) -> Holder {
    Holder { network: Network::of(request.peer()), user: None }
}

impl Queue {
    /// With so many batches of one kind under way at once.
    pub(super) fn new(batches: usize) -> Queue {
        let waiting = Waiting {
            instant: VecDeque::new(),
            turns: FairQueue::new(batches),
            was_instant: false,
            looking: 0,
            asleep: 0,
            woken: 0,
            picky: 0,
            naps: false,
            closed: false,
        };
        let [wake, wake_picky, nap_over] = std::array::from_fn(|_| Condvar::new());
        Queue { waiting: Mutex::new(waiting), wake, wake_picky, nap_over }
    }

    /// Hands a request to the next worker; gives it back if the queue is closed.
    #[must_use]
    pub(super) fn push(&self, request: Arc<Request>, program: &dyn Program) -> Option<Arc<Request>> {
        // A worker is there for it, so its turn is now, whoever sent it; it may be gone in a moment, which does no harm. Else
        // its token is checked, not under the lock, on which all workers would wait.
        let is_awaited = self.waiting.lock().is_awaited();
        let is_instant = !is_awaited && program.is_instant(&request);
        let holder = if is_awaited || is_instant { unknown(&request) } else { program.holder(&request) };
        let kind = program.batch(&request);
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Some(request);
        }
        if is_instant {
            waiting.instant.push_back(request);
        } else {
            waiting.turns.push(holder, kind, request);
        }
        let (wake, wake_picky) = (waiting.wakes(), waiting.picky > 0);
        // Woken outside the lock, or the worker would run straight into it.
        drop(waiting);
        if wake {
            self.wake.notify_one();
        } else if wake_picky {
            self.wake_picky.notify_all();
        }
        None
    }

    /// The next request, for which a worker looks by itself before it sleeps: `look` says whether it has found any. `None` once
    /// the queue is closed, for every worker.
    pub(super) fn pop(&self, look: impl Fn() -> bool) -> Option<Taken<Arc<Request>>> {
        let mut waiting = self.waiting.lock();
        waiting.looking += 1;
        loop {
            if let Some(taken) = waiting.pop(&Take::All) {
                waiting.looking -= 1;
                // What others relied on this one for, beside what it takes.
                let wake = waiting.wakes();
                drop(waiting);
                if wake {
                    self.wake.notify_one();
                }
                return Some(taken);
            }
            if waiting.closed {
                return None;
            }
            if MutexGuard::unlocked(&mut waiting, &look) || waiting.ready() > 0 {
                continue;
            }
            if waiting.naps {
                waiting.naps = false;
                self.nap_over.notify_one();
            }
            waiting.looking -= 1;
            waiting.asleep += 1;
            self.wake.wait(&mut waiting);
            waiting.asleep -= 1;
            waiting.woken = waiting.woken.saturating_sub(1);
            waiting.looking += 1;
        }
    }

    /// What goes along with a request of this kind.
    pub(super) fn more(&self, kind: Kind, most: usize) -> Vec<Arc<Request>> {
        self.waiting.lock().turns.more(kind, most)
    }

    /// A batch of this kind is done. Whoever says so takes what is next, so nobody is woken for it.
    pub(super) fn done(&self, kind: Kind) {
        self.waiting.lock().turns.done(kind);
    }

    /// The next request that such a worker takes; waits so long for one.
    pub(super) fn pop_some(&self, take: &Take<'_>, most: Duration) -> Option<Taken<Arc<Request>>> {
        let (mut waiting, until) = (self.waiting.lock(), Instant::now() + most);
        loop {
            let taken = waiting.pop(take);
            if taken.is_some() || waiting.closed {
                return taken;
            }
            waiting.picky += 1;
            let timed_out = self.wake_picky.wait_until(&mut waiting, until).timed_out();
            waiting.picky -= 1;
            if timed_out {
                return None;
            }
        }
    }

    /// Takes out what arrived before this instant. Asked now and then, which also wakes a worker for what is ready and has
    /// none: whoever was to take it may have left.
    pub(super) fn take_older(&self, than: Instant) -> Vec<Arc<Request>> {
        let mut waiting = self.waiting.lock();
        let old = waiting.turns.take(|request| request.arrived() < than);
        if waiting.ready() > 0 && waiting.asleep > waiting.woken {
            waiting.woken += 1;
            self.wake.notify_one();
        }
        old
    }

    /// How many wait, and since when the oldest does.
    pub(super) fn waiting(&self) -> (usize, Option<Instant>) {
        let waiting = self.waiting.lock();
        let all = || waiting.instant.iter().chain(waiting.turns.iter());
        (all().count(), all().map(|request| request.arrived()).min())
    }

    /// For the poller: sleeps, unless a worker does, until one is about to. False if it did not sleep. What waits for a batch
    /// to be done waits for a worker, whether others sleep or not.
    pub(super) fn nap(&self, most: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.naps = !waiting.is_awaited() || waiting.turns.len() > waiting.turns.ready();
        let naps = waiting.naps;
        self.nap_over.wait_while_for(&mut waiting, |waiting| waiting.naps, most);
        waiting.naps = false;
        naps
    }

    /// Lets every worker leave. Requests that still wait are dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        let left = (std::mem::take(&mut waiting.instant), waiting.turns.take(|_| true));
        drop(waiting);
        self.wake.notify_all();
        self.wake_picky.notify_all();
        // Dropping a request answers it, which is no work to do under the lock.
        drop(left);
    }
}
