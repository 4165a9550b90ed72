//! An address book in memory beside the real one: whatever is done to both, both say the same.

use std::collections::BTreeMap;

use contactd::domain::fold::fold;
use contactd::domain::phone::digits_and_tail;
use contactd::http::percent_encode;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::shared::shared;
use crate::trash::deleted_at;

/// Pseudo-random numbers that are the same in every run (splitmix64), so that a failure comes again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

const NAMES: [&str; 16] = [
    "Іван",
    "ІВАН",
    "José",
    "jose",
    "Οδυσσέας",
    "ΟΔΥΣΣΕΥΣ",
    "Straße",
    "100%",
    "a_b",
    "a\\b",
    "O’Brien",
    "o'brien",
    "한국",
    "i",
    "İ",
    "7",
];
const EMAILS: [&str; 5] = ["ivan@gmail.com", "IVAN@gmail.com", "o_b@x.org", "пошта@приклад.укр", "a%b@x.org"];
const PHONES: [&str; 6] = ["+38 (050) 123-45-67", "0501234567", "7", "٠٥٠", "ext", "12-34"];
const DAYS: [&str; 4] = ["2000-02-29", "1999-12-31", "1900-01-01", "2020-06-15"];
const FIELDS: [&str; 4] = ["first_name", "last_name", "email", "phone_number"];

fn value(dice: &mut Dice, field: &str) -> Value {
    match field {
        "email" => json!(dice.pick(&EMAILS)),
        "phone_number" => json!(dice.pick(&PHONES)),
        "birthday" => json!(dice.pick(&DAYS)),
        _ => json!(dice.pick(&NAMES)),
    }
}

/// Some fields, each with a value or cleared.
fn some_fields(dice: &mut Dice) -> Value {
    let mut fields = json!({});
    for field in ["last_name", "email", "phone_number", "birthday", "additional_info"] {
        match dice.roll(3) {
            0 => fields[field] = value(dice, field),
            1 => fields[field] = Value::Null,
            _ => {}
        }
    }
    if dice.roll(2) == 0 {
        fields["first_name"] = value(dice, "first_name");
    }
    fields
}

fn text<'a>(contact: &'a Value, field: &str) -> &'a str {
    contact[field].as_str().unwrap_or("")
}

fn digits(text: &str) -> String {
    digits_and_tail(text).0
}

/// Whether a phone number has these digits in a row, or ends as this number does.
fn is_called(phone: &str, number: &str) -> bool {
    let (phone, number) = (digits(phone), digits(number));
    let same_end = |from: usize| phone.len() >= 9 && phone.ends_with(&number[from..]);
    phone.contains(&number) || number.len().checked_sub(9).is_some_and(same_end)
}

/// Whether a filter holds.
fn matches(contact: &Value, field: &str, needle: &str) -> bool {
    let phone = text(contact, "phone_number");
    match field {
        "phone_number" => !digits(needle).is_empty() && is_called(phone, needle),
        "q" => {
            let folded = fold(needle);
            let is_phone = |text: &str| {
                let is_part = |c: char| " +-()./".contains(c) || !digits(&c.to_string()).is_empty();
                text.chars().all(is_part) && !digits(text).is_empty()
            };
            let words: Vec<_> =
                if is_phone(&folded) { vec![folded.trim()] } else { folded.split_whitespace().collect() };
            let has = |word: &&str| {
                FIELDS[..3].iter().any(|field| fold(text(contact, field)).contains(word))
                    || digits(phone).contains(word)
                    || is_phone(word) && is_called(phone, word)
            };
            words.iter().all(has)
        }
        _ => !fold(needle).is_empty() && fold(text(contact, field)).contains(&fold(needle)),
    }
}

/// A filter that has a chance: a part of something that may be there, in the same or in another case.
fn needle(dice: &mut Dice, field: &str) -> String {
    let field = if field == "q" { FIELDS[dice.roll(4)] } else { field };
    let whole = value(dice, field).as_str().unwrap().to_owned();
    let letters: Vec<char> = whole.chars().collect();
    let from = dice.roll(letters.len());
    let to = from + 1 + dice.roll(letters.len() - from);
    let part: String = letters[from..to].iter().collect();
    match dice.roll(3) {
        0 => part.to_uppercase(),
        1 => part.to_lowercase(),
        _ => part,
    }
}

/// Asks both the same; whether a search found some contacts and not all.
fn compare(dice: &mut Dice, user: &Client, book: &[Value], ranks: &BTreeMap<String, i64>) -> bool {
    let mut query = String::new();
    let mut expected: Vec<&Value> = book.iter().collect();
    for field in ["first_name", "last_name", "email", "phone_number", "q"] {
        if dice.roll(4) == 0 {
            let needle = needle(dice, field);
            query += &format!("{field}={}&", percent_encode(&needle));
            expected.retain(|contact| matches(contact, field, &needle));
        }
    }
    let sort = dice.pick(&["id", "first_name", "last_name", "email", "birthday"]);
    let key = |contact: &Value| match sort {
        "id" => String::new(),
        "birthday" => text(contact, "birthday").to_owned(),
        _ => format!("{:09}", ranks[&fold(text(contact, sort))]),
    };
    expected.sort_by_key(|contact| (key(contact), contact["id"].as_i64()));
    let turned = dice.roll(2) == 1;
    if turned {
        expected.reverse();
    }
    let minus = if turned { "-" } else { "" };
    let target = format!("/api/contacts?{query}sort={minus}{sort}&limit=1000&count=true");
    let answer = user.get(&target).send().expect(200);
    assert_eq!(answer.json(), json!(expected), "{target}");
    assert_eq!(answer.header("X-Total-Count"), Some(expected.len().to_string().as_str()), "{target}");
    !expected.is_empty() && expected.len() < book.len()
}

#[test]
fn the_book_agrees_with_one_in_memory_whatever_is_done() {
    let shared = shared();
    let user = shared.user();
    let mut dice = Dice(2026);
    let mut book: Vec<Value> = Vec::new();
    let mut trash: Vec<Value> = Vec::new();
    let mut telling = 0;
    let texts = NAMES.iter().chain(&EMAILS).chain(&[""]).map(|text| fold(text)).collect::<Vec<_>>();
    let ranks = shared.database.ranks(&texts);
    for _ in 0..400 {
        let fields = some_fields(&mut dice);
        let at = dice.roll(book.len().max(1));
        let path = |contact: &Value| format!("/api/contacts/{}", contact["id"]);
        match dice.roll(8) {
            0 | 1 if book.len() < 40 => {
                let mut draft = fields;
                draft["first_name"] = value(&mut dice, "first_name");
                // Some are sent twice under one key, as after a lost answer.
                let key = format!("key-{}", dice.roll(1 << 40));
                let repeats = if dice.roll(3) == 0 { 2 } else { 0 };
                let send = || user.post("/api/contacts", &draft);
                let made =
                    if repeats == 0 { send() } else { send().header("Idempotency-Key", &key) }.send().expect(201);
                for _ in 0..repeats {
                    let again = send().header("Idempotency-Key", &key).send().expect(201);
                    assert_eq!((again.text(), again.header("Idempotency-Replayed")), (made.text(), Some("true")));
                }
                book.push(made.json());
                agrees(book.last().unwrap(), &draft, None);
            }
            2 if !book.is_empty() => {
                let mut draft = fields;
                draft["first_name"] = value(&mut dice, "first_name");
                book[at] = user.put(&path(&book[at]), &draft).send().expect(200).json();
                agrees(&book[at], &draft, None);
            }
            3 | 4 if !book.is_empty() => {
                let before = book[at].clone();
                book[at] = user.patch(&path(&before), &fields).send().expect(200).json();
                agrees(&book[at], &fields, Some(&before));
            }
            5 if !book.is_empty() => {
                let gone = book.remove(at);
                user.delete(&path(&gone)).send().expect(204);
                trash.push(gone);
            }
            6 if !trash.is_empty() => {
                let at = dice.roll(trash.len());
                come_back(&user, &mut book, vec![trash.remove(at)], None);
            }
            7 if trash.len() > 3 && dice.roll(4) == 0 => {
                // All that was deleted after one of them.
                let at = dice.roll(trash.len());
                let after = deleted_at(&shared.database, trash[at]["id"].as_i64().unwrap());
                come_back(&user, &mut book, trash.split_off(at + 1), Some(&after));
            }
            7 if !trash.is_empty() => {
                let at = dice.roll(trash.len());
                user.delete(&format!("/api/contacts/trash/{}", trash.remove(at)["id"])).send().expect(204);
            }
            _ => {}
        }
        let kept = user.get("/api/contacts/trash?limit=1000").send().expect(200).json();
        let kept = kept.as_array().unwrap().iter().rev().map(|contact| &contact["id"]).collect::<Vec<_>>();
        assert_eq!(kept, trash.iter().map(|contact| &contact["id"]).collect::<Vec<_>>());
        telling += usize::from(compare(&mut dice, &user, &book, &ranks));
    }
    assert!(telling > 100, "only {telling} searches told one contact from another");
}

/// Restores one contact, or those that were deleted after an instant, and looks at what came back.
fn come_back(user: &Client, book: &mut Vec<Value>, contacts: Vec<Value>, after: Option<&str>) {
    if let Some(after) = after {
        let target = format!("/api/contacts/trash/restore?deleted_after={after}");
        let restored = user.request("POST", target).send().expect(200).json();
        assert_eq!(restored["restored"], contacts.len());
    }
    for contact in contacts {
        let path =
            |end: &str| format!("/api/contacts/{}{}{end}", if end.is_empty() { "" } else { "trash/" }, contact["id"]);
        let back = match after {
            Some(_) => user.get(path("")).send().expect(200).json(),
            None => user.request("POST", path("/restore")).send().expect(200).json(),
        };
        agrees(&back, &contact, None);
        assert_eq!(back["id"], contact["id"]);
        book.push(back);
    }
    book.sort_by_key(|contact| contact["id"].as_i64());
}

/// What was written is there, and what was not is as it was before, or null.
fn agrees(contact: &Value, written: &Value, before: Option<&Value>) {
    for field in ["first_name", "last_name", "email", "phone_number", "birthday", "additional_info"] {
        let unwritten = before.map_or(&Value::Null, |before| &before[field]);
        let expected = written.get(field).unwrap_or(unwritten);
        assert_eq!(&contact[field], expected, "{field} of {written}");
    }
}
