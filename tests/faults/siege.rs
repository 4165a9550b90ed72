//! What every hostile client meets, and what must hold while it is there and after.
//!
//! While an attack lasts, a normal client reads a contact again and again, on a connection of its own and on one that it keeps.
//! The process is looked at before and after. How long the normal client waits depends on the machine as well, so an attack
//! that works has the machine to itself; those that mostly wait for a limit of the server to pass run side by side.

use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Client;
use crate::support::database::Database;
use crate::support::server::{self, Server, Setup};
use crate::wire::Wire;

/// A normal client waits no longer, on a machine that is not busy with something else.
const WITHIN: Duration = Duration::from_secs(1);
/// When the attack is over, memory, threads and descriptors are back within this time.
const RECOVERY: Duration = Duration::from_secs(20);

/// On top of a tenth, in KiB. glibc gives each of up to eight arenas a core what freed blocks leave between those in use,
/// and keeps it for the next: measured, 1 to 5 MiB after floods of a thousand threads, however many floods follow.
const MEMORY_SLACK: u64 = 8 * 1024;
/// On top of a tenth: a thread that the pool keeps for a second, another that housekeeping runs for a moment.
const THREADS_SLACK: u64 = 2;
/// On top of a tenth: connections that the pool of the database may open when all workers are busy at once, and keeps.
const DESCRIPTORS_SLACK: u64 = 8;

/// What a process takes of the machine, from `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    pub pid: u32,
    /// Resident memory in KiB.
    pub memory: u64,
    /// The most that it was since [`Vitals::forget_peak`], in KiB.
    pub peak: u64,
    pub threads: u64,
    pub descriptors: u64,
}

impl Vitals {
    pub fn of(pid: u32) -> Vitals {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_whitespace().nth(1));
            value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {status}"))
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours");
        Vitals {
            pid,
            memory: number("VmRSS:"),
            peak: number("VmHWM:"),
            threads: number("Threads:"),
            descriptors: descriptors.count() as u64,
        }
    }

    /// The peak counts from now on (proc(5), `clear_refs`).
    pub fn forget_peak(pid: u32) {
        fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the process is ours");
    }

    /// Whether all is where it was before.
    fn is_back_at(&self, before: &Vitals) -> bool {
        let within = |now: u64, then: u64, slack: u64| now <= then + then / 10 + slack;
        within(self.memory, before.memory, MEMORY_SLACK)
            && within(self.threads, before.threads, THREADS_SLACK)
            && within(self.descriptors, before.descriptors, DESCRIPTORS_SLACK)
    }
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB, {} threads, {} descriptors", self.memory as f64 / 1024.0, self.threads, self.descriptors)
    }
}

/// A program of its own to be attacked, with a user who has one contact.
pub struct Siege {
    pub server: Server,
    pub database: Database,
    pub user: Client,
    /// The path of the user's contact.
    pub contact: String,
}

/// Its socket, and three of the runtime that drives it.
const DESCRIPTORS_OF_A_CONNECTION: u64 = 4;

/// Who is at work: an attack that works takes it alone, those that wait share it.
static MACHINE: RwLock<()> = RwLock::new(());

impl Siege {
    /// With all settings at their defaults.
    pub fn lay() -> Siege {
        Siege::with(&[])
    }

    /// With other settings.
    pub fn with(settings: &[(&str, &str)]) -> Siege {
        Siege::starting(settings, |setup| setup)
    }

    /// Started in another way.
    pub fn starting(settings: &[(&str, &str)], change: impl FnOnce(Setup) -> Setup) -> Siege {
        let database = server::database();
        let mut setup = Setup::on(&database).with("LOGIN_ATTEMPTS", "0");
        for (name, value) in settings {
            setup = setup.with(name, *value);
        }
        let server = change(setup).ready();
        let user = server.client().new_user("normal@example.com");
        let id = user.new_contact(&json!({ "first_name": "A normal contact" }));
        Siege { user, contact: format!("/api/contacts/{id}"), server, database }
    }

    /// A connection of a hostile client.
    pub fn connect(&self) -> Wire {
        Wire::connect(self.server.address)
    }

    /// The head of a request for the user's contact, up to the last header.
    pub fn head(&self, method: &str, path: &str) -> String {
        let token = self.user.token.as_deref().expect("the user is logged in");
        format!("{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n")
    }

    /// Runs the attack. The process must be the same after it, a normal client answered in time meanwhile, and what the
    /// attack took given back. Returns the most memory that it took, in KiB.
    pub fn withstands(&self, what: &str, attack: impl FnOnce()) -> u64 {
        self.measure(what, || {
            let _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
            self.run(attack)
        })
    }

    /// The same for an attack that mostly waits.
    pub fn withstands_waiting(&self, what: &str, attack: impl FnOnce()) -> u64 {
        self.measure(what, || {
            let _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
            self.run(attack)
        })
    }

    #[allow(clippy::print_stdout)] // what it cost, for `--nocapture`
    fn measure(&self, what: &str, attack: impl FnOnce() -> (Normal, Duration)) -> u64 {
        let before = self.rest();
        let (normal, late) = attack();
        let after = self.recover(what, &before);
        let took = after.peak.saturating_sub(before.memory);
        println!(
            "{what}: {} reads meanwhile, the slowest {:?} (the machine was {late:?} late); before {before}; most {:.1} MiB more; after {after}",
            normal.reads,
            normal.slowest,
            took as f64 / 1024.0,
        );
        assert!(
            normal.slowest <= WITHIN + 4 * late,
            "{what}: a normal client waited {:?}, when the machine itself was late by {late:?}",
            normal.slowest
        );
        assert!(!self.server.log().contains("panicked"), "{what}:\n{}", self.server.log());
        took
    }

    /// Runs the attack beside a normal client; how that one fared, and how late the machine itself was.
    fn run(&self, attack: impl FnOnce()) -> (Normal, Duration) {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let normal = scope.spawn(|| self.live_normally(&over));
            let late = scope.spawn(|| lateness(&over));
            // Also when the attack fails, or the scope would wait for ever.
            let _over = SetOnDrop(&over);
            attack();
            drop(_over);
            let normal = normal.join().expect("the normal client's thread");
            (normal, late.join().expect("the clock's thread"))
        })
    }

    /// How the process is, without the descriptors of the connections to the database: the pool grows as far as it may when many
    /// ask at once, and keeps each for five minutes.
    fn vitals(&self) -> Vitals {
        let pooled = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'contactd'";
        let pooled: i64 = self.database.client().query_one(pooled, &[]).expect("a count").get(0);
        let vitals = Vitals::of(self.server.pid());
        let pooled = pooled as u64 * DESCRIPTORS_OF_A_CONNECTION;
        Vitals { descriptors: vitals.descriptors.saturating_sub(pooled), ..vitals }
    }

    /// Uses all workers for a moment, so that what is made at first use exists, and waits until all is still.
    fn rest(&self) -> Vitals {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        // Lists have a worker each, while reads of one contact share one.
                        self.user.get("/api/contacts?limit=1").send().expect(200);
                    }
                });
            }
        });
        let pid = self.server.pid();
        let mut last = self.vitals();
        let deadline = Instant::now() + RECOVERY;
        loop {
            // Longer than a spare thread stays.
            thread::sleep(Duration::from_millis(1100));
            let now = self.vitals();
            if now.threads == last.threads && now.descriptors == last.descriptors {
                Vitals::forget_peak(pid);
                return now;
            }
            assert!(Instant::now() < deadline, "it never rests: {now}");
            last = now;
        }
    }

    fn recover(&self, what: &str, before: &Vitals) -> Vitals {
        self.user.get(&self.contact).send().expect(200);
        let deadline = Instant::now() + RECOVERY;
        loop {
            // No request meanwhile: each would take a spare thread, and keep it for another second.
            let now = self.vitals();
            if now.is_back_at(before) {
                return now;
            }
            assert!(Instant::now() < deadline, "{what}: before {before}; {RECOVERY:?} after it {now}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Reads a contact again and again, as clients do that know nothing of the attack.
    fn live_normally(&self, over: &AtomicBool) -> Normal {
        let request = self.head("GET", &self.contact) + "\r\n";
        let mut kept = self.connect();
        let mut normal = Normal::default();
        // At least once, however short the attack is.
        loop {
            normal.time(|| {
                kept.send(request.as_bytes());
                assert_eq!(kept.answer().status, 200);
            });
            normal.time(|| {
                let mut fresh = self.connect();
                fresh.send(request.as_bytes());
                assert_eq!(fresh.answer().status, 200);
            });
            if over.load(Ordering::SeqCst) {
                return normal;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[derive(Default)]
struct Normal {
    reads: u32,
    slowest: Duration,
}

impl Normal {
    fn time(&mut self, read: impl FnOnce()) {
        let started = Instant::now();
        read();
        self.reads += 1;
        self.slowest = self.slowest.max(started.elapsed());
    }
}

/// By how much a thread that has nothing to do with the server was woken too late: what a machine that is busy with other
/// things takes from everybody.
fn lateness(over: &AtomicBool) -> Duration {
    const NAP: Duration = Duration::from_millis(5);
    let mut worst = Duration::ZERO;
    while !over.load(Ordering::SeqCst) {
        let started = Instant::now();
        thread::sleep(NAP);
        worst = worst.max(started.elapsed().saturating_sub(NAP));
    }
    worst
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
