//! Upcoming birthdays: which contacts, in which order, told how.

use chrono::{Datelike, Days, NaiveDate};
use contactd::config::Values;
use contactd::domain::contact::{Draft, FIRST_NAME};
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::load::{draft, draft_of, insert};
use crate::support::server::{Server, Setup, database};
use crate::support::shared::shared;

fn ask(user: &Client, query: &str) -> Answer {
    let target = format!("/api/contacts/upcoming_birthdays?{query}");
    user.get(target).send()
}

fn names(user: &Client, query: &str) -> Vec<String> {
    ask(user, query).expect(200).names()
}

/// Makes a contact named by its birthday.
fn born(user: &Client, birthday: &str) {
    user.new_contact(&json!({ "first_name": birthday, "birthday": birthday }));
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn a_window_has_both_its_ends_and_nothing_else() {
    let shared = shared();
    let user = shared.user();
    for day in ["1990-05-09", "1990-05-10", "1985-05-12", "2001-05-17", "1970-05-18"] {
        born(&user, day);
    }
    user.new_contact(&json!({ "first_name": "without one" }));
    assert_eq!(
        names(&user, "today=2026-05-10"),
        ["1990-05-10", "1985-05-12", "2001-05-17"],
        "seven days if nothing is said"
    );
    assert_eq!(names(&user, "today=2026-05-10&days=0"), ["1990-05-10"]);
    assert_eq!(names(&user, "today=2026-05-11&days=0"), [""; 0]);
    assert_eq!(names(&user, "today=2026-05-10&days=8").len(), 4);
    let year = names(&user, "today=2026-05-10&days=366");
    assert_eq!(
        year,
        ["1990-05-10", "1985-05-12", "2001-05-17", "1970-05-18", "1990-05-09"],
        "each once, also the one of today, who has a birthday in a year again"
    );
    assert_eq!(names(&user, "today=2026-05-10&days=364"), year);
    assert_eq!(names(&user, "today=2026-05-10&days=363"), year[..4]);
    assert_eq!(names(&user, "today=2026-05-10&days=&skip=&limit="), names(&user, "today=2026-05-10"));
}

#[test]
fn a_window_goes_over_the_new_year() {
    let shared = shared();
    let user = shared.user();
    for day in ["2000-01-03", "1999-12-31", "1950-12-28", "1980-01-01", "1980-12-27"] {
        born(&user, day);
    }
    assert_eq!(names(&user, "today=2026-12-28&days=6"), ["1950-12-28", "1999-12-31", "1980-01-01", "2000-01-03"]);
    assert_eq!(names(&user, "today=2026-12-31&days=1"), ["1999-12-31", "1980-01-01"]);
    assert_eq!(
        names(&user, "today=2026-12-28&days=364"),
        ["1950-12-28", "1999-12-31", "1980-01-01", "2000-01-03", "1980-12-27"]
    );
    let list = ask(&user, "today=2026-12-28&days=6").expect(200).json();
    let told: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["next_birthday"].clone(), c["days_until"].clone(), c["turns"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!("2026-12-28"), json!(0), json!(76)),
            (json!("2026-12-31"), json!(3), json!(27)),
            (json!("2027-01-01"), json!(4), json!(47)),
            (json!("2027-01-03"), json!(6), json!(27)),
        ]
    );
}

#[test]
fn the_29_february_falls_on_the_28th_in_a_year_that_has_none() {
    let shared = shared();
    let user = shared.user();
    for day in ["2000-02-29", "1990-02-28", "1990-03-01", "1996-02-29"] {
        born(&user, day);
    }
    let told = |today: &str, days: u32| -> Vec<(String, String, i64)> {
        let list = ask(&user, &format!("today={today}&days={days}")).expect(200).json();
        let one = |c: &Value| {
            let text = |name: &str| c[name].as_str().unwrap().to_owned();
            (text("first_name"), text("next_birthday"), c["days_until"].as_i64().unwrap())
        };
        list.as_array().unwrap().iter().map(one).collect()
    };
    let row = |name: &str, next: &str, days: i64| (name.to_owned(), next.to_owned(), days);
    // A year without the day: all three on the 28th, by name.
    let expected =
        [row("1990-02-28", "2027-02-28", 0), row("1996-02-29", "2027-02-28", 0), row("2000-02-29", "2027-02-28", 0)];
    assert_eq!(told("2027-02-28", 0), expected);
    assert_eq!(told("2027-03-01", 0), [row("1990-03-01", "2027-03-01", 0)]);
    // A leap year: on its own day.
    assert_eq!(told("2028-02-28", 0), [row("1990-02-28", "2028-02-28", 0)]);
    assert_eq!(
        told("2028-02-28", 2),
        [
            row("1990-02-28", "2028-02-28", 0),
            row("1996-02-29", "2028-02-29", 1),
            row("2000-02-29", "2028-02-29", 1),
            row("1990-03-01", "2028-03-01", 2),
        ]
    );
    // From the leap day itself, the next one is told, and once.
    let year = told("2028-02-29", 366);
    assert_eq!(year.len(), 4);
    assert_eq!(year[0], row("1996-02-29", "2028-02-29", 0));
    assert_eq!(year[3], row("1990-02-28", "2029-02-28", 365));
    // Behind the day in a leap year, the next is the 28th of the year after.
    assert_eq!(
        told("2028-03-02", 363),
        [
            row("1990-02-28", "2029-02-28", 363),
            row("1996-02-29", "2029-02-28", 363),
            row("2000-02-29", "2029-02-28", 363),
        ]
    );
    // 1900 and 2100 are no leap years, 2000 was one.
    assert_eq!(told("2100-02-28", 0).len(), 3);
    assert_eq!(told("2000-02-28", 0).len(), 1);
}

#[test]
fn of_one_day_the_names_order_folded_and_then_the_ids() {
    let shared = shared();
    let user = shared.user();
    let make = |first: &str, last: &str| {
        user.new_contact(&json!({ "first_name": first, "last_name": last, "birthday": "1990-06-01" }))
    };
    make("Zoe", "A");
    make("Émile", "B");
    make("emil", "C");
    make("Anna", "Z");
    make("anna", "Berg");
    let (first, second) = (make("same", "same"), make("same", "same"));
    user.new_contact(&json!({ "first_name": "zz tomorrow", "birthday": "1990-06-01" }));
    user.new_contact(&json!({ "first_name": "aa later", "birthday": "1990-06-02" }));
    let answer = ask(&user, "today=2026-06-01&days=1").expect(200);
    assert_eq!(answer.names(), ["anna", "Anna", "emil", "Émile", "same", "same", "Zoe", "zz tomorrow", "aa later"]);
    let list = answer.json();
    assert_eq!((&list[4]["id"], &list[5]["id"]), (&json!(first), &json!(second)));
}

#[test]
fn skip_and_limit_cut_the_list() {
    let shared = shared();
    let user = shared.user();
    for day in 1..=9 {
        born(&user, &format!("1990-07-0{day}"));
    }
    let all = names(&user, "today=2026-07-01&days=30");
    assert_eq!(all.len(), 9);
    assert_eq!(names(&user, "today=2026-07-01&days=30&limit=2"), all[..2]);
    assert_eq!(names(&user, "today=2026-07-01&days=30&skip=2&limit=3"), all[2..5]);
    assert_eq!(names(&user, "today=2026-07-01&days=30&skip=8"), all[8..]);
    assert_eq!(names(&user, "today=2026-07-01&days=30&skip=9"), [""; 0]);
    let far = "today=2026-07-01&days=30&skip=1000000000&limit=1000";
    assert_eq!(names(&user, far), [""; 0]);
}

#[test]
fn what_does_not_fit_is_422() {
    let shared = shared();
    let user = shared.user();
    for (query, field) in [
        ("days=-1", "days"),
        ("days=367", "days"),
        ("days=x", "days"),
        ("days=65536", "days"),
        ("days=1000000000000000000000", "days"),
        ("today=2026-02-29", "today"),
        ("today=29.02.2026", "today"),
        ("today=0000-01-01", "today"),
        ("today=99999-01-01", "today"),
        ("today=tomorrow", "today"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("skip=-1", "skip"),
    ] {
        assert_eq!(ask(&user, query).expect(422).faults(), [field], "{query}");
    }
    born(&user, "2000-02-29");
    for today in ["1900-01-01", "1900-02-28", "9998-12-31", "9996-02-29", "9998-03-01"] {
        let list = ask(&user, &format!("today={today}&days=366")).expect(200).json();
        assert_eq!(list.as_array().unwrap().len(), 1, "{today}");
    }
    // Before the birth the next birthday is not an age; it is told as it is counted.
    let list = ask(&user, "today=1999-03-01&days=366").expect(200).json();
    assert_eq!((&list[0]["next_birthday"], &list[0]["turns"]), (&json!("2000-02-29"), &json!(0)));
}

/// Two zones 26 hours apart never have the same date, so a server that took its own clock's would be wrong in one of them.
#[test]
fn today_is_the_date_in_the_set_time_zone() {
    let database = database();
    for zone in ["Pacific/Kiritimati", "Etc/GMT+12"] {
        let server = Setup::on(&database).with("TIMEZONE", zone).ready();
        let user = server.client().new_user(&format!("{}@example.com", zone.len()));
        let today = || -> NaiveDate {
            let asked = "select (now() at time zone $1)::date";
            database.client().query_one(asked, &[&zone]).unwrap().get(0)
        };
        // Around midnight the date may change between two questions: then they are asked again.
        for _ in 0..2 {
            let before = today();
            for days in [0, 1, 2] {
                let day = before - Days::new(1) + Days::new(days);
                born(&user, &day.with_year(1996).unwrap().to_string());
            }
            let found = names(&user, "days=0");
            if today() == before {
                assert_eq!(found, [before.with_year(1996).unwrap().to_string()], "{zone}");
                break;
            }
            let left = user.get("/api/contacts").send().json();
            for contact in left.as_array().unwrap() {
                user.delete(&format!("/api/contacts/{}", contact["id"])).send();
            }
        }
    }
}

// ---------------------------------------------------------------------------------------------------------------- the oracle

/// Who celebrates on a day: the rule, stated once more.
fn celebrates(birthday: NaiveDate, day: NaiveDate) -> bool {
    let md = (birthday.month(), birthday.day());
    md == (day.month(), day.day()) || md == (2, 29) && (day.month(), day.day()) == (2, 28) && !day.leap_year()
}

/// What the list should say, by walking through the days: name, next birthday, days until, turns.
fn oracle(book: &[Draft], today: NaiveDate, days: u64) -> Vec<(String, String, i64, i64)> {
    let mut seen = vec![false; book.len()];
    let mut list = Vec::new();
    for passed in 0..=days {
        let day = today + Days::new(passed);
        let mut celebrating: Vec<_> =
            (0..book.len()).filter(|n| !seen[*n] && book[*n].birthday().is_some_and(|b| celebrates(b, day))).collect();
        celebrating.sort_by_key(|n| (book[*n].text(FIRST_NAME), *n));
        for n in celebrating {
            seen[n] = true;
            let born = book[n].birthday().unwrap();
            let turns = i64::from(day.year() - born.year());
            list.push((book[n].text(FIRST_NAME).to_owned(), day.to_string(), passed.try_into().unwrap(), turns));
        }
    }
    list
}

fn told(answer: &Answer) -> Vec<(String, String, i64, i64)> {
    let list = answer.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |c: &Value| {
        let (days, turns) = (c["days_until"].as_i64().unwrap(), c["turns"].as_i64().unwrap());
        (text(&c["first_name"]), text(&c["next_birthday"]), days, turns)
    };
    list.as_array().unwrap().iter().map(one).collect()
}

fn draft_born(first_name: &str, birthday: NaiveDate) -> Draft {
    draft_of(&json!({ "first_name": first_name, "birthday": birthday }))
}

#[test]
fn the_list_agrees_with_a_walk_through_the_days() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    // Every day of two leap years and of the years between, with the days that matter several times, and some without a day.
    let mut book: Vec<Draft> = date("1996-01-01")
        .iter_days()
        .take_while(|day| *day <= date("2000-12-31"))
        .enumerate()
        .map(|(n, day)| draft_born(&format!("{:02} person", n * 37 % 100), day))
        .collect();
    for year in (1904..2000).step_by(4) {
        book.push(draft_born(&format!("{year} leap"), date(&format!("{year}-02-29"))));
    }
    book.push(draft("without one"));
    insert(&database, &user, &book);

    let edges = [
        "2027-01-01",
        "2027-02-27",
        "2027-02-28",
        "2027-03-01",
        "2027-12-31",
        "2028-01-01",
        "2028-02-27",
        "2028-02-28",
        "2028-02-29",
        "2028-03-01",
        "2028-12-31",
        "2100-02-28",
        "2100-03-01",
        "2000-02-29",
        "1900-02-28",
    ];
    let mut questions: Vec<(NaiveDate, u64)> = Vec::new();
    for edge in edges {
        questions.extend([0, 1, 60, 366].map(|days| (date(edge), days)));
    }
    // And a walk through all kinds of days, in steps that share nothing with a week or a year.
    questions.extend((0..60).map(|n| (date("2024-01-01") + Days::new(n * 43), n * 29 % 367)));
    for (today, days) in questions {
        let expected = oracle(&book, today, days);
        let mut found = Vec::new();
        loop {
            let query = format!("today={today}&days={days}&limit=1000&skip={}", found.len());
            let page = told(&ask(&user, &query).expect(200));
            let last = page.len() < 1000;
            found.extend(page);
            if last {
                break;
            }
        }
        assert!(found == expected, "today={today}&days={days}: {}", first_difference(&found, &expected));
    }
}

/// Two long lists in one line.
fn first_difference<T: PartialEq + std::fmt::Debug>(found: &[T], expected: &[T]) -> String {
    let at = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    format!(
        "{} and not {} contacts, first other at {at}: {:?} and not {:?}",
        found.len(),
        expected.len(),
        found.get(at),
        expected.get(at)
    )
}

#[test]
fn a_time_zone_is_a_name_for_postgres_reads_the_sign_of_an_offset_the_other_way_round() {
    let zone = |name: &str| {
        let secret = "0123456789abcdef".repeat(2);
        let settings =
            [("DATABASE_URL", "postgres://u@localhost/d"), ("JWT_SECRET", secret.as_str()), ("TIMEZONE", name)];
        Values::new(settings.map(|(name, value)| (name.to_owned(), value.to_owned()))).config()
    };
    for name in ["UTC", "America/Port-au-Prince", "Etc/GMT-14", "EST5EDT"] {
        assert_eq!(zone(name).unwrap().timezone, name);
    }
    for offset in ["UTC+3", "GMT-3", "+03", "<+03>-03:00"] {
        let wrong = zone(offset).unwrap_err();
        assert!(wrong.0.starts_with("TIMEZONE "), "{wrong}");
    }
}
