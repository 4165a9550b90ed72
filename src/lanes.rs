//! The lanes of workers, and who watches over them.
//!
//! The engine queues whole requests. A reader takes each one, and either handles it or passes it on to another lane: a write
//! waits for the disk, and many can wait at once; hashing burns the processor, and few should; a file takes long. So logins
//! queue up behind each other, and neither they nor imports nor writes ever before a read. Within a lane whoever waits is
//! served in turns, round the networks and then round the users, and beyond its workers each lane has one more for those who
//! hold none. So nobody can keep the others waiting.
//!
//! A worker may wait for Postgres without an end, since nothing bounds a statement that the server does not answer. So one
//! thread watches: a request that has taken too long is answered 503 in the worker's place, a fresh worker takes its place
//! in the lane, and the worker that was left behind finds its request answered whenever it returns, and leaves. When all
//! readers have been busy for a moment, two more come: one for what needs no database, so that `/livez` never stands behind a
//! database that hangs, and the one for those who hold none.

mod metrics;
mod watch;

use std::io;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::api::app::App;
use crate::api::endpoint::Lane;
use crate::api::problem::Error;
use crate::api::router::Lookup;
use crate::http::{FairQueue, Holder, Kind, Limits, Program, Request, Server, Take, Taken};
use crate::store::Wait;

/// How many requests may wait for hashing, and for a file. Beyond it, whoever has most of them waiting gives way.
const MOST_WAITING: usize = 64;

/// Readers that are all busy for so long are blocked.
const BLOCKED: Duration = Duration::from_millis(100);
/// How long a request waits for its turn.
const TURN_LIMIT: Duration = Duration::from_millis(2_700);
/// The same for requests that may take long, as the table of routes says.
const PATIENT_TURN_LIMIT: Duration = Duration::from_secs(60);
/// The threads of each lane; all but the readers exist only while there is work.
#[derive(Debug, Clone, Copy)]
pub struct Workers {
    /// Threads for reads.
    pub read: usize,
    /// Threads for writes.
    pub write: usize,
    /// Threads for hashing, and as many for files.
    pub slow: usize,
    /// The most requests that are answered together.
    pub batch: usize,
}

/// The program at work on a listener.
pub struct Running {
    lanes: Arc<Lanes>,
}

impl Running {
    /// Serves on a bound listener until [`Running::stop`].
    pub fn start(app: Arc<App>, listener: TcpListener, workers: Workers, limits: Limits) -> io::Result<Running> {
        let (connections, batches) = (limits.connections, limits.batches);
        let server = Server::start(listener, limits, Arc::clone(&app) as _)?;
        let lanes = Arc::new(Lanes {
            app,
            server,
            readers: Mutex::new(0),
            workers,
            // A connection has one request at a time, so there are never more writes than connections.
            write: Queue::new(workers.write, connections, TURN_LIMIT, false, batches),
            hash: Queue::new(workers.slow, MOST_WAITING, TURN_LIMIT, false, batches),
            // Files are large, and imports of one user go one after the other.
            file: Queue::new(workers.slow, MOST_WAITING, PATIENT_TURN_LIMIT, true, batches),
            places: Mutex::default(),
            blocked: AtomicBool::new(false),
        });
        lanes.fill_up();
        let watched = Arc::downgrade(&lanes);
        thread::Builder::new().name("watch".to_owned()).spawn(move || watch::run(&watched))?;
        Ok(Running { lanes })
    }

    /// Stops accepting, answers what is in flight, closes the rest. Whether all was answered within the time.
    pub fn stop(self, within: Duration) -> bool {
        self.lanes.server.drain(within)
    }
}

struct Lanes {
    app: Arc<App>,
    server: Server,
    /// How many readers there are, those left behind not counted.
    readers: Mutex<usize>,
    workers: Workers,
    write: Queue,
    hash: Queue,
    file: Queue,
    /// One for each worker, also for those that were left behind.
    places: Mutex<Vec<Arc<Place>>>,
    /// All readers have been busy for a moment.
    blocked: AtomicBool,
}

/// A lane besides that of the readers, whose queue is the engine's.
struct Queue {
    workers: usize,
    most: usize,
    turn_limit: Duration,
    /// A holder has one worker at most.
    one_each: bool,
    state: Mutex<State>,
}

struct State {
    /// Whose requests the workers have, one each.
    running: Vec<Holder>,
    waiting: FairQueue<Arc<Request>>,
}

impl Queue {
    fn new(workers: usize, most: usize, turn_limit: Duration, one_each: bool, batches: usize) -> Queue {
        let state = State { running: Vec::new(), waiting: FairQueue::new(batches) };
        Queue { workers, most, turn_limit, one_each, state: Mutex::new(state) }
    }

    /// The next request whose turn it is, if a worker is free for it; it counts as running. Whoever holds none comes first,
    /// and has one worker more.
    fn start(&self, state: &mut State) -> Option<Taken<Arc<Request>>> {
        let State { running, waiting } = state;
        let busy = running.len();
        let holds_none = |holder: &Holder| busy <= self.workers && !running.contains(holder);
        let next = waiting.pop(holds_none, false);
        let next = next.or_else(|| waiting.pop(|_| busy < self.workers && !self.one_each, false));
        next.inspect(|taken| running.push(taken.holder))
    }
}

/// A worker, and what it does.
struct Place {
    role: Role,
    /// The wait of the worker's thread for the database.
    wait: Arc<Wait>,
    work: Mutex<Work>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Reader,
    /// The extra reader for what needs no database.
    Instant,
    /// The extra reader for those who hold none.
    Reserve,
    Lane(Lane, Holder),
}

impl Role {
    fn is_reader(self) -> bool {
        !matches!(self, Role::Lane(..))
    }
}

#[derive(Default)]
struct Work {
    /// With when the worker took it.
    request: Option<(Arc<Request>, Instant)>,
    /// What is answered together with it.
    others: Vec<Arc<Request>>,
    /// While it counts as a batch under way.
    kind: Kind,
    left_behind: bool,
}

impl Lanes {
    fn queue(&self, lane: Lane) -> &Queue {
        match lane {
            Lane::Hash => &self.hash,
            Lane::File => &self.file,
            // What readers do has the engine's queue, and is not looked for here.
            Lane::Instant | Lane::Read | Lane::Write => &self.write,
        }
    }

    /// Has a thread of the pool do some work in a place of its own; the work is told whether the system gave a thread.
    fn spawn(self: &Arc<Lanes>, role: Role, work: impl FnOnce(&Arc<Lanes>, &Place, bool) + Send + 'static) {
        let lanes = Arc::clone(self);
        self.server.pool().spawn(move |has_thread| {
            let place = Arc::new(Place { role, wait: Wait::of_this_thread(), work: Mutex::default() });
            lanes.places.lock().push(Arc::clone(&place));
            work(&lanes, &place, has_thread);
            lanes.places.lock().retain(|other| !Arc::ptr_eq(other, &place));
        });
    }

    /// Starts the readers that are missing.
    fn fill_up(self: &Arc<Lanes>) {
        let mut readers = self.readers.lock();
        let missing = self.workers.read - std::mem::replace(&mut *readers, self.workers.read);
        drop(readers);
        for _ in 0..missing {
            self.spawn(Role::Reader, |lanes, place, has_thread| {
                if !has_thread {
                    *lanes.readers.lock() -= 1;
                }
                while has_thread
                    && let Ok(taken) = lanes.server.recv()
                    && lanes.dispatch(place, taken)
                {}
            });
        }
    }

    /// The work of an extra reader, who is there while the others are blocked.
    fn relieve(self: &Arc<Lanes>, place: &Place) {
        while self.blocked.load(Relaxed) && !self.server.is_draining() {
            let held = self.held_by_readers();
            let holds_none = |holder: &Holder| !held.contains(holder);
            let take = if place.role == Role::Reserve { Take::Of(&holds_none) } else { Take::Instant };
            if let Some(taken) = self.server.recv_some(&take, BLOCKED)
                && !self.dispatch(place, taken)
            {
                return;
            }
        }
    }

    fn held_by_readers(&self) -> Vec<Holder> {
        let places = self.places.lock();
        let requests = places.iter().filter(|place| place.role.is_reader()).filter_map(|place| {
            let work = place.work.lock();
            work.request.as_ref().map(|(request, _)| Arc::clone(request))
        });
        requests.map(|request| self.app.holder(&request)).collect()
    }

    /// Handles a request, or passes it on to its lane. False if the worker was left behind.
    fn dispatch(self: &Arc<Lanes>, place: &Place, taken: Taken<Arc<Request>>) -> bool {
        let request = &taken.item;
        let lookup = self.app.find(request);
        match lookup.lane() {
            Lane::Instant | Lane::Read => {
                let others = self.server.more(taken.kind, self.workers.batch - 1);
                self.serve(place, request, others, taken.kind, lookup)
            }
            lane => {
                drop(lookup);
                self.submit(lane, taken.item);
                true
            }
        }
    }

    /// Handles requests and sends the responses. A handler that panics costs its clients a 500 and nobody else anything: the
    /// requests are held out here, and the worker lives on. False if the worker was left behind meanwhile.
    fn serve(
        &self,
        place: &Place,
        request: &Arc<Request>,
        others: Vec<Arc<Request>>,
        kind: Kind,
        lookup: Lookup<'_>,
    ) -> bool {
        *place.work.lock() = Work {
            request: Some((Arc::clone(request), Instant::now())),
            others: others.clone(),
            kind,
            left_behind: false,
        };
        let mut respond = |request: &Request, response| {
            request.respond(response);
        };
        let answer = || self.app.answer(request, lookup, &others, &mut respond);
        if catch_unwind(AssertUnwindSafe(answer)).is_err() {
            for request in others.iter().chain([request]).filter(|request| !request.is_answered()) {
                self.turn_away(request, Error::Internal("the handler panicked".to_owned()));
            }
        }
        let mut work = place.work.lock();
        let Work { kind, left_behind, .. } = *work;
        *work = Work { left_behind, ..Work::default() };
        drop(work);
        self.done(place.role, kind);
        !left_behind
    }

    /// A batch of this kind does not count as under way any more.
    fn done(&self, role: Role, kind: Kind) {
        match role {
            Role::Lane(lane, _) => self.queue(lane).state.lock().waiting.done(kind),
            Role::Reader | Role::Instant | Role::Reserve => self.server.done(kind),
        }
    }

    /// Puts a request in the queue of its lane.
    fn submit(self: &Arc<Lanes>, lane: Lane, request: Arc<Request>) {
        let (queue, holder) = (self.queue(lane), self.app.holder(&request));
        let mut state = queue.state.lock();
        if state.running.len() >= queue.workers && !self.app.needs_database(&request) {
            drop(state);
            // A token that is refused, for instance, waits for nobody.
            request.respond(self.app.handle(&request));
            return;
        }
        let is_full = state.waiting.len() >= queue.most;
        let gives_way = if is_full { state.waiting.pop_for(holder) } else { None };
        if is_full && gives_way.is_none() {
            drop(state);
            return self.turn_away(&request, Error::Unavailable("too many wait already".to_owned()));
        }
        let kind = self.app.together(&request, lane);
        state.waiting.push(holder, kind, request);
        drop(state);
        gives_way.iter().for_each(|request| self.turn_away(request, Error::OverShare));
        self.start(lane);
    }

    /// Starts workers for those who wait, as far as the lane may have more.
    fn start(self: &Arc<Lanes>, lane: Lane) {
        let next = || self.queue(lane).start(&mut self.queue(lane).state.lock());
        while let Some(taken) = next() {
            self.spawn(Role::Lane(lane, taken.holder), move |lanes, place, has_thread| {
                if has_thread {
                    lanes.work(lane, place, &taken);
                } else {
                    lanes.done(place.role, taken.kind);
                    lanes.finish(lane, taken.holder);
                    lanes.turn_away(&taken.item, Error::Unavailable("there is no thread".to_owned()));
                }
            });
        }
    }

    /// Handles a request of a lane, and has the next one started.
    fn work(self: &Arc<Lanes>, lane: Lane, place: &Place, taken: &Taken<Arc<Request>>) {
        let request = &taken.item;
        // Nobody needs the result of long work for a client that has left while it waited for its turn. (One that only ended
        // its side, as netcat does, looks the same.)
        let has_waited = request.arrived().elapsed() > BLOCKED;
        let is_in_vain = lane != Lane::Write && has_waited && request.client_left();
        if is_in_vain {
            self.done(place.role, taken.kind);
            self.turn_away(request, Error::Unavailable("the client has left".to_owned()));
        }
        let others = || self.queue(lane).state.lock().waiting.more(taken.kind, self.workers.batch - 1);
        if is_in_vain || self.serve(place, request, others(), taken.kind, self.app.find(request)) {
            self.finish(lane, taken.holder);
            self.start(lane);
        }
    }

    fn finish(&self, lane: Lane, holder: Holder) {
        let running = &mut self.queue(lane).state.lock().running;
        if let Some(at) = running.iter().position(|other| *other == holder) {
            running.swap_remove(at);
        }
    }

    fn turn_away(&self, request: &Request, error: Error) {
        self.app.context.metrics.refused(match &error {
            // Its causes here are sentences of this module.
            Error::Unavailable(cause) => cause,
            Error::OverShare => "others have fewer",
            _ => "the handler panicked",
        });
        request.respond(self.app.fail(request, error));
    }
}
