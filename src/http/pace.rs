//! Writing to a client that may be slow, with deadlines. Only on threads that may wait.

use std::io::{self, ErrorKind};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send};

/// What a client must take on average, in bytes a second, once it has used up its grace.
const SLOWEST: u64 = 16 * 1024;

/// Writes all of `bytes`, waiting for the client within the deadlines of [`Pace`].
pub(super) fn write_all(stream: &TcpStream, bytes: &[u8], write_timeout: Duration) -> io::Result<()> {
    Pace::new(write_timeout).write_all(stream, bytes)
}

/// How fast a client takes a response. Only time spent waiting for the client counts, not what the program
/// takes to make the response.
pub(super) struct Pace {
    write_timeout: Duration,
    taken: u64,
    waited: Duration,
}

impl Pace {
    pub(super) fn new(write_timeout: Duration) -> Pace {
        Pace { write_timeout, taken: 0, waited: Duration::ZERO }
    }

    pub(super) fn write_all(&mut self, stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
        let mut stalled = Duration::ZERO;
        while !bytes.is_empty() {
            match send(stream, bytes, SendFlags::DONTWAIT) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    self.taken += sent as u64;
                    stalled = Duration::ZERO;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => stalled += self.wait(stream, stalled)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Waits for the socket to take more; how long that was.
    fn wait(&mut self, stream: &TcpStream, stalled: Duration) -> io::Result<Duration> {
        // poll reports a socket as writable only once a third of its buffer is free, while send takes what fits:
        // trying at least once a second is what sees the progress of a slow but honest client.
        const TRY_AGAIN: Duration = Duration::from_secs(1);
        let allowed = self.write_timeout + Duration::from_millis(self.taken * 1000 / SLOWEST);
        let left = allowed.saturating_sub(self.waited).min(self.write_timeout.saturating_sub(stalled));
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let before = Instant::now();
        wait_writable(stream, left.min(TRY_AGAIN))?;
        let waited = before.elapsed();
        self.waited += waited;
        Ok(waited)
    }
}

fn wait_writable(stream: impl AsFd, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).map_err(|_| ErrorKind::InvalidInput)?;
    match poll(&mut [PollFd::new(&stream, PollFlags::OUT)], Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
