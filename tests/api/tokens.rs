//! Access tokens over the socket: what they cost, and that none but ours counts. `tests/unit_token.rs` goes through every
//! rule of a token; here is what a client meets.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384};

use crate::sessions::{at, claims, refresh, text};
use crate::support::proxy::Proxy;
use crate::support::server::{Server, Setup, command, database};
use crate::support::{eventually, random_secret};

/// A read behind a token is one statement on a connection that is open: the token is checked without the database.
#[test]
fn a_guarded_read_is_one_round_trip_and_a_refusal_none() {
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    let setup = Setup::on(&database).with("DATABASE_URL", url);
    let lanes = ["WORKERS", "WRITE_WORKERS", "SLOW_WORKERS"];
    let server = lanes.iter().fold(setup, |setup, lane| setup.with(lane, "1")).ready();
    let ivan = server.client().new_user("ivan@example.com");
    let id = ivan.new_contact(&json!({ "first_name": "Іван" }));
    let one = format!("/api/contacts/{id}");

    // Longer than the list of ended sessions is trusted, so a request that had to renew it would show.
    let (before, began) = (proxy.count(), Instant::now());
    let mut requests = 0;
    while began.elapsed() < Duration::from_millis(2500) {
        assert_eq!(ivan.get(&one).send().status, 200);
        requests += 1;
    }
    let cost = proxy.count() - before;
    // Beyond that, each of the pool's connections (two a lane, one for housekeeping, three for downloads) may be opened once,
    // and prepares the statement once.
    assert_eq!((cost.bind, cost.execute), (requests, requests), "{cost:?}");
    assert_eq!(cost.sync - cost.parse, requests, "{cost:?}");
    assert!(cost.parse <= 14 && cost.query <= 2 * 14, "{cost:?}");
    // Two statements every half second.
    let polls = 2 * (began.elapsed().as_millis() as u64 / 500 + 1);
    assert!(cost.housekeeping <= polls, "{cost:?} in {polls} polls");

    for read in [&one, "/api/contacts", "/api/contacts?q=x", "/api/users/me", "/api/auth/sessions"] {
        let cost = proxy.least_cost(|| assert_eq!(ivan.get(read).send().status, 200));
        assert_eq!(cost.round_trips(), 1, "{read}: {cost:?}");
    }
    for (client, what) in [(ivan.with_token("eyJ.eyJ.x"), "no token of ours"), (server.client(), "no token")] {
        let cost = proxy.least_cost(|| assert_eq!(client.get(&one).send().status, 401));
        assert_eq!(cost.round_trips(), 0, "{what}: {cost:?}");
    }
    assert_eq!(ivan.post("/api/auth/logout", &json!({})).send().status, 204);
    let cost = proxy.least_cost(|| assert_eq!(ivan.get(&one).send().status, 401));
    assert_eq!(cost.round_trips(), 0, "a session that ended: {cost:?}");
}

const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|place| BASE64URL[(word >> (18 - 6 * place)) as usize & 63] as char));
    }
    text
}

/// A token with any header and claims, signed by whichever MAC.
fn forge<M: Mac + KeyInit>(secret: &str, header: &Value, claims: &Value) -> String {
    let [header, claims] = [header, claims].map(|part| base64url(part.to_string().as_bytes()));
    let mut mac = <M as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{header}.{claims}").as_bytes());
    format!("{header}.{claims}.{}", base64url(&mac.finalize().into_bytes()))
}

/// The parts of a token, unchecked.
fn parts(token: &str) -> (Value, Value) {
    let header = serde_json::to_value(jsonwebtoken::decode_header(token).unwrap()).unwrap();
    let named = |name: &str| (name.to_owned(), header[name].clone());
    (["typ", "alg", "kid"].map(named).into_iter().collect::<serde_json::Map<_, _>>().into(), claims(token))
}

/// Each forgery is of a session that lives and differs in one thing from a token that counts.
#[test]
fn no_forged_token_counts() {
    let secret = random_secret();
    let database = database();
    let server = Setup::on(&database).with("JWT_SECRET", &secret).ready();
    let ivan = server.client().new_user("ivan@example.com");
    let now = chrono::Utc::now().timestamp();
    for genuine in [ivan.token.as_deref().unwrap(), ivan.refresh_token.as_deref().unwrap()] {
        let (header, body) = parts(genuine);
        let is_access = header["typ"] == "at+jwt";
        let status = |token: &str| {
            let client = server.client().with_token(token);
            let path = if is_access { "/api/users/me" } else { "/api/auth/refresh_token" };
            client.get(path).send().status
        };
        let signed = |header: &Value, body: &Value| forge::<Hmac<Sha256>>(&secret, header, body);
        let with = |whole: &Value, name: &str, value: Value| {
            let mut changed = whole.clone();
            changed[name] = value;
            changed
        };
        let without = |name: &str| {
            let mut changed = body.clone();
            changed.as_object_mut().unwrap().remove(name);
            changed
        };
        let none = |alg: &str| {
            let [header, claims] =
                [&with(&header, "alg", json!(alg)), &body].map(|part| base64url(part.to_string().as_bytes()));
            format!("{header}.{claims}.")
        };
        let other_kind = if is_access { "rt+jwt" } else { "at+jwt" };
        let alg = |alg: &str| with(&header, "alg", json!(alg));
        let forgeries = [
            ("alg none, unsigned", none("none")),
            ("alg None, unsigned", none("None")),
            ("HS256, unsigned", none("HS256")),
            ("alg none, signed", signed(&alg("none"), &body)),
            ("HS384", forge::<Hmac<Sha384>>(&secret, &alg("HS384"), &body)),
            ("HS512 said, HS256 signed", signed(&alg("HS512"), &body)),
            ("RS256 said, HS256 signed", signed(&alg("RS256"), &body)),
            ("another secret", forge::<Hmac<Sha256>>(&random_secret(), &header, &body)),
            ("another kid", signed(&with(&header, "kid", json!("0123456789abcdef")), &body)),
            ("no kid", signed(&with(&header, "kid", json!(null)), &body)),
            ("typ JWT", signed(&with(&header, "typ", json!("JWT")), &body)),
            ("the other typ", signed(&with(&header, "typ", json!(other_kind)), &body)),
            ("a critical extension", signed(&with(&header, "crit", json!(["exp"])), &body)),
            ("another aud", signed(&header, &with(&body, "aud", json!("somebody")))),
            ("another iss", signed(&header, &with(&body, "iss", json!("somebody")))),
            ("no aud", signed(&header, &without("aud"))),
            ("no iss", signed(&header, &without("iss"))),
            ("no sub", signed(&header, &without("sub"))),
            ("no sid", signed(&header, &without("sid"))),
            ("no exp", signed(&header, &without("exp"))),
            ("no iat", signed(&header, &without("iat"))),
            ("a sub that is no number", signed(&header, &with(&body, "sub", json!("1 or 1=1")))),
            ("nbf in a minute", signed(&header, &with(&body, "nbf", json!(now + 60)))),
            ("iat in a minute", signed(&header, &with(&body, "iat", json!(now + 60)))),
            ("expired by 6 seconds", signed(&header, &with(&body, "exp", json!(now - 6)))),
            ("1,025 bytes", signed(&header, &with(&body, "x", json!("x".repeat(1000))))),
            ("nothing", String::new()),
            ("dots", "..".to_owned()),
            (
                "another's signature",
                format!("{}.{}", genuine.rsplit_once('.').unwrap().0, none("HS256").split('.').next().unwrap()),
            ),
        ];
        for (what, token) in &forgeries {
            assert_eq!(status(token), 401, "{what}: {token}");
        }
        // One bit, at each place in turn; the last character's spare bits too.
        for place in 0..genuine.len() {
            let mut flipped = genuine.as_bytes().to_vec();
            flipped[place] ^= 1;
            let flipped = String::from_utf8(flipped).unwrap();
            assert_eq!(status(&flipped), 401, "a bit flipped at {place}: {flipped}");
        }
        // The forger knows how: with nothing changed it makes tokens that count, within the clock's leeway too.
        assert_eq!(status(&signed(&header, &with(&body, "exp", json!(now + 60)))), 200);
        assert_eq!(status(&signed(&header, &with(&body, "nbf", json!(now)))), 200);
        assert_eq!(status(genuine), 200);
    }
}

/// A new secret logs nobody out while the older one is given for verifying.
/// A file of secrets of one instance. Dropping it removes it.
struct Secrets(String);

impl Secrets {
    fn new(text: &str) -> Secrets {
        let file = Secrets(format!("{}/contactd-secrets-{}", std::env::temp_dir().display(), random_secret()));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    /// Writes it and has the program read it; waits until it has.
    fn change(&self, server: &Server, text: &str) {
        self.write(text);
        let reads = || server.log().matches("read the secrets again").count();
        let before = reads();
        server.signal("HUP");
        eventually("it has read the secrets", || reads() > before);
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

#[test]
fn secrets_change_on_sighup_without_logging_anyone_out() {
    let database = database();
    let (old, new) = (random_secret(), random_secret());
    // White space around a secret, blank lines and the file's end are no part of it.
    let file = Secrets::new(&format!("\n  {old}\r\n\n"));
    let setup = Setup::on(&database).with("JWT_SECRET", "").with("JWT_SECRET_FILE", &file.0);
    let server = setup.ready();
    let ivan = server.client().new_user("ivan@example.com");

    file.change(&server, &format!("{new}\n{old}\n"));
    assert_eq!(ivan.get("/api/users/me").send().status, 200);
    let pair = refresh(&server, ivan.refresh_token.as_deref().unwrap());
    assert_eq!(pair.status, 200);
    let renewed = ivan.with_token(&text(&pair, "access_token"));
    assert_eq!(renewed.get("/api/users/me").send().status, 200);
    assert_ne!(kid(renewed.token.as_deref().unwrap()), kid(ivan.token.as_deref().unwrap()), "the first one signs");

    file.change(&server, &new);
    assert_eq!(renewed.get("/api/users/me").send().status, 200);
    assert_eq!(ivan.get("/api/users/me").send().status, 401);
    assert_eq!(refresh(&server, &text(&pair, "refresh_token")).status, 200);
    drop(server);

    // A secret in the environment is the same as in a file.
    let server = Setup::on(&database).with("JWT_SECRET", &new).ready();
    assert_eq!(at(&server, &renewed).get("/api/users/me").send().status, 200);
    // There is no file to read again, which changes nothing.
    server.signal("HUP");
    eventually("it has read the secrets", || server.log().contains("read the secrets again"));
    assert_eq!(at(&server, &renewed).get("/api/users/me").send().status, 200);
}

#[test]
fn a_file_of_secrets_that_is_no_good_leaves_the_old_ones_in_force() {
    let database = database();
    let (old, new) = (random_secret(), random_secret());
    let file = Secrets::new(&old);
    let server = Setup::on(&database).with("JWT_SECRET", "").with("JWT_SECRET_FILE", &file.0).ready();
    let ivan = server.client().new_user("ivan@example.com");
    let said = |times| {
        server.signal("HUP");
        eventually("it is said", || server.log().matches("the secrets stay as they were").count() == times);
        assert_eq!(ivan.get("/api/users/me").send().status, 200);
    };
    file.write(&format!("{new}\n\n{}\n", &old[..31]));
    said(1);
    assert!(server.log().contains("JWT_SECRET_FILE line 3 must hold at least 32 bytes"), "{}", server.log());
    file.write(" \n");
    said(2);
    assert!(server.log().contains("JWT_SECRET_FILE names a file without a secret"), "{}", server.log());
    std::fs::remove_file(&file.0).unwrap();
    said(3);
    assert!(!server.log().contains(&old[..31]) && !server.log().contains(&new), "{}", server.log());
    file.change(&server, &new);
    assert_eq!(ivan.get("/api/users/me").send().status, 401);
}

/// README's order for several instances: first all of them know the new secret, then it signs, then the old one goes.
#[test]
fn a_change_of_the_secret_on_two_instances_logs_nobody_out() {
    let database = database();
    let (old, new) = (random_secret(), random_secret());
    let files = [Secrets::new(&old), Secrets::new(&old)];
    let servers = files
        .each_ref()
        .map(|file| Setup::on(&database).with("JWT_SECRET", "").with("JWT_SECRET_FILE", &file.0).ready());
    let user = servers[0].client().new_user("ivan@example.com");
    let (over, rounds) = (AtomicBool::new(false), [const { AtomicUsize::new(0) }; 3]);
    // A round that has begun may have tokens from before, and at one instance.
    let all_see_it = || {
        let before = rounds.each_ref().map(|rounds| rounds.load(SeqCst));
        let has_seen = |(rounds, before): (&AtomicUsize, _)| rounds.load(SeqCst) >= before + 4;
        eventually("each client has used its tokens at both", || rounds.iter().zip(before).all(has_seen));
    };
    std::thread::scope(|scope| {
        for rounds in &rounds {
            let mut client = user.login("ivan@example.com", "123456");
            let (servers, over) = (&servers, &over);
            // Whichever instance gives the tokens, both take them.
            scope.spawn(move || {
                for turn in (0..).take_while(|_| !over.load(SeqCst)) {
                    let pair = refresh(&servers[turn % 2], client.refresh_token.as_deref().unwrap()).expect(200);
                    client.token = Some(text(&pair, "access_token"));
                    client.refresh_token = Some(text(&pair, "refresh_token"));
                    servers.iter().for_each(|server| drop(at(server, &client).get("/api/users/me").send().expect(200)));
                    rounds.fetch_add(1, SeqCst);
                }
            });
        }
        for text in [format!("{old}\n{new}"), format!("{new}\n{old}")] {
            for (file, server) in files.iter().zip(&servers) {
                file.change(server, &text);
                all_see_it();
            }
        }
        // By now no token of the old secret is in use. (In life that takes the seven days of a refresh token.)
        for (file, server) in files.iter().zip(&servers) {
            file.change(server, &new);
            all_see_it();
        }
        over.store(true, SeqCst);
    });
    assert_eq!(at(&servers[1], &user).get("/api/users/me").send().status, 401, "what the old one signed is over");
}

#[test]
fn it_does_not_start_with_a_secret_that_is_too_short_or_made_up() {
    let url = ("DATABASE_URL".to_owned(), "postgres://x@127.0.0.1:1/x".to_owned());
    let (short, long) = (random_secret()[..31].to_owned(), random_secret());
    let (made_up, enough) = ("password".repeat(9), "abcdefghijkl".repeat(3));
    for (settings, named) in [
        (vec![("JWT_SECRET", &short)], "JWT_SECRET must hold at least 32 bytes"),
        (vec![("JWT_SECRET", &long), ("JWT_SECRET_PREVIOUS", &enough)], "JWT_SECRET_PREVIOUS is no setting any more"),
        (vec![("JWT_SECRET", &made_up)], "JWT_SECRET must hold at least 32 bytes, 12 of them different"),
        (vec![], "JWT_SECRET is not set"),
    ] {
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
        let settings: Vec<_> = settings.chain([url.clone()]).collect();
        let output = command(&settings).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(named) && said.lines().count() == 1, "{said}");
        assert!(!said.contains(&short) && !said.contains(&long) && !said.contains(&made_up), "{said}");
    }
}
