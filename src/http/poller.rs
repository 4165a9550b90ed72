//! The server's own thread: it takes connections, watches those that rest, and reads what arrives as long as that
//! needs no waiting.

use std::io;
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::acceptor::Acceptor;
use super::connection::{LINGER, Turn};
use super::shared::Shared;

/// How many connections are looked at before anything else.
const REPORTS: usize = 256;
/// Connections taken in a row; those that have requests come between.
const ACCEPTS: usize = 64;
/// How long what arrives may lie while all workers are busy. Woken for each request instead, this thread would take
/// the place of a worker each time; and a worker that runs out of work looks for it by itself.
const NAP: Duration = Duration::from_millis(1);
/// After an error of the poll itself, which should not happen.
const PAUSE: Duration = Duration::from_millis(50);
/// In a drain connections become idle one by one, as their requests are answered: look again now and then.
const DRAIN_PAUSE: Duration = Duration::from_millis(10);

/// A handle to the thread.
pub(super) struct Poller {
    thread: Mutex<Option<JoinHandle<()>>>,
    waker: UnixStream,
}

impl Poller {
    pub(super) fn start(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Poller> {
        let acceptor = Acceptor::new(listener, Arc::clone(&shared))?;
        let (waker, woken) = UnixStream::pair()?;
        let poll_loop = PollLoop { acceptor: Some(acceptor), sweep_due: Instant::now(), shared, woken };
        let thread = thread::Builder::new().name("http-poll".to_owned()).spawn(move || poll_loop.run())?;
        Ok(Poller { thread: Mutex::new(Some(thread)), waker })
    }

    /// Waits for the thread's end, which comes once the server drains.
    pub(super) fn join(&self) {
        let _ = self.waker.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
    }
}

/// What the thread works with.
struct PollLoop {
    /// `None` once the server drains.
    acceptor: Option<Acceptor>,
    sweep_due: Instant,
    shared: Arc<Shared>,
    /// Readable from when the server drains.
    woken: UnixStream,
}

impl PollLoop {
    fn run(mut self) {
        let mut napped = false;
        loop {
            let timeout = if napped { Some(Duration::ZERO) } else { self.timeout() };
            self.wait(timeout);
            let found = self.shared.read_arrived(REPORTS);
            self.sweep();
            if let Some(deadline) = self.shared.drain.get()
                && self.wind_up(*deadline)
            {
                return;
            }
            napped = found > 0 && self.shared.queue.nap(NAP);
        }
    }

    /// How long the thread may sleep unless something arrives.
    fn timeout(&self) -> Option<Duration> {
        if self.shared.is_draining() {
            return Some(DRAIN_PAUSE);
        }
        let sweep_due = (self.shared.connections.count() != (0, 0)).then_some(self.sweep_due);
        let accept_due = self.acceptor.as_ref().and_then(|acceptor| acceptor.paused_until);
        let due = sweep_due.into_iter().chain(accept_due).min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// Waits for something to arrive, and takes new connections.
    fn wait(&mut self, timeout: Option<Duration>) {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut awaited = vec![PollFd::new(&self.shared.epoll, PollFlags::IN)];
        if let Some(acceptor) = &self.acceptor {
            awaited.push(PollFd::new(&self.woken, PollFlags::IN));
            if acceptor.is_due() {
                awaited.push(PollFd::new(&acceptor.listener, PollFlags::IN));
            }
        }
        match poll(&mut awaited, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                log::error!("waiting for connections failed: {error}");
                thread::sleep(PAUSE);
            }
        }
        if awaited.get(2).is_some_and(|fd| !fd.revents().is_empty())
            && let Some(acceptor) = &mut self.acceptor
        {
            acceptor.accept(ACCEPTS);
        }
    }

    /// Closes what has rested for too long.
    fn sweep(&mut self) {
        let now = Instant::now();
        if now < self.sweep_due {
            return;
        }
        let shortest = self.shared.limits.idle_timeout.min(LINGER);
        self.sweep_due = now + (shortest / 4).max(Duration::from_millis(10));
        for connection in self.shared.connections.all() {
            let Some(turn) = Turn::take(&connection) else {
                continue;
            };
            if connection.is_overdue(now) {
                drop(turn);
            } else if let Some(turn) = turn.release() {
                turn.read_on();
            }
        }
    }

    /// Closes the connections without a request; at the deadline, all. True when it is over.
    fn wind_up(&mut self, deadline: Instant) -> bool {
        if let Some(mut acceptor) = self.acceptor.take() {
            // Everybody who waits, but for somebody who connects in a loop: a drain must end.
            acceptor.accept(self.shared.limits.connections);
        }
        for connection in self.shared.connections.all() {
            connection.wind_up();
        }
        let is_over = self.shared.connections.count().0 == 0 || Instant::now() >= deadline;
        if is_over {
            self.shared.polling_ended.store(true, SeqCst);
            for connection in self.shared.connections.all() {
                connection.cut();
            }
        }
        is_over
    }
}
