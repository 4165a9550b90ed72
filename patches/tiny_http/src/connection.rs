//! One connection: the thread that reads its requests, the turn that lets one at a time be answered, its end.
//!
//! The thread reads a whole request, hands it to the workers and is back in `recv` for the next before the
//! answer is written, by the worker itself. A client that pipelines is answered in order: the next request
//! waits for its turn, and what comes after that stays in the kernel.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::body;
use crate::core::Core;
use crate::head::{self, Framing, Head, Refusal, Scanner, refusal};
use crate::input::{Input, Patience};
use crate::{HTTPVersion, Method, Request, outgoing};

/// After a last answer: how long, and how many bytes, a client may go on sending before the socket is closed. Closing
/// with unread input makes the kernel send RST, which can destroy the answer on its way (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 * 1024 * 1024;

const STOPPING: Refusal = refusal(503, "The server is stopping.");

/// Why no request was read.
pub(crate) enum Stop {
    /// There is nobody to answer: the client left, or never began a request.
    Gone,
    Refuse(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refuse(refusal)
    }
}

impl Stop {
    /// The result of a read within a request: its count, which is not 0.
    pub(crate) fn at_eof(read: io::Result<usize>) -> Result<usize, Stop> {
        match read {
            Ok(0) => Err(Stop::Gone),
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                Err(refusal(408, "The request did not arrive in time.").into())
            }
            Err(_) => Err(Stop::Gone),
        }
    }
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) core: Arc<Core>,
    peer: SocketAddr,
    id: usize,
    /// True while no request is half read but for its head: a drain may end the connection.
    awaits_head: AtomicBool,
    /// The last answer has been given, or the connection was cut: nothing more may be written.
    closing: AtomicBool,
    /// Answers given so far: tells whether an idle timeout was really idle.
    answers: AtomicUsize,
    turn: Mutex<Turn>,
    turned: Condvar,
}

#[derive(Default)]
struct Turn {
    /// Somebody is to write to the socket, and nobody else may.
    taken: bool,
    /// A request that arrived meanwhile; whoever ends the turn puts it in the queue. It need not be from a client
    /// that pipelines: a worker is often preempted right after its `send`, by the client that this woke,
    /// and waiting for it here made a quarter of all requests two context switches dearer.
    next: Option<Request>,
    /// The connection's thread waits. Only then is it woken: a notification is a system call.
    awaited: bool,
}

impl Connection {
    /// Enters the connection in the roster, where it stays until the last clone of the result is dropped.
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr, core: &Arc<Core>) -> Arc<Connection> {
        let id = core.roster.new_id();
        let connection = Arc::new(Connection {
            stream,
            core: Arc::clone(core),
            peer,
            id,
            awaits_head: AtomicBool::new(true),
            closing: AtomicBool::new(false),
            answers: AtomicUsize::new(0),
            turn: Mutex::default(),
            turned: Condvar::new(),
        });
        core.roster.enter(id, &connection);
        connection
    }

    /// Reads requests until the connection ends. The body of the connection's thread.
    pub(crate) fn serve(self: &Arc<Connection>) {
        // A response is one write, and must not wait for the client's delayed ACK of the one before.
        if self.stream.set_nodelay(true).is_err() {
            return;
        }
        // Elsewhere a connection inherits the listener's non-blocking mode.
        if !cfg!(target_os = "linux") && self.stream.set_nonblocking(false).is_err() {
            return;
        }
        let limits = &self.core.limits;
        let mut input = Input::new(&self.stream, limits.head_bytes, limits.idle_timeout);
        while self.serve_one(&mut input) {}
    }

    /// Reads a request and hands it on. False at the connection's end.
    fn serve_one(self: &Arc<Connection>, input: &mut Input<'_>) -> bool {
        let head = match self.read_head(input) {
            Ok(head) => head,
            Err(stop) => return self.end(stop, input, false),
        };
        let (keep_alive, head_only) = (head.keep_alive, head.method == Method::Head);
        match self.read_rest(head, input) {
            Ok(request) => self.hand_over(request),
            Err(stop) => return self.end(stop, input, head_only),
        }
        // The program may have closed meanwhile, and a client need not care: what it sends on is not read for ever.
        let goes_on = keep_alive && !self.closing.load(Ordering::SeqCst);
        if !goes_on {
            drop(self.await_turn());
            self.linger();
        }
        goes_on
    }

    /// Ends the connection, with an answer where there is one to give.
    fn end(self: &Arc<Connection>, stop: Stop, input: &Input<'_>, head_only: bool) -> bool {
        let has_begun = !input.data().is_empty() || !self.awaits_head.load(Ordering::SeqCst);
        let refusal = match stop {
            Stop::Refuse(refusal) => refusal,
            // Somebody who has begun a request when the server stops deserves to know that it was not run.
            Stop::Gone if has_begun && self.core.is_draining() => STOPPING,
            // A worker may still be answering: a client may end its own side after its last request.
            Stop::Gone => return false,
        };
        if let Some(mut slot) = self.take_turn() {
            slot.head_only = head_only;
            outgoing::refuse(slot, refusal);
            drop(self.await_turn());
        }
        self.linger();
        false
    }

    fn read_head(&self, input: &mut Input<'_>) -> Result<Head, Stop> {
        let limits = &self.core.limits;
        let mut scanner = Scanner::default();
        let mut patience = Patience::Idle;
        self.awaits_head.store(true, Ordering::SeqCst);
        if self.core.is_draining() {
            // Not a plain return: a request that has arrived already is still read, and answered.
            self.end_if_idle();
        }
        loop {
            if !input.data().is_empty() {
                if let Some(length) = scanner.scan(input.data(), limits)? {
                    self.awaits_head.store(false, Ordering::SeqCst);
                    let head = head::parse(&input.data()[..length]);
                    input.consume(length);
                    return Ok(head?);
                }
                if input.is_full() {
                    return Err(refusal(431, "The request line and headers are too long.").into());
                }
                if let Patience::Idle = patience {
                    patience = Patience::Until(Instant::now() + limits.head_timeout);
                }
            }
            let answers = self.answers.load(Ordering::Relaxed);
            let read = input.fill(patience);
            match (&read, patience) {
                (Err(error), Patience::Idle) if error.kind() == ErrorKind::TimedOut => {
                    if self.was_idle_since(answers) {
                        return Err(Stop::Gone);
                    }
                }
                _ => {
                    Stop::at_eof(read)?;
                }
            }
        }
    }

    /// The body, and the whole request.
    fn read_rest(
        self: &Arc<Connection>,
        head: Head,
        input: &mut Input<'_>,
    ) -> Result<Request, Stop> {
        let (framing, expects_continue) = (head.framing, head.expects_continue);
        let mut request = Request::from_head(head, self.peer);
        if framing == Framing::Empty {
            return Ok(request);
        }
        let limits = &self.core.limits;
        let limit = self
            .core
            .program
            .body_limit(&request)
            .unwrap_or(limits.body_bytes);
        if matches!(framing, Framing::Length(length) if length > limit) {
            return Err(refusal(413, "The body is larger than this address takes.").into());
        }
        if expects_continue && input.data().is_empty() {
            // In its turn, or it could end up within the answer to the request before.
            let slot = self.take_turn().ok_or(Stop::Gone)?;
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
            let sent = outgoing::write_all(&self.stream, interim, limits.write_timeout);
            slot.finish(false);
            sent.map_err(|_| Stop::Gone)?;
        }
        let deadline = Instant::now() + limits.body_timeout;
        let body = body::read(input, framing, limit, &self.core.bodies, deadline)?;
        request.set_body(body);
        Ok(request)
    }

    /// False if a request is in flight, or was answered since there had been `answers`.
    fn was_idle_since(&self, answers: usize) -> bool {
        !self.lock_turn().taken && self.answers.load(Ordering::Relaxed) == answers
    }

    /// Puts a request in the queue, once the one before it is answered.
    fn hand_over(self: &Arc<Connection>, request: Request) {
        let mut turn = self.lock_turn();
        while turn.taken && turn.next.is_some() {
            turn = self.wait(turn);
        }
        if turn.taken {
            turn.next = Some(request);
        } else {
            turn.taken = true;
            drop(turn);
            self.enqueue(request);
        }
    }

    /// The turn must be taken; the request's slot will end it.
    fn enqueue(self: &Arc<Connection>, mut request: Request) {
        let mut slot = Slot::new(Arc::clone(self));
        slot.keep_alive = request.keep_alive;
        slot.head_only = *request.method() == Method::Head;
        slot.chunks = *request.http_version() == HTTPVersion(1, 1);
        if self.closing.load(Ordering::SeqCst) {
            return slot.finish(true);
        }
        request.slot = Some(slot);
        if let Some(mut refused) = self.core.queue.push(request)
            && let Some(slot) = refused.slot.take()
        {
            outgoing::refuse(slot, STOPPING);
        }
    }

    /// Waits until all that was to be written before is written, and takes the right to write. `None` when that
    /// was the connection's last answer.
    fn take_turn(self: &Arc<Connection>) -> Option<Slot> {
        self.await_turn().taken = true;
        // From here on the slot ends the turn.
        let slot = Slot::new(Arc::clone(self));
        if self.closing.load(Ordering::SeqCst) {
            slot.finish(true);
            return None;
        }
        Some(slot)
    }

    /// Waits until nothing is to be written.
    fn await_turn(&self) -> MutexGuard<'_, Turn> {
        let mut turn = self.lock_turn();
        while turn.taken {
            turn = self.wait(turn);
        }
        turn
    }

    fn wait<'a>(&self, mut turn: MutexGuard<'a, Turn>) -> MutexGuard<'a, Turn> {
        turn.awaited = true;
        let mut turn = self
            .turned
            .wait(turn)
            .unwrap_or_else(PoisonError::into_inner);
        turn.awaited = false;
        turn
    }

    fn end_turn(self: &Arc<Connection>) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        let mut turn = self.lock_turn();
        let next = turn.next.take();
        turn.taken = next.is_some();
        let awaited = turn.awaited;
        drop(turn);
        if awaited {
            // Only the connection's own thread ever waits.
            self.turned.notify_one();
        }
        if let Some(request) = next {
            self.enqueue(request);
        }
    }

    fn lock_turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on for a while after the last answer, so that it arrives.
    fn linger(&self) {
        let deadline = Instant::now() + LINGER;
        let mut scratch = [0; 8 * 1024];
        let mut left = LINGER_BYTES;
        while left > 0 {
            let patience = deadline.saturating_duration_since(Instant::now());
            if patience.is_zero() || self.stream.set_read_timeout(Some(patience)).is_err() {
                return;
            }
            match (&self.stream).read(&mut scratch) {
                Ok(0) => return,
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Wakes the connection's thread out of `recv` if it waits for a request's head; what had arrived is still read.
    pub(crate) fn end_if_idle(&self) {
        if self.awaits_head.load(Ordering::SeqCst) {
            let _ = self.stream.shutdown(Shutdown::Read);
        }
    }

    /// Ends the connection whatever it is doing.
    pub(crate) fn cut(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.core.roster.leave(self.id);
    }
}

/// The right and the duty to write one answer. Dropped unfinished, it cuts the connection, for nobody could
/// tell where the next answer starts.
pub(crate) struct Slot {
    pub(crate) connection: Arc<Connection>,
    /// The client may send another request.
    pub(crate) keep_alive: bool,
    /// The request was HEAD.
    pub(crate) head_only: bool,
    /// The client knows `Transfer-Encoding: chunked`.
    pub(crate) chunks: bool,
    finished: bool,
}

impl Slot {
    fn new(connection: Arc<Connection>) -> Slot {
        Slot {
            connection,
            keep_alive: false,
            head_only: false,
            chunks: false,
            finished: false,
        }
    }

    /// The whole answer is with the kernel. With `close` it was the last.
    pub(crate) fn finish(mut self, close: bool) {
        self.finished = true;
        if close {
            self.connection.closing.store(true, Ordering::SeqCst);
            let _ = self.connection.stream.shutdown(Shutdown::Write);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.finished {
            self.connection.cut();
        }
        self.connection.end_turn();
    }
}
