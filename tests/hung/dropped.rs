//! Packets that are really dropped, as by a firewall or a cable: nobody is told, nothing is acknowledged, and the kernel goes
//! on trying by itself.
//!
//! The program runs in a network namespace of its own and reaches the relay over one virtual cable and its clients over
//! another. The kernel of each end of the first one is given a wrong hardware address for the other end, which then drops
//! what is not for it: that needs neither a firewall's modules nor root, only namespaces.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::cluster::{Cluster, OF_PARENT, run};
use crate::relay::Relay;
use crate::trial::{HUNG, Trial, alone, until};

#[test]
#[allow(clippy::disallowed_methods)] // how it knows that it is the one within the namespace
fn packets_that_are_dropped() {
    if std::env::var_os(OF_PARENT).is_some() {
        return within_namespace();
    }
    let _alone = alone();
    let is_root = rustix::process::geteuid().is_root();
    let test = std::env::current_exe().expect("this program has a path");
    let mut inner = Command::new("unshare");
    inner.arg(if is_root { "-n" } else { "-rn" }).arg(test);
    inner.args(["--exact", "dropped::packets_that_are_dropped", "--nocapture"]);
    inner.env(OF_PARENT, Cluster::shared().folder());
    assert!(inner.status().expect("unshare is there").success(), "it failed within its network namespace");
}

/// The namespace that the program runs in, and the cable between its database and it.
struct Cable {
    /// Holds the namespace.
    holder: Child,
}

const HERE: &str = "10.77.2.1";
const THERE: &str = "10.77.2.2";
const CLIENTS: &str = "10.77.1.1";
const PROGRAM: &str = "10.77.1.2";

impl Cable {
    fn lay() -> Cable {
        let mut holder = Command::new("unshare");
        let holder = holder.args(["-n", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let cable = Cable { holder: holder.expect("unshare is there") };
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let pid = cable.holder.id().to_string();
        until("there is a namespace", || namespace(&pid) != namespace("self"));
        cable.here("ip link set lo up");
        cable.there("ip link set lo up");
        for (name, here, there) in [("clients", CLIENTS, PROGRAM), ("database", HERE, THERE)] {
            cable.here(&format!("ip link add {name} type veth peer name {name} netns {pid}"));
            cable.here(&format!("ip addr add {here}/24 dev {name}"));
            cable.there(&format!("ip addr add {there}/24 dev {name}"));
            cable.here(&format!("ip link set {name} up"));
            cable.there(&format!("ip link set {name} up"));
        }
        cable
    }

    fn here(&self, line: &str) {
        let (program, arguments) = line.split_once(' ').expect("a program and its arguments");
        run(program, &arguments.split(' ').map(AsRef::as_ref).collect::<Vec<_>>());
    }

    fn there(&self, line: &str) {
        self.here(&format!("{} {line}", self.enter().join(" ")));
    }

    /// What runs a program in the namespace.
    fn enter(&self) -> Vec<String> {
        ["nsenter", "-n", "-t", &self.holder.id().to_string()].map(str::to_owned).into()
    }

    /// Whether somebody in the namespace gets a connection to here, before a second is over.
    fn leads_to(&self, port: u16) -> bool {
        let connect = format!(": <>/dev/tcp/{HERE}/{port}");
        let enter = self.enter();
        let mut command = Command::new(&enter[0]);
        command.args(&enter[1..]).args(["timeout", "1", "bash", "-c", &connect]);
        let status = command.stderr(Stdio::null()).status().expect("nsenter is there");
        // timeout(1) exits with 124 when the time is over. A refusal would be an answer.
        assert!(matches!(status.code(), Some(0 | 124)), "{status}");
        status.success()
    }

    fn cut(&self) -> Cut<'_> {
        const WRONG: &str = "lladdr 02:00:00:00:00:01 dev database nud permanent";
        self.here(&format!("ip neigh replace {THERE} {WRONG}"));
        self.there(&format!("ip neigh replace {HERE} {WRONG}"));
        Cut(self)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// The cable is whole again when this is dropped.
struct Cut<'a>(&'a Cable);

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        self.0.here(&format!("ip neigh del {THERE} dev database"));
        self.0.there(&format!("ip neigh del {HERE} dev database"));
    }
}

fn within_namespace() {
    let cable = Cable::lay();
    let relay = Relay::at(&format!("{HERE}:0"), Cluster::shared());
    let port = relay.address.port();
    let url = |_: &'static Cluster, database: &str| relay.url(database) + " sslmode=disable";
    let start =
        |setup: crate::support::server::Setup| setup.under(&cable.enter()).with("LISTEN", format!("{PROGRAM}:0"));
    let trial = Trial::starting(url, start);
    assert!(cable.leads_to(port));
    trial.withstands("packets are dropped", HUNG, || cable.cut(), || assert!(!cable.leads_to(port)));
    assert!(cable.leads_to(port));
}
