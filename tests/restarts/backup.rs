//! A backup that is taken while users are at work, and restored: every table comes back as it was, and so does what users see. What
//! README says an operator types is in tests/deploy; here every table has rows, and is compared.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use postgres::{Client, NoTls};
use serde_json::{Value, json};

use crate::roles::url;
use crate::support::client;
use crate::support::database::Database;
use crate::support::server::{Setup, database};

/// The rows of each table, as texts in their order; the sequences; and what the catalog says of columns, indexes and constraints.
fn content(database: &str) -> BTreeMap<String, Vec<String>> {
    let mut client = Client::connect(&url("contactd", database), NoTls).expect("it is there");
    let mut column =
        |query: &str| -> Vec<String> { client.query(query, &[]).expect(query).iter().map(|row| row.get(0)).collect() };
    let tables =
        column("select relname::text from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace");
    let mut content: BTreeMap<_, _> = tables
        .into_iter()
        .map(|table| (table.clone(), column(&format!("select t::text from \"{table}\" t order by 1"))))
        .collect();
    for (what, query) in [
        ("(sequences)", "select concat_ws(' ', sequencename, last_value) from pg_sequences order by 1"),
        ("(indexes)", "select indexdef from pg_indexes where schemaname = 'public' order by 1"),
        (
            "(columns)",
            "select concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default, collation_name) \
             from information_schema.columns where table_schema = 'public' order by 1",
        ),
        (
            "(constraints)",
            "select concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint \
             where connamespace = 'public'::regnamespace order by 1",
        ),
        (
            "(storage)",
            "select concat_ws(' ', relname, reloptions::text) from pg_class where relnamespace = 'public'::regnamespace order by 1",
        ),
        (
            "(collations)",
            "select concat_ws(' ', collname, collprovider, collcollate) from pg_collation \
             where collnamespace = 'public'::regnamespace order by 1",
        ),
    ] {
        content.insert(what.to_owned(), column(query));
    }
    content
}

/// Something in every table.
fn fill(anyone: &client::Client) -> (client::Client, String, String) {
    let user = anyone.new_user("a@example.com");
    let one = user.new_contact(&json!({ "first_name": "José \"\\", "last_name": "Іван", "birthday": "1996-02-29" }));
    user.new_contact(
        &json!({ "first_name": "\u{1f600}", "additional_info": "a\n\\N", "phone_number": "+38 (050) 123-45-67" }),
    );
    let many: Vec<_> = (0..500).map(|n| json!({ "first_name": format!("N{n}") })).collect();
    user.post("/api/contacts/import", &json!(many)).header("Idempotency-Key", "once").send().expect(200);
    user.delete(&format!("/api/contacts/{one}")).send().expect(204);
    let token = json!({ "name": "t", "password": "123456" });
    let token =
        user.post("/api/auth/tokens", &token).send().expect(201).json()["token"].as_str().expect("it").to_owned();
    let opened =
        user.post("/api/contacts/calendar", &json!({})).send().json()["url"].as_str().expect("an address").to_owned();
    // A session that has ended, and a failure to log in.
    let other = anyone.login("a@example.com", "123456");
    other.post("/api/auth/logout", &json!({})).send().expect(204);
    anyone.post("/api/auth/login", &json!({ "email": "a@example.com", "password": "a wrong one" })).send().expect(401);
    (user, token, opened[opened.find("/api/").expect("a path")..].to_owned())
}

fn run(line: &[&str]) {
    let output = Command::new(line[0]).args(&line[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("{} is missing (Debian: postgresql-client): {error}", line[0]));
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn exported(user: &client::Client) -> Value {
    user.get("/api/contacts/export?format=json").send().expect(200).json()
}

#[test]
fn a_backup_comes_back_whole() {
    let database = database();
    let server = Setup::on(&database).ready();
    let (user, token, calendar) = fill(&server.client());
    let before = content(database.name());
    // It is there for an older release alone.
    for (table, rows) in before.iter().filter(|(table, _)| *table != "attempts") {
        assert!(!rows.is_empty(), "{table} has nothing to compare");
    }
    let seen = exported(&user);

    // One that is taken under load is of a moment, and is restored without a complaint.
    let file = std::env::temp_dir().join(format!("contactd-backup-{}", std::process::id()));
    let file = file.to_str().expect("UTF-8");
    let dump = || run(&["pg_dump", "--format=custom", "--file", file, &url("contactd", database.name())]);
    dump();
    let restore = || {
        let restored = Database::empty();
        run(&["pg_restore", "--exit-on-error", "--no-owner", "--dbname", &url("contactd", restored.name()), file]);
        restored
    };
    let restored = restore();
    let after = content(restored.name());
    for (table, rows) in &before {
        assert_eq!(after.get(table), Some(rows), "{table}");
    }
    assert_eq!(before.len(), after.len());

    // With a new secret: sessions are over, and all else is as it was.
    let later = Setup::on(&restored).ready();
    let old = client::Client { address: later.address, ..user.clone() };
    old.get("/api/users/me").send().expect(401);
    let pair = json!({ "refresh_token": user.refresh_token });
    later.client().post("/api/auth/refresh_token", &pair).send().expect(401);
    assert_eq!(exported(&later.client().login("a@example.com", "123456")), seen);
    assert_eq!(exported(&later.client().with_token(&token)), seen);
    assert!(later.client().get(&calendar).send().expect(200).text().starts_with("BEGIN:VCALENDAR"));
    assert!(!content(restored.name())["repeats"].is_empty(), "a repeat is still known");

    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    user.new_contact(&json!({ "first_name": "Later" }));
                }
            });
        }
        (0..3).for_each(|_| dump());
        done.store(true, SeqCst);
    });
    let restored = restore();
    let contacts = content(restored.name())["contacts"].len();
    assert!((before["contacts"].len()..=content(database.name())["contacts"].len()).contains(&contacts), "{contacts}");
    Setup::on(&restored).ready();
    std::fs::remove_file(file).expect("it is there");
}
