//! A real PgBouncer between the program and Postgres. In transaction mode the Debian release (1.18) runs one client's prepared
//! statement for another, so the program refuses to work; in session mode everything is as without it. `make check-all` runs them.
// The address of the cluster is in the environment.
#![allow(clippy::disallowed_methods)]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use postgres::config::Host;
use postgres::{Client, Config, NoTls};
use serde_json::json;

use support::server::{Server, Setup, command, database};
use support::{eventually, random_secret};

/// A running PgBouncer in front of the tests' Postgres. Dropping it ends it.
struct Pooler {
    process: Child,
    folder: PathBuf,
    port: u16,
}

impl Pooler {
    fn start(settings: &str) -> Pooler {
        let folder = std::env::temp_dir().join(format!("contactd-pooler-{}", &random_secret()[..8]));
        fs::create_dir(&folder).expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let server: Config = std::env::var("DATABASE_URL").expect("`make poolers` sets it").parse().expect("a URL");
        let (host, owner) = match &server.get_hosts()[0] {
            Host::Tcp(name) => (name.clone(), 0),
            Host::Unix(path) => (path.display().to_string(), fs::metadata(path).expect("the cluster's folder").uid()),
        };
        let (user, port) = (server.get_user().unwrap_or("contactd"), server.get_ports().first().unwrap_or(&5432));
        let configuration = format!(
            "[databases]\n* = host={host} port={port} user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = any\nmax_client_conn = 1000\nserver_login_retry = 1\nserver_idle_timeout = 1\n{settings}\n",
            free.port()
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, configuration).expect("the folder can be written");
        let mut program = Command::new("pgbouncer");
        // It does not run as root. Who owns the folder of Postgres' socket can enter it.
        if let Some(owner) = user_named(owner).filter(|_| fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)) {
            program.args(["-u", &owner]);
        }
        let process = program.arg("-q").arg(&file).stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.expect("pgbouncer is there (Debian: pgbouncer)");
        let pooler = Pooler { process, folder, port: free.port() };
        eventually("the pooler answers", || Client::connect(&pooler.url("contactd"), NoTls).is_ok());
        pooler
    }

    fn url(&self, database: &str) -> String {
        format!("postgresql://contactd@127.0.0.1:{}/{database}", self.port)
    }
}

/// The name of a user who is not root.
fn user_named(id: u32) -> Option<String> {
    let of_root = if id == 0 { "65534".to_owned() } else { id.to_string() };
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    users.find(|user| user[2] == of_root).map(|user| user[0].to_owned())
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const REFUSAL: &str = "DATABASE_URL leads through a pooler that mixes up prepared statements";

#[test]
fn transaction_mode_is_refused() {
    let database = database();
    // As PgBouncer is by default, lending in turns, and with one connection for all.
    for settings in ["default_pool_size = 20", "server_round_robin = 1", "default_pool_size = 1"] {
        let pooler = Pooler::start(&format!("pool_mode = transaction\n{settings}"));
        let url = pooler.url(database.name());
        // What an instance that was started before may have left behind.
        for _ in 0..3 {
            let output = command(&[("DATABASE_URL".to_owned(), url.clone())]).arg("migrate").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{settings}: {said}");
            assert_eq!(said.lines().count(), 1, "{settings}: {said}");
            assert!(said.contains(REFUSAL) && said.contains("max_prepared_statements"), "{settings}: {said}");
        }
        let servers = [(); 2].map(|()| Setup::at(&url).start());
        for server in &servers {
            eventually("it says why", || server.log().contains(REFUSAL));
            for path in ["/readyz", "/healthchecker"] {
                assert_eq!(server.client().get(path).send().status, 503, "{settings}");
            }
            let body = json!({ "username": "A", "email": "a@example.com", "password": "123456" });
            assert_eq!(server.client().post("/api/auth/signup", &body).send().status, 503, "{settings}");
        }
        let users = database.client().query_one("select count(*) from users", &[]).unwrap().get::<_, i64>(0);
        assert_eq!(users, 0);
    }
}

#[test]
fn a_pooler_that_is_put_right_is_worked_with_at_once() {
    let database = database();
    let mut pooler = Pooler::start("pool_mode = transaction");
    let server = Setup::at(&pooler.url(database.name())).start();
    eventually("it says why", || server.log().contains(REFUSAL));
    let file = pooler.folder.join("pgbouncer.ini");
    let session = fs::read_to_string(&file).unwrap().replace("transaction", "session");
    fs::write(&file, session).unwrap();
    let _ = Command::new("kill").args(["-s", "HUP", &pooler.process.id().to_string()]).status();
    eventually("it is ready", || server.client().get("/readyz").send().status == 200);
    assert!(pooler.process.try_wait().unwrap().is_none());
    server.client().new_user("a@example.com");
}

#[test]
fn two_instances_in_session_mode_answer_as_without_a_pooler() {
    let database = database();
    let pooler = Pooler::start("pool_mode = session\ndefault_pool_size = 60");
    let setup = Setup::at(&pooler.url(database.name()));
    let servers = [(); 2].map(|()| setup.ready());
    let clients = servers.each_ref().map(Server::client);
    let users = ["a@example.com", "b@example.com"].map(|email| clients[0].new_user(email));
    // One instance has prepared what the other has not, in another order: whoever got another's statement would see it here.
    thread::scope(|scope| {
        for (user, name) in users.iter().zip(["A", "B"]) {
            for client in &clients {
                let user = client.with_token(user.token.as_deref().expect("a token"));
                scope.spawn(move || {
                    for _ in 0..100 {
                        let id = user.new_contact(&json!({ "first_name": name }));
                        let path = format!("/api/contacts/{id}");
                        assert_eq!(user.get(&path).send().expect(200).json()["first_name"], name);
                        user.get("/api/users/me").send().expect(200);
                        user.delete("/api/contacts/calendar").send();
                        user.delete(&path).send().expect(204);
                        user.get(&path).send().expect(404);
                    }
                });
            }
        }
    });
    for user in &users {
        let all = user.get("/api/contacts").send().expect(200);
        assert_eq!(all.json().as_array().expect("a list").len(), 0);
    }
    // A session's end on one instance is known to the other.
    let other = clients[1].with_token(users[0].token.as_deref().expect("a token"));
    users[0].post("/api/auth/logout", &json!({})).send().expect(204);
    eventually("the other one knows", || other.get("/api/users/me").send().status == 401);
}

#[test]
fn the_whole_api_in_session_mode() {
    let pooler = Pooler::start("pool_mode = session\ndefault_pool_size = 60");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let suite = Command::new(env!("CARGO"))
        .current_dir(root)
        // Those of the throttle need forty answers within two seconds, which the pooler's own connections take from them.
        .args(["test", "--test", "api", "--no-fail-fast", "--", "--skip", "throttle::"])
        .env("DATABASE_URL", pooler.url("contactd"))
        .status();
    assert!(suite.expect("cargo is there").success());
}
