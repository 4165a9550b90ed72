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
use super::person::{Day, Person, day, without_year};
use super::{Entries, Unreadable, malformed};
use crate::domain::contact::Contact;

/// Apple writes this year for a birthday that has none, with or without saying so.
const APPLES_NO_YEAR: &str = "1604-";

/// What has values that calcard does not read as text. It takes what it knows and drops the rest of them: in a card of
/// version 4.0, `1990-05-17` is May 1990 to it.
const NOT_TEXT: [&str; 4] = ["BDAY", "ANNIVERSARY", "DEATHDATE", "TZ"];

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
    line(out, "FN", &escaped(&contact.full_name()));
    let last = escaped(contact.last_name.unwrap_or_default());
    let name = format!("{last};{};;;", escaped(contact.first_name));
    line(out, "N", &name);
    let texts = [("EMAIL", contact.email), ("TEL", contact.phone_number), ("NOTE", contact.additional_info)];
    for (name, text) in texts {
        if let Some(text) = text {
            line(out, name, &escaped(text));
        }
    }
    if let Some(birthday) = contact.birthday {
        line(out, "BDAY", &birthday.format("%Y%m%d").to_string());
    }
    line(out, "REV", &instant(&contact.updated_at));
    line(out, "END", "VCARD");
}

// ---------------------------------------------------------------------------------------------------------------- reading

/// Reads card after card.
pub fn read(text: &str, entries: &mut Entries) -> Result<(), Unreadable> {
    let mut cards = Cards { text, at: 0, line: 0 };
    let mut is_known = false;
    while let Some(found) = cards.next_card()? {
        match found {
            Found::Card { line, text } => {
                is_known = true;
                match prepared(text).map(|text| Parser::new(&text).entry()) {
                    Some(Entry::VCard(card)) => person(&card).settle(line, entries)?,
                    Some(_) => entries.refuse(line, "The card cannot be read.")?,
                    None => {
                        entries.refuse(line, format!("The card has more than {MOST_BYTES} bytes besides pictures."))?
                    }
                }
            }
            Found::Nested { line, within } => {
                is_known = true;
                let detail = format!("The card holds another one, in line {within}: take that out of it.");
                entries.refuse(line, detail)?;
            }
            Found::Stray { line } if is_known => {
                entries.refuse(line, "This is not part of a card.")?;
            }
            Found::Stray { .. } => {
                return Err(malformed("The file is no vCard: it begins with no BEGIN:VCARD."));
            }
        }
    }
    Ok(())
}

/// The card without pictures and sounds, unless they are addresses, and with the other values declared as text; of several
/// declarations the first counts. `None` when it is too long.
fn prepared(card: &str) -> Option<String> {
    let mut kept = String::new();
    let mut is_dropped = false;
    for line in card.split_inclusive('\n') {
        let is_fold = line.starts_with([' ', '\t']);
        // What has neither is part of the line before, too: old phones fold their base64 without a space.
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

enum Found<'a> {
    Card {
        line: usize,
        text: &'a str,
    },
    Nested {
        line: usize,
        within: usize,
    },
    /// Lines between cards, by the first of them.
    Stray {
        line: usize,
    },
}

/// Walks over a file's lines.
struct Cards<'a> {
    text: &'a str,
    /// The byte that the next line begins at.
    at: usize,
    /// The number of the last line.
    line: usize,
}

impl<'a> Cards<'a> {
    fn next_line(&mut self) -> Option<&'a str> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let length = rest.find('\n').map_or(rest.len(), |end| end + 1);
        self.at += length;
        self.line += 1;
        Some(rest[..length].trim_end())
    }

    /// The next card, or what is in its place.
    fn next_card(&mut self) -> Result<Option<Found<'a>>, Unreadable> {
        let (mut start, mut first, mut depth) = (0, 0, 0);
        let (mut within, mut stray) = (None, None);
        loop {
            let (before, line_before) = (self.at, self.line);
            let Some(text) = self.next_line() else {
                break;
            };
            if text.eq_ignore_ascii_case("BEGIN:VCARD") {
                match (depth, stray) {
                    (0, Some(line)) => {
                        // This line again, next time.
                        (self.at, self.line) = (before, line_before);
                        return Ok(Some(Found::Stray { line }));
                    }
                    (0, None) => (start, first) = (before, self.line),
                    _ => {
                        within.get_or_insert(self.line);
                    }
                }
                depth += 1;
            } else if depth == 0 {
                if !text.is_empty() {
                    stray.get_or_insert(self.line);
                }
            } else if text.eq_ignore_ascii_case("END:VCARD") {
                depth -= 1;
                if depth == 0 {
                    let text = &self.text[start..self.at];
                    return Ok(Some(match within {
                        Some(within) => Found::Nested { line: first, within },
                        None => Found::Card { line: first, text },
                    }));
                }
            }
        }
        if depth > 0 {
            return Err(malformed(format!(
                "The card that begins in line {first} has no END:VCARD: the file is cut off."
            )));
        }
        Ok(stray.map(|line| Found::Stray { line }))
    }
}

fn person(card: &VCard) -> Person<'_> {
    let mut person = Person::default();
    let given = given_labels(card);
    for entry in &card.entries {
        let text = text(entry);
        match &entry.name {
            VCardProperty::Fn if person.full_name.is_empty() => person.full_name = text.into(),
            VCardProperty::N if person.first_name.is_empty() && person.last_name.is_empty() => {
                name(&mut person, entry);
            }
            VCardProperty::Org if person.organization.is_empty() => {
                person.organization = text.into();
            }
            VCardProperty::Email => {
                let address = without_scheme(&text, "mailto:").to_owned();
                person.email(preference(entry), label(&given, entry, "E-mail"), address);
            }
            VCardProperty::Tel => {
                // Only where it says so: a number as text may begin like this, too.
                let number =
                    if is_of(entry, VCardValueType::Uri) { without_scheme(&text, "tel:").to_owned() } else { text };
                person.phone(preference(entry), label(&given, entry, "Phone"), number);
            }
            VCardProperty::Bday => birthday(&mut person, &text),
            VCardProperty::Note => person.note(&text),
            name if is_kept(name) => {
                person.line(&label(&given, entry, name_of(name)), &text);
            }
            _ => {}
        }
    }
    person.settle_name();
    person
}

/// Whether it tells of the person, and not of the card.
fn is_kept(name: &VCardProperty) -> bool {
    match name {
        VCardProperty::Version
        | VCardProperty::Prodid
        | VCardProperty::Uid
        | VCardProperty::Rev
        | VCardProperty::Created
        | VCardProperty::Source
        | VCardProperty::Clientpidmap
        | VCardProperty::Begin
        | VCardProperty::End => false,
        VCardProperty::Other(name) => {
            !["X-ABLABEL", "X-ABADR", "X-ABUID", "X-ABSHOWAS"].iter().any(|other| name.eq_ignore_ascii_case(other))
        }
        _ => true,
    }
}

fn name_of(name: &VCardProperty) -> &str {
    match name {
        VCardProperty::Adr => "Address",
        VCardProperty::Org => "Organization",
        VCardProperty::Title => "Title",
        VCardProperty::Role => "Role",
        VCardProperty::Url => "Website",
        VCardProperty::Nickname => "Nickname",
        VCardProperty::Anniversary => "Anniversary",
        VCardProperty::Categories => "Categories",
        VCardProperty::Impp => "Messenger",
        VCardProperty::Photo => "Photo",
        VCardProperty::Fn | VCardProperty::N => "Name",
        other => other.as_str(),
    }
}

/// `N` (RFC 6350 §6.2.2): family names; given names; additional ones; prefixes; suffixes.
fn name<'a>(person: &mut Person<'a>, entry: &VCardEntry) {
    let part = |index: usize| entry.values.get(index).map(value).unwrap_or_default();
    person.last_name = part(0).into();
    person.first_name = part(1).into();
    for (index, label) in [(2, "Middle name"), (3, "Prefix"), (4, "Suffix")] {
        person.further_name(label, &part(index));
    }
}

/// What is no date goes the way of what has no field: a month alone, or a year, or words.
fn birthday(person: &mut Person<'_>, text: &str) {
    match day(text) {
        Day::Date(date) => match date.strip_prefix(APPLES_NO_YEAR) {
            Some(rest) => person.set_birthday(without_year(&rest[..2], &rest[3..]), date),
            None => person.set_birthday(Day::Date(date), ""),
        },
        Day::WithoutYear(day) => person.set_birthday(Day::WithoutYear(day), ""),
        Day::Unknown => person.line("Birthday", text),
    }
}

/// RFC 6350 §5.3: 1 is preferred most; vCard 3.0 has a type for it. What is no voice line comes last.
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

/// What stands before a value that became a line: `Phone (work)`.
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

/// Apple's way to name a number: both properties are in one group. Its own words are in brackets of their own.
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
