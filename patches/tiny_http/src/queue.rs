//! Whole requests on their way to a worker. One connection has one request in flight, so the number of
//! connections bounds it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Request;

#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    nap_over: Condvar,
}

#[derive(Default)]
struct State {
    requests: VecDeque<Request>,
    /// Workers in `pop`'s wait, those woken but not yet running included: as many of the waiting requests are
    /// theirs already. Nobody is woken when nobody sleeps, for a notification is a system call.
    asleep: usize,
    /// The poller naps until a worker is about to sleep.
    naps: bool,
    closed: bool,
}

impl Queue {
    /// Hands a request to the next worker; gives it back if the queue is closed.
    #[must_use]
    pub(crate) fn push(&self, request: Request) -> Option<Request> {
        let mut state = self.lock();
        if state.closed {
            return Some(request);
        }
        state.requests.push_back(request);
        let wake = state.asleep >= state.requests.len();
        // Woken outside the lock, or the worker would run straight into it.
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        None
    }

    /// The next request; waits for one. `None` once the queue is closed, for every worker.
    pub(crate) fn pop(&self) -> Option<Request> {
        let mut state = self.lock();
        loop {
            if let Some(request) = state.requests.pop_front() {
                return Some(request);
            }
            if state.closed {
                return None;
            }
            if state.naps {
                state.naps = false;
                self.nap_over.notify_one();
            }
            state.asleep += 1;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.asleep -= 1;
        }
    }

    /// The next request, if there is one.
    pub(crate) fn try_pop(&self) -> Option<Request> {
        self.lock().requests.pop_front()
    }

    /// For the poller: sleeps, unless a worker does, until one is about to. False if it did not sleep.
    pub(crate) fn nap(&self, most: Duration) -> bool {
        let mut state = self.lock();
        state.naps = state.asleep <= state.requests.len();
        let naps = state.naps;
        let woken = self.nap_over.wait_timeout_while(state, most, |state| state.naps);
        woken.unwrap_or_else(PoisonError::into_inner).0.naps = false;
        naps
    }

    /// Lets every worker leave. Requests that still wait are dropped.
    pub(crate) fn close(&self) {
        let left = {
            let mut state = self.lock();
            state.closed = true;
            std::mem::take(&mut state.requests)
        };
        self.wake.notify_all();
        // Dropping a request answers it, which is no work to do under the lock.
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
