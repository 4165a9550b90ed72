//! The birthday calendar.

use serde_json::json;

use crate::support::client::{Answer, Client};
use crate::support::server::{Server, Setup, database};

/// Opens a calendar and gives the path of its address.
fn open(client: &Client) -> String {
    let answer = client.request("POST", "/api/contacts/calendar").send();
    assert_eq!(answer.status, 201, "{}", answer.text());
    let body = answer.json();
    let url = body["url"].as_str().expect("an address");
    let host = format!("http://{}", client.address);
    let path = url.strip_prefix(&host).unwrap_or_else(|| panic!("{url}"));
    let secret = path.strip_prefix("/api/calendar/").and_then(|p| p.strip_suffix(".ics"));
    assert!(secret.is_some_and(|s| s.len() * 4 >= 128), "{url}");
    path.to_owned()
}

/// Lines that were folded are whole again.
fn unfolded(feed: &Answer) -> String {
    feed.text().replace("\r\n ", "")
}

/// The values of a property, in their order.
fn values<'a>(feed: &'a str, name: &str) -> Vec<&'a str> {
    feed.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':')).collect()
}

fn feed(client: &Client, path: &str) -> Answer {
    Client::new(client.address).get(path).send()
}

#[test]
fn a_calendar_has_a_yearly_event_of_a_whole_day_for_each_birthday() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let path = open(&ivan);
    let other = server.client().new_user("other@example.com");
    other.new_contact(&json!({ "first_name": "Stranger", "birthday": "1990-01-01" }));
    ivan.new_contact(&json!({ "first_name": "Іван", "last_name": "Franko; poet, writer", "birthday": "1956-08-27" }));
    ivan.new_contact(&json!({ "first_name": "Leap", "birthday": "2004-02-29" }));
    ivan.new_contact(&json!({ "first_name": "Nobody knows" }));
    let answer = feed(&ivan, &path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("Content-Type"), Some("text/calendar; charset=utf-8"));
    let text = answer.text();
    assert_eq!(values(&text, "SUMMARY"), ["Іван Franko\\; poet\\, writer", "Leap"]);
    assert_eq!(values(&text, "DTSTART;VALUE=DATE"), ["19560827", "20040229"]);
    assert_eq!(values(&text, "RRULE"), ["FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1"]);
    assert_eq!(values(&text, "TRANSP"), ["TRANSPARENT"; 2]);
    let mut uids = values(&text, "UID");
    assert_eq!(values(&text, "DTSTAMP").len(), 2);

    // The same events tomorrow, and nobody else's.
    let again = feed(&ivan, &path).text();
    assert_eq!(again, text);
    let others = feed(&other, &open(&other)).text();
    uids.extend(values(&others, "UID"));
    uids.sort_unstable();
    uids.dedup();
    assert_eq!(uids.len(), 3);
    assert!(text.ends_with("END:VCALENDAR\r\n"));
}

#[test]
fn a_calendar_is_named_after_its_owner_and_never_without_a_component() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let rename = |name: &str| ivan.patch("/api/users/me", &json!({ "username": name })).send().expect(200);
    rename("Іван; Франко, син Якова");
    let path = open(&ivan);
    let answer = feed(&ivan, &path);
    let text = unfolded(&answer);
    for name in ["NAME", "X-WR-CALNAME"] {
        assert_eq!(values(&text, name), ["Birthdays (Іван\\; Франко\\, син Якова)"]);
    }
    assert_eq!(values(&text, "BEGIN"), ["VCALENDAR", "VTIMEZONE", "STANDARD"]);
    assert_eq!(values(&text, "END"), ["STANDARD", "VTIMEZONE", "VCALENDAR"]);
    assert_eq!(answer.header("Content-Disposition"), Some("inline; filename=\"birthdays.ics\""));
    // A new name is another calendar.
    let etag = answer.header("ETag").expect("an ETag").to_owned();
    let again = || server.client().get(&path).header("If-None-Match", &etag).send();
    assert_eq!(again().status, 304);
    rename("Ivan");
    assert_eq!(values(&unfolded(&again().expect(200)), "NAME"), ["Birthdays (Ivan)"]);
}

#[test]
fn an_event_ends_on_the_next_day_and_tells_the_year() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    for day in ["1956-08-27", "2004-02-29", "1999-12-31"] {
        ivan.new_contact(&json!({ "first_name": "A", "birthday": day }));
    }
    let text = feed(&ivan, &open(&ivan)).text();
    assert_eq!(values(&text, "DTEND;VALUE=DATE"), ["19560828", "20040301", "20000101"]);
    assert_eq!(values(&text, "DESCRIPTION"), ["Born 1956-08-27", "Born 2004-02-29", "Born 1999-12-31"]);
}

#[test]
fn an_address_names_its_user_and_opens_nobody_elses_calendar() {
    let (server, database) = Server::with_database();
    let (ivan, olena) = (server.client().new_user("ivan@example.com"), server.client().new_user("olena@example.com"));
    let (of_ivan, of_olena) = (open(&ivan), open(&olena));
    let id = ivan.get("/api/users/me").send().json()["id"].to_string();
    let parts = |path: &str| {
        let secret = path.trim_start_matches("/api/calendar/").trim_end_matches(".ics");
        let (user, secret) = secret.split_once('-').expect("a user and a secret");
        (user.to_owned(), secret.to_owned())
    };
    let ((user, secret), (other, others)) = (parts(&of_ivan), parts(&of_olena));
    assert_eq!(user, id);
    for wrong in [
        format!("{other}-{secret}"),
        format!("{user}-{others}"),
        format!("{user}-"),
        format!("-{secret}"),
        format!("0{user}-{secret}"),
        format!("99999999999999999999-{secret}"),
        secret.clone(),
    ] {
        assert_eq!(feed(&ivan, &format!("/api/calendar/{wrong}.ics")).status, 404, "{wrong}");
    }
    // An address of an older release, which names no user, goes on; so would this one there.
    let rows = database.client().query("select secret_hash from calendars order by user_id", &[]).unwrap();
    let kept: Vec<u8> = rows[0].get(0);
    assert_eq!(kept, contactd::security::secret::digest(&format!("{user}-{secret}")));
    let digest = contactd::security::secret::digest(&secret).to_vec();
    let older = "update calendars set secret_hash = $1 where user_id = $2";
    database.client().execute(older, &[&digest, &id.parse::<i64>().unwrap()]).unwrap();
    assert_eq!(feed(&ivan, &format!("/api/calendar/{secret}.ics")).status, 200);
    assert_eq!(feed(&ivan, &of_ivan).status, 404);
}

#[test]
fn a_calendar_that_has_not_changed_is_not_sent_again() {
    let (server, _database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let id = ivan.new_contact(&json!({ "first_name": "Ada", "birthday": "1990-05-17" }));
    let path = open(&ivan);
    let mut etag = String::new();
    let mut ask = |expected: u16| {
        let request = server.client().get(&path).header("If-None-Match", &format!("\"x\", W/{etag}"));
        let answer = request.send();
        assert_eq!(answer.status, expected, "{}", answer.text());
        etag = answer.header("ETag").expect("an ETag").to_owned();
        assert_eq!(answer.header("Cache-Control"), Some("private, no-cache"));
    };
    ask(200);
    ask(304);
    ivan.new_contact(&json!({ "first_name": "Without a birthday" }));
    ask(304);
    // What the calendar does not show.
    assert_eq!(ivan.patch(&format!("/api/contacts/{id}"), &json!({ "phone_number": "1" })).send().status, 200);
    ask(304);
    let changed = ivan.patch(&format!("/api/contacts/{id}"), &json!({ "last_name": "Lovelace" }));
    assert_eq!(changed.send().status, 200);
    ask(200);
    ask(304);
    assert_eq!(ivan.patch(&format!("/api/contacts/{id}"), &json!({ "birthday": "1991-05-17" })).send().status, 200);
    ask(200);
    assert_eq!(ivan.delete(&format!("/api/contacts/{id}")).send().status, 204);
    ask(200);
    let head = server.client().request("HEAD", &path).send();
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[test]
fn an_address_is_replaced_by_a_new_one_closed_on_demand_and_ends_with_the_user_alone() {
    let (server, database) = Server::with_database();
    let ivan = server.client().new_user("ivan@example.com");
    let first = open(&ivan);
    let second = open(&ivan);
    assert_ne!(first, second);
    assert_eq!(feed(&ivan, &first).status, 404);
    assert_eq!(feed(&ivan, &second).status, 200);
    let rows = database.client().query("select secret_hash from calendars", &[]).expect("it is asked");
    let kept: Vec<u8> = rows[0].get(0);
    assert_eq!((rows.len(), kept.len()), (1, 32));
    assert!(!second.contains(&contactd::domain::hex::encode(&kept)));

    assert_eq!(ivan.request("POST", "/api/auth/logout?everywhere=true").send().status, 204);
    assert_eq!(ivan.request("POST", "/api/contacts/calendar").send().status, 401);
    assert_eq!(feed(&ivan, &second).status, 200, "the calendar outlives the session");
    let ivan = server.client().login("ivan@example.com", "123456");
    for _ in 0..2 {
        assert_eq!(ivan.delete("/api/contacts/calendar").send().status, 204);
        assert_eq!(feed(&ivan, &second).status, 404);
    }
    let third = open(&ivan);
    let gone = ivan.request("DELETE", "/api/users/me").json(&json!({ "password": "123456" })).send();
    assert_eq!(gone.status, 204, "{}", gone.text());
    assert_eq!(feed(&ivan, &third).status, 404);
}

#[test]
fn what_is_no_address_is_404_and_opening_one_needs_a_token() {
    let (server, _database) = Server::with_database();
    let anyone = server.client();
    for path in [
        "/api/calendar/x.ics",
        "/api/calendar/.ics",
        "/api/calendar/%00.ics",
        "/api/calendar/%ff.ics",
        "/api/calendar/x",
    ] {
        assert_eq!(anyone.get(path).send().status, 404, "{path}");
    }
    let long = format!("/api/calendar/{}.ics", "a".repeat(5_000));
    assert!([404, 422].contains(&anyone.get(long).send().status));
    assert_eq!(anyone.request("POST", "/api/contacts/calendar").send().status, 401);
    assert_eq!(anyone.delete("/api/contacts/calendar").send().status, 401);
}

#[test]
fn the_log_holds_no_address() {
    let database = database();
    let server = Setup::on(&database).with("LOG", "debug").ready();
    let ivan = server.client().new_user("ivan@example.com");
    let path = open(&ivan);
    assert_eq!(feed(&ivan, &path).status, 200);
    crate::support::eventually("the request is logged", || server.log().contains("GET /api/calendar/…"));
    let secret = path.trim_start_matches("/api/calendar/").trim_end_matches(".ics");
    assert!(!server.log().contains(secret));
}

#[test]
fn behind_a_trusted_proxy_the_address_is_what_the_client_typed() {
    let database = database();
    let server = Setup::on(&database).with("TRUSTED_PROXIES", "127.0.0.1").ready();
    let ivan = server.client().new_user("ivan@example.com");
    let ask = |ivan: &Client, host: &str| {
        let request = ivan.request("POST", "/api/contacts/calendar");
        let request = request.header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", host);
        let body = request.send().json();
        let (url, webcal) = (body["url"].as_str().expect("an address").to_owned(), &body["webcal_url"]);
        let same = url.split_once("://").map(|(_, rest)| format!("webcal://{rest}"));
        assert_eq!(webcal, &json!(same), "{url}");
        url
    };
    assert!(ask(&ivan, "book.example.org").starts_with("https://book.example.org/api/calendar/"));
    assert!(ask(&ivan, "evil\"<host>").starts_with("/api/calendar/"));
    let direct = Setup::on(&database).ready();
    let olena = direct.client().new_user("olena@example.com");
    assert!(ask(&olena, "book.example.org").starts_with(&format!("http://{}/", direct.address)));
}
