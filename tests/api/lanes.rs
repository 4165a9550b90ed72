//! Two lanes of workers: what hashes passwords waits for its own kind alone, and not without an end.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::support::eventually;
use crate::support::server::{Setup, database};

/// Logins at the same moment: many more than may wait.
const LOGINS: usize = 150;

#[test]
fn a_flood_of_logins_is_refused_in_time_and_holds_up_no_read() {
    let database = database();
    let server = Setup::on(&database)
        .with("SLOW_WORKERS", "1")
        .with("WORKERS", "2")
        .with("LOGIN_ATTEMPTS", "0")
        .with("CORS_ORIGINS", "https://app.example.com")
        .ready();
    let user = server.client().new_user("a@example.com");
    let wrong = json!({ "email": "a@example.com", "password": "not the one" });
    let (checked, refused, late) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for n in 0..LOGINS {
            let (client, wrong, checked, refused, late) = (server.client(), &wrong, &checked, &refused, &late);
            scope.spawn(move || {
                let id = format!("login-{n}");
                let request = client.post("/api/auth/login", wrong).header("X-Request-Id", &id);
                let answer = request.header("Origin", "https://app.example.com").send();
                // Refused or not, it is an answer like any other.
                assert_eq!(answer.header("X-Request-Id"), Some(id.as_str()));
                assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("https://app.example.com"));
                assert_eq!(answer.json()["request_id"], json!(id));
                if answer.status == 503 {
                    assert!(answer.header("Retry-After").is_some());
                    refused.fetch_add(1, Ordering::SeqCst);
                } else if answer.status == 429 {
                    // Its turn did not come within three seconds, on a busy machine.
                    assert!(answer.header("Retry-After").is_some());
                    late.fetch_add(1, Ordering::SeqCst);
                } else {
                    answer.expect(401);
                    checked.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        eventually("the lane of hashing is full", || refused.load(Ordering::SeqCst) > 0);
        user.get("/api/contacts").send().expect(200);
        let before = checked.load(Ordering::SeqCst);
        assert!(before < 60, "a read waited for {before} logins");
    });
    let (checked, refused, late) = (checked.into_inner(), refused.into_inner(), late.into_inner());
    assert_eq!(checked + refused + late, LOGINS);
    // Those that may wait, and those that were taken on while the others arrived.
    assert!((64..LOGINS).contains(&(checked + late)), "{checked} were checked, {late} waited in vain");
    assert!(checked > 0);
    server.client().login("a@example.com", "123456");
}
