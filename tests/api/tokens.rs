//! Access tokens over the socket: what they cost, and that none but ours counts. `tests/unit_token.rs` goes through every
//! rule of a token; here is what a client meets.

use std::time::{Duration, Instant};

use crate::support::proxy::Proxy;
use crate::support::server::{Setup, database};

/// A read behind a token is one statement on a connection that is open: the token is checked without the database.
#[test]
fn a_guarded_read_is_one_round_trip_and_a_refusal_none() {
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    let setup = Setup::on(&database).with("DATABASE_URL", url);
    let server = setup.with("WORKERS", "1").with("SLOW_WORKERS", "1").ready();
    let ivan = server.client().new_user("ivan@example.com");
    let id = ivan.new_contact(&serde_json::json!({ "first_name": "Іван" }));
    let one = format!("/api/contacts/{id}");

    // Longer than the list of ended sessions is trusted, so a request that had to renew it would show.
    let (before, began) = (proxy.count(), Instant::now());
    let mut requests = 0;
    while began.elapsed() < Duration::from_millis(2500) {
        assert_eq!(ivan.get(&one).send().status, 200);
        requests += 1;
    }
    let cost = proxy.count() - before;
    // Beyond that, each of the pool's three connections may be opened once, and prepares the statement once.
    assert_eq!((cost.bind, cost.execute), (requests, requests), "{cost:?}");
    assert_eq!(cost.sync - cost.parse, requests, "{cost:?}");
    assert!(cost.parse <= 3 && cost.query <= 3, "{cost:?}");
    let polls = began.elapsed().as_millis() as u64 / 500 + 1;
    assert!(cost.housekeeping <= polls, "{cost:?} in {polls} polls");

    for read in [
        &one,
        "/api/contacts",
        "/api/contacts?q=x",
        "/api/users/me",
        "/api/auth/sessions",
    ] {
        let cost = proxy.least_cost(|| assert_eq!(ivan.get(read).send().status, 200));
        assert_eq!(cost.round_trips(), 1, "{read}: {cost:?}");
    }
    for (client, what) in [
        (ivan.with_token("eyJ.eyJ.x"), "no token of ours"),
        (server.client(), "no token"),
    ] {
        let cost = proxy.least_cost(|| assert_eq!(client.get(&one).send().status, 401));
        assert_eq!(cost.round_trips(), 0, "{what}: {cost:?}");
    }
    assert_eq!(
        ivan.post("/api/auth/logout", &serde_json::json!({}))
            .send()
            .status,
        204
    );
    let cost = proxy.least_cost(|| assert_eq!(ivan.get(&one).send().status, 401));
    assert_eq!(cost.round_trips(), 0, "a session that ended: {cost:?}");
}
