//! The thread that takes connections. Nothing that a client or the system does ends it, but for a drain.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::connection::Connection;
use crate::core::Core;
use crate::head::{Refusal, refusal};
use crate::outgoing;

/// A pause after an accept error: without file descriptors left, accept fails at once and for as long.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client that was turned away has for reading why.
const FAREWELL: Duration = Duration::from_secs(1);
/// How much such a client may go on sending meanwhile.
const FAREWELL_BYTES: usize = 16 * 1024 * 1024;
/// Clients turned away and not gone yet. Those beyond are closed at once, and may miss why.
const FAREWELLS: usize = 128;

pub(crate) struct Acceptor {
    thread: Mutex<Option<JoinHandle<()>>>,
    waker: UnixStream,
}

impl Acceptor {
    pub(crate) fn start(listener: TcpListener, core: Arc<Core>) -> io::Result<Acceptor> {
        // A connection that is gone between poll and accept must not make accept wait for the next.
        listener.set_nonblocking(true)?;
        let (waker, woken) = UnixStream::pair()?;
        let door = Door {
            listener,
            woken,
            core,
            leaving: Arc::default(),
        };
        let thread = thread::Builder::new()
            .name("http-accept".to_owned())
            .spawn(move || door.run())?;
        Ok(Acceptor {
            thread: Mutex::new(Some(thread)),
            waker,
        })
    }

    /// Ends the thread, and with it the listener, after it has taken what already waits in the backlog. The core must
    /// be draining.
    pub(crate) fn stop(&self) {
        let _ = self.waker.shutdown(Shutdown::Both);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

struct Door {
    listener: TcpListener,
    /// Readable once the server drains.
    woken: UnixStream,
    core: Arc<Core>,
    leaving: Arc<Leaving>,
}

impl Door {
    fn run(&self) {
        let mut failures = 0_u32;
        // Somebody who connects in a loop must not keep a drain from ending.
        let mut last_calls = self.core.limits.connections;
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    failures = 0;
                    // The program's own code may run in there, and may panic.
                    let _ = catch_unwind(AssertUnwindSafe(|| self.admit(stream, peer)));
                    if self.core.is_draining() {
                        last_calls = last_calls.saturating_sub(1);
                        if last_calls == 0 {
                            return;
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.core.is_draining() {
                        return;
                    }
                    self.wait(None);
                }
                Err(error) => {
                    if self.core.is_draining() {
                        return;
                    }
                    // Twenty times a second is too often to say the same.
                    if failures.is_multiple_of(200) {
                        log::error!("accepting a connection failed, will go on trying: {error}");
                    }
                    failures = failures.wrapping_add(1);
                    self.wait(Some(PAUSE));
                }
            }
        }
    }

    /// Waits for a connection, or only for the pause to be over; in either case not longer than until the drain.
    fn wait(&self, pause: Option<Duration>) {
        let timeout = pause.and_then(|pause| Timespec::try_from(pause).ok());
        let mut both = [
            PollFd::new(&self.woken, PollFlags::IN),
            PollFd::new(&self.listener, PollFlags::IN),
        ];
        let awaited = if pause.is_some() {
            &mut both[..1]
        } else {
            &mut both[..]
        };
        if let Err(error) = poll(awaited, timeout.as_ref())
            && error != rustix::io::Errno::INTR
        {
            log::error!("waiting for connections failed: {error}");
            thread::sleep(PAUSE);
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        const FULL: Refusal = refusal(
            503,
            "The server has too many connections; try again in a moment.",
        );
        if self.core.roster.len() >= self.core.limits.connections {
            return self.turn_away(stream, FULL);
        }
        let connection = Connection::new(stream, peer, &self.core);
        let served = Arc::clone(&connection);
        if !self.core.pool.spawn(Box::new(move || served.serve()))
            && let Ok(stream) = connection.stream.try_clone()
        {
            self.turn_away(stream, FULL);
        }
    }

    /// Answers without a thread for it: a flood of connections must not become a flood of threads.
    fn turn_away(&self, stream: TcpStream, why: Refusal) {
        if let Ok(bytes) = outgoing::render_refusal(&self.core, &why, false) {
            let _ = send(&stream, &bytes, SendFlags::DONTWAIT);
            let _ = stream.shutdown(Shutdown::Write);
            Leaving::add(&self.leaving, stream, &self.core);
        }
    }
}

/// Clients turned away, all seen off by one thread, which is there only while there are any. Closed right after the
/// answer, with their request unread, they would get RST in its place.
#[derive(Default)]
struct Leaving {
    /// `None` while there is no thread.
    clients: Mutex<Option<Vec<Client>>>,
}

struct Client {
    stream: TcpStream,
    deadline: Instant,
    /// Bytes that are still read past.
    patience: usize,
}

impl Leaving {
    fn add(leaving: &Arc<Leaving>, stream: TcpStream, core: &Core) {
        let client = Client {
            stream,
            deadline: Instant::now() + FAREWELL,
            patience: FAREWELL_BYTES,
        };
        let mut clients = leaving.lock();
        match &mut *clients {
            Some(clients) if clients.len() >= FAREWELLS => {}
            Some(clients) => clients.push(client),
            none => {
                *none = Some(vec![client]);
                let leaving = Arc::clone(leaving);
                if !core.pool.spawn(Box::new(move || leaving.see_off())) {
                    *none = None;
                }
            }
        }
    }

    fn see_off(&self) {
        loop {
            let Some(mut clients) = self.take() else {
                return;
            };
            let mut awaited: Vec<PollFd> = clients
                .iter()
                .map(|client| PollFd::new(&client.stream, PollFlags::IN))
                .collect();
            // Not longer, for more may have come meanwhile.
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: 50_000_000,
            };
            let _ = poll(&mut awaited, Some(&timeout));
            clients.retain_mut(Client::is_there);
            let mut shared = self.lock();
            shared.get_or_insert_default().append(&mut clients);
        }
    }

    /// All clients; `None`, and no thread any more, when there are none.
    fn take(&self) -> Option<Vec<Client>> {
        let mut clients = self.lock();
        match clients.as_mut() {
            Some(list) if !list.is_empty() => Some(std::mem::take(list)),
            _ => {
                *clients = None;
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Reads past what the client sends; false once it has left or its time is over.
    fn is_there(&mut self) -> bool {
        let mut scratch = [0_u8; 16 * 1024];
        // A few reads each, so that one client does not keep the others waiting.
        for _ in 0..8 {
            match recv(&self.stream, &mut scratch, RecvFlags::DONTWAIT) {
                Ok((0, _)) => return false,
                Ok((count, _)) => self.patience = self.patience.saturating_sub(count),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(_) => return false,
            }
        }
        self.patience > 0 && Instant::now() < self.deadline
    }
}
