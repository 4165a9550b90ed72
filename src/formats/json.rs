//! JSON: an array of contacts as the API shows them.

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::columns::OF_THE_SERVER;
use super::person::{Person, slots};
use super::{Entries, LineCounter, Unreadable, malformed};
use crate::domain::contact::{Contact, FIELDS};
use crate::domain::fields::no_json;

/// The most bytes of one entry: what the body of a `POST` may have, for JSON values take many times their text in memory.
const ENTRY_LIMIT: usize = 1 << 20;

/// Reads an array element by element, so that no more than one is in memory as values.
pub fn read(text: &str, entries: &mut Entries) -> Result<(), Unreadable> {
    if !text.trim_start().starts_with('[') {
        return Err(malformed("The file must be a JSON array of contacts."));
    }
    let mut walk = Walk { text, entries, lines: LineCounter::new(text), refused: None };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outcome = deserializer.deserialize_seq(&mut walk);
    if let Some(unreadable) = walk.refused {
        return Err(unreadable);
    }
    outcome
        .and_then(|()| deserializer.end())
        .map_err(|error| malformed(format!("The file is not JSON: {}.", no_json(&error))))
}

struct Walk<'t, 'e> {
    text: &'t str,
    entries: &'e mut Entries,
    lines: LineCounter<'t>,
    /// What ended the walk, if it was not the JSON.
    refused: Option<Unreadable>,
}

impl<'t> Visitor<'t> for &mut Walk<'t, '_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of contacts")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(raw) = array.next_element::<&'t RawValue>()? {
            if let Err(unreadable) = self.entry(raw.get()) {
                self.refused = Some(unreadable);
                return Err(serde::de::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

impl<'t> Walk<'t, '_> {
    /// An entry, as a part of the text.
    fn entry(&mut self, raw: &'t str) -> Result<(), Unreadable> {
        let start = raw.as_ptr() as usize - self.text.as_ptr() as usize;
        let line = self.lines.line_of(start);
        if raw.len() > ENTRY_LIMIT {
            return self.entries.refuse(line, format!("The entry has more than {ENTRY_LIMIT} bytes."));
        }
        match serde_json::from_str::<Map<String, Value>>(raw) {
            Ok(members) => person(&members).finish(line, self.entries),
            // It parsed as JSON before: it is something else than an object, is nested too deep, or has half a surrogate pair.
            Err(_) if raw.starts_with('{') => {
                self.entries.refuse(line, "The entry is nested too deep, or has an escape that is no character.")
            }
            Err(_) => self.entries.refuse(line, "The entry must be a JSON object."),
        }
    }
}

/// What the members say; one that is no field, or no text, is a line.
fn person(members: &Map<String, Value>) -> Person<'_> {
    let mut person = Person::default();
    let ours = |name: &str| OF_THE_SERVER.contains(&name);
    for (name, value) in members.iter().filter(|(name, value)| !value.is_null() && !ours(name)) {
        let slot = slots().position(|slot| slot.name == name);
        match slot.filter(|slot| *slot < FIELDS.len()) {
            None => person.warn(format!("{name} is no field. It is kept in additional_info.")),
            Some(_) if !value.is_string() => {
                person.warn(format!("{name} must be a string. What was there is kept in additional_info."));
            }
            Some(_) => {}
        }
        match (slot, value) {
            (Some(slot), Value::String(text)) => person.add_labelled(slot, 1, "", text.as_str()),
            (None, Value::String(text)) => person.add_line(name, text),
            (_, value) => person.add_line(name, &value.to_string()),
        }
    }
    person
}

pub fn begin(out: &mut Vec<u8>) {
    out.push(b'[');
}

/// One contact a line, so that a report about an edited export leads to it.
pub fn contact(contact: &Contact<'_>, is_first: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if is_first { b"\n" } else { b",\n" });
    serde_json::to_writer(&mut *out, contact).expect("values of our own serialize into memory");
}

pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\n]\n");
}
