//! One connection: what it needs to be read from without waiting, and its end.
//!
//! Whoever has the turn (see `turn`) reads a request as far as that needs no waiting, whether it is the poller, which
//! was told that something arrived, or a worker, whose answer is out and finds that the next request is there. A
//! request that is not whole goes to a thread that may wait for the rest (see `waiting`).

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};

use crate::core::{Core, Job};
use crate::head::{self, Framing, Refusal, Scanner, refusal};
use crate::input::Input;
use crate::turn::{Signs, Turn};
use crate::waiting;
use crate::{HTTPVersion, Method, Request, outgoing};

/// After a last answer: how long, and how many bytes, a client may go on sending before the socket is closed. Closing
/// with unread input makes the kernel send RST, which can destroy the answer on its way (RFC 9112 section 9.6).
pub(crate) const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 * 1024 * 1024;
/// How much of that is read at a time, so that one client does not keep the others waiting.
const LINGER_READS: usize = 8;

pub(crate) const FULL: Refusal = refusal(503, "The server has too many connections; try again in a moment.");
pub(crate) const STOPPING: Refusal = refusal(503, "The server is stopping.");

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) core: Arc<Core>,
    pub(crate) peer: SocketAddr,
    pub(crate) id: u64,
    pub(crate) signs: Signs,
    /// A thread waits for the rest of a head: a drain may end the wait.
    pub(crate) awaits_head: AtomicBool,
    state: Mutex<State>,
}

/// What is only touched by whoever has the turn, so that the lock is always free.
pub(crate) struct State {
    pub(crate) input: Input,
    /// When the connection is closed unless somebody takes the turn before.
    deadline: Instant,
    /// The last answer has been given; so many bytes more are read past.
    lingering: Option<usize>,
}

/// What a read without waiting finds.
pub(crate) enum Found {
    Nothing,
    /// Nothing, or only what was read past; with more to come.
    Noise,
    /// A part of a request.
    Part,
    Request(Request),
    /// With the request, as far as its head was read.
    Refused(Refusal, Option<Box<Request>>),
    /// The client left.
    End,
}

impl Connection {
    /// Enters a connection in the roster, where it stays until a turn at it is dropped, as is the one returned here.
    /// A guest is not counted: it is only told to go.
    pub(crate) fn open(stream: TcpStream, peer: SocketAddr, core: &Arc<Core>, guest: bool) -> Turn {
        let connection = Arc::new(Connection {
            stream,
            peer,
            id: core.roster.new_id(),
            signs: Signs::default(),
            awaits_head: AtomicBool::new(false),
            state: Mutex::new(State {
                input: Input::new(core.limits.head_bytes),
                deadline: Instant::now() + core.limits.idle_timeout,
                lingering: None,
            }),
            core: Arc::clone(core),
        });
        let turn = Turn::take(&connection).expect("nobody else knows the connection");
        core.roster.enter(connection, guest);
        turn
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the next request if all of it is there, with one system call at most.
    fn read_now(self: &Arc<Connection>) -> Found {
        let mut state = self.lock();
        if let Some(left) = &mut state.lingering {
            return self.read_past(left);
        }
        let input = &mut state.input;
        if input.data().is_empty() {
            self.signs.look();
            match input.fill_now(&self.stream) {
                Ok((0, _)) => return Found::End,
                Ok((_, true)) => self.signs.look_again(),
                Ok(_) => {}
                Err(error) if is_nothing(&error) => return Found::Nothing,
                Err(_) => return Found::End,
            }
        }
        let head = match Scanner::default().scan(input.data(), &self.core.limits) {
            Ok(Some(length)) => head::parse(&input.data()[..length]).map(|head| (head, length)),
            Ok(None) => return Found::Part,
            Err(refusal) => Err(refusal),
        };
        let (head, length) = match head {
            Ok(whole) => whole,
            Err(refusal) => return Found::Refused(refusal, None),
        };
        let is_whole = match head.framing {
            Framing::Empty => true,
            Framing::Length(body) => body <= input.data().len() - length,
            Framing::Chunked => false,
        };
        if !is_whole {
            return Found::Part;
        }
        input.consume(length);
        waiting::complete(self, head, input)
    }

    /// Reads past what a client sends after its last answer.
    fn read_past(self: &Arc<Connection>, left: &mut usize) -> Found {
        let mut scratch = [0_u8; 16 * 1024];
        self.signs.look();
        for _ in 0..LINGER_READS {
            match recv(&self.stream, &mut scratch, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return Found::End,
                Ok((count, _)) if count < *left => *left -= count,
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Found::Nothing,
                _ => return Found::End,
            }
        }
        Found::Noise
    }

    /// For a connection whose turn nobody has: true when its time is over.
    pub(crate) fn is_overdue(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.input.shrink();
        now >= state.deadline
    }

    /// Ends the connection unless a request is on its way, and sees to it that a half-sent head is no longer waited
    /// for.
    pub(crate) fn wind_up(self: &Arc<Connection>) {
        if let Some(turn) = Turn::take(self) {
            turn.read_on();
        } else if self.awaits_head.load(Ordering::SeqCst) {
            // What has arrived is still read.
            let _ = self.stream.shutdown(Shutdown::Read);
        }
    }

    /// Ends the connection whatever it is doing.
    pub(crate) fn cut(self: &Arc<Connection>) {
        // With the turn dropped it is gone; without, its holder is to notice.
        if Turn::take(self).is_none() {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl Turn {
    /// Reads what has arrived, as far as that needs no waiting, and passes the turn on.
    pub(crate) fn read_on(self) {
        // The program's own code may run in there, and may panic, which must end neither the poller nor a worker.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let mut turn = Some(self);
            while let Some(holder) = turn {
                let found = holder.read_now();
                turn = holder.act(found);
            }
        }));
    }

    /// Passes the turn on; gives it back when there is something to read.
    pub(crate) fn act(self, found: Found) -> Option<Turn> {
        match found {
            Found::Nothing if self.core.is_draining() && !self.is_lingering() => None,
            Found::Nothing => self.rest(),
            Found::Noise => {
                let connection = Arc::clone(&self);
                let turn = self.release();
                if turn.is_none() {
                    // There may be more, which the kernel has reported already.
                    connection.core.watch_again(&connection);
                }
                turn
            }
            Found::Part => {
                let core = Arc::clone(&self.core);
                if let Err(Job::Read(turn)) = core.pool.spawn(Job::Read(self)) {
                    turn.refuse(FULL);
                }
                None
            }
            Found::Request(request) => {
                self.hand_over(request);
                None
            }
            Found::Refused(refusal, request) => {
                let mut slot = Slot::new(self);
                slot.head_only = request.as_ref().is_some_and(|r| *r.method() == Method::Head);
                outgoing::refuse(slot, refusal, request.as_deref());
                None
            }
            Found::End => None,
        }
    }

    /// Answers what is no request, as the connection's last.
    pub(crate) fn refuse(self, refusal: Refusal) {
        outgoing::refuse(Slot::new(self), refusal, None);
    }

    /// Gives the turn back to the poll, until the idle timeout.
    pub(crate) fn rest(self) -> Option<Turn> {
        let mut state = self.lock();
        if state.lingering.is_none() {
            state.deadline = Instant::now() + self.core.limits.idle_timeout;
        }
        drop(state);
        self.release()
    }

    fn is_lingering(&self) -> bool {
        self.lock().lingering.is_some()
    }

    /// Puts a request in the queue.
    fn hand_over(self, mut request: Request) {
        let core = Arc::clone(&self.core);
        let mut slot = Slot::new(self);
        slot.keep_alive = request.keep_alive;
        slot.head_only = *request.method() == Method::Head;
        slot.chunks = *request.http_version() == HTTPVersion(1, 1);
        request.slot = Some(slot);
        if let Some(mut refused) = core.queue.push(request)
            && let Some(slot) = refused.slot.take()
        {
            outgoing::refuse(slot, STOPPING, None);
        }
    }
}

/// The duty to write one answer, and what matters for it of the request.
pub(crate) struct Slot {
    turn: Turn,
    /// The client may send another request.
    pub(crate) keep_alive: bool,
    /// The request was HEAD.
    pub(crate) head_only: bool,
    /// The client knows `Transfer-Encoding: chunked`.
    pub(crate) chunks: bool,
}

impl Slot {
    pub(crate) fn new(turn: Turn) -> Slot {
        Slot { turn, keep_alive: false, head_only: false, chunks: false }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.turn
    }

    /// The whole answer is with the kernel. With `close` it was the last.
    pub(crate) fn finish(self, close: bool) {
        let mut state = self.turn.lock();
        if close {
            let _ = self.turn.stream.shutdown(Shutdown::Write);
            state.input.clear();
            state.lingering = Some(LINGER_BYTES);
            state.deadline = Instant::now() + LINGER;
        }
        // In the ordinary case there is neither: the client has yet to read the answer.
        let is_begun = !state.input.data().is_empty();
        drop(state);
        let turn = if is_begun { Some(self.turn) } else { self.turn.rest() };
        if let Some(turn) = turn {
            turn.read_on();
        }
    }
}
