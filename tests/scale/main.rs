//! Ten million contacts of users as they are: what each kind of request reads for users of 300, 10,000 and 100,000, and how long it takes.
//! `make scale` fills a throwaway database of 4 GB, which takes minutes, so nothing else runs it. `CONTACTS=1000000` is a smaller one.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use contactd::domain::fold;
use contactd::store::CONNECTION_SETTINGS;
use contactd::store::queries::{self, Query};
use postgres::{Client, SimpleQueryMessage};
use serde_json::Value;

use support::server::{Server, Setup, database};

/// By their ids less one.
const SIZES: [i64; 3] = [300, 10_000, 100_000];

/// A kind of request: its statement with its arguments, and how many pages it may touch for users of 10,000 and 100,000 contacts.
/// `{user}` is the user, and `{id}` the id of a contact in the middle.
struct Kind {
    name: &'static str,
    path: &'static str,
    query: &'static Query,
    arguments: &'static str,
    most: [i64; 2],
}

const fn kind(
    name: &'static str,
    path: &'static str,
    query: &'static Query,
    arguments: &'static str,
    most: [i64; 2],
) -> Kind {
    Kind { name, path, query, arguments, most }
}

const NO_WORDS: &str = "'', null, null, null, null, null";

static KINDS: [Kind; 11] = [
    kind("a page", "?limit=100", &queries::CONTACT_PAGE, "{user}, {id}, 101", [9, 8]),
    kind(
        "search that finds",
        "?q=an",
        &queries::CONTACT_SEARCH,
        "{user}, null, 101, 0, 'an', null, null, null, null, null",
        [528, 524],
    ),
    kind(
        "search in vain",
        "?q=nobody",
        &queries::CONTACT_SEARCH,
        "{user}, null, 101, 0, 'nobody', null, null, null, null, null",
        [159, 1_074],
    ),
    kind("skip 9,000", "?skip=9000", &queries::CONTACT_SEARCH, "{user}, null, 101, 9000, {words}", [648, 607]),
    kind("count", "?count=true&limit=1", &queries::CONTACT_COUNT, "{user}, {words}", [159, 1_074]),
    kind(
        "birthdays of 7 days",
        "/upcoming_birthdays?days=7",
        &queries::CONTACT_UPCOMING,
        "{user}, '{615}', '{621}', '{f}', 100, 0",
        [105, 115],
    ),
    kind(
        "birthdays of a year",
        "/upcoming_birthdays?days=365",
        &queries::CONTACT_UPCOMING,
        "{user}, '{615,101}', '{1231,614}', '{f,f}', 100, 0",
        [4_011, 39_210],
    ),
    kind(
        "sort by name",
        "?sort=last_name",
        &queries::CONTACT_PAGE_BY_TEXT,
        "{user}, null, 101, 0, {words}, 2, null",
        [5_816, 4_726],
    ),
    kind(
        "sort by time",
        "?sort=-updated_at",
        &queries::CONTACT_PAGE_BY_TIME_DESC,
        "{user}, null, 101, 0, {words}, 'updated_at', null",
        [5_816, 4_726],
    ),
    kind("calendar, asked again", "/calendar?again", &queries::CALENDAR_DIGEST, "{user}", [5_311, 4_221]),
    kind("whole calendar", "/calendar", &queries::CALENDAR_PAGE, "{user}, {id}, 500", [5_311, 4_221]),
];

#[test]
fn ten_million_contacts() {
    let contacts: u64 = std::env::var("CONTACTS").map_or(10_000_000, |text| text.parse().expect("a number"));
    let database = database();
    let server = Setup::on(&database).ready();
    server.client().new_user("first@example.com");
    let mut admin = database.client();
    let hash: String = admin.query_one("select password_hash from users", &[]).expect("one user").get(0);
    let plan = include_str!("plan.sql").replace("{users}", &(contacts / 300).to_string()).replace("{hash}", &hash);
    admin.batch_execute(&plan).expect("the plan");
    let began = Instant::now();
    let fill = include_str!("fill.sql").replace("{mark}", &fold::MARK.to_string());
    for round in 0..=20 {
        admin.execute(&fill, &[&round]).expect("contacts");
    }
    println!("filled in {:?}", began.elapsed());
    // As autovacuum does. A row counts as seen by all only when no older snapshot is left.
    loop {
        admin.batch_execute("vacuum analyze contacts").expect("a vacuum");
        let whole = "select relallvisible >= relpages - 1 from pg_class where relname = 'contacts'";
        if admin.query_one(whole, &[]).expect("a row").get(0) {
            break;
        }
    }
    let size = "select count(*), pg_table_size('contacts'), pg_indexes_size('contacts'), \
                sum((user_id between 1 and 3)::integer) from contacts";
    let row = admin.query_one(size, &[]).expect("its size");
    let (count, heap, indexes): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    println!("{count} contacts, {} + {} bytes each", heap / count, indexes / count);
    assert_eq!(row.get::<_, i64>(3), SIZES.iter().sum::<i64>());

    admin.batch_execute(CONNECTION_SETTINGS).expect("the program's settings");
    admin.batch_execute("set statement_timeout = 0").expect("but the time");
    println!("as they grew:");
    measure(&mut admin, &server);
    // As README advises once a year: between everybody's inserts the pages of an index are two thirds full.
    admin.batch_execute("reindex index contacts_pkey").expect("a new index");
    let row = admin.query_one(size, &[]).expect("its size");
    println!("after a reindex, {} + {} bytes each:", row.get::<_, i64>(1) / count, row.get::<_, i64>(2) / count);
    let faults = measure(&mut admin, &server);
    assert!(contacts < 1_000_000 || faults.is_empty(), "{faults:#?}");
}

/// A row for each kind of request; what is too much.
fn measure(admin: &mut Client, server: &Server) -> Vec<String> {
    println!("| request | {} |", SIZES.map(|size| format!("{size}: touched, new, ms")).join(" | "));
    let mut faults = Vec::new();
    let users = [1, 2, 3].map(|user: i64| (user, server.client().login(&format!("user{user}@example.com"), "123456")));
    for kind in &KINDS {
        let mut cells = Vec::new();
        for (size, (user, client)) in SIZES.iter().zip(&users) {
            let (touched, read) = pages(admin, kind, *user);
            let time = time(client, kind);
            cells.push(format!("{touched}, {read}, {:.1}", time.as_secs_f64() * 1e3));
            let too_much = match size {
                300 => read > 40,
                10_000 => touched > kind.most[0],
                _ => touched > kind.most[1],
            };
            if too_much {
                faults.push(format!("{} of {size}: {touched} pages, of which {read} anew", kind.name));
            }
        }
        println!("| {} | {} |", kind.name, cells.join(" | "));
    }
    faults
}

/// How many pages a statement touches, each time that it does, and how many of them have to be read while all of the user's are out
/// of Postgres' own memory.
fn pages(admin: &mut Client, kind: &Kind, user: i64) -> (i64, i64) {
    let middle = "select id from contacts where user_id = $1 order by id offset $2 limit 1";
    let id: i64 = admin.query_one(middle, &[&user, &(SIZES[user as usize - 1] / 2)]).expect("it has so many").get(0);
    let arguments = kind.arguments.replace("{words}", NO_WORDS);
    let arguments = arguments.replace("{user}", &user.to_string()).replace("{id}", &id.to_string());
    admin.batch_execute(&format!("deallocate all; prepare it as {}", kind.query.sql)).expect("a statement");
    // The statement is known; everybody else's pages drive out the user's.
    admin.batch_execute(&format!("explain execute it({arguments})")).expect("a plan");
    let others = "select sum(length(additional_info)) from contacts where user_id between 1000 and 3500";
    admin.simple_query(others).expect("a sum");
    let rows = admin.simple_query(&format!("explain (analyze, buffers, format json) execute it({arguments})"));
    let text: String = rows
        .expect("a plan")
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    let plan: Value = serde_json::from_str(&text).expect("JSON");
    let blocks = |name: &str| plan[0]["Plan"][name].as_i64().expect("a number");
    (blocks("Shared Hit Blocks") + blocks("Shared Read Blocks"), blocks("Shared Read Blocks"))
}

/// The median of some requests, once all is in memory.
fn time(user: &support::client::Client, kind: &Kind) -> Duration {
    let (mut target, mut etag) = (format!("/api/contacts{}", kind.path), None);
    if kind.path.starts_with("/calendar") {
        let opened = user.post("/api/contacts/calendar", &serde_json::json!({})).send().json();
        let url = opened["url"].as_str().expect("an address");
        target = url[url.find("/api/").expect("a path")..].to_owned();
        // A program that has subscribed sends it; only the digest is read.
        let answer = user.get(&target).send().expect(200);
        etag = answer.header("ETag").filter(|_| kind.path.ends_with("?again")).map(str::to_owned);
    }
    let ask = || {
        let sent = Instant::now();
        let request = user.get(&target);
        match &etag {
            Some(etag) => request.header("If-None-Match", etag).send().expect(304),
            None => request.send().expect(200),
        };
        sent.elapsed()
    };
    let mut times: Vec<_> = (0..7).map(|_| ask()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}
