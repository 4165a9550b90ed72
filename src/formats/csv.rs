//! CSV (RFC 4180), headings first: our own, Google's and Outlook's.
//!
//! A cell that a spreadsheet would run as a formula gets an apostrophe in front, and loses it when it comes back.

use std::borrow::Cow;

use ::csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};

use super::columns::{Column, columns, labels};
use super::person::{Day, Person, day, slots};
use super::{Entries, Unreadable, malformed};
use crate::domain::contact::{BIRTHDAY, Contact, FIELDS, FIRST_NAME, Value};
use crate::domain::shape::Rfc3339;

/// The most cells of a row: twice what the longest of known headings have.
const MOST_CELLS: usize = 256;

// ---------------------------------------------------------------------------------------------------------------- writing

/// Appends the headings.
pub fn begin(out: &mut Vec<u8>) {
    row(out, |write| {
        write("id");
        FIELDS.iter().for_each(|field| write(field.name));
        write("created_at");
        write("updated_at");
    });
}

/// Appends a contact.
pub fn contact(contact: &Contact<'_>, out: &mut Vec<u8>) {
    row(out, |write| {
        write(&contact.id.to_string());
        for value in &contact.values.0 {
            match value {
                Some(Value::Text(text)) => write(&defused(text)),
                Some(Value::Date(date)) => write(&date.to_string()),
                None => write(""),
            }
        }
        write(&Rfc3339(contact.created_at).to_string());
        write(&Rfc3339(contact.updated_at).to_string());
    });
}

fn row(out: &mut Vec<u8>, cells: impl FnOnce(&mut dyn FnMut(&str))) {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).buffer_capacity(512).from_writer(&mut *out);
    cells(&mut |cell| {
        writer.write_field(cell).expect("text is written into memory");
    });
    writer.write_record(None::<&[u8]>).expect("text is written into memory");
    drop(writer);
}

/// Whether a spreadsheet would run a cell with this text, or would run it but for the apostrophes before it. Counting those
/// too makes the round trip exact, and an apostrophe that is part of a name, as in 't Hooft, is left alone.
fn runs(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn defused(text: &str) -> Cow<'_, str> {
    if runs(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

fn restored(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| runs(text)).unwrap_or(cell)
}

// ---------------------------------------------------------------------------------------------------------------- reading

/// Reads the rows.
pub fn read(text: &str, entries: &mut Entries) -> Result<(), Unreadable> {
    let delimiter = delimiter(text);
    check(text, delimiter)?;
    let open =
        || ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut reader = open();
    let mut record = StringRecord::new();
    next(&mut reader, &mut record)?;
    let columns = columns(&record)?;
    let table = Table {
        is_day_first: is_day_first(&mut open(), &columns)?,
        labels: labels(&columns),
        columns,
        headings: record.clone(),
    };
    let expected = table.columns.len();
    // Our own headings mean our own rules; elsewhere a missing first name is looked for in other columns.
    let is_ours = record.iter().any(|heading| heading == FIELDS[FIRST_NAME].name);

    while next(&mut reader, &mut record)? {
        let line = line(text, &record);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let mut surplus = record.iter().skip(expected);
        if record.len() < expected || surplus.any(|cell| !cell.is_empty()) {
            let cells = record.len();
            entries.refuse(line, format!("The row has {cells} cells, and there are {expected} headings."))?;
            continue;
        }
        let mut person = table.person(&record);
        if is_ours {
            person.keep_other_names();
        } else {
            person.complete_name();
        }
        person.finish(line, entries)?;
    }
    Ok(())
}

fn next(reader: &mut ::csv::Reader<&[u8]>, record: &mut StringRecord) -> Result<bool, Unreadable> {
    reader.read_record(record).map_err(|error| malformed(format!("The file is not CSV: {error}.")))
}

/// The reader counts the empty lines before a record to it.
fn line(text: &str, record: &StringRecord) -> usize {
    let Some(position) = record.position() else {
        return 1;
    };
    let start = usize::try_from(position.byte()).unwrap_or(text.len());
    let before = text.as_bytes()[start.min(text.len())..]
        .iter()
        .take_while(|b| matches!(b, b'\n' | b'\r'))
        .filter(|b| **b == b'\n');
    usize::try_from(position.line()).unwrap_or(usize::MAX) + before.count()
}

/// The separator: spreadsheets write `;` where the comma is in decimal numbers, and tabs into files named .csv too.
fn delimiter(text: &str) -> u8 {
    let headings = text.trim_start().lines().next().unwrap_or("");
    let count = |delimiter: u8| headings.bytes().filter(|b| *b == delimiter).count();
    let mut best = b',';
    for other in *b";\t" {
        if count(other) > count(best) {
            best = other;
        }
    }
    best
}

/// Refuses what the reader would take in silence, before it takes memory: a quote that is never closed, which swallows all
/// rows behind it, and rows of countless cells.
fn check(text: &str, delimiter: u8) -> Result<(), Unreadable> {
    #[derive(PartialEq)]
    enum Position {
        Start,
        Plain,
        Quoted,
        /// A quote within a quoted cell: its end, or half of an escaped one.
        Quote,
    }
    let (mut state, mut line, mut cells, mut opened) = (Position::Start, 1, 1, 1);
    for byte in text.bytes() {
        state = match (state, byte) {
            (Position::Start, b'"') => {
                opened = line;
                Position::Quoted
            }
            (Position::Quote, b'"') => Position::Quoted,
            (Position::Quoted, b'"') => Position::Quote,
            (Position::Quoted, _) => Position::Quoted,
            (_, b'\n' | b'\r') => {
                cells = 1;
                Position::Start
            }
            (_, byte) if byte == delimiter => {
                cells += 1;
                Position::Start
            }
            _ => Position::Plain,
        };
        line += usize::from(byte == b'\n');
        if cells > MOST_CELLS {
            return Err(malformed(format!("Line {line} has more than {MOST_CELLS} cells.")));
        }
    }
    if state == Position::Quoted {
        return Err(malformed(format!(
            "The quote that opens in line {opened} is never closed: the file is cut off, or is no CSV."
        )));
    }
    Ok(())
}

/// What the headings, and a first look at the rows, say of a file.
struct Table {
    headings: StringRecord,
    columns: Vec<Column>,
    labels: Vec<Option<usize>>,
    is_day_first: bool,
}

impl Table {
    fn person<'a>(&'a self, record: &'a StringRecord) -> Person<'a> {
        let mut person = Person::default();
        for (index, (column, cell)) in self.columns.iter().zip(record.iter()).enumerate() {
            let cell = restored(cell);
            // Outlook writes the second for a date that is not there.
            if cell.is_empty() || (*column == Column::Slot(BIRTHDAY) && cell == "0/0/00") {
                continue;
            }
            let heading = self.headings[index].trim();
            match *column {
                Column::Ignored | Column::LabelOf(_) => {}
                Column::Slot(BIRTHDAY) => {
                    let day = match birthday(cell, self.is_day_first) {
                        // The rule for birthdays will say what is wrong with it.
                        Day::Unknown(text) => Day::Date(text),
                        day => day,
                    };
                    person.add_day(BIRTHDAY, FIELDS[BIRTHDAY].label, day);
                }
                Column::Slot(slot) => {
                    let label = self.labels[index].map(|label| restored(&record[label]));
                    add(&mut person, slot, heading, label, cell);
                }
                Column::Other if heading.is_empty() => person.add_line(&format!("Column {}", index + 1), cell),
                Column::Other => person.add_line(heading, cell),
            }
        }
        person
    }
}

/// Adds the values of a cell. Google marks the preferred one with an asterisk in its label, and joins several in a cell.
fn add<'a>(person: &mut Person<'a>, slot: usize, heading: &'a str, label: Option<&str>, cell: &'a str) {
    let Some(label) = label else {
        return person.add(slot, 1 + u8::from(is_fax(heading)), heading, cell);
    };
    let rank = if is_fax(label) { 2 } else { u8::from(!label.starts_with('*')) };
    let kind = slots().nth(slot).map_or("", |slot| slot.label);
    let label = match label.trim_start_matches(['*', ' ']) {
        "" => kind.to_owned(),
        label => format!("{kind} ({label})"),
    };
    for value in cell.split(" ::: ") {
        person.add(slot, rank, label.clone(), value);
    }
}

fn is_fax(label: &str) -> bool {
    label.to_lowercase().contains("fax")
}

/// A birthday: besides the forms of a vCard, `17.5.1990`, and `5/17/1990` or `17/5/1990`.
fn birthday(cell: &str, is_day_first: bool) -> Day {
    let cell = cell.trim();
    let (parts, is_day_first) = match (three(cell, '/'), three(cell, '.')) {
        (Some(parts), _) => (parts, is_day_first),
        (None, Some(parts)) => (parts, true),
        (None, None) => return day(cell),
    };
    let [first, second, year] = parts;
    let (month, day) = if is_day_first { (second, first) } else { (first, second) };
    // A year of two digits is no date: whose century would it be? The rule for birthdays says so.
    if year.len() == 4 { Day::Date(format!("{year}-{month:0>2}-{day:0>2}")) } else { Day::Unknown(cell.to_owned()) }
}

fn three(cell: &str, separator: char) -> Option<[&str; 3]> {
    let mut parts = cell.split(separator);
    let parts = [parts.next()?, parts.next()?, parts.next()?];
    let is_number = |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.iter().all(is_number).then_some(parts)
}

/// Whether birthdays with slashes have the day first. It is decided once for a file, by the first one that can be read in
/// one way only; a file whose dates all read both ways is taken as American, which is Outlook's default.
fn is_day_first(reader: &mut ::csv::Reader<&[u8]>, columns: &[Column]) -> Result<bool, Unreadable> {
    let Some(index) = columns.iter().position(|column| *column == Column::Slot(BIRTHDAY)) else {
        return Ok(false);
    };
    let mut record = StringRecord::new();
    while next(reader, &mut record)? {
        let parts = record.get(index).and_then(|cell| three(cell.trim(), '/'));
        if let Some([first, second, _]) = parts {
            let over = |part: &str| part.parse::<u16>().is_ok_and(|n| n > 12);
            if over(first) || over(second) {
                return Ok(over(first));
            }
        }
    }
    Ok(false)
}
