//! What all connections of one server share, and the list of them.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::budget::Budget;
use crate::connection::Connection;
use crate::outgoing::Unsent;
use crate::pool::{Pool, Task};
use crate::queue::Queue;
use crate::turn::Turn;
use crate::{Limits, Program, Request, waiting};

pub(crate) struct Core {
    pub(crate) limits: Limits,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) queue: Queue,
    pub(crate) pool: Pool<Job>,
    pub(crate) bodies: Arc<Budget>,
    pub(crate) responses: Arc<Budget>,
    pub(crate) streams: Arc<Budget>,
    pub(crate) roster: Roster,
    /// The epoll that watches all connections.
    pub(crate) poll: OwnedFd,
    drain: OnceLock<Instant>,
    over: AtomicBool,
}

/// What needs a thread that may wait for a client.
pub(crate) enum Job {
    Read(Turn),
    Write(Unsent),
}

impl Task for Job {
    fn run(self) {
        match self {
            Job::Read(turn) => waiting::read(turn),
            Job::Write(unsent) => unsent.write(),
        }
    }
}

impl Core {
    pub(crate) fn new(limits: Limits, program: Arc<dyn Program>) -> io::Result<Core> {
        Ok(Core {
            queue: Queue::default(),
            pool: Pool::new(limits.thread_stack),
            bodies: Budget::new(limits.bodies_in_flight),
            responses: Budget::new(limits.responses_pending),
            streams: Budget::new(limits.streams),
            roster: Roster::default(),
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            drain: OnceLock::new(),
            over: AtomicBool::new(false),
            limits,
            program,
        })
    }

    /// From now on the kernel reports to the poller what arrives, until the connection's socket is closed.
    pub(crate) fn watch(&self, connection: &Connection) -> io::Result<()> {
        let data = epoll::EventData::new_u64(connection.id);
        Ok(epoll::add(&self.poll, &connection.stream, data, WATCHED)?)
    }

    /// Makes the kernel report again what has arrived, if it is still there.
    pub(crate) fn watch_again(&self, connection: &Connection) {
        let data = epoll::EventData::new_u64(connection.id);
        let _ = epoll::modify(&self.poll, &connection.stream, data, WATCHED);
    }

    /// Reads what has arrived, of so many connections at most; how many there were. Anybody may do that at any time: the
    /// kernel reports each arrival once.
    pub(crate) fn look(&self, most: usize) -> usize {
        const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut reports = Vec::with_capacity(most);
        if epoll::wait(&self.poll, spare_capacity(&mut reports), Some(&NO_TIME)).is_err() {
            return 0;
        }
        for report in &reports {
            let (id, flags) = (report.data.u64(), report.flags);
            // One that is gone may still be reported in the same breath.
            if let Some(connection) = self.roster.get(id)
                && let Some(turn) = Turn::report(&connection, flags.intersects(LAST))
            {
                turn.read_on();
            }
        }
        reports.len()
    }

    /// A request for a worker, which looks for one by itself before it sleeps. `None` once the queue is closed.
    pub(crate) fn next_request(&self) -> Option<Request> {
        loop {
            if let Some(request) = self.queue.try_pop() {
                return Some(request);
            }
            if self.look(REPORTS) == 0 {
                return self.queue.pop();
            }
        }
    }

    /// From now on every response says `Connection: close`, and the poller ends when all connections are gone, or at
    /// the deadline.
    pub(crate) fn start_draining(&self, deadline: Instant) {
        let _ = self.drain.set(deadline);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.drain.get().is_some()
    }

    pub(crate) fn drain_deadline(&self) -> Option<Instant> {
        self.drain.get().copied()
    }

    /// From now on nobody watches connections.
    pub(crate) fn end_poll(&self) {
        // SeqCst, as are the turns: of "the poll is over" and "a turn is given back to it" one sees the other.
        self.over.store(true, SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }
}

/// How many connections a worker looks at. It finds most of them with a request, and other workers take those.
const REPORTS: usize = 16;
/// The flags of a connection's end.
const LAST: epoll::EventFlags = epoll::EventFlags::RDHUP.union(epoll::EventFlags::HUP).union(epoll::EventFlags::ERR);
const WATCHED: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP).union(epoll::EventFlags::ET);

/// The connections that exist.
#[derive(Default)]
pub(crate) struct Roster {
    listed: Mutex<Listed>,
    next: AtomicU64,
    emptied: Condvar,
}

#[derive(Default)]
struct Listed {
    /// With whether they are guests.
    connections: HashMap<u64, (Arc<Connection>, bool)>,
    guests: usize,
}

impl Listed {
    fn inside(&self) -> usize {
        self.connections.len() - self.guests
    }
}

impl Roster {
    pub(crate) fn new_id(&self) -> u64 {
        self.next.fetch_add(1, SeqCst)
    }

    pub(crate) fn enter(&self, connection: Arc<Connection>, guest: bool) {
        let mut listed = self.lock();
        listed.guests += usize::from(guest);
        listed.connections.insert(connection.id, (connection, guest));
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut listed = self.lock();
        let left = listed.connections.remove(&id);
        listed.guests -= usize::from(matches!(left, Some((_, true))));
        if listed.inside() == 0 {
            self.emptied.notify_all();
        }
        drop(listed);
        // Closing a socket is no work to do under the lock.
        drop(left);
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Connection>> {
        let listed = self.lock();
        listed.connections.get(&id).map(|(c, _)| Arc::clone(c))
    }

    /// Those that count, and the guests.
    pub(crate) fn count(&self) -> (usize, usize) {
        let listed = self.lock();
        (listed.inside(), listed.guests)
    }

    /// No guests either.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().connections.is_empty()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Connection>> {
        // Collected first: a turn dropped while the lock is held would wait for that lock.
        let listed = self.lock();
        listed.connections.values().map(|(c, _)| Arc::clone(c)).collect()
    }

    /// False if there are still connections then, guests not counted.
    pub(crate) fn wait_until_empty(&self, timeout: Duration) -> bool {
        let (listed, _) = self
            .emptied
            .wait_timeout_while(self.lock(), timeout, |listed| listed.inside() > 0)
            .unwrap_or_else(PoisonError::into_inner);
        listed.inside() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Listed> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
