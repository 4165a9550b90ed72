//! What all connections of one server share, and the list of them that a drain works through.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::connection::Connection;
use crate::pool::Pool;
use crate::queue::Queue;
use crate::{Limits, Program};

pub(crate) struct Core {
    pub(crate) limits: Limits,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) queue: Queue,
    pub(crate) pool: Pool,
    pub(crate) bodies: Arc<Budget>,
    pub(crate) responses: Arc<Budget>,
    pub(crate) streams: Arc<Budget>,
    pub(crate) roster: Roster,
    draining: AtomicBool,
}

impl Core {
    pub(crate) fn new(limits: Limits, program: Arc<dyn Program>) -> Core {
        Core {
            queue: Queue::default(),
            pool: Pool::new(limits.thread_stack),
            bodies: Budget::new(limits.bodies_in_flight),
            responses: Budget::new(limits.responses_pending),
            streams: Budget::new(limits.streams),
            roster: Roster::default(),
            draining: AtomicBool::new(false),
            limits,
            program,
        }
    }

    /// From now on every response says `Connection: close`.
    pub(crate) fn start_draining(&self) {
        // SeqCst, as is a connection's phase: of "drain begins" and "a connection waits for its next
        // request" one sees the other.
        self.draining.store(true, SeqCst);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(SeqCst)
    }

    /// Waits until every connection is gone, closing those without a request; cuts the rest off at `deadline`.
    /// True if it had not to. The acceptor must have ended before.
    pub(crate) fn see_off(&self, deadline: Instant) -> bool {
        // Connections become idle one by one, as their requests are answered: look again now and then.
        const LOOK_AGAIN: Duration = Duration::from_millis(10);
        loop {
            for connection in self.roster.all() {
                connection.end_if_idle();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if self.roster.wait_until_empty(left.min(LOOK_AGAIN)) {
                return true;
            }
            if left.is_zero() {
                for connection in self.roster.all() {
                    connection.cut();
                }
                return false;
            }
        }
    }
}

/// The connections that exist, each until the last thread has let go of it.
#[derive(Default)]
pub(crate) struct Roster {
    connections: Mutex<HashMap<usize, Weak<Connection>>>,
    next: AtomicUsize,
    emptied: Condvar,
}

impl Roster {
    pub(crate) fn new_id(&self) -> usize {
        self.next.fetch_add(1, SeqCst)
    }

    pub(crate) fn enter(&self, id: usize, connection: &Arc<Connection>) {
        self.lock().insert(id, Arc::downgrade(connection));
    }

    pub(crate) fn leave(&self, id: usize) {
        let mut connections = self.lock();
        connections.remove(&id);
        if connections.is_empty() {
            self.emptied.notify_all();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn all(&self) -> Vec<Arc<Connection>> {
        // Collected first: a connection dropped while the lock is held would wait for that lock.
        self.lock().values().filter_map(Weak::upgrade).collect()
    }

    fn wait_until_empty(&self, timeout: Duration) -> bool {
        let connections = self.lock();
        let (connections, _) = self
            .emptied
            .wait_timeout_while(connections, timeout, |connections| !connections.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        connections.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Weak<Connection>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
