//! A proxy before Postgres that counts what the program asks of it: a budget of round trips is a number, not a timing.
//!
//! It reads the client's half of the protocol (the Postgres manual, "Message Formats") and counts each message before it
//! passes it on, so the count is complete when the answer has arrived. `pg_stat_statements` was rejected: it needs a server
//! set up for it, and counts statements rather than round trips.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Sub;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use contactd::store::queries;
use postgres::config::Host;

use super::database::Database;

/// Messages of a kind, what housekeeping sends left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Statements prepared.
    pub parse: u64,
    /// Prepared statements given their parameters.
    pub bind: u64,
    /// Prepared statements run.
    pub execute: u64,
    /// Statements sent as text: `begin`, `commit`, a new connection's settings.
    pub query: u64,
    /// Ends of a batch of the above but `query`, each of which waits for an answer.
    pub sync: u64,
    /// Statements of housekeeping run: the polls for sessions that ended and for
    /// trouble, and the purges.
    pub housekeeping: u64,
}

impl Counts {
    /// How many times an answer was waited for.
    pub fn round_trips(&self) -> u64 {
        self.sync + self.query
    }
}

impl Sub for Counts {
    type Output = Counts;

    fn sub(self, before: Counts) -> Counts {
        Counts {
            parse: self.parse - before.parse,
            bind: self.bind - before.bind,
            execute: self.execute - before.execute,
            query: self.query - before.query,
            sync: self.sync - before.sync,
            housekeeping: self.housekeeping - before.housekeeping,
        }
    }
}

/// A running proxy. Connections that it has made stay until one of their ends closes.
pub struct Proxy {
    address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
    stopped: Arc<AtomicBool>,
    lines: Lines,
}

/// The connections, while the way is open; none where it is cut.
type Lines = Arc<Mutex<Option<Vec<Box<dyn Socket>>>>>;

impl Proxy {
    /// A proxy before this database, and the URL that leads through it.
    pub fn before(database: &Database) -> (String, Proxy) {
        let config: postgres::Config = database.url().parse().expect("the URL parses");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let proxy = Proxy {
            address: listener.local_addr().expect("it is bound"),
            counts: Arc::default(),
            stopped: Arc::default(),
            lines: Arc::new(Mutex::new(Some(Vec::new()))),
        };
        let quoted = |text: &str| format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"));
        let mut url = format!("host=127.0.0.1 port={}", proxy.address.port());
        url += &format!(" user={}", quoted(config.get_user().expect("a user")));
        url += &format!(" dbname={}", quoted(database.name()));
        if let Some(password) = config.get_password() {
            url += &format!(" password={}", quoted(str::from_utf8(password).expect("UTF-8")));
        }
        let (counts, stopped) = (Arc::clone(&proxy.counts), Arc::clone(&proxy.stopped));
        let lines = Arc::clone(&proxy.lines);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let mut lines = lines.lock().expect("nothing panics with it");
                // Where the database refuses, or the way is cut, the client finds its connection closed.
                if let Some(lines) = &mut *lines
                    && let Ok(server) = connect(&config)
                    && let Ok(line) = server.twin()
                {
                    lines.push(line);
                    join(client, server, &counts);
                }
            }
        });
        (url, proxy)
    }

    /// All that went through so far.
    pub fn count(&self) -> Counts {
        *self.counts.lock().expect("counting does not panic")
    }

    /// Cuts all connections and makes no new ones until [`Proxy::mend`].
    pub fn cut(&self) {
        let lines = self.lines.lock().expect("nothing panics with it").take();
        lines.into_iter().flatten().for_each(|socket| socket.close());
    }

    /// Makes connections again.
    pub fn mend(&self) {
        *self.lines.lock().expect("nothing panics with it") = Some(Vec::new());
    }

    /// What `work` costs.
    pub fn cost(&self, work: impl FnOnce()) -> Counts {
        let before = self.count();
        work();
        self.count() - before
    }

    /// The least that `work` costs in some runs, by round trips: what it costs once its statements are prepared, on a
    /// connection that is open.
    pub fn least_cost(&self, mut work: impl FnMut()) -> Counts {
        (0..8).map(|_| self.cost(&mut work)).min_by_key(Counts::round_trips).expect("it ran")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address); // wakes the one that accepts
    }
}

/// A socket of either family.
trait Socket: Read + Write + Send {
    fn twin(&self) -> std::io::Result<Box<dyn Socket>>;
    fn close(&self);
}

macro_rules! sockets {
    ($($kind:ty),*) => {$(
        impl Socket for $kind {
            fn twin(&self) -> std::io::Result<Box<dyn Socket>> {
                Ok(Box::new(self.try_clone()?))
            }
            fn close(&self) {
                let _ = self.shutdown(Shutdown::Both);
            }
        }
    )*};
}
sockets!(TcpStream, UnixStream);

fn connect(config: &postgres::Config) -> std::io::Result<Box<dyn Socket>> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match config.get_hosts().first().expect("the URL names a host") {
        Host::Unix(folder) => Ok(Box::new(UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")))?)),
        Host::Tcp(name) => Ok(Box::new(TcpStream::connect((name.as_str(), port))?)),
    }
}

/// Passes on both ways until one of them ends.
fn join(client: TcpStream, server: Box<dyn Socket>, counts: &Arc<Mutex<Counts>>) {
    let _ = client.set_nodelay(true);
    let (Ok(client_too), Ok(server_too)) = (client.twin(), server.twin()) else {
        return;
    };
    let mut reader = Reader::new(Arc::clone(counts));
    thread::spawn(move || pass(Box::new(client), server, |bytes| reader.feed(bytes)));
    thread::spawn(move || pass(server_too, client_too, |_| ()));
}

fn pass(mut from: Box<dyn Socket>, mut to: Box<dyn Socket>, mut seen: impl FnMut(&[u8])) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        seen(&bytes[..n]);
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    from.close();
    to.close();
}

/// Takes the client's messages apart.
struct Reader {
    counts: Arc<Mutex<Counts>>,
    bytes: Vec<u8>,
    /// The first messages have no byte that tells their kind.
    started: bool,
    /// The names of housekeeping's prepared statements on this connection.
    housekeeping: HashMap<Vec<u8>, bool>,
    /// Whether what comes before the next sync is housekeeping's.
    apart: bool,
}

impl Reader {
    fn new(counts: Arc<Mutex<Counts>>) -> Reader {
        Reader { counts, bytes: Vec::new(), started: false, housekeeping: HashMap::new(), apart: false }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        loop {
            let kind = usize::from(self.started);
            let Some(length) = self.bytes.get(kind..kind + 4) else {
                return;
            };
            // The length counts itself and not the kind.
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            if self.bytes.len() < kind + length {
                return;
            }
            let message: Vec<u8> = self.bytes.drain(..kind + length).collect();
            if self.started {
                self.count(message[0], &message[5..]);
            } else {
                // Protocol 3; requests for encryption and cancellation have other numbers here.
                self.started = message[4..6] == [0, 3];
            }
        }
    }

    fn count(&mut self, kind: u8, content: &[u8]) {
        let mut texts = content.split(|byte| *byte == 0);
        let first = texts.next().unwrap_or_default();
        let second = texts.next().unwrap_or_default();
        match kind {
            b'P' => {
                let theirs =
                    [&queries::SESSION_REVOKED, &queries::TROUBLE, &queries::SESSION_PURGE, &queries::ATTEMPT_PURGE];
                self.apart = theirs.iter().any(|query| query.sql.as_bytes() == second);
                self.housekeeping.insert(first.to_vec(), self.apart);
            }
            b'B' => self.apart = self.housekeeping.get(second).copied().unwrap_or(false),
            _ => {}
        }
        let mut counts = self.counts.lock().expect("counting does not panic");
        match (kind, self.apart) {
            (b'E', true) => counts.housekeeping += 1,
            (b'P', false) => counts.parse += 1,
            (b'B', false) => counts.bind += 1,
            (b'E', false) => counts.execute += 1,
            (b'S', false) => counts.sync += 1,
            (b'Q', _) => counts.query += 1,
            _ => {}
        }
        if kind == b'S' {
            self.apart = false;
        }
    }
}
