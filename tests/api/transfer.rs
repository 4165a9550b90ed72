//! Contacts in and out as files.

use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::server::Server;

/// Sends a file to be imported.
fn import(client: &Client, content_type: &str, file: impl Into<Vec<u8>>) -> Answer {
    client
        .request("POST", "/api/contacts/import")
        .header("Content-Type", content_type)
        .body(file)
        .send()
}

/// What the API shows of the user's contacts, without what differs between two that are made alike.
fn contacts(client: &Client) -> Vec<Value> {
    let answer = client.get("/api/contacts/export?format=json").send();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut list = answer.json();
    for contact in list.as_array_mut().expect("an array") {
        let members = contact.as_object_mut().expect("an object");
        for name in ["id", "created_at", "updated_at"] {
            assert!(members.remove(name).is_some());
        }
    }
    list.as_array().cloned().expect("an array")
}

#[test]
fn a_json_file_is_imported_and_each_bad_entry_reported_with_its_line() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let file = "[\n{\"first_name\":\"Ada\",\"id\":7,\"user_id\":1},\n{\"email\":\"no\"},\n3,\n  {\"first_name\":\"Bo\",\n\"birthday\":\"1990-05-17\"}\n]";
    let answer = import(&ivan, "application/json", file);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let report = answer.json();
    assert_eq!(
        (&report["created"], &report["skipped"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(report["errors"][0]["line"], 3);
    let detail = report["errors"][0]["detail"].as_str().expect("text");
    assert!(
        detail.contains("first_name is required") && detail.contains("email must be"),
        "{detail}"
    );
    assert_eq!(report["errors"][1]["line"], 4);
    assert_eq!(ivan.get("/api/contacts").send().names(), ["Ada", "Bo"]);
}
