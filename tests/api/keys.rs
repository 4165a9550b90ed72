//! Search keys that another release made: they are found, made anew if they are older, and left alone if they are newer.

use contactd::domain::contact::Draft;
use contactd::domain::fold::MARK;
use contactd::http::percent_encode;
use postgres::Client;
use serde_json::{Value, json};

use crate::support::client;
use crate::support::database::Database;
use crate::support::load::{draft, draft_of, insert};
use crate::support::server::{Server, Setup, database};

/// Keys as the first release made them: all digits of a phone number and nothing else, `й` as `и`, and no marks.
const OLDER: &str = "update contacts set search = translate(
    regexp_replace(search, U&'[0-9]*\\0002([0-9])', '\\1'), U&'\\0439\\001e\\0002', U&'\\0438')";

/// How many are still to be made anew, by the index that tells it.
fn old_keys(client: &mut Client) -> i64 {
    let next_user = contactd::store::queries::KEYS_NEXT_USER.sql;
    let counted = next_user.replace("select user_id", "select count(*)").replace("limit 1", "");
    client.query_one(&counted, &[]).unwrap().get(0)
}

fn names(user: &client::Client, query: &str) -> Vec<String> {
    user.get(format!("/api/contacts?{query}")).send().expect(200).names()
}

fn found(user: &client::Client, q: &str) -> Vec<String> {
    names(user, &format!("q={}", percent_encode(q)))
}

fn andriy() -> Draft {
    let number = "+38 050 123 45 67 ext. 5";
    draft_of(&json!({ "first_name": "Андрій", "last_name": "Лесь-Їжак", "email": "a@x.org", "phone_number": number }))
}

/// A database with some contacts of two users whose keys an older release made, and its migrated server stopped.
fn of_an_older_release(many: usize) -> (Database, Client) {
    let database = database();
    let server = Setup::on(&database).ready();
    let user = server.client().new_user("a@example.com");
    let mut drafts = vec![andriy()];
    drafts.extend((0..many).map(|n| draft(&format!("Сергій {n}"))));
    insert(&database, &user, &drafts);
    server.client().new_user("b@example.com").new_contact(&json!({ "first_name": "Йосип" }));
    drop(server);
    let mut client = database.client();
    client.batch_execute(OLDER).unwrap();
    (database, client)
}

fn all_rows(client: &mut Client) -> Vec<(i64, i32, String, String)> {
    let rows = client.query("select id, version, updated_at::text, search from contacts order by id", &[]).unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect()
}

#[test]
fn contacts_of_an_older_release_are_found_once_their_keys_are_made_anew() {
    let (database, mut client) = of_an_older_release(1_200);
    assert_eq!(old_keys(&mut client), 1_202);
    let before = all_rows(&mut client);
    let server = Setup::on(&database).ready();
    let user = server.client().login("a@example.com", "123456");
    // At once by whatever folds as it did.
    assert_eq!(found(&user, "анд їжак"), ["Андрій"]);
    crate::support::eventually("all keys are new", || old_keys(&mut client) == 0);
    assert_eq!(found(&user, "андрій"), ["Андрій"]);
    assert_eq!(found(&user, "0501234567"), ["Андрій"]);
    assert_eq!(found(&user, "сергій 1199"), ["Сергій 1199"]);
    assert_eq!(names(&user, "sort=first_name&limit=1"), ["Андрій"]);
    assert_eq!(found(&server.client().login("b@example.com", "123456"), "йосип"), ["Йосип"]);
    for (old, new) in before.iter().zip(all_rows(&mut client)) {
        assert_eq!((old.0, old.1, &old.2), (new.0, new.1, &new.2), "to a client nothing has changed");
        assert!(new.3.starts_with(MARK) && old.3 != new.3);
    }
}

#[test]
fn making_keys_anew_can_be_interrupted_at_any_time_and_done_by_several_instances() {
    let (database, mut client) = of_an_older_release(6_000);
    let mut left = old_keys(&mut client);
    while left > 0 {
        // Killed after some work, between two batches or within one.
        let servers = [Setup::on(&database).ready(), Setup::on(&database).ready()];
        let before = left;
        crate::support::eventually("some keys are new", || {
            left = old_keys(&mut client);
            left < before
        });
        drop(servers);
    }
    let server = Setup::on(&database).ready();
    let user = server.client().login("a@example.com", "123456");
    assert_eq!(found(&user, "сергій").len(), 100);
    let count = user.get(format!("/api/contacts?count=true&q={}", percent_encode("сергій"))).send().expect(200);
    assert_eq!(count.header("X-Total-Count"), Some("6000"));
}

#[test]
fn a_change_by_an_older_release_beside_this_one_is_made_anew_as_well() {
    let (server, database) = Server::with_database();
    let user = server.client().new_user("a@example.com");
    user.new_contact(&json!({ "first_name": "Андрій", "last_name": "Гай" }));
    drop(server);
    let mut client = database.client();
    // Its way of writing a part of the key, here of the last name: the others keep their marks.
    let changed = "update contacts set last_name = 'Май', search = (
          select string_agg(coalesce(new, old, ''), U&'\\001f' order by n)
          from unnest(string_to_array(search, U&'\\001f'), array[null, U&'\\043c\\0430\\0438']) with ordinality as part (old, new, n))";
    client.batch_execute(changed).unwrap();
    assert_eq!(old_keys(&mut client), 1);
    let server = Setup::on(&database).ready();
    crate::support::eventually("the key is new", || old_keys(&mut client) == 0);
    let user = server.client().login("a@example.com", "123456");
    assert_eq!(found(&user, "май андрій"), ["Андрій"]);
}

#[test]
fn keys_of_a_newer_release_are_searched_sorted_and_changed_and_otherwise_left_alone() {
    let (database, mut client) = of_an_older_release(0);
    // After the roll-back: one contact of a newer release, with its mark and with a folding of its own, and an older one.
    let newer = andriy().search_key().replace(MARK, "\u{1d}").replace('й', "и");
    let first = "update contacts set search = $1 where id = (select min(id) from contacts)";
    client.execute(first, &[&newer]).unwrap();
    let newer = all_rows(&mut client)[0].clone();
    let server = Setup::on(&database).ready();
    let user = server.client().login("a@example.com", "123456");
    crate::support::eventually("the older key is new", || old_keys(&mut client) == 0);
    assert_eq!(all_rows(&mut client)[0], newer);
    assert_eq!(found(&user, "їжак анд"), ["Андрій"]);
    assert_eq!(found(&user, "+380501234567"), ["Андрій"]);
    user.new_contact(&json!({ "first_name": "Анатоль" }));
    user.new_contact(&json!({ "first_name": "Яна" }));
    assert_eq!(names(&user, "sort=first_name"), ["Анатоль", "Андрій", "Яна"]);
    // A part that this release writes is of this release, to be made anew by the newer one; the others stay.
    user.patch(&format!("/api/contacts/{}", newer.0), &json!({ "last_name": "Гай" })).send().expect(200);
    assert_eq!(found(&user, "анд гай"), ["Андрій"]);
    let key = all_rows(&mut client)[0].3.clone();
    let marks: Value = key.split('\u{1f}').map(|part| part.chars().next().map_or(0, u32::from)).collect();
    assert_eq!(marks, json!([0x1d, 0x1e, 0x1d, 0x1d]));
    assert_eq!(old_keys(&mut client), 0);
}
