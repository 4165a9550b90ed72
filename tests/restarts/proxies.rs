//! Two instances, each restarted again and again, behind a real nginx and a real HAProxy, under clients that repeat nothing.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use contactd::store::migrations::MIGRATIONS;

use crate::support::client::Client;
use crate::support::server::{Setup, database};
use crate::support::{eventually, steady};

const RESTARTS: usize = 10;

/// A running proxy and its folder. Dropping it ends it.
struct Proxy {
    process: Child,
    folder: PathBuf,
    address: SocketAddr,
}

/// An address that is free now; each is a different one.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address")
}

impl Proxy {
    /// This program, with this configuration, as its arguments name it.
    fn start(name: &str, configuration: impl FnOnce(SocketAddr, &str) -> String, arguments: &[&str]) -> Proxy {
        let (address, own) = (free(), std::process::id());
        let folder = std::env::temp_dir().join(format!("contactd-{name}-{own}"));
        fs::create_dir_all(&folder).expect("a folder");
        let text = configuration(address, folder.to_str().expect("UTF-8"));
        fs::write(folder.join("conf"), text).expect("the folder can be written");
        let missing = |error| panic!("{name} is missing (Debian: apt-get install nginx-light haproxy): {error}");
        let mut command = Command::new(name);
        command.current_dir(&folder).args(arguments).stdin(Stdio::null());
        let process = command.spawn().unwrap_or_else(missing);
        let client = Client::new(address);
        let proxy = Proxy { process, folder, address };
        eventually("the proxy answers", || client.get("/readyz").try_send().is_ok_and(|answer| answer.status == 200));
        proxy
    }

    /// With the example's upstream, for two servers.
    fn nginx(servers: [SocketAddr; 2]) -> Proxy {
        let configuration = |address, folder: &str| {
            let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
            let temporary = temporary.map(|kind| format!("{kind}_temp_path {folder}/{kind};")).join("\n");
            let (upstream, _) = include_str!("../../docs/deploy/nginx.conf").split_once("\n}\n").expect("an upstream");
            let server = |server: SocketAddr| format!("server {server} max_fails=0;");
            let both = servers.map(server).join("\n");
            let known = "server 127.0.0.1:8000 max_fails=0;";
            assert!(upstream.contains(known), "the example has no {known}");
            format!(
                "daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\nhttp {{\naccess_log off; {temporary}\n\
                 {}\n}}\nserver {{\nlisten {address};\nproxy_http_version 1.1;\n\
                 proxy_set_header Connection \"\";\nlocation / {{ proxy_pass http://contactd; }}\n}}\n}}\n",
                upstream.replace(known, &both)
            )
        };
        Proxy::start("nginx", configuration, &["-p", ".", "-c", "conf", "-e", "error.log"])
    }

    /// As README says.
    fn haproxy(servers: [SocketAddr; 2]) -> Proxy {
        let configuration = |address, _: &str| {
            let [one, other] = servers;
            let readme = include_str!("../../README.md");
            let example = readme.split("```haproxy\n").nth(1).and_then(|rest| rest.split("```").next());
            let backend = example.expect("an example");
            let backend =
                backend.replace("10.0.0.1:8000", &one.to_string()).replace("10.0.0.2:8000", &other.to_string());
            format!(
                "defaults\nmode http\ntimeout connect 2s\ntimeout client 30s\ntimeout server 30s\n\
                 frontend front\nbind {address}\ndefault_backend contactd\n{backend}"
            )
        };
        Proxy::start("haproxy", configuration, &["-db", "-f", "conf"])
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", fs::read_to_string(self.folder.join("error.log")).unwrap_or_default());
        }
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Restarts two instances by turns while clients ask through the proxy. Halfway a newer release has migrated the database, and what
/// is started from then on is a way back.
fn restarts_fail_nothing(proxy: fn([SocketAddr; 2]) -> Proxy) {
    let database = database();
    let addresses = [free(), free()];
    let setup = Setup::on(&database).with("SHUTDOWN_DELAY", "2");
    let setups = addresses.map(|address| setup.clone().with("LISTEN", address.to_string()));
    let mut servers = setups.each_ref().map(Setup::ready);
    let proxy = proxy(addresses);
    let user = servers[0].client().new_user("a@example.com");
    let user = Client { address: proxy.address, ..user };
    let tally = steady::ask(&user, 24, |tally| {
        for turn in 0..RESTARTS {
            let (server, setup) = (&mut servers[turn % 2], &setups[turn % 2]);
            server.signal("TERM");
            assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(0));
            *server = setup.ready();
            if turn == RESTARTS / 2 {
                let (newer, known) = (MIGRATIONS.len() + 1, MIGRATIONS.len());
                let sql = format!(
                    "begin; alter table contacts add column nickname text; insert into schema_migrations \
                     (version, name, min_program) values ({newer}, 'of_a_test', {known}); commit"
                );
                database.client().batch_execute(&sql).expect("a newer schema");
            }
            // Both are at work before the other one goes. HAProxy looks twice a second.
            let so_far = tally.answered.load(SeqCst);
            eventually("they are at work", || tally.answered.load(SeqCst) > so_far + 24 * 20);
        }
    });
    println!("{} requests, {} failed", tally.answered.load(SeqCst), tally.failures.lock().unwrap().len());
    assert!(servers.iter().all(|server| server.log().contains("can work on it")), "they started on the newer schema");
    tally.expect_no_failure();
}

#[test]
fn behind_nginx_restarts_fail_nothing() {
    restarts_fail_nothing(Proxy::nginx);
}

#[test]
fn behind_haproxy_restarts_fail_nothing() {
    restarts_fail_nothing(Proxy::haproxy);
}
