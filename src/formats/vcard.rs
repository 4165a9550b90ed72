//! vCard: 4.0 (RFC 6350) is written; 4.0, 3.0 (RFC 2426) and 2.1, which old phones still write, are read.
//!
//! The content lines are parsed by calcard. Cards are told apart here, line by line, because calcard knows no line numbers
//! and takes a card without an end as it takes any other.

use std::collections::HashMap;

use calcard::common::IanaString;
use calcard::vcard::{
    VCard, VCardEntry, VCardParameterName, VCardParameterValue, VCardProperty, VCardValue, VCardValueType,
};
use calcard::{Entry, Parser};

use super::content_line::{escaped, instant, line, uuid};
use super::person::{Day, Person, day, slots, without_year};
use super::{Entries, Unreadable, malformed};
use crate::domain::contact::{Contact, FIELDS, Field, Property, Value};

/// Apple writes this year for a birthday that has none, with or without saying so.
const APPLES_NO_YEAR: &str = "1604-";

/// Properties that calcard parses into typed values and so truncates: in a card of version 4.0 it takes `1990-05-17` for May
/// 1990.
const NOT_TEXT: [&str; 4] = ["BDAY", "ANNIVERSARY", "DEATHDATE", "TZ"];

/// Properties that tell of the card, and not of the person.
const OF_THE_CARD: [&str; 13] = [
    "VERSION",
    "PRODID",
    "UID",
    "REV",
    "CREATED",
    "SOURCE",
    "CLIENTPIDMAP",
    "BEGIN",
    "END",
    "X-ABLABEL",
    "X-ABADR",
    "X-ABUID",
    "X-ABSHOWAS",
];

/// What may be a picture, a sound or a key, in the card itself or elsewhere.
const MEDIA: [&str; 4] = ["PHOTO", "LOGO", "SOUND", "KEY"];

/// The most bytes of a card without those: twice what the longest contact takes in the longest of encodings. A card's parts
/// take a hundred times their text in memory.
const MOST_BYTES: usize = 128 << 10;

// ---------------------------------------------------------------------------------------------------------------- writing

/// Appends a contact as a card.
pub fn contact(contact: &Contact<'_>, out: &mut Vec<u8>) {
    line(out, "BEGIN", "VCARD");
    line(out, "VERSION", "4.0");
    let uid = format!("urn:uuid:{}", uuid(contact.id, &contact.created_at));
    line(out, "UID", &uid);
    line(out, "FN", &escaped(&contact.values.full_name()));
    let mut name: [String; 5] = Default::default();
    let (mut texts, mut dates) = (Vec::new(), Vec::new());
    for (field, value) in FIELDS.iter().zip(&contact.values.0) {
        match (field.vcard, value) {
            (Property::Name(index), Some(Value::Text(text))) => name[index] = escaped(text),
            (Property::Own(property), Some(Value::Text(text))) => texts.push((property, escaped(text))),
            (Property::Own(property), Some(Value::Date(date))) => {
                dates.push((property, date.format("%Y%m%d").to_string()))
            }
            _ => {}
        }
    }
    line(out, "N", &name.join(";"));
    for (property, value) in texts.iter().chain(&dates) {
        line(out, property, value);
    }
    line(out, "REV", &instant(&contact.updated_at));
    line(out, "END", "VCARD");
}

// ---------------------------------------------------------------------------------------------------------------- reading

/// Reads card after card.
pub fn read(text: &str, entries: &mut Entries) -> Result<(), Unreadable> {
    let (mut at, mut open, mut is_known, mut is_stray) = (0, None, false, false);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let (number, start) = (index + 1, at);
        at += line.len();
        let line = line.trim_end();
        let is = |boundary: &str| line.eq_ignore_ascii_case(boundary);
        match &mut open {
            None if is("BEGIN:VCARD") => {
                open = Some(Open { start, line: number, depth: 1, within: None });
                (is_known, is_stray) = (true, false);
            }
            None if !is_known && !line.is_empty() => {
                return Err(malformed("The file is no vCard: it begins with no BEGIN:VCARD."));
            }
            // Of lines between cards the first is reported.
            None if is_stray || line.is_empty() => {}
            None => {
                is_stray = true;
                entries.refuse(number, "This is not part of a card.")?;
            }
            Some(card) if is("BEGIN:VCARD") => {
                card.depth += 1;
                card.within.get_or_insert(number);
            }
            Some(card) if is("END:VCARD") => {
                card.depth -= 1;
                if card.depth == 0 {
                    take(card, &text[card.start..at], entries)?;
                    open = None;
                }
            }
            Some(_) => {}
        }
    }
    match open {
        Some(Open { line, .. }) => {
            Err(malformed(format!("The card that begins in line {line} has no END:VCARD: the file is cut off.")))
        }
        None => Ok(()),
    }
}

/// A card whose end has not been read.
struct Open {
    /// The byte and the line that it begins at.
    start: usize,
    line: usize,
    /// How many ends are missing; more than one while a card in it is open.
    depth: usize,
    /// The line of the first card in it.
    within: Option<usize>,
}

fn take(card: &Open, text: &str, entries: &mut Entries) -> Result<(), Unreadable> {
    if let Some(within) = card.within {
        let detail = format!("The card holds another one, in line {within}: take that out of it.");
        return entries.refuse(card.line, detail);
    }
    match prepared(text).map(|text| Parser::new(&text).entry()) {
        Some(Entry::VCard(parsed)) => person(&parsed).finish(card.line, entries),
        Some(_) => entries.refuse(card.line, "The card cannot be read."),
        None => entries.refuse(card.line, format!("The card has more than {MOST_BYTES} bytes besides pictures.")),
    }
}

/// The card without pictures and sounds, unless they are addresses, and with the other values declared as text; of several
/// declarations the first counts. `None` when it is too long.
fn prepared(card: &str) -> Option<String> {
    let mut kept = String::new();
    let mut is_dropped = false;
    for line in card.split_inclusive('\n') {
        let is_fold = line.starts_with([' ', '\t']);
        // A line without `:` or `;` continues the one before, too: old phones fold their base64 without a space.
        let length = line.find([':', ';']).filter(|_| !is_fold);
        let (name, rest) = line.split_at(length.unwrap_or(0));
        let bare = name.rsplit('.').next().unwrap_or(name);
        let is_of = |names: &[&str]| names.iter().any(|other| bare.eq_ignore_ascii_case(other));
        if length.is_some() {
            let value = rest.split_once(':').map_or("", |(_, value)| value);
            is_dropped = is_of(&MEDIA) && !value.starts_with("http");
        }
        if is_dropped {
            continue;
        }
        kept.push_str(name);
        if is_of(&NOT_TEXT) {
            kept.push_str(";VALUE=text");
        }
        kept.push_str(rest);
        if kept.len() > MOST_BYTES {
            return None;
        }
    }
    Some(kept)
}

fn person(card: &VCard) -> Person<'_> {
    let mut person = Person::default();
    let given = given_labels(card);
    let mut is_named = false;
    for entry in &card.entries {
        let text = text(entry);
        let property = entry.name.as_str();
        let slot = slots().enumerate().find(|(_, slot)| matches!(slot.vcard, Property::Own(own) if own == property));
        match slot {
            _ if entry.name == VCardProperty::N && !is_named => is_named = add_name(&mut person, entry),
            Some((index, slot)) if FIELDS.get(index).is_some_and(Field::is_date) => {
                person.add_day(index, slot.label, birthday(&text));
            }
            Some((index, slot)) => {
                let label = label(&given, entry, slot.label);
                person.add(index, preference(entry), label, plain(entry, text));
            }
            None if OF_THE_CARD.iter().any(|other| property.eq_ignore_ascii_case(other)) => {}
            None => person.add_line(&label(&given, entry, name_of(&entry.name)), &text),
        }
    }
    person.complete_name();
    person
}

fn name_of(name: &VCardProperty) -> &str {
    match name {
        VCardProperty::Adr => "Address",
        VCardProperty::Title => "Title",
        VCardProperty::Role => "Role",
        VCardProperty::Url => "Website",
        VCardProperty::Nickname => "Nickname",
        VCardProperty::Anniversary => "Anniversary",
        VCardProperty::Categories => "Categories",
        VCardProperty::Impp => "Messenger",
        VCardProperty::Photo => "Photo",
        VCardProperty::N => "Name",
        other => other.as_str(),
    }
}

/// Adds the components of `N` (RFC 6350 §6.2.2); `false` if those that are fields are blank.
fn add_name(person: &mut Person<'_>, entry: &VCardEntry) -> bool {
    let mut is_named = false;
    for (index, label) in ["Last name", "First name", "Middle name", "Prefix", "Suffix"].into_iter().enumerate() {
        let part = entry.values.get(index).map(value).unwrap_or_default();
        match slots().position(|slot| slot.vcard == Property::Name(index)) {
            Some(slot) => {
                is_named |= !part.trim().is_empty();
                person.add(slot, 1, label, part);
            }
            None => person.add_further_name(label, &part),
        }
    }
    is_named
}

/// A birthday; one in the year that Apple writes for none has no year.
fn birthday(text: &str) -> Day {
    let day = day(text);
    let Day::Date(date) = &day else {
        return day;
    };
    let rest = date.strip_prefix(APPLES_NO_YEAR);
    rest.and_then(|rest| without_year(&rest[..2], &rest[3..])).map_or(day, Day::WithoutYear)
}

/// An address or a number without its scheme. A number may begin with `tel:` as plain text, so there the card must call it a
/// URI.
fn plain(entry: &VCardEntry, text: String) -> String {
    match entry.name {
        VCardProperty::Email => without_scheme(&text, "mailto:").to_owned(),
        VCardProperty::Tel if is_of(entry, VCardValueType::Uri) => without_scheme(&text, "tel:").to_owned(),
        _ => text,
    }
}

/// The rank of a value. By RFC 6350 §5.3, 1 is preferred most; vCard 3.0 has a type for it. Fax and pager come last.
fn preference(entry: &VCardEntry) -> u8 {
    let types = types(entry);
    let has = |name: &str| types.iter().any(|kind| kind == name);
    let pref = entry.params.iter().find_map(|param| match &param.value {
        VCardParameterValue::Integer(n) if param.name == VCardParameterName::Pref => Some(*n),
        _ => None,
    });
    match pref {
        Some(n) => u8::try_from(n.min(100)).unwrap_or(100),
        None if has("pref") => 1,
        None if has("fax") || has("pager") => 102,
        None => 101,
    }
}

/// What stands before a value that becomes a line: `Phone (work)`.
fn label(given: &HashMap<String, String>, entry: &VCardEntry, name: &str) -> String {
    let group = entry.group.as_deref().unwrap_or_default().to_lowercase();
    let kinds: Vec<String> = match given.get(&group) {
        Some(label) => vec![label.clone()],
        None => {
            types(entry).into_iter().filter(|kind| !["internet", "pref", "voice"].contains(&kind.as_str())).collect()
        }
    };
    if kinds.is_empty() { name.to_owned() } else { format!("{name} ({})", kinds.join(", ")) }
}

/// Labels as Apple writes them, in lower case, by group: a number and its label are two properties of one group. Apple's own
/// words stand in brackets.
fn given_labels(card: &VCard) -> HashMap<String, String> {
    let labels = card.entries.iter().filter_map(|entry| match &entry.name {
        VCardProperty::Other(name) if name.eq_ignore_ascii_case("X-ABLABEL") => {
            let text = text(entry);
            let text = text.trim_start_matches("_$!<").trim_end_matches(">!$_");
            Some((entry.group.as_deref()?.to_lowercase(), text.to_lowercase()))
        }
        _ => None,
    });
    labels.collect()
}

fn types(entry: &VCardEntry) -> Vec<String> {
    let params = entry.params.iter();
    params
        .filter(|param| param.name == VCardParameterName::Type)
        .filter_map(|param| match &param.value {
            VCardParameterValue::Type(kind) => Some(kind.as_str().to_ascii_lowercase()),
            VCardParameterValue::Text(kind) => Some(kind.to_lowercase()),
            _ => None,
        })
        .collect()
}

fn is_of(entry: &VCardEntry, kind: VCardValueType) -> bool {
    entry.params.iter().any(|param| matches!(&param.value, VCardParameterValue::ValueType(given) if *given == kind))
}

fn without_scheme<'a>(text: &'a str, scheme: &str) -> &'a str {
    match text.get(..scheme.len()) {
        Some(start) if start.eq_ignore_ascii_case(scheme) => &text[scheme.len()..],
        _ => text,
    }
}

/// All values of an entry, for people to read.
fn text(entry: &VCardEntry) -> String {
    let values = entry.values.iter().map(value);
    let values: Vec<_> = values.filter(|text| !text.trim().is_empty()).collect();
    values.join(", ")
}

fn value(value: &VCardValue) -> String {
    match value {
        VCardValue::Text(text) => text.clone(),
        VCardValue::Component(parts) => parts.join(" "),
        VCardValue::Integer(number) => number.to_string(),
        VCardValue::Float(number) => number.to_string(),
        VCardValue::Boolean(flag) => flag.to_string(),
        VCardValue::Sex(sex) => sex.as_str().to_owned(),
        VCardValue::GramGender(gender) => gender.as_str().to_owned(),
        VCardValue::Kind(kind) => kind.as_str().to_owned(),
        // A picture or a sound; and times, where none belongs.
        VCardValue::Binary(_) | VCardValue::PartialDateTime(_) => String::new(),
    }
}
