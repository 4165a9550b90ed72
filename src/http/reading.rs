//! Reading requests. Whoever has the turn reads as far as that needs no waiting: the poller, which was told that something
//! arrived, or a worker, whose answer is out and finds that the next request is there. A request that is not whole goes to
//! a thread of the pool, which waits for the rest, with deadlines, so that nobody else waits for the client.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use tiny_http::{HTTPVersion, Method};

use super::connection::{Connection, Responder, Turn};
use super::fair_queue::Taken;
use super::head::{self, Framing, Head, Refusal, Scanner, refusal};
use super::input::Input;
use super::request::Request;
use super::shared::{ENDED, Shared};
use super::{answering, body};

pub(super) const FULL: Refusal = refusal(503, "The server has too many connections; try again in a moment.");
const STOPPING: Refusal = refusal(503, "The server is stopping.");

/// How many connections a worker looks at. It finds most of them with a request, and other workers take those.
const WORKERS_REPORTS: usize = 16;
/// Who has come or was answered so short a time ago is about to send, and a drain does not close their connection yet: a proxy
/// that has just sent a POST on it would not repeat that.
const ABOUT_TO_SEND: Duration = Duration::from_millis(250);
/// How much is read and thrown away at a time, so that one client does not keep the others waiting.
const LINGER_READS: usize = 8;

/// What a read finds.
enum ReadOutcome {
    Nothing,
    /// Nothing but what was thrown away after the last answer; there may be more.
    Discarded,
    /// A part of a request.
    Partial,
    Request(Request),
    /// With the request, as far as its head was read.
    Refused(Refusal, Option<Request>),
    /// The client left.
    Left,
}

/// Why no request was read.
pub(super) enum Stop {
    /// The client left.
    Left,
    Refuse(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refuse(refusal)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        match error.kind() {
            ErrorKind::TimedOut => refusal(408, "The request did not arrive in time.").into(),
            _ => Stop::Left,
        }
    }
}

impl Stop {
    fn outcome(self, connection: &Connection, request: Option<Request>) -> ReadOutcome {
        match self {
            Stop::Refuse(refusal) => ReadOutcome::Refused(refusal, request),
            // A client that has begun a request when the server stops deserves to know that it was not run.
            Stop::Left if connection.shared.is_draining() => ReadOutcome::Refused(STOPPING, request),
            Stop::Left => ReadOutcome::Left,
        }
    }
}

impl Shared {
    /// The next request for a worker. `None` once the queue is closed.
    pub(super) fn next_request(&self) -> Option<Taken<Arc<Request>>> {
        self.queue.pop(|| self.read_arrived(WORKERS_REPORTS) > 0)
    }

    /// Reads what has arrived, of so many connections at most; how many there were. Anybody may do that at any time: the
    /// kernel reports each arrival once.
    pub(super) fn read_arrived(&self, most: usize) -> usize {
        const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut reports = Vec::with_capacity(most);
        if epoll::wait(&self.epoll, spare_capacity(&mut reports), Some(&NO_TIME)).is_err() {
            return 0;
        }
        for report in &reports {
            let (id, flags) = (report.data.u64(), report.flags);
            // One that is gone may still be reported in the same breath.
            if let Some(connection) = self.connections.get(id)
                && let Some(turn) = Turn::report(&connection, flags.intersects(ENDED))
            {
                turn.read_on();
            }
        }
        reports.len()
    }
}

impl Connection {
    /// Reads the next request if all of it is there, with one system call at most.
    fn read_now(&self) -> ReadOutcome {
        let mut inbound = self.inbound.lock();
        if let Some(left) = &mut inbound.lingering {
            return self.discard(left);
        }
        let input = &mut inbound.input;
        if input.data().is_empty() {
            self.clear_news();
            match input.fill_now(&self.stream) {
                Ok((0, _)) => return ReadOutcome::Left,
                Ok((_, true)) => self.note_news(),
                Ok(_) => {}
                Err(Errno::AGAIN | Errno::INTR) => return ReadOutcome::Nothing,
                Err(_) => return ReadOutcome::Left,
            }
        }
        let head = match Scanner::default().scan(input.data(), &self.shared.limits) {
            Ok(Some(length)) => head::parse(&input.data()[..length]).map(|head| (head, length)),
            Ok(None) => return ReadOutcome::Partial,
            Err(refusal) => Err(refusal),
        };
        let (head, length) = match head {
            Ok(whole) => whole,
            Err(refusal) => return ReadOutcome::Refused(refusal, None),
        };
        let is_whole = match head.framing {
            Framing::Empty => true,
            Framing::Length(body) => body <= input.data().len() - length,
            Framing::Chunked => false,
        };
        if !is_whole {
            return ReadOutcome::Partial;
        }
        input.consume(length);
        self.complete(head, input)
    }

    /// Throws away what a client sends after its last answer.
    fn discard(&self, left: &mut usize) -> ReadOutcome {
        let mut scratch = [0_u8; 16 * 1024];
        self.clear_news();
        for _ in 0..LINGER_READS {
            match recv(&self.stream, &mut scratch, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return ReadOutcome::Left,
                Ok((count, _)) if count < *left => *left -= count,
                Err(Errno::AGAIN | Errno::INTR) => return ReadOutcome::Nothing,
                _ => return ReadOutcome::Left,
            }
        }
        ReadOutcome::Discarded
    }

    /// Waits for the rest of a request.
    fn read_waiting(&self) -> ReadOutcome {
        let mut inbound = self.inbound.lock();
        let input = &mut inbound.input;
        self.awaits_head.store(true, SeqCst);
        let head = self.paced(true, None, || self.read_head(input));
        self.awaits_head.store(false, SeqCst);
        match head {
            Ok(head) => self.complete(head, input),
            Err(stop) => stop.outcome(self, None),
        }
    }

    fn read_head(&self, input: &mut Input) -> Result<Head, Stop> {
        let mut scanner = Scanner::default();
        loop {
            if let Some(length) = scanner.scan(input.data(), &self.shared.limits)? {
                let head = head::parse(&input.data()[..length]);
                input.consume(length);
                return Ok(head?);
            }
            if input.is_full() {
                return Err(refusal(431, "The request line and headers are too long.").into());
            }
            input.fill(self)?;
        }
    }

    /// The request of a head, with its body, which is waited for unless all of it is in `input`.
    fn complete(&self, head: Head, input: &mut Input) -> ReadOutcome {
        let mut request = Request::new(head, self.peer);
        match self.read_body(&mut request, input) {
            Ok(()) => ReadOutcome::Request(request),
            Err(stop) => stop.outcome(self, Some(request)),
        }
    }

    fn read_body(&self, request: &mut Request, input: &mut Input) -> Result<(), Stop> {
        let framing = request.head.framing;
        if framing == Framing::Empty {
            return Ok(());
        }
        let limit = self.shared.program.body_limit(request);
        if matches!(framing, Framing::Length(length) if length > limit) {
            return Err(body::TOO_LARGE.into());
        }
        let budget = (&self.shared.bodies, self.shared.program.holder(request));
        request.body = self.paced(true, None, || {
            if request.head.expects_continue && input.data().is_empty() {
                self.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            body::read(self, input, framing, limit, budget)
        })?;
        Ok(())
    }

    /// Ends the connection unless a request is on its way, and sees to it that nobody waits for the rest of a head.
    pub(super) fn wind_up(self: &Arc<Connection>) {
        if let Some(turn) = Turn::take(self) {
            turn.read_on();
        } else if self.awaits_head.load(SeqCst) {
            // What has arrived is still read.
            let _ = self.stream.shutdown(Shutdown::Read);
        }
    }
}

impl Turn {
    /// Reads what has arrived, as far as that needs no waiting, and passes the turn on.
    pub(super) fn read_on(self) {
        // The program's own code may run in there, and may panic, which must end neither the poller nor a worker.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut turn = Some(self);
            while let Some(current) = turn {
                let outcome = current.read_now();
                turn = current.pass_on(outcome);
            }
        }));
    }

    /// Passes the turn on; gives it back when there is something to read.
    fn pass_on(self, outcome: ReadOutcome) -> Option<Turn> {
        match outcome {
            ReadOutcome::Nothing if self.shared.is_draining() && self.inbound.lock().lingering.is_none() => {
                let is_new = self.inbound.lock().since.elapsed() < ABOUT_TO_SEND;
                if is_new { self.release() } else { None }
            }
            ReadOutcome::Nothing => self.rest(),
            ReadOutcome::Discarded => {
                let connection = Arc::clone(&self);
                let turn = self.release();
                if turn.is_none() {
                    // There may be more, which the kernel has reported already.
                    connection.shared.watch_again(&connection);
                }
                turn
            }
            ReadOutcome::Partial => {
                let pool = self.shared.pool.clone();
                pool.spawn(|has_thread| match has_thread {
                    true => self.read_rest(),
                    false => answering::refuse(Responder::last(self), FULL, None),
                });
                None
            }
            ReadOutcome::Request(request) => {
                self.hand_over(request);
                None
            }
            ReadOutcome::Refused(refusal, request) => {
                let mut responder = Responder::last(self);
                responder.head_only = request.as_ref().is_some_and(|r| *r.method() == Method::Head);
                answering::refuse(responder, refusal, request.as_ref());
                None
            }
            ReadOutcome::Left => None,
        }
    }

    /// Waits for the rest of a request and passes the turn on, on a thread that may wait.
    fn read_rest(self) {
        let outcome = self.read_waiting();
        if let Some(turn) = self.pass_on(outcome) {
            turn.read_on();
        }
    }

    /// Puts a request in the queue.
    fn hand_over(self, request: Request) {
        let shared = Arc::clone(&self.shared);
        let responder = Responder {
            turn: self,
            keep_alive: request.head.keep_alive,
            head_only: request.head.method == Method::Head,
            is_1_1: request.head.version == HTTPVersion(1, 1),
        };
        if let Some(refused) = shared.queue.push(Arc::new(request.completed(responder)), &*shared.program) {
            refused.refuse(STOPPING);
        }
    }
}
