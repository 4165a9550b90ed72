//! CSV (RFC 4180), headings first.
//!
//! A cell that a spreadsheet would run as a formula gets an apostrophe in front, and loses it when it comes back. A phone number
//! is no formula: with the apostrophe, every other program would keep it as part of the number.

use std::borrow::Cow;

use ::csv::{ReaderBuilder, StringRecord, Terminator, WriterBuilder};

use super::columns::{Column, columns, labels};
use super::person::{Person, day, is_over_12, numbers, phone_rank};
use super::{Entries, LineCounter, Unreadable, malformed};
use crate::domain::contact::{BIRTHDAY, Contact, EMAIL, FIELDS, PHONE_NUMBER, Value};
use crate::domain::shape::Rfc3339;

/// The most cells of a row: twice what the longest of known headings have.
const MOST_CELLS: usize = 256;

// ---------------------------------------------------------------------------------------------------------------- writing

/// Appends the headings.
pub fn begin(out: &mut Vec<u8>) {
    row(["id"].into_iter().chain(FIELDS.iter().map(|field| field.name)).chain(["created_at", "updated_at"]), out);
}

/// Appends a contact.
pub fn contact(contact: &Contact<'_>, out: &mut Vec<u8>) {
    let values = contact.values.0.iter().enumerate().map(|(field, value)| match value {
        Some(Value::Text(text)) if field == PHONE_NUMBER && is_plain_number(text) => Cow::Borrowed(*text),
        Some(Value::Text(text)) => defused(text),
        Some(Value::Date(date)) => Cow::Owned(date.to_string()),
        None => Cow::Borrowed(""),
    });
    let times = [contact.created_at, contact.updated_at].map(|at| Cow::Owned(Rfc3339(at).to_string()));
    row([Cow::Owned(contact.id.to_string())].into_iter().chain(values).chain(times), out);
}

fn row(cells: impl IntoIterator<Item: AsRef<str>>, out: &mut Vec<u8>) {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).buffer_capacity(512).from_writer(out);
    for cell in cells {
        writer.write_field(cell.as_ref()).expect("text is written into memory");
    }
    writer.write_record(None::<&[u8]>).expect("text is written into memory");
}

/// Whether a spreadsheet would run a cell with this text, or would run it but for the apostrophes before it. Counting those
/// too makes the round trip exact, and an apostrophe that is part of a name, as in 't Hooft, is left alone.
fn runs(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn is_plain_number(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || " +()-./".contains(c))
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
    let (start, delimiter) = dialect(text);
    check(text, start, delimiter)?;
    let body = &text.as_bytes()[start..];
    let open = || ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(body);
    let mut reader = open();
    let mut record = StringRecord::new();
    next(&mut reader, &mut record)?;
    let columns = columns(&record)?;
    let table = Table {
        is_day_first: is_day_first(&mut open(), &columns)?,
        labels: labels(&columns),
        ranks: record.iter().map(phone_rank).collect(),
        columns,
        headings: record.clone(),
    };
    let expected = table.columns.len();
    let mut lines = LineCounter::new(text);

    while next(&mut reader, &mut record)? {
        // The reader counts the empty lines before a record to it.
        let at = start + record.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(0));
        let empty = text.as_bytes()[at..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let line = lines.line_of(at + empty);
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let mut surplus = record.iter().skip(expected);
        if record.len() < expected || surplus.any(|cell| !cell.is_empty()) {
            let cells = record.len();
            entries.refuse(line, format!("The row has {cells} cells, and there are {expected} headings."))?;
            continue;
        }
        table.person(&record).finish(line, entries)?;
    }
    Ok(())
}

fn next(reader: &mut ::csv::Reader<&[u8]>, record: &mut StringRecord) -> Result<bool, Unreadable> {
    reader.read_record(record).map_err(|error| malformed(format!("The file is not CSV: {error}.")))
}

/// Where the headings begin, and the separator: the one that Excel's own first line names, `sep=;`, else that which the
/// headings have most of. Spreadsheets write `;` where the comma is in decimal numbers, and tabs into files named .csv too.
fn dialect(text: &str) -> (usize, u8) {
    let first = text.split(['\r', '\n']).next().unwrap_or("");
    if let Some([separator]) = first.trim_matches(['"', ' ']).strip_prefix("sep=").map(str::as_bytes) {
        return (first.len(), *separator);
    }
    let (mut counts, mut is_quoted) = ([(b',', 0), (b';', 0), (b'\t', 0)], false);
    for byte in text.trim_start().bytes().take_while(|b| !matches!(b, b'\r' | b'\n')) {
        is_quoted ^= byte == b'"';
        counts.iter_mut().filter(|(other, _)| *other == byte && !is_quoted).for_each(|(_, count)| *count += 1);
    }
    // Of several that are equal, `max_by_key` returns the last.
    let best = counts.into_iter().rev().max_by_key(|(_, count)| *count);
    (0, best.map_or(b',', |(separator, _)| separator))
}

/// Refuses what the reader would take in silence, before it takes memory: a quote that is never closed, which swallows all
/// rows behind it, and rows of countless cells.
fn check(text: &str, start: usize, delimiter: u8) -> Result<(), Unreadable> {
    #[derive(PartialEq)]
    enum Position {
        Start,
        Plain,
        Quoted,
        /// A quote within a quoted cell: its end, or half of an escaped one.
        Quote,
    }
    let (mut state, mut cells, mut opened) = (Position::Start, 1, 0);
    let line = |at| LineCounter::new(text).line_of(at);
    for (at, byte) in text.bytes().enumerate().skip(start) {
        state = match (state, byte) {
            (Position::Start, b'"') => {
                opened = at;
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
        if cells > MOST_CELLS {
            return Err(malformed(format!("Line {} has more than {MOST_CELLS} cells.", line(at))));
        }
    }
    if state == Position::Quoted {
        return Err(malformed(format!(
            "The quote that opens in line {} is never closed: the file is cut off, or is no CSV.",
            line(opened)
        )));
    }
    Ok(())
}

/// What the headings, and a first look at the rows, say of a file.
struct Table {
    headings: StringRecord,
    columns: Vec<Column>,
    labels: Vec<Option<usize>>,
    /// Of numbers, by their headings.
    ranks: Vec<u8>,
    is_day_first: bool,
}

impl Table {
    fn person<'a>(&'a self, record: &'a StringRecord) -> Person<'a> {
        let mut person = Person::default();
        let mut birth = [""; 3];
        for (index, (column, cell)) in self.columns.iter().zip(record.iter()).enumerate() {
            let cell = restored(cell);
            let heading = self.headings[index].trim();
            let label = self.labels[index].map(|label| restored(&record[label]).trim());
            match *column {
                _ if cell.trim().is_empty() => {}
                Column::Ignored => {}
                // A label of nothing.
                Column::LabelOf(of) if !record[of].trim().is_empty() => {}
                Column::BirthPart(part) => birth[part] = cell.trim(),
                Column::Slot(BIRTHDAY) => {
                    person.add_day(BIRTHDAY, FIELDS[BIRTHDAY].label, day(cell, self.is_day_first))
                }
                Column::Perhaps(slot) if !seems(slot, cell) => person.add_line(heading, cell),
                Column::Slot(slot) | Column::Perhaps(slot) => match label {
                    Some(label) => add_labelled(&mut person, slot, label, cell),
                    None if slot >= FIELDS.len() => person.add_labelled(slot, 1, "", cell),
                    None if slot == PHONE_NUMBER => person.add(slot, 1 + self.ranks[index], heading, cell),
                    None => person.add(slot, 1, heading, cell),
                },
                _ if heading.is_empty() => person.add_line(&format!("Column {}", index + 1), cell),
                _ => match label.filter(|label| !label.is_empty()) {
                    Some(label) => {
                        person.add_line(&format!("{} ({label})", heading.trim_end_matches(" - Value")), cell)
                    }
                    None => person.add_line(heading, cell),
                },
            }
        }
        let [year, month, day_of_month] = birth;
        let birthday = match birth {
            ["", "", ""] => String::new(),
            ["", ..] => format!("--{month:0>2}-{day_of_month:0>2}"),
            _ => format!("{year}-{month}-{day_of_month}"),
        };
        person.add_day(BIRTHDAY, FIELDS[BIRTHDAY].label, day(&birthday, false));
        person
    }
}

/// Whether a cell looks like an address or a number.
fn seems(slot: usize, cell: &str) -> bool {
    match slot {
        EMAIL => cell.contains('@'),
        _ => cell.chars().filter(char::is_ascii_digit).count() > 2 && !cell.contains(char::is_alphabetic),
    }
}

/// Adds the values of a cell. Google marks the preferred one with an asterisk in its label, and joins several in a cell.
fn add_labelled<'a>(person: &mut Person<'a>, slot: usize, label: &str, cell: &'a str) {
    let kind = label.trim_start_matches(['*', ' ']);
    let rank = match slot {
        _ if label.starts_with('*') => 0,
        PHONE_NUMBER => 1 + phone_rank(kind),
        _ => 1,
    };
    for value in cell.split(" ::: ") {
        person.add_labelled(slot, rank, kind, value);
    }
}

/// Whether birthdays with slashes have the day first. It is decided once for a file, by the first one that can be read in
/// one way only; a file whose dates all read both ways is taken as American, which is Outlook's default.
fn is_day_first(reader: &mut ::csv::Reader<&[u8]>, columns: &[Column]) -> Result<bool, Unreadable> {
    let Some(index) = columns.iter().position(|column| *column == Column::Slot(BIRTHDAY)) else {
        return Ok(false);
    };
    let mut record = StringRecord::new();
    while next(reader, &mut record)? {
        if let (parts, '/' | '-', _) = numbers(record.get(index).unwrap_or("").trim())
            && let [first, second, ..] = parts[..]
            && first.len() < 3
            && (is_over_12(first) || is_over_12(second))
        {
            return Ok(is_over_12(first));
        }
    }
    Ok(false)
}
