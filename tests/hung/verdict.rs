//! What a trial found: each answer with its time, and whether all of them are what the contract says.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// What the contract allows: for what needs no database, for what needs it, and for the service to be back.
pub const FREE: Duration = Duration::from_secs(1);
pub const BOUND: Duration = Duration::from_secs(3);
pub const BACK: Duration = Duration::from_secs(5);
/// The clients' own scheduling, on two busy cores.
const ALLOWANCE: Duration = Duration::from_millis(200);
/// Threads and descriptors are back within this time.
pub const RECOVERY: Duration = Duration::from_secs(20);
/// Nothing here takes longer, unless a test fails.
const PATIENCE: Duration = Duration::from_secs(100);

/// What is asked ten times a second and needs no database, and its answer.
pub const FREE_KINDS: [(&str, &str, &str, u16); 9] = [
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
/// What needs the database, the answer when all is well, how many clients ask, and every how many milliseconds each.
pub const BOUND_KINDS: [(&str, u16, usize, u64); 5] = [
    ("read", 200, 6, 200),
    ("list", 200, 2, 200),
    ("write", 201, 10, 250),
    ("login", 200, 3, 700),
    ("health", 200, 2, 200),
];

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

/// One answer.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    pub sent: Instant,
    pub took: Duration,
    /// 0 where there was none.
    pub status: u16,
}

impl Answered {
    fn came(&self) -> Instant {
        self.sent + self.took
    }
}

/// All answers, by their kind.
#[derive(Default)]
pub struct Log(pub Mutex<BTreeMap<&'static str, Vec<Answered>>>);

impl Log {
    pub fn count(&self, kind: &str, holds: impl Fn(&Answered) -> bool) -> usize {
        self.0.lock().get(kind).map_or(0, |all| all.iter().filter(|a| holds(a)).count())
    }

    /// Waits until all has gone well for a while; not for ever, since the verdict tells more than a panic here.
    pub fn await_service(&self, since: Instant) {
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

    pub fn last(&self, kind: &str) -> Option<Answered> {
        self.0.lock().get(kind)?.last().copied()
    }
}

/// When a failure began, was in force, was about to end, and when the database had returned.
pub struct Times {
    pub began: Instant,
    pub in_force: Instant,
    pub ended: Instant,
    pub returned: Instant,
}

/// How late a thread is woken that has nothing to do with the server, and the most threads that the server had.
pub struct Clock {
    late: Duration,
    threads: u64,
}

impl Clock {
    pub fn watch(pid: u32, over: &AtomicBool) -> Clock {
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

    /// How much later than they should answers may be found to come.
    pub fn allowance(&self) -> Duration {
        ALLOWANCE + 2 * self.late
    }
}

/// What a process takes of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    pub threads: u64,
    pub descriptors: u64,
}

impl Vitals {
    pub fn of(pid: u32) -> Vitals {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:")).expect("a number of threads");
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours").count() as u64;
        Vitals { threads: line.trim().parse().expect("a number"), descriptors }
    }
}

/// All that a trial found.
pub struct Found {
    pub what: String,
    pub log: BTreeMap<&'static str, Vec<Answered>>,
    pub times: Times,
    pub clock: Clock,
    pub before: Vitals,
    pub after: Vitals,
    /// How long it took until the process was what it had been.
    pub recovery: Duration,
}

impl Found {
    /// One line, in milliseconds.
    pub fn row(&self) -> String {
        let Found { what, log, times, clock, before, after, .. } = self;
        let bound = BOUND_KINDS.iter().map(|kind| kind.0);
        let longest = FREE_KINDS.iter().map(|kind| kind.0).chain(["readyz"]).chain(bound).map(|kind| {
            let longest = log[kind].iter().map(|a| a.took).max().unwrap_or_default();
            format!("{kind} {}", longest.as_millis())
        });
        let longest: Vec<_> = longest.collect();
        let statuses = BOUND_KINDS.iter().map(|(kind, ..)| {
            let mut statuses = BTreeMap::<u16, usize>::new();
            log[kind].iter().filter(|a| self.is_meanwhile(a)).for_each(|a| *statuses.entry(a.status).or_default() += 1);
            format!("{kind} {statuses:?}")
        });
        let statuses: Vec<_> = statuses.collect();
        let unready = log["readyz"].iter().find(|a| a.sent > times.began && a.status == 503);
        let unready = unready.map_or("never".to_owned(), |a| (a.came() - times.began).as_millis().to_string());
        format!(
            "{what} ({} ms): longest {}; not ready after {unready}; back after {}; threads {} ≤ {} → {}, descriptors {} → {} \
             within {}; the machine was late by {}; meanwhile {}",
            (times.ended - times.in_force).as_millis(),
            longest.join(", "),
            self.back().as_millis(),
            before.threads,
            clock.threads,
            after.threads,
            before.descriptors,
            after.descriptors,
            self.recovery.as_millis(),
            clock.late.as_millis(),
            statuses.join(", "),
        )
    }

    /// How long after the database's return the last answer came that was none of a service that is well.
    fn back(&self) -> Duration {
        let kinds = BOUND_KINDS.iter().map(|(kind, well, ..)| (*kind, *well)).chain([("readyz", 200)]);
        let last = kinds.filter_map(|(kind, well)| {
            let bad = self.log[kind].iter().filter(|a| a.status != well && a.sent > self.times.returned);
            bad.map(|a| a.came() - self.times.returned).max()
        });
        last.max().unwrap_or_default()
    }

    fn is_meanwhile(&self, answered: &Answered) -> bool {
        answered.sent > self.times.in_force && answered.came() < self.times.ended
    }

    /// Panics unless all is as the contract says.
    pub fn judge(&self, expected: Expected) {
        let mut faults = Vec::new();
        let mut note = |kind: &str, answered: &Answered, fault: Option<&str>| {
            if let Some(fault) = fault {
                let after = answered.sent.saturating_duration_since(self.times.began);
                let before = self.times.began.saturating_duration_since(answered.sent);
                let when = if before.is_zero() { format!("{after:?} after") } else { format!("{before:?} before") };
                let (status, took) = (answered.status, answered.took);
                faults.push(format!("{kind} {fault}: {status} after {took:?}, sent {when} the beginning"));
            }
        };
        for (kind, .., status) in FREE_KINDS {
            self.log[kind].iter().for_each(|a| note(kind, a, self.fault_of_free(a, a.status == status)));
        }
        for answered in &self.log["readyz"] {
            let must_be_ready = expected.unready == Some(false) && answered.sent > self.times.began;
            let is_right = answered.status == 200 || answered.status == 503 && !must_be_ready;
            note("readyz", answered, self.fault_of_free(answered, is_right));
        }
        for (kind, well, ..) in BOUND_KINDS {
            let may_be_well = if matches!(kind, "write" | "login") { expected.writes } else { expected.reads };
            self.log[kind].iter().for_each(|a| note(kind, a, self.fault_of_bound(a, well, may_be_well)));
        }
        let (what, count) = (&self.what, faults.len());
        faults.truncate(20);
        assert!(count == 0, "{what}: {count} faults:\n{}", faults.join("\n"));
        let back = self.back();
        assert!(back <= BACK + self.clock.allowance(), "{what}: the service is back only {back:?} after the database");
        let (before, after) = (self.before, self.after);
        assert!(self.recovery < RECOVERY, "{what}: before {before:?}, {RECOVERY:?} after it {after:?}");
    }

    fn fault_of_free(&self, answered: &Answered, is_right: bool) -> Option<&'static str> {
        match answered {
            _ if !is_right => Some("is not answered as it should be"),
            Answered { took, .. } if *took > FREE + self.clock.allowance() => Some("takes too long"),
            _ => None,
        }
    }

    fn fault_of_bound(&self, answered: &Answered, well: u16, may_be_well: bool) -> Option<&'static str> {
        let is_well = answered.status == well;
        match answered {
            Answered { took, .. } if *took > BOUND + self.clock.allowance() => Some("takes too long"),
            Answered { status, .. } if !is_well && *status != 503 => Some("has another status"),
            _ if !is_well && answered.came() < self.times.began => Some("fails before"),
            _ if is_well && !may_be_well && self.is_meanwhile(answered) => Some("cannot succeed"),
            _ => None,
        }
    }
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
