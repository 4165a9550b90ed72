//! The service under attack: who is there, how the attack runs, what shows that it was in force, and what must hold after it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::others::{self, Kind, Person};
use crate::program;
use crate::support::client::Client;
use crate::support::database::Database;
use crate::support::server::{self, Server, Setup};
use crate::wire::Wire;

/// The attack lasts so long before anything is measured.
const HEAD_START: Duration = Duration::from_secs(2);
/// When the attack is over, memory, threads and descriptors are back within this time.
const RECOVERY: Duration = Duration::from_secs(30);
/// What glibc keeps for the next time, in KiB: measured, up to 5 MiB after floods; and what the statements take that a
/// connection to the database has prepared.
const MEMORY_SLACK: u64 = 32 * 1024;
/// Threads that stay for a second, and those that housekeeping runs for a moment.
const THREADS_SLACK: u64 = 8;
/// Connections to the database that a busy service opens and keeps.
const DESCRIPTORS_SLACK: u64 = 32;
/// `/livez` answers within this time.
const ALIVE: Duration = Duration::from_secs(1);

/// A service of its own, its users, and nobody else who measures at the same time.
pub struct Stage {
    pub server: Server,
    pub database: Database,
    pub attacker: Client,
    others: [Person; 2],
    kinds: Vec<Kind>,
    _alone: MutexGuard<'static, ()>,
}

/// An attack that is under way.
#[derive(Default)]
pub struct Attack {
    over: AtomicBool,
    /// Answers to the attacker by status, 0 where the connection was closed instead.
    answers: Mutex<BTreeMap<u16, u64>>,
    /// What the attacker holds at the moment, whatever this attack counts.
    held: AtomicI64,
    /// Bytes that the service took from the attacker, or gave.
    pub bytes: AtomicU64,
}

/// What an attack took of the service while the others were measured.
pub struct Force {
    /// As in [`Attack`].
    pub answers: BTreeMap<u16, u64>,
    /// The least that was held at any time, and the median.
    pub least_held: i64,
    pub held: i64,
    /// Of all looks into `pg_stat_activity`, the share that found a statement at work for 20 ms or longer; and the most such
    /// statements at once.
    pub busy: f64,
    pub most_busy: i64,
    /// The most memory on top of before, in KiB.
    pub memory: u64,
    /// The most descriptors at once.
    pub descriptors: u64,
    pub bytes: u64,
}

/// What a process takes of the machine, from `/proc`.
#[derive(Debug, Clone, Copy)]
struct Vitals {
    memory: u64,
    threads: u64,
    descriptors: u64,
}

impl Vitals {
    fn of(pid: u32) -> Vitals {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel says so");
            line.split_whitespace().next().and_then(|value| value.parse().ok()).expect("a number")
        };
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours").count() as u64;
        Vitals { memory: number("VmRSS:"), threads: number("Threads:"), descriptors }
    }

    fn is_back_at(&self, before: &Vitals) -> bool {
        self.memory <= before.memory + before.memory / 10 + MEMORY_SLACK
            && self.threads <= before.threads + THREADS_SLACK
            && self.descriptors <= before.descriptors + DESCRIPTORS_SLACK
    }
}

impl Stage {
    /// With all settings at their defaults, and small address books.
    pub fn set() -> Stage {
        Stage::with(0, &[Kind::Read, Kind::Write, Kind::Login, Kind::Export, Kind::Feed])
    }

    /// The others have so many large contacts, 15 KB each, and ask for these things.
    pub fn with(large: usize, kinds: &[Kind]) -> Stage {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let database = server::database();
        let server = Setup::on(&database).program(program()).ready();
        let client = server.client();
        let person = |name, source| Person::new(&client, name, source, large, &database);
        let others = [person("neighbour", Ipv4Addr::LOCALHOST), person("stranger", Ipv4Addr::new(127, 0, 0, 2))];
        let attacker = client.new_user("attacker@example.com");
        Stage { attacker, others, kinds: kinds.to_vec(), server, database, _alone: alone }
    }

    /// A connection of the attacker.
    pub fn connect(&self) -> Wire {
        Wire::connect(self.server.address)
    }

    /// A request of the attacker with a token, up to the last header.
    pub fn head(&self, method: &str, target: &str) -> String {
        let token = self.attacker.token.as_deref().expect("the attacker is logged in");
        format!("{method} {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n")
    }

    /// Runs `attack` on so many threads, each with its number, until all others have been measured, and gives what showed that
    /// it was in force. Fails if the others got less than the contract promises, or if the service is another one afterwards.
    #[allow(clippy::print_stdout)] // what it cost, for `--nocapture`
    pub fn under(&self, what: &str, threads: usize, attack: impl Fn(&Attack, usize) + Sync) -> Force {
        let before = Vitals::of(self.server.pid());
        let state = Attack::default();
        let (lines, mut faults, force) = thread::scope(|scope| {
            // Also when something fails here, or the scope would wait for ever.
            let over = SetOnDrop(&state.over);
            for number in 0..threads {
                let (state, attack) = (&state, &attack);
                scope.spawn(move || attack(state, number));
            }
            thread::sleep(HEAD_START);
            let measured = AtomicBool::new(false);
            let (lines, faults, force) = thread::scope(|scope| {
                let force = scope.spawn(|| self.look(&state, &before, &measured));
                let alive = scope.spawn(|| self.live(&measured));
                let stop = SetOnDrop(&measured);
                let (mut lines, mut faults) = others::measure(&self.others, &self.kinds);
                drop(stop);
                let (slowest, late, failed) = alive.join().expect("nobody panics");
                lines +=
                    &format!("  /livez: slowest {slowest:.1?}, {failed} failed (the machine was {late:.1?} late)\n");
                if failed > 0 || slowest > ALIVE + 4 * late {
                    faults.push(format!("/livez: {slowest:.1?}, {failed} failed"));
                }
                (lines, faults, force.join().expect("nobody panics"))
            });
            drop(over);
            (lines, faults, force)
        });
        faults.extend(self.recover(&before));
        println!("\n{what}: {}\n{lines}  in force: {force}", if faults.is_empty() { "held" } else { "BROKEN" });
        assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
        force
    }

    /// Looks again and again at what the attack takes.
    fn look(&self, attack: &Attack, before: &Vitals, measured: &AtomicBool) -> Force {
        let mut database = self.database.client();
        let (mut held, mut busy) = (Vec::new(), Vec::new());
        let (mut memory, mut descriptors) = (0, 0);
        while !measured.load(SeqCst) || held.is_empty() {
            let query = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active'
                and clock_timestamp() - query_start > interval '20 ms'";
            busy.push(database.query_one(query, &[]).expect("it answers").get::<_, i64>(0));
            held.push(attack.held.load(SeqCst));
            let now = Vitals::of(self.server.pid());
            memory = memory.max(now.memory.saturating_sub(before.memory));
            descriptors = descriptors.max(now.descriptors);
            thread::sleep(Duration::from_millis(50));
        }
        held.sort_unstable();
        Force {
            answers: attack.answers.lock().expect("nobody panics with it").clone(),
            least_held: held[0],
            held: held[held.len() / 2],
            busy: busy.iter().filter(|count| **count > 0).count() as f64 / busy.len() as f64,
            most_busy: busy.into_iter().max().expect("one at least"),
            memory,
            descriptors,
            bytes: attack.bytes.load(SeqCst),
        }
    }

    /// Asks for `/livez` once a second: the slowest answer, by how much the machine itself was late meanwhile, and how many
    /// were not 200.
    fn live(&self, measured: &AtomicBool) -> (Duration, Duration, u32) {
        let (mut slowest, mut late, mut failed) = (Duration::ZERO, Duration::ZERO, 0);
        while !measured.load(SeqCst) {
            let started = Instant::now();
            let answer = self.server.client().get("/livez").within(Duration::from_secs(10)).try_send();
            slowest = slowest.max(started.elapsed());
            failed += u32::from(!answer.is_ok_and(|answer| answer.status == 200));
            let next = started + Duration::from_secs(1);
            while Instant::now() < next && !measured.load(SeqCst) {
                const NAP: Duration = Duration::from_millis(10);
                let started = Instant::now();
                thread::sleep(NAP);
                late = late.max(started.elapsed().saturating_sub(NAP));
            }
        }
        (slowest, late, failed)
    }

    /// Why the service is not what it was before.
    fn recover(&self, before: &Vitals) -> Option<String> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            let now = Vitals::of(self.server.pid());
            if now.is_back_at(before) {
                break;
            }
            if Instant::now() > deadline {
                return Some(format!("before {before:?}, {RECOVERY:?} after it {now:?}"));
            }
            thread::sleep(Duration::from_millis(100));
        }
        let answer = self.attacker.get("/api/users/me").send();
        let log = self.server.log();
        let is_well = answer.status == 200 && !log.contains("panicked");
        (!is_well).then(|| format!("afterwards the attacker got {}, and the log says\n{log}", answer.status))
    }
}

impl Attack {
    /// Whether it is time to stop.
    pub fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Sleeps, but not beyond the end.
    pub fn rest(&self, time: Duration) {
        let deadline = Instant::now() + time;
        while !self.is_over() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10).min(time));
        }
    }

    /// Counts an answer; 0 where there was none.
    pub fn answered(&self, status: u16) {
        *self.answers.lock().expect("nobody panics with it").entry(status).or_default() += 1;
    }

    /// Counts something as held as long as the handle lives.
    pub fn hold(&self) -> Held<'_> {
        self.held.fetch_add(1, SeqCst);
        Held(&self.held)
    }

    /// Sends the same request again and again on one connection, waiting for each answer.
    pub fn repeat(&self, stage: &Stage, request: &[u8]) {
        while !self.is_over() {
            let mut wire = stage.connect();
            while !self.is_over() && wire.try_send(request) {
                let held = self.hold();
                let answer = wire.try_answer();
                drop(held);
                self.answered(answer.as_ref().map_or(0, |answer| answer.status));
                if answer.is_none_or(|answer| answer.header("Connection") == Some("close")) {
                    break;
                }
            }
        }
    }
}

impl Force {
    /// How many answers of these statuses the attacker got.
    pub fn answers(&self, statuses: &[u16]) -> u64 {
        statuses.iter().filter_map(|status| self.answers.get(status)).sum()
    }
}

impl fmt::Display for Force {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Force { answers, least_held, held, busy, most_busy, memory, descriptors, bytes } = self;
        let (busy, memory) = (busy * 100.0, memory / 1024);
        write!(
            f,
            "answers {answers:?}; held {held}, at least {least_held}; statements at work {busy:.0} % of the time, at most \
             {most_busy} at once; {memory} MiB more, {descriptors} descriptors, {bytes} bytes"
        )
    }
}

/// Something that an attacker holds.
pub struct Held<'a>(&'a AtomicI64);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}
