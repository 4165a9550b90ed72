//! Points of the OWASP Application Security Verification Standard 5.0 (levels 1 and 2) and of RFCs at which programs like this one
//! fail, and this one once did. The list says of each: met, or refused with the reason. Each has a check; that of a refused one shows
//! what is so instead, for the reason to stay true. No MUST is refused.
//!
//! `cargo test --test standards -- --nocapture` prints the list.

#[path = "../support/mod.rs"]
mod support;

mod asvs;
mod rfc;

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::json;
use support::client::{Answer, Client};
use support::server::{Server, Setup, database};

use crate::support::database::Database;
use crate::support::random_secret;

/// How much a standard insists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// An RFC's MUST.
    Must,
    /// An RFC's SHOULD or MAY.
    Should,
    /// ASVS, level 1.
    L1,
    /// ASVS, level 2.
    L2,
}

/// What became of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is so.
    Met,
    /// It is not, for this reason.
    Refused(&'static str),
}

/// Where it stands, what it asks, what became of it, and how that is known.
pub type Point = (&'static str, Level, &'static str, Verdict, fn(&World));

/// A server, and a user with a contact.
pub struct World {
    /// The server, which trusts proxies on this machine.
    pub server: Server,
    /// Its database.
    pub database: Database,
    /// The user, logged in.
    pub user: Client,
    /// The path of the contact, which is at version 1.
    pub contact: String,
}

impl World {
    fn new() -> World {
        let database = database();
        let server = Setup::on(&database).with("TRUSTED_PROXIES", "127.0.0.1").ready();
        let user = server.client().new_user("ivan@example.com");
        let contact = format!("/api/contacts/{}", user.new_contact(&json!({ "first_name": "A" })));
        World { server, database, user, contact }
    }

    /// A login from an address, by way of a trusted proxy.
    pub fn login(&self, email: &str, password: &str, address: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.server.client().post("/api/auth/login", &body).header("X-Forwarded-For", address).send()
    }

    /// Another user.
    pub fn another(&self, name: &str) -> Client {
        self.server.client().new_user(&format!("{name}@example.com"))
    }

    /// Answers of every kind: pages, errors, with a token and without, and what the engine itself refuses.
    pub fn answers(&self) -> Vec<Answer> {
        let client = self.server.client();
        let mut answers: Vec<_> =
            ["/", "/docs", "/livez", "/openapi.json", "/no/such", "/api/contacts", "/api/calendar/x.ics"]
                .map(|path| client.get(path).send())
                .into();
        answers.push(self.user.get("/api/contacts").send());
        answers.push(self.user.get("/api/contacts/export?format=csv").send());
        answers.push(self.user.request("OPTIONS", "/api/contacts").send());
        answers.push(client.get("/").header("Content-Length", "x").send());
        answers.push(client.get(format!("/{}", "x".repeat(40_000))).send());
        answers
    }
}

/// Whether the program refuses to start with these settings besides its database and a secret.
pub fn refuses_to_start(settings: &[(&str, &str)]) -> bool {
    let mut all = vec![("DATABASE_URL", "postgres://x@127.0.0.1:1/x".to_owned()), ("JWT_SECRET", random_secret())];
    all.extend(settings.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let all: Vec<_> = all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let output = support::server::command(&all).output().expect("the program starts");
    output.status.code() == Some(2)
}

/// Whether README says this.
pub fn readme_says(text: &str) -> bool {
    include_str!("../../README.md").contains(text)
}

/// Fails unless there are tests of these names, each given as its file and its name: points that have long ones elsewhere.
pub fn proved_by(tests: &[&str]) {
    for test in tests {
        let (file, name) = test.split_once(": ").expect("a file and a name");
        let root = env!("CARGO_MANIFEST_DIR");
        let text =
            std::fs::read_to_string(format!("{root}/tests/{file}")).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("#[test]\nfn {name}()")), "tests/{file} has no test {name}");
    }
}

#[test]
fn each_point_is_met_or_refused_with_its_reason() {
    let mut wrong = Vec::new();
    for (reference, level, requirement, verdict, check) in rfc::POINTS.iter().chain(asvs::POINTS) {
        let holds = catch_unwind(AssertUnwindSafe(|| check(&World::new()))).is_ok();
        let said = match verdict {
            Verdict::Met => "met".to_owned(),
            Verdict::Refused(reason) => format!("refused: {reason}"),
        };
        println!("{reference} ({level:?}): {requirement}\n    {said}{}", if holds { "" } else { " – BUT NOT SO" });
        if !holds {
            wrong.push(format!("{reference}: not so: {requirement}"));
        }
        if *level == Level::Must && *verdict != Verdict::Met {
            wrong.push(format!("{reference}: a MUST cannot be refused"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
