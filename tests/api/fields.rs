//! Each field of a contact, through every way in and out, driven by the table of the fields: so a new one has its tests, and
//! no place that must know of it can be forgotten.

use std::sync::atomic::{AtomicU32, Ordering};

use contactd::domain::contact::{FIELDS, Field, Kind};
use contactd::domain::fields::Given;
use contactd::domain::fold::Part;
use contactd::http::percent_encode;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::shared::shared;

/// A value that no other field has, nor this one in another contact.
fn value(field: &Field) -> String {
    static SERIAL: AtomicU32 = AtomicU32::new(100);
    let n = SERIAL.fetch_add(1, Ordering::Relaxed);
    let Kind::Text(rule) = field.kind else {
        return format!("{}-02-28", 1900 + n % 100);
    };
    let texts = match field.part {
        Some(Part::Digits(_)) => [format!("+{n}"), String::new()],
        // With what every format has to escape; an address may not hold it.
        _ => [format!("Є{n}, {}; \"=\\", field.name), format!("{}{n}@example.com", field.name)],
    };
    texts.into_iter().find(|text| rule.read(Given::Text(text)).is_ok()).expect("a text that the rule takes")
}

/// A value for each field.
fn whole() -> Value {
    FIELDS.iter().map(|field| (field.name.to_owned(), json!(value(field)))).collect()
}

/// A value for each field that is required, and for this one; null for the others.
fn only(field: &Field) -> Value {
    let given = |other: &Field| other.is_required || other.name == field.name;
    let member = |other: &Field| if given(other) { json!(value(other)) } else { Value::Null };
    FIELDS.iter().map(|other| (other.name.to_owned(), member(other))).collect()
}

/// What the API shows of the fields.
fn shown(contact: &Value) -> Value {
    FIELDS.iter().map(|field| (field.name.to_owned(), contact[field.name].clone())).collect()
}

/// The contacts of a list, in its order.
fn list(user: &Client, target: &str) -> Vec<Value> {
    let answer = user.get(target).send().expect(200).json();
    answer.as_array().expect("a list").clone()
}

/// Each field finds the contact by what it holds, and by nothing that it held before; and `q` likewise.
#[track_caller]
fn is_found(user: &Client, contact: &Value, before: &Value) {
    for field in FIELDS.iter().filter(|field| field.part.is_some()) {
        for parameter in [field.name, "q"] {
            for (holder, expected) in [(contact, 1), (before, 0)] {
                let Some(text) = holder[field.name].as_str() else { continue };
                let found = list(user, &format!("/api/contacts?{parameter}={}", percent_encode(text)));
                let is_changed = contact[field.name] != before[field.name];
                let expected = if is_changed { expected } else { 1 };
                assert_eq!(found.len(), expected, "{parameter}={text} ({})", field.name);
            }
        }
    }
}

#[test]
fn each_field_is_written_by_post_put_and_patch_and_found_at_once() {
    let shared = shared();
    let user = shared.user();
    for field in &FIELDS {
        let draft = only(field);
        let created = user.post("/api/contacts", &draft).send().expect(201).json();
        let path = format!("/api/contacts/{}", created["id"]);
        assert_eq!(shown(&created), draft, "POST {}", field.name);
        assert_eq!(user.get(&path).send().json(), created);
        is_found(&user, &created, &json!({}));

        let replaced = user.put(&path, &whole()).send().expect(200).json();
        assert_eq!(user.get(&path).send().json(), replaced);
        is_found(&user, &replaced, &created);

        let patch = json!({ field.name: value(field) });
        let mut expected = replaced.clone();
        expected[field.name] = patch[field.name].clone();
        let patched = user.patch(&path, &patch).send().expect(200).json();
        assert_eq!(shown(&patched), shown(&expected), "PATCH {}", field.name);
        is_found(&user, &patched, &replaced);

        let clearing = user.patch(&path, &json!({ field.name: null })).send();
        if field.is_required {
            assert_eq!(clearing.expect(422).faults(), [field.name]);
        } else {
            expected[field.name] = Value::Null;
            let cleared = clearing.expect(200).json();
            assert_eq!(shown(&cleared), shown(&expected), "PATCH {} to null", field.name);
            is_found(&user, &cleared, &patched);
        }
        let draft = only(field);
        let replaced = user.put(&path, &draft).send().expect(200).json();
        assert_eq!(shown(&replaced), draft, "PUT {}", field.name);
        is_found(&user, &replaced, &patched);
        user.delete(&path).send().expect(204);
    }
}

#[test]
fn each_answer_shows_every_field() {
    let shared = shared();
    let user = shared.user();
    let mut draft = whole();
    draft["birthday"] = json!("1990-02-28");
    let contact = user.post("/api/contacts", &draft).send().expect(201).json();
    let members: Vec<_> = contact.as_object().expect("an object").keys().map(String::as_str).collect();
    let names = FIELDS.iter().map(|field| field.name);
    let expected: Vec<_> = ["id"].into_iter().chain(names).chain(["created_at", "updated_at"]).collect();
    assert_eq!(members, expected);
    for target in ["", "?sort=-id", "?q=", "?q=&sort=-id", "?sort=first_name", "?sort=-first_name"] {
        assert_eq!(list(&user, &format!("/api/contacts{target}")), std::slice::from_ref(&contact), "{target}");
    }
    // In the year of the first, 29 February is celebrated on the 28th, which has a statement of its own.
    for today in ["2027-02-28", "2028-02-28"] {
        let upcoming = list(&user, &format!("/api/contacts/upcoming_birthdays?today={today}"));
        assert_eq!(upcoming.len(), 1, "{today}");
        assert_eq!(shown(&upcoming[0]), shown(&contact), "{today}");
    }
}

#[test]
fn each_field_survives_every_export_and_import() {
    let shared = shared();
    let user = shared.user();
    for field in &FIELDS {
        user.post("/api/contacts", &only(field)).send().expect(201);
    }
    user.post("/api/contacts", &whole()).send().expect(201);
    let contacts: Vec<_> = list(&user, "/api/contacts").iter().map(shown).collect();
    for (format, media_type) in [("vcf", "text/vcard"), ("csv", "text/csv"), ("json", "application/json")] {
        let file = user.get(format!("/api/contacts/export?format={format}")).send().expect(200);
        let other = shared.user();
        let import = other.request("POST", "/api/contacts/import").header("Content-Type", media_type);
        let report = import.body(file.body).send().expect(200).json();
        assert_eq!(report["created"], contacts.len(), "{format}: {report}");
        let imported = list(&other, "/api/contacts");
        for (contact, expected) in imported.iter().zip(&contacts) {
            assert_eq!(shown(contact), *expected, "{format}");
            is_found(&other, contact, &json!({}));
        }
    }
}

#[test]
fn each_foreign_heading_leads_to_its_field() {
    let shared = shared();
    for field in &FIELDS {
        for heading in field.headings {
            let mut expected: Value = FIELDS.iter().map(|field| (field.name.to_owned(), Value::Null)).collect();
            expected[FIELDS[0].name] = json!("A");
            expected[field.name] = json!(value(field));
            let cell = expected[field.name].as_str().expect("a text").replace('"', "\"\"");
            let file = match field.name == FIELDS[0].name {
                true => format!("{heading}\n\"{cell}\"\n"),
                false => format!("{},{}\nA,\"{cell}\"\n", FIELDS[0].name, heading.replace('*', "1")),
            };
            let user = shared.user();
            let import = user.request("POST", "/api/contacts/import").header("Content-Type", "text/csv");
            import.body(file).send().expect(200);
            let imported: Vec<_> = list(&user, "/api/contacts").iter().map(shown).collect();
            assert_eq!(imported, [expected], "{heading}");
        }
    }
}

#[test]
fn each_list_can_be_sorted_by_text_that_is_searched_and_by_dates() {
    let shared = shared();
    let user = shared.user();
    // Values rise with each contact, but for the dates, which begin anew after a century.
    for _ in 0..3 {
        user.post("/api/contacts", &whole()).send().expect(201);
    }
    let answer = user.get("/api/contacts?sort=nothing").send().expect(422).json();
    let keys = answer["errors"][0]["detail"].as_str().expect("a sentence").to_owned();
    let keys: Vec<_> = keys.trim_start_matches("must be one of ").split(", ").collect();
    for field in &FIELDS {
        let is_sortable = matches!(field.part, Some(Part::Text(_))) || matches!(field.kind, Kind::Birthday);
        assert_eq!(keys.contains(&field.name), is_sortable, "{}", field.name);
        if !is_sortable {
            continue;
        }
        let mut expected = list(&user, "/api/contacts");
        expected.sort_by_key(|contact| contact[field.name].as_str().map(str::to_lowercase));
        assert_eq!(list(&user, &format!("/api/contacts?sort={}", field.name)), expected, "{}", field.name);
        expected.reverse();
        assert_eq!(list(&user, &format!("/api/contacts?sort=-{}", field.name)), expected, "-{}", field.name);
    }
}
