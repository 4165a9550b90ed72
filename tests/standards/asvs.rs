//! OWASP ASVS 5.0.

use contactd::store::queries;
use serde_json::json;

use crate::Level::{L1, L2};
use crate::Verdict::{Met, Refused};
use crate::support::random_secret;
use crate::support::server::{Setup, command};
use crate::{Point, World, proved_by, readme_says, refuses_to_start};

#[rustfmt::skip] // a list is read by its columns
pub const POINTS: &[Point] = &[
    ("ASVS 2.1.3, 2.3.2", L2, "limits for each user and for all are documented and kept", Met, limits),
    ("ASVS 2.4.1, 4.3.1, 15.2.2", L2, "nobody's costly requests keep the others waiting", Met, costly_requests),
    ("ASVS 3.4.1", L1, "Strict-Transport-Security with every answer over TLS",
        Refused("there is no TLS in the process; the proxy that has it adds the header, as in README's example"), transport_security),
    ("ASVS 3.4.3", L2, "a Content-Security-Policy with every answer", Met, content_security_policy),
    ("ASVS 3.4.5", L2, "a referrer policy, since calendar addresses are secrets", Met, referrer_policy),
    ("ASVS 3.4.6", L2, "frame-ancestors with every answer", Met, content_security_policy),
    ("ASVS 3.5.3", L1, "nothing sensitive by GET or HEAD",
        Refused("GET /api/auth/refresh_token is the original application's. It wants the token in Authorization, which no browser adds by itself, so no other site can have it sent"),
        refresh_by_get),
    ("ASVS 5.2.1", L1, "only files that can be handled without loss of performance", Met, files),
    ("ASVS 6.1.1", L1, "nobody can lock others out of their accounts", Met, no_lock_out),
    ("ASVS 6.2.1", L1, "passwords have 8 characters or more",
        Refused("6 by default, for the sample users of the original application have 6; PASSWORD_MIN_LENGTH=8 is README's advice"), password_length),
    ("ASVS 6.2.4, 6.2.12", L1, "the commonest passwords are refused",
        Refused("no list is part of the program, which would double it; REFUSED_PASSWORDS_FILE takes any"), common_passwords),
    ("ASVS 6.3.1", L1, "guessing passwords is slowed down", Met, guesses),
    ("ASVS 6.3.8", L2, "nothing tells which accounts there are, the time of a failed login included",
        Refused("a login tells nothing, but signing up tells that an address is taken (409), as the original application does: there is no e-mail to tell it by"), enumeration),
    ("ASVS 7.1.2, 7.1.3", L2, "there is a number of sessions that a user may have", Met, sessions),
    ("ASVS 7.4.3", L2, "other sessions end with a new password", Met, new_password),
    ("ASVS 7.4.5", L2, "an operator can end the sessions of a user or of all", Met, operator),
    ("ASVS 7.5.1", L2, "a new e-mail address needs the password again", Met, new_address),
    ("ASVS 10.3.3", L2, "a user is told from others by an id that is never given again", Met, subject),
    ("ASVS 10.4.5", L1, "a refresh token that is used twice ends the session", Met, replay),
    ("ASVS 12.3.1", L2, "TLS to the database",
        Met, database_tls),
    ("ASVS 13.2.2", L2, "least rights in the database",
        Met, least_rights),
    ("ASVS 13.3.1", L2, "secrets are not where others see them",
        Met, secrets),
    ("ASVS 16.5.2", L2, "the program goes on when the database does not", Met, database_down),
];

fn limits(_: &World) {
    for setting in ["`MAX_CONTACTS`", "`RATE_LIMIT`", "`LOGIN_ATTEMPTS`", "`ADDRESS_ATTEMPTS`", "at most 100 sessions"]
    {
        assert!(readme_says(setting), "{setting}");
    }
    proved_by(&["api/limits.rs: a_login_beyond_a_hundred_sessions_ends_the_one_least_recently_used"]);
}

fn costly_requests(_: &World) {
    proved_by(&[
        "shares/queries.rs: crafted_searches_from_sixteen_connections",
        "shares/queries.rs: sorts_and_skips_of_a_long_list_from_sixteen_connections",
    ]);
}

fn transport_security(world: &World) {
    assert!(world.answers().iter().all(|answer| answer.header("Strict-Transport-Security").is_none()));
    assert!(include_str!("../../docs/deploy/nginx.conf").contains("add_header Strict-Transport-Security"));
}

fn content_security_policy(world: &World) {
    for answer in world.answers() {
        let [policy] = answer.headers_named("Content-Security-Policy")[..] else {
            panic!("{answer:?}");
        };
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
}

fn referrer_policy(world: &World) {
    for answer in world.answers() {
        assert_eq!(answer.headers_named("Referrer-Policy"), ["no-referrer"], "{answer:?}");
        assert_eq!(answer.headers_named("X-Content-Type-Options"), ["nosniff"], "{answer:?}");
    }
}

fn refresh_by_get(world: &World) {
    let token = world.user.refresh_token.as_deref().unwrap();
    let client = world.server.client();
    client.with_token(token).request("HEAD", "/api/auth/refresh_token").send().expect(405);
    for request in
        [client.get(format!("/api/auth/refresh_token?refresh_token={token}")), client.get("/api/auth/refresh_token")]
    {
        request.header("Cookie", &format!("refresh_token={token}")).send().expect(401);
    }
    client.with_token(token).get("/api/auth/refresh_token").send().expect(200);
}

fn files(_: &World) {
    proved_by(&["shares/slow.rs: imports_from_six_connections"]);
}

fn no_lock_out(world: &World) {
    for guess in 0..110 {
        let network = guess / 10;
        world.login("ivan@example.com", "guess", &format!("198.51.100.{network}"));
    }
    world.login("ivan@example.com", "123456", "198.51.100.1").expect(429);
    world.login("ivan@example.com", "123456", "203.0.113.1").expect(429);
    // Where the owner has a session, the owner gets in.
    world.login("ivan@example.com", "123456", "127.0.0.1").expect(200);
}

fn sign_up(setup: &Setup, password: &str) -> u16 {
    let server = setup.ready();
    let body = json!({ "username": "A", "email": "new@example.com", "password": password });
    server.client().post("/api/auth/signup", &body).send().status
}

fn password_length(world: &World) {
    let on = || Setup::on(&world.database);
    assert_eq!(sign_up(&on().with("PASSWORD_MIN_LENGTH", "8"), "1234567"), 422);
    assert_eq!(sign_up(&on(), "123456"), 201);
    assert!(readme_says("Set 8 or more"));
}

fn common_passwords(world: &World) {
    let file = std::env::temp_dir().join(format!("contactd-refused-{}", std::process::id()));
    std::fs::write(&file, "password\n12345678\nqwertyuiop\n").unwrap();
    let setup = Setup::on(&world.database).with("REFUSED_PASSWORDS_FILE", file.to_str().unwrap());
    assert_eq!(sign_up(&setup, "QwertyUiop"), 422);
    std::fs::remove_file(file).unwrap();
    assert_eq!(sign_up(&Setup::on(&world.database), "qwertyuiop"), 201);
}

fn guesses(world: &World) {
    for _ in 0..10 {
        world.login("ivan@example.com", "guess", "192.0.2.1").expect(401);
    }
    let closed = world.login("ivan@example.com", "123456", "192.0.2.1").expect(429);
    assert!(closed.header("Retry-After").is_some());
}

fn enumeration(world: &World) {
    let told = |email: &str| {
        let mut problem = world.login(email, "guess", "192.0.2.1").expect(401).json();
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    };
    assert_eq!(told("ivan@example.com"), told("nobody@example.com"));
    let body = json!({ "username": "A", "email": "ivan@example.com", "password": "123456" });
    world.server.client().post("/api/auth/signup", &body).send().expect(409);
    proved_by(&["login_time.rs: an_unknown_address_takes_as_long_as_a_wrong_password"]);
}

fn sessions(_: &World) {
    assert!(readme_says("at most 100 sessions"));
    proved_by(&["api/identity.rs: twenty_logins_at_once_at_the_limit_leave_a_hundred_sessions"]);
}

fn new_password(world: &World) {
    let other = world.server.client().login("ivan@example.com", "123456");
    let body = json!({ "current_password": "123456", "new_password": "another" });
    world.user.put("/api/users/me/password", &body).send().expect(204);
    other.get("/api/users/me").send().expect(401);
    world.user.get("/api/users/me").send().expect(200);
}

fn operator(world: &World) {
    let settings = [("DATABASE_URL".to_owned(), world.database.url())];
    for words in [&["user", "logout", "ivan@example.com"], &["user", "logout", "--all"]] {
        let user = world.server.client().login("ivan@example.com", "123456");
        assert!(command(&settings).args(words).status().unwrap().success());
        crate::support::eventually("the token is dead", || user.get("/api/users/me").send().status == 401);
    }
}

fn new_address(world: &World) {
    let change = |body| world.user.patch("/api/users/me", &body).send();
    change(json!({ "email": "new@example.com" })).expect(422);
    change(json!({ "email": "new@example.com", "current_password": "guess" })).expect(401);
    change(json!({ "email": "new@example.com", "current_password": "123456" })).expect(200);
}

fn subject(_: &World) {
    proved_by(&["api/identity.rs: after_a_restore_no_old_token_opens_what_is_not_its_own"]);
}

fn replay(_: &World) {
    proved_by(&["api/sessions.rs: an_old_refresh_token_counts_for_a_minute_and_then_ends_the_session"]);
}

fn database_tls(_: &World) {
    assert!(refuses_to_start(&[("DATABASE_URL", "postgres://x@db.example.com/x")]));
    proved_by(&["hung/tls.rs: a_certificate_is_believed_as_far_as_sslmode_says"]);
}

fn least_rights(world: &World) {
    let mut behind = world.database.client();
    let mut inner = behind.transaction().unwrap();
    inner.batch_execute("revoke insert on sessions from current_user").unwrap();
    let trouble: Option<String> = inner.query_one(queries::TROUBLE.sql, &[]).unwrap().get(0);
    let superuser = "select rolsuper from pg_roles where rolname = current_user";
    // Such a role has every right.
    proved_by(&["restarts/roles.rs: the_role_that_serves_needs_no_more_than_readme_grants"]);
    let is_superuser: bool = inner.query_one(superuser, &[]).unwrap().get(0);
    assert!(is_superuser || trouble.as_deref() == Some("the role lacks rights on its tables"), "{trouble:?}");
}

fn secrets(world: &World) {
    let file = std::env::temp_dir().join(format!("contactd-secret-{}", std::process::id()));
    std::fs::write(&file, random_secret()).unwrap();
    let setup = Setup::on(&world.database).with("JWT_SECRET", "").with("JWT_SECRET_FILE", file.to_str().unwrap());
    drop(setup.ready());
    std::fs::remove_file(file).unwrap();
    proved_by(&["faults/settings.rs: a_secret_is_refused_as_a_flag_and_not_repeated"]);
}

fn database_down(_: &World) {
    proved_by(&[
        "hung/frozen.rs: a_stopped_postgres_over_tcp",
        "faults/database.rs: what_needs_no_database_does_not_wait_for_one_that_is_away",
    ]);
}
