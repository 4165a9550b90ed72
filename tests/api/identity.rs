//! Who is who: ids that never come again, whatever becomes of the database, and sessions of which there are so many and no more.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use serde_json::json;

use crate::sessions::{at, claims, id, is_alive, refresh, two_instances};
use crate::support::client::Client;
use crate::support::database::Database;
use crate::support::server::{Server, Setup, command, database};
use crate::support::{eventually, random_secret};

/// What a token of a user who is not there any more may see: nothing.
fn assert_opens_nothing(server: &Server, old: &Client) {
    let old = at(server, old);
    assert_eq!(refresh(server, old.refresh_token.as_deref().unwrap()).status, 401);
    assert_eq!(old.get("/api/users/me").send().status, 401);
    assert_eq!(old.get("/api/contacts").send().expect(200).names(), [""; 0]);
    assert_eq!(old.post("/api/contacts", &json!({ "first_name": "A" })).send().status, 401);
    assert_eq!(old.get("/api/auth/sessions").send().expect(200).json(), json!([]));
}

/// Users and sessions that the backup does not have leave tokens behind. Before ids were random, the users and sessions that came
/// after the restore got the same ids, and those tokens opened their accounts.
#[test]
fn after_a_restore_no_old_token_opens_what_is_not_its_own() {
    let original = database();
    let secret = random_secret();
    let on = |database: &Database| Setup::on(database).with("JWT_SECRET", &secret).ready();
    let server = on(&original);
    let ivan = server.client().new_user("ivan@example.com");
    ivan.new_contact(&json!({ "first_name": "Of Ivan" }));
    drop(server);
    let backup = original.copy();

    let server = on(&original);
    let lost: Vec<_> = (0..5).map(|n| server.client().new_user(&format!("lost{n}@example.com"))).collect();
    let lost_session = server.client().login("ivan@example.com", "123456");
    drop(server);

    let server = on(&backup);
    let new: Vec<_> = (0..5).map(|n| server.client().new_user(&format!("new{n}@example.com"))).collect();
    let new_session = server.client().login("ivan@example.com", "123456");
    for user in &new {
        user.new_contact(&json!({ "first_name": "Of somebody else" }));
    }
    for user in &lost {
        assert_opens_nothing(&server, user);
    }
    // A session that is gone cannot be refreshed into one that came since, not even one of the same user.
    assert_eq!(refresh(&server, lost_session.refresh_token.as_deref().unwrap()).status, 401);
    for client in [&ivan, &new_session] {
        let client = at(&server, client);
        assert_eq!(client.get("/api/contacts").send().names(), ["Of Ivan"]);
        assert_eq!(refresh(&server, client.refresh_token.as_deref().unwrap()).status, 200);
    }
    for user in &new {
        assert!(is_alive(user));
        assert_eq!(user.get("/api/contacts").send().names(), ["Of somebody else"]);
    }
}

#[test]
fn ids_of_users_and_sessions_are_random_and_every_reader_of_json_keeps_them() {
    let (server, _database) = Server::with_database();
    let mut ids = BTreeSet::new();
    for n in 0..10 {
        let user = server.client().new_user(&format!("user{n}@example.com"));
        let claims = claims(user.token.as_deref().unwrap());
        assert_eq!(claims["sub"], id(&user).to_string());
        ids.extend([id(&user), claims["sid"].as_i64().unwrap()]);
    }
    assert_eq!(ids.len(), 20);
    assert!(ids.iter().all(|id| (1..1 << 53).contains(id)), "{ids:?}");
    // That each is below 2^48 would happen once in 2^100 times.
    assert!(ids.iter().any(|id| *id > 1 << 48), "{ids:?}");
}

#[test]
fn an_id_that_is_taken_is_drawn_again() {
    let (server, database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    // The draws: what the first row has, twice, and then something new.
    let draws = "create sequence drawn;
        create function draw(taken bigint) returns bigint language sql as
        $$ select case when nextval('drawn') % 3 = 0 then 4242 else taken end $$;";
    let mut behind = database.client();
    behind.batch_execute(draws).unwrap();
    for table in ["users", "sessions"] {
        let taken: i64 = behind.query_one(&format!("select id from {table}"), &[]).unwrap().get(0);
        behind.batch_execute(&format!("alter table {table} alter column id set default draw({taken})")).unwrap();
        match table {
            "users" => {
                let body = json!({ "username": "A", "email": "olena@example.com", "password": "123456" });
                let answer = server.client().post("/api/auth/signup", &body).send().expect(201);
                assert_eq!(answer.json()["id"], 4242);
            }
            _ => {
                let again = server.client().login("ivan@example.com", "123456");
                assert_eq!(claims(again.token.as_deref().unwrap())["sid"], 4242);
                assert!(is_alive(&ivan) && is_alive(&again));
            }
        }
    }
}

/// Logins that begin at the same moment, on two instances, see each other's sessions.
#[test]
fn twenty_logins_at_once_at_the_limit_leave_a_hundred_sessions() {
    let (one, two, database) = two_instances();
    let servers = [&one, &two];
    let oldest = one.client().new_user("ivan@example.com");
    let more = "update sessions set last_used_at = now() - interval '2 days';
        insert into sessions (user_id, last_used_at)
        select id, now() - n * interval '1 minute' from users, generate_series(1, 99) as n";
    database.client().batch_execute(more).unwrap();
    let done = AtomicBool::new(false);
    let (most, begun) = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut behind, mut most) = (database.client(), 0);
            while !done.load(SeqCst) {
                most = most.max(behind.query_one("select count(*) from sessions", &[]).unwrap().get::<_, i64>(0));
            }
            most
        });
        let logins: Vec<_> = (0..20)
            .map(|n| {
                let client = servers[n % 2].client();
                scope.spawn(move || client.login("ivan@example.com", "123456"))
            })
            .collect();
        let begun: Vec<_> = logins.into_iter().map(|login| login.join().unwrap()).collect();
        done.store(true, SeqCst);
        (watch.join().unwrap(), begun)
    });
    assert_eq!(most, 100, "never more");
    assert!(begun.iter().all(is_alive), "those used last stay");
    assert_eq!(begun[0].get("/api/auth/sessions").send().json().as_array().unwrap().len(), 100);
    for server in servers {
        eventually("the oldest has ended", || !is_alive(&at(server, &oldest)));
    }
}

/// After a restore, and whenever the operator must be sure.
#[test]
fn the_operator_ends_the_sessions_of_a_user_or_of_all() {
    let (one, two, database) = two_instances();
    let users = ["ivan@example.com", "olena@example.com"].map(|email| one.client().new_user(email));
    let again = two.client().login("ivan@example.com", "123456");
    // After a restore, all sessions seem to have been used long ago.
    let rest = "insert into sessions (user_id, last_used_at) select id, now() - interval '2 hours' from users";
    database.client().execute(rest, &[]).unwrap();
    let logout = |words: &[&str]| {
        let settings = [("DATABASE_URL".to_owned(), database.url())];
        let output = command(&settings).args(["user", "logout"]).args(words).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().unwrap(), said)
    };
    let (code, said) = logout(&["Ivan@example.com"]);
    let expected = format!("ended 3 sessions of user {} ivan@example.com\n", id(&users[0]));
    assert_eq!((code, said), (0, expected));
    for client in [&users[0], &again] {
        eventually("the access token is dead", || !is_alive(client));
        assert_eq!(refresh(&one, client.refresh_token.as_deref().unwrap()).status, 401);
    }
    assert!(is_alive(&users[1]));

    let ivan = one.client().login("ivan@example.com", "123456");
    assert_eq!(logout(&["--all"]), (0, "ended 3 sessions\n".to_owned()));
    for client in [&ivan, &users[1]] {
        eventually("the access token is dead", || !is_alive(client));
        assert_eq!(refresh(&two, client.refresh_token.as_deref().unwrap()).status, 401);
    }
    let left = "select (select count(*) from sessions), (select count(*) from revocations)";
    let left = database.client().query_one(left, &[]).unwrap();
    assert_eq!((left.get::<_, i64>(0), left.get::<_, i64>(1)), (0, 6));
    for wrong in [&["nobody@example.com"][..], &["x"], &[], &["--all", "ivan@example.com"]] {
        let (code, said) = logout(wrong);
        assert!(code != 0 && !said.contains("ended"), "{wrong:?}: {code} {said}");
    }
}
