//! JSON: an array of contacts as the API shows them.

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Entries, Unreadable, malformed, newlines};
use crate::domain::contact::Contact;
use crate::domain::fields::{Source, no_json};

/// The most bytes of one entry: what the body of a `POST` may have, for JSON values take many times their text in memory.
const ENTRY_LIMIT: usize = 1 << 20;

/// Reads an array element by element, so that no more than one is in memory as values.
pub fn read(text: &str, entries: &mut Entries) -> Result<(), Unreadable> {
    if !text.trim_start().starts_with('[') {
        return Err(malformed("The file must be a JSON array of contacts."));
    }
    let mut walk = Walk { text, entries, seen: 0, line: 1, refused: None };
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
    /// The bytes whose lines are counted.
    seen: usize,
    line: usize,
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
        self.line += newlines(&self.text.as_bytes()[self.seen..start]);
        self.seen = start;
        if raw.len() > ENTRY_LIMIT {
            return self.entries.refuse(self.line, format!("The entry has more than {ENTRY_LIMIT} bytes."));
        }
        match serde_json::from_str::<Map<String, Value>>(raw) {
            Ok(members) => self.entries.take(self.line, Source::Json(&members)),
            // It parsed as JSON before: it is something else than an object, is nested too deep, or has half a surrogate pair.
            Err(_) if raw.starts_with('{') => {
                self.entries.refuse(self.line, "The entry is nested too deep, or has an escape that is no character.")
            }
            Err(_) => self.entries.refuse(self.line, "The entry must be a JSON object."),
        }
    }
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
