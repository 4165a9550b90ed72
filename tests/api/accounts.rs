//! Signing up, logging in, one's own account: the table "Accounts and tokens" of the contract, but for what sessions do.

use std::thread;

use serde_json::{Value, json};

use crate::sessions::{refresh, text};
use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::server::{Server, Setup, database};

fn sign_up(server: &Server, username: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "username": username, "email": email, "password": password });
    server.client().post("/api/auth/signup", &body).send()
}

fn login(server: &Server, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    server.client().post("/api/auth/login", &body).send()
}

fn login_by_form(server: &Server, form: &str) -> Answer {
    let request = server.client().request("POST", "/api/auth/login");
    request.header("Content-Type", "application/x-www-form-urlencoded").body(form).send()
}

fn delete_account(client: &Client, password: &str) -> Answer {
    let body = json!({ "password": password });
    client.request("DELETE", "/api/users/me").json(&body).send()
}

#[test]
fn signing_up_answers_with_the_user_and_nothing_of_the_password() {
    let (server, _database) = Server::with_database();
    let answer = sign_up(&server, "  Іван ", " Ivan@Example.COM ", "123456");
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("Location"), Some("/api/users/me"));
    let user = answer.json();
    let members: Vec<_> = user.as_object().unwrap().keys().collect();
    assert_eq!(members, ["id", "username", "email", "created_at"]);
    assert_eq!((&user["username"], &user["email"]), (&json!("Іван"), &json!("ivan@example.com")));
    assert!(!answer.text().contains("123456") && !answer.text().contains("argon2"));

    let ivan = server.client().login("IVAN@example.com", "123456");
    assert_eq!(ivan.get("/api/users/me").send().json(), user);
    for taken in ["ivan@example.com", "IVAN@EXAMPLE.COM", " Ivan@example.com"] {
        assert_eq!(sign_up(&server, "Another", taken, "123456").status, 409, "{taken}");
    }
}

#[test]
fn of_many_who_sign_up_with_one_address_at_once_one_does() {
    let (server, _database) = Server::with_database();
    let all: Vec<_> = (0..8)
        .map(|_| {
            let client = server.client();
            thread::spawn(move || {
                let body = json!({ "username": "A", "email": "ivan@example.com", "password": "123456" });
                client.post("/api/auth/signup", &body).send().status
            })
        })
        .collect();
    let mut statuses: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [&[201][..], &[409].repeat(7)].concat());
}

#[test]
fn a_sign_up_that_does_not_fit_is_told_all_that_is_wrong() {
    let (server, _database) = Server::with_database();
    let post = |body: &Value| server.client().post("/api/auth/signup", body).send();
    let answer = post(&json!({}));
    assert_eq!((answer.status, answer.faults()), (422, vec!["username".into(), "email".into(), "password".into()]));
    let fits = json!({ "username": "x", "email": "x@example.com", "password": "123456" });
    for (field, value) in [
        ("username", json!("")),
        ("username", json!("   ")),
        ("username", json!("я".repeat(51))),
        ("username", json!("a\u{0}b")),
        ("username", json!(null)),
        ("username", json!(["x"])),
        ("email", json!("nobody")),
        ("email", json!("@example.com")),
        ("email", json!("x@localhost")),
        ("email", json!("x y@example.com")),
        ("email", json!(format!("{}@example.com", "x".repeat(65)))),
        ("email", json!(7)),
        ("password", json!("12345")),
        ("password", json!("e\u{301}".repeat(5))),
        ("password", json!("🔑".repeat(129))),
        ("password", json!(123456)),
        ("password", json!("")),
    ] {
        let mut body = fits.clone();
        body[field] = value.clone();
        let answer = post(&body);
        assert_eq!((answer.status, answer.faults()), (422, vec![field.to_owned()]), "{value}");
        assert!(!answer.text().contains("12345"), "a fault repeats no password: {}", answer.text());
    }
    assert_eq!(post(&fits).status, 201);
    assert_eq!(sign_up(&server, &"я".repeat(50), "я.ж@приклад.укр", "🔑🔑🔑🔑🔑🔑").status, 201);
    assert_eq!(login(&server, "Я.Ж@ПРИКЛАД.УКР", "🔑🔑🔑🔑🔑🔑").status, 200);
}

/// Up to 128 characters of any Unicode, all of which count; the same text from another keyboard is the same.
#[test]
fn a_password_is_any_text_and_never_cut() {
    let (server, _database) = Server::with_database();
    let long = "🔑".repeat(127) + "é";
    let odd = " \u{0}\t\" ' \\ %41 + Ω ";
    for (email, password) in [("long@example.com", long.as_str()), ("odd@example.com", odd)] {
        assert_eq!(sign_up(&server, "x", email, password).status, 201, "{email}");
        assert_eq!(login(&server, email, password).status, 200, "{email}");
        assert_eq!(login(&server, email, password.trim_end_matches(['é', ' '])).status, 401, "{email}");
    }
    let decomposed = "🔑".repeat(127) + "e\u{301}";
    assert_eq!(login(&server, "long@example.com", &decomposed).status, 200);
    let longer = "🔑".repeat(129);
    assert_eq!(login(&server, "long@example.com", &longer).status, 422);
    let form = format!("username=odd%40example.com&password={}", contactd::http::percent_encode(odd));
    assert_eq!(login_by_form(&server, &form).status, 200);
}

#[test]
fn the_minimum_and_the_list_of_refused_passwords_are_settings() {
    let list = format!("{}/contactd-list-{}", std::env::temp_dir().display(), std::process::id());
    std::fs::write(&list, "\u{feff}Password1\r\n\n１２３４５６７８\nпароль123\n").unwrap();
    let database = database();
    let setup = Setup::on(&database).with("PASSWORD_MIN_LENGTH", "8");
    let server = setup.with("REFUSED_PASSWORDS_FILE", &list).ready();
    for refused in ["1234567", "password1", "PASSWORD1", "ｐassword1", "12345678", "ПАРОЛЬ123"] {
        let answer = sign_up(&server, "x", "x@example.com", refused);
        assert_eq!((answer.status, answer.faults()), (422, vec!["password".to_owned()]), "{refused}");
    }
    assert_eq!(sign_up(&server, "x", "x@example.com", "password12").status, 201);
    let client = server.client().login("x@example.com", "password12");
    let body = json!({ "current_password": "password12", "new_password": "Password1" });
    let answer = client.put("/api/users/me/password", &body).send();
    assert_eq!((answer.status, answer.faults()), (422, vec!["new_password".to_owned()]));
    std::fs::remove_file(list).unwrap();
}

#[test]
fn a_login_gives_a_pair_by_json_and_by_form() {
    let (server, _database) = Server::with_database();
    sign_up(&server, "x", "ivan+1@example.com", "p&ss wörd");
    let forms = "username=Ivan%2B1%40example.com&password=p%26ss+w%C3%B6rd";
    for answer in [
        login(&server, " IVAN+1@example.com", "p&ss wörd"),
        login_by_form(&server, forms),
        login_by_form(&server, &format!("grant_type=password&scope=&client_id=&{forms}")),
    ] {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let pair = answer.json();
        let members: Vec<_> = pair.as_object().unwrap().keys().collect();
        assert_eq!(members, ["access_token", "refresh_token", "token_type", "expires_in"]);
        assert_eq!((&pair["token_type"], &pair["expires_in"]), (&json!("bearer"), &json!(900)));
        let client = server.client().with_token(&text(&answer, "access_token"));
        assert_eq!(client.get("/api/users/me").send().status, 200);
        // One is never taken for the other.
        let swapped = server.client().with_token(&text(&answer, "refresh_token"));
        assert_eq!(swapped.get("/api/users/me").send().status, 401);
        assert_eq!(refresh(&server, &text(&answer, "access_token")).status, 401);
    }
    assert_eq!(login_by_form(&server, &format!("grant_type=client_credentials&{forms}")).status, 422);
    assert_eq!(login_by_form(&server, "username=x").faults(), ["password"]);
    assert_eq!(login_by_form(&server, "username=%ff&password=x").status, 400);
}

#[test]
fn an_unknown_address_and_a_wrong_password_get_the_same_answer() {
    let (server, _database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let told = |answer: Answer| {
        let mut problem = answer.json();
        problem["request_id"] = json!(null);
        let mut headers = answer.headers;
        headers.retain(|(name, _)| name != "X-Request-Id" && name != "Date");
        (answer.status, headers, problem)
    };
    let wrong = told(login(&server, "ivan@example.com", "guess"));
    assert_eq!(wrong, told(login(&server, "nobody@example.com", "guess")));
    assert_eq!(wrong, told(login_by_form(&server, "username=ivan%40example.com&password=guess")));
    assert_eq!(wrong, told(login(&server, "no address at all", "guess")));
    let (status, headers, problem) = wrong;
    assert_eq!(status, 401);
    assert!(headers.contains(&("WWW-Authenticate".into(), "Bearer".into())), "{headers:?}");
    // OAuth2 clients look for these (RFC 6749 §5.2).
    assert_eq!(problem["error"], "invalid_grant");
    assert_eq!(problem["error_description"], problem["detail"]);
}

#[test]
fn a_user_may_take_another_name_and_what_only_the_server_writes_stays() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let before = ivan.get("/api/users/me").send().json();
    let body = json!({ "username": " Jose\u{301} ", "email": "Ivan@example.com", "id": 7, "created_at": "2001-01-01T00:00:00Z" });
    let answer = ivan.patch("/api/users/me", &body).send();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut expected = before;
    expected["username"] = json!("Jos\u{e9}");
    assert_eq!(answer.json(), expected);
    assert_eq!(ivan.patch("/api/users/me", &json!({})).send().json(), expected);
    assert_eq!(ivan.get("/api/users/me").send().json(), expected);
    for wrong in [json!(null), json!(""), json!("x".repeat(51)), json!(1)] {
        let answer = ivan.patch("/api/users/me", &json!({ "username": wrong })).send();
        assert_eq!((answer.status, answer.faults()), (422, vec!["username".to_owned()]), "{wrong}");
    }
}

#[test]
fn a_new_address_takes_the_password_and_every_session_lives_on() {
    let (server, _database) = Server::with_database();
    let here = server.client().new_user("ivan@example.com");
    let there = server.client().login("ivan@example.com", "123456");
    server.client().new_user("olena@example.com");
    let before = here.get("/api/users/me").send().json();
    let change = |body: &Value| here.patch("/api/users/me", body).send();
    for (body, status, fault) in [
        (json!({ "email": "new@example.com" }), 422, "current_password"),
        (json!({ "email": "new@example.com", "current_password": null }), 422, "current_password"),
        (json!({ "email": "new@example.com", "current_password": "" }), 422, "current_password"),
        (json!({ "email": "new", "current_password": "123456" }), 422, "email"),
        (json!({ "email": "ne\u{200b}w@example.com", "current_password": "123456" }), 422, "email"),
        (json!({ "email": null, "current_password": "123456" }), 422, "email"),
        (json!({ "email": "", "current_password": "123456" }), 422, "email"),
        (json!({ "email": "new@example.com", "current_password": "guess" }), 401, ""),
        (json!({ "username": "New", "email": "new@example.com", "current_password": "guess" }), 401, ""),
        // Whether an address is taken is told only to who knows the password.
        (json!({ "email": "olena@example.com", "current_password": "guess" }), 401, ""),
        (json!({ "username": "New", "email": "Olena@example.com", "current_password": "123456" }), 409, ""),
    ] {
        let answer = change(&body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        let faults = answer.faults();
        assert_eq!(faults.first().map_or("", String::as_str), fault, "{body}");
        if status == 409 {
            assert_eq!(answer.json()["type"], "urn:contactd:email-taken");
        }
        assert_eq!(here.get("/api/users/me").send().json(), before, "{body}");
    }
    let same = change(&json!({ "username": "Іван", "email": "IVAN@example.com" })).expect(200).json();
    assert_eq!((&same["username"], &same["email"]), (&json!("Іван"), &json!("ivan@example.com")));
    let new = change(&json!({ "email": " New@Example.com ", "current_password": "123456" })).expect(200).json();
    assert_eq!(
        (&new["username"], &new["email"], &new["id"]),
        (&json!("Іван"), &json!("new@example.com"), &before["id"])
    );
    for client in [&here, &there] {
        assert_eq!(client.get("/api/users/me").send().json(), new);
        assert_eq!(refresh(&server, client.refresh_token.as_deref().unwrap()).status, 200);
    }
    assert_eq!(login(&server, "ivan@example.com", "123456").status, 401);
    assert_eq!(login(&server, "new@example.com", "123456").status, 200);
    // The old one is free.
    server.client().new_user("ivan@example.com");
    assert!(server.log().contains("auth email-changed user="));
}

/// Of two who want one address at the same moment, one gets it; and a password that is changed meanwhile counts no more.
#[test]
fn an_address_goes_to_one_of_those_who_want_it_and_only_by_the_password_in_force() {
    let (server, database) = Server::with_database();
    let users = ["a@example.com", "b@example.com", "c@example.com"].map(|email| server.client().new_user(email));
    let body = json!({ "email": "wanted@example.com", "current_password": "123456" });
    let changes: Vec<_> = users
        .iter()
        .map(|user| {
            let (user, body) = (user.clone(), body.clone());
            thread::spawn(move || user.patch("/api/users/me", &body).send().status)
        })
        .collect();
    let mut statuses: Vec<_> = changes.into_iter().map(|change| change.join().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409]);

    let mut behind = database.client();
    let mut other = behind.transaction().unwrap();
    other.execute("update users set password_hash = 'x' || password_hash", &[]).unwrap();
    let user = users[0].clone();
    let change = thread::spawn(move || {
        user.patch("/api/users/me", &json!({ "email": "late@example.com", "current_password": "123456" })).send()
    });
    let mut look = database.client();
    eventually("the change waits for the other", || {
        let waits = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
        change.is_finished() || !look.query(waits, &[]).unwrap().is_empty()
    });
    other.commit().unwrap();
    change.join().unwrap().expect(409);
}

/// Two addresses that look the same must be the same.
#[test]
fn an_address_has_no_invisible_characters() {
    let (server, _database) = Server::with_database();
    for invisible in ["\u{200b}", "\u{200d}", "\u{ad}", "\u{feff}", "\u{202e}", "\u{2060}", "\u{e0041}"] {
        let answer = sign_up(&server, "A", &format!("iv{invisible}an@example.com"), "123456").expect(422);
        assert_eq!(answer.faults(), ["email"]);
        assert!(answer.text().contains("invisible character U+"), "{}", answer.text());
    }
    sign_up(&server, "A", "їжак@приклад.укр", "123456").expect(201);
}

#[test]
fn changing_the_password_takes_the_current_one_and_ends_the_other_sessions() {
    let (server, _database) = Server::with_database();
    let here = server.client().new_user("ivan@example.com");
    let there = server.client().login("ivan@example.com", "123456");
    let stranger = server.client().new_user("olena@example.com");
    let put = |body: &Value| here.put("/api/users/me/password", body).send();
    let wrong = put(&json!({ "current_password": "guess", "new_password": "another" }));
    assert_eq!(wrong.status, 401);
    let both = put(&json!({ "new_password": "x" }));
    assert_eq!((both.status, both.faults()), (422, vec!["current_password".into(), "new_password".into()]));
    assert_eq!(there.get("/api/users/me").send().status, 200);

    let done = put(&json!({ "current_password": "123456", "new_password": "another" }));
    assert_eq!((done.status, done.body.len()), (204, 0));
    assert_eq!(there.get("/api/users/me").send().status, 401);
    assert_eq!(refresh(&server, there.refresh_token.as_deref().unwrap()).status, 401);
    for kept in [&here, &stranger] {
        assert_eq!(kept.get("/api/users/me").send().status, 200);
        assert_eq!(refresh(&server, kept.refresh_token.as_deref().unwrap()).status, 200);
    }
    assert_eq!(login(&server, "ivan@example.com", "123456").status, 401);
    assert_eq!(login(&server, "ivan@example.com", "another").status, 200);
}

#[test]
fn deleting_an_account_takes_all_its_rows_and_kills_every_token() {
    let (server, database) = Server::with_database();
    let here = server.client().new_user("ivan@example.com");
    let there = server.client().login("ivan@example.com", "123456");
    let olena = server.client().new_user("olena@example.com");
    for owner in [&here, &olena] {
        owner.new_contact(&json!({ "first_name": "Кум" }));
    }
    let mut behind = database.client();
    let user = here.get("/api/users/me").send().json()["id"].as_i64().unwrap();
    behind.execute("insert into calendars (user_id, secret_hash) values ($1, 'x')", &[&user]).unwrap();
    assert_eq!(delete_account(&here, "guess").status, 401);
    assert_eq!(here.delete("/api/users/me").send().status, 415, "it takes the password");
    assert_eq!(delete_account(&here, "123456").status, 204);
    for client in [&here, &there] {
        assert_eq!(client.get("/api/contacts").send().status, 401);
        assert_eq!(client.get("/api/users/me").send().status, 401);
        assert_eq!(refresh(&server, client.refresh_token.as_deref().unwrap()).status, 401);
        assert_eq!(delete_account(client, "123456").status, 401);
    }
    assert_eq!(login(&server, "ivan@example.com", "123456").status, 401);
    for table in ["contacts", "sessions", "calendars"] {
        let rows = behind.query(&format!("select from {table} where user_id = $1"), &[&user]).unwrap();
        assert_eq!(rows.len(), 0, "{table}");
    }
    let users: i64 = behind.query_one("select count(*) from users", &[]).unwrap().get(0);
    assert_eq!(users, 1);
    assert_eq!(olena.get("/api/contacts").send().names(), ["Кум"]);
    // The address is free again, for somebody else.
    let again = server.client().new_user("ivan@example.com");
    assert_eq!(again.get("/api/contacts").send().names(), [""; 0]);
}

/// When the parameters were raised, a hash made with less is renewed at the first login with the right password.
#[test]
fn a_weak_hash_is_renewed_at_the_next_login() {
    let (server, database) = Server::with_database();
    server.client().new_user("ivan@example.com");
    let mut behind = database.client();
    let weak = crate::races::weak_hash();
    behind.execute("update users set password_hash = $1", &[&weak]).unwrap();
    let mut hash = || -> String { behind.query_one("select password_hash from users", &[]).unwrap().get(0) };
    assert_eq!(login(&server, "ivan@example.com", "guess").status, 401);
    assert_eq!(hash(), weak);
    assert_eq!(login(&server, "ivan@example.com", "123456").status, 200);
    let renewed = hash();
    assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
    assert_eq!(login(&server, "ivan@example.com", "123456").status, 200);
    assert_eq!(hash(), renewed, "once is enough");
}
