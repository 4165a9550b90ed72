//! Files as phones, Google, Outlook and others write them: what they mean, what is told of them, and that nothing comes twice.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::sessions::two_instances;
use crate::support::client::{Answer, Client};
use crate::support::shared::shared;

fn import(user: &Client, query: &str, media_type: &str, file: impl Into<Vec<u8>>) -> Answer {
    let request = user.request("POST", format!("/api/contacts/import{query}")).header("Content-Type", media_type);
    request.body(file).send()
}

/// The numbers of created, skipped and duplicate entries, of errors and of warnings.
fn numbers(answer: &Answer) -> [u64; 5] {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let report = answer.json();
    let count =
        |name: &str| report[name].as_u64().unwrap_or_else(|| report[name].as_array().expect("a list").len() as u64);
    ["created", "skipped", "duplicates", "errors", "warnings"].map(count)
}

fn contacts(user: &Client) -> Vec<Value> {
    user.get("/api/contacts?limit=1000").send().expect(200).json().as_array().expect("a list").clone()
}

/// The fields of a contact that are not null.
fn fields(contact: &Value) -> Value {
    let members = contact.as_object().expect("an object").iter();
    let of_the_server = ["id", "created_at", "updated_at"];
    members
        .filter(|(name, value)| !value.is_null() && !of_the_server.contains(&name.as_str()))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

/// Imports a file as a user of its own, and compares what it made.
#[track_caller]
fn makes(media_type: &str, file: impl Into<Vec<u8>>, expected: &[Value]) -> Answer {
    let shared = shared();
    let user = shared.user();
    let answer = import(&user, "", media_type, file);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(contacts(&user).iter().map(fields).collect::<Vec<_>>(), expected, "{}", answer.text());
    answer
}

fn card(lines: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\n{lines}\r\nEND:VCARD\r\n")
}

// ------------------------------------------------------------------------------------------------------------ duplicates

#[test]
fn the_same_file_twice_makes_one_address_book() {
    let shared = shared();
    let user = shared.user();
    let file = "first_name,birthday\nAda,1990-05-17\nBo,\nAda,1990-05-17\nAda,\n";
    assert_eq!(numbers(&import(&user, "?dry_run=true", "text/csv", file)), [3, 0, 1, 0, 0]);
    assert_eq!(numbers(&import(&user, "", "text/csv", file)), [3, 0, 1, 0, 0]);
    assert_eq!(numbers(&import(&user, "?dry_run=true", "text/csv", file)), [0, 0, 4, 0, 0]);
    assert_eq!(numbers(&import(&user, "?duplicates=skip", "text/csv", file)), [0, 0, 4, 0, 0]);
    assert_eq!(numbers(&import(&user, "?duplicates=add", "text/csv", file)), [4, 0, 0, 0, 0]);
    assert_eq!(contacts(&user).len(), 7);
    assert_eq!(import(&user, "?duplicates=merge", "text/csv", file).expect(422).faults(), ["duplicates"]);
    // What another user has is no duplicate.
    assert_eq!(numbers(&import(&shared.user(), "", "text/csv", file)), [3, 0, 1, 0, 0]);
}

#[test]
fn what_one_exports_one_imports_without_doubling_in_any_format() {
    let shared = shared();
    let user = shared.user();
    for contact in [
        json!({ "first_name": "太郎", "last_name": "山田", "birthday": "2004-02-29", "phone_number": "+38 (050) 123-45-67" }),
        json!({ "first_name": "=SUM(A1)", "last_name": "O'B\\r\\nien, \"x\"; y", "phone_number": "tel:5 'ext' 6" }),
        json!({ "first_name": "Ann", "additional_info": "a\r\nb\n\nc\t\\n; END:VCARD\nEND:VCARD", "email": "ann@example.com" }),
    ] {
        user.new_contact(&contact);
    }
    for (query, media_type) in [
        ("format=vcf", "text/vcard"),
        ("format=vcf3", "text/vcard"),
        ("format=csv", "text/csv"),
        ("format=csv&bom=true", "text/csv"),
        ("format=json", "application/json"),
    ] {
        let file = user.get(format!("/api/contacts/export?{query}")).send().expect(200).body;
        assert_eq!(numbers(&import(&user, "", media_type, file)), [0, 0, 3, 0, 0], "{query}");
    }
}

#[test]
fn two_imports_at_once_at_two_instances_make_one_address_book() {
    let (first, second, _database) = two_instances();
    let user = first.client().new_user("ivan@example.com");
    let elsewhere = Client { address: second.address, ..user.clone() };
    let file: String =
        ["first_name\n".to_owned()].into_iter().chain((0..20_000).map(|n| format!("Ada {n}\n"))).collect();
    let start = Barrier::new(2);
    let reports = thread::scope(|scope| {
        let imports = [&user, &elsewhere].map(|client| {
            let (file, start) = (file.clone(), &start);
            scope.spawn(move || {
                start.wait();
                numbers(&import(client, "", "text/csv", file))
            })
        });
        imports.map(|import| import.join().expect("it ends"))
    });
    let sum = |at: usize| reports[0][at] + reports[1][at];
    assert_eq!([sum(0), sum(2)], [20_000, 20_000], "{reports:?}");
    let count = user.get("/api/contacts?limit=1&count=true").send();
    assert_eq!(count.header("X-Total-Count"), Some("20000"));
}

// ------------------------------------------------------------------------------------------------------------- the report

#[test]
fn a_thousand_warnings_are_listed_and_the_rest_counted() {
    let shared = shared();
    let user = shared.user();
    let rows: String = (0..1_234).map(|n| format!("Ada {n},nowhere\n")).collect();
    let answer = import(&user, "", "text/csv", format!("first_name,email\n{rows}"));
    assert_eq!(numbers(&answer), [1_234, 0, 0, 0, 1_001]);
    let warnings = &answer.json()["warnings"];
    assert_eq!(warnings[0]["line"], 2);
    assert_eq!(warnings[1_000], json!({ "line": 1_002, "detail": "There are 234 more, from this line on." }));
}

#[test]
fn a_value_that_does_not_fit_never_costs_the_contact() {
    let (long, number) = ("x".repeat(101), "1".repeat(60));
    let expected = json!({
        "first_name": "Ada",
        "additional_info": format!("n\nLast name: {long}\nE-mail: ada@intranet\nPhone: {number}\nBirthday: 1850-01-02"),
    });
    let bday = format!("FN:Ada\r\nN:{long};Ada\r\nEMAIL:ada@intranet\r\nTEL:{number}\r\nBDAY:1850-01-02\r\nNOTE:n");
    let answer = makes(
        "text/vcard",
        card(&bday),
        &[json!({
            "first_name": "Ada",
            "additional_info": expected["additional_info"],
        })],
    );
    let lines: Vec<_> =
        answer.json()["warnings"].as_array().expect("a list").iter().map(|w| w["line"].clone()).collect();
    assert_eq!(lines, [4, 5, 6, 7]);
    let entry = json!([{ "first_name": "Ada", "last_name": long, "email": "ada@intranet", "phone_number": number,
        "birthday": "1850-01-02", "additional_info": "n" }]);
    assert_eq!(numbers(&makes("application/json", entry.to_string(), &[expected])), [1, 0, 0, 0, 4]);

    // A first name is cut, for a contact has one; so is what is too long for the last place that there is.
    let entry = json!([{ "first_name": long, "additional_info": "y".repeat(5_001) }]);
    let answer = makes(
        "application/json",
        entry.to_string(),
        &[json!({ "first_name": "x".repeat(100), "additional_info": "y".repeat(5_000) })],
    );
    assert_eq!(numbers(&answer), [1, 0, 0, 0, 2]);
    assert!(answer.text().contains("cut off"), "{}", answer.text());
}

#[test]
fn unknown_members_of_json_are_kept_with_a_warning() {
    let entry = json!([{ "id": 5, "first_name": "Ada", "phone": "12", "tags": ["a", { "b": 3 }], "phone_number": 5, "last_name": null }]);
    let info = "phone: 12\ntags: [\"a\",{\"b\":3}]\nphone_number: 5";
    let answer =
        makes("application/json", entry.to_string(), &[json!({ "first_name": "Ada", "additional_info": info })]);
    assert_eq!(numbers(&answer), [1, 0, 0, 0, 3]);
}

// --------------------------------------------------------------------------------------------------------------- charsets

#[test]
fn a_file_is_of_the_charset_that_it_or_the_request_names() {
    let expected = [json!({ "first_name": "Олена" })];
    let (windows, utf8) = (b"first_name\n\xce\xeb\xe5\xed\xe0\n".to_vec(), "first_name\nОлена\n");
    let utf16: Vec<u8> = [0xfe, 0xff].into_iter().chain(utf8.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    makes("text/csv; charset=windows-1251", windows.clone(), &expected);
    makes("text/csv; header=present; CHARSET=\"CP1251\"", windows.clone(), &expected);
    // The mark counts before what the request names.
    makes("text/csv; charset=windows-1251", utf16, &expected);
    makes("text/csv; charset=windows-1251", format!("\u{feff}{utf8}"), &expected);
    makes("text/csv; charset=us-ascii", utf8, &expected);
    makes(
        "text/vcard; charset=koi8-u",
        card("FN:\u{0}")
            .into_bytes()
            .into_iter()
            .flat_map(|b| match b {
                0 => b"\xef\xcc\xc5\xce\xc1".to_vec(),
                b => vec![b],
            })
            .collect::<Vec<_>>(),
        &expected,
    );

    let shared = shared();
    let user = shared.user();
    let refused = import(&user, "", "text/csv; charset=klingon", utf8).expect(415);
    assert!(refused.text().contains("klingon"), "{}", refused.text());
    let refused = import(&user, "", "text/csv", windows).expect(422);
    assert!(refused.text().contains("line 2"), "{}", refused.text());
    let refused = import(&user, "", "application/json", b"[{\"first_name\":\"\xce\"}]").expect(422);
    assert!(refused.text().contains("UTF-8"), "{}", refused.text());
    // Of cards only those that do not decode are refused.
    let cards = [card("FN:Ada").as_bytes(), b"BEGIN:VCARD\nFN:\xce\nEND:VCARD\n", card("FN:Bo").as_bytes()].concat();
    let answer = import(&user, "", "text/vcard", cards);
    assert_eq!(numbers(&answer), [2, 1, 0, 1, 0]);
    assert_eq!(answer.json()["errors"][0]["line"], 5);
}

#[test]
fn each_property_of_an_old_card_may_be_of_another_charset() {
    let file = b"BEGIN:VCARD\r\nVERSION:2.1\r\n\
        N;CHARSET=SHIFT_JIS;ENCODING=QUOTED-PRINTABLE:=88=C0=93=A1;=83=8D=83=43=83=68\r\n\
        TITLE;CHARSET=windows-1251:\xc4\xe8\xf0\xe5\xea\xf2\xee\xf0\r\n\
        ORG;QUOTED-PRINTABLE:=C3=9C=\r\nber=\r\n AG\r\nROLE;CHARSET=UTF-8;BASE64:\r\n 0JHRg9GF\r\n 0LPQsNC70YLQtdGA\r\n\r\nEND:VCARD\r\n";
    let info = "Title: Директор\nRole: Бухгалтер\nOrganization: Über AG";
    makes(
        "text/vcard",
        file.to_vec(),
        &[json!({ "first_name": "ロイド", "last_name": "安藤", "additional_info": info })],
    );
}

// ------------------------------------------------------------------------------------------------------------------ vCard

#[test]
fn odd_cards_say_what_a_person_reads_in_them() {
    let ada = || json!({ "first_name": "Ada" });
    // Put together without a line break, with a byte order mark, and with what is part of no card.
    let two = "mail header\nBEGIN:VCARD\nFN:Ada\nEND:VCARDBEGIN:VCARD\nFN:Bo\nEND:VCARD\n\u{feff}BEGIN:VCARD\nFN:Cy\nEND:VCARD";
    let answer = makes("text/vcard", two, &[ada(), json!({ "first_name": "Bo" }), json!({ "first_name": "Cy" })]);
    assert_eq!(answer.json()["errors"][0]["line"], 1);
    let with = |info: &str| json!({ "first_name": "Ada", "additional_info": info });
    for (lines, expected) in [
        (
            "FN:Ada\nBEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\nTEL:11",
            json!({ "first_name": "Ada", "phone_number": "11",
            "additional_info": "BEGIN: VEVENT\nSUMMARY: x\nEND: VEVENT" }),
        ),
        ("FN:Ada\nNOTE:one\ntwo\nTEL 33", with("one\ntwo\nTEL 33")),
        (
            "FN:Ada\nBDAY:1990-01-02\nBDAY:1991-03-04",
            json!({ "first_name": "Ada", "birthday": "1990-01-02", "additional_info": "Birthday: 1991-03-04" }),
        ),
        (
            "FN:Ada\nBDAY:19560411230000",
            json!({ "first_name": "Ada", "birthday": "1956-04-11", "additional_info": "Birthday: 19560411230000" }),
        ),
        (
            "FN:Ada\nitem1.X-ABDATE;VALUE=date-and-or-time:20181206\nitem1.X-ABLABEL:_$!<Anniversary>!$_",
            with("X-ABDATE (anniversary): 20181206"),
        ),
        (
            "FN:Ada\nitem1.EMAIL:a@example.com\nitem1.X-ABLABEL:The barn",
            json!({ "first_name": "Ada", "email": "a@example.com",
            "additional_info": "E-mail (the barn): a@example.com" }),
        ),
        (
            "N:Müller;;;Frau;\nFN:Frau Müller",
            json!({ "first_name": "Frau", "last_name": "Müller", "additional_info": "Prefix: Frau" }),
        ),
        ("N:Smith;;;;\nFN:Mary Smith", json!({ "first_name": "Mary", "last_name": "Smith" })),
        ("N:Smith;;;;\nFN:Mary Jones", json!({ "first_name": "Mary Jones", "additional_info": "Last name: Smith" })),
        (
            "N:山田;太郎;;;\nFN:山田 太郎",
            json!({ "first_name": "太郎", "last_name": "山田", "additional_info": "Name: 山田 太郎" }),
        ),
        ("N:Doe;Ann;;;\nFN:Doe\\, Ann", json!({ "first_name": "Ann", "last_name": "Doe" })),
        ("NICKNAME:Ned\nEMAIL:ned@example.com", json!({ "first_name": "Ned", "email": "ned@example.com" })),
        ("TEL;TYPE=CELL:tel:+4900", json!({ "first_name": "+4900", "phone_number": "+4900" })),
        (
            "FN:Ada\nTEL;TYPE=PAGER:1\nTEL;TYPE=WORK:2\nTEL;TYPE=CELL:3",
            json!({ "first_name": "Ada", "phone_number": "3",
            "additional_info": "Phone (work): 2\nPhone (pager): 1" }),
        ),
        (
            "FN:Ada\nPHOTO;ENCODING=b:AAAA\nX-FOO;ENCODING=b://///w==\nKEY;VALUE=uri:https://a.example/k",
            with("KEY: https://a.example/k"),
        ),
        ("FN:Ada\nNOTE:C:\\\\new\\nline", with("C:\\new\nline")),
        (
            "N:One;An\u{b}na;;;\nX-KEYWORDS:k",
            json!({ "first_name": "An na", "last_name": "One", "additional_info": "X-KEYWORDS: k" }),
        ),
    ] {
        makes("text/vcard", card(lines), &[expected]);
    }
    // Version 2.1 folds where a space is, and knows no escapes.
    let old = "BEGIN:VCARD\nVERSION:2.1\nN:One;Ann\nNOTE:an\n example of C:\\new\nEND:VCARD\n";
    makes(
        "text/vcard",
        old,
        &[json!({ "first_name": "Ann", "last_name": "One", "additional_info": "an example of C:\\new" })],
    );
}

// -------------------------------------------------------------------------------------------------------------------- CSV

#[test]
fn tables_of_other_programs_say_what_a_person_reads_in_them() {
    let born = "1990-05-17";
    for (file, expected) in [
        // Thunderbird, in English and in German.
        (
            "First Name,Last Name,Display Name,Primary Email,Work Phone,Pager Number,Mobile Number,Birth Year,Birth Month,Birth Day\n\
          Ann,One,Ann One,ann@example.org,4,555,+380,1990,5,17\n",
            json!({ "first_name": "Ann", "last_name": "One", "email": "ann@example.org",
            "phone_number": "+380", "birthday": born, "additional_info": "Work Phone: 4\nPager Number: 555" }),
        ),
        (
            "Vorname,Nachname,Primäre E-Mail-Adresse,Tel. dienstlich,Mobil-Tel.-Nr.,Geburtsjahr,Geburtsmonat,Geburtstag\nAnn,,ann@example.org,4,55,,5,17\n",
            json!({ "first_name": "Ann", "email": "ann@example.org", "phone_number": "55", "additional_info": "Birthday: 17 May\nTel. dienstlich: 4" }),
        ),
        // Outlook, in German, with its date for none; Excel's separator; the surname in "Name".
        (
            "Anrede;Vorname;Nachname;Telefon Assistent;Fax geschäftlich;Telefon geschäftlich;E-Mail-Adresse;E-Mail-Typ;Geburtstag\nFrau;Ann;One;111;222;333;ann@intranet;EX;0.0.00\n",
            json!({ "first_name": "Ann", "last_name": "One", "phone_number": "333", "additional_info":
                "Anrede: Frau\nE-Mail-Adresse: ann@intranet\nTelefon Assistent: 111\nFax geschäftlich: 222" }),
        ),
        (
            "sep=;\nVORNAME;NAME;GEBURTSTAG\nAnn;One;17.5.1990 0:00:00\n",
            json!({ "first_name": "Ann", "last_name": "One", "birthday": born }),
        ),
        // Google, with labels.
        (
            "Name,Given Name,Phone 1 - Type,Phone 1 - Value,Phone 2 - Type,Phone 2 - Value,Relation 1 - Type,Relation 1 - Value\n\
          Ann,Ann,Pager,111,Mobile,222,Spouse,Bob\n",
            json!({ "first_name": "Ann", "phone_number": "222",
            "additional_info": "Relation 1 (Spouse): Bob\nPhone (Pager): 111" }),
        ),
        // Of a program that nobody knows.
        (
            "Contact,\"Cell, private\",Work mail\nAnn,+38 050,ann@example.org\n",
            json!({ "first_name": "ann@example.org",
            "email": "ann@example.org", "phone_number": "+38 050", "additional_info": "Contact: Ann" }),
        ),
        ("First Name,Birthday\nAnn,1990/5/17\n", json!({ "first_name": "Ann", "birthday": born })),
        // A club's numbers are no ids of ours.
        ("ID,First Name\n4711,Ann\n", json!({ "first_name": "Ann", "additional_info": "ID: 4711" })),
        (
            "user_id,created_at,name\n5,1999,Ann\n",
            json!({ "first_name": "Ann", "additional_info": "user_id: 5\ncreated_at: 1999" }),
        ),
    ] {
        makes("text/csv", file, &[expected]);
    }
    // Excel on a Mac ends rows with CR, and lines within cells with LF.
    let answer = makes(
        "text/csv",
        "first_name,additional_info\rAnn,\"x\ny\"\rBo\rCy,\r",
        &[json!({ "first_name": "Ann", "additional_info": "x\ny" }), json!({ "first_name": "Cy" })],
    );
    assert_eq!(answer.json()["errors"][0]["line"], 4);
}

#[test]
fn each_foreign_word_means_what_the_english_one_does() {
    let words = include_str!("../../src/formats/headings.txt");
    let readme = include_str!("../../README.md");
    for language in words.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')) {
        assert!(readme.contains(language), "README lists {language}");
    }
    let shared = shared();
    let user = shared.user();
    let mut seen = std::collections::HashMap::new();
    for (ours, theirs) in words.lines().filter_map(|line| line.split_once(" = ")) {
        let cell = if ours.contains("birthday") { "1990-05-17" } else { "ann@example.org" };
        let made = |heading: &str| {
            let file = format!("nickname,{heading}\nAnn,{cell}\n");
            assert_eq!(numbers(&import(&user, "?duplicates=add", "text/csv", file))[0], 1, "{heading}");
            let last = user.get("/api/contacts?sort=-id&limit=1").send().json()[0].clone();
            // Before a line stands the heading of the file.
            let info = last["additional_info"]
                .as_str()
                .map(|info| info.to_lowercase().replace(&format!("{heading}: "), "").replace(&format!("{ours}: "), ""));
            [
                last["first_name"].clone(),
                last["last_name"].clone(),
                last["email"].clone(),
                last["birthday"].clone(),
                json!(info),
            ]
        };
        let expected = made(ours);
        for word in theirs.split(", ") {
            assert_eq!(made(word), expected, "{word}");
            assert_eq!(*seen.entry(word).or_insert(ours), ours, "{word} has one meaning");
        }
    }
}

// ----------------------------------------------------------------------------------------------------------------- export

#[test]
fn an_export_can_be_of_version_3_and_open_in_excel() {
    let shared = shared();
    let user = shared.user();
    user.new_contact(
        &json!({ "first_name": "Олена", "last_name": "Кіт", "phone_number": "+38 050", "birthday": "1990-05-17" }),
    );
    let export =
        |query: &str, accept: &str| user.get(format!("/api/contacts/export{query}")).header("Accept", accept).send();
    for (query, accept) in
        [("?format=vcf3", "*/*"), ("", "text/vcard; version=3.0"), ("", "text/vcard;version=\"3.0\", text/vcard;q=0.5")]
    {
        let answer = export(query, accept).expect(200);
        assert_eq!(answer.header("Content-Type"), Some("text/vcard; charset=utf-8; version=3.0"));
        let text = answer.text();
        for line in ["VERSION:3.0", "FN:Олена Кіт", "N:Кіт;Олена;;;", "TEL:+38 050", "BDAY:1990-05-17"]
        {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
    }
    for accept in ["text/vcard", "text/vcard; version=4.0", "text/vcard; version=3.0; q=0.1, text/vcard"] {
        assert!(export("", accept).text().contains("VERSION:4.0"), "{accept}");
    }
    assert_eq!(export("", "text/vcard; version=2.1").status, 406);
    let file = export("?format=csv&bom=true", "*/*").text();
    assert!(file.starts_with("\u{feff}id,first_name,") && file.contains(",+38 050,"), "{file}");
    assert!(export("?format=csv", "*/*").text().starts_with("id,"));
    assert!(export("?bom=true", "text/csv").text().starts_with('\u{feff}'));
}
