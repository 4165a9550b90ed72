//! How fast a client sends or takes what a thread waits for: at least 16 KiB a second, once it has used up its grace. An
//! upload of any size goes through at that pace, and one that stalls does not; a clock for the whole would do neither.

use std::cmp::Reverse;
use std::io::{self, ErrorKind, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send};

use super::budget::Permit;
use super::connection::Connection;

/// What a client must send or take on average, in bytes a second.
const SLOWEST: u64 = 16 * 1024;
/// Where not everybody can stay, those count as slow who fall behind this pace. An honest client of the slower sort does, too,
/// but not as far as one that keeps its room for as long as it may.
const BRISK: u64 = 4 * 1024 * 1024;

/// Who is so far behind is slow, and gives way first. Nobody is, right after the start.
pub(super) const SLOW: Duration = Duration::from_secs(1);

/// How fast a client is, while a thread waits for it.
pub(super) struct Pace {
    /// It sends a request; otherwise it takes an answer.
    pub(super) sends: bool,
    /// The room that its answer takes.
    pub(super) permit: Option<Permit>,
    /// When the wait began, moved on by the time that the program took to make the answer.
    since: Instant,
    /// When the client sent or took something.
    last: Instant,
    moved: u64,
}

impl Pace {
    /// When a client of so many bytes a second would have begun, to be where this one is now.
    fn since_at(&self, pace: u64) -> Instant {
        self.since + Duration::from_millis(self.moved * 1000 / pace)
    }

    /// When somebody brisk would have begun, to be where this client is now: the earlier, the slower it is.
    pub(super) fn slowness(&self) -> Reverse<Instant> {
        Reverse(self.since_at(BRISK))
    }
}

impl Connection {
    /// Does what waits for the client, within the pace. Fails when the client was cut off to make room for another, even
    /// if the work was done.
    pub(super) fn paced<T, E: From<io::Error>>(
        &self,
        sends: bool,
        permit: Option<Permit>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let now = Instant::now();
        *self.pace.lock() = Some(Pace { sends, permit, since: now, last: now, moved: 0 });
        let result = work();
        let ended = self.pace.lock().take();
        ended.map_or_else(|| Err(cut_off().into()), |_| result)
    }

    /// Cuts off a client that a thread waits for; false if none does any more.
    pub(super) fn cut_short(&self) -> bool {
        let is_waited_for = self.pace.lock().take().is_some();
        if is_waited_for {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        is_waited_for
    }

    /// Waits for bytes of the client, and puts them into `into`, which must not be empty. Only within [`Connection::paced`].
    pub(super) fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            self.stream.set_read_timeout(Some(self.time_left()?))?;
            match (&self.stream).read(into) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.progress(count)?;
                    return Ok(count);
                }
                // WouldBlock is what SO_RCVTIMEO says at its end.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes all of `bytes`, and waits for the client where it takes them slowly. Only within [`Connection::paced`].
    pub(super) fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        // poll reports a socket as writable only once a third of its buffer is free, while send takes what fits:
        // trying at least once a second is what sees the progress of a slow but honest client.
        const TRY_AGAIN: Duration = Duration::from_secs(1);
        if let Some(pace) = &mut *self.pace.lock() {
            // Nobody has waited for the client since.
            pace.since += pace.last.elapsed();
            pace.last = Instant::now();
        }
        while !bytes.is_empty() {
            match send(&self.stream, bytes, SendFlags::DONTWAIT) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    self.progress(sent)?;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => wait_writable(&self.stream, self.time_left()?.min(TRY_AGAIN))?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn progress(&self, count: usize) -> io::Result<()> {
        let mut pace = self.pace.lock();
        let pace = pace.as_mut().ok_or_else(cut_off)?;
        pace.moved += count as u64;
        pace.last = Instant::now();
        Ok(())
    }

    /// How long the client may still take for the next byte.
    fn time_left(&self) -> io::Result<Duration> {
        let pace = self.pace.lock();
        let pace = pace.as_ref().ok_or_else(cut_off)?;
        let until = pace.since_at(SLOWEST).min(pace.last) + self.shared.limits.grace;
        let left = until.saturating_duration_since(Instant::now());
        // SO_RCVTIMEO counts microseconds, and takes 0 for no timeout at all.
        if left < Duration::from_micros(1) { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

fn cut_off() -> io::Error {
    ErrorKind::ConnectionAborted.into()
}

fn wait_writable(stream: impl AsFd, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).map_err(|_| ErrorKind::InvalidInput)?;
    match poll(&mut [PollFd::new(&stream, PollFlags::OUT)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
