//! Bytes that nobody thought of, for what meets bytes: the request head, the query string, JSON bodies. proptest rather than
//! cargo-fuzz, which needs a nightly toolchain; what once went wrong stands among the corpora, as ordinary input.

#[path = "support/mod.rs"]
mod support;

use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use chrono::NaiveDate;
use contactd::domain::contact::Draft;
use contactd::domain::fields::{Fields, Patch, Source};
use contactd::domain::page::{List, UpcomingQuery};
use contactd::http::{parse_pairs, percent_decode, percent_encode};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value};
use support::server::Server;

// ----------------------------------------------------------------------------------------------------------- request heads

/// Requests to start from, and what was once answered wrongly by tiny_http as published.
const HEADS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /api/contacts?first_name=\xd0\x86 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n",
    b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30000000000\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nabcde",
    b"GET / HTTP/2.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n",
    b"HEAD /docs HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
];

/// One change to bytes.
#[derive(Debug, Clone)]
enum Edit {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"\r\n :,;\0\t%\x7f\xff0".to_vec())];
    prop_oneof![
        (any::<prop::sample::Index>(), byte.clone()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (any::<prop::sample::Index>(), vec(byte, 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        any::<prop::sample::Index>().prop_map(Edit::Cut),
        any::<prop::sample::Index>().prop_map(Edit::Repeat),
    ]
}

fn edited(head: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = head.to_vec();
    for edit in edits {
        let length = bytes.len() + 1;
        match edit {
            Edit::Set(at, byte) => {
                if let Some(there) = bytes.get_mut(at.index(length)) {
                    *there = *byte;
                }
            }
            Edit::Insert(at, more) => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Edit::Cut(at) => bytes.truncate(at.index(length)),
            Edit::Repeat(at) => bytes.extend_from_within(at.index(length).min(bytes.len())..),
        }
    }
    bytes
}

/// Everything that the server says to these bytes, until it closes.
fn answers(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(server.address).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    // It may have refused and closed before it was sent everything.
    let _ = socket.write_all(bytes);
    let _ = socket.shutdown(Shutdown::Write);
    let mut said = Vec::new();
    match socket.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&said)),
    }
    said
}

#[test]
fn whatever_bytes_arrive_the_answer_is_http_and_no_fault_of_ours() {
    let (server, _database) = Server::with_database();
    let runner = ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() };
    let heads =
        (prop::sample::select(HEADS.to_vec()), vec(edit(), 0..6)).prop_map(|(head, edits)| edited(head, &edits));
    let input = prop_oneof![8 => heads, 1 => vec(any::<u8>(), 0..2_000)];
    proptest!(runner, |(bytes in input)| {
        let said = answers(&server, &bytes);
        if !said.is_empty() {
            prop_assert!(said.starts_with(b"HTTP/1."), "{:?}", String::from_utf8_lossy(&said));
            let status: u16 = std::str::from_utf8(&said[9..12]).unwrap_or("").parse().unwrap_or(0);
            prop_assert!((100..500).contains(&status) || matches!(status, 501 | 505), "{}", String::from_utf8_lossy(&said));
        }
    });
    assert_eq!(server.client().get("/livez").send().status, 200, "the same process lives");
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

// ----------------------------------------------------------------------------------------------------------- query strings

const QUERIES: &[&str] =
    &["", "&", "=", "a", "a=%", "a=%f", "a=%ff", "a=%00", "%=b", "a=+b&&=c", "a=%D0%86&a=2", "first_name=%zz"];

fn read_all(source: Source<'_>) {
    let today = NaiveDate::from_ymd_opt(2026, 2, 28).expect("a date");
    let fields = || Fields::new(source, today);
    let outcomes = [
        fields().read::<Draft>().err(),
        fields().read::<Patch<Draft>>().err(),
        fields().read::<List>().err(),
        fields().read::<UpcomingQuery>().err(),
    ];
    for faults in outcomes.into_iter().flatten() {
        assert!(!faults.is_empty(), "nothing was read and nothing said");
    }
}

#[test]
fn queries_that_once_were_odd_are_read_or_refused() {
    for query in QUERIES {
        read_all(Source::Pairs(&parse_pairs(query)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_query_is_read_or_refused(query in "\\PC{0,60}|([a-z_]{0,12}=[%+0-9a-fA-F\\-]{0,12}&?){0,6}") {
        read_all(Source::Pairs(&parse_pairs(&query)));
    }

    #[test]
    fn what_is_encoded_decodes_to_itself(text in any::<String>()) {
        let encoded = percent_encode(&text);
        prop_assert!(encoded.is_ascii() && !encoded.contains(|c: char| c.is_control() || "<>\"".contains(c)));
        prop_assert_eq!(percent_decode(&encoded, true), Some(Cow::Borrowed(text.as_str())));
    }

    // ------------------------------------------------------------------------------------------------------- JSON bodies

    #[test]
    fn any_json_object_is_read_or_every_fault_of_it_told(members in object()) {
        read_all(Source::Json(&members));
    }

    #[test]
    fn any_bytes_are_json_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(Value::Object(members)) = serde_json::from_slice(&bytes) {
            read_all(Source::Json(&members));
        }
    }
}

/// Objects with the members that are read, holding what they should not.
fn object() -> impl Strategy<Value = Map<String, Value>> {
    let names = [
        "first_name",
        "last_name",
        "email",
        "phone_number",
        "birthday",
        "additional_info",
        "skip",
        "limit",
        "sort",
        "cursor",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9+]{1,5}-[0-9]{1,3}-[0-9]{1,3}".prop_map(Value::from),
        "[a-z@.\\-\u{0}\u{1f} ]{0,20}".prop_map(Value::from),
        ("\\PC", 0..400_usize).prop_map(|(text, times)| Value::from(text.repeat(times))),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| vec(inner, 0..4).prop_map(Value::Array));
    vec((prop::sample::select(names.to_vec()), value), 0..8)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
