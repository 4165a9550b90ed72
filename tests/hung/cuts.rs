//! A write is cut at each of its messages, and each answer to it is withheld until its deadline has struck: it is done once or
//! not at all, it is done if the client is told so, and it is never done in part.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postgres::types::ToSql;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::relay::{Relay, Strike};
use crate::support::client::{Client, Request};
use crate::support::server::{Server, Setup};
use crate::trial::alone;
use crate::verdict::until;

/// What the contract allows, and the client's own scheduling while four programs are at work.
const BOUND: Duration = Duration::from_millis(3500);
/// The transactions that wait for their client for longer than the service may take to be back.
const LEFT_OPEN: &str = "select count(*) from pg_stat_activity where datname = current_database()
    and state like 'idle in trans%' and state_change < clock_timestamp() - interval '5 s'";
/// More messages than any write has.
const MOST: usize = 300;
/// Programs that are tried at the same time, since they wait most of it.
const WORLDS: usize = 4;

/// A program with a database and a relay of its own.
struct World {
    server: Server,
    relay: Relay,
    database: String,
    user: Client,
    serial: AtomicU64,
}

/// Whether the state is right after an answer of this status.
type Check = Box<dyn Fn(&World, u16)>;

struct Case {
    name: &'static str,
    /// It may take as long as it needs, so nothing strikes when an answer is withheld.
    is_patient: bool,
    begin: fn(&World) -> (Request, Check),
}

const fn case(name: &'static str, begin: fn(&World) -> (Request, Check)) -> Case {
    Case { name, is_patient: false, begin }
}

const CASES: [Case; 22] = [
    case("login", login),
    case("password", password),
    case("signup", signup),
    case("refresh", refresh),
    case("logout", logout),
    case("logout everywhere", logout_everywhere),
    case("end session", end_session),
    case("make token", make_token),
    case("end token", end_token),
    case("rename", rename),
    Case { name: "delete user", is_patient: true, begin: delete_user },
    case("create", create),
    case("create with a key", create_once),
    Case { name: "import with a key", is_patient: true, begin: import_once },
    case("replace", replace),
    case("patch", patch),
    case("delete", delete),
    case("restore", restore),
    Case { name: "restore all", is_patient: true, begin: restore_all },
    Case { name: "import", is_patient: true, begin: import },
    case("calendar", open_calendar),
    case("end of calendar", close_calendar),
];

impl World {
    fn new() -> World {
        let cluster = Cluster::shared();
        let (relay, database) = (Relay::before(cluster), cluster.new_database());
        let setup = Setup::at(&relay.url(&database)).with("WRITE_WORKERS", "8").with("SLOW_WORKERS", "4");
        // A failure that was ours counts as a guess for now, and there are many.
        let server = setup.with("LOGIN_ATTEMPTS", "100000").ready();
        let user = server.client().new_user("a@example.com");
        World { server, relay, database, user, serial: AtomicU64::new(0) }
    }

    /// A name or an address that was not used yet.
    fn unused(&self) -> String {
        format!("n{}@example.com", self.serial.fetch_add(1, Relaxed))
    }

    fn new_user(&self) -> (Client, String) {
        let email = self.unused();
        (self.server.client().new_user(&email), email)
    }

    fn new_contact(&self) -> (i64, String) {
        let name = self.unused();
        (self.user.new_contact(&json!({ "first_name": name, "last_name": "old", "email": "old@example.com" })), name)
    }

    fn count(&self, query: &str, params: &[&(dyn ToSql + Sync)]) -> i64 {
        Cluster::shared().client(&self.database).query_one(query, params).expect("a count").get(0)
    }

    fn status(&self, client: &Client, path: &str) -> u16 {
        client.get(path).send().status
    }
}

/// After success all must be there, after 503 all or nothing.
fn is_whole(status: u16, there: i64, all: i64) {
    match status {
        200..=299 => assert_eq!(there, all, "it was said to be done"),
        503 => assert!(there == 0 || there == all, "{there} of {all} are there"),
        other => panic!("status {other}"),
    }
}

/// The sessions of a user that live.
const SESSIONS: &str = "select count(*) from sessions s join users u on u.id = s.user_id where email = $1";

fn login(world: &World) -> (Request, Check) {
    // Each of another user: logins of one user wait for each other, and one that was left behind holds up the next.
    let (_, email) = world.new_user();
    let body = json!({ "email": email, "password": "123456" });
    let check = move |world: &World, status| is_whole(status, world.count(SESSIONS, &[&email]) - 1, 1);
    (world.server.client().post("/api/auth/login", &body), Box::new(check))
}

fn signup(world: &World) -> (Request, Check) {
    let email = world.unused();
    let body = json!({ "username": "A", "email": email, "password": "123456" });
    let check = move |world: &World, status| {
        is_whole(status, world.count("select count(*) from users where email = $1", &[&email]), 1);
    };
    (world.server.client().post("/api/auth/signup", &body), Box::new(check))
}

fn refresh(world: &World) -> (Request, Check) {
    let client = world.user.login("a@example.com", "123456");
    let token = client.refresh_token.clone().expect("a refresh token");
    // Ids are random, so the latest session does not have the greatest.
    let id = "select s.id from sessions s join users u on u.id = s.user_id where email = 'a@example.com'
        order by s.created_at desc limit 1";
    let id = world.count(id, &[]);
    let check = move |world: &World, status| {
        let generation = world.count("select generation::bigint from sessions where id = $1", &[&id]);
        is_whole(status, generation - 1, 1);
    };
    (world.server.client().post("/api/auth/refresh_token", &json!({ "refresh_token": token })), Box::new(check))
}

/// A session of its own for the world's user, and the id of it.
fn new_session(world: &World) -> (Client, i64) {
    let client = world.user.login("a@example.com", "123456");
    let sessions = client.get("/api/auth/sessions").send().expect(200).json();
    let current = sessions.as_array().expect("a list").iter().find(|session| session["current"] == true);
    (client, current.expect("the current one")["id"].as_i64().expect("an id"))
}

/// How many of the two things that end a session have happened to it.
const ENDED: &str = "select (select count(*) from revocations where session_id = $1) + 1
    - (select count(*) from sessions where id = $1)";

fn logout(world: &World) -> (Request, Check) {
    let (client, id) = new_session(world);
    let request = client.request("POST", "/api/auth/logout");
    let check = move |world: &World, status| {
        is_whole(status, world.count(ENDED, &[&id]), 2);
        if status == 204 {
            assert_eq!(world.status(&client, "/api/users/me"), 401);
        }
    };
    (request, Box::new(check))
}

fn end_session(world: &World) -> (Request, Check) {
    let (_, id) = new_session(world);
    let check = move |world: &World, status| is_whole(status, world.count(ENDED, &[&id]), 2);
    (world.user.delete(&format!("/api/auth/sessions/{id}")), Box::new(check))
}

fn logout_everywhere(world: &World) -> (Request, Check) {
    let (client, email) = world.new_user();
    client.login(&email, "123456");
    let check = move |world: &World, status| is_whole(status, 2 - world.count(SESSIONS, &[&email]), 2);
    (client.request("POST", "/api/auth/logout?everywhere=true"), Box::new(check))
}

/// The API tokens of this name.
const TOKENS: &str = "select count(*) from api_tokens where name = $1";

fn make_token(world: &World) -> (Request, Check) {
    let (user, _) = world.new_user();
    let name = world.unused();
    let request = user.post("/api/auth/tokens", &json!({ "name": name, "password": "123456" }));
    (request, Box::new(move |world, status| is_whole(status, world.count(TOKENS, &[&name]), 1)))
}

fn end_token(world: &World) -> (Request, Check) {
    let (user, _) = world.new_user();
    let name = world.unused();
    let made = user.post("/api/auth/tokens", &json!({ "name": name, "password": "123456" })).send().expect(201).json();
    let check = move |world: &World, status| is_whole(status, 1 - world.count(TOKENS, &[&name]), 1);
    (user.delete(&format!("/api/auth/tokens/{}", made["id"])), Box::new(check))
}

fn rename(world: &World) -> (Request, Check) {
    let name = world.unused();
    let request = world.user.patch("/api/users/me", &json!({ "username": name }));
    let check = move |world: &World, status| {
        let count = world.count("select count(*) from users where username = $1", &[&name]);
        // A later one may have replaced it, when it is checked again.
        is_whole(status, count, if status == 503 { count.min(1) } else { 1 });
    };
    (request, Box::new(check))
}

fn password(world: &World) -> (Request, Check) {
    let (client, email) = world.new_user();
    client.login(&email, "123456");
    let body = json!({ "current_password": "123456", "new_password": "654321" });
    let hash = "select password_hash from users where email = $1";
    let read = move |world: &World| -> String {
        let mut direct = Cluster::shared().client(&world.database);
        direct.query_one(hash, &[&email]).expect("the user").get(0)
    };
    let old = read(world);
    let email = format!("n{}@example.com", world.serial.load(Relaxed) - 1);
    let check = move |world: &World, status| {
        let is_new = i64::from(read(world) != old);
        // The session that asked lives on, the other one ends with the old password.
        is_whole(status, is_new + 2 - world.count(SESSIONS, &[&email]), 2);
    };
    (client.put("/api/users/me/password", &body), Box::new(check))
}

fn delete_user(world: &World) -> (Request, Check) {
    let (client, email) = world.new_user();
    let trashed = client.new_contact(&json!({ "first_name": "A" }));
    client.delete(&format!("/api/contacts/{trashed}")).send().expect(204);
    client.new_contact(&json!({ "first_name": "A" }));
    let id = client.get("/api/users/me").send().expect(200).json()["id"].as_i64().expect("an id");
    let check = move |world: &World, status| {
        let rows =
            "select (select count(*) from users where email = $1) + (select count(*) from contacts where user_id = $2)
            + (select count(*) from sessions where user_id = $2) + (select count(*) from trash where user_id = $2)";
        is_whole(status, 4 - world.count(rows, &[&email, &id]), 4);
    };
    (client.request("DELETE", "/api/users/me").json(&json!({ "password": "123456" })), Box::new(check))
}

const NAMED: &str = "select count(*) from contacts where first_name = $1";

fn create(world: &World) -> (Request, Check) {
    let name = world.unused();
    let request = world.user.post("/api/contacts", &json!({ "first_name": name }));
    (request, Box::new(move |world, status| is_whole(status, world.count(NAMED, &[&name]), 1)))
}

/// A request with a key, which makes so many contacts of this name.
fn once(world: &World, path: &str, body: Value, name: String, all: i64) -> (Request, Check) {
    let (user, path, key) = (world.user.clone(), path.to_owned(), world.unused());
    let checked = AtomicU64::new(0);
    let send = move || user.post(&path, &body).header("Idempotency-Key", &key);
    let request = send();
    let check = move |world: &World, status| {
        is_whole(status, world.count(NAMED, &[&name]), all);
        // One that was refused is repeated when nobody is left behind who may be at it.
        if status == 503 && checked.fetch_add(1, Relaxed) == 0 {
            return;
        }
        let first = send().send();
        assert!(first.status < 300, "{}", first.text());
        let again = send().send();
        assert_eq!((again.status, again.text()), (first.status, first.text()));
        assert_eq!(world.count(NAMED, &[&name]), all, "never twice, never lost");
    };
    (request, Box::new(check))
}

fn create_once(world: &World) -> (Request, Check) {
    let name = world.unused();
    once(world, "/api/contacts", json!({ "first_name": name }), name.clone(), 1)
}

fn import_once(world: &World) -> (Request, Check) {
    let name = world.unused();
    let contacts: Vec<_> = (0..5).map(|_| json!({ "first_name": name })).collect();
    once(world, "/api/contacts/import?duplicates=add", json!(contacts), name, 5)
}

/// How many of two fields are new.
const NEW: &str = "select (last_name is not distinct from 'new')::int::bigint
    + (email is not distinct from 'new@example.com')::int from contacts where id = $1";

fn replace(world: &World) -> (Request, Check) {
    let (id, name) = world.new_contact();
    let body = json!({ "first_name": name, "last_name": "new", "email": "new@example.com" });
    let request = world.user.put(&format!("/api/contacts/{id}"), &body);
    (request, Box::new(move |world, status| is_whole(status, world.count(NEW, &[&id]), 2)))
}

fn patch(world: &World) -> (Request, Check) {
    let (id, _) = world.new_contact();
    let body = json!({ "last_name": "new", "email": "new@example.com" });
    let request = world.user.patch(&format!("/api/contacts/{id}"), &body);
    (request, Box::new(move |world, status| is_whole(status, world.count(NEW, &[&id]), 2)))
}

/// The trash that has this name.
const TRASHED: &str = "select count(*) from trash where first_name = $1";

/// Whether so many contacts of a name are all on one side, and moved if it was said.
fn has_moved(world: &World, status: u16, name: &str, all: i64, to: &str, from: &str) {
    let (there, left) = (world.count(to, &[&name]), world.count(from, &[&name]));
    assert_eq!(there + left, all, "none is lost, and none is in both places");
    is_whole(status, there, all);
}

fn delete(world: &World) -> (Request, Check) {
    let (id, name) = world.new_contact();
    let check = move |world: &World, status| has_moved(world, status, &name, 1, TRASHED, NAMED);
    (world.user.delete(&format!("/api/contacts/{id}")), Box::new(check))
}

fn restore(world: &World) -> (Request, Check) {
    let (id, name) = world.new_contact();
    world.user.delete(&format!("/api/contacts/{id}")).send().expect(204);
    let check = move |world: &World, status| has_moved(world, status, &name, 1, NAMED, TRASHED);
    (world.user.request("POST", format!("/api/contacts/trash/{id}/restore")), Box::new(check))
}

fn restore_all(world: &World) -> (Request, Check) {
    let (user, _) = world.new_user();
    let name = world.unused();
    for _ in 0..5 {
        let id = user.new_contact(&json!({ "first_name": name }));
        user.delete(&format!("/api/contacts/{id}")).send().expect(204);
    }
    let check = move |world: &World, status| has_moved(world, status, &name, 5, NAMED, TRASHED);
    (user.request("POST", "/api/contacts/trash/restore?deleted_after=2000-01-01T00:00:00Z"), Box::new(check))
}

fn import(world: &World) -> (Request, Check) {
    const MANY: i64 = 25;
    let name = world.unused();
    let contacts: Vec<_> = (0..MANY).map(|_| json!({ "first_name": name })).collect();
    let request = world.user.post("/api/contacts/import?duplicates=add", &json!(contacts));
    (request, Box::new(move |world, status| is_whole(status, world.count(NAMED, &[&name]), MANY)))
}

/// The calendars of a user.
const CALENDARS: &str = "select count(*) from calendars c join users u on u.id = c.user_id where email = $1";

fn open_calendar(world: &World) -> (Request, Check) {
    let (client, email) = world.new_user();
    let request = client.request("POST", "/api/contacts/calendar");
    (request, Box::new(move |world, status| is_whole(status, world.count(CALENDARS, &[&email]), 1)))
}

fn close_calendar(world: &World) -> (Request, Check) {
    let (client, email) = world.new_user();
    assert_eq!(client.request("POST", "/api/contacts/calendar").send().status, 201);
    let check = move |world: &World, status| is_whole(status, 1 - world.count(CALENDARS, &[&email]), 1);
    (client.delete("/api/contacts/calendar"), Box::new(check))
}

/// What came of a case.
#[derive(Default)]
struct Outcome {
    done: usize,
    refused: usize,
    longest: Duration,
}

/// Strikes at the first message, the second, and so on until a write has none that is left; the checks.
fn strike(world: &World, case: &Case, strike: Strike) -> (Outcome, Vec<Check>) {
    let (mut outcome, mut checks) = (Outcome::default(), Vec::new());
    for at in 0..MOST {
        let (request, check) = (case.begin)(world);
        let ((status, took), struck) = world.relay.strike(strike, at, || {
            let sent = Instant::now();
            (request.send().status, sent.elapsed())
        });
        check(world, status);
        if !struck {
            assert_ne!(status, 503, "undisturbed");
            assert!(at > 0, "it has messages");
            return (outcome, checks);
        }
        assert!(took < BOUND, "{took:?} at {at}");
        // Whoever waits for its locks goes on long before its connection is known to be lost.
        assert_eq!(world.count(LEFT_OPEN, &[]), 0, "a transaction is left open at {at}");
        outcome.longest = outcome.longest.max(took);
        if status == 503 {
            outcome.refused += 1;
            checks.push(check);
        } else {
            outcome.done += 1;
        }
    }
    panic!("more than {MOST} messages");
}

fn try_case(world: &World, case: &Case) -> String {
    let (cut, mut checks) = strike(world, case, Strike::Cut);
    let mut said = format!(
        "{}: cut at {} messages, {} done, longest {}",
        case.name,
        cut.done + cut.refused,
        cut.done,
        cut.longest.as_millis()
    );
    if !case.is_patient {
        let (withheld, more) = strike(world, case, Strike::Withhold);
        let count = withheld.done + withheld.refused;
        said += &format!("; {count} answers withheld, longest {}", withheld.longest.as_millis());
        assert_eq!(withheld.done, 0, "its deadline strikes");
        checks.extend(more);
        // Those who were left behind go on, and find out that nobody waits.
        world.relay.cut_forgotten();
        until("the left-behind leave", || threads(&world.server) < 20);
    }
    checks.iter().for_each(|check| check(world, 503));
    let open =
        "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in trans%'";
    until("no transaction is left open", || world.count(open, &[]) == 0);
    said
}

fn threads(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|number| number.trim().parse().ok()).expect("a number of threads")
}

#[test]
fn a_write_is_done_once_or_not_at_all_wherever_it_is_cut() {
    let _alone = alone();
    let waiting = Mutex::new(CASES.iter());
    thread::scope(|scope| {
        for _ in 0..WORLDS {
            scope.spawn(|| {
                let world = World::new();
                while let Some(case) = { waiting.lock().next() } {
                    println!("{}", try_case(&world, case));
                }
                // What was never judged counts for half a minute at most.
                let guesses =
                    "select count(*) from login_attempts, unnest(until) as t where t > now() + interval '31 seconds'";
                assert_eq!(world.count(guesses, &[]), 0, "failures of ours are counted as guesses");
            });
        }
    });
}
