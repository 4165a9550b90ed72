//! The statements below `sql/queries`, one by one: each fits the schema, is used, and goes by the index that it says it does.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;

use contactd::domain::contact::FIELDS;
use contactd::domain::hex;
use contactd::store::CONNECTION_SETTINGS;
use contactd::store::queries::{self, Query};
use postgres::Client;
use serde_json::Value;

use support::database::Database;
use support::eventually;
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

// ------------------------------------------------------------------------------------------------- a database that is spread

/// About several users: what `MAX_BATCH=1` turns off; housekeeping; the operator; a calendar's address that does not name its user.
const ABOUT_MANY: [&str; 16] = [
    "contacts/by_ids.sql",
    "contacts/upcoming_together.sql",
    "contacts/insert_all.sql",
    "users/by_ids.sql",
    "keys/next_user.sql",
    "trash/purge.sql",
    "repeats/purge.sql",
    "tokens/purge.sql",
    "sessions/purge.sql",
    "sessions/purge_revoked.sql",
    "attempts/purge.sql",
    "sessions/end_all.sql",
    "tokens/end_all.sql",
    "users/page.sql",
    "sessions/revoked.sql",
    "calendars/owner_by_secret.sql",
];

/// Tables that are spread by user; users and revocations are whole on each node, and attempts on one.
const SPREAD: [&str; 6] = ["contacts", "trash", "sessions", "api_tokens", "repeats", "calendars"];

/// A statement's words: names, numbers, parameters, and each other character for itself.
fn words(sql: &str) -> Vec<String> {
    let code: Vec<_> = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
    let mut words: Vec<String> = vec![String::new()];
    for c in code.join("\n").to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' | '$' => words.last_mut().unwrap().push(c),
            _ => words.extend([c.to_string(), String::new()]),
        }
    }
    words.retain(|word| !word.trim().is_empty());
    words
}

/// Why a statement would be refused by a database that is spread by user, or go to all of its nodes.
fn unportable(file: &str, sql: &str) -> Vec<&'static str> {
    let words = words(sql);
    let follows = |at: usize, what: &[&str]| {
        words[at..].iter().zip(what).filter(|(is, is_to)| is == *is_to).count() == what.len()
    };
    let is_local = file.starts_with("attempts/");
    let (mut faults, mut written, mut spread) = (Vec::new(), BTreeSet::new(), false);
    // Open parentheses, each with whether it is that of a coalesce; and open cases.
    let (mut open, mut cases) = (Vec::new(), 0);
    let writes = words.iter().any(|word| matches!(word.as_str(), "delete" | "update" | "insert"));
    for (at, word) in words.iter().enumerate() {
        let clock = matches!(word.as_str(), "now" | "clock_timestamp" | "random") && follows(at + 1, &["("]);
        match word.as_str() {
            "(" => open.push(at > 0 && words[at - 1] == "coalesce"),
            ")" => drop(open.pop()),
            "case" => cases += 1,
            "end" => cases -= 1,
            "set_config" | "pg_advisory_lock" | "pg_try_advisory_lock" => faults.push("depends on the session"),
            "random" if clock && writes => faults.push("draws while it writes"),
            _ if clock && !is_local && (cases > 0 || open.contains(&true)) => {
                faults.push("asks for the time within CASE or COALESCE");
            }
            _ => {}
        }
        let target = if follows(at, &["insert", "into"]) || follows(at, &["delete", "from"]) {
            words.get(at + 2)
        } else if word == "update"
            && words.get(at + 1).is_some_and(|next| next != "set" && next != "skip")
            && words[at.max(1) - 1] != "for"
        {
            words.get(at + 1)
        } else {
            None
        };
        written.extend(target.cloned());
        spread |= SPREAD.contains(&word.as_str())
            && at > 0
            && matches!(words[at - 1].as_str(), "from" | "join" | "into" | "update");
    }
    if written.len() > 1 && ["users", "revocations"].iter().any(|table| written.contains(*table)) {
        faults.push("writes what each node has along with another table");
    }
    // By a parameter, by a row that is found so, or as a new row's.
    let is_user =
        |three: &[String]| three[0] == "user_id" && three[1] == "=" && (three[2].starts_with('$') || three[2] == "u");
    let inserts = words.windows(4).any(|four| four[0] == "into" && four[2] == "(" && four[3] == "user_id");
    let by_user = inserts || words.windows(3).any(is_user);
    if spread && !by_user && !ABOUT_MANY.contains(&file) {
        faults.push("is not about one user");
    }
    faults
}

#[test]
fn every_statement_could_run_on_a_database_that_is_spread_by_user() {
    for query in queries::ALL {
        assert_eq!(unportable(query.file, query.sql), [""; 0], "{}", query.file);
    }
    for file in ABOUT_MANY {
        assert!(queries::ALL.iter().any(|query| query.file == file), "there is no {file}");
    }
}

#[test]
fn a_statement_that_could_not_is_found() {
    for (sql, fault) in [
        (
            "update contacts set a = case when $2 then now() else a end where user_id = $1",
            "asks for the time within CASE or COALESCE",
        ),
        ("update users set a = coalesce(a, now()) where id = $1", "asks for the time within CASE or COALESCE"),
        (
            "with a as (delete from sessions where user_id = $1 returning id) insert into revocations select id from a",
            "writes what each node has along with another table",
        ),
        ("select set_config('jit', 'off', false)", "depends on the session"),
        ("select pg_try_advisory_lock($1)", "depends on the session"),
        ("delete from trash where user_id = $1 and random() < 0.1", "draws while it writes"),
        ("select id from contacts where id = $1", "is not about one user"),
        ("delete from sessions where id = $1", "is not about one user"),
    ] {
        assert_eq!(unportable("contacts/a.sql", sql), [fault], "{sql}");
    }
    let fine = "with a as (delete from trash where user_id = $1 returning *) insert into contacts (user_id) select user_id from a";
    assert_eq!(unportable("contacts/a.sql", fine), [""; 0]);
}

/// Citus forwards no constraint's name, and its shards have others.
#[test]
fn no_code_goes_by_the_name_of_a_constraint() {
    for file in
        ["mod.rs", "accounts.rs", "sessions.rs", "tokens.rs", "trash.rs", "contacts.rs", "imports.rs", "repeats.rs"]
    {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        for word in [".constraint()", "_pkey\"", "_key\"", "_fkey\""] {
            assert!(!text.contains(word), "{file}: {word}");
        }
    }
}

/// With functions that do nothing in place of Citus' own: the file fits the schema, and what it leaves is what the program needs.
#[test]
fn the_layout_for_citus_fits_the_schema() {
    let database = database();
    let mut client = database.client();
    let keys = "select string_agg(conrelid::regclass || confdeltype::text, ' ' order by conrelid::regclass::text) from pg_constraint where contype = 'f'";
    let before: String = client.query_one(keys, &[]).unwrap().get(0);
    client
        .batch_execute(
            "create function create_reference_table(regclass) returns void language sql as 'select';
             create function create_distributed_table(regclass, text, colocate_with text default 'default') returns void
             language sql as 'select'",
        )
        .unwrap();
    let layout = include_str!("../sql/citus.sql");
    client.batch_execute(layout).unwrap();
    assert_eq!(client.query_one(keys, &[]).unwrap().get::<_, String>(0), before);
    for table in SPREAD {
        assert!(layout.contains(&format!("create_distributed_table('{table}', 'user_id'")), "{table}");
    }
    let mut client = database.client();
    client.batch_execute(CONNECTION_SETTINGS).unwrap();
    assert_eq!(client.query_one("show plan_cache_mode", &[]).unwrap().get::<_, String>(0), "force_custom_plan");
    let server = support::server::Setup::on(&database).with("MAX_BATCH", "1").ready();
    let user = server.client().new_user("a@example.com");
    user.new_contact(&serde_json::json!({ "first_name": "A" }));
    let body = serde_json::json!({ "username": "A", "email": "a@example.com", "password": "123456" });
    assert_eq!(server.client().post("/api/auth/signup", &body).send().status, 409);
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
const SCANS: [&str; 3] = ["sessions/end_all.sql", "tokens/end_all.sql", "attempts/purge.sql"];

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
    (&queries::CONTACT_SEARCH, "1, null, 101, 0, 'nobody', null, null, null, null, null", 1_290),
    (
        &queries::CONTACT_SEARCH,
        "1, null, 101, 0, 'last', null, 'first', null, null, array['nobody', null, null]",
        1_290,
    ),
    (
        &queries::CONTACT_SEARCH,
        "1, null, 101, 0, '500000000', null, '+380500000000', '380500000000', E'500000000\\x02', null",
        1_290,
    ),
    (&queries::CONTACT_PAGE_BY_TEXT, "1, null, 101, 0, '', null, null, null, null, null, 1, null", 1_730),
    (&queries::CONTACT_PAGE_BY_TEXT_DESC, "1, 7, 101, 0, '', null, null, null, null, null, 1, 'first500'", 1_730),
    (&queries::CONTACT_UPCOMING, "1, '{115,228,301,101}', '{227,229,1231,114}', '{f,t,f,f}', 100, 0", 630),
    (&queries::CALENDAR_DIGEST, "1", 1_210),
];

/// Two attempts that lock the same rows in different orders would be a deadlock. So who waits for the first row of its order must
/// not hold the second.
#[test]
fn the_rows_of_an_attempt_are_locked_in_the_order_that_it_names() {
    let (database, mut client) = well_used();
    let subjects: Vec<Vec<u8>> = client
        .query("select subject from login_attempts order by subject limit 2", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    for order in [[0, 1], [1, 0]] {
        for (query, more) in [(&queries::ATTEMPT_FAIL, ""), (&queries::ATTEMPT_WITHDRAW, ", null::bytea, null::bigint")]
        {
            let [first, second] = order.map(|at| &subjects[at]);
            let mut holder = client.transaction().unwrap();
            holder.execute("select from login_attempts where subject = $1 for update", &[first]).unwrap();
            let mut waiter = database.client();
            let pid: i32 = waiter.query_one("select pg_backend_pid()", &[]).unwrap().get(0);
            let named = [first, second].map(|subject| format!("'\\x{}'", hex::encode(subject))).join(", ");
            let prepare = format!("prepare it as {}", query.sql);
            let execute = format!("execute it (array[{named}]::bytea[], array[now(), now()]{more})");
            let waits = thread::spawn(move || waiter.batch_execute(&format!("{prepare}; {execute}")));
            eventually("it waits for the first", || {
                let waiting = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1";
                database.client().query_one(waiting, &[&pid]).unwrap().get::<_, Option<bool>>(0) == Some(true)
            });
            let free = "select from login_attempts where subject = $1 for update nowait";
            assert_eq!(holder.execute(free, &[second]).expect("nobody holds the second"), 1, "{}", query.file);
            holder.commit().unwrap();
            waits.join().unwrap().unwrap();
        }
    }
}

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
    let of_several = ["(user_id = asked.user_id)", "(birthday_md >= ", "(birthday_md <= "];
    check(&queries::CONTACTS_UPCOMING, "Index Scan", birthdays, &of_several);
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
