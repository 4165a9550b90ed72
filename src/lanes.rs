//! The lanes of workers, and who watches over them.
//!
//! The engine queues whole requests. A worker of the read lane takes each one, and either handles it or passes it on to
//! another lane: a write waits for the disk, and many can wait at once; hashing, imports and exports burn the processor, and
//! few should. So logins queue up behind each other, and neither they nor writes ever before a read.
//!
//! A worker may wait for Postgres without an end, since nothing bounds a statement that the server does not answer. So one
//! thread watches: a request that has taken too long is answered 503 in the worker's place, a fresh worker takes its place
//! in the lane, and the worker that was left behind finds its request answered whenever it returns, and leaves. And when all
//! readers have been busy for a moment, an extra one takes what arrives: it answers what needs no database, and parks the
//! rest, so that `/livez` never stands behind a database that hangs.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::api::app::App;
use crate::api::endpoint::Lane;
use crate::api::problem::Error;
use crate::api::router::Lookup;
use crate::http::{Limits, Pool, Request, Server};

/// How many requests may wait for the slow lane: about two seconds of hashing on two cores. Beyond it, 503 at once.
const SLOW_QUEUE: usize = 64;

/// How often the lanes are looked at while somebody works.
const TICK: Duration = Duration::from_millis(50);
/// The same while nobody does.
const IDLE_TICK: Duration = Duration::from_millis(200);
/// Readers that are all busy for so long are blocked.
const BLOCKED: Duration = Duration::from_millis(100);
/// A request is answered 503 so long after it arrived. The contract says 3 s; finding out whether the database is away takes
/// half a second more for whoever comes next, and a tick.
const TIME_LIMIT: Duration = Duration::from_millis(2_100);
/// But each has so much time with its worker, for it may have waited long for its turn.
const AT_LEAST: Duration = Duration::from_millis(400);
/// The same for those that may take longer, as the table of routes says.
const PATIENT_LIMIT: Duration = Duration::from_secs(120);
/// Workers that were left behind, for each worker of all lanes. Beyond that the lanes shrink.
const LEFT_BEHIND: usize = 3;

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
    lanes: Arc<Lanes>,
    address: SocketAddr,
}

impl Running {
    /// Serves on a bound listener until [`Running::stop`].
    pub fn start(app: Arc<App>, listener: TcpListener, workers: Workers, limits: Limits) -> io::Result<Running> {
        let address = listener.local_addr()?;
        let connections = limits.connections;
        let server = Server::start(listener, limits, Arc::clone(&app) as _)?;
        let lanes = Arc::new(Lanes {
            app,
            server,
            read: Queue::new("read", workers.read, 0),
            // A connection has one request at a time, so there are never more writes than connections.
            write: Queue::new("write", workers.write, connections),
            slow: Queue::new("slow", workers.slow, SLOW_QUEUE),
            at_work: Mutex::default(),
            blocked: AtomicBool::new(false),
            parked: Mutex::default(),
        });
        lanes.fill_up();
        let watched = Arc::downgrade(&lanes);
        thread::Builder::new().name("watch".to_owned()).spawn(move || watch(&watched))?;
        Ok(Running { lanes, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The threads on demand.
    pub fn pool(&self) -> &Pool {
        self.lanes.server.pool()
    }

    /// Stops accepting, answers what is in flight, closes the rest. Whether all was answered within the time.
    pub fn stop(self, within: Duration) -> bool {
        self.lanes.app.context.draining.store(true, Relaxed);
        self.lanes.server.drain(within)
    }
}

struct Lanes {
    app: Arc<App>,
    server: Server,
    read: Queue,
    write: Queue,
    slow: Queue,
    /// A place for each worker, also for those that were left behind.
    at_work: Mutex<Vec<Arc<Place>>>,
    /// All readers have been busy for a moment.
    blocked: AtomicBool,
    /// What needs the database and arrived meanwhile.
    parked: Mutex<VecDeque<Arc<Request>>>,
}

/// A lane of at most so many workers, and a bounded queue before them (the read lane's is the engine's).
struct Queue {
    name: &'static str,
    workers: usize,
    most: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    running: usize,
    requests: VecDeque<Arc<Request>>,
}

impl Queue {
    fn new(name: &'static str, workers: usize, most: usize) -> Queue {
        Queue { name, workers, most, waiting: Mutex::default() }
    }
}

/// What a worker does.
struct Place {
    lane: Lane,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    /// With when the worker took it.
    request: Option<(Arc<Request>, Instant)>,
    left_behind: bool,
}

impl Lanes {
    fn queue(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Free | Lane::Read => &self.read,
            Lane::Write => &self.write,
            Lane::Slow => &self.slow,
        }
    }

    /// Has a thread of the pool do the work of a lane until there is none, with a place of its own.
    fn spawn(self: &Arc<Lanes>, lane: Lane, work: impl FnOnce(&Arc<Lanes>, &Place) + Send + 'static) {
        let (lanes, place) = (Arc::clone(self), Arc::new(Place { lane, work: Mutex::default() }));
        self.server.pool().spawn(move |has_thread| {
            if !has_thread {
                return lanes.without_thread(lane);
            }
            lanes.at_work.lock().push(Arc::clone(&place));
            work(&lanes, &place);
            lanes.at_work.lock().retain(|other| !Arc::ptr_eq(other, &place));
        });
    }

    /// With nobody running in a lane, nobody would take what waits.
    fn without_thread(&self, lane: Lane) {
        if lane == Lane::Free {
            return;
        }
        let mut waiting = self.queue(lane).waiting.lock();
        waiting.running -= 1;
        let stranded = if waiting.running == 0 { std::mem::take(&mut waiting.requests) } else { VecDeque::new() };
        drop(waiting);
        stranded.iter().for_each(|request| self.turn_away(request, "there is no thread"));
    }

    /// Starts the readers that the lane lacks.
    fn fill_up(self: &Arc<Lanes>) {
        let mut waiting = self.read.waiting.lock();
        let lacking = self.read.workers - waiting.running;
        waiting.running += lacking;
        drop(waiting);
        (0..lacking).for_each(|_| self.spawn(Lane::Read, |lanes, place| lanes.read(place)));
    }

    /// The body of a reader.
    fn read(self: &Arc<Lanes>, place: &Place) {
        loop {
            let parked = if self.blocked.load(Relaxed) { self.parked.lock().pop_front() } else { None };
            let Some(request) = parked.or_else(|| self.server.recv().ok()) else {
                return;
            };
            if !self.dispatch(place, request) {
                return;
            }
        }
    }

    /// The body of the extra reader, who is there while the others are blocked.
    fn relieve(self: &Arc<Lanes>, place: &Place) {
        while self.blocked.load(Relaxed)
            && let Ok(request) = self.server.recv()
        {
            if self.app.needs_database(&request) && self.app.find(&request).lane() == Lane::Read {
                // Under the lock: once the readers are no longer blocked, nobody looks at what is parked.
                let mut parked = self.parked.lock();
                if self.blocked.load(Relaxed) {
                    parked.push_back(request);
                } else {
                    drop(parked);
                    self.server.give_back(request);
                }
            } else if !self.dispatch(place, request) {
                return;
            }
        }
    }

    /// Handles a request, or passes it on to its lane. False if the worker was left behind.
    fn dispatch(self: &Arc<Lanes>, place: &Place, request: Arc<Request>) -> bool {
        let lookup = self.app.find(&request);
        match lookup.lane() {
            Lane::Free | Lane::Read => self.serve(place, &request, lookup),
            lane => {
                drop(lookup);
                self.submit(lane, request);
                true
            }
        }
    }

    /// Handles a request and sends the response. A handler that panics costs its client a 500 and nobody else anything: the
    /// request is held out here, and the worker lives on. False if the worker was left behind meanwhile.
    fn serve(&self, place: &Place, request: &Arc<Request>, lookup: Lookup<'_>) -> bool {
        place.work.lock().request = Some((Arc::clone(request), Instant::now()));
        let outcome = catch_unwind(AssertUnwindSafe(|| self.app.answer(request, lookup)));
        let panicked = |_| self.app.fail(request, Error::Internal("the handler panicked".to_owned()));
        request.respond(outcome.unwrap_or_else(panicked));
        let mut work = place.work.lock();
        work.request = None;
        !work.left_behind
    }

    /// Queues a request, and takes a thread for it where the lane may have one more. 503 where the queue is full.
    fn submit(self: &Arc<Lanes>, lane: Lane, request: Arc<Request>) {
        let queue = self.queue(lane);
        let mut waiting = queue.waiting.lock();
        let is_busy = waiting.running >= queue.workers;
        if is_busy && (waiting.requests.len() >= queue.most || !self.app.needs_database(&request)) {
            drop(waiting);
            return match self.app.needs_database(&request) {
                true => self.turn_away(&request, &format!("the {} lane is full", queue.name)),
                // A token that is refused, for instance, waits for nobody.
                false => drop(request.respond(self.app.handle(&request))),
            };
        }
        waiting.requests.push_back(request);
        if !is_busy {
            waiting.running += 1;
            drop(waiting);
            self.spawn(lane, |lanes, place| lanes.empty(place));
        }
    }

    /// The body of a worker of the other lanes.
    fn empty(self: &Arc<Lanes>, place: &Place) {
        let queue = self.queue(place.lane);
        loop {
            let mut waiting = queue.waiting.lock();
            let Some(request) = waiting.requests.pop_front() else {
                waiting.running -= 1;
                return;
            };
            drop(waiting);
            if !self.serve(place, &request, self.app.find(&request)) {
                return;
            }
        }
    }

    fn turn_away(&self, request: &Request, why: &str) {
        request.respond(self.app.fail(request, Error::Unavailable(why.to_owned())));
    }

    /// Answers in the place of workers that have taken too long, and answers those who wait for them. Whether anybody works.
    fn look(self: &Arc<Lanes>) -> bool {
        let (now, is_away) = (Instant::now(), self.app.context.store.is_away());
        let places = self.at_work.lock().clone();
        let left_behind = places.iter().filter(|place| place.work.lock().left_behind).count();
        let most = LEFT_BEHIND * (self.read.workers + self.write.workers + self.slow.workers);
        let mut overdue = 0;
        for place in &places {
            let mut work = place.work.lock();
            let Some((request, since)) = work.request.clone().filter(|_| !work.left_behind) else {
                continue;
            };
            let limit = if self.app.find(&request).is_patient() { PATIENT_LIMIT } else { TIME_LIMIT };
            let is_overdue = is_away || now > request.arrived() + limit;
            if is_overdue && now > since + AT_LEAST && left_behind + overdue < most {
                work.left_behind = true;
                overdue += 1;
                drop(work);
                self.turn_away(&request, "the database did not answer in time");
                self.replace(place.lane);
            }
        }
        if overdue > 0 {
            self.app.context.store.doubt();
        }
        self.parked.lock().retain(|request| {
            let waits = !is_away && now <= request.arrived() + TIME_LIMIT;
            if !waits {
                self.turn_away(request, "no worker was free in time");
            }
            waits
        });
        if is_away {
            for queue in [&self.write, &self.slow] {
                queue.waiting.lock().requests.retain(|request| {
                    let waits = !self.app.needs_database(request);
                    if !waits {
                        self.turn_away(request, "the database is away");
                    }
                    waits
                });
            }
        }
        self.relieve_readers(now);
        places.iter().any(|place| place.work.lock().request.is_some())
    }

    /// A fresh worker for one that is left behind.
    fn replace(self: &Arc<Lanes>, lane: Lane) {
        if lane == Lane::Free {
            return;
        }
        let mut waiting = self.queue(lane).waiting.lock();
        waiting.running -= 1;
        let is_needed = !waiting.requests.is_empty();
        if is_needed {
            waiting.running += 1;
        }
        drop(waiting);
        match lane {
            Lane::Read => self.fill_up(),
            lane if is_needed => self.spawn(lane, |lanes, place| lanes.empty(place)),
            _ => {}
        }
    }

    /// Starts an extra reader when all have been busy for a moment, and lets it go when one is free.
    fn relieve_readers(self: &Arc<Lanes>, now: Instant) {
        let is_busy = |place: &Place| {
            let work = place.work.lock();
            work.left_behind || work.request.as_ref().is_some_and(|(_, since)| now > *since + BLOCKED)
        };
        let places = self.at_work.lock().clone();
        let blocked = places.iter().filter(|place| place.lane == Lane::Read).all(|place| is_busy(place));
        let was_blocked = self.blocked.swap(blocked, Relaxed);
        let is_relieved = places.iter().any(|place| place.lane == Lane::Free && !place.work.lock().left_behind);
        if blocked && !is_relieved {
            self.spawn(Lane::Free, |lanes, place| lanes.relieve(place));
        }
        if was_blocked && !blocked {
            let parked = std::mem::take(&mut *self.parked.lock());
            parked.into_iter().for_each(|request| self.server.give_back(request));
        }
    }
}

fn watch(lanes: &Weak<Lanes>) {
    while let Some(lanes) = lanes.upgrade() {
        let tick = if lanes.look() { TICK } else { IDLE_TICK };
        drop(lanes);
        thread::sleep(tick);
    }
}
