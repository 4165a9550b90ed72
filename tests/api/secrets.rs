//! Nothing secret is kept, told or logged.

use contactd::config::{JwtSecret, Values};
use contactd::domain::hex;
use contactd::domain::user::{Login, Password};
use contactd::security::token::Keys;
use serde_json::{Value, json};

use crate::sessions::{move_rotations, refresh};
use crate::support::client::{Answer, Client};
use crate::support::database::Database;
use crate::support::random_secret;
use crate::support::server::{Server, Setup, database};

/// Every row of every table, as text; `bytea` shows as hexadecimal.
fn dump(database: &Database) -> String {
    let mut client = database.client();
    let tables = "select table_name::text from information_schema.tables where table_schema = 'public'";
    let mut all = String::new();
    for table in client.query(tables, &[]).unwrap() {
        let table: String = table.get(0);
        for row in client.query(&format!("select t::text from {table} as t"), &[]).unwrap() {
            all += &format!("{table} {}\n", row.get::<_, String>(0));
        }
    }
    all
}

/// Everything that a client may send and get around accounts, with the tokens and the passwords that went over the wire.
struct Visit<'a> {
    server: &'a Server,
    secrets: Vec<String>,
    /// All that was answered but the tokens themselves.
    told: String,
}

impl Visit<'_> {
    fn password(&mut self, what: &str) -> String {
        let password = format!("{what} пароль {}", &random_secret()[..12]);
        self.secrets.push(password.clone());
        password
    }

    fn keep(&mut self, answer: Answer) -> Answer {
        if answer.status == 200 {
            for token in ["access_token", "refresh_token"] {
                if let Some(token) = answer.json()[token].as_str() {
                    self.secrets.push(token.to_owned());
                    // Its signature alone would do for whoever knows the ids.
                    self.secrets.push(token.rsplit('.').next().unwrap().to_owned());
                }
            }
        } else {
            self.told += &format!("{:?}\n{}\n", answer.headers, answer.text());
        }
        answer
    }

    fn post(&mut self, path: &str, body: &Value) -> Answer {
        let answer = self.server.client().post(path, body).send();
        self.keep(answer)
    }

    fn login(&mut self, email: &str, password: &str, status: u16) -> Client {
        let body = json!({ "email": email, "password": password });
        let answer = self.post("/api/auth/login", &body);
        assert_eq!(answer.status, status, "{}", answer.text());
        let mut client = self.server.client();
        if status == 200 {
            client.token = answer.json()["access_token"].as_str().map(str::to_owned);
            client.refresh_token = answer.json()["refresh_token"].as_str().map(str::to_owned);
        }
        client
    }

    /// Bodies that do not fit, each with a password in it.
    fn broken_bodies(&mut self) {
        let password = self.password("broken");
        let form = "application/x-www-form-urlencoded";
        for (kind, body) in [
            ("application/json", format!("{{\"email\": \"x@example.com\", \"password\": \"{password}\" x}}")),
            ("application/json", format!("{{\"email\": 1, \"password\": [\"{password}\"]}}")),
            ("application/json", format!("\"{password}\"")),
            ("application/json", format!("{{\"{password}\": 1}}")),
            ("text/plain", password.clone()),
            (form, format!("username=x&password={password}&grant_type={password}")),
            (form, format!("username=%zz&password={password}")),
        ] {
            for path in ["/api/auth/login", "/api/auth/signup", "/api/auth/refresh_token"] {
                let request = self.server.client().request("POST", path);
                let answer = request.header("Content-Type", kind).body(body.clone()).send();
                assert!((400..500).contains(&answer.status), "{path} {body}: {}", answer.status);
                self.keep(answer);
            }
        }
    }
}

#[test]
fn no_password_and_no_token_is_in_the_database_the_log_or_an_answer() {
    let database = database();
    let secret = random_secret();
    let setup = Setup::on(&database).with("JWT_SECRET", &secret).with("LOGIN_ATTEMPTS", "3");
    let server = setup.with("LOG", "debug").ready();
    let mut visit = Visit { server: &server, secrets: vec![secret], told: String::new() };
    let (first, second, wrong) = (visit.password("first"), visit.password("second"), visit.password("wrong"));

    let body = json!({ "username": "Іван", "email": "ivan@example.com", "password": first });
    assert_eq!(visit.post("/api/auth/signup", &body).status, 201);
    assert_eq!(visit.post("/api/auth/signup", &body).status, 409);
    let ivan = visit.login("ivan@example.com", &first, 200);
    let other = visit.login("ivan@example.com", &first, 200);
    visit.login("ivan@example.com", &wrong, 401);
    // People type the password where the address belongs.
    visit.login(&wrong, &first, 401);
    ivan.new_contact(&json!({ "first_name": "Secretive" }));
    assert_eq!(ivan.get("/api/contacts?q=secretive").send().names(), ["Secretive"]);

    let old = ivan.refresh_token.clone().unwrap();
    let pair = visit.keep(refresh(&server, &old));
    assert_eq!(pair.status, 200);
    for (current, status) in [(&wrong, 401), (&first, 204)] {
        let body = json!({ "current_password": current, "new_password": second });
        let answer = ivan.put("/api/users/me/password", &body).send();
        assert_eq!(visit.keep(answer).status, status);
    }
    assert_eq!(other.get("/api/users/me").send().status, 401);
    move_rotations(&database, 61);
    assert_eq!(visit.keep(refresh(&server, &old)).status, 401);
    assert_eq!(visit.keep(refresh(&server, "eyJ.eyJ.x")).status, 401);
    for _ in 0..3 {
        visit.login("olena@example.com", &wrong, 401);
    }
    visit.login("olena@example.com", &wrong, 429);
    visit.broken_bodies();
    let leaver = visit.password("leaver");
    let body = json!({ "username": "Leaver", "email": "leaver@example.com", "password": leaver });
    assert_eq!(visit.post("/api/auth/signup", &body).status, 201);
    let client = visit.login("leaver@example.com", &leaver, 200);
    let everything = dump(&database);
    for (path, method, body) in [
        ("/api/auth/logout?everywhere=true", "POST", None),
        ("/api/users/me", "DELETE", Some(json!({ "password": leaver }))),
    ] {
        let client = if method == "POST" { client.clone() } else { visit.login("leaver@example.com", &leaver, 200) };
        let request = client.request(method, path);
        let request = if let Some(body) = &body { request.json(body) } else { request };
        assert_eq!(request.send().status, 204);
    }
    let everything = everything + &dump(&database);

    // The search would find what there is.
    assert!(everything.contains("ivan@example.com") && everything.contains("$argon2id$"), "{everything}");
    assert!(everything.matches("login_attempts (\"\\\\x").count() > 2, "{everything}");
    let log = server.log();
    assert!(log.contains("GET /api/contacts 200"), "{log}");
    assert!(visit.told.contains("is not JSON"));
    for secret in &visit.secrets {
        let in_hex = hex::encode(secret.as_bytes());
        for (place, text) in [("database", &everything), ("log", &log), ("answers", &visit.told)] {
            assert!(!text.contains(secret.as_str()), "{secret} is in the {place}");
            assert!(!text.contains(&in_hex), "{secret} is in the {place} in hexadecimal");
        }
    }
    for private in ["ecretive", "ivan@", "Іван"] {
        assert!(!log.contains(private), "{private} is in the log");
    }
    events_are_complete(&log);
}

/// One line an event: when, what, who, from where, which request.
fn events_are_complete(log: &str) {
    let (mut events, mut users) = (Vec::new(), Vec::new());
    for line in log.lines().filter(|line| line.contains(" auth ")) {
        let (time, rest) = line.split_once(' ').unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time).is_ok(), "{line}");
        let words: Vec<_> = rest.split_whitespace().collect();
        let ["INFO", "auth", event, user, "address=127.0.0.1", request] = words[..] else {
            panic!("{line}");
        };
        assert_eq!(request.strip_prefix("request=").map(str::len), Some(16), "{line}");
        // Ids are random, so users are told apart by when they first appear.
        let user = user.strip_prefix("user=").unwrap_or_else(|| panic!("{line}"));
        if user != "unknown" && !users.contains(&user) {
            users.push(user);
        }
        let user = users.iter().position(|known| *known == user).map_or("unknown", |at| ["first", "second"][at]);
        events.push(format!("{event} user={user}"));
    }
    events.dedup();
    let expected = [
        "signup user=first",
        "signup-failed user=unknown",
        "login user=first",
        "login-failed user=first",
        "login-failed user=unknown",
        "refreshed user=first",
        "wrong-password user=first",
        "password-changed user=first",
        "refresh-token-reused user=first",
        "refresh-failed user=unknown",
        "login-failed user=unknown",
        "throttled user=unknown",
        "signup user=second",
        "login user=second",
        "logout-everywhere user=second",
        "login user=second",
        "account-deleted user=second",
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_log_line_has_the_clients_own_request_id() {
    let (server, _database) = Server::with_database();
    let body = json!({ "email": "x@example.com", "password": "guess" });
    let request = server.client().post("/api/auth/login", &body);
    assert_eq!(request.header("X-Request-Id", "my.own-1").send().status, 401);
    let line = "auth login-failed user=unknown address=127.0.0.1 request=my.own-1";
    crate::support::eventually("the line is there", || server.log().contains(line));
}

#[test]
fn debug_output_holds_nothing_secret() {
    let secret = random_secret();
    let given = [("DATABASE_URL", format!("postgres://x:{secret}@127.0.0.1/x")), ("JWT_SECRET", secret.clone())];
    let values = Values::new(given.map(|(name, value)| (name.to_owned(), value)));
    let login = Login { email: "x@example.com".to_owned(), password: Password::new(&secret) };
    let long = JwtSecret::new(secret.as_bytes()).unwrap();
    let keys = Keys::new(&[long.clone(), long.clone()]);
    let text = format!("{:?} {login:?} {keys:?} {long:?}", values.config().unwrap());
    assert!(text.contains("127.0.0.1") && text.contains("x@example.com"), "{text}");
    let as_list = format!("{:?}", secret.as_bytes());
    for told in [secret.as_str(), as_list.trim_matches(['[', ']'])] {
        assert!(!text.contains(told), "{told} in {text}");
    }
}
