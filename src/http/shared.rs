//! What all connections of one server share, and the list of them.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::epoll;

use super::budget::{Budget, Holder, Network, Permit};
use super::connection::{Connection, Turn};
use super::limits::{Limits, Program};
use super::pace::SLOW;
use super::pool::Pool;
use super::queue::Queue;

pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) program: Arc<dyn Program>,
    pub(super) queue: Queue,
    pub(super) pool: Pool,
    pub(super) bodies: Arc<Budget>,
    pub(super) responses: Arc<Budget>,
    pub(super) streams: Arc<Budget>,
    pub(super) connections: Connections,
    /// The epoll that watches all connections.
    pub(super) epoll: OwnedFd,
    /// The deadline of the drain, once it has begun: every response says `Connection: close` from then on, and the poller ends
    /// when all connections are gone, or at the deadline.
    pub(super) drain: OnceLock<Instant>,
    /// Nobody watches connections any more. SeqCst, as are the turns: of "polling has ended" and "a turn is given back to the
    /// poll" one sees the other.
    pub(super) polling_ended: AtomicBool,
}

/// The flags of a connection's end.
pub(super) const ENDED: epoll::EventFlags =
    epoll::EventFlags::RDHUP.union(epoll::EventFlags::HUP).union(epoll::EventFlags::ERR);
const WATCHED: epoll::EventFlags = epoll::EventFlags::IN.union(epoll::EventFlags::RDHUP).union(epoll::EventFlags::ET);

impl Shared {
    pub(super) fn new(limits: Limits, program: Arc<dyn Program>) -> io::Result<Shared> {
        Ok(Shared {
            queue: Queue::new(limits.batches),
            pool: Pool::new(limits.thread_stack),
            bodies: Budget::new(limits.bodies_in_flight),
            responses: Budget::new(limits.responses_pending),
            streams: Budget::new(limits.streams),
            connections: Connections::default(),
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            drain: OnceLock::new(),
            polling_ended: AtomicBool::new(false),
            limits,
            program,
        })
    }

    /// Takes units of a budget. Where too few are left, whoever takes their answers slowest gives way, of the holder who holds
    /// most in the network that holds most.
    pub(super) fn reserve(&self, budget: &Arc<Budget>, holder: Holder, units: usize) -> Option<Permit> {
        loop {
            let permit = budget.take(holder, units);
            if permit.is_some() {
                return permit;
            }
            let slowest = self.connections.first(|connection| {
                let pace = connection.pace.lock();
                let pace = pace.as_ref().filter(|pace| pace.slowness().0.elapsed() >= SLOW)?;
                Some((pace.permit.as_ref()?.gives_way(budget, holder, units)?, pace.slowness()))
            });
            slowest?.cut_short();
        }
    }

    /// Makes one connection give way to a new one of this network: of the network that has most, first who has rested longest,
    /// then who sends slowest, then who takes slowest. False where all the requests are with workers.
    pub(super) fn displace(&self, network: Network) -> bool {
        let counts = self.connections.by_network(network);
        loop {
            let first = self.connections.first(|connection| {
                let count = *counts.get(&connection.network)?;
                (count >= counts[&network]).then_some((count, connection.gives_way()?))
            });
            let Some(connection) = first else { return false };
            if connection.cut_short() || Turn::take(&connection).is_some() {
                self.connections.discount(connection.id);
                return true;
            }
        }
    }

    /// From now on the kernel reports what arrives, until the connection's socket is closed.
    pub(super) fn watch(&self, connection: &Connection) -> io::Result<()> {
        let data = epoll::EventData::new_u64(connection.id);
        Ok(epoll::add(&self.epoll, &connection.stream, data, WATCHED)?)
    }

    /// Makes the kernel report again what has arrived, if it is still there.
    pub(super) fn watch_again(&self, connection: &Connection) {
        let data = epoll::EventData::new_u64(connection.id);
        let _ = epoll::modify(&self.epoll, &connection.stream, data, WATCHED);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.get().is_some()
    }
}

/// The connections that exist.
#[derive(Default)]
pub(super) struct Connections {
    listed: Mutex<Listed>,
    next_id: AtomicU64,
    emptied: Condvar,
}

#[derive(Default)]
struct Listed {
    /// Each with whether it is turned away, which is told to go and not counted.
    connections: HashMap<u64, (Arc<Connection>, bool)>,
    turned_away: usize,
}

impl Listed {
    fn admitted(&self) -> usize {
        self.connections.len() - self.turned_away
    }
}

impl Connections {
    pub(super) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, SeqCst)
    }

    pub(super) fn add(&self, connection: Arc<Connection>, turned_away: bool) {
        let mut listed = self.listed.lock();
        listed.turned_away += usize::from(turned_away);
        listed.connections.insert(connection.id, (connection, turned_away));
    }

    pub(super) fn remove(&self, id: u64) {
        let mut listed = self.listed.lock();
        let removed = listed.connections.remove(&id);
        listed.turned_away -= usize::from(matches!(removed, Some((_, true))));
        if listed.admitted() == 0 {
            self.emptied.notify_all();
        }
        drop(listed);
        // Closing a socket is no work to do under the lock.
        drop(removed);
    }

    /// The connection is about to go, and does not count any more.
    fn discount(&self, id: u64) {
        let mut listed = self.listed.lock();
        let counted = listed.connections.get_mut(&id).filter(|(_, turned_away)| !turned_away);
        if let Some((_, turned_away)) = counted {
            *turned_away = true;
            listed.turned_away += 1;
        }
    }

    /// How many there are of each network, with one more of this one.
    fn by_network(&self, newcomer: Network) -> HashMap<Network, usize> {
        let mut counts = HashMap::from([(newcomer, 1)]);
        let listed = self.listed.lock();
        let counted = listed.connections.values().filter(|(_, turned_away)| !turned_away);
        counted.for_each(|(connection, _)| *counts.entry(connection.network).or_default() += 1);
        counts
    }

    /// The one with the highest rank of those that have one.
    fn first<R: Ord>(&self, rank: impl Fn(&Connection) -> Option<R>) -> Option<Arc<Connection>> {
        let listed = self.listed.lock();
        let counted = listed.connections.values().filter(|(_, turned_away)| !turned_away);
        let ranked = counted.filter_map(|(connection, _)| Some((rank(connection)?, connection)));
        ranked.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, connection)| Arc::clone(connection))
    }

    pub(super) fn get(&self, id: u64) -> Option<Arc<Connection>> {
        self.listed.lock().connections.get(&id).map(|(connection, _)| Arc::clone(connection))
    }

    /// Those that count, and those turned away that are not gone yet.
    pub(super) fn count(&self) -> (usize, usize) {
        let listed = self.listed.lock();
        (listed.admitted(), listed.turned_away)
    }

    /// Collected first: a turn that is dropped while the lock is held would wait for that lock.
    pub(super) fn all(&self) -> Vec<Arc<Connection>> {
        self.listed.lock().connections.values().map(|(connection, _)| Arc::clone(connection)).collect()
    }

    /// False if there are still connections that count then.
    pub(super) fn wait_until_empty(&self, timeout: Duration) -> bool {
        let mut listed = self.listed.lock();
        self.emptied.wait_while_for(&mut listed, |listed| listed.admitted() > 0, timeout);
        listed.admitted() == 0
    }
}
