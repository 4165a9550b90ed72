//! vCard: 4.0 (RFC 6350) and 3.0 (RFC 2426) are written; both and 2.1, which old phones still write, are read.
//!
//! What is a line is decided in `lines.rs`. Here each line becomes a property, and each property a value or a line of the person:
//! a line that is no property is kept as it stands. A library (calcard) was used and given up: it tells nothing of what it skips.

use std::collections::HashMap;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::UTF_8;

use super::charset::{self, Charset};
use super::content_line::{escaped, instant, line, uuid};
use super::lines::{BEGIN, Coding, END, Line, Lines, colon, is, unquoted};
use super::person::{Person, day, phone_rank, slots};
use super::{Entries, Unreadable, malformed};
use crate::domain::contact::{Contact, FIELDS, Field, Property as Place, Value};

/// Properties that tell of the card, and not of the person. Apple's labels and countries are parameters by another name.
const OF_THE_CARD: [&str; 8] = ["VERSION", "PRODID", "UID", "REV", "CLIENTPIDMAP", "X-ABLABEL", "X-ABADR", "X-ABUID"];

/// What is a picture, a sound or a key, in the card itself or elsewhere.
const MEDIA: [&[u8]; 5] = [b"PHOTO", b"LOGO", b"SOUND", b"KEY", b"X-MS-CARDPICTURE"];

/// Properties whose values have parts.
const IN_PARTS: [&str; 5] = ["N", "ADR", "ORG", "GENDER", "CLIENTPIDMAP"];

/// The most bytes of a card without those: twice what the longest contact takes in the longest of encodings.
const MOST_BYTES: usize = 128 << 10;

/// Base64 as it is found: with or without padding, and cut off within a byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

// ---------------------------------------------------------------------------------------------------------------- writing

/// Appends a contact as a card of version 3.0 or 4.0.
pub fn contact(contact: &Contact<'_>, is_4: bool, out: &mut Vec<u8>) {
    line(out, "BEGIN", "VCARD");
    line(out, "VERSION", if is_4 { "4.0" } else { "3.0" });
    line(out, "PRODID", "-//contactd//Contacts//EN");
    let uid = format!("urn:uuid:{}", uuid(contact.id, &contact.created_at));
    line(out, "UID", &uid);
    line(out, "FN", &escaped(&contact.values.full_name()));
    let mut name: [String; 5] = Default::default();
    let (mut texts, mut dates) = (Vec::new(), Vec::new());
    for (field, value) in FIELDS.iter().zip(&contact.values.0) {
        match (field.vcard, value) {
            (Place::Name(index), Some(Value::Text(text))) => name[index] = escaped(text),
            (Place::Own(property), Some(Value::Text(text))) => texts.push((property, escaped(text))),
            (Place::Own(property), Some(Value::Date(date))) => {
                dates.push((property, date.format(if is_4 { "%Y%m%d" } else { "%Y-%m-%d" }).to_string()))
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

/// Reads card after card. Text is of `charset` where no property says otherwise.
pub fn read(file: &[u8], charset: Charset, entries: &mut Entries) -> Result<(), Unreadable> {
    let (mut open, mut is_known, mut is_stray) = (None::<Card<'_>>, false, false);
    for line in (Lines { rest: file, number: 1 }) {
        let (begins, ends) = (is(line.raw, BEGIN), is(line.raw, END));
        match &mut open {
            None if begins => {
                open = Some(Card { line: line.number, lines: Vec::new(), bytes: 0, depth: 1, within: None });
                (is_known, is_stray) = (true, false);
            }
            // Of lines between cards the first is reported.
            None if is_stray || line.raw.trim_ascii().is_empty() => {}
            None => {
                is_stray = true;
                entries.refuse(line.number, "This is not part of a card.")?;
            }
            Some(card) if begins => {
                card.depth += 1;
                card.within.get_or_insert(line.number);
            }
            Some(card) if ends => {
                card.depth -= 1;
                if card.depth == 0 {
                    card.take(charset, entries)?;
                    open = None;
                }
            }
            Some(card) => card.add(line),
        }
    }
    match open {
        _ if !is_known => Err(malformed("The file is no vCard: it has no BEGIN:VCARD.")),
        Some(Card { line, .. }) => {
            Err(malformed(format!("The card that begins in line {line} has no END:VCARD: the file is cut off.")))
        }
        None => Ok(()),
    }
}

/// A card.
struct Card<'a> {
    /// The line that it begins in.
    line: usize,
    lines: Vec<Line<'a>>,
    /// The bytes of these lines, without what is in base64.
    bytes: usize,
    /// How many ends are missing; more than one while a card in it is open.
    depth: usize,
    /// The line of the first card in it.
    within: Option<usize>,
}

impl<'a> Card<'a> {
    fn add(&mut self, line: Line<'a>) {
        let (header, value) = line.raw.split_at(colon(line.raw).unwrap_or(0));
        let header = header.to_ascii_uppercase();
        let name = header.split(|b| *b == b';').next().and_then(|name| name.split(|b| *b == b'.').next_back());
        // The address of a picture is kept, and how a name sounds, which Japanese phones write.
        let is_text = value.starts_with(b":http") || header.ends_with(b";X-IRMC-N");
        if !is_text && name.is_some_and(|name| MEDIA.contains(&name)) {
            return;
        }
        self.bytes += if line.coding == Coding::Base64 { 0 } else { line.raw.len() + 1 };
        if self.bytes <= MOST_BYTES {
            self.lines.push(line);
        }
    }

    fn take(&self, charset: Charset, entries: &mut Entries) -> Result<(), Unreadable> {
        if let Some(within) = self.within {
            let detail = format!("The card holds another one, in line {within}: take that out of it.");
            return entries.refuse(self.line, detail);
        }
        if self.bytes > MOST_BYTES {
            return entries.refuse(self.line, format!("The card has more than {MOST_BYTES} bytes besides pictures."));
        }
        match self.properties(charset) {
            Ok(properties) => person(&properties).finish(self.line, entries),
            Err(detail) => entries.refuse(self.line, detail),
        }
    }

    /// Its lines as properties.
    fn properties(&self, charset: Charset) -> Result<Vec<Property>, String> {
        let says = |text: &[u8]| self.lines.iter().any(|line| is(line.raw, text));
        let (is_21, is_ours) = (says(b"VERSION:2.1"), says(b"PRODID:-//contactd//Contacts//EN"));
        // Where a property names a charset, those that do not and are of no other may be of it, too.
        let charsets = [charset, self.lines.iter().find_map(|line| charset_of(line.raw)).unwrap_or(charset)];
        let lines = self.lines.iter().filter(|line| !line.raw.trim_ascii().is_empty());
        lines.map(|line| Property::read(line, charsets, is_21, is_ours)).collect()
    }
}

/// The charset that a property names, if it is known.
fn charset_of(line: &[u8]) -> Option<Charset> {
    let header = Some(&line[..colon(line)?]).filter(|header| header.contains(&b';'))?;
    let header = String::from_utf8_lossy(header).to_ascii_uppercase();
    let name = header.split(';').find_map(|param| param.trim().strip_prefix("CHARSET="));
    name.and_then(charset::named)
}

/// A line of a card.
#[derive(Default)]
struct Property {
    line: usize,
    group: String,
    /// In upper case; empty for a line that is no property.
    name: String,
    /// Names in upper case; those that version 2.1 leaves out are `TYPE`.
    params: Vec<(String, String)>,
    /// The value as it is before escapes are read. `None` if it is no text.
    value: Option<String>,
    is_21: bool,
    is_ours: bool,
}

impl Property {
    fn read(line: &Line<'_>, charsets: [Charset; 2], is_21: bool, is_ours: bool) -> Result<Property, String> {
        let bytes = line.unfolded(is_21);
        let own = charset_of(&bytes);
        let candidates = own.map_or(charsets, |charset| [charset; 2]);
        let decoded = |bytes: &[u8], candidates: [Charset; 2]| {
            let text = candidates.into_iter().find_map(|charset| charset::decoded(charset, bytes));
            text.map(|text| text.into_owned())
        };
        let undecodable = || {
            let name = candidates[0].name();
            format!("Line {} is not of the charset {name}: save the file as UTF-8.", line.number)
        };
        // Of a file in UTF-16 this is what was made of it; what is encoded may still be in any charset.
        let plain = candidates.map(|charset| if charset.name().starts_with("UTF-16") { UTF_8 } else { charset });
        let text = decoded(&bytes, plain).ok_or_else(undecodable)?;
        let at = colon(text.as_bytes()).unwrap_or(0);
        let mut params = text[..at].split(';').map(str::trim);
        let name = params.next().unwrap_or("");
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Ok(Property { line: line.number, value: Some(text), is_21, is_ours, ..Property::default() });
        }
        let (group, name) = name.rsplit_once('.').unwrap_or(("", name));
        let params = params.map(|param| {
            let (name, value) = param.split_once('=').unwrap_or(("TYPE", param));
            (name.trim().to_ascii_uppercase(), value.trim_matches(['"', ' ']).to_owned())
        });
        let (group, name, params) = (group.to_lowercase(), name.to_ascii_uppercase(), params.collect());
        let value = &text[at + 1..];
        let value = match line.coding {
            Coding::Plain => Some(value.to_owned()),
            Coding::Quoted => Some(decoded(&unquoted(value.as_bytes()), candidates).ok_or_else(undecodable)?),
            Coding::Base64 => {
                let bytes: Vec<u8> = value.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
                let text = BASE64.decode(bytes).ok().and_then(|bytes| decoded(&bytes, candidates));
                text.filter(|text| !text.contains(|c: char| c.is_control() && !c.is_whitespace()))
            }
        };
        Ok(Property { line: line.number, group, name, params, value, is_21, is_ours })
    }

    /// The parts of the value, without escapes. Version 2.1 has none but for what parts a value.
    fn parts(&self) -> Vec<String> {
        let has_parts = IN_PARTS.contains(&self.name.as_str());
        let value = self.value.as_deref().unwrap_or("");
        let (mut parts, mut part) = (Vec::new(), String::with_capacity(value.len()));
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some('n' | 'N') if !self.is_21 => part.push('\n'),
                    // Only cards of ours have it.
                    Some('r') if self.is_ours => part.push('\r'),
                    Some(c @ ('\\' | ',' | ';' | ':')) => part.push(c),
                    other => part.extend(['\\'].into_iter().chain(other)),
                },
                ';' if has_parts => parts.push(std::mem::take(&mut part)),
                c => part.push(c),
            }
        }
        parts.push(part);
        parts
    }

    /// All of the value, for people to read.
    fn text(&self) -> String {
        let parts = self.parts();
        let parts: Vec<_> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
        parts.join(", ")
    }

    /// What kinds of number or address it is.
    fn types(&self) -> Vec<String> {
        const CODINGS: [&str; 5] = ["quoted-printable", "base64", "b", "8bit", "7bit"];
        let types = self.params.iter().filter(|(name, _)| name == "TYPE").flat_map(|(_, value)| value.split(','));
        types.map(str::to_lowercase).filter(|kind| !CODINGS.contains(&kind.as_str())).collect()
    }

    /// The rank of a value. By RFC 6350 §5.3, 1 is preferred most; vCard 3.0 has a type for it.
    fn rank(&self) -> u8 {
        let types = self.types();
        let pref = self.params.iter().find(|(name, _)| name == "PREF").and_then(|(_, n)| n.parse::<u8>().ok());
        match pref {
            Some(n) => n.min(100),
            None if types.iter().any(|kind| kind == "pref") => 1,
            None if self.name == "TEL" => 101 + phone_rank(&types.join(" ")),
            None => 101,
        }
    }

    /// What stands before it in a line: `Phone (work)`.
    fn label(&self, name: &str, given: Option<&String>) -> String {
        let types = self.types().into_iter().filter(|kind| !["internet", "pref", "voice"].contains(&kind.as_str()));
        let kinds = given.map_or_else(|| types.collect::<Vec<_>>().join(", "), String::clone);
        if kinds.is_empty() { name.to_owned() } else { format!("{name} ({kinds})") }
    }
}

fn person(card: &[Property]) -> Person<'_> {
    let mut person = Person::default();
    // Labels as Apple writes them: a number and its label are two properties of one group. Its own words stand in brackets.
    let labels = card.iter().filter(|property| property.name == "X-ABLABEL" && !property.group.is_empty());
    let label = |text: &str| text.trim_start_matches("_$!<").trim_end_matches(">!$_").to_lowercase();
    let labels: HashMap<&str, String> = labels.map(|p| (p.group.as_str(), label(&p.text()))).collect();
    let mut is_named = false;
    for property in card {
        person.line = property.line;
        let (name, text) = (property.name.as_str(), property.text());
        let given = labels.get(property.group.as_str());
        let slot = slots().enumerate().find(|(_, slot)| matches!(slot.vcard, Place::Own(own) if own == name));
        match slot {
            _ if property.value.is_none() => person.warn(format!("{name} is no text, and is left out")),
            _ if name.is_empty() => person.add_stray(&text),
            _ if OF_THE_CARD.contains(&name) => {}
            _ if name == "N" && !is_named => is_named = add_name(&mut person, property),
            Some((index, slot)) if FIELDS.get(index).is_some_and(Field::is_date) => {
                person.add_day(index, slot.label, day(&text, false));
            }
            Some((index, slot)) => {
                let text = match name {
                    "EMAIL" => without_scheme(&text, "mailto:").to_owned(),
                    "TEL" if !property.is_ours => without_scheme(&text, "tel:").to_owned(),
                    _ => text,
                };
                match given {
                    Some(label) => person.add_labelled(index, property.rank(), label, text),
                    None => person.add(index, property.rank(), property.label(slot.label, None), text),
                }
            }
            None => person.add_line(&property.label(name_of(name), given), &text),
        }
    }
    person
}

fn name_of(name: &str) -> &str {
    match name {
        "ADR" => "Address",
        "TITLE" => "Title",
        "ROLE" => "Role",
        "URL" => "Website",
        "ANNIVERSARY" => "Anniversary",
        "CATEGORIES" => "Categories",
        "IMPP" => "Messenger",
        "PHOTO" => "Photo",
        "N" => "Name",
        other => other,
    }
}

/// Adds the components of `N` (RFC 6350 §6.2.2, RFC 9554 §2.2); `false` if those that are fields are blank.
fn add_name(person: &mut Person<'_>, property: &Property) -> bool {
    const LABELS: [&str; 7] =
        ["Last name", "First name", "Middle name", "Prefix", "Suffix", "Second last name", "Generation"];
    let mut is_named = false;
    for (index, part) in property.parts().into_iter().enumerate() {
        let label = LABELS.get(index).copied().unwrap_or("Name");
        match slots().position(|slot| slot.vcard == Place::Name(index)) {
            Some(slot) => {
                is_named |= !part.trim().is_empty();
                person.add(slot, 1, label, part);
            }
            None => person.add_further_name(label, &part),
        }
    }
    is_named
}

/// An address or a number without its scheme, unless that is part of what somebody wrote: `tel: see below`.
fn without_scheme<'a>(text: &'a str, scheme: &str) -> &'a str {
    match text.split_at_checked(scheme.len()) {
        Some((start, rest)) if start.eq_ignore_ascii_case(scheme) && !rest.starts_with(' ') => rest,
        _ => text,
    }
}
