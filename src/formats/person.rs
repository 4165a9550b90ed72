//! A contact as other programs keep it, on its way to the fields of ours: of several numbers one is *the* number, and what
//! has no field becomes a line of `additional_info`, so that nothing is lost in silence.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Entries, Unreadable};
use crate::domain::fields::Source;

/// What an entry of a file says, gathered field by field.
#[derive(Debug, Default)]
pub struct Person<'a> {
    pub first_name: Cow<'a, str>,
    pub last_name: Cow<'a, str>,
    /// The name as a whole, where a file has it.
    pub full_name: Cow<'a, str>,
    pub organization: Cow<'a, str>,
    pub birthday: Option<Cow<'a, str>>,
    note: Cow<'a, str>,
    /// The names besides first and last.
    further_names: Vec<String>,
    emails: Vec<Reach<'a>>,
    phones: Vec<Reach<'a>>,
    lines: Vec<String>,
}

/// An address or a number.
#[derive(Debug)]
struct Reach<'a> {
    /// The smallest comes first.
    rank: u8,
    label: String,
    value: Cow<'a, str>,
}

impl<'a> Person<'a> {
    /// An e-mail address; the smallest rank counts, and of several the first. The label is for the others.
    pub fn email(&mut self, rank: u8, label: String, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        if !value.trim().is_empty() {
            self.emails.push(Reach { rank, label, value });
        }
    }

    /// A phone number, likewise.
    pub fn phone(&mut self, rank: u8, label: String, value: impl Into<Cow<'a, str>>) {
        let value = value.into();
        if !value.trim().is_empty() {
            self.phones.push(Reach { rank, label, value });
        }
    }

    /// Something that has no field.
    pub fn line(&mut self, label: &str, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            self.lines.push(format!("{label}: {value}"));
        }
    }

    /// A birthday in whatever form.
    pub fn set_birthday(&mut self, day: Day, text: impl Into<Cow<'a, str>>) {
        match day {
            Day::Date(date) => self.birthday = Some(Cow::Owned(date)),
            Day::WithoutYear(day) => self.line("Birthday", &day),
            Day::Unknown => self.birthday = Some(text.into()),
        }
    }

    /// A note; of several each is a paragraph.
    pub fn note(&mut self, text: &str) {
        if !self.note.trim().is_empty() {
            self.note.to_mut().push('\n');
        }
        self.note.to_mut().push_str(text);
    }

    /// A middle name, a prefix or a suffix.
    pub fn further_name(&mut self, label: &str, name: &str) {
        self.line(label, name);
        self.further_names.push(name.to_owned());
    }

    /// Fills in a missing first name: from the name as a whole, which is not taken apart since where one name ends is a
    /// guess, else from the last name, else from the organization. What is left over of them becomes a line.
    pub fn settle_name(&mut self) {
        let names = [&mut self.full_name, &mut self.last_name, &mut self.organization];
        if self.first_name.trim().is_empty() {
            let name = names.into_iter().find(|name| !name.trim().is_empty());
            self.first_name = name.map(std::mem::take).unwrap_or_default();
            // A whole name that is the last name is no other name.
            if self.first_name == self.last_name {
                self.last_name = Cow::default();
            }
        }
        self.keep_other_names();
    }

    /// Keeps the name as a whole as a line, unless the others say the same, and the organization.
    pub fn keep_other_names(&mut self) {
        let names = [&self.first_name, &self.last_name];
        let names = names.into_iter().map(|name| &**name);
        let known: HashSet<&str> = names.chain(self.further_names.iter().map(String::as_str)).flat_map(words).collect();
        let is_known = words(&self.full_name).all(|word| known.contains(word));
        let full_name = std::mem::take(&mut self.full_name);
        if !is_known {
            self.line("Name", &full_name);
        }
        let organization = std::mem::take(&mut self.organization);
        self.line("Organization", &organization);
    }

    /// Hands it over, to be checked by the rules.
    pub fn settle(mut self, line: usize, entries: &mut Entries) -> Result<(), Unreadable> {
        let email = first(&mut self.emails);
        let phone = first(&mut self.phones);
        for Reach { label, value, .. } in self.emails.iter().chain(&self.phones) {
            self.lines.push(format!("{label}: {}", value.trim()));
        }
        let mut info = self.note;
        for line in &self.lines {
            if !info.trim().is_empty() {
                info.to_mut().push('\n');
            }
            info.to_mut().push_str(line);
        }
        let mut pairs = vec![
            (Cow::Borrowed("first_name"), self.first_name),
            (Cow::Borrowed("last_name"), self.last_name),
            (Cow::Borrowed("additional_info"), info),
        ];
        let more = [("email", email), ("phone_number", phone), ("birthday", self.birthday)];
        pairs.extend(more.into_iter().filter_map(|(name, value)| Some((Cow::Borrowed(name), value?))));
        entries.take(line, Source::Pairs(&pairs))
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',']).filter(|word| !word.is_empty())
}

/// Takes out the one with the smallest rank, the first of them.
fn first<'a>(of: &mut Vec<Reach<'a>>) -> Option<Cow<'a, str>> {
    let index = (0..of.len()).min_by_key(|i| of[*i].rank)?;
    Some(of.remove(index).value)
}

/// What a birthday in a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Day {
    /// A date as `YYYY-MM-DD`, not checked further.
    Date(String),
    /// A day of the year, for people to read.
    WithoutYear(String),
    /// Something else.
    Unknown,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Reads what vCard calls a date-and-or-time (RFC 6350 §4.3.4) as far as it has a day: `19900517`, `1990-05-17`, both also
/// with a time behind, whose zone is ignored since a birthday has none; `--0517` and `--05-17`, which have no year.
pub fn day(text: &str) -> Day {
    let text = text.trim();
    let date = text.split(['T', 't', ' ']).next().unwrap_or(text);
    if let Some(rest) = date.strip_prefix("--") {
        let digits = rest.replacen('-', "", 1);
        if !is_digits(&digits, 4) {
            return Day::Unknown;
        }
        return without_year(&digits[..2], &digits[2..]);
    }
    let is_dashed = date.len() == 10 && date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-';
    let digits = if is_dashed { date.replace('-', "") } else { date.to_owned() };
    if !is_digits(&digits, 8) {
        return Day::Unknown;
    }
    Day::Date(format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]))
}

/// A day of the year in words, for a number tells not whether the month comes first.
pub fn without_year(month: &str, day: &str) -> Day {
    let name = month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    match (name, day.parse::<u8>()) {
        (Some(name), Ok(day @ 1..=31)) => Day::WithoutYear(format!("{day} {name}")),
        _ => Day::Unknown,
    }
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
            ("--1301", Day::Unknown),
            ("--0500", Day::Unknown),
            ("1990-05", Day::Unknown),
            ("circa 1800", Day::Unknown),
            ("--05é7", Day::Unknown),
            ("19é0051", Day::Unknown),
            ("1990-é-17", Day::Unknown),
            ("", Day::Unknown),
        ] {
            assert_eq!(day(text), expected, "{text}");
        }
    }
}
