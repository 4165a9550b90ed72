//! Micro-benchmarks of what every request, or every search, goes through: `cargo bench --bench hot`.
#![allow(clippy::disallowed_methods)] // the real time is as good as any here

use chrono::{NaiveDate, Utc};
use contactd::api::router::Router;
use contactd::api::routes::routes;
use contactd::config::JwtSecret;
use contactd::domain::birthday;
use contactd::domain::contact::{Contact, FIELDS, Kind, Value, Values, searchable};
use contactd::domain::filter::Filter;
use contactd::domain::fold;
use contactd::http::{Method, parse_pairs};
use contactd::security::token::Keys;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

#[divan::bench]
fn route(bencher: Bencher) {
    let router = Router::new(routes());
    bencher.bench_local(|| {
        black_box(router.find(&Method::Get, black_box("/api/contacts/12345")));
    });
}

#[divan::bench]
fn token_check(bencher: Bencher) {
    let keys = Keys::new(&[JwtSecret::new(b"0123456789abcdef0123456789abcdef").expect("a long secret")]);
    let now = Utc::now();
    let token = keys.issue_access(1, 2, now);
    bencher.bench_local(|| keys.verify_access(black_box(&token), now));
}

#[divan::bench(args = ["Ivan Franko", "Іван Франко", "José Ångström Straße"])]
fn fold_text(text: &str) -> String {
    fold::fold(black_box(text))
}

#[divan::bench]
fn search_filter() -> Filter {
    let filters = searchable().enumerate();
    Filter::new(black_box(filters).map(|(n, (_, part))| (part, (n == 0).then_some("First99"))), "")
}

#[divan::bench]
fn query_string(bencher: Bencher) {
    bencher
        .bench_local(|| parse_pairs(black_box("first_name=%D0%86%D0%B2%D0%B0%D0%BD&limit=100&sort=-created_at")).len());
}

#[divan::bench]
fn row_to_json(bencher: Bencher) {
    let texts = ["Іван", "Франко", "ivan@example.com", "+38 (050) 123-45-67"];
    let mut values = texts.map(|text| Some(Value::Text(text))).into_iter();
    let values = FIELDS.each_ref().map(|field| match field.kind {
        Kind::Text(_) => values.next().flatten(),
        Kind::Birthday => NaiveDate::from_ymd_opt(1990, 5, 17).map(Value::Date),
    });
    let now = Utc::now();
    let contact = Contact { id: 12345, values: Values(values), created_at: now, updated_at: now, version: 1 };
    let mut bytes = Vec::with_capacity(1024);
    bencher.bench_local(|| {
        bytes.clear();
        serde_json::to_writer(&mut bytes, black_box(&contact)).expect("it serializes");
    });
}

#[divan::bench]
fn birthday_windows() -> [birthday::Window; 2] {
    let today = NaiveDate::from_ymd_opt(2026, 12, 28).expect("a date");
    birthday::windows(black_box(today), black_box(10))
}
