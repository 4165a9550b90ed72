//! A way to Postgres that breaks as it is told: it stops forwarding, takes connections without a word, is slow, or cuts a
//! connection at a certain message.
//!
//! The proxy of `tests/support` counts what passes. This one takes both halves of the protocol apart (the Postgres manual,
//! "Message Formats"), and tells what housekeeping sends from what requests do, by the texts of its statements.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use contactd::store::queries;
use parking_lot::{Condvar, Mutex};

use crate::cluster::Cluster;

/// What it does with what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Open,
    /// Connections stand, and nothing goes through. What came meanwhile goes on when it is open again.
    Stalled,
    /// New connections are taken and never heard, not even when it is open again; old ones go on.
    Mute,
    /// Whatever the server says comes so much later.
    Late(Duration),
}

/// What happens at a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// Its connection is cut before it passes.
    Cut,
    /// An answer of the server never passes, nor does anything after it; the connection stands.
    Withhold,
}

/// A running relay. Dropping it cuts its connections.
pub struct Relay {
    pub address: SocketAddr,
    core: Arc<Core>,
}

struct Core {
    to: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
    watch: Mutex<Watch>,
}

struct State {
    mode: Mode,
    lines: Vec<Arc<Line>>,
    mute: Vec<TcpStream>,
    over: bool,
}

/// What is counted and done while somebody watches.
#[derive(Default)]
struct Watch {
    strike: Option<(usize, Strike)>,
    messages: usize,
    answers: usize,
    /// The latest message was the server's.
    is_answering: bool,
}

struct Line {
    client: TcpStream,
    server: UnixStream,
    /// What passes now is housekeeping's, or of the connection itself.
    apart: AtomicBool,
    /// The client has asked whether the server speaks TLS, and the answer is a single byte.
    asked: AtomicBool,
    /// Nothing goes through any more.
    forgotten: AtomicBool,
}

impl Relay {
    /// Before this cluster.
    pub fn before(cluster: &Cluster) -> Relay {
        Relay::at("127.0.0.1:0", cluster)
    }

    /// The same at this address.
    pub fn at(address: &str, cluster: &Cluster) -> Relay {
        let listener = TcpListener::bind(address).expect("a free port");
        let state = State { mode: Mode::Open, lines: Vec::new(), mute: Vec::new(), over: false };
        let core = Arc::new(Core {
            to: cluster.folder().join(".s.PGSQL.5432"),
            state: Mutex::new(state),
            changed: Condvar::new(),
            watch: Mutex::default(),
        });
        let relay = Relay { address: listener.local_addr().expect("it is bound"), core: Arc::clone(&core) };
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if core.state.lock().over {
                    return;
                }
                core.take(client);
            }
        });
        relay
    }

    /// What to set as `DATABASE_URL`.
    pub fn url(&self, database: &str) -> String {
        format!("host={} port={} user=contactd dbname={database}", self.address.ip(), self.address.port())
    }

    pub fn set(&self, mode: Mode) {
        self.core.state.lock().mode = mode;
        self.core.changed.notify_all();
    }

    /// Sets another mode until the guard is dropped.
    pub fn during(&self, mode: Mode) -> During<'_> {
        self.set(mode);
        During(self)
    }

    /// Nothing goes through the connections that there are, for ever; new ones are as good as ever.
    pub fn forget(&self) {
        self.core.state.lock().lines.iter().for_each(|line| line.forgotten.store(true, SeqCst));
    }

    /// Cuts the connections that [`Relay::forget`] or [`Strike::Withhold`] met.
    pub fn cut_forgotten(&self) {
        let state = self.core.state.lock();
        state.lines.iter().filter(|line| line.forgotten.load(SeqCst)).for_each(|line| line.close());
    }

    /// Cuts the connections that there are.
    pub fn cut(&self) {
        let mut state = self.core.state.lock();
        state.mute.clear();
        state.lines.drain(..).for_each(|line| line.close());
    }

    /// Connections that were taken and never heard.
    pub fn mute(&self) -> usize {
        self.core.state.lock().mute.len()
    }

    /// Does something at the nth message that passes during `work`, or at the nth answer of the server. Housekeeping's do not
    /// count. Whether it came to that.
    pub fn strike<T>(&self, strike: Strike, at: usize, work: impl FnOnce() -> T) -> (T, bool) {
        *self.core.watch.lock() = Watch { strike: Some((at, strike)), ..Watch::default() };
        let value = work();
        let watch = std::mem::take(&mut *self.core.watch.lock());
        (value, watch.strike.is_none())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.core.state.lock().over = true;
        self.core.changed.notify_all();
        self.cut();
        let _ = TcpStream::connect(self.address); // wakes the one that accepts
    }
}

/// Opens the relay again when it is dropped.
pub struct During<'a>(&'a Relay);

impl Drop for During<'_> {
    fn drop(&mut self) {
        self.0.set(Mode::Open);
    }
}

impl Core {
    fn take(self: &Arc<Core>, client: TcpStream) {
        let mut state = self.state.lock();
        match state.mode {
            Mode::Mute => return state.mute.push(client),
            Mode::Open | Mode::Stalled | Mode::Late(_) => {}
        }
        // Where the database refuses, the client finds its connection closed.
        let Ok(server) = UnixStream::connect(&self.to) else {
            return;
        };
        let _ = client.set_nodelay(true);
        let line = Arc::new(Line {
            client,
            server,
            apart: AtomicBool::new(true),
            asked: AtomicBool::new(false),
            forgotten: AtomicBool::new(false),
        });
        state.lines.retain(|line| Arc::strong_count(line) > 1);
        state.lines.push(Arc::clone(&line));
        drop(state);
        let (sender, receiver) = mpsc::channel();
        let (core, of_line) = (Arc::clone(self), Arc::clone(&line));
        thread::spawn(move || core.pass_up(&of_line));
        let (core, of_line) = (Arc::clone(self), Arc::clone(&line));
        thread::spawn(move || core.read_down(&of_line, &sender));
        let core = Arc::clone(self);
        thread::spawn(move || core.pass_down(&line, &receiver));
    }

    /// Waits until something may go through; false when all is over.
    fn gate(&self, line: &Line) -> bool {
        let mut state = self.state.lock();
        let is_stuck = |mode| mode == Mode::Stalled || line.forgotten.load(SeqCst);
        self.changed.wait_while(&mut state, |state| is_stuck(state.mode) && !state.over);
        !state.over
    }

    /// From the client to the server.
    fn pass_up(&self, line: &Line) {
        let (mut bytes, mut buffer, mut started) = ([0; 16 * 1024], Vec::new(), false);
        let mut housekeeping = HashMap::new();
        while let Ok(n @ 1..) = (&line.client).read(&mut bytes) {
            buffer.extend_from_slice(&bytes[..n]);
            let mut passes = Vec::new();
            let mut is_struck = false;
            while !is_struck && let Some(message) = next(&mut buffer, usize::from(started)) {
                if started {
                    line.follow(&message, &mut housekeeping);
                } else {
                    // Protocol 3; requests for encryption and cancellation have other numbers here.
                    started = message[4..6] == [0, 3];
                    line.asked.store(!started, SeqCst);
                }
                is_struck = self.see(line, false).is_some();
                if !is_struck {
                    passes.extend(message);
                }
            }
            if !self.gate(line) || (&line.server).write_all(&passes).is_err() || is_struck {
                break;
            }
        }
        line.close();
    }

    fn read_down(&self, line: &Line, passes: &mpsc::Sender<(Instant, Vec<u8>)>) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(n @ 1..) = (&line.server).read(&mut bytes) {
            let late = match self.state.lock().mode {
                Mode::Late(late) => late,
                _ => Duration::ZERO,
            };
            if passes.send((Instant::now() + late, bytes[..n].to_vec())).is_err() {
                break;
            }
        }
    }

    /// From the server to the client.
    fn pass_down(&self, line: &Line, receiver: &mpsc::Receiver<(Instant, Vec<u8>)>) {
        let mut buffer = Vec::new();
        while let Ok((due, bytes)) = receiver.recv() {
            buffer.extend(bytes);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let mut passes = Vec::new();
            if !buffer.is_empty() && line.asked.swap(false, SeqCst) {
                passes.push(buffer.remove(0));
            }
            let mut strike = None;
            while strike.is_none()
                && let Some(message) = next(&mut buffer, 1)
            {
                strike = self.see(line, true);
                if strike.is_none() {
                    passes.extend(message);
                }
            }
            if !self.gate(line) || (&line.client).write_all(&passes).is_err() {
                break;
            }
            match strike {
                None => {}
                Some(Strike::Cut) => break,
                // The other threads end with the connection, and this one's silence lasts as long.
                Some(Strike::Withhold) => {
                    line.forgotten.store(true, SeqCst);
                    receiver.iter().for_each(drop);
                }
            }
        }
        line.close();
    }

    fn see(&self, line: &Line, is_of_server: bool) -> Option<Strike> {
        let watch = &mut *self.watch.lock();
        if line.apart.load(SeqCst) {
            return None;
        }
        let (message, answer) = (watch.messages, watch.answers);
        let begins_answer = is_of_server && !watch.is_answering;
        watch.is_answering = is_of_server;
        watch.messages += 1;
        watch.answers += usize::from(begins_answer);
        let strike = watch.strike.take_if(|(at, strike)| match strike {
            Strike::Cut => *at == message,
            Strike::Withhold => begins_answer && *at == answer,
        });
        strike.map(|(_, strike)| strike)
    }
}

impl Line {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// Knows from the client's message whose it is.
    fn follow(&self, message: &[u8], housekeeping: &mut HashMap<Vec<u8>, bool>) {
        let theirs = [&queries::SESSION_REVOKED, &queries::TROUBLE, &queries::SESSION_PURGE, &queries::ATTEMPT_PURGE];
        let mut texts = message[5..].split(|byte| *byte == 0);
        let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
        let is_apart = match message[0] {
            b'P' => {
                let is_theirs = theirs.iter().any(|query| query.sql.as_bytes() == second);
                housekeeping.insert(first.to_vec(), is_theirs);
                is_theirs
            }
            b'B' => housekeeping.get(second).copied().unwrap_or(false),
            // A connection is set up, or tested.
            b'Q' => first.is_empty() || first.starts_with(b"set statement_timeout = '2s'"),
            b'X' => true,
            _ => return,
        };
        self.apart.store(is_apart, SeqCst);
    }
}

/// Takes the next message off the buffer, if it is whole; the length follows so many bytes.
fn next(buffer: &mut Vec<u8>, kind: usize) -> Option<Vec<u8>> {
    // It counts itself, and not the kind.
    let length = buffer.get(kind..kind + 4)?;
    let whole = kind + u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
    (buffer.len() >= whole).then(|| buffer.drain(..whole).collect())
}
