//! A Postgres that can be stopped, since no other test uses it: a cluster of this process's own, by `sql/cluster.sh`.
//!
//! It listens on a Unix socket and on a loopback address of its own. A guardian, which is a process of its own, lets it go
//! on and ends it when this process ends, however that happens: nothing stays stopped, and nothing stays behind.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use postgres::config::Host;
use postgres::{Client, Config, NoTls};

use crate::support::{processes, random_secret};

/// How long a Postgres that is well may take for an answer, on a busy machine.
const PROMPT: Duration = Duration::from_millis(500);
/// What a process within a network namespace is told, which shares the cluster of the one that started it.
pub const OF_PARENT: &str = "HUNG_CLUSTER";

/// A running cluster. Dropping it ends it.
pub struct Cluster {
    folder: PathBuf,
    /// The address of its TCP port, which is 5432.
    pub address: String,
    guardian: Option<Child>,
}

/// What a server says to a client that asks for a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    Answer,
    /// The connection stands, or not even that, and nothing comes.
    Silence,
    Refusal,
}

/// Everything of Postgres stands still until this is dropped.
pub struct Frozen<'a>(&'a Cluster);

impl Cluster {
    /// The one for all tests of this process.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var_os(OF_PARENT) {
            Some(folder) => Cluster { folder: folder.into(), address: String::new(), guardian: None },
            None => {
                let cluster = Cluster::in_new_folder();
                cluster.start();
                // A crash of Postgres loses nothing that was committed, and it may have standbys.
                cluster.configure("synchronous_commit = on\nwal_level = replica\nmax_wal_senders = 4\n");
                cluster.stop("fast");
                cluster.start();
                cluster
            }
        })
    }

    /// A standby that follows this one, which is stopped for a moment.
    pub fn standby(&self) -> Cluster {
        let standby = Cluster::in_new_folder();
        self.stop("fast");
        run("cp", &["-a".as_ref(), self.data().as_ref(), standby.data().as_ref()]);
        self.start();
        standby.configure(&format!("primary_conninfo = 'host={} user=postgres'\n", self.folder.display()));
        run(
            "cp",
            &[
                "-a".as_ref(),
                standby.data().join("PG_VERSION").as_ref(),
                standby.data().join("standby.signal").as_ref(),
            ],
        );
        standby.start();
        standby
    }

    fn in_new_folder() -> Cluster {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(format!("/tmp/contactd-hung.{}", &random_secret()[..8]));
        fs::create_dir(&folder).expect("a folder for Postgres");
        let [_, _, high, low] = std::process::id().to_be_bytes();
        // All of 127.0.0.0/8 is this machine.
        let address = format!("127.{}.{high}.{low}", 64 + serial);
        let guardian = Some(guard(&folder));
        Cluster { folder, address, guardian }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Adds to its settings, the last of which win, and gives it its address.
    fn configure(&self, settings: &str) {
        let file = OpenOptions::new().append(true).open(self.data().join("postgresql.conf"));
        let text = format!("listen_addresses = '{}'\n{settings}", self.address);
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the settings can be written");
    }

    pub fn start(&self) {
        run("sql/cluster.sh", &["start".as_ref(), self.folder.as_ref(), "fast".as_ref()]);
    }

    /// Modes are those of `pg_ctl`: `fast`, `immediate`.
    pub fn stop(&self, mode: &str) {
        run("sql/cluster.sh", &["stop".as_ref(), self.folder.as_ref(), mode.as_ref()]);
    }

    /// Makes an empty database; its name.
    pub fn new_database(&self) -> String {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let name = format!("hung_{}_{serial}", std::process::id());
        self.create(&name);
        name
    }

    pub fn create(&self, name: &str) {
        let statement = format!("create database {name} owner contactd template template0");
        self.client("postgres").batch_execute(&statement).expect("a database");
    }

    /// The superuser's connection to a database.
    pub fn client(&self, database: &str) -> Client {
        let url = format!("host={} user=postgres dbname={database}", self.folder.display());
        Client::connect(&url, NoTls).expect("the cluster answers")
    }

    /// What to set as `DATABASE_URL`, over the Unix socket.
    pub fn by_socket(&self, database: &str) -> String {
        format!("host={} user=contactd dbname={database}", self.folder.display())
    }

    /// The same over TCP.
    pub fn by_tcp(&self, database: &str) -> String {
        format!("host={} user=contactd dbname={database}", self.address)
    }

    /// Stops all of its processes with SIGSTOP, as a machine does that hangs.
    pub fn freeze(&self) -> Frozen<'_> {
        let frozen = Frozen(self);
        processes::stop(&self.data());
        frozen
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        processes::go_on(&self.0.data());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut guardian) = self.guardian.take() {
            drop(guardian.stdin.take());
            let _ = guardian.wait();
        }
    }
}

/// Whether the server at this URL answers one who asks whether it speaks TLS, which needs neither a user nor a database.
pub fn ask(url: &str) -> Reply {
    match try_to_ask(&url.parse().expect("a URL of a database")) {
        Ok(()) => Reply::Answer,
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Reply::Silence,
        Err(_) => Reply::Refusal,
    }
}

fn try_to_ask(url: &Config) -> io::Result<()> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let port = url.get_ports().first().copied().unwrap_or(5432);
    let mut byte = [0];
    match &url.get_hosts()[0] {
        Host::Unix(folder) => {
            let mut socket = UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")))?;
            socket.set_read_timeout(Some(PROMPT))?;
            socket.write_all(&SSL_REQUEST)?;
            socket.read_exact(&mut byte)
        }
        Host::Tcp(name) => {
            let address = (name.as_str(), port).to_socket_addrs()?.next().expect("an address");
            let mut socket = TcpStream::connect_timeout(&address, PROMPT)?;
            socket.set_read_timeout(Some(PROMPT))?;
            socket.write_all(&SSL_REQUEST)?;
            socket.read_exact(&mut byte)
        }
    }
}

/// Runs a program that must succeed.
pub fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let output = Command::new(program).args(arguments).env_remove("DATABASE_URL").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until its standard input ends, which is when this process does, and clears the cluster away.
fn guard(folder: &Path) -> Child {
    let script = r#"
        trap '' INT TERM HUP
        cat >/dev/null
        for cwd in /proc/[0-9]*/cwd; do
            [ "$(readlink "$cwd")" != "$1/data" ] || { pid=${cwd%/cwd}; kill -CONT "${pid#/proc/}"; }
        done
        sql/cluster.sh stop "$1" immediate
        rm -rf "$1""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("sh is there")
}
