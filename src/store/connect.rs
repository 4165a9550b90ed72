//! Connecting to the database within a time.
//!
//! The postgres crate bounds the TCP connect alone: neither the look-up of a host's name nor the start-up handshake. A stopped
//! server and a broken balancer accept connections and never answer. So a thread connects, and is left behind when the time
//! is over. To leave few behind, a host that gave no answer lately is first asked for a session, on a socket with a timeout,
//! and the first byte of its answer will do. Where the settings want TLS, it is asked whether it speaks that. (So it was in plain
//! text, too, until a pooler answered that for a Postgres that hung: with each attempt one more thread was left behind.)

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use postgres::config::{Host, SslMode, SslNegotiation, TargetSessionAttrs};
use postgres::{Client, Config, NoTls};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::Error;
use crate::config::Database;

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// How long a host may take for its first answer. One that is slow gives it in time, and is not away.
const ASK: Duration = Duration::from_millis(500);

/// `SSLRequest` (the Postgres manual, "Message Formats"): whether the server speaks TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Threads that were left behind and have not ended. Each waits for a host that answered the question and then fell silent,
/// or for a name server; beyond them nobody connects.
const LEFT_BEHIND: usize = 32;

/// Opens connections.
pub(super) struct Connector {
    /// The database on each of its hosts.
    hosts: Vec<Database>,
    /// The host that answered last.
    preferred: AtomicUsize,
    /// Whether the last attempt succeeded.
    answers: AtomicBool,
    left_behind: Arc<AtomicUsize>,
}

impl Connector {
    pub(super) fn new(database: &Database) -> Connector {
        Connector {
            hosts: hosts(database),
            preferred: AtomicUsize::new(0),
            answers: AtomicBool::new(false),
            left_behind: Arc::default(),
        }
    }

    /// Opens a connection and runs `setup` on it, within [`CONNECT`] for each host, the one that answered last first.
    pub(super) fn connect(&self, setup: &'static str) -> Result<Client, Error> {
        let first = self.preferred.load(Relaxed);
        let mut outcome = Err(Error::Unavailable("the database has no host".to_owned()));
        for index in (0..self.hosts.len()).map(|n| (first + n) % self.hosts.len()) {
            outcome = self.connect_to(index, setup);
            self.answers.store(outcome.is_ok(), Relaxed);
            if outcome.is_ok() {
                self.preferred.store(index, Relaxed);
                break;
            }
        }
        outcome
    }

    /// The next attempt asks before it connects.
    pub(super) fn doubt(&self) {
        self.answers.store(false, Relaxed);
    }

    fn connect_to(&self, index: usize, setup: &'static str) -> Result<Client, Error> {
        let (config, ask) = (self.hosts[index].clone(), !self.answers.load(Relaxed));
        let place = LeftBehind(Arc::clone(&self.left_behind));
        if place.0.fetch_add(1, Relaxed) >= LEFT_BEHIND {
            return Err(Error::Unavailable("too many attempts to connect are without an answer".to_owned()));
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let attempt = move || {
            let _place = place;
            let client = match ask.then(|| is_answering(&config)).transpose() {
                Ok(_) => open(&config, setup).map_err(Error::from),
                Err(error) => Err(Error::Unavailable(format!("the database does not answer: {error}"))),
            };
            // If nobody waits any more, the connection ends here.
            let _ = sender.send(client);
        };
        let thread = thread::Builder::new().name("connect".to_owned()).stack_size(256 << 10).spawn(attempt);
        thread.map_err(|error| Error::Unavailable(format!("no thread to connect with: {error}")))?;
        receiver
            .recv_timeout(CONNECT)
            .unwrap_or_else(|_| Err(Error::Unavailable(format!("the database did not answer within {CONNECT:?}"))))
    }
}

fn open(Database { config, tls }: &Database, setup: &str) -> Result<Client, postgres::Error> {
    let mut client = match tls.to_owned() {
        Some(tls) => config.connect(tls)?,
        None => config.connect(NoTls)?,
    };
    client.batch_execute(setup)?;
    Ok(client)
}

/// A place among those left behind, until the thread ends.
struct LeftBehind(Arc<AtomicUsize>);

impl Drop for LeftBehind {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Asks the host of the database, which has one, for one byte.
fn is_answering(Database { config, tls }: &Database) -> io::Result<()> {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let tcp = |stream: TcpStream| {
        stream.set_write_timeout(Some(ASK))?;
        stream.set_read_timeout(Some(ASK))?;
        match tls {
            // Where TLS comes first, nothing is said in plain text.
            Some(_) if config.get_ssl_negotiation() == SslNegotiation::Direct => Ok(()),
            Some(_) => ask(&SSL_REQUEST, stream),
            None => ask(&startup(config)?, stream),
        }
    };
    match (config.get_hostaddrs().first(), config.get_hosts().first()) {
        (Some(address), _) => tcp(TcpStream::connect_timeout(&(*address, port).into(), ASK)?),
        (None, Some(Host::Tcp(name))) => {
            let mut outcome = Err(io::ErrorKind::NotFound.into());
            for address in (name.as_str(), port).to_socket_addrs()? {
                outcome = TcpStream::connect_timeout(&address, ASK).and_then(tcp);
                if outcome.is_ok() {
                    break;
                }
            }
            outcome
        }
        (None, Some(Host::Unix(folder))) => {
            // The standard library's connect has no timeout, and waits where a stopped server's queue is full.
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            for timeout in [Timeout::Send, Timeout::Recv] {
                set_socket_timeout(&socket, timeout, Some(ASK))?;
            }
            connect(&socket, &SocketAddrUnix::new(folder.join(format!(".s.PGSQL.{port}")))?)?;
            ask(&startup(config)?, UnixStream::from(socket))
        }
        (None, None) => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Sends a message as far as the first byte of the answer, be it an error.
fn ask(message: &[u8], mut stream: impl Read + Write) -> io::Result<()> {
    stream.write_all(message)?;
    stream.read_exact(&mut [0])
}

fn startup(config: &Config) -> io::Result<Vec<u8>> {
    let name = config.get_user().unwrap_or("postgres");
    let parameters = format!("user\0{name}\0database\0{}\0\0", config.get_dbname().unwrap_or(name));
    // `StartupMessage` (the Postgres manual, "Message Formats"): its length, version 3.0, and what is wanted.
    let length = u32::try_from(8 + parameters.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes(), [0, 3, 0, 0].as_slice(), parameters.as_bytes()].concat())
}

/// The same database on each of its hosts. Of several hosts only one takes writes (the others are standbys), so that one is
/// meant unless the settings say otherwise.
fn hosts(all: &Database) -> Vec<Database> {
    let database = &all.config;
    let count = database.get_hosts().len().max(database.get_hostaddrs().len());
    if count <= 1 {
        return vec![all.clone()];
    }
    let one = |index| {
        let mut config = Config::new();
        config.ssl_mode(database.get_ssl_mode()).ssl_negotiation(database.get_ssl_negotiation());
        config.channel_binding(database.get_channel_binding());
        config.keepalives(database.get_keepalives()).keepalives_idle(database.get_keepalives_idle());
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        database.get_user().map(|user| config.user(user));
        database.get_password().map(|password| config.password(password));
        database.get_dbname().map(|name| config.dbname(name));
        database.get_options().map(|options| config.options(options));
        database.get_application_name().map(|name| config.application_name(name));
        database.get_connect_timeout().map(|timeout| config.connect_timeout(*timeout));
        database.get_tcp_user_timeout().map(|timeout| config.tcp_user_timeout(*timeout));
        match database.get_hosts().get(index) {
            Some(Host::Tcp(name)) => drop(config.host(name)),
            Some(Host::Unix(folder)) => drop(config.host_path(folder).ssl_mode(SslMode::Disable)),
            None => {}
        }
        database.get_hostaddrs().get(index).map(|address| config.hostaddr(*address));
        let ports = database.get_ports();
        ports.get(index).or(ports.first()).map(|port| config.port(*port));
        Database { config, tls: all.tls.to_owned() }
    };
    (0..count).map(one).collect()
}
