//! A contact as other programs keep it, on its way to the fields of ours: of several numbers one is *the* number, and what
//! has no field becomes a line of `additional_info`, so that nothing is lost in silence.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono::Month;

use super::{Entries, Unreadable};
use crate::domain::contact::{ADDITIONAL_INFO, FIELDS, FIRST_NAME, LAST_NAME, Property};
use crate::domain::fields::Source;

/// What a value can be in a file: a field, or one of [`OTHER_NAMES`]. Code knows a slot by its place in [`slots`].
#[derive(Clone, Copy)]
pub struct Slot {
    /// Its heading in our own CSV files.
    pub name: &'static str,
    /// See [`Field`](crate::domain::contact::Field), as for the rest.
    pub label: &'static str,
    pub vcard: Property,
    pub headings: &'static [&'static str],
}

/// Names that no field holds. One of them may stand in for a missing first name. A field that has the vCard property or a
/// heading of one of them takes it over.
const OTHER_NAMES: [Slot; 2] = [
    Slot { name: "name", label: "Name", vcard: Property::Own("FN"), headings: &["full name", "display name"] },
    Slot {
        name: "organization",
        label: "Organization",
        vcard: Property::Own("ORG"),
        headings: &["company", "organization name", "organization 1 - name"],
    },
];

/// The slot of the name as a whole.
pub const FULL_NAME: usize = FIELDS.len();

/// The slots that can stand in for a first name, the best one first.
pub fn stand_ins() -> [usize; 3] {
    let organization = slots().position(|slot| slot.vcard == Property::Own("ORG"));
    [FULL_NAME, LAST_NAME, organization.unwrap_or(FULL_NAME + 1)]
}

/// The fields, then the other names.
pub fn slots() -> impl Iterator<Item = Slot> {
    let fields = FIELDS.iter();
    let fields = fields.map(|f| Slot { name: f.name, label: f.label, vcard: f.vcard, headings: f.headings });
    fields.chain(OTHER_NAMES)
}

/// What an entry of a file says, gathered value by value.
#[derive(Debug, Default)]
pub struct Person<'a> {
    values: Vec<Value<'a>>,
    /// The names besides first and last.
    further_names: Vec<String>,
    lines: Vec<String>,
}

/// A value of a slot. Of several the one with the smallest rank counts, and of those the first; the others become lines.
#[derive(Debug)]
struct Value<'a> {
    slot: usize,
    rank: u8,
    /// What stands before it in a line.
    label: Cow<'a, str>,
    text: Cow<'a, str>,
}

impl<'a> Person<'a> {
    /// Adds a value, unless it is blank.
    pub fn add(&mut self, slot: usize, rank: u8, label: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.values.push(Value { slot, rank, label: label.into(), text });
        }
    }

    /// Adds a date, unless it has no year: then it is a line.
    pub fn add_day(&mut self, slot: usize, label: &'a str, day: Day) {
        match day {
            Day::Date(date) => self.add(slot, 1, label, date),
            Day::WithoutYear(text) | Day::Unknown(text) => self.add_line(label, &text),
        }
    }

    /// Adds something that has no slot.
    pub fn add_line(&mut self, label: &str, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            self.lines.push(format!("{label}: {value}"));
        }
    }

    /// Adds a middle name, a prefix or a suffix.
    pub fn add_further_name(&mut self, label: &str, name: &str) {
        self.add_line(label, name);
        self.further_names.push(name.to_owned());
    }

    /// The value of a slot that counts; empty where there is none.
    pub fn text(&self, slot: usize) -> &str {
        self.place(slot).map_or("", |place| &self.values[place].text)
    }

    fn place(&self, slot: usize) -> Option<usize> {
        let places = (0..self.values.len()).filter(|place| self.values[*place].slot == slot);
        places.min_by_key(|place| self.values[*place].rank)
    }

    fn take(&mut self, slot: usize) -> Option<Cow<'a, str>> {
        self.place(slot).map(|place| self.values.remove(place).text)
    }

    /// Fills in a missing first name: from the name as a whole, which is not taken apart since where one name ends is a
    /// guess, else from the last name, else from the organization. What is left of them becomes a line.
    pub fn complete_name(&mut self) {
        if self.place(FIRST_NAME).is_none() {
            if let Some(place) = stand_ins().iter().find_map(|slot| self.place(*slot)) {
                self.values[place].slot = FIRST_NAME;
            }
            // A whole name that is the last name is no other name.
            if self.text(FIRST_NAME) == self.text(LAST_NAME) {
                self.take(LAST_NAME);
            }
        }
        self.keep_other_names();
    }

    /// Keeps the name as a whole as a line, unless the others say the same, and the organization.
    pub fn keep_other_names(&mut self) {
        let full_name = self.take(FULL_NAME).unwrap_or_default();
        let is_name = |slot: &usize| matches!(FIELDS[*slot].vcard, Property::Name(_));
        let names = (0..FIELDS.len()).filter(is_name).map(|slot| self.text(slot));
        let known: HashSet<&str> = names.chain(self.further_names.iter().map(String::as_str)).flat_map(words).collect();
        if !words(&full_name).all(|word| known.contains(word)) {
            self.add_line("Name", &full_name);
        }
        let organization = self.take(FULL_NAME + 1).unwrap_or_default();
        self.add_line("Organization", &organization);
    }

    /// Hands the person over, to be checked by the rules.
    pub fn finish(mut self, line: usize, entries: &mut Entries) -> Result<(), Unreadable> {
        let mut pairs = Vec::with_capacity(FIELDS.len());
        for (slot, field) in FIELDS.iter().enumerate().filter(|(slot, _)| *slot != ADDITIONAL_INFO) {
            pairs.extend(self.take(slot).map(|text| (Cow::Borrowed(field.name), text)));
        }
        let (notes, mut others): (Vec<_>, Vec<_>) = self.values.into_iter().partition(|v| v.slot == ADDITIONAL_INFO);
        others.sort_by_key(|value| value.slot);
        let mut info: Vec<_> = notes.into_iter().map(|note| note.text).collect();
        info.extend(self.lines.into_iter().map(Cow::Owned));
        info.extend(others.iter().map(|value| Cow::Owned(format!("{}: {}", value.label, value.text.trim()))));
        pairs.push((Cow::Borrowed(FIELDS[ADDITIONAL_INFO].name), Cow::Owned(info.join("\n"))));
        entries.take(line, Source::Pairs(&pairs))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',']).filter(|word| !word.is_empty())
}

/// What a birthday in a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Day {
    /// A date as `YYYY-MM-DD`, not checked further.
    Date(String),
    /// A day of the year, for people to read.
    WithoutYear(String),
    /// Something else, as it stands in the file.
    Unknown(String),
}

/// Reads what vCard calls a date-and-or-time (RFC 6350 §4.3.4) as far as it has a day: `19900517`, `1990-05-17`, both also
/// with a time behind, whose zone is ignored since a birthday has none; `--0517` and `--05-17`, which have no year.
pub fn day(text: &str) -> Day {
    let unknown = || Day::Unknown(text.to_owned());
    let text = text.trim();
    let date = text.split(['T', 't', ' ']).next().unwrap_or(text);
    if let Some(rest) = date.strip_prefix("--") {
        let digits = rest.replacen('-', "", 1);
        let day = is_digits(&digits, 4).then(|| without_year(&digits[..2], &digits[2..]));
        return day.flatten().map_or_else(unknown, Day::WithoutYear);
    }
    let is_dashed = date.len() == 10 && date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-';
    let digits = if is_dashed { date.replace('-', "") } else { date.to_owned() };
    if !is_digits(&digits, 8) {
        return unknown();
    }
    Day::Date(format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]))
}

/// A day of the year in words, for a number does not tell whether the month comes first.
pub fn without_year(month: &str, day: &str) -> Option<String> {
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let day = day.parse::<u8>().ok().filter(|day| (1..=31).contains(day))?;
    Some(format!("{day} {}", month.name()))
}

fn is_digits(text: &str, count: usize) -> bool {
    text.len() == count && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birthdays_as_programs_write_them() {
        let date = |text: &str| Day::Date(text.to_owned());
        let spoken = |text: &str| Day::WithoutYear(text.to_owned());
        for (text, expected) in [
            ("19900517", date("1990-05-17")),
            ("1990-05-17", date("1990-05-17")),
            ("1990-05-17T00:00:00Z", date("1990-05-17")),
            ("19900517T235900-0500", date("1990-05-17")),
            ("1990-05-17 00:00", date("1990-05-17")),
            ("--0517", spoken("17 May")),
            (" --05-17", spoken("17 May")),
            ("--0229", spoken("29 February")),
        ] {
            assert_eq!(day(text), expected, "{text}");
        }
        for text in ["--1301", "--0500", "1990-05", "circa 1800", "--05é7", "19é0051", "1990-é-17", ""] {
            assert_eq!(day(text), Day::Unknown(text.to_owned()));
        }
    }
}
