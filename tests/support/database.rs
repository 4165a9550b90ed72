//! A database of its own for every test, on the server that `DATABASE_URL` names.
//!
//! `make test` brings a throwaway server; any other will do whose role may create databases.
//! A test process migrates one template and clones it for each test, which takes
//! milliseconds where migrating takes much longer, and gives every test the same start.
//!
//! Test processes may run side by side on one server, from several checkouts, and may be
//! killed. So all databases of a process carry its random number in their names, and the
//! process holds an advisory lock on that number as long as it lives: a database whose lock
//! is free was left behind, and the next process drops it. (Normally that is the template
//! alone, for nothing runs at the end of a Rust test process. Sharing one template between
//! processes was rejected: it goes stale when the migrating code changes.)

// Each test binary brings in this module and uses a part of it.
#![allow(dead_code)]

use postgres::{Client, NoTls};
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

/// What every database name here starts with; the process's number and a serial follow.
const PREFIX: &str = "contactd_test_";

/// First half of the advisory locks' key, the second being the process's number. It keeps
/// them apart from the locks that the program itself takes ("test" in ASCII).
const LOCK_CLASS: i32 = 0x7465_7374;

/// How long `kick` waits for connections to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A database that exists as long as this handle; dropping it ends all connections to it.
pub struct Database {
    name: String,
}

impl Database {
    /// A database that `migrate` has migrated. The function gets the URL of the template,
    /// once per process; every call in a process must therefore pass the same one.
    pub fn fresh(migrate: fn(url: &str)) -> Database {
        static TEMPLATE: OnceLock<String> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let name = unused_name();
            create(&name, "template0", "UTF8");
            migrate(&url_of(&name));
            // A template must have no connections: `migrate` may have left some in a pool.
            close(&name);
            name
        });
        let name = unused_name();
        create(&name, template, "UTF8");
        Database { name }
    }

    /// A database with nothing in it, for tests of the migrations themselves.
    pub fn empty() -> Database {
        Database::in_encoding("UTF8")
    }

    /// The same in another encoding.
    pub fn in_encoding(encoding: &str) -> Database {
        let name = unused_name();
        create(&name, "template0", encoding);
        Database { name }
    }

    /// A copy of it as it is now, to the last row and sequence: what a backup is, and comes back as. Its connections are cut.
    pub fn copy(&self) -> Database {
        close(&self.name);
        let name = unused_name();
        create(&name, &self.name, "UTF8");
        self.allow();
        Database { name }
    }

    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What to set as the program's `DATABASE_URL`.
    pub fn url(&self) -> String {
        url_of(&self.name)
    }

    /// A new connection to it, for a look behind the program's back.
    pub fn client(&self) -> Client {
        connect(&self.url())
    }

    /// The places of these texts in its order of names, equal for texts that are equal to it.
    pub fn ranks(&self, texts: &[String]) -> BTreeMap<String, i64> {
        let ranked =
            "select text, dense_rank() over (order by text collate name_order) from unnest($1::text[]) as text";
        let rows = self.client().query(ranked, &[&texts]).expect("it is migrated");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Makes the database go away for its clients: when this returns, every connection to
    /// it has been cut, and new ones are refused until [`Database::allow`].
    pub fn kick(&self) {
        close(&self.name);
    }

    /// Makes the database accept connections again, with all its rows.
    pub fn allow(&self) {
        connect(server())
            .batch_execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name))
            .expect("the test's role may alter its own databases");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Not `expect`: a panic here, while a failed test unwinds, would abort the process
        // and hide the test's own message.
        let dropped = Client::connect(server(), NoTls).and_then(|mut admin| drop_database(&mut admin, &self.name));
        if let Err(error) = dropped {
            eprintln!("could not drop the test database {}: {error}", self.name);
        }
    }
}

/// The server, as its administrator connects: `DATABASE_URL` as given.
fn server() -> &'static str {
    static SERVER: OnceLock<String> = OnceLock::new();
    SERVER.get_or_init(|| match std::env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => url,
        _ => panic!("DATABASE_URL is not set: run the tests with `make test`, which brings a Postgres of its own"),
    })
}

/// `DATABASE_URL` with another database. Both of its forms let a later `dbname` win over an
/// earlier one, so nothing of it needs to be understood.
fn url_of(name: &str) -> String {
    let server = server();
    let is_url = server.starts_with("postgres://") || server.starts_with("postgresql://");
    let separator = match (is_url, server.contains('?')) {
        (true, true) => "&",
        (true, false) => "?",
        (false, _) => " ",
    };
    format!("{server}{separator}dbname={name}")
}

fn connect(url: &str) -> Client {
    Client::connect(url, NoTls).unwrap_or_else(|error| panic!("the tests' Postgres does not answer at {url}: {error}"))
}

/// A name for a database of this process. The first call takes the process's number and
/// clears away what dead processes left.
fn unused_name() -> String {
    /// The connection holds the lock: it must last as long as the process.
    static OWNER: OnceLock<(u32, Mutex<Client>)> = OnceLock::new();
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let (owner, _) = OWNER.get_or_init(|| {
        let mut keeper = connect(server());
        let owner = loop {
            // The standard library's only source of randomness, and enough of it here.
            let candidate = RandomState::new().hash_one(std::process::id()) as u32;
            if try_lock(&mut keeper, candidate) {
                break candidate;
            }
        };
        sweep();
        (owner, Mutex::new(keeper))
    });
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{owner:08x}_{serial}")
}

/// Takes the lock of a process's number for as long as the connection lives, if it is free.
fn try_lock(client: &mut Client, owner: u32) -> bool {
    client
        .query_one("SELECT pg_try_advisory_lock($1, $2)", &[&LOCK_CLASS, &owner.cast_signed()])
        .expect("the tests' Postgres grants advisory locks")
        .get(0)
}

/// Drops the databases of processes that no longer live. On a connection of its own, whose
/// end gives back the locks taken here.
fn sweep() {
    let mut admin = connect(server());
    let rows = admin
        .query("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)", &[&PREFIX])
        .expect("anyone may read the list of databases");
    for row in rows {
        let name: String = row.get(0);
        let owner = name[PREFIX.len()..].split('_').next().and_then(|hex| u32::from_str_radix(hex, 16).ok());
        if owner.is_some_and(|owner| try_lock(&mut admin, owner)) {
            // Another role's database cannot be dropped, and someone else may just have.
            drop_database(&mut admin, &name).ok();
        }
    }
}

/// Creates a database in UTF-8 and in the C locale, whatever the server's own are: tests
/// must not depend on them. Names are made here, from letters and digits: they need no quotes.
fn create(name: &str, template: &str, encoding: &str) {
    let statement =
        format!("CREATE DATABASE {name} TEMPLATE {template} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
    connect(server())
        .batch_execute(&statement)
        .unwrap_or_else(|error| panic!("{statement}: {error:?} (the tests' role needs CREATEDB)"));
}

/// Refuses new connections, then cuts those there are and waits until none is left.
fn close(name: &str) {
    let mut admin = connect(server());
    admin
        .batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        .expect("the test's role may alter its own databases");
    let deadline = Instant::now() + PATIENCE;
    loop {
        // Again each time: a connection may have been let in just before, and show up late.
        let left = admin
            .query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", &[&name])
            .expect("a role may end its own connections")
            .len();
        if left == 0 {
            return;
        }
        assert!(Instant::now() < deadline, "{left} connections to {name} outlive their end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn drop_database(admin: &mut Client, name: &str) -> Result<(), postgres::Error> {
    // FORCE (Postgres 13) also cuts connections that a test's server still holds.
    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
}
