//! Clients that create contacts, repeat what failed with the same `Idempotency-Key`, and read back what was acknowledged; each answer
//! is timed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::{Answer, Client, Request};

/// Twenty requests a second.
const PACE: Duration = Duration::from_millis(50);
/// Of each kind, at each instance.
pub const WRITERS: usize = 12;
const READERS: usize = 2;
/// What the contract allows for an answer, with the database and without, and how long the service may be away beyond the time that
/// Patroni takes.
const BOUND: Duration = Duration::from_secs(3);
const FREE: Duration = Duration::from_secs(1);
const BACK: Duration = Duration::from_secs(5);
/// How long a client repeats its last request when the test is over.
const PATIENCE: Duration = Duration::from_secs(10);
/// The clients' own scheduling, on two busy cores.
const ALLOWANCE: Duration = Duration::from_millis(200);

/// An instance of the program: how it reaches the database, and a user there.
pub struct Instance {
    pub way: &'static str,
    pub user: Client,
}

/// One answer.
struct Answered {
    way: &'static str,
    what: String,
    sent: Instant,
    took: Duration,
    status: u16,
    /// What is wrong with it whenever it comes.
    fault: Option<String>,
}

impl Answered {
    fn came(&self) -> Instant {
        self.sent + self.took
    }

    fn is_good(&self) -> bool {
        matches!(self.status, 200 | 201)
    }
}

/// What the clients have met.
#[derive(Default)]
pub struct Log {
    answers: Mutex<Vec<Answered>>,
    /// The names that were acknowledged, and the contacts' addresses.
    acknowledged: Mutex<Vec<(String, String)>>,
    /// How late a thread is woken that has nothing to do with the server.
    late: Mutex<Duration>,
}

/// When the leader failed, and when Patroni said that the other one leads.
pub struct Failover {
    pub began: Instant,
    pub promoted: Instant,
}

/// Lets clients of all instances at work while `work` lasts. At its end each has got its last contact acknowledged.
pub fn ask(instances: &[Instance], work: impl FnOnce(&Log)) -> Log {
    let (log, over) = (Log::default(), AtomicBool::new(false));
    thread::scope(|scope| {
        let (log, over) = (&log, &over);
        for instance in instances {
            for number in 0..WRITERS {
                scope.spawn(move || instance.write(number, log, over));
            }
            for number in 0..READERS {
                scope.spawn(move || instance.read(number, log, over));
            }
            scope.spawn(move || instance.probe(log, over));
        }
        scope.spawn(|| log.watch_clock(over));
        // The clients end even if it fails.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(log)));
        over.store(true, SeqCst);
        outcome.unwrap_or_else(|panic| resume_unwind(panic));
    });
    log
}

impl Instance {
    /// Creates one contact after the other, each until it is acknowledged, and reads each back.
    fn write(&self, number: usize, log: &Log, over: &AtomicBool) {
        for serial in 0.. {
            if over.load(SeqCst) {
                return;
            }
            let name = format!("{}-{number}-{serial}", self.way);
            let Some(answer) = self.create(&name, log, over) else { return };
            let contact = format!("/api/contacts/{}", answer.json()["id"]);
            log.acknowledged.lock().unwrap().push((name.clone(), contact.clone()));
            self.read_back(&name, &contact, log);
        }
    }

    /// The answer that acknowledges it; `None` if that did not come soon after the end.
    fn create(&self, name: &str, log: &Log, over: &AtomicBool) -> Option<Answer> {
        let mut over_since = None;
        loop {
            let request =
                self.user.post("/api/contacts", &json!({ "first_name": name })).header("Idempotency-Key", name);
            let answer = self.timed(format!("POST {name}"), request, log, |answer| match answer.status {
                201 if answer.json()["first_name"] != *name => Some("another contact"),
                // The first attempt may be under way still, and for longer than a repeat waits.
                201 | 409 | 503 => None,
                _ => Some("another status"),
            });
            match answer {
                Some(answer) if answer.status == 201 => return Some(answer),
                _ if over.load(SeqCst) && over_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE => {
                    return None;
                }
                _ => {}
            }
        }
    }

    /// Reads contacts back that any instance has acknowledged.
    fn read(&self, number: usize, log: &Log, over: &AtomicBool) {
        for turn in number.. {
            if over.load(SeqCst) {
                return;
            }
            let known = log.acknowledged.lock().unwrap();
            // By turns one of the latest and one of all.
            let index =
                if turn % 2 == 0 { known.len().saturating_sub(1 + turn % 8) } else { turn * 7919 % known.len().max(1) };
            let one = known.get(index).cloned();
            drop(known);
            match one {
                Some((name, contact)) => self.read_back(&name, &contact, log),
                None => thread::sleep(PACE),
            }
        }
    }

    /// Asks what needs no database. Whether it is ready it says by what it found last.
    fn probe(&self, log: &Log, over: &AtomicBool) {
        while !over.load(SeqCst) {
            for (path, allowed) in [("/livez", [200, 200]), ("/readyz", [200, 503])] {
                let judge = |answer: &Answer| (!allowed.contains(&answer.status)).then_some("another status");
                self.timed(format!("GET {path}"), self.user.get(path), log, judge);
            }
        }
    }

    fn read_back(&self, name: &str, contact: &str, log: &Log) {
        self.timed(format!("GET {name}"), self.user.get(contact), log, |answer| match answer.status {
            200 if answer.json()["first_name"] != *name => Some("another contact"),
            200 | 503 => None,
            _ => Some("another status"),
        });
    }

    fn timed(
        &self,
        what: String,
        request: Request,
        log: &Log,
        judge: impl FnOnce(&Answer) -> Option<&'static str>,
    ) -> Option<Answer> {
        let sent = Instant::now();
        let outcome = request.within(Duration::from_secs(20)).try_send();
        let took = sent.elapsed();
        let (status, fault) = match &outcome {
            Ok(answer) => (answer.status, judge(answer).map(|fault| format!("{fault}: {}", answer.text()))),
            Err(error) => (0, Some(format!("no answer: {error}"))),
        };
        log.answers.lock().unwrap().push(Answered { way: self.way, what, sent, took, status, fault });
        thread::sleep(PACE.saturating_sub(took));
        outcome.ok()
    }
}

impl Log {
    /// Waits until each instance has acknowledged so many contacts from now on.
    pub fn await_work(&self, instances: &[Instance], count: usize) {
        let since = Instant::now();
        let done = |way: &str| {
            let answers = self.answers.lock().unwrap();
            answers.iter().filter(|a| a.way == way && a.status == 201 && a.sent > since).count() >= count
        };
        crate::cluster::wait("contacts are created", || instances.iter().all(|instance| done(instance.way)));
    }

    /// Every answer is as the contract says, and the service was away only while nobody led, and a little longer.
    pub fn judge(&self, failovers: &[Failover]) {
        let (answers, late) = (self.answers.lock().unwrap(), *self.late.lock().unwrap());
        let allowance = ALLOWANCE + 2 * late;
        let excused =
            |a: &Answered| failovers.iter().any(|f| a.came() >= f.began && a.came() <= f.promoted + BACK + allowance);
        let fault = |a: &Answered| match &a.fault {
            Some(fault) => Some(fault.clone()),
            None if a.took > if a.what.ends_with('z') { FREE } else { BOUND } + allowance => {
                Some("takes too long".to_owned())
            }
            None if !a.is_good() && !excused(a) => Some("fails while a leader is there".to_owned()),
            None => None,
        };
        let began = answers.iter().map(|a| a.sent).min().expect("some");
        let faults: Vec<_> = answers
            .iter()
            .filter_map(|a| {
                let (status, took, at) = (a.status, a.took, a.sent - began);
                fault(a).map(|fault| format!("at {at:?}: {} {}: {status} after {took:?}: {fault}", a.way, a.what))
            })
            .collect();
        let events: Vec<_> = failovers.iter().map(|f| (f.began - began, f.promoted - began)).collect();
        let some = &faults[..faults.len().min(30)];
        assert!(
            faults.is_empty(),
            "{} of {} answers ({events:?}, late {late:?}): {some:#?}",
            faults.len(),
            answers.len()
        );
    }

    /// No contact failed to be read meanwhile.
    pub fn expect_reads(&self, since: Instant) {
        let answers = self.answers.lock().unwrap();
        let reads = answers.iter().filter(|a| a.sent > since && a.what.starts_with("GET") && !a.what.ends_with('z'));
        let (good, bad): (Vec<_>, Vec<_>) = reads.partition(|a| a.is_good());
        assert!(good.len() > 100 && bad.is_empty(), "{} reads failed, {} did not", bad.len(), good.len());
    }

    /// What a failover cost, a line for each instance.
    pub fn tell(&self, what: &str, instances: &[Instance], failover: &Failover, until: Instant) {
        let answers = self.answers.lock().unwrap();
        for Instance { way, .. } in instances {
            let meanwhile =
                || answers.iter().filter(|a| a.way == *way && a.came() >= failover.began && a.sent <= until);
            let mut statuses = BTreeMap::<u16, usize>::new();
            meanwhile().for_each(|a| *statuses.entry(a.status).or_default() += 1);
            let last = meanwhile().filter(|a| !a.is_good()).map(Answered::came).max().unwrap_or(failover.began);
            let back = last.saturating_duration_since(failover.promoted);
            let longest = meanwhile().map(|a| a.took).max().unwrap_or_default();
            println!(
                "{what}, {way}: Patroni took {:?}, the last failure came {back:?} later; the longest answer {longest:?}; {statuses:?}",
                failover.promoted - failover.began
            );
        }
    }

    /// Each name that was acknowledged, which is all of them once the clients have ended.
    pub fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().unwrap().iter().map(|(name, _)| name.clone()).collect()
    }

    fn watch_clock(&self, over: &AtomicBool) {
        const NAP: Duration = Duration::from_millis(10);
        while !over.load(SeqCst) {
            let began = Instant::now();
            thread::sleep(NAP);
            let mut late = self.late.lock().unwrap();
            *late = (*late).max(began.elapsed().saturating_sub(NAP));
        }
    }
}
