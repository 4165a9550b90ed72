//! Many contacts at once, by the program's own way of writing them, where a request for each would take too long.

use chrono::NaiveDate;
use contactd::domain::contact::Draft;
use contactd::domain::fields::{Fields, Source};
use contactd::store::Store;
use serde_json::{Value, json};

use super::client::Client;
use super::database::Database;

/// A contact with these members, read as from a client.
pub fn draft_of(members: &Value) -> Draft {
    let members = members.as_object().expect("an object");
    let today = NaiveDate::from_ymd_opt(2026, 6, 15).expect("a date");
    Fields::new(Source::Json(members), today).read().expect("a contact that keeps the rules")
}

/// A contact with a name and nothing else.
pub fn draft(first_name: &str) -> Draft {
    draft_of(&json!({ "first_name": first_name }))
}

/// Writes contacts of the user that the client is logged in as.
pub fn insert(database: &Database, user: &Client, drafts: &[Draft]) {
    let id = user.get("/api/users/me").send().expect(200).json()["id"].as_i64().expect("an id");
    let store = Store::new(database.url().parse().expect("a URL of a database"), 1);
    store.migrate().expect("it is migrated already");
    let made = store.insert_contacts(id, &mut drafts.to_vec(), false).expect("the database takes them");
    assert!(made);
}
