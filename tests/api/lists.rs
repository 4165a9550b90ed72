//! Lists: what is found, in which order, and page by page.

use std::collections::{BTreeMap, BTreeSet};

use contactd::http::percent_encode;
use serde_json::{Value, json};

use crate::support::client::{Answer, Client};
use crate::support::database::Database;
use crate::support::load::{draft, insert};
use crate::support::server::{Server, Setup};
use crate::support::shared::shared;

fn names(user: &Client, query: &str) -> Vec<String> {
    user.get(format!("/api/contacts?{query}")).send().expect(200).names()
}

fn search(user: &Client, field: &str, text: &str) -> Vec<String> {
    names(user, &format!("{field}={}", percent_encode(text)))
}

fn person(first: &str, last: &str, email: &str, phone: &str) -> Value {
    json!({ "first_name": first, "last_name": last, "email": email, "phone_number": phone })
}

// ----------------------------------------------------------------------------------------------------------------- filters

#[test]
fn search_folds_case_and_accents() {
    let shared = shared();
    let user = shared.user();
    for name in ["Іван", "José", "Οδυσσέας", "Straße", "İpek", "Ångström", "日本", "Ёлка"] {
        user.new_contact(&json!({ "first_name": name }));
    }
    for (text, found) in [
        ("іван", "Іван"),
        ("ІВАН", "Іван"),
        ("ва", "Іван"),
        ("jose", "José"),
        ("JOSÉ", "José"),
        ("jose\u{301}", "José"),
        ("ΟΔΥΣ", "Οδυσσέας"),
        ("οδυσσεας", "Οδυσσέας"),
        ("σέας", "Οδυσσέας"),
        ("STRASSE", "Straße"),
        ("straß", "Straße"),
        ("ipek", "İpek"),
        ("angstrom", "Ångström"),
        ("本", "日本"),
        ("елка", "Ёлка"),
    ] {
        for field in ["first_name", "q"] {
            assert_eq!(search(&user, field, text), [found], "{field}={text}");
        }
    }
    assert_eq!(search(&user, "first_name", "nobody"), [""; 0]);
}

#[test]
fn each_filter_looks_into_its_own_field_and_all_must_hold() {
    let shared = shared();
    let user = shared.user();
    user.new_contact(&person("Anna", "Berg", "carl@example.com", "111"));
    user.new_contact(&person("Berg", "Carl", "anna@example.com", "222"));
    user.new_contact(&person("Carl", "Anna", "berg@example.com", "333"));
    assert_eq!(names(&user, "first_name=anna"), ["Anna"]);
    assert_eq!(names(&user, "last_name=anna"), ["Carl"]);
    assert_eq!(names(&user, "email=anna"), ["Berg"]);
    assert_eq!(names(&user, "email=EXAMPLE.com"), ["Anna", "Berg", "Carl"]);
    assert_eq!(names(&user, "first_name=a&last_name=a"), ["Carl"]);
    assert_eq!(names(&user, "first_name=anna&last_name=berg&email=carl&phone_number=11"), ["Anna"]);
    assert_eq!(names(&user, "first_name=anna&last_name=carl"), [""; 0]);
    assert_eq!(names(&user, "q=anna"), ["Anna", "Berg", "Carl"]);
    assert_eq!(names(&user, "q=anna&first_name=berg"), ["Berg"]);
    assert_eq!(names(&user, "q=22"), ["Berg"]);
    assert_eq!(names(&user, "phone_number=anna"), [""; 0]);
    // No match reaches over from one field into the next.
    assert_eq!(names(&user, "q=annaberg"), [""; 0]);
    assert_eq!(names(&user, "first_name=anna%20berg"), [""; 0]);
    // A filter that is empty asks nothing.
    assert_eq!(names(&user, "first_name=&q=&last_name=&email=&phone_number=").len(), 3);
    // A space counts, but in q.
    user.new_contact(&person("Anna Maria", "", "", ""));
    assert_eq!(names(&user, "first_name=anna%20"), ["Anna Maria"]);
    assert_eq!(names(&user, "q=%20").len(), 4, "a blank q asks nothing");
}

#[test]
fn q_finds_a_person_by_words_in_any_order_each_in_any_field() {
    let shared = shared();
    let user = shared.user();
    user.new_contact(&person("Іван", "Франко", "ivan@example.com", "+38 (050) 123-45-67"));
    user.new_contact(&person("Іван", "Коваль", "koval@example.com", "067 111 22 33"));
    user.new_contact(&person("Анна Марія", "Франко", "", ""));
    for (q, found) in [
        ("Іван Франко", vec!["Іван"]),
        ("франко  іван", vec!["Іван"]),
        ("іва фра ivan@", vec!["Іван"]),
        ("example.com іван", vec!["Іван", "Іван"]),
        ("Іван 0501234567", vec!["Іван"]),
        ("067 коваль", vec!["Іван"]),
        ("коваль +380671112233", vec!["Іван"]),
        ("Франко 067", vec![]),
        ("Марія Анна", vec!["Анна Марія"]),
        ("анна марія франко", vec!["Анна Марія"]),
        ("франко франко франко", vec!["Іван", "Анна Марія"]),
        ("іван\u{a0}коваль", vec!["Іван"]),
        ("іван \u{301}", vec!["Іван", "Іван"]),
        ("іван нікого", vec![]),
    ] {
        assert_eq!(search(&user, "q", q), found, "{q}");
        // The count and every order agree.
        for sort in sorts() {
            let query = format!("q={}&sort={sort}&count=true", percent_encode(q));
            let answer = user.get(format!("/api/contacts?{query}")).send().expect(200);
            assert_eq!(answer.names().len(), found.len(), "{query}");
            assert_eq!(answer.header("X-Total-Count"), Some(found.len().to_string().as_str()), "{query}");
        }
    }
    // As many words as fit.
    let many = "і в а н ф р к о @ . i v n e x m p l c 0 5 1 2 3 4 6 7 8";
    assert_eq!(search(&user, "q", many), ["Іван"]);
    assert_eq!(search(&user, "q", &format!("{many} 9")), [""; 0]);
    assert_eq!(search(&user, "q", &"а ".repeat(127)).len(), 3);
}

#[test]
fn a_phone_is_found_by_its_digits_however_it_is_written() {
    let shared = shared();
    let user = shared.user();
    user.new_contact(&person("A", "", "", "+38 (050) 123-45-67"));
    user.new_contact(&person("B", "", "", "0671112233 ext. 5"));
    user.new_contact(&person("C", "", "", "٠٥٠٩٩"));
    user.new_contact(&person("D", "0501234", "", ""));
    for text in ["0501234", "050-12-34", "+38 050", "(050) 1234", "38.050/123", "050\u{a0}1234567"] {
        assert_eq!(search(&user, "phone_number", text), ["A"], "{text}");
    }
    assert_eq!(search(&user, "phone_number", "22335"), ["B"]);
    assert_eq!(search(&user, "phone_number", "05099"), ["C"]);
    assert_eq!(search(&user, "phone_number", "٠٥٠"), ["A", "C"]);
    assert_eq!(search(&user, "phone_number", "+"), [""; 0]);
    // Any field: the digits of a phone, or the text of another.
    assert_eq!(search(&user, "q", "0501234"), ["A", "D"]);
    assert_eq!(search(&user, "q", "050 123-45"), ["A"]);
    assert_eq!(search(&user, "q", "(067)"), ["B"]);
}

#[test]
fn numbers_with_the_same_last_nine_digits_are_one() {
    let shared = shared();
    let user = shared.user();
    user.new_contact(&person("National", "", "", "050 123-45-67"));
    user.new_contact(&person("Whole", "", "", "+380 (50) 123 45 67 ext. 89"));
    user.new_contact(&person("Other", "", "", "+38 (050) 123-45-68"));
    user.new_contact(&person("Short", "", "", "123-45-67"));
    user.new_contact(&person("Code", "", "", "*111#"));
    user.new_contact(&person("Dashes", "", "", "+380\u{2013}67\u{2013}000\u{2011}00\u{202f}02"));
    for number in [
        "+380501234567",
        "00380 50 123 45 67",
        "050 123-45-67",
        "tel:+380-50-123-45-67",
        "\u{202a}+38 050 123 45 67\u{202c}",
        "050\u{2009}123\u{2212}45\u{2011}67",
        "+38 (050) 123-45-67 x5",
        "0501234567,12",
    ] {
        for parameter in ["q", "phone_number"] {
            assert_eq!(search(&user, parameter, number), ["National", "Whole"], "{parameter}={number}");
        }
    }
    for (number, found) in [
        ("+380 (50) 123 45 67 ext. 89", vec!["National", "Whole"]),
        ("123 45 67", vec!["National", "Whole", "Short"]),
        ("4567 89", vec!["Whole"]),
        ("*111#", vec!["Code"]),
        ("+380\u{2013}67\u{2013}000\u{2013}00\u{2013}02", vec!["Dashes"]),
        ("067 000 00 02", vec!["Dashes"]),
        ("99 123 45 67", vec![]),
    ] {
        for parameter in ["q", "phone_number"] {
            assert_eq!(search(&user, parameter, number), found, "{parameter}={number}");
        }
    }
}

#[test]
fn letters_and_signs_that_people_type_for_others_are_found() {
    let shared = shared();
    let user = shared.user();
    for (name, texts) in [
        ("Мар\u{b4}яна", ["мар'яна", "мар’яна", "мар`яна", "мар\u{2bc}яна"]),
        ("Анна\u{2011}Марія", ["анна-марія", "анна\u{2013}марія", "АННА\u{2010}МАРІЯ", "анна\u{2212}марія"]),
        ("Іва\u{ad}ненко", ["іваненко", "Іва\u{200b}ненко", "\u{202a}іваненко\u{202c}", "ІВАНЕНКО"]),
        ("Łukasz Ødegård", ["lukasz", "ŁUKASZ", "odegard", "ødegård"]),
        ("Đorđe Ħæœþ", ["dorde", "haeoeth", "đorđe", "hæœþ"]),
        ("Андрій", ["андрій", "АНДРІЙ", "андріи\u{306}", "ій"]),
    ] {
        user.new_contact(&json!({ "first_name": name }));
        for text in texts {
            for field in ["first_name", "q"] {
                assert_eq!(search(&user, field, text), [name], "{field}={text}");
            }
        }
    }
    assert_eq!(search(&user, "q", "андріи"), [""; 0]);
}

#[test]
fn patterns_are_literal() {
    let shared = shared();
    let user = shared.user();
    for name in ["50%", "a_c", "abc", r"a\c", r"100\%", "%_"] {
        user.new_contact(&person(name, "", "", ""));
    }
    for (text, found) in [
        ("%", vec!["50%", r"100\%", "%_"]),
        ("_", vec!["a_c", "%_"]),
        (r"\", vec![r"a\c", r"100\%"]),
        (r"\%", vec![r"100\%"]),
        ("a_c", vec!["a_c"]),
        ("a%c", vec![]),
        ("%_", vec!["%_"]),
    ] {
        for field in ["first_name", "q"] {
            assert_eq!(search(&user, field, text), found, "{field}={text}");
        }
    }
}

// ------------------------------------------------------------------------------------------------------------------- order

const KEYS: [&str; 7] = ["id", "first_name", "last_name", "email", "birthday", "created_at", "updated_at"];

/// Contacts with ties, absent values, and texts whose order by bytes, by letters and by locale differ.
fn mixed_book(user: &Client) {
    let firsts = ["b", "A", "a", "Ä", "z", "Z", "я", "Ё", "a b", "ab", "a-b", "1", "10", "2"];
    let lasts = [json!(null), json!("Zed"), json!("éclair"), json!("Eclair"), json!("ecru")];
    let emails = [json!(null), json!("Z@x.org"), json!("a@x.org"), json!("a_b@x.org")];
    let days = [json!(null), json!("2000-02-29"), json!("1999-12-31"), json!("1900-01-01")];
    let mut ids = Vec::new();
    for n in 0..42 {
        ids.push(user.new_contact(&json!({
            "first_name": firsts[n % firsts.len()],
            "last_name": lasts[n % lasts.len()],
            "email": emails[n % emails.len()],
            "birthday": days[n * 7 / 3 % days.len()],
        })));
    }
    // Written anew out of order, so that updated_at is another order than created_at.
    for n in [5, 1, 33, 20] {
        user.patch(&format!("/api/contacts/{}", ids[n]), &json!({})).send().expect(200);
    }
}

/// The order that is promised: by the folded text or the value, an absent one before any other, ties by id; turned as a whole.
fn oracle(
    database: &Database,
    mut contacts: Vec<Value>,
    moments: &BTreeMap<i64, (String, String)>,
    sort: &str,
) -> Vec<i64> {
    let id = |contact: &Value| contact["id"].as_i64().unwrap();
    let name = sort.trim_start_matches('-');
    let folded = |contact: &Value| contactd::domain::fold::fold(contact[name].as_str().unwrap_or(""));
    // The oracle asks the database about the texts alone.
    let ranks = database.ranks(&contacts.iter().map(folded).collect::<Vec<_>>());
    let key = |contact: &Value| match name {
        "id" => String::new(),
        "created_at" => moments[&id(contact)].0.clone(),
        "updated_at" => moments[&id(contact)].1.clone(),
        "birthday" => contact[name].as_str().unwrap_or("").to_owned(),
        _ => format!("{:09}", ranks[&folded(contact)]),
    };
    contacts.sort_by_key(|contact| (key(contact), id(contact)));
    if sort.starts_with('-') {
        contacts.reverse();
    }
    contacts.iter().map(id).collect()
}

fn ids(answer: &Answer) -> Vec<i64> {
    let list = answer.json();
    let contacts = list.as_array().expect("a list").iter();
    contacts.map(|contact| contact["id"].as_i64().unwrap()).collect()
}

/// Both directions of every key.
fn sorts() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(|key| [(*key).to_owned(), format!("-{key}")])
}

#[test]
fn every_sort_orders_as_promised_whole_and_in_pages() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    mixed_book(&user);
    let all = user.get("/api/contacts?limit=1000").send().expect(200).json();
    let all = all.as_array().unwrap().clone();
    // The API shows whole seconds; the order is to the microsecond.
    let exact =
        "select id, to_char(created_at, 'YYYYMMDDHH24MISSUS'), to_char(updated_at, 'YYYYMMDDHH24MISSUS') from contacts";
    let rows = database.client().query(exact, &[]).unwrap();
    let moments = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    for sort in sorts() {
        let expected = oracle(&database, all.clone(), &moments, &sort);
        let whole = user.get(format!("/api/contacts?sort={sort}")).send().expect(200);
        assert_eq!(ids(&whole), expected, "sort={sort}");
        for limit in [1, 5, 41, 42, 43] {
            let pages = walk(&user, &format!("/api/contacts?sort={sort}&limit={limit}"));
            assert_eq!(pages.concat(), expected, "sort={sort}&limit={limit}");
            let sizes: BTreeSet<_> = pages[..pages.len() - 1].iter().map(Vec::len).collect();
            assert!(sizes.iter().all(|size| *size == limit), "{sizes:?}");
            assert!(!pages.last().unwrap().is_empty(), "no empty page at the end");
        }
        for skip in [0, 1, 41, 42, 1000] {
            let rest = user.get(format!("/api/contacts?sort={sort}&skip={skip}")).send();
            let expected = expected.get(skip..).unwrap_or_default();
            assert_eq!(ids(&rest.expect(200)), expected, "sort={sort}&skip={skip}");
        }
        // With a filter the order is the same.
        let filtered = walk(&user, &format!("/api/contacts?sort={sort}&limit=4&email=x.org")).concat();
        let with_email: Vec<_> = all.iter().filter(|c| c["email"].is_string()).cloned().collect();
        assert_eq!(filtered, oracle(&database, with_email, &moments, &sort), "{sort}, filtered");
    }
}

const ALPHABET: [&str; 11] =
    ["Андрій", "Ґалаґан", "Гнат", "Євген", "Зоя", "Іван", "Їжак", "Ірина", "Йосип", "Ольга", "Ян"];

#[test]
fn names_sort_by_unicodes_root_order() {
    let shared = shared();
    let user = shared.user();
    for at in [3, 9, 0, 5, 10, 1, 8, 2, 7, 4, 6] {
        user.new_contact(&json!({ "first_name": ALPHABET[at], "last_name": ALPHABET[10 - at] }));
    }
    assert_eq!(names(&user, "sort=first_name"), ALPHABET);
    let turned: Vec<_> = ALPHABET.iter().rev().copied().collect();
    assert_eq!(names(&user, "sort=-first_name"), turned);
    assert_eq!(names(&user, "sort=last_name"), turned);
    user.new_contact(&json!({ "first_name": "ольга" }));
    user.new_contact(&json!({ "first_name": "éric" }));
    let all = names(&user, "sort=first_name");
    assert_eq!((all[0].as_str(), all[10].as_str(), all[11].as_str()), ("éric", "Ольга", "ольга"));
}

/// As README shows it.
#[test]
fn an_operator_can_give_names_the_order_of_a_language() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    for name in ["Ґалаґан", "Гнат", "Ян"] {
        user.new_contact(&json!({ "first_name": name }));
    }
    assert_eq!(names(&user, "sort=first_name"), ["Ґалаґан", "Гнат", "Ян"]);
    drop(server);
    let readme = include_str!("../../README.md");
    let mut blocks = readme.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.find(|lines| lines.contains("name_order")).expect("lines of SQL");
    database.client().batch_execute(lines).unwrap();
    let server = Setup::on(&database).ready();
    let user = server.client().login("a@example.com", "123456");
    assert_eq!(names(&user, "sort=first_name"), ["Гнат", "Ґалаґан", "Ян"]);
    assert_eq!(walk(&user, "/api/contacts?sort=first_name&limit=1").concat().len(), 3);
    // And where Postgres has no ICU.
    drop(server);
    let plain = "drop collation name_order; create collation name_order from \"C\"";
    database.client().batch_execute(plain).unwrap();
    let server = Setup::on(&database).ready();
    let user = server.client().login("a@example.com", "123456");
    assert_eq!(names(&user, "sort=first_name"), ["Гнат", "Ян", "Ґалаґан"]);
    assert_eq!(walk(&user, "/api/contacts?sort=-first_name&limit=1").concat().len(), 3);
}

/// The ids of each page, following the links as they are given.
fn walk(user: &Client, start: &str) -> Vec<Vec<i64>> {
    let mut pages = Vec::new();
    let mut next = Some(start.to_owned());
    while let Some(target) = next {
        let answer = user.get(&target).send().expect(200);
        pages.push(ids(&answer));
        next = next_link(&answer);
        assert!(pages.len() < 10_000, "a walk without an end");
    }
    pages
}

/// What `Link` says (RFC 8288).
fn next_link(answer: &Answer) -> Option<String> {
    let link = answer.header("Link")?;
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    assert_eq!(parameters, "; rel=\"next\"");
    Some(target.to_owned())
}

// ------------------------------------------------------------------------------------------------------------------- pages

#[test]
fn skip_and_limit_have_bounds_and_defaults() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    let drafts: Vec<_> = (0..1_005).map(|n| draft(&format!("{n:04}"))).collect();
    insert(&database, &user, &drafts);
    let all = walk(&user, "/api/contacts").concat();
    assert_eq!(all.len(), 1_005);
    let ask = |query: &str| user.get(format!("/api/contacts?{query}")).send();
    let page = |query: &str| ids(&ask(query).expect(200));
    assert_eq!(page(""), all[..100]);
    assert_eq!(page("limit=&skip=&sort="), all[..100]);
    assert_eq!(page("limit=1"), all[..1]);
    assert_eq!(page("limit=1000"), all[..1_000]);
    assert_eq!(page("skip=3&limit=2"), all[3..5]);
    assert_eq!(page("skip=1000"), all[1_000..]);
    assert_eq!(page("skip=1005"), [0; 0]);
    assert_eq!(page("skip=1000000000&limit=1000"), [0; 0]);
    assert_eq!(page("sort=-email&skip=1000000000&limit=1000"), [0; 0]);
    assert_eq!(page("q=0&skip=1000000000&limit=1000"), [0; 0]);
    assert_eq!(page("limit=5&sort=-id"), all.iter().rev().take(5).copied().collect::<Vec<_>>());
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("skip=-1", "skip"),
        ("skip=1000000001", "skip"),
        ("skip=9223372036854775808", "skip"),
        ("skip=1000000000000000000000000000000", "skip"),
        ("sort=age", "sort"),
        ("sort=--id", "sort"),
        ("sort=ID", "sort"),
        ("count=1", "count"),
    ] {
        assert_eq!(ask(query).expect(422).faults(), [field], "{query}");
    }
    // A page after some that were passed over goes on by cursor as well.
    let skipped = walk(&user, "/api/contacts?skip=900&limit=50");
    assert_eq!(skipped.concat(), all[900..]);
    let turned = walk(&user, "/api/contacts?skip=1&limit=500&sort=-first_name");
    assert_eq!(turned.concat(), all.iter().rev().skip(1).copied().collect::<Vec<_>>());
}

#[test]
fn a_link_repeats_the_query_and_can_be_followed_as_it_is() {
    let shared = shared();
    let user = shared.user();
    for n in 0..5 {
        user.new_contact(&person(&format!("Іван & +{n}"), "x", "a@x.org", "050"));
    }
    for query in [
        "limit=2&first_name=Іван",
        "first_name=%26%20%2B&limit=2&sort=-first_name",
        "limit=2&q=05&count=true&email=x",
        "limit=2&limit=3&unknown=<\">&last_name=x",
        "limit=2&first_name=Іван&skip=0&cursor=",
    ] {
        let answer = user.get(format!("/api/contacts?{query}")).send().expect(200);
        assert_eq!(answer.names().len(), 2, "{query}");
        let next = next_link(&answer).expect("there is more");
        assert!(next.starts_with("/api/contacts?") && next.is_ascii(), "{next}");
        assert_eq!(walk(&user, &next).concat().len(), 3, "{next}");
    }
    let all = user.get("/api/contacts?limit=5").send().expect(200);
    assert_eq!(next_link(&all), None, "nothing more, no link");
    // What the client sent besides, however long, must not make a link that the server itself refuses.
    let long = "Ж".repeat(9_000);
    let pages = walk(&user, &format!("/api/contacts?limit=2&unknown={long}"));
    assert_eq!(pages.concat().len(), 5);
    let four = "\u{1f600}".repeat(254);
    let query = format!("limit=2&first_name={four}&last_name={four}&email={four}&q={four}");
    user.get(format!("/api/contacts?{query}")).send().expect(200);
}

#[test]
fn the_whole_number_is_told_when_it_is_asked_for() {
    let shared = shared();
    let user = shared.user();
    let total = |query: &str| {
        let answer = user.get(format!("/api/contacts?{query}")).send().expect(200);
        answer.header("X-Total-Count").map(str::to_owned)
    };
    assert_eq!(total("count=true").as_deref(), Some("0"));
    for n in 0..7 {
        user.new_contact(&person(if n < 3 { "Anna" } else { "Berg" }, "", "", "1"));
    }
    assert_eq!(total("count=true").as_deref(), Some("7"));
    assert_eq!(total("count=true&limit=2&skip=3").as_deref(), Some("7"));
    assert_eq!(total("count=true&first_name=anna&limit=1").as_deref(), Some("3"));
    assert_eq!(total("count=true&q=berg&sort=-email").as_deref(), Some("4"));
    assert_eq!(total("count=true&q=nobody").as_deref(), Some("0"));
    assert_eq!(total(""), None);
    assert_eq!(total("count=false"), None);
    let first = user.get("/api/contacts?count=true&limit=2").send().expect(200);
    let second = user.get(next_link(&first).unwrap()).send().expect(200);
    assert_eq!(second.header("X-Total-Count"), Some("7"), "the same on every page");
}

#[test]
fn what_is_no_cursor_of_this_order_is_422() {
    let shared = shared();
    let user = shared.user();
    for n in 0..3 {
        user.new_contact(&person(&n.to_string(), "", "", ""));
    }
    let cursor_of = |sort: &str| {
        let answer = user.get(format!("/api/contacts?limit=1&sort={sort}")).send();
        let next = next_link(&answer.expect(200)).unwrap();
        next.split_once("cursor=").unwrap().1.to_owned()
    };
    let ask = |query: String| user.get(format!("/api/contacts?{query}")).send();
    for garbage in ["x", "0", "00", "zz", "%00", "ff", "6964", "69640a310a00", "-1", "Ж"] {
        let answer = ask(format!("cursor={garbage}")).expect(422);
        assert_eq!(answer.faults(), ["cursor"], "{garbage}");
    }
    let by_id = cursor_of("id");
    let cut = &by_id[..by_id.len() - 2];
    assert_eq!(ask(format!("cursor={cut}&sort=first_name")).expect(422).faults(), ["cursor"]);
    for sort in sorts() {
        let cursor = cursor_of(&sort);
        ask(format!("sort={sort}&cursor={cursor}")).expect(200);
        for other in sorts().filter(|other| *other != sort) {
            let answer = ask(format!("sort={other}&cursor={cursor}")).expect(422);
            assert_eq!(answer.faults(), ["cursor"], "{sort} for {other}");
        }
    }
    let with_skip = ask(format!("cursor={by_id}&skip=1")).expect(422);
    assert_eq!(with_skip.faults(), ["cursor"]);
    ask(format!("cursor={by_id}&skip=0")).expect(200);
    // Of another user's list it is only a place to begin.
    let stranger = shared.user();
    stranger.new_contact(&person("Mine", "", "", ""));
    let answer = stranger.get(format!("/api/contacts?cursor={by_id}")).send();
    assert_eq!(answer.expect(200).names(), ["Mine"]);
}

// -------------------------------------------------------------------------------------------- a walk while others are at work

/// Every contact that was there from the start to the end is seen exactly once, whatever comes and goes meanwhile.
fn walk_among_changes(sort: &str) {
    const STAY: usize = 10_000;
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    // Neither in the order of their ids, and many of one name. Every eleventh goes away during the walk.
    let name = |n: usize| format!("name {:03}", n * 7_919 % 500);
    let drafts: Vec<_> = (0..STAY + 1_000).map(|n| draft(&name(n))).collect();
    insert(&database, &user, &drafts);
    let all: Vec<i64> = database
        .client()
        .query("select id from contacts order by id", &[])
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let (mut doomed, mut stay) = (Vec::new(), BTreeSet::new());
    for (n, id) in all.into_iter().enumerate() {
        if n % 11 == 10 {
            doomed.push(id);
        } else {
            stay.insert(id);
        }
    }
    assert_eq!((stay.len(), doomed.len()), (STAY, 1_000));

    let mut seen = Vec::new();
    let mut next = Some(format!("/api/contacts?limit=500&sort={sort}"));
    let mut pages = 0;
    while let Some(target) = next {
        let answer = user.get(&target).send().expect(200);
        seen.extend(ids(&answer));
        next = next_link(&answer);
        pages += 1;
        // Between any two pages: some before the place of the cursor, some behind it, some at it.
        std::thread::scope(|scope| {
            let (user, doomed) = (&user, &mut doomed);
            let last = seen.last().copied();
            scope.spawn(move || {
                for id in doomed.split_off(doomed.len().saturating_sub(20)) {
                    user.delete(&format!("/api/contacts/{id}")).send().expect(204);
                }
                for id in doomed.drain(..doomed.len().min(20)) {
                    user.delete(&format!("/api/contacts/{id}")).send().expect(204);
                }
            });
            scope.spawn(move || {
                let neighbour = last.map(|id| user.get(format!("/api/contacts/{id}")).send());
                if let Some(neighbour) = neighbour.filter(|answer| answer.status == 200) {
                    user.new_contact(&json!({ "first_name": neighbour.json()["first_name"] }));
                }
                for name in ["aaa", "name 250", "zzz"] {
                    user.new_contact(&json!({ "first_name": name }));
                }
            });
        });
    }
    assert!(pages >= 20, "{pages} pages");
    assert!(doomed.len() < 300, "most went away while the walk went on: {}", doomed.len());
    let mut times = BTreeMap::<i64, usize>::new();
    for id in seen {
        *times.entry(id).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "seen more than once: {twice:?}");
    let missed: Vec<_> = stay.iter().filter(|id| !times.contains_key(id)).collect();
    assert!(missed.is_empty(), "never seen: {missed:?}");
}

#[test]
fn a_walk_by_id_among_changes_sees_each_contact_once() {
    walk_among_changes("id");
}

#[test]
fn a_walk_by_name_among_changes_sees_each_contact_once() {
    walk_among_changes("-first_name");
}
