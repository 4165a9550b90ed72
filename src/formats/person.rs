//! A contact as other programs keep it, on its way to the fields of ours: of several numbers one is *the* number, and what
//! has no field becomes a line of `additional_info`, so that nothing is lost in silence.

use std::borrow::Cow;
use std::collections::HashSet;

use chrono::Month;

use super::columns::english;
use super::{Entries, Unreadable};
use crate::domain::contact::{
    ADDITIONAL_INFO, Draft, EMAIL, FIELDS, FIRST_NAME, LAST_NAME, PHONE_NUMBER, Property, Values,
};

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
const OTHER_NAMES: [Slot; 3] = [
    Slot { name: "name", label: "Name", vcard: Property::Own("FN"), headings: &["full name", "display name"] },
    Slot { name: "nickname", label: "Nickname", vcard: Property::Own("NICKNAME"), headings: &["nick name"] },
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
pub const STAND_INS: [usize; 6] = [FULL_NAME, LAST_NAME, FULL_NAME + 1, FULL_NAME + 2, EMAIL, PHONE_NUMBER];

/// The fields, then the other names.
pub fn slots() -> impl Iterator<Item = Slot> {
    let fields = FIELDS.iter();
    let fields = fields.map(|f| Slot { name: f.name, label: f.label, vcard: f.vcard, headings: f.headings });
    fields.chain(OTHER_NAMES)
}

/// What an entry of a file says, gathered value by value.
#[derive(Debug, Default)]
pub struct Person<'a> {
    /// The line of the file in which what is added next stands; 0 for that of the entry.
    pub line: usize,
    values: Vec<Value<'a>>,
    /// The names besides first and last.
    further_names: Vec<String>,
    lines: Vec<String>,
    /// What a person should know, each with its line.
    warnings: Vec<(usize, String)>,
}

/// A value of a slot. Of several the one with the smallest rank counts, and of those the first; the others become lines.
#[derive(Debug)]
struct Value<'a> {
    slot: usize,
    rank: u8,
    line: usize,
    /// What stands before it in a line.
    label: Cow<'a, str>,
    text: Cow<'a, str>,
    /// Whether it becomes a line in any case, for what it is called.
    is_labelled: bool,
}

impl<'a> Person<'a> {
    /// Adds a value, unless it is blank.
    pub fn add(&mut self, slot: usize, rank: u8, label: impl Into<Cow<'a, str>>, text: impl Into<Cow<'a, str>>) {
        let text = text.into();
        if !text.trim().is_empty() {
            self.values.push(Value { slot, rank, line: self.line, label: label.into(), text, is_labelled: false });
        }
    }

    /// Adds a value with what it is called. If somebody called it something of their own, that is kept.
    pub fn add_labelled(&mut self, slot: usize, rank: u8, kind: &str, text: impl Into<Cow<'a, str>>) {
        let before = self.values.len();
        let name = slots().nth(slot).map_or("", |slot| slot.label);
        self.add(slot, rank, if kind.is_empty() { name.to_owned() } else { format!("{name} ({kind})") }, text);
        let is_usual = phone_rank(kind) != OTHER_KIND || ["", "other"].contains(&kind.to_lowercase().as_str());
        self.values[before..].iter_mut().for_each(|value| value.is_labelled = !is_usual);
    }

    /// Adds a date, and what else there is to say of it.
    pub fn add_day(&mut self, slot: usize, label: &'a str, (date, more): Day) {
        self.add(slot, 1, label, date);
        self.add_line(label, &more);
    }

    /// Adds something that has no slot.
    pub fn add_line(&mut self, label: &str, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            self.lines.push(format!("{label}: {value}"));
        }
    }

    /// Adds what belongs to nothing.
    pub fn add_stray(&mut self, text: &str) {
        self.lines.push(text.trim().to_owned());
        self.warn("This line says nothing of what it is. It is kept in additional_info.");
    }

    /// Adds a middle name, a prefix or a suffix.
    pub fn add_further_name(&mut self, label: &str, name: &str) {
        self.add_line(label, name);
        self.further_names.push(name.to_owned());
    }

    /// Notes what a person should know of the line.
    pub fn warn(&mut self, detail: impl Into<String>) {
        self.warnings.push((self.line, detail.into()));
    }

    /// The value of a slot that counts; empty where there is none.
    fn text(&self, slot: usize) -> &str {
        self.place(slot).map_or("", |place| self.values[place].text.trim())
    }

    fn place(&self, slot: usize) -> Option<usize> {
        let places = (0..self.values.len()).filter(|place| self.values[*place].slot == slot);
        places.min_by_key(|place| self.values[*place].rank)
    }

    /// Fills in a missing first name: from the name as a whole, without the last name in it, and not taken apart further since
    /// where one name ends is a guess; else from what stands in for it.
    fn complete_name(&mut self) {
        let place = STAND_INS.iter().find_map(|slot| self.place(*slot));
        let Some(place) = place.filter(|_| self.place(FIRST_NAME).is_none()) else {
            return;
        };
        let (slot, name) = (self.values[place].slot, self.values[place].text.trim().to_owned());
        // They stay what they are as well.
        if slot == EMAIL || slot == PHONE_NUMBER {
            return self.add(FIRST_NAME, 1, FIELDS[FIRST_NAME].label, name);
        }
        self.values[place].slot = FIRST_NAME;
        let Some(last) = self.place(LAST_NAME).filter(|_| slot == FULL_NAME) else {
            return;
        };
        let last_name = self.values[last].text.trim();
        let is_apart = |rest: &&str| rest.is_empty() || rest.starts_with([' ', ',']) || rest.ends_with(' ');
        let rest = name.strip_suffix(last_name).or_else(|| name.strip_prefix(last_name)).filter(is_apart);
        match rest.map(|rest| rest.trim_matches([' ', ','])) {
            Some("") => drop(self.values.remove(last)),
            Some(rest) => {
                self.values[place].text = Cow::Owned(rest.to_owned());
                self.add(FULL_NAME, 1, OTHER_NAMES[0].label, name);
            }
            // With the whole name as first name, a last name would be one too many.
            None => {
                let value = self.values.remove(last);
                self.add_line(&value.label, &value.text);
            }
        }
    }

    /// Drops the name as a whole if the others say the same, in the same order; else it will be a line.
    fn drop_full_name(&mut self) {
        let Some(place) = self.place(FULL_NAME) else {
            return;
        };
        let (full, first, last) = (self.text(FULL_NAME), self.text(FIRST_NAME), self.text(LAST_NAME));
        let further = self.further_names.iter().map(String::as_str);
        let known: HashSet<&str> = [first, last].into_iter().chain(further).flat_map(words).collect();
        let at = |name: &str| full.find(name).filter(|_| !name.is_empty());
        let in_order = full.contains(", ") || at(first).zip(at(last)).is_none_or(|(first, last)| first <= last);
        if in_order && words(full).all(|word| known.contains(word)) {
            self.values.remove(place);
        }
    }

    /// Hands the person over. Of the values of a field the first that its rule takes is the field's; the others become lines.
    pub fn finish(mut self, line: usize, entries: &mut Entries) -> Result<(), Unreadable> {
        self.complete_name();
        self.drop_full_name();
        self.values.sort_by_key(|value| (value.slot, value.rank));
        let mut draft: Draft = Values(FIELDS.each_ref().map(|_| None));
        let (mut info, mut others) = (Vec::new(), Vec::new());
        for value in self.values {
            let other = || format!("{}: {}", value.label, value.text.trim());
            let Some(field) = FIELDS.get(value.slot) else {
                self.lines.push(other());
                continue;
            };
            if value.slot == ADDITIONAL_INFO {
                info.push(value.text);
                continue;
            }
            let text = without_controls(&value.text, "");
            let kept = &mut draft.0[value.slot];
            match field.read(&text, entries.today) {
                Ok(read) if kept.is_none() => {
                    *kept = read;
                    others.extend(value.is_labelled.then(other));
                }
                Ok(read) if *kept == read => {}
                Ok(_) => others.push(other()),
                Err(detail) => {
                    if kept.is_none() {
                        let detail = format!("{} {detail}. What was there is kept in additional_info.", field.name);
                        self.warnings.push((value.line, detail));
                    }
                    if field.is_required {
                        *kept = field.read(&field.cut(&text), entries.today).unwrap_or_default();
                    }
                    others.push(other());
                }
            }
        }
        if draft.0[FIRST_NAME].is_none() {
            return entries.refuse(line, "first_name is required, and there is nothing to stand in for it");
        }
        info.extend(self.lines.into_iter().chain(others).map(Cow::Owned));
        let (field, info) = (&FIELDS[ADDITIONAL_INFO], info.join("\n"));
        let info = without_controls(&info, "\n\r\t");
        draft.0[ADDITIONAL_INFO] = field.read(&info, entries.today).unwrap_or_else(|detail| {
            self.warnings.push((line, format!("additional_info {detail}. The end of it is cut off.")));
            field.read(&field.cut(&info), entries.today).unwrap_or_default()
        });
        for (at, detail) in self.warnings {
            entries.warn(if at == 0 { line } else { at }, detail);
        }
        entries.take(draft)
    }
}

/// Text with spaces in place of control characters, but for these.
fn without_controls<'a>(text: &'a str, kept: &str) -> Cow<'a, str> {
    let is_bad = |c: char| c.is_control() && !kept.contains(c);
    if text.contains(is_bad) { Cow::Owned(text.replace(is_bad, " ")) } else { Cow::Borrowed(text) }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',']).filter(|word| !word.is_empty())
}

/// What kinds of numbers are called, by parts of words in lower case. A number that is for somebody else or for a machine comes
/// last, whatever else it is called.
const KINDS: [(u8, &[&str]); 8] = [
    (9, &["fax", "telex", "tty", "isdn"]),
    (8, &["pager"]),
    (7, &["assist"]),
    (6, &["main", "company", "car ", "callback", "radio"]),
    (0, &["mobil", "cell", "iphone", "gsm"]),
    (1, &["primary"]),
    (2, &["home"]),
    (3, &["work", "business"]),
];

/// The rank of a kind that nobody knows.
const OTHER_KIND: u8 = 5;

/// How much a number is the person's own, the smallest first, by what it is called.
pub fn phone_rank(kind: &str) -> u8 {
    let kind = kind.to_lowercase();
    let kind = english(&kind);
    let known = KINDS.iter().find(|(_, parts)| parts.iter().any(|part| kind.contains(part)));
    known.map_or(OTHER_KIND, |(rank, _)| *rank)
}

/// What a birthday in a file turned out to be: a date as `YYYY-MM-DD`, not checked further, or what is none; and what else it
/// says, for people to read. Each may be empty.
pub type Day = (String, String);

/// Years that stand for none: Apple's, and zeros.
const NO_YEARS: [&str; 2] = ["1604", "0000"];

/// Reads a date whose year has four digits: as in a vCard (RFC 6350 §4.3.4), also with a time behind, and as people write it.
/// With slashes the month comes first, unless `is_day_first` or only the second number can be it; with dots the day does. A day
/// without a year becomes words, for a number does not tell which is the month. Zeros are nothing.
pub fn day(text: &str, is_day_first: bool) -> Day {
    let text = text.trim().trim_end_matches(';');
    let unknown = || (text.to_owned(), String::new());
    if !text.contains(|c: char| c.is_alphanumeric() && c != '0') {
        return Day::default();
    }
    let yearless = |month: &str, day: &str| {
        let month = month.parse::<u8>().ok().and_then(|month| Month::try_from(month).ok());
        let day = day.parse::<u8>().ok().filter(|day| (1..=31).contains(day));
        month.zip(day).map_or_else(unknown, |(month, day)| (String::new(), format!("{day} {}", month.name())))
    };
    let is_yearless = text.starts_with("--");
    let (numbers, separator, rest) = numbers(text.trim_start_matches("--"));
    let is_day = |a, b| (separator == '.' || is_day_first) && !is_over_12(b) || is_over_12(a);
    let in_order = |a, b| if is_day(a, b) { (b, a) } else { (a, b) };
    let (year, (month, day), rest) = match numbers[..] {
        [one] if is_yearless && one.len() == 4 => ("0000", one.split_at(2), rest),
        [month, day] if is_yearless => ("0000", (month, day), rest),
        [one] if one.len() == 8 || one.len() == 14 => (&one[..4], one[4..8].split_at(2), &text[8..]),
        [year, month, day] if year.len() == 4 => (year, (month, day), rest),
        [a, b, year] if year.len() == 4 => (year, in_order(a, b), rest),
        [a, b] if separator != '-' => ("0000", in_order(a, b), rest),
        _ => return unknown(),
    };
    let time = rest.trim_matches(['.', ' ', ',', 'T', 't', 'Z', 'z']).to_ascii_uppercase();
    if month.len() > 2 || day.len() > 2 || !time.chars().all(|c| c.is_ascii_digit() || ":.,+- APM".contains(c)) {
        return unknown();
    }
    if NO_YEARS.contains(&year) {
        return yearless(month, day);
    }
    let time = if time.ends_with("AM") { time.replacen("12:", "", 1) } else { time };
    let is_timed = time.contains(|c| ('1'..='9').contains(&c));
    (format!("{year}-{month:0>2}-{day:0>2}"), if is_timed { text.to_owned() } else { String::new() })
}

/// The numbers that a date begins with, at most three, what parts them, and what stands behind them.
pub fn numbers(text: &str) -> (Vec<&str>, char, &str) {
    let (mut numbers, mut separator, mut rest) = (Vec::new(), ' ', text);
    while numbers.len() < 3 {
        let (number, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        if number.is_empty() {
            break;
        }
        numbers.push(number);
        rest = behind;
        match behind.chars().next() {
            Some(c @ ('-' | '/' | '.')) if numbers.len() < 3 && (numbers.len() == 1 || c == separator) => {
                separator = c;
                rest = behind[1..].trim_start();
            }
            _ => break,
        }
    }
    (numbers, separator, rest)
}

/// Whether a number can be no month.
pub fn is_over_12(number: &str) -> bool {
    number.parse::<u16>().is_ok_and(|n| n > 12)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn birthdays_as_programs_write_them() {
        let date = |text: &str| (text.to_owned(), String::new());
        let spoken = |text: &str| (String::new(), text.to_owned());
        for (text, expected) in [
            ("19900517", date("1990-05-17")),
            ("1990-05-17", date("1990-05-17")),
            ("1990-05-17T00:00:00Z", date("1990-05-17")),
            ("1990-05-17;", date("1990-05-17")),
            ("1990-05-17 00:00", date("1990-05-17")),
            ("1990/5/7", date("1990-05-07")),
            ("1990. 05. 17.", date("1990-05-17")),
            ("17.05.1990 0:00:00", date("1990-05-17")),
            ("17. 5. 1990", date("1990-05-17")),
            ("5/17/1990 12:00:00 AM", date("1990-05-17")),
            ("17-05-1990", date("1990-05-17")),
            ("--0517", spoken("17 May")),
            (" --05-17", spoken("17 May")),
            ("--0229", spoken("29 February")),
            ("1604-05-17", spoken("17 May")),
            ("0000-05-17", spoken("17 May")),
            ("5/18", spoken("18 May")),
            ("18.5.", spoken("18 May")),
            ("0.0.00", Day::default()),
            ("0000-00-00", Day::default()),
            ("  /  /    ", Day::default()),
        ] {
            assert_eq!(day(text, false), expected, "{text}");
        }
        for text in ["19900517T235900-0500", "19560411230000", "1990-05-17 1:00 AM", "1990-05-17T00:00:00+02:00"] {
            assert_eq!(day(text, false).1, text);
        }
        for text in [
            "--1301",
            "--0500",
            "1990-05",
            "circa 1800",
            "--05é7",
            "19é0051",
            "1990-é-17",
            "1.2.90",
            "1990-05-17 or so",
            "١٩٩٠",
        ] {
            assert_eq!(day(text, false), date(text));
        }
        assert_eq!([day("5/6/1990", true), day("5/17/1990", true)], [date("1990-06-05"), date("1990-05-17")]);
    }
}
