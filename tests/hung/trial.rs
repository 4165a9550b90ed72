//! A program under trial: its database fails in some way while clients go on asking, and each answer is timed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde_json::json;

use crate::cluster::Cluster;
use crate::support::client::{Client, Request};
use crate::support::server::{Server, Setup};
use crate::verdict::{
    Answered, BACK, BOUND, BOUND_KINDS, Clock, Expected, FREE, FREE_KINDS, Found, Log, RECOVERY, SetOnDrop, Times,
    Vitals, until,
};

/// The workers of each lane.
const WORKERS: [(&str, usize); 3] = [("WORKERS", 4), ("WRITE_WORKERS", 8), ("SLOW_WORKERS", 2)];

/// How many connections the pool may have with these.
const POOL: usize = 24;
/// The descriptors of a connection to Postgres, with those of what waits for it.
const CONNECTION: u64 = 4;

/// A program under trial.
pub struct Trial<'a> {
    pub server: Server,
    pub cluster: &'static Cluster,
    pub database: String,
    pub user: Client,
    contact: String,
    serial: AtomicU64,
    /// The names of contacts whose creation was acknowledged.
    pub acknowledged: Mutex<Vec<String>>,
    /// Connects to what must have kept all that was acknowledged.
    pub witness: Box<dyn Fn() -> postgres::Client + Sync + 'a>,
    _alone: MutexGuard<'static, ()>,
}

/// Only one test at a time: each measures the machine, and may stop the cluster of all.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock()
}

impl<'a> Trial<'a> {
    /// A program on a database of its own, at the URL that leads to it, with a pool that is warm and full.
    pub fn on(url: impl FnOnce(&'static Cluster, &str) -> String) -> Trial<'a> {
        Trial::starting(url, |setup| setup)
    }

    /// The same, started in another way.
    pub fn starting(
        url: impl FnOnce(&'static Cluster, &str) -> String,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Trial<'a> {
        let trial = Trial::lazily(url, change);
        trial.fill_pool();
        trial
    }

    /// The same, with a pool of a connection or two.
    pub fn lazily(
        url: impl FnOnce(&'static Cluster, &str) -> String,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Trial<'a> {
        let alone = alone();
        let cluster = Cluster::shared();
        let database = cluster.new_database();
        let mut setup = Setup::at(&url(cluster, &database));
        for (name, number) in WORKERS {
            setup = setup.with(name, number.to_string());
        }
        let server = change(setup).ready();
        let user = server.client().new_user("a@example.com");
        server.client().new_user("b@example.com");
        let contact = format!("/api/contacts/{}", user.new_contact(&json!({ "first_name": "A" })));
        let (serial, acknowledged) = (AtomicU64::new(0), Mutex::default());
        let name = database.clone();
        let witness = Box::new(move || cluster.client(&name));
        Trial { server, cluster, database, user, contact, serial, acknowledged, witness, _alone: alone }
    }

    /// Has every worker take a connection, by a lock that all wait for.
    pub fn fill_pool(&self) {
        // One for files, since a user has one file at a time.
        let workers = WORKERS[0].1 + WORKERS[1].1 + 1;
        let mut admin = self.cluster.client(&self.database);
        let mut lock = admin.transaction().expect("a transaction");
        lock.batch_execute("lock table contacts in access exclusive mode").expect("a lock");
        let full = AtomicBool::new(false);
        let request = |lane: usize| match lane {
            0 => self.user.get(&self.contact),
            1 => self.user.patch(&self.contact, &json!({ "last_name": "B" })),
            _ => self.user.get("/api/contacts/export"),
        };
        let (full, request) = (&full, &request);
        thread::scope(|scope| {
            let set = SetOnDrop(full);
            for (lane, (_, workers)) in WORKERS.into_iter().enumerate() {
                for _ in 0..workers {
                    // Again and again, since they do not wait for a lock for long.
                    scope.spawn(move || {
                        while !full.load(SeqCst) {
                            request(lane).send();
                        }
                    });
                }
            }
            until("the pool is full", || self.connections() >= workers);
            drop(set);
            lock.rollback().expect("the lock is let go");
        });
    }

    /// How many connections the program has to its database.
    pub fn connections(&self) -> usize {
        let count = "select count(*) from pg_stat_activity where datname = current_database() and usename = 'contactd'";
        let row = self.cluster.client(&self.database).query_one(count, &[]).expect("a count");
        usize::try_from(row.get::<_, i64>(0)).expect("a number")
    }

    /// Begins a failure, goes on asking until enough was asked while it lasts, and ends it by dropping what `begin` returned.
    /// `proof` fails unless the failure is in force.
    pub fn withstands<G>(&self, what: &str, expected: Expected, begin: impl FnOnce() -> G, proof: impl Fn()) {
        let before = self.rest();
        // The pool may have all the connections that it may have, afterwards.
        let grown = CONNECTION * (POOL as u64).saturating_sub(self.connections() as u64);
        let log = Log::default();
        let over = AtomicBool::new(false);
        let (clock, times) = thread::scope(|scope| {
            let _over = SetOnDrop(&over);
            let clock = scope.spawn(|| Clock::watch(self.server.pid(), &over));
            let (log, over) = (&log, &over);
            for (kind, method, path, _) in FREE_KINDS {
                scope.spawn(move || self.ask(kind, 100, log, over, || self.free(kind, method, path)));
            }
            scope.spawn(|| self.ask("readyz", 100, log, over, || self.server.client().get("/readyz")));
            for (name, _, clients, every) in BOUND_KINDS {
                for _ in 0..clients {
                    scope.spawn(move || self.ask(name, every, log, over, || self.bound(name)));
                }
            }
            until("clients ask", || BOUND_KINDS.iter().all(|(name, ..)| log.count(name, |_| true) > 0));
            let times = self.fail(log, expected, begin, proof);
            drop(_over);
            (clock.join().expect("the clock's thread"), times)
        });
        let (after, recovery) = self.recover(&before, grown);
        let (what, log) = (what.to_owned(), log.0.into_inner());
        let found = Found { what, log, times, clock, before, after, recovery };
        println!("{}", found.row());
        found.judge(expected);
        self.nothing_is_lost();
    }

    /// Begins a failure when a crowd is about to come, each of which asks once and at the same time, and ends it when all have
    /// their answer.
    pub fn meets_crowd<G>(&self, what: &str, may_be_well: bool, begin: impl FnOnce() -> G, proof: impl Fn()) {
        const KINDS: [(&str, u16); 3] = [("read", 200), ("write", 201), ("login", 200)];
        let ask_once = |number: usize| {
            let sent = Instant::now();
            let Some((kind, well)) = KINDS.get(number % 4) else {
                self.server.client().get("/livez").send().expect(200);
                return (3, sent.elapsed());
            };
            let status = self.bound(kind).send().status;
            assert!(status == 503 || may_be_well && status == *well, "{kind}: {status}");
            (number % 4, sent.elapsed())
        };
        let failure = begin();
        proof();
        let (mut longest, over) = ([Duration::ZERO; 4], AtomicBool::new(false));
        let clock = thread::scope(|scope| {
            let over = SetOnDrop(&over);
            let watched = over.0;
            let clock = scope.spawn(move || Clock::watch(self.server.pid(), watched));
            let crowd: Vec<_> = (0..400).map(|number| scope.spawn(move || ask_once(number))).collect();
            for one in crowd {
                let (kind, took) = one.join().expect("an answer");
                longest[kind] = longest[kind].max(took);
            }
            drop(over);
            clock.join().expect("the clock's thread")
        });
        proof();
        drop(failure);
        let returned = Instant::now();
        until("the service is back", || self.asked_well());
        let back = returned.elapsed();
        println!("{what}, a crowd of 400: read, write, login, livez {longest:?}; back after {back:?}");
        let allowance = clock.allowance();
        assert!(longest[..3].iter().all(|longest| *longest < BOUND + allowance), "{longest:?}");
        assert!(longest[3] < FREE + allowance && back < BACK + allowance, "{longest:?}, {back:?}");
        self.nothing_is_lost();
    }

    fn fail<G>(&self, log: &Log, expected: Expected, begin: impl FnOnce() -> G, proof: impl Fn()) -> Times {
        let began = Instant::now();
        let failure = begin();
        let in_force = Instant::now();
        proof();
        let asked = |log: &Log, kind: &str| log.count(kind, |a| a.sent > in_force);
        until("enough was asked meanwhile", || {
            FREE_KINDS.iter().all(|(kind, ..)| asked(log, kind) >= 50)
                && BOUND_KINDS.iter().all(|(kind, ..)| asked(log, kind) >= 8)
        });
        if expected.unready == Some(true) {
            until("it is not ready", || log.last("readyz").is_some_and(|a| a.status == 503));
        }
        if expected.back_meanwhile {
            log.await_service(in_force);
        }
        proof();
        let ended = Instant::now();
        drop(failure);
        let returned = if expected.back_meanwhile { in_force } else { Instant::now() };
        log.await_service(ended);
        Times { began, in_force, ended, returned }
    }

    fn free(&self, kind: &str, method: &str, path: &str) -> Request {
        let client = self.server.client();
        match kind {
            "401 get" => client.with_token("malformed").request(method, path),
            "401 post" => client.with_token("malformed").request(method, path).json(&json!({ "first_name": "A" })),
            // It is told by its head alone.
            "413" => client.request(method, path).header("Content-Length", "2000000"),
            _ => client.request(method, path),
        }
    }

    pub fn bound(&self, kind: &str) -> Request {
        match kind {
            "read" => self.user.get(&self.contact),
            "list" => self.user.get("/api/contacts?limit=5"),
            "write" => {
                let name = format!("W{}", self.serial.fetch_add(1, SeqCst));
                self.user.post("/api/contacts", &json!({ "first_name": name }))
            }
            "login" => {
                // Another user's, whose hundredth session ends the first.
                let login = json!({ "email": "b@example.com", "password": "123456" });
                self.server.client().post("/api/auth/login", &login)
            }
            _ => self.server.client().get("/healthchecker"),
        }
    }

    fn ask(&self, kind: &'static str, every: u64, log: &Log, over: &AtomicBool, request: impl Fn() -> Request) {
        while !over.load(SeqCst) {
            let request = request();
            let sent = Instant::now();
            let answer = request.try_send().ok();
            let took = sent.elapsed();
            if kind == "write"
                && let Some(answer) = answer.as_ref().filter(|answer| answer.status == 201)
            {
                let name = answer.json()["first_name"].as_str().expect("a name").to_owned();
                self.acknowledged.lock().push(name);
            }
            let status = answer.map_or(0, |answer| answer.status);
            log.0.lock().entry(kind).or_default().push(Answered { sent, took, status });
            thread::sleep(Duration::from_millis(every).saturating_sub(took));
        }
    }

    /// Whether a read and a write are answered well.
    pub fn asked_well(&self) -> bool {
        let rename = self.user.patch(&self.contact, &json!({ "last_name": "B" }));
        self.user.get(&self.contact).send().status == 200 && rename.send().status == 200
    }

    /// What was acknowledged is there, and nothing is there twice.
    pub fn nothing_is_lost(&self) {
        let rows = (self.witness)().query("select first_name from contacts", &[]).expect("rows");
        let mut counts = BTreeMap::<String, usize>::new();
        for row in rows {
            *counts.entry(row.get(0)).or_default() += 1;
        }
        let acknowledged = self.acknowledged.lock();
        let lost: Vec<_> = acknowledged.iter().filter(|name| !counts.contains_key(*name)).collect();
        assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
        counts.retain(|_, count| *count > 1);
        assert!(counts.is_empty(), "doubled: {counts:?}");
    }

    /// What the process takes when all is still.
    fn rest(&self) -> Vitals {
        let mut last = Vitals::of(self.server.pid());
        let deadline = Instant::now() + RECOVERY;
        loop {
            // Longer than a spare thread stays.
            thread::sleep(Duration::from_millis(1100));
            let now = Vitals::of(self.server.pid());
            if now == last {
                return now;
            }
            assert!(Instant::now() < deadline, "it does not come to rest: {last:?}, {now:?}");
            last = now;
        }
    }

    /// Waits until the process takes what it did before; how long that was.
    fn recover(&self, before: &Vitals, grown: u64) -> (Vitals, Duration) {
        let started = Instant::now();
        loop {
            let now = Vitals::of(self.server.pid());
            let is_back = now.threads <= before.threads + 2 && now.descriptors <= before.descriptors + grown + 8;
            if is_back || started.elapsed() >= RECOVERY {
                return (now, started.elapsed());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}
