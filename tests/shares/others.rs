//! The other users: what they ask while an attack lasts, and what they may wait for it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use contactd::domain::contact::Draft;
use serde_json::json;

use crate::support::client::{Answer, Client, Request};
use crate::support::database::Database;
use crate::support::load;

/// How often each asks for each thing.
const REQUESTS: usize = 50;
/// How often each downloads each thing.
const DOWNLOADS: usize = 10;
/// Whoever has not made its requests by then makes no more.
const WINDOW: Duration = Duration::from_secs(30);
/// A request without an answer for so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// The password of everybody here.
const PASSWORD: &str = "123456";

/// A user who does nothing wrong.
pub struct Person {
    name: &'static str,
    email: String,
    client: Client,
    contact: String,
    feed: String,
}

/// What a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    Login,
    Export,
    Feed,
    /// All contacts, whole.
    List,
}

/// What came of the requests of one kind.
pub struct Outcome {
    who: &'static str,
    kind: Kind,
    statuses: BTreeMap<u16, usize>,
    times: Vec<Duration>,
}

impl Person {
    /// Signs up from an address, with 20 contacts and so many large ones.
    pub fn new(client: &Client, name: &'static str, source: Ipv4Addr, large: usize, database: &Database) -> Person {
        let email = format!("{name}@example.com");
        let client = client.from(source).new_user(&email);
        let person = |n| load::draft_of(&json!({ "first_name": format!("Olha {n}"), "birthday": "1990-05-17" }));
        let drafts: Vec<_> = (0..20).map(person).collect();
        load::insert(database, &client, &drafts);
        load::insert(database, &client, &large_contacts(large));
        let contact = format!("/api/contacts/{}", client.new_contact(&json!({ "first_name": "Olena" })));
        let calendar = client.request("POST", "/api/contacts/calendar").send().expect(201).json();
        let url = calendar["url"].as_str().expect("an address");
        let feed = url[url.find("/api/").expect("a path")..].to_owned();
        Person { name, email, client, contact, feed }
    }

    fn request(&self, kind: Kind) -> Request {
        let client = &self.client;
        let without_token = || Client { token: None, ..client.clone() };
        match kind {
            Kind::Read => client.get(&self.contact),
            Kind::Write => client.post("/api/contacts", &json!({ "first_name": "Taras", "email": "t@example.com" })),
            Kind::Login => {
                without_token().post("/api/auth/login", &json!({ "email": self.email, "password": PASSWORD }))
            }
            Kind::Export => client.get("/api/contacts/export?format=json"),
            Kind::Feed => without_token().get(&self.feed),
            Kind::List => client.get("/api/contacts?limit=1000"),
        }
    }

    /// Asks again and again, on a connection of its own each time.
    fn ask(&self, kind: Kind) -> Outcome {
        let mut outcome = Outcome { who: self.name, kind, statuses: BTreeMap::new(), times: Vec::new() };
        let deadline = Instant::now() + WINDOW;
        while outcome.times.len() < kind.requests() && Instant::now() < deadline {
            let started = Instant::now();
            let answer = self.request(kind).within(PATIENCE).try_send().ok().filter(is_whole);
            outcome.times.push(started.elapsed());
            *outcome.statuses.entry(answer.map_or(0, |answer| answer.status)).or_default() += 1;
            thread::sleep(kind.pause());
        }
        outcome.times.sort();
        outcome
    }
}

/// Whether all of a body that has a length came.
fn is_whole(answer: &Answer) -> bool {
    let length = answer.header("Content-Length").and_then(|length| length.parse().ok());
    length.is_none_or(|length: usize| answer.body.len() == length)
}

/// Contacts of 15 KB each.
pub fn large_contacts(count: usize) -> Vec<Draft> {
    vec![load::draft_of(&json!({ "first_name": "Large", "additional_info": "€".repeat(5_000) })); count]
}

impl Kind {
    fn requests(self) -> usize {
        match self {
            Kind::Read | Kind::Write | Kind::Login => REQUESTS,
            Kind::Export | Kind::Feed | Kind::List => DOWNLOADS,
        }
    }

    fn pause(self) -> Duration {
        Duration::from_millis(match self {
            Kind::Read | Kind::Write => 20,
            Kind::Login => 50,
            Kind::Export | Kind::Feed | Kind::List => 300,
        })
    }

    /// The longest median that the contract's promise allows.
    fn median(self) -> Duration {
        match self {
            Kind::Read | Kind::Write => Duration::from_millis(100),
            Kind::Login => Duration::from_secs(1),
            Kind::Export | Kind::Feed | Kind::List => PATIENCE,
        }
    }
}

impl Outcome {
    fn median(&self) -> Duration {
        self.times[self.times.len() / 2]
    }

    /// Why it breaks the promise; nothing if it does not.
    fn fault(&self) -> Option<String> {
        let right = if self.kind == Kind::Write { 201 } else { 200 };
        let all_right = self.statuses.keys().all(|status| *status == right);
        // A login may take a second, so fewer fit into the window.
        let least = if self.kind == Kind::Login { REQUESTS / 2 } else { self.kind.requests() };
        let is_kept = all_right && self.times.len() >= least && self.median() <= self.kind.median();
        (!is_kept).then(|| format!("{} {:?}: median {:.0?}, {:?}", self.who, self.kind, self.median(), self.statuses))
    }
}

/// Has each person ask for all of these, all at the same time. A line for each, and why the promise is broken.
pub fn measure(people: &[Person], kinds: &[Kind]) -> (String, Vec<String>) {
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let asking = people.iter().flat_map(|person| kinds.iter().map(move |kind| (person, *kind)));
        let asking: Vec<_> = asking.map(|(person, kind)| scope.spawn(move || person.ask(kind))).collect();
        asking.into_iter().map(|thread| thread.join().expect("nobody panics")).collect()
    });
    let mut lines = String::new();
    for outcome in &outcomes {
        let (median, slowest) = (outcome.median(), outcome.times[outcome.times.len() - 1]);
        let (who, kind) = (outcome.who, format!("{:?}", outcome.kind));
        let _ =
            writeln!(lines, "  {who:9} {kind:6} median {median:8.1?}, slowest {slowest:8.1?}, {:?}", outcome.statuses);
    }
    (lines, outcomes.iter().filter_map(Outcome::fault).collect())
}
