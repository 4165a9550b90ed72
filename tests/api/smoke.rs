//! A walk through the whole address book, as a newcomer would take it.

use serde_json::json;

use crate::support::server::Server;

#[test]
fn a_newcomer_signs_up_logs_in_and_keeps_a_contact() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let id = ivan.new_contact(&json!({ "first_name": "Іван", "last_name": "Франко", "birthday": "1990-05-17" }));
    let changed =
        ivan.patch(&format!("/api/contacts/{id}"), &json!({ "email": "i@gmail.com", "last_name": null })).send();
    assert_eq!(changed.status, 200, "{}", changed.text());
    assert_eq!(ivan.get("/api/contacts?email=GMAIL").send().names(), ["Іван"]);
    assert_eq!(ivan.get("/api/contacts?last_name=Франко").send().names(), [""; 0]);
    assert_eq!(ivan.delete(&format!("/api/contacts/{id}")).send().status, 204);
    assert_eq!(ivan.get(format!("/api/contacts/{id}")).send().status, 404);
}
