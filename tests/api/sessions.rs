//! Sessions and their refresh tokens, on two instances over one database.

use chrono::{TimeDelta, Utc};
use contactd::config::JwtSecret;
use contactd::security::token::Keys;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::database::Database;
use crate::support::server::{Server, Setup, database};
use crate::support::{eventually, random_secret};

/// Two instances that share a database and a secret.
pub fn two_instances() -> (Server, Server, Database) {
    let database = database();
    let setup = Setup::on(&database);
    (setup.ready(), setup.ready(), database)
}

/// The same user at another instance.
pub fn at(server: &Server, client: &Client) -> Client {
    Client { address: server.address, ..client.clone() }
}

/// Sends a refresh token.
pub fn refresh(server: &Server, token: &str) -> Answer {
    let body = json!({ "refresh_token": token });
    server.client().post("/api/auth/refresh_token", &body).send()
}

/// A member of an answer that is a string.
pub fn text(answer: &Answer, member: &str) -> String {
    let found = answer.json()[member].as_str().map(str::to_owned);
    found.unwrap_or_else(|| panic!("{member} in {}", answer.text()))
}

/// Whether its access token counts.
pub fn is_alive(client: &Client) -> bool {
    let status = client.get("/api/users/me").send().status;
    assert!(status == 200 || status == 401, "{status}");
    status == 200
}

/// The id of its user.
pub fn id(client: &Client) -> i64 {
    client.get("/api/users/me").send().json()["id"].as_i64().expect("an id")
}

/// Puts the last refresh of all sessions into the past.
pub fn move_rotations(database: &Database, seconds: i64) {
    let earlier = "update sessions set rotated_at = rotated_at - make_interval(secs => $1)";
    database.client().execute(earlier, &[&(seconds as f64)]).unwrap();
}

#[test]
fn a_refresh_token_is_taken_wherever_the_contract_says() {
    let (server, _database) = Server::with_database();
    let mut token = server.client().new_user("ivan@example.com").refresh_token.unwrap();
    let client = server.client();
    for (method, body, in_header) in [
        ("GET", None, true),
        ("POST", None, true),
        ("POST", Some(json!({})), true),
        ("POST", Some(json!({ "refresh_token": null })), true),
        ("POST", Some(json!({ "refresh_token": "" })), true),
        ("POST", Some(json!({ "refresh_token": "TOKEN" })), false),
    ] {
        let mut request = client.request(method, "/api/auth/refresh_token/");
        if in_header {
            request = request.header("Authorization", &format!("bearer {token}"));
        }
        if let Some(body) = &body {
            request = request.header("Content-Type", "application/json");
            request = request.body(body.to_string().replace("TOKEN", &token));
        }
        let answer = request.send();
        assert_eq!(answer.status, 200, "{method} {body:?}: {}", answer.text());
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let alive = client.with_token(&text(&answer, "access_token"));
        assert!(is_alive(&alive));
        token = text(&answer, "refresh_token");
    }
    // As OAuth2 clients do it, and what the body holds wins over the header.
    let form = client.with_token("not a token").request("POST", "/api/auth/refresh_token");
    let form = form.header("Content-Type", "application/x-www-form-urlencoded");
    let answer = form.body(format!("grant_type=refresh_token&refresh_token={token}&scope=")).send().expect(200);
    assert!(is_alive(&client.with_token(&text(&answer, "access_token"))));
    let none = client.request("POST", "/api/auth/refresh_token").send();
    assert_eq!((none.status, none.header("WWW-Authenticate")), (401, Some("Bearer")));
    assert_eq!(client.get("/api/auth/refresh_token").send().status, 401);
    assert_eq!(refresh(&server, "eyJ.eyJ.x").status, 401);
    assert_eq!(client.post("/api/auth/refresh_token", &json!({ "refresh_token": 7 })).send().status, 422);
}

#[test]
fn an_old_refresh_token_counts_for_a_minute_and_then_ends_the_session() {
    let (one, two, database) = two_instances();
    let ivan = one.client().new_user("ivan@example.com");
    let other = one.client().login("ivan@example.com", "123456");
    let first = ivan.refresh_token.clone().unwrap();
    let second = text(&refresh(&one, &first), "refresh_token");
    move_rotations(&database, 58);
    let again = refresh(&two, &first);
    assert_eq!(again.status, 200, "within the grace, elsewhere too");
    assert_eq!(claims(&text(&again, "refresh_token"))["gen"], claims(&second)["gen"]);
    // The grace begins with the refresh, not with the use of it.
    move_rotations(&database, 3);
    let theft = refresh(&two, &first);
    assert_eq!((theft.status, &theft.json()["error"]), (401, &json!("invalid_grant")));
    for token in [&first, &second, &text(&again, "refresh_token")] {
        assert_eq!(refresh(&one, token).status, 401);
    }
    assert!(!is_alive(&at(&two, &ivan)), "dead at once where it was noticed");
    eventually("dead elsewhere", || !is_alive(&ivan));
    assert!(is_alive(&other), "one login's theft is not another's");
    let event = format!("auth refresh-token-reused user={} address=127.0.0.1 request=", id(&other));
    assert_eq!(two.log().matches(&event).count(), 1);
}

#[test]
fn the_grace_is_a_setting_and_none_is_none() {
    let database = database();
    let servers = [("0", 1), ("300", 299)]
        .map(|(grace, passed)| (Setup::on(&database).with("REFRESH_GRACE", grace).ready(), passed));
    servers[0].0.client().new_user("ivan@example.com");
    for (n, (server, passed)) in servers.iter().enumerate() {
        let first = server.client().login("ivan@example.com", "123456").refresh_token.unwrap();
        refresh(server, &first).expect(200);
        move_rotations(&database, *passed);
        refresh(server, &first).expect([401, 200][n]);
        move_rotations(&database, 300);
        refresh(server, &first).expect(401);
    }
}

#[test]
fn the_one_before_the_last_is_theft_even_within_the_grace() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let first = ivan.refresh_token.clone().unwrap();
    let second = text(&refresh(&server, &first), "refresh_token");
    let third = text(&refresh(&server, &second), "refresh_token");
    assert_eq!(refresh(&server, &first).status, 401);
    assert_eq!(refresh(&server, &third).status, 401);
    assert!(!is_alive(&ivan));
}

/// What a token says, unchecked.
pub fn claims(token: &str) -> Value {
    let mut data = jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap();
    data.claims.take()
}

#[test]
fn a_session_lives_seven_days_without_a_refresh_and_thirty_in_all() {
    let database = database();
    let secret = random_secret();
    let server = Setup::on(&database).with("JWT_SECRET", &secret).ready();
    let ivan = server.client().new_user("ivan@example.com");
    let life = |token: &str| claims(token)["exp"].as_i64().unwrap() - claims(token)["iat"].as_i64().unwrap();
    assert_eq!(life(ivan.token.as_deref().unwrap()), 15 * 60);
    assert_eq!(life(ivan.refresh_token.as_deref().unwrap()), 7 * 86_400);

    // The end of the session bounds its last tokens.
    let mut behind = database.client();
    let mut move_logins = |days: &str| {
        let earlier = format!("update sessions set created_at = created_at - interval '{days}'");
        behind.execute(&earlier, &[]).unwrap();
    };
    move_logins("29 days");
    let late = refresh(&server, ivan.refresh_token.as_deref().unwrap());
    assert_eq!(late.status, 200);
    let left = life(&text(&late, "refresh_token"));
    assert!((86_390..=86_400).contains(&left), "{left} seconds");
    assert_eq!(ivan.get("/api/auth/sessions").send().json().as_array().unwrap().len(), 1);
    move_logins("1 day");
    assert_eq!(refresh(&server, &text(&late, "refresh_token")).status, 401);
    let another = server.client().login("ivan@example.com", "123456");
    let listed = another.get("/api/auth/sessions").send().json();
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["current"]), (1, &json!(true)));

    // Seven days after the last refresh its token is over, however young the session.
    let keys = Keys::new(&[JwtSecret::new(secret.as_bytes()).unwrap()]);
    let fresh = server.client().login("ivan@example.com", "123456");
    let mine = claims(fresh.refresh_token.as_deref().unwrap());
    let issued = |age: TimeDelta| {
        let (user, session) = (mine["sub"].as_str().unwrap().parse().unwrap(), mine["sid"].as_i64().unwrap());
        keys.issue_refresh(user, session, 1, Utc::now() - age, Utc::now() + TimeDelta::days(9))
    };
    assert_eq!(refresh(&server, &issued(TimeDelta::days(7) + TimeDelta::seconds(6))).status, 401);
    assert_eq!(refresh(&server, &issued(TimeDelta::days(7) - TimeDelta::seconds(60))).status, 200);
}

#[test]
fn the_list_shows_each_login_and_one_can_be_ended() {
    let (one, two, _database) = two_instances();
    let first = one.client().new_user("ivan@example.com");
    let agent = "Browser/1 (".to_owned() + &"x".repeat(300);
    let body = json!({ "email": "ivan@example.com", "password": "123456" });
    let login = one.client().post("/api/auth/login", &body).header("User-Agent", &agent).send();
    let second = one.client().with_token(&text(&login, "access_token"));
    let olena = one.client().new_user("olena@example.com");

    let list = second.get("/api/auth/sessions").send();
    assert_eq!((list.status, list.header("Cache-Control")), (200, Some("no-store")));
    let list = list.json();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    let members: Vec<_> = list[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "created_at", "last_used_at", "user_agent", "ip", "current"]);
    assert_eq!(list[0]["user_agent"], json!(agent[..200]));
    assert_eq!((&list[0]["ip"], &list[0]["current"]), (&json!("127.0.0.1"), &json!(true)));
    assert_eq!((&list[1]["user_agent"], &list[1]["current"]), (&json!(null), &json!(false)));

    // A refresh counts as use.
    refresh(&two, first.refresh_token.as_deref().unwrap());
    let list = second.get("/api/auth/sessions/").send().json();
    assert_eq!((&list[0]["current"], &list[1]["current"]), (&json!(false), &json!(true)));

    let path = format!("/api/auth/sessions/{}", list[0]["id"]);
    assert_eq!(olena.delete(&path).send().status, 404, "another user's is as good as none");
    assert!(is_alive(&first));
    assert_eq!(second.delete(&path).send().status, 204);
    assert!(!is_alive(&first));
    assert_eq!(refresh(&one, first.refresh_token.as_deref().unwrap()).status, 401);
    assert_eq!(second.delete(&path).send().status, 404);
    assert_eq!(second.delete("/api/auth/sessions/9223372036854775807").send().status, 404);
    for odd in ["0", "-1", "x", "100000000000000000000", "1%00"] {
        assert_eq!(second.delete(&format!("/api/auth/sessions/{odd}")).send().status, 422, "{odd}");
    }
    assert!(is_alive(&second) && is_alive(&olena));
}

/// Whatever a client calls itself, it is no fault of the server's.
#[test]
fn an_odd_user_agent_is_no_fault() {
    let (server, _database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let body = json!({ "email": "ivan@example.com", "password": "123456" });
    for (agent, expected) in
        [("", 200), ("  ", 200), ("'; drop table users; --", 200), ("Ім'я/1", 200), ("a\u{0}b", 400), ("a\u{1}b", 400)]
    {
        let request = server.client().post("/api/auth/login", &body);
        let answer = request.header("User-Agent", agent).send();
        assert_eq!(answer.status, expected, "{agent:?}: {}", answer.text());
    }
}
