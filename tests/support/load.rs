//! Many contacts at once, by the program's own way of writing them, where a request for each would take too long.

use contactd::domain::contact::Draft;
use contactd::store::Store;

use super::client::Client;
use super::database::Database;

/// A contact with a name and nothing else.
pub fn draft(first_name: &str) -> Draft {
    Draft {
        first_name: first_name.to_owned(),
        last_name: None,
        email: None,
        phone_number: None,
        birthday: None,
        additional_info: None,
    }
}

/// Writes contacts of the user that the client is logged in as.
pub fn insert(database: &Database, user: &Client, drafts: &[Draft]) {
    let id = user.get("/api/users/me").send().expect(200).json()["id"].as_i64().expect("an id");
    let store = Store::new(database.url().parse().expect("a URL of a database"), 1);
    store.migrate().expect("it is migrated already");
    let made = store.insert_contacts(id, drafts.chunks(2_000)).expect("the database takes them");
    assert_eq!(made, drafts.len() as u64);
}
