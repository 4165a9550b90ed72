//! Contacts in and out as files.

use std::io::{Read, Write};
use std::net::TcpStream;

use contactd::domain::contact::FIELDS;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::eventually;
use crate::support::server::Server;

/// Sends a file to be imported.
fn import(client: &Client, content_type: &str, file: impl Into<Vec<u8>>) -> Answer {
    client.request("POST", "/api/contacts/import").header("Content-Type", content_type).body(file).send()
}

/// The same, where all of it is good.
fn import_all(client: &Client, content_type: &str, file: impl Into<Vec<u8>>) {
    let answer = import(client, content_type, file);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["skipped"], 0, "{}", answer.text());
}

/// What the API shows of the user's contacts, without what differs between two that are made alike.
fn contacts(client: &Client) -> Vec<Value> {
    let mut list = client.get("/api/contacts?limit=1000").send().json();
    for contact in list.as_array_mut().expect("an array") {
        let members = contact.as_object_mut().expect("an object");
        for name in ["id", "created_at", "updated_at"] {
            assert!(members.remove(name).is_some());
        }
    }
    list.as_array().cloned().expect("an array")
}

/// A contact as [`contacts`] gives it.
fn contact(fields: Value) -> Value {
    let mut contact: Value = FIELDS.iter().map(|field| (field.name.to_owned(), Value::Null)).collect();
    for (name, value) in fields.as_object().expect("an object") {
        contact[name] = value.clone();
    }
    contact
}

/// Line and detail of each error.
fn errors(answer: &Answer) -> Vec<(u64, String)> {
    notices(answer, "errors")
}

/// Line and detail of each warning.
fn warnings(answer: &Answer) -> Vec<(u64, String)> {
    notices(answer, "warnings")
}

fn notices(answer: &Answer, list: &str) -> Vec<(u64, String)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let report = answer.json();
    let notices = report[list].as_array().expect("an array").iter();
    notices
        .map(|error| {
            let detail = error["detail"].as_str().expect("a sentence");
            (error["line"].as_u64().expect("a line"), detail.to_owned())
        })
        .collect()
}

fn strangers() -> (Server, crate::support::database::Database, Client) {
    let (server, database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    (server, database, ivan)
}

// ------------------------------------------------------------------------------------------------------------------- JSON

#[test]
fn a_json_file_is_imported_and_each_bad_entry_reported_with_its_line() {
    let (_server, _database, ivan) = strangers();
    let file = "[\n{\"first_name\":\"Ada\",\"id\":7,\"user_id\":1},\n{\"birthday\":\"no\"},\n3,\n  {\"first_name\":\"Bo\",\n\"birthday\":\"1990-05-17\"},\n{\"first_name\":\"\\ud800\"}]";
    let answer = import(&ivan, "application/json", file);
    let errors = errors(&answer);
    let report = answer.json();
    assert_eq!((&report["created"], &report["skipped"]), (&json!(2), &json!(3)));
    let lines: Vec<_> = errors.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 4, 7]);
    assert!(errors[0].1.contains("first_name is required"), "{errors:?}");
    assert_eq!(ivan.get("/api/contacts").send().names(), ["Ada", "Bo"]);
}

#[test]
fn a_dry_run_reports_and_makes_nothing() {
    let (_server, _database, ivan) = strangers();
    let answer =
        ivan.post("/api/contacts/import?dry_run=true", &json!([{ "first_name": "Ada" }, { "first_name": "" }])).send();
    assert_eq!(errors(&answer).len(), 1);
    assert_eq!(answer.json()["created"], 1);
    assert_eq!(contacts(&ivan), [] as [Value; 0]);
    let answer = ivan.post("/api/contacts/import?dry_run=perhaps", &json!([])).send();
    assert_eq!((answer.status, answer.faults()), (422, vec!["dry_run".to_owned()]));
}

// ------------------------------------------------------------------------------------------------------------------ vCard

#[test]
fn cards_as_phones_write_them_keep_what_they_say() {
    let (_server, _database, ivan) = strangers();
    let apple = "BEGIN:VCARD\r\nVERSION:3.0\r\nPRODID:-//Apple Inc.//iPhone OS 17.0//EN\r\nN:Franko;Ivan;Yakovych;Dr.;\r\n\
        FN:Dr. Ivan Yakovych Franko\r\nORG:Prosvita;Library\r\nEMAIL;type=INTERNET;type=HOME;type=pref:ivan@example.com\r\n\
        item1.EMAIL;type=INTERNET:franko@example.org\r\nitem1.X-ABLabel:_$!<School>!$_\r\n\
        TEL;type=WORK;type=FAX:+1 555 0000\r\nTEL;type=CELL;type=VOICE;type=pref:+38 (050) 123-45-67\r\nTEL;type=HOME:+38 044 111\r\n\
        item2.ADR;type=HOME:;;1 Main St.\\, Flat 2;Lviv;;79000;Ukraine\r\nitem2.X-ABADR:ua\r\n\
        NOTE:First line\\nsecond\\, with a comma and\r\n  a fold\r\nBDAY;X-APPLE-OMIT-YEAR=1604:1604-05-17\r\n\
        PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsL\r\n \
        DBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQ==\r\nEND:VCARD\r\n";
    import_all(&ivan, "text/vcard; charset=utf-8", apple);
    let info = "First line\nsecond, with a comma and a fold\nMiddle name: Yakovych\nPrefix: Dr.\n\
        Address (home): 1 Main St., Flat 2, Lviv, 79000, Ukraine\nBirthday: 17 May\nOrganization: Prosvita, Library\n\
        E-mail (school): franko@example.org\nPhone (home): +38 044 111\nPhone (work, fax): +1 555 0000";
    assert_eq!(
        contacts(&ivan),
        [contact(json!({
            "first_name": "Ivan", "last_name": "Franko", "email": "ivan@example.com",
            "phone_number": "+38 (050) 123-45-67", "additional_info": info,
        }))]
    );
}

#[test]
fn old_androids_quoted_printable_and_every_form_of_name_and_birthday_are_understood() {
    let (_server, _database, ivan) = strangers();
    let file = "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=D0=A4=D1=80=D0=B0=D0=BD=D0=BA=D0=BE;=D0=86=D0=B2=\n=D0=B0=D0=BD;;;\n\
        TEL;CELL:0501234567\nBDAY:1990-05-17\nEND:VCARD\n\n\
        begin:vcard\nversion:3.0\nfn:Only Fn\nbday:19900517\nend:vcard\n\
        BEGIN:VCARD\nVERSION:3.0\nN:Lastonly;;;;\nFN:Lastonly\nBDAY;VALUE=date-time:1990-05-17T00:00:00Z\nEND:VCARD\n\
        BEGIN:VCARD\nVERSION:4.0\nFN:Apple\nitem1.BDAY;VALUE=date:1604-05-17\nANNIVERSARY:2010-06-01\nEND:VCARD\n\
        BEGIN:VCARD\nVERSION:4.0\nFN:Extended\nBDAY:1990-05-17\nEND:VCARD\n\
        BEGIN:VCARD\nVERSION:4.0\nFN:Vague\nBDAY:1990-05\nEND:VCARD\n\
        BEGIN:VCARD\nVERSION:4.0\nFN:\nORG:Acme\\, Inc.\nBDAY:--0229\nEMAIL;PREF=2:b@example.com\nEMAIL;PREF=1:a@example.com\nTEL;VALUE=uri:tel:+1-555-0100\nEND:VCARD\n";
    import_all(&ivan, "text/x-vcard", file);
    let born = "1990-05-17";
    assert_eq!(
        contacts(&ivan),
        [
            contact(
                json!({ "first_name": "Іван", "last_name": "Франко", "phone_number": "0501234567", "birthday": born })
            ),
            contact(json!({ "first_name": "Only Fn", "birthday": born })),
            contact(json!({ "first_name": "Lastonly", "birthday": born })),
            contact(json!({ "first_name": "Apple", "additional_info": "Birthday: 17 May\nAnniversary: 2010-06-01" })),
            contact(json!({ "first_name": "Extended", "birthday": born })),
            contact(json!({ "first_name": "Vague", "additional_info": "Birthday: 1990-05" })),
            contact(json!({
                "first_name": "Acme, Inc.", "email": "a@example.com", "phone_number": "+1-555-0100",
                "additional_info": "Birthday: 29 February\nE-mail: b@example.com",
            })),
        ]
    );
}

#[test]
fn a_bad_card_is_reported_by_the_line_it_begins_in() {
    let (_server, _database, ivan) = strangers();
    let file = "BEGIN:VCARD\nFN:Ada\nEND:VCARD\nBEGIN:VCARD\nNOTE:5\nEND:VCARD\nstray\nBEGIN:VCARD\nFN:Bo\nEMAIL:nowhere\nBDAY:1850-01-01\nEND:VCARD\n\
        BEGIN:VCARD\nFN:Outer\nAGENT:\nBEGIN:VCARD\nFN:Inner\nEND:VCARD\nEND:VCARD\n";
    let answer = import(&ivan, "text/vcard", file);
    let errors = errors(&answer);
    let lines: Vec<_> = errors.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [4, 7, 13], "{errors:?}");
    assert!(errors[2].1.contains("line 16"), "{errors:?}");
    let warnings = warnings(&answer);
    let lines: Vec<_> = warnings.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [10, 11]);
    assert!(warnings[0].1.contains("email") && warnings[1].1.contains("birthday"), "{warnings:?}");
    let info = "E-mail: nowhere\nBirthday: 1850-01-01";
    let expected = [json!({ "first_name": "Ada" }), json!({ "first_name": "Bo", "additional_info": info })];
    assert_eq!(contacts(&ivan), expected.map(contact));
}

// -------------------------------------------------------------------------------------------------------------------- CSV

#[test]
fn csv_from_google_and_outlook_is_understood() {
    let (_server, _database, ivan) = strangers();
    let google = "First Name,Middle Name,Last Name,Organization Name,Birthday,Notes,Labels,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Label,Phone 1 - Value\r\n\
        Ada,,Lovelace,Analytical,1990-05-17,\"two\nlines\",* myContacts,Home,a@example.com,* Work,b@example.com,Mobile,+1 2 ::: +3 4\r\n\
        ,,,Acme,--05-17,,,,,,,,\r\n,,,,,,,,,,,,\r\n";
    import_all(&ivan, "text/csv", google);
    let outlook = "\u{feff}Title,First Name,Last Name,Company,Business Phone,Business Fax,Mobile Phone,Birthday,E-mail Address,E-mail Type,E-mail 2 Address,Notes\r\n\
        Mr.,Bo,Hansson,,,+1,+2,5/17/1990,bo@example.com,SMTP,hansson@example.com,\r\n\
        ,Cy,,,+3,,,0/0/00,,,,\r\n";
    import_all(&ivan, "text/csv", outlook);
    import_all(&ivan, "text/csv", "Name;Birthday\nDora D;17.5.1990\n");
    let born = "1990-05-17";
    assert_eq!(
        contacts(&ivan),
        [
            contact(json!({
                "first_name": "Ada", "last_name": "Lovelace", "email": "b@example.com", "phone_number": "+1 2", "birthday": born,
                "additional_info": "two\nlines\nLabels: * myContacts\nOrganization: Analytical\nE-mail (Home): a@example.com\nPhone (Mobile): +3 4",
            })),
            contact(json!({ "first_name": "Acme", "additional_info": "Birthday: 17 May" })),
            contact(json!({
                "first_name": "Bo", "last_name": "Hansson", "email": "bo@example.com", "phone_number": "+2", "birthday": born,
                "additional_info": "Title: Mr.\nBusiness Fax: +1\nE-mail 2 Address: hansson@example.com",
            })),
            contact(json!({ "first_name": "Cy", "phone_number": "+3" })),
            contact(json!({ "first_name": "Dora D", "birthday": born })),
        ]
    );
}

#[test]
fn whether_the_day_or_the_month_comes_first_is_found_out_for_a_whole_file() {
    let (_server, _database, ivan) = strangers();
    import_all(&ivan, "text/csv", "Name,Birthday\nA,5/6/1990\nB,17/5/1990\n");
    import_all(&ivan, "text/csv", "Name,Birthday\nC,5/6/1990\nD,12/1/1990\n");
    let list = contacts(&ivan);
    let birthdays: Vec<_> = list.iter().map(|c| c["birthday"].as_str()).collect();
    let expected = ["1990-06-05", "1990-05-17", "1990-05-06", "1990-12-01"];
    assert_eq!(birthdays, expected.map(Some));
}

#[test]
fn a_bad_csv_row_is_reported_by_its_line() {
    let (_server, _database, ivan) = strangers();
    let file = "first_name,additional_info,birthday,\n\n\"A\nda\",,,\nAda,,,39\n,Nobody,,\nBo,,1990-02-30,\nCy,cut\n";
    let answer = import(&ivan, "text/csv", file);
    let errors = errors(&answer);
    let lines: Vec<_> = errors.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [6, 8], "{errors:?}");
    let warnings = warnings(&answer);
    assert!(warnings[0].0 == 7 && warnings[0].1.contains("birthday must be a date"), "{warnings:?}");
    let expected = [
        json!({ "first_name": "A da" }),
        json!({ "first_name": "Ada", "additional_info": "Column 4: 39" }),
        json!({ "first_name": "Bo", "additional_info": "Birthday: 1990-02-30" }),
    ];
    assert_eq!(contacts(&ivan), expected.map(contact));
}

#[test]
fn what_a_spreadsheet_would_run_is_defused_and_comes_back() {
    let (server, _database, ivan) = strangers();
    let names = ["=1+1", "+1", "-1", "@x", "'=1", "'t Hooft", "''"];
    for name in names {
        ivan.new_contact(&json!({ "first_name": name, "phone_number": "+380501234567" }));
    }
    let file = ivan.get("/api/contacts/export?format=csv").send();
    let text = file.text();
    assert!(
        text.starts_with(
            "id,first_name,last_name,email,phone_number,birthday,additional_info,created_at,updated_at\r\n"
        )
    );
    for row in text.lines().skip(1) {
        for cell in row.split(',') {
            // A number cannot be run, and stays as it is.
            assert!(
                cell == "+380501234567" || !cell.trim_start_matches('"').starts_with(['=', '+', '-', '@', '\t']),
                "{row}"
            );
        }
    }
    assert!(text.contains(",'t Hooft,") && text.contains(",'=1+1,"), "{text}");
    let other = server.client().new_user("other@example.com");
    import_all(&other, "text/csv", file.body);
    assert_eq!(other.get("/api/contacts").send().names(), names);
}

// ----------------------------------------------------------------------------------------------------------------- export

#[test]
fn an_export_of_each_format_imports_as_the_same_contacts_of_ones_own() {
    let (server, _database, ivan) = strangers();
    let mallory = server.client().new_user("mallory@example.com");
    mallory.new_contact(&json!({ "first_name": "Mallory's own" }));
    ivan.new_contact(&json!({
        "first_name": "Іван, \"the; great\"", "last_name": "O'B\\r\\nien", "email": "ivan@example.com", "phone_number": "+38 (050) 1",
        "birthday": "2004-02-29", "additional_info": "a\r\nb\n\n  c\td, e; f\\n END:VCARD\nEND:VCARD",
    }));
    ivan.new_contact(&json!({ "first_name": "=SUM(A1)" }));
    let expected = contacts(&ivan);
    for (format, content_type, name) in [
        ("vcf", "text/vcard", "contacts.vcf"),
        ("csv", "text/csv", "contacts.csv"),
        ("json", "application/json", "contacts.json"),
    ] {
        let file = ivan.get(format!("/api/contacts/export?format={format}")).send();
        assert_eq!(file.status, 200);
        assert!(file.header("Content-Type").unwrap_or("").starts_with(content_type));
        let disposition = format!("attachment; filename=\"{name}\"");
        assert_eq!(file.header("Content-Disposition"), Some(disposition.as_str()));
        assert_eq!(file.header("Cache-Control"), Some("no-store"));
        assert!(!file.text().contains("Mallory"), "{}", file.text());
        let other = server.client().new_user(&format!("{format}@example.com"));
        import_all(&other, content_type, file.body);
        assert_eq!(contacts(&other), expected, "{format}");
    }
}

#[test]
fn the_accept_header_chooses_a_format() {
    let (_server, _database, ivan) = strangers();
    let export = |accept: &str, query: &str| {
        let request = ivan.get(format!("/api/contacts/export{query}"));
        request.header("Accept", accept).send()
    };
    for (accept, content_type) in [
        ("*/*", "application/json"),
        ("text/vcard", "text/vcard; charset=utf-8"),
        ("text/csv;q=0.5, text/vcard;q=0.9, */*;q=0.1", "text/vcard; charset=utf-8"),
        ("application/json;q=0, text/*", "text/vcard; charset=utf-8"),
        ("TEXT/CSV", "text/csv; charset=utf-8; header=present"),
    ] {
        let answer = export(accept, "");
        assert_eq!(answer.header("Content-Type"), Some(content_type), "{accept}");
    }
    assert_eq!(export("image/png", "").status, 406);
    assert_eq!(export("image/png", "?format=csv").status, 200);
    let answer = export("*/*", "?format=xml");
    assert_eq!((answer.status, answer.faults()), (422, vec!["format".to_owned()]));
}

#[test]
fn a_head_of_an_export_has_no_body_and_an_empty_one_is_an_empty_array() {
    let (_server, _database, ivan) = strangers();
    let head = ivan.request("HEAD", "/api/contacts/export").send();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(ivan.get("/api/contacts/export").send().json(), json!([]));
    assert_eq!(ivan.get("/api/contacts/export?format=vcf").send().body, b"");
}

/// KiB of memory of a process, by the name that `/proc/…/status` has for it.
fn memory(server: &Server, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = line.expect("it is told").trim().trim_end_matches(" kB");
    number.parse().expect("a number")
}

#[test]
fn an_export_takes_the_memory_of_a_page_and_no_connection_while_its_client_waits() {
    let (server, database, ivan) = strangers();
    let mut admin = database.client();
    let rows = "insert into contacts (user_id, first_name, birthday, additional_info, search)
        select u.id, 'Ada ' || n, '1990-05-17', repeat('x', 500), '' from users as u, generate_series(1, 100000) as n";
    assert_eq!(admin.execute(rows, &[]).expect("rows"), 100_000);
    let calendar = ivan.request("POST", "/api/contacts/calendar").send().json();
    let url = calendar["url"].as_str().expect("an address").to_owned();
    let feed = url[url.find("/api/").expect("a path")..].to_owned();
    let before = memory(&server, "VmRSS");
    for (path, ending) in [
        ("/api/contacts/export?format=json", "\n]\n"),
        ("/api/contacts/export?format=csv", "Z\r\n"),
        ("/api/contacts/export?format=vcf", "END:VCARD\r\n"),
        (feed.as_str(), "END:VCALENDAR\r\n"),
    ] {
        let file = ivan.get(path).send().text();
        assert_eq!(file.matches("Ada ").count() / if path.ends_with("vcf") { 2 } else { 1 }, 100_000);
        assert!(file.ends_with(ending), "{path}");
    }
    let growth = memory(&server, "VmHWM").saturating_sub(before);
    assert!(growth < 32 << 10, "{growth} KiB");

    // Downloads that nobody takes: all workers and all connections to the database are free nevertheless.
    let sockets: Vec<_> = (0..12)
        .map(|_| {
            let mut socket = TcpStream::connect(server.address).expect("the server listens");
            let head = format!(
                "GET /api/contacts/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
                ivan.token.as_deref().expect("a token")
            );
            socket.write_all(head.as_bytes()).expect("it is sent");
            let mut start = [0; 12];
            socket.read_exact(&mut start).expect("it begins");
            assert_eq!(&start, b"HTTP/1.1 200");
            socket
        })
        .collect();
    let busy = "select count(*) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'";
    eventually("no connection is held for them", || {
        let count: i64 = admin.query_one(busy, &[]).expect("it is asked").get(0);
        count == 0
    });
    assert_eq!(ivan.get("/api/contacts?limit=1").send().status, 200);
    drop(sockets);
}

#[test]
fn files_are_behind_a_token_and_fixed_paths_win_over_ids() {
    let (server, _database, ivan) = strangers();
    let anyone = server.client();
    assert_eq!(anyone.get("/api/contacts/export").send().status, 401);
    assert_eq!(import(&anyone, "text/csv", "Name\nA\n").status, 401);
    let answer = ivan.get("/api/contacts/import").send();
    assert_eq!((answer.status, answer.header("Allow")), (405, Some("POST, OPTIONS")));
    let answer = ivan.delete("/api/contacts/export").send();
    assert_eq!((answer.status, answer.header("Allow")), (405, Some("GET, HEAD, OPTIONS")));
}

// -------------------------------------------------------------------------------------------------------------- bad files

#[test]
fn a_file_that_cannot_be_read_is_refused_whole() {
    let (_server, _database, ivan) = strangers();
    let card = "BEGIN:VCARD\nFN:Ada\nEND:VCARD\n";
    let cases: &[(&str, &[u8], &str)] = &[
        ("text/vcard", b"", "empty"),
        ("text/csv", b" \r\n", "empty"),
        ("application/json", b"", "empty"),
        ("text/vcard", b"Name\nAda\n", "BEGIN:VCARD"),
        ("text/vcard", b"BEGIN:VCARD\nFN:Ada\nEND:VCARD\nBEGIN:VCARD\nFN:Bo\nTEL:1", "line 4"),
        ("text/csv", card.as_bytes(), "heading"),
        ("text/csv", b"[{\"first_name\":\"Ada\"}]", "heading"),
        ("text/csv", b"Name,Notes\nAda,\nBo,\"cut off", "line 3"),
        ("application/json", card.as_bytes(), "array"),
        ("application/json", b"{\"first_name\":\"Ada\"}", "array"),
        ("application/json", b"[{\"first_name\":\"Ada\"},\n{\"first_na", "line 2"),
        ("application/json", b"[{\"first_name\":\"Ada\"}] x", "trailing"),
    ];
    for (content_type, file, says) in cases {
        let answer = import(&ivan, content_type, *file);
        let shown = String::from_utf8_lossy(file);
        assert_eq!(answer.status, 400, "{shown} {}", answer.text());
        let detail = answer.json()["detail"].as_str().expect("a sentence").to_owned();
        assert!(detail.contains(says), "{shown}: {detail}");
    }
    for content_type in ["application/xml", "text/plain", ""] {
        assert_eq!(import(&ivan, content_type, "Name\nA\n").status, 415);
    }
    assert_eq!(contacts(&ivan), [] as [Value; 0]);
}

#[test]
fn a_hundred_thousand_bad_rows_are_counted_and_the_first_thousand_listed() {
    let (_server, _database, ivan) = strangers();
    for (content_type, file) in [
        ("text/csv", format!("first_name,birthday\n{}", ",no\n".repeat(100_000))),
        ("application/json", format!("[1{}]", ",\n1".repeat(99_999))),
        ("text/vcard", "BEGIN:VCARD\nEND:VCARD\n".repeat(100_000)),
        ("text/csv", format!("first_name\n{}", "Ada,Bo\n".repeat(100_000))),
    ] {
        let answer = import(&ivan, content_type, file);
        let errors = errors(&answer);
        assert_eq!(errors.len(), 1_001);
        assert!(errors[1_000].1.contains("99000 more"), "{errors:?}");
        assert_eq!(answer.json()["skipped"], 100_000, "{content_type}");
    }
    let answer = import(&ivan, "text/csv", format!("Name\n{}", "A\n".repeat(200_001)));
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(contacts(&ivan), [] as [Value; 0]);
}

#[test]
fn a_vcard_nested_in_itself_without_end_is_refused() {
    let (_server, _database, ivan) = strangers();
    let nested = "BEGIN:VCARD\nFN:Ada\n".repeat(100_000);
    assert_eq!(import(&ivan, "text/vcard", nested.clone()).status, 400);
    let closed = nested + &"END:VCARD\n".repeat(100_000);
    assert_eq!(errors(&import(&ivan, "text/vcard", closed)).len(), 1);
    let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(errors(&import(&ivan, "application/json", deep)).len(), 1);
}

#[test]
fn a_card_may_have_a_large_picture_and_no_countless_parts() {
    let (_server, _database, ivan) = strangers();
    let card = |name: &str, more: &str| format!("BEGIN:VCARD\nVERSION:3.0\nFN:{name}\n{more}END:VCARD\n");
    let base64 = "QUJDREVG".repeat(9) + "\n";
    let (folded, unfolded) = (format!(" {base64}").repeat(20_000), base64.repeat(20_000));
    let file = [
        card("Folded", &format!("PHOTO;ENCODING=b;TYPE=JPEG:\n{folded}")),
        card("Unfolded", &format!("item1.PHOTO;JPEG;ENCODING=BASE64:\n{unfolded}\nTEL:1\n")),
        card("Data", &format!("PHOTO:data:image/jpeg;base64,\n{folded}")),
        card("Elsewhere", "PHOTO;VALUE=uri:https://example.com/a.jpg\n"),
        card("Parts", &"X:1\n".repeat(100_000)),
        card("Kinds", &format!("TEL{}:1\n", ";TYPE=a".repeat(100_000))),
        card("Names", &format!("N:{}\n", ";".repeat(200_000))),
        card("Blanks", &"\n".repeat(200_000)),
    ];
    let answer = import(&ivan, "text/vcard", file.concat());
    let errors = errors(&answer);
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors.iter().all(|(_, detail)| detail.contains("bytes")), "{errors:?}");
    assert_eq!(
        contacts(&ivan),
        [
            contact(json!({ "first_name": "Folded" })),
            contact(json!({ "first_name": "Unfolded", "phone_number": "1" })),
            contact(json!({ "first_name": "Data" })),
            contact(json!({ "first_name": "Elsewhere", "additional_info": "Photo: https://example.com/a.jpg" })),
        ]
    );
    for headings in [format!("Name,{}", "x".repeat(1_000)), format!("Name{}", ",".repeat(1_000))] {
        assert_eq!(import(&ivan, "text/csv", format!("{headings}\nA,1\n")).status, 400);
    }
}

#[test]
fn an_import_takes_16_mib_and_no_more_and_only_of_who_is_known() {
    let (server, _database, ivan) = strangers();
    let row = |n| format!("Ada {n},{}\n", "x".repeat(4_000));
    let mut file = format!("first_name,additional_info\n{}", (0..4_000).map(row).collect::<String>());
    assert!((15 << 20..16 << 20).contains(&file.len()));
    import_all(&ivan, "text/csv", file.clone());
    assert_eq!(import(&server.client(), "text/csv", file.clone()).status, 413);
    file.push_str(&row(0).repeat(400));
    assert_eq!(import(&ivan, "text/csv", file).status, 413);
    let answer = ivan.get("/api/contacts?limit=1&count=true").send();
    assert_eq!(answer.header("X-Total-Count"), Some("4000"));
}

// ---------------------------------------------------------------------------------------------------------------- cut off

#[test]
fn an_import_that_its_client_cuts_off_leaves_nothing() {
    let (server, _database, ivan) = strangers();
    let mut socket = TcpStream::connect(server.address).expect("the server listens");
    let head = format!(
        "POST /api/contacts/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: text/csv\r\nContent-Length: 1000\r\n\r\n",
        ivan.token.as_deref().expect("a token")
    );
    socket.write_all(head.as_bytes()).expect("it is sent");
    socket.write_all(b"Name\nAda\nBo\n").expect("it is sent");
    socket.shutdown(std::net::Shutdown::Write).expect("the socket is open");
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert_eq!(contacts(&ivan), [] as [Value; 0]);
}

#[test]
fn an_import_that_the_database_cuts_off_leaves_nothing() {
    let (_server, database, ivan) = strangers();
    // Three batches; a trigger makes the last one wait for a lock that this test holds.
    let mut admin = database.client();
    admin
        .batch_execute(
            "create function wait_here() returns trigger language plpgsql as
             $$ begin perform pg_advisory_xact_lock(4711); return new; end $$;
             create trigger wait_here before insert on contacts for each row
             when (new.first_name = 'the last') execute function wait_here();
             select pg_advisory_lock(4711)",
        )
        .expect("the role owns its database");
    let mut file = format!("first_name\n{}", (0..2_500).map(|n| format!("Ada {n}\n")).collect::<String>());
    file.push_str("the last\n");
    let client = ivan.clone();
    let upload = std::thread::spawn(move || import(&client, "text/csv", file));
    let waiting = "select pid from pg_stat_activity where datname = current_database() and wait_event = 'advisory'";
    let mut pid: Option<i32> = None;
    eventually("the import waits within its transaction", || {
        pid = admin.query_opt(waiting, &[]).expect("it is asked").map(|row| row.get(0));
        pid.is_some()
    });
    admin.execute("select pg_terminate_backend($1)", &[&pid]).expect("it may be ended");
    let answer = upload.join().expect("the upload ends");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(contacts(&ivan), [] as [Value; 0]);
}

#[test]
fn a_download_that_the_database_cuts_off_is_seen_to_be_cut_off() {
    let (_server, database, ivan) = strangers();
    // More than the buffers of both sockets take, so the server is in the middle of it when the database goes away.
    for part in 0..2 {
        let rows = (0..3_000).map(|n| format!("Ada {part} {n},{}\n", "x".repeat(4_900)));
        import_all(&ivan, "text/csv", format!("first_name,additional_info\n{}", rows.collect::<String>()));
    }
    let mut socket = TcpStream::connect(ivan.address).expect("the server listens");
    let head = format!(
        "GET /api/contacts/export HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        ivan.token.as_deref().expect("a token")
    );
    socket.write_all(head.as_bytes()).expect("it is sent");
    let mut start = vec![0; 16 * 1024];
    socket.read_exact(&mut start).expect("it begins");
    database.kick();
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
    database.allow();
    assert!(start.starts_with(b"HTTP/1.1 200"));
    assert!(!rest.ends_with(b"0\r\n\r\n"), "it ended as if it were whole");
    assert!(rest.len() < 20 << 20);
}
