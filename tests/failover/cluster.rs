//! Two Postgres servers under Patroni, with etcd, and HAProxy in front of them as README says.
//!
//! All of it works in one folder, and on addresses of its own, since all of 127.0.0.0/8 is this machine: a port cannot be taken by
//! somebody's outgoing connection while a server is down. A guardian, which is a process of its own, ends everything when this
//! process ends, however that happens.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use serde_json::{Value, json};

use crate::support::{client, processes, random_secret};

/// The shortest times that Patroni's manual allows, in seconds. What a failover takes is `TTL`, more or less.
const TTL: u32 = 20;
const LOOP_WAIT: u32 = 1;
const RETRY_TIMEOUT: u32 = 3;
/// Nothing of Patroni takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// All of it. Dropping it ends it.
pub struct Cluster {
    folder: PathBuf,
    /// The user that all of it runs as, unless that is this one: Postgres refuses to run as root.
    user: Option<&'static str>,
    bin: PathBuf,
    guardian: Option<Child>,
}

/// One of the servers, with its Patroni.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    One,
    Two,
}

use Member::{One, Two};

impl Member {
    pub fn other(self) -> Member {
        if self == One { Two } else { One }
    }

    fn name(self) -> &'static str {
        if self == One { "one" } else { "two" }
    }

    fn address(self) -> Ipv4Addr {
        own_address(self as u8)
    }
}

/// An address of this process.
fn own_address(number: u8) -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 96 + number, high, low)
}

/// Where etcd and HAProxy listen.
fn front() -> Ipv4Addr {
    own_address(2)
}

impl Cluster {
    /// Begun anew, with an empty database of the program's: the first member leads and the second one follows it.
    pub fn start() -> Cluster {
        let folder = PathBuf::from(format!("/tmp/contactd-failover.{}", &random_secret()[..8]));
        fs::create_dir(&folder).expect("a folder");
        let guardian = Some(guard(&folder));
        let user = rustix::process::geteuid().is_root().then_some("postgres");
        let path = std::env::var_os("PATH").expect("a path");
        let mut folders = std::env::split_paths(&path);
        let bin = folders.find(|folder| folder.join("pg_rewind").exists()).expect("sql/cluster.sh finds Postgres");
        let cluster = Cluster { folder, user, bin, guardian };
        cluster.make_folder("etcd");
        cluster.start_etcd();
        for member in [One, Two] {
            cluster.make_folder(member.name());
            cluster.start_member(member);
            let (role, what) = if member == One { ("/primary", "leads") } else { ("/synchronous", "follows") };
            wait(&format!("the member {} {what}", member.name()), || cluster.is(member, role));
        }
        let mut leader = cluster.client(One, "postgres");
        leader.batch_execute("create role contactd login").expect("a role");
        leader.batch_execute("create database contactd owner contactd").expect("a database");
        cluster.start_haproxy();
        cluster
    }

    /// `DATABASE_URL` with both members.
    pub fn by_hosts(&self) -> String {
        let [one, two] = [One, Two].map(Member::address);
        format!("postgresql://contactd@{one}:5432,{two}:5432/contactd?target_session_attrs=read-write")
    }

    /// `DATABASE_URL` through HAProxy.
    pub fn by_haproxy(&self) -> String {
        format!("postgresql://contactd@{}:5432/contactd", front())
    }

    /// The superuser's connection to one member.
    pub fn client(&self, member: Member, database: &str) -> Client {
        let url = format!("host={} user=postgres dbname={database}", member.address());
        Client::connect(&url, NoTls).expect("the member answers")
    }

    /// Whether this Patroni says that its member has this role: `/primary`, or `/synchronous` for one that has all that was acknowledged.
    pub fn is(&self, member: Member, role: &str) -> bool {
        let patroni = client::Client::new(SocketAddr::from((member.address(), 8008)));
        patroni.get(role).within(Duration::from_millis(500)).try_send().is_ok_and(|answer| answer.status == 200)
    }

    /// Waits until this member leads; when that was.
    pub fn await_leader(&self, member: Member) -> Instant {
        wait("the other member takes over", || self.is(member, "/primary"));
        Instant::now()
    }

    /// Waits until this member follows and has all that was acknowledged, so that it could take over.
    pub fn await_follower(&self, member: Member) {
        wait("the member follows again", || self.is(member, "/synchronous"));
    }

    /// Where everything of a member works, Patroni and Postgres.
    pub fn folder(&self, member: Member) -> PathBuf {
        self.folder.join(member.name())
    }

    pub fn start_member(&self, member: Member) {
        let (name, address) = (member.name(), member.address());
        let configuration = configuration(&self.folder(member), name, address, &self.bin);
        self.spawn(name, &["patroni", "conf"], Some(&configuration.to_string()));
    }

    fn start_etcd(&self) {
        let (clients, peers) = (format!("http://{}:2379", front()), format!("http://{}:2380", front()));
        let cluster = format!("etcd={peers}");
        let mut line =
            vec!["etcd", "--enable-v2", "--name", "etcd", "--data-dir", "data", "--listen-client-urls", &clients];
        line.extend(["--advertise-client-urls", &clients, "--listen-peer-urls", &peers]);
        line.extend(["--initial-advertise-peer-urls", &peers, "--initial-cluster", &cluster]);
        self.spawn("etcd", &line, None);
        let client = client::Client::new(SocketAddr::from((front(), 2379)));
        wait("etcd is well", || client.get("/health").try_send().is_ok_and(|answer| answer.status == 200));
    }

    /// With what README says.
    fn start_haproxy(&self) {
        let readme = include_str!("../../README.md");
        let (_, section) = readme.split_once("```haproxy\nlisten postgres\n").expect("README has an example");
        let mut section = section.split("```").next().unwrap_or_default().to_owned();
        let addresses = [("10.0.0.10", front()), ("10.0.0.11", One.address()), ("10.0.0.12", Two.address())];
        for (known, address) in addresses {
            assert!(section.contains(known), "the example has no {known}");
            section = section.replace(known, &address.to_string());
        }
        self.make_folder("haproxy");
        self.spawn("haproxy", &["haproxy", "-db", "-f", "conf"], Some(&format!("listen postgres\n{section}")));
    }

    fn make_folder(&self, name: &str) {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).expect("a folder");
        if let Some(user) = self.user {
            let chown = Command::new("chown").arg(format!("{user}:")).arg(folder).status();
            assert!(chown.expect("chown is there").success());
        }
    }

    /// Starts a program in its folder, where its log stands.
    fn spawn(&self, name: &str, line: &[&str], configuration: Option<&str>) {
        let folder = self.folder.join(name);
        if let Some(configuration) = configuration {
            fs::write(folder.join("conf"), configuration).expect("the folder can be written");
        }
        let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log");
        let account = self.user.map(|user| format!("setpriv --reuid={user} --regid={user} --clear-groups --"));
        let mut words = account.as_deref().unwrap_or_default().split_whitespace().chain(line.iter().copied());
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).current_dir(&folder).stdin(Stdio::null()).env_clear();
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path))).env("LC_ALL", "C.UTF-8").env("HOME", &folder);
        let process = command.stdout(log.try_clone().expect("a log")).stderr(log).spawn();
        let missing = |error| {
            panic!("{name} is missing (Debian: apt-get install patroni python3-etcd etcd-server haproxy): {error}")
        };
        let mut process = process.unwrap_or_else(missing);
        // Whoever ends is waited for at once, or it would stay in the list of processes.
        thread::spawn(move || process.wait());
    }
}

/// What Patroni is told. Its file is YAML, which JSON is, too.
fn configuration(folder: &Path, name: &str, address: Ipv4Addr, bin: &Path) -> Value {
    json!({
        "scope": "contacts",
        "name": name,
        "restapi": { "listen": format!("{address}:8008"), "connect_address": format!("{address}:8008") },
        // The older of etcd's two interfaces. With the newer one a leader that hung takes the lead back without a look at who has
        // it (until Patroni's pull request 2693, which 3.0.2 lacks), in two of four runs.
        "etcd": { "host": format!("{}:2379", front()) },
        "bootstrap": {
            "dcs": {
                "ttl": TTL,
                "loop_wait": LOOP_WAIT,
                "retry_timeout": RETRY_TIMEOUT,
                // A write is acknowledged when both servers have it, so that none is lost with one of them.
                "synchronous_mode": true,
                // Writes that hang keep their connections, and reads need others.
                "postgresql": { "use_pg_rewind": true, "parameters": { "max_connections": 200 } },
            },
            "initdb": [{ "encoding": "UTF8" }, { "locale": "C" }, { "auth": "trust" }],
        },
        "postgresql": {
            "listen": format!("{address}:5432"),
            "connect_address": format!("{address}:5432"),
            "data_dir": folder.join("data"),
            "bin_dir": bin,
            "pgpass": folder.join("pgpass"),
            "parameters": { "unix_socket_directories": folder },
            "pg_hba": [
                "local all all trust", "host all all 127.0.0.0/8 trust", "host replication all 127.0.0.0/8 trust",
            ],
            "authentication": { "superuser": { "username": "postgres" }, "replication": { "username": "replicator" } },
        },
    })
}

/// Waits for something of Patroni.
pub fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            for name in ["etcd", "haproxy", "one", "two"] {
                let log = fs::read_to_string(self.folder.join(name).join("log")).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                println!("the end of the log of {name}:\n{}\n", lines[lines.len().saturating_sub(60)..].join("\n"));
            }
        }
        if let Some(mut guardian) = self.guardian.take() {
            drop(guardian.stdin.take());
            let _ = guardian.wait();
        }
        assert!(thread::panicking() || processes::within(&self.folder).is_empty(), "something is left of the cluster");
    }
}

/// Waits until its standard input ends, which is when this process does, and clears everything away. A Postgres is told to stop at once
/// (SIGQUIT), and so removes its shared memory; what is left after two seconds is killed.
fn guard(folder: &Path) -> Child {
    let script = r#"
        trap '' INT TERM HUP
        cat >/dev/null
        for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 last last last; do
            found=
            for cwd in /proc/[0-9]*/cwd; do
                case "$(readlink "$cwd")" in "$1"/*) ;; *) continue ;; esac
                found=1 pid=${cwd%/cwd} pid=${pid#/proc/}
                case "$round $(cat "/proc/$pid/comm")" in
                    last*) kill -KILL "$pid" ;;
                    *postgres) kill -CONT "$pid"; kill -QUIT "$pid" ;;
                    *) kill -KILL "$pid" ;;
                esac
            done
            [ -n "$found" ] || break
            sleep 0.1
        done
        rm -rf "$1""#;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(folder).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("sh is there")
}
