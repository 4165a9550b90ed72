//! The formats that contacts come and go in: vCard, CSV, JSON, and the birthday calendar's iCalendar.
//!
//! Reading turns a whole file into drafts that keep the same rules as a `POST`, and a report of the entries that do not; it
//! touches no database, so a file that cannot be read leaves nothing behind. Writing appends one contact at a time to a
//! buffer, so an export needs the memory of one page. What a file is read into and written from is the same, whichever
//! format: an import of an export makes the same contacts.

mod json;

use chrono::NaiveDate;
use serde::Serialize;

use crate::domain::contact::{Contact, Draft};
use crate::domain::fields::{Fields, Source};

/// The most entries of one file, good and bad: it bounds what an import of many tiny ones can take. Ten times the largest
/// address book that this is made for, and more than fit into 16 MiB as anything but bare names.
const MOST_ENTRIES: usize = 200_000;

/// The most errors that a report lists; it counts them all.
pub const MOST_ERRORS: usize = 1_000;

/// A file format of contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// An array of contacts as the API shows them.
    Json,
}

/// What an import made of a file.
#[derive(Debug, Default)]
pub struct Import {
    /// The good entries, in their order.
    pub drafts: Vec<Draft>,
    /// What is told of it.
    pub report: Report,
}

/// How an import went.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Contacts made; on a dry run, that would be made.
    pub created: usize,
    /// Entries that were not made, because of an error.
    pub skipped: usize,
    /// What is wrong with each of those, for the first thousand.
    pub errors: Vec<BadEntry>,
}

/// An entry that was not made.
#[derive(Debug, Serialize)]
pub struct BadEntry {
    /// Where it begins, counted from 1.
    pub line: usize,
    /// A sentence that says what would be right.
    pub detail: String,
}

/// Why a file as a whole cannot be imported.
#[derive(Debug)]
pub enum Unreadable {
    /// It is not what it is said to be, is cut off, or is not UTF-8.
    Malformed(String),
    /// It has too many entries.
    TooMany(String),
}

/// Reads a file; `today` bounds the birthdays.
pub fn read(format: Format, file: &[u8], today: NaiveDate) -> Result<Import, Unreadable> {
    let text = text(file)?;
    let mut entries = Entries {
        today,
        import: Import::default(),
    };
    match format {
        Format::Json => json::read(text, &mut entries)?,
    }
    Ok(entries.import)
}

impl Format {
    /// Appends what a file begins with.
    pub fn begin(self, out: &mut Vec<u8>) {
        match self {
            Format::Json => json::begin(out),
        }
    }

    /// Appends a contact.
    pub fn contact(self, contact: &Contact<'_>, is_first: bool, out: &mut Vec<u8>) {
        match self {
            Format::Json => json::contact(contact, is_first, out),
        }
    }

    /// Appends what a file ends with.
    pub fn end(self, out: &mut Vec<u8>) {
        match self {
            Format::Json => json::end(out),
        }
    }
}

/// The entries of a file while it is read.
struct Entries {
    today: NaiveDate,
    import: Import,
}

impl Entries {
    /// Takes an entry, checked by the rules that every contact keeps.
    fn take(&mut self, line: usize, source: Source<'_>) -> Result<(), Unreadable> {
        let mut fields = Fields::new(source, self.today);
        let draft = Draft::read(&mut fields);
        let faults = fields.into_faults();
        match draft {
            Some(draft) if faults.is_empty() => {
                self.import.drafts.push(draft);
                self.import.report.created += 1;
                self.count()
            }
            _ => {
                let details: Vec<_> = faults
                    .iter()
                    .map(|fault| format!("{} {}", fault.field, fault.detail))
                    .collect();
                self.refuse(line, details.join("; "))
            }
        }
    }

    /// Takes note of an entry that cannot be made.
    fn refuse(&mut self, line: usize, detail: impl Into<String>) -> Result<(), Unreadable> {
        let report = &mut self.import.report;
        report.skipped += 1;
        if report.errors.len() < MOST_ERRORS {
            report.errors.push(BadEntry {
                line,
                detail: detail.into(),
            });
        }
        self.count()
    }

    fn count(&self) -> Result<(), Unreadable> {
        let Report {
            created, skipped, ..
        } = self.import.report;
        if created + skipped > MOST_ENTRIES {
            return Err(Unreadable::TooMany(format!(
                "The file has more than {MOST_ENTRIES} entries: split it."
            )));
        }
        Ok(())
    }
}

fn malformed(detail: impl Into<String>) -> Unreadable {
    Unreadable::Malformed(detail.into())
}

/// The file as text, without a byte order mark.
fn text(file: &[u8]) -> Result<&str, Unreadable> {
    if file.starts_with(&[0xff, 0xfe]) || file.starts_with(&[0xfe, 0xff]) {
        return Err(malformed("The file is in UTF-16: save it as UTF-8."));
    }
    let text = std::str::from_utf8(file).map_err(|error| {
        let line = 1 + newlines(&file[..error.valid_up_to()]);
        malformed(format!(
            "The file is not UTF-8, from line {line} on: save it as UTF-8."
        ))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(malformed("The file is empty."));
    }
    Ok(text)
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b == b'\n').count()
}
