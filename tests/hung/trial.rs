//! A program under trial: its database fails in some way while clients go on asking, and each answer is timed.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde_json::json;

use crate::cluster::Cluster;
use crate::support::client::{Client, Request};
use crate::support::eventually;
use crate::support::server::{Server, Setup};

/// What the contract allows: for what needs no database, for what needs it, and for the service to be back.
const FREE: Duration = Duration::from_secs(1);
const BOUND: Duration = Duration::from_secs(3);
const BACK: Duration = Duration::from_secs(5);
/// The clients' own scheduling, on two busy cores.
const ALLOWANCE: Duration = Duration::from_millis(200);
/// Threads and descriptors are back within this time.
const RECOVERY: Duration = Duration::from_secs(20);
/// Nothing here takes longer, unless a test fails.
const PATIENCE: Duration = Duration::from_secs(40);

/// What is asked ten times a second and needs no database, and its answer.
const FREE_KINDS: [(&str, &str, &str, u16); 9] = [
    ("livez", "GET", "/livez", 200),
    ("docs", "GET", "/docs", 200),
    ("openapi", "GET", "/openapi.json", 200),
    ("index", "GET", "/", 200),
    ("404", "GET", "/nowhere", 404),
    ("405", "DELETE", "/livez", 405),
    ("401 get", "GET", "/api/contacts", 401),
    ("401 post", "POST", "/api/contacts", 401),
    ("413", "POST", "/api/auth/login", 413),
];
/// What needs the database, the answer when all is well, how many clients ask, and how often each.
const BOUND_KINDS: [(&str, u16, usize, u64); 5] = [
    ("read", 200, 6, 200),
    ("list", 200, 2, 200),
    ("write", 201, 10, 250),
    ("login", 200, 3, 700),
    ("health", 200, 2, 200),
];
const WORKERS: [(&str, usize); 3] = [("WORKERS", 4), ("WRITE_WORKERS", 8), ("SLOW_WORKERS", 2)];

/// One answer.
#[derive(Debug, Clone, Copy)]
struct Answered {
    sent: Instant,
    took: Duration,
    /// 0 where there was none.
    status: u16,
}

/// How the program must behave while the database fails.
#[derive(Clone, Copy)]
pub struct Expected {
    /// Whether reads may succeed.
    pub reads: bool,
    /// Whether writes may succeed.
    pub writes: bool,
    /// Whether `/readyz` must become 503, or must not, if either.
    pub unready: Option<bool>,
    /// Whether the service must be back while the failure lasts.
    pub back_meanwhile: bool,
}

/// Nothing of the database answers.
pub const HUNG: Expected = Expected { reads: false, writes: false, unready: Some(true), back_meanwhile: false };

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
        let contact = format!("/api/contacts/{}", user.new_contact(&json!({ "first_name": "A" })));
        let (serial, acknowledged) = (AtomicU64::new(0), Mutex::default());
        let name = database.clone();
        let witness = Box::new(move || cluster.client(&name));
        Trial { server, cluster, database, user, contact, serial, acknowledged, witness, _alone: alone }
    }

    /// Has every worker take a connection, by a lock that all wait for.
    pub fn fill_pool(&self) {
        // A user has one file at a time.
        let workers = WORKERS[0].1 + WORKERS[1].1 + 1;
        let mut admin = self.cluster.client(&self.database);
        let mut lock = admin.transaction().expect("a transaction");
        lock.batch_execute("lock table contacts in access exclusive mode").expect("a lock");
        // Again, where the pool could not open all of them before the lock was given up.
        eventually("the pool is full", || {
            thread::scope(|scope| {
                for _ in 0..WORKERS[0].1 {
                    scope.spawn(|| self.user.get(&self.contact).send());
                }
                for _ in 0..WORKERS[1].1 {
                    scope.spawn(|| self.user.patch(&self.contact, &json!({ "last_name": "B" })).send());
                }
                scope.spawn(|| self.user.get("/api/contacts/export").send());
            });
            self.connections() >= workers
        });
        lock.rollback().expect("the lock is let go");
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
        let log = Log::default();
        let over = AtomicBool::new(false);
        let (clock, times) = thread::scope(|scope| {
            let _over = SetOnDrop(&over);
            let clock = scope.spawn(|| Clock::watch(self.server.pid(), &over));
            let (log, over) = (&log, &over);
            for kind in 0..FREE_KINDS.len() {
                scope.spawn(move || self.ask(FREE_KINDS[kind].0, 100, log, over, || self.free(kind)));
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
        let after = self.recover(&before);
        let log = log.0.into_inner();
        println!("{}", row(what, &log, &times, &clock, &before, &after));
        judge(what, &log, &times, &clock, expected);
        assert!(after.1 < RECOVERY, "{what}: before {before:?}, {:?} after it {:?}", after.1, after.0);
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

    fn free(&self, kind: usize) -> Request {
        let (name, method, path, _) = FREE_KINDS[kind];
        let client = self.server.client();
        match name {
            "401 get" => client.with_token("malformed").request(method, path),
            "401 post" => client.with_token("malformed").request(method, path).json(&json!({ "first_name": "A" })),
            // It is told by its head alone.
            "413" => client.request(method, path).header("Content-Length", "2000000"),
            _ => client.request(method, path),
        }
    }

    fn bound(&self, kind: &str) -> Request {
        match kind {
            "read" => self.user.get(&self.contact),
            "list" => self.user.get("/api/contacts?limit=5"),
            "write" => {
                let name = format!("W{}", self.serial.fetch_add(1, SeqCst));
                self.user.post("/api/contacts", &json!({ "first_name": name }))
            }
            "login" => {
                let login = json!({ "email": "a@example.com", "password": "123456" });
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
    fn recover(&self, before: &Vitals) -> (Vitals, Duration) {
        let started = Instant::now();
        loop {
            let now = Vitals::of(self.server.pid());
            let is_back = now.threads <= before.threads + 2
                // The pool may have grown to its full size meanwhile, by up to 12 connections of 4 descriptors each.
                && now.descriptors <= before.descriptors + before.descriptors / 10 + 8 + 12 * 4;
            if is_back || started.elapsed() >= RECOVERY {
                return (now, started.elapsed());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// When a failure began, was in force, was about to end, and had ended.
struct Times {
    began: Instant,
    in_force: Instant,
    ended: Instant,
    returned: Instant,
}

#[derive(Default)]
struct Log(Mutex<BTreeMap<&'static str, Vec<Answered>>>);

impl Log {
    fn count(&self, kind: &str, holds: impl Fn(&Answered) -> bool) -> usize {
        self.0.lock().get(kind).map_or(0, |all| all.iter().filter(|a| holds(a)).count())
    }

    /// Waits until all has gone well for a while; not for ever, since the verdict tells more than a panic here.
    fn await_service(&self, since: Instant) {
        let is_well = |kind, well| {
            let log = self.0.lock();
            let latest = log[kind].iter().filter(|a| a.sent > since).rev().take(10);
            latest.filter(|a| a.status == well).count() == 10
        };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline
            && !(is_well("readyz", 200) && BOUND_KINDS.iter().all(|(kind, well, ..)| is_well(kind, *well)))
        {
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn last(&self, kind: &str) -> Option<Answered> {
        self.0.lock().get(kind)?.last().copied()
    }
}

/// How late a thread is woken that has nothing to do with the server, and the most threads that the server had.
struct Clock {
    late: Duration,
    threads: u64,
}

impl Clock {
    fn watch(pid: u32, over: &AtomicBool) -> Clock {
        const NAP: Duration = Duration::from_millis(10);
        let mut clock = Clock { late: Duration::ZERO, threads: 0 };
        while !over.load(SeqCst) {
            let started = Instant::now();
            thread::sleep(NAP);
            clock.late = clock.late.max(started.elapsed().saturating_sub(NAP));
            clock.threads = clock.threads.max(Vitals::of(pid).threads);
        }
        clock
    }

    fn allowance(&self) -> Duration {
        ALLOWANCE + 2 * self.late
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Vitals {
    threads: u64,
    descriptors: u64,
}

impl Vitals {
    fn of(pid: u32) -> Vitals {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).expect("a number of threads");
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours").count() as u64;
        Vitals { threads: line.trim().parse().expect("a number"), descriptors }
    }
}

fn row(
    what: &str,
    log: &BTreeMap<&str, Vec<Answered>>,
    times: &Times,
    clock: &Clock,
    before: &Vitals,
    (after, recovery): &(Vitals, Duration),
) -> String {
    let longest = |kind: &str| log[kind].iter().map(|a| a.took).max().unwrap_or_default();
    let mut text = format!("{what} ({} ms):", (times.ended - times.in_force).as_millis());
    for kind in FREE_KINDS.iter().map(|kind| kind.0).chain(["readyz"]).chain(BOUND_KINDS.iter().map(|kind| kind.0)) {
        text += &format!(" {kind} {}", longest(kind).as_millis());
    }
    let unready = log["readyz"].iter().find(|a| a.sent > times.began && a.status == 503);
    let unready = unready.map(|a| (a.sent + a.took - times.began).as_millis());
    let back = back(log, times).as_millis();
    text += &format!(
        "; readyz 503 after {unready:?}; back after {back}; threads {} ≤ {} → {} and descriptors {} → {} within {}; the machine was {} late",
        before.threads,
        clock.threads,
        after.threads,
        before.descriptors,
        after.descriptors,
        recovery.as_millis(),
        clock.late.as_millis()
    );
    for (kind, ..) in BOUND_KINDS {
        let mut statuses = BTreeMap::<u16, usize>::new();
        for answered in log[kind].iter().filter(|a| a.sent > times.in_force && a.sent + a.took < times.ended) {
            *statuses.entry(answered.status).or_default() += 1;
        }
        text += &format!("; {kind} meanwhile {statuses:?}");
    }
    text
}

/// How long after the database's return the last answer came that was none of a service that is well.
fn back(log: &BTreeMap<&str, Vec<Answered>>, times: &Times) -> Duration {
    let kinds = BOUND_KINDS.iter().map(|(kind, well, ..)| (*kind, *well)).chain([("readyz", 200)]);
    let last = kinds.filter_map(|(kind, well)| {
        let bad = log[kind].iter().filter(|a| a.status != well && a.sent > times.returned);
        bad.map(|a| a.sent + a.took - times.returned).max()
    });
    last.max().unwrap_or_default()
}

fn judge(what: &str, log: &BTreeMap<&str, Vec<Answered>>, times: &Times, clock: &Clock, expected: Expected) {
    let allowance = clock.allowance();
    let mut faults = Vec::new();
    let mut fault = |kind: &str, why: &str, answered: &Answered| {
        let at = answered.sent.saturating_duration_since(times.began);
        let before = times.began.saturating_duration_since(answered.sent);
        faults.push(format!(
            "{kind} {why}: {} after {:?}, sent {at:?} after the beginning (or {before:?} before)",
            answered.status, answered.took
        ));
    };
    for (kind, .., status) in FREE_KINDS {
        for answered in &log[kind] {
            if answered.status != status {
                fault(kind, "is not answered as ever", answered);
            }
            if answered.took > FREE + allowance {
                fault(kind, "takes too long", answered);
            }
        }
    }
    for answered in &log["readyz"] {
        if expected.unready == Some(false) && answered.sent > times.began && answered.status != 200 {
            fault("readyz", "should be ready", answered);
        }
        if ![200, 503].contains(&answered.status) || answered.took > FREE + allowance {
            fault("readyz", "takes too long", answered);
        }
    }
    for (kind, well, ..) in BOUND_KINDS {
        let may_be_well = if matches!(kind, "write" | "login") { expected.writes } else { expected.reads };
        for answered in &log[kind] {
            let is_meanwhile = answered.sent > times.in_force && answered.sent + answered.took < times.ended;
            if answered.took > BOUND + allowance {
                fault(kind, "takes too long", answered);
            } else if answered.sent + answered.took < times.began && answered.status != well {
                fault(kind, "fails before", answered);
            } else if ![well, 503].contains(&answered.status) || is_meanwhile && answered.status == well && !may_be_well
            {
                fault(kind, "has another status", answered);
            }
        }
    }
    let count = faults.len();
    faults.truncate(20);
    assert!(count == 0, "{what}: {count} faults:\n{}", faults.join("\n"));
    let back = back(log, times);
    assert!(back <= BACK + allowance, "{what}: the service is back only {back:?} after the database");
}

/// Waits for a condition of a trial, longer than other tests do.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// So that clients end when a test fails, or its scope would wait for ever.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
