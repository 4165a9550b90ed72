//! The program itself, as a person would start it: a child process with settings in its environment.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::client::Client;
use super::database::Database;
use super::{eventually, random_secret};

/// A running `contactd` on a free port. Dropping it ends the process.
pub struct Server {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    log: Arc<Mutex<String>>,
}

/// How a server is started.
#[derive(Clone)]
pub struct Setup {
    settings: Vec<(String, String)>,
    /// What is run, with its first arguments.
    line: Vec<OsString>,
}

/// A database of this program's schema.
pub fn database() -> Database {
    Database::fresh(|url| {
        let status = command(&[("DATABASE_URL".to_owned(), url.to_owned())]).arg("migrate").status();
        assert!(status.expect("the program starts").success(), "migrating failed");
    })
}

/// The program with nothing in its environment but these settings.
pub fn command(settings: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_contactd"));
    command.env_clear().envs(settings.iter().cloned());
    command
}

impl Setup {
    /// On this database, with a secret of its own, everything else by default but for the limit on sign-ups from one address,
    /// since all tests come from one.
    pub fn on(database: &Database) -> Setup {
        Setup::at(&database.url())
    }

    /// The same for a database that this URL names.
    pub fn at(url: &str) -> Setup {
        Setup { settings: Vec::new(), line: vec![env!("CARGO_BIN_EXE_contactd").into()] }
            .with("DATABASE_URL", url)
            .with("LISTEN", "127.0.0.1:0")
            .with("JWT_SECRET", random_secret())
            .with("ADDRESS_ATTEMPTS", "0")
    }

    /// With another setting.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Setup {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    /// With another word on its command line.
    pub fn word(mut self, word: &str) -> Setup {
        self.line.push(word.into());
        self
    }

    /// Another build of the program.
    pub fn program(mut self, path: PathBuf) -> Setup {
        self.line = vec![path.into()];
        self
    }

    /// Run by another program, such as valgrind.
    pub fn under(mut self, line: &[String]) -> Setup {
        self.line.splice(0..0, line.iter().map(OsString::from));
        self
    }

    /// Starts it and waits until it listens; the database may not have been reached yet.
    pub fn start(&self) -> Server {
        let mut process = Command::new(&self.line[0])
            .args(&self.line[1..])
            .env_clear()
            .envs(self.settings.iter().cloned())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(process.stderr.take().expect("stderr is piped")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("the program ended before it listened:\n{}", log.lock().unwrap());
            };
            *log.lock().unwrap() += &format!("{line}\n");
            if let Some((_, place)) = line.split_once("serving on ") {
                // A Unix socket has no address; in JSON a quotation mark ends it.
                let address = place.trim().trim_end_matches("\"}").strip_prefix("http://").unwrap_or("0.0.0.0:0");
                break address.parse().expect("an address");
            }
        };
        // Read on, or the program would wait for room in the pipe one day.
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *sink.lock().unwrap() += &format!("{line}\n");
            }
        });
        Server { process, address, log }
    }

    /// Runs it to its end, which is near.
    pub fn output(&self) -> std::process::Output {
        let mut command = Command::new(&self.line[0]);
        command
            .args(&self.line[1..])
            .env_clear()
            .envs(self.settings.iter().cloned())
            .output()
            .expect("the program starts")
    }

    /// Starts it and waits until it is ready to work.
    pub fn ready(&self) -> Server {
        let server = self.start();
        eventually("the server is ready", || server.client().get("/readyz").send().status == 200);
        server
    }
}

impl Server {
    /// On a database of its own, ready to work.
    pub fn with_database() -> (Server, Database) {
        let database = database();
        (Setup::on(&database).ready(), database)
    }

    /// A client without a token.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// The process id, for `/proc` and signals.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Connections to it that stand and of whose requests nothing is left to read.
    pub fn taken(&self) -> usize {
        let port = format!(":{:04X}", self.address.port());
        let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux tells");
        let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        // local address, remote address, state (01 is established), bytes to send and to read
        lines.filter(|line| line[1].ends_with(&port) && line[3] == "01" && line[4].ends_with(":00000000")).count()
    }

    /// What the program wrote to its log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Waits for the process to end.
    pub fn wait(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.process.try_wait().expect("the child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the program did not end within {within:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
    }
}
