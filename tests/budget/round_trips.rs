//! Round trips to Postgres, counted by a proxy before it.

use serde_json::{Value, json};

use crate::limits::ROUND_TRIPS;
use crate::support::client::{Client, Request};
use crate::support::proxy::Proxy;
use crate::support::server::{Setup, database};

fn request(user: &Client, line: &str, id: i64) -> Request {
    let (method, target) = line.split_once(' ').expect("a method and a target");
    let target = target.replace("{id}", &id.to_string());
    let body: Value = json!({ "first_name": "A", "birthday": "1990-01-02" });
    match method {
        "GET" => user.get(target),
        _ => user.request(method, target).json(&body),
    }
}

#[test]
fn each_request_takes_the_round_trips_it_needs_and_no_more() {
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    // One worker, so one connection: its statements are prepared by the first of each request.
    let server = Setup::on(&database).with("DATABASE_URL", url).with("WORKERS", "1").ready();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    for (line, limit) in ROUND_TRIPS {
        let cost = proxy.least_cost(|| {
            let answer = request(&user, line, id).send();
            assert!(answer.status < 300, "{line}: {}", answer.text());
        });
        assert_eq!(cost.round_trips(), *limit, "{line}: {cost:?}");
    }
    deletions_and_restorations(&user, &proxy);
    logins(&server.client(), &proxy);
}

/// What can be done to a contact once only, and its contrary.
fn deletions_and_restorations(user: &Client, proxy: &Proxy) {
    let id = user.new_contact(&json!({ "first_name": "A" }));
    let both = proxy.least_cost(|| {
        user.delete(&format!("/api/contacts/{id}")).send().expect(204);
        user.request("POST", format!("/api/contacts/trash/{id}/restore")).send().expect(200);
    });
    assert_eq!(both.round_trips(), 2, "{both:?}");
}

/// What is known of the account, the attempt, the session in a transaction of four, and what becomes of the attempt: where Postgres
/// is 300 ms away, this is just in time.
fn logins(client: &Client, proxy: &Proxy) {
    for (password, status, limit) in [("123456", 200, 7), ("guess", 401, 3)] {
        let body = json!({ "email": "a@example.com", "password": password });
        let cost = proxy.least_cost(|| assert_eq!(client.post("/api/auth/login", &body).send().status, status));
        assert_eq!(cost.round_trips(), limit, "{password}: {cost:?}");
    }
}
