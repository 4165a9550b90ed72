//! The statements below `sql/queries`, one by one: each fits the schema, is used, and goes by the index that it says it does.

mod support;

use std::collections::BTreeSet;
use std::path::Path;

use contactd::domain::contact::FIELDS;
use contactd::store::CONNECTION_SETTINGS;
use contactd::store::queries::{self, Query};
use postgres::Client;
use serde_json::Value;

use support::database::Database;
use support::server::database;

/// Contacts of the user whom the statements are planned for, and of each of some others.
const MANY: i32 = 100_000;
const FEW: i32 = 1_730;

#[test]
fn every_statement_fits_the_schema() {
    let database = database();
    let mut client = database.client();
    for query in queries::ALL {
        let prepared = client.prepare(query.sql);
        prepared.unwrap_or_else(|error| panic!("{}: {error:?}", query.file));
    }
}

#[test]
fn every_statement_that_gives_contacts_gives_all_their_columns_in_the_order_of_the_fields() {
    let database = database();
    let mut client = database.client();
    let fields = FIELDS.iter().map(|field| field.name);
    let expected: Vec<_> = ["id"].into_iter().chain(fields).chain(["created_at", "updated_at", "version"]).collect();
    let mut count = 0;
    for query in queries::ALL {
        let prepared = client.prepare(query.sql).expect("a statement that fits the schema");
        let columns: Vec<_> = prepared.columns().iter().map(postgres::Column::name).collect();
        if columns.contains(&"first_name") {
            let own = ["key", "place", "deleted_at"].iter().find_map(|last| columns.strip_suffix(&[*last]));
            let columns = own.unwrap_or(&columns);
            assert_eq!(columns, expected, "{}", query.file);
            count += 1;
        }
    }
    assert!(count > 10, "only {count} statements give contacts");
}

#[test]
fn every_file_is_a_statement_of_the_program_and_says_what_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql/queries");
    let mut files = BTreeSet::new();
    for folder in std::fs::read_dir(&root).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            files.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
        }
    }
    let used: BTreeSet<_> = queries::ALL.iter().map(|query| query.file.to_owned()).collect();
    assert_eq!(used, files);
    assert_eq!(used.len(), queries::ALL.len(), "none is there twice");
    for query in queries::ALL {
        assert!(query.sql.starts_with("-- "), "{} has no header", query.file);
        let body: Vec<_> = query.sql.lines().filter(|line| !line.starts_with("--")).collect();
        let statement = body.join("\n");
        assert!(!statement.contains(';'), "{}: one statement, without an end", query.file);
        // The header names every parameter that there is, and no other.
        for n in 1..=20 {
            let parameter = format!("${n}");
            let names = |text: &str| {
                text.match_indices(&parameter)
                    .any(|(at, found)| !text[at + found.len()..].starts_with(|c: char| c.is_ascii_digit()))
            };
            let header: Vec<_> = query.sql.lines().filter(|line| line.starts_with("--")).collect();
            let header = header.join("\n");
            if names(&statement) && !header.contains('…') {
                assert!(names(&header), "{}: {parameter} is not explained", query.file);
            }
            if names(&header) {
                assert!(names(&statement), "{}: {parameter} is not there", query.file);
            }
        }
    }
}

// --------------------------------------------------------------------------------------------------------------------- plans

/// A database as it is after years, and a connection set as the program's are.
fn well_used() -> (Database, Client) {
    let database = database();
    let mut client = database.client();
    client
        .batch_execute(
            "insert into users (id, username, email, password_hash)
             select n, 'U', format('user%s@example.com', n), 'x' from generate_series(1, 20) as n;
             insert into sessions (user_id) select id from users, generate_series(1, 20);
             insert into revocations (session_id, revoked_at)
             select n, now() - n * interval '1 minute' from generate_series(1, 2000) as n;
             insert into login_attempts select sha256(n::text::bytea), array[now()], array[1], true from generate_series(1, 2000) as n;
             insert into api_tokens (user_id, name, digest, may_write, expires_at)
             select id, 'T', sha256(concat(id, n)::bytea), false, now() + interval '90 days' from users, generate_series(1, 20) as n;
             insert into calendars select id, sha256(id::text::bytea) from users;",
        )
        .unwrap();
    let fill = client
        .prepare(
            "insert into contacts (user_id, first_name, last_name, email, phone_number, birthday, search)
             select $1, f, l, e, p, date '1950-01-01' + n % 25000, concat_ws(U&'\\001f', lower(f), lower(l), e, p)
             from generate_series(1, $2::integer) as n,
               format('First%s', n % 977) as f, format('Last%s', n) as l,
               format('person%s@example.com', n) as e, format('%s', 380500000000 + n) as p",
        )
        .unwrap();
    client.execute(&fill, &[&1_i64, &MANY]).unwrap();
    for user in 2..=20_i64 {
        client.execute(&fill, &[&user, &FEW]).unwrap();
    }
    client
        .batch_execute(
            "insert into trash (user_id, id, first_name, created_at, updated_at, version, search, deleted_at)
             select u.id, -n, 'T', now(), now(), 1, '', now() - n * interval '1 minute'
             from users as u, generate_series(1, 500) as n",
        )
        .unwrap();
    // A row counts as seen by all only when no older snapshot is left, and autovacuum may hold one: then once more.
    support::eventually("all rows are visible to all", || {
        client.batch_execute("vacuum analyze").unwrap();
        let whole = "select relallvisible = relpages from pg_class where relname = 'contacts'";
        client.query_one(whole, &[]).unwrap().get(0)
    });
    client.batch_execute(CONNECTION_SETTINGS).unwrap();
    (database, client)
}

/// A node of a plan as `explain (format json)` shows it.
struct Node {
    kind: String,
    index: Option<String>,
    condition: String,
    relation: Option<String>,
}

/// The nodes of the plan that the program's connections use: the generic one, made without a look at the values.
fn plan(client: &mut Client, query: &Query) -> Vec<Node> {
    client.batch_execute("deallocate all").unwrap();
    client.batch_execute(&format!("prepare it as {}", query.sql)).unwrap();
    let count = "select cardinality(parameter_types) from pg_prepared_statements where name = 'it'";
    let parameters: i32 = client.query_one(count, &[]).unwrap().get(0);
    let nulls = vec!["null"; parameters.try_into().unwrap()].join(", ");
    let arguments = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let plan = explained(client, &format!("explain (format json) execute it{arguments}"));
    let mut nodes = Vec::new();
    collect(&plan, &mut nodes);
    nodes
}

/// The uppermost node of what `explain` says.
fn explained(client: &mut Client, explain: &str) -> Value {
    // As text, for the crate's JSON support would be one more feature for a test alone.
    let rows = client.simple_query(explain).unwrap();
    let text: String = rows
        .iter()
        .filter_map(|message| match message {
            postgres::SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    plan[0]["Plan"].take()
}

fn collect(plan: &Value, nodes: &mut Vec<Node>) {
    let text = |name: &str| plan[name].as_str().map(str::to_owned);
    nodes.push(Node {
        kind: text("Node Type").unwrap_or_default(),
        // Of an upsert, the index that finds who is there already.
        index: text("Index Name").or(plan["Conflict Arbiter Indexes"][0].as_str().map(str::to_owned)),
        condition: text("Index Cond").unwrap_or_default(),
        relation: text("Relation Name"),
    });
    for below in plan["Plans"].as_array().into_iter().flatten() {
        collect(below, nodes);
    }
}

fn shown(nodes: &[Node]) -> String {
    let lines = nodes.iter().map(|node| {
        let index = node.index.as_deref().unwrap_or("no index");
        let relation = node.relation.as_deref().unwrap_or("");
        format!("\n  {} {relation} by {index}: {}", node.kind, node.condition)
    });
    lines.collect()
}

/// The indexes that a statement's header names: `Index: a.` or `Indexes: a, b.`
fn promised(query: &Query) -> Vec<String> {
    let header = query.sql.lines().filter(|line| line.starts_with("--"));
    let header: Vec<_> = header.map(|line| line.trim_start_matches("--")).collect();
    let header = header.concat();
    let named = header.split_once("Index: ").or(header.split_once("Indexes: "));
    let Some((_, names)) = named else {
        return Vec::new();
    };
    let names = names.split('.').next().unwrap_or_default();
    names.split(", ").map(|name| name.trim().to_owned()).collect()
}

/// Housekeeping asks whose search keys are old, and which trash. The index of the first holds no others.
const ACROSS_USERS: [&str; 2] = ["keys/next_user.sql", "trash/purge.sql"];

/// The operator's end of all sessions, and housekeeping of a table that holds a quarter of an hour: they read what they clean.
const SCANS: [&str; 2] = ["sessions/end_all.sql", "attempts/purge.sql"];

#[test]
fn every_statement_goes_by_the_index_that_it_names() {
    let (_database, mut client) = well_used();
    for query in queries::ALL {
        let nodes = plan(&mut client, query);
        let used: BTreeSet<_> = nodes.iter().filter_map(|node| node.index.clone()).collect();
        for index in promised(query) {
            assert!(used.contains(&index), "{} does not use {index}:{}", query.file, shown(&nodes));
        }
        let reads_table = nodes.iter().any(|node| node.relation.is_some() && node.kind != "ModifyTable");
        if reads_table && !SCANS.contains(&query.file) {
            assert!(!promised(query).is_empty(), "{} names no index:{}", query.file, shown(&nodes));
        }
        let scans = nodes.iter().any(|node| node.kind == "Seq Scan");
        assert_eq!(scans, SCANS.contains(&query.file), "{}:{}", query.file, shown(&nodes));
        // Every index of contacts and of the trash begins with the user: without it in the condition, all users' entries would be
        // read. That of the age does not, and is for housekeeping.
        let nodes = if ACROSS_USERS.contains(&query.file) { &[][..] } else { &nodes };
        let is_of_one = |index: &str| index.starts_with("contacts_") || index.starts_with("trash_");
        for node in nodes.iter().filter(|node| node.index.as_deref().is_some_and(is_of_one)) {
            assert!(node.condition.contains("user_id = "), "{}:{}", query.file, shown(nodes));
        }
    }
    hot_statements_read_no_more_than_they_need(&mut client);
    statements_read_few_pages(&mut client);
}

/// How many pages some statements read for the user of many contacts, by their arguments: at most a tenth more than measured.
/// Here everybody has a birthday. Before their index held what they need, the text sorts and the digest read all of the user's
/// rows, and so did a year of birthdays, which begins and ends in a year without 29 February.
const PAGES: [(&Query, &str, i64); 8] = [
    (&queries::CONTACT_PAGE, "1, 50000, 101", 8),
    (&queries::CONTACT_SEARCH, "1, null, 101, 0, null, 'nobody', null, null, null, null, null, null", 1_290),
    (
        &queries::CONTACT_SEARCH,
        "1, null, 101, 0, null, 'last', null, null, 'first', null, null, array['last', null, null, 'first', null, null, 'nobody', null, null]",
        1_290,
    ),
    (
        &queries::CONTACT_SEARCH,
        "1, null, 101, 0, null, '+380500000000', '380500000000', E'500000000\\x02', null, null, null, null",
        1_290,
    ),
    (&queries::CONTACT_PAGE_BY_TEXT, "1, null, 101, 0, null, null, null, null, null, null, null, null, 1, null", 1_730),
    (
        &queries::CONTACT_PAGE_BY_TEXT_DESC,
        "1, 7, 101, 0, null, null, null, null, null, null, null, null, 1, 'first500'",
        1_730,
    ),
    (&queries::CONTACT_UPCOMING, "1, '{115,228,301,101}', '{227,229,1231,114}', '{f,t,f,f}', 100, 0", 630),
    (&queries::CALENDAR_DIGEST, "1", 1_210),
];

fn statements_read_few_pages(client: &mut Client) {
    for (query, arguments, most) in PAGES {
        client.batch_execute("deallocate all").unwrap();
        client.batch_execute(&format!("prepare it as {}", query.sql)).unwrap();
        let plan = explained(client, &format!("explain (analyze, buffers, format json) execute it({arguments})"));
        let pages = |kind: &str| plan[kind].as_i64().unwrap();
        let read = pages("Shared Hit Blocks") + pages("Shared Read Blocks");
        assert!(read <= most, "{} ({arguments}) reads {read} pages, at most {most} are allowed", query.file);
    }
}

/// Within one user's contacts: by what each of the hot statements finds its place.
fn hot_statements_read_no_more_than_they_need(client: &mut Client) {
    let mut check = |query: &Query, kind: &str, index: &str, conditions: &[&str]| {
        let nodes = plan(client, query);
        let fits = |node: &&Node| {
            // A Bitmap Index Scan goes by the index as well.
            node.kind.ends_with(kind)
                && node.index.as_deref() == Some(index)
                && conditions.iter().all(|condition| node.condition.contains(condition))
        };
        let found = nodes.iter().filter(fits).count();
        assert!(found > 0, "{} has no {kind} of {index} by {conditions:?}:{}", query.file, shown(&nodes));
        found
    };
    let key = "contacts_pkey";
    check(&queries::CONTACT_BY_ID, "Index Scan", key, &["(id = $2)"]);
    check(&queries::CONTACT_PAGE, "Index Scan", key, &["(id > COALESCE($2"]);
    check(&queries::CONTACT_PAGE_DESC, "Index Scan", key, &["(id < COALESCE($2"]);
    // A search reads the index alone, from the cursor on; rows are fetched for the hits, by their ids.
    check(&queries::CONTACT_SEARCH, "Index Only Scan", key, &["(id > COALESCE($2"]);
    check(&queries::CONTACT_SEARCH_DESC, "Index Only Scan", key, &["(id < COALESCE($2"]);
    for query in [&queries::CONTACT_SEARCH, &queries::CONTACT_SEARCH_DESC] {
        check(query, "Index Scan", key, &["user_id", "id = "]);
    }
    check(&queries::CONTACT_COUNT, "Index Only Scan", key, &["user_id"]);
    let birthdays = "contacts_birthday_idx";
    check(
        &queries::CONTACT_UPCOMING,
        "Index Scan",
        birthdays,
        &["(user_id = $1)", "(birthday_md >= ", "(birthday_md <= "],
    );
    check(&queries::CALENDAR_DIGEST, "Index Only Scan", birthdays, &["user_id"]);
    for query in [&queries::CONTACT_PAGE_BY_TEXT, &queries::CONTACT_PAGE_BY_TEXT_DESC] {
        check(query, "Index Only Scan", key, &["user_id"]);
    }
    for query in [&queries::CONTACT_UPDATE, &queries::CONTACT_DELETE] {
        check(query, "Index Scan", key, &["(id = $2)"]);
    }
    check(&queries::SESSION_ROTATE, "Index Scan", "sessions_pkey", &["(id = $2)"]);
    check(&queries::USER_CREDENTIALS, "Index Scan", "users_email_key", &["(email = $1)"]);
    check(&queries::USER_CREDENTIALS, "Index Scan", "sessions_pkey", &["user_id"]);
    check(&queries::SESSION_REVOKED, "Index Scan", "revocations_revoked_at_idx", &["revoked_at > "]);

    // The index gives the order of days, so only the names of one day are sorted, and a page ends the reading.
    let upcoming = plan(client, &queries::CONTACT_UPCOMING);
    let sorts = upcoming.iter().filter(|node| node.kind == "Incremental Sort").count();
    assert!(sorts >= 1, "{}", shown(&upcoming));
}
