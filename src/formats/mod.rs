//! The formats that contacts come and go in: vCard, CSV, JSON, and the birthday calendar's iCalendar.
//!
//! Reading turns a whole file into drafts that keep the same rules as a `POST`, and a report of the entries that do not; it
//! touches no database, so a file that cannot be read leaves nothing behind. Writing appends one contact at a time to a
//! buffer, so an export needs the memory of one page. All formats hold the same values, so an import of an export creates the
//! same contacts.

mod columns;
mod content_line;
mod csv;
pub mod ics;
mod json;
mod person;
mod vcard;

use std::borrow::Cow;

use chrono::NaiveDate;

use crate::domain::contact::{Contact, Draft};
use crate::domain::fields::{Fields, Source};
use crate::domain::shape::shape;

/// The most entries of one file, good and bad: it bounds the memory that an import of many tiny ones takes. It is ten times the
/// largest address book that this is made for, and 16 MiB hold more of them only if they are bare names.
const MOST_ENTRIES: usize = 200_000;

/// The most errors that a report lists; it counts them all.
pub const MOST_ERRORS: usize = 1_000;

/// A file format of contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// vCard: 4.0 is written; 4.0, 3.0 and 2.1 are read.
    Vcard,
    /// Comma-separated values, headings first.
    Csv,
    /// An array of contacts as the API shows them.
    Json,
}

/// What an import made of a file.
#[derive(Debug, Default)]
pub struct Import {
    /// The good entries, in their order.
    pub drafts: Vec<Draft>,
    /// What the client is told.
    pub report: Report,
}

shape! {
    /// How an import went.
    #[derive(Debug, Default)]
    pub struct Report as "ImportReport" {
        /// The number of contacts created; on a dry run, that would be created.
        pub created: usize = { "examples": [2] },
        /// The number of entries that were skipped because of an error.
        pub skipped: usize = { "examples": [1] },
        /// The errors of the first 1,000 skipped entries.
        pub errors: Vec<BadEntry>,
    }
}

shape! {
    /// An entry that was skipped.
    #[derive(Debug)]
    pub struct BadEntry as "BadEntry" {
        /// The line of the file in which it begins, counted from 1.
        pub line: usize = { "minimum": 1, "examples": [7] },
        /// A sentence that says what would be right.
        pub detail: String = { "examples": ["first_name is required"] },
    }
}

/// Why a file as a whole cannot be imported.
#[derive(Debug)]
pub enum Unreadable {
    /// It is not of the format that its media type names, is cut off, or is not UTF-8.
    Malformed(String),
    /// It has too many entries.
    TooMany(String),
}

/// Reads a file; `today` bounds the birthdays.
pub fn read(format: Format, file: &[u8], today: NaiveDate) -> Result<Import, Unreadable> {
    let text = text(file)?;
    let mut entries = Entries { today, import: Import::default() };
    match format {
        Format::Vcard => vcard::read(&with_newlines(text), &mut entries)?,
        Format::Csv => csv::read(&with_newlines(text), &mut entries)?,
        Format::Json => json::read(text, &mut entries)?,
    }
    Ok(entries.import)
}

impl Format {
    /// Appends what a file begins with.
    pub fn begin(self, out: &mut Vec<u8>) {
        match self {
            Format::Vcard => {}
            Format::Csv => csv::begin(out),
            Format::Json => json::begin(out),
        }
    }

    /// Appends a contact.
    pub fn contact(self, contact: &Contact<'_>, is_first: bool, out: &mut Vec<u8>) {
        match self {
            Format::Vcard => vcard::contact(contact, out),
            Format::Csv => csv::contact(contact, out),
            Format::Json => json::contact(contact, is_first, out),
        }
    }

    /// Appends what a file ends with.
    pub fn end(self, out: &mut Vec<u8>) {
        match self {
            Format::Vcard | Format::Csv => {}
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
        match Fields::new(source, self.today).read::<Draft>() {
            Ok(draft) => {
                self.import.drafts.push(draft);
                self.import.report.created += 1;
                self.count()
            }
            Err(faults) => {
                let details: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.field, fault.detail)).collect();
                self.refuse(line, details.join("; "))
            }
        }
    }

    /// Reports an entry that no contact can be created from.
    fn refuse(&mut self, line: usize, detail: impl Into<String>) -> Result<(), Unreadable> {
        let report = &mut self.import.report;
        report.skipped += 1;
        if report.errors.len() < MOST_ERRORS {
            report.errors.push(BadEntry { line, detail: detail.into() });
        }
        self.count()
    }

    fn count(&self) -> Result<(), Unreadable> {
        let Report { created, skipped, .. } = self.import.report;
        if created + skipped > MOST_ENTRIES {
            return Err(Unreadable::TooMany(format!("The file has more than {MOST_ENTRIES} entries: split it.")));
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
        malformed(format!("The file is not UTF-8, from line {line} on: save it as UTF-8."))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(malformed("The file is empty."));
    }
    Ok(text)
}

/// The text with newlines, where its lines end in carriage returns alone, as old Macs wrote them.
fn with_newlines(text: &str) -> Cow<'_, str> {
    if text.contains('\n') || !text.contains('\r') { Cow::Borrowed(text) } else { Cow::Owned(text.replace('\r', "\n")) }
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|b| **b == b'\n').count()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::contact::{FIELDS, Kind, Value, Values};
    use crate::domain::fields::{Given, Rule};

    const FORMATS: [Format; 3] = [Format::Vcard, Format::Csv, Format::Json];

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 6, 15).expect("a date")
    }

    /// Text with what formats stumble over.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-zA-Z0-9 ]{1,8}",
            2 => "\\PC{1,8}",
            3 => proptest::sample::select(vec![
                "\\", "\\n", "\\,", ",", ";", ":", "\"", "'", "''", "=", "+", "-", "@", "=3D", "=\n", "\n", "\r", "\r\n", "\t",
                "\n ", "\r\n END:VCARD\r\n", "\nEND:VCARD\n", "BEGIN:VCARD", "^n", "&amp;", "%0A", " ::: ", "tel:", "mailto:",
                "0/0/00", "\u{feff}", "\u{2028}", "é", "e\u{301}", "ї", "😀", "\u{200b}", "\u{a0}", "0/0/00", "sep=;",
            ]).prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// A text as hostile as the rule allows.
    fn allowed(rule: &dyn Rule<Out = String>, text: String) -> String {
        let line: String = text.replace(['\n', '\r', '\t'], " ").chars().take(40).collect();
        let texts = [text, line, "+o'b{r}|ien=@exämple.org".to_owned()];
        texts.into_iter().find(|text| rule.read(Given::Text(text)).is_ok()).expect("a text that is allowed")
    }

    /// A contact that keeps the rules, with any text in every field that is one.
    fn draft() -> impl Strategy<Value = Draft> {
        let texts = FIELDS.each_ref().map(|_| hostile());
        (texts, proptest::option::of(0u64..46_000)).prop_filter_map("a first name", |(texts, days)| {
            let first_day = NaiveDate::from_ymd_opt(1900, 1, 1).expect("a date");
            let values = FIELDS.iter().zip(texts).map(|(field, text)| {
                let value = match field.kind {
                    Kind::Text(rule) => json!(allowed(rule, text)),
                    Kind::Birthday => json!(days.map(|days| first_day + chrono::Days::new(days))),
                };
                (field.name.to_owned(), value)
            });
            let members = values.collect();
            Fields::new(Source::Json(&members), today()).read().ok()
        })
    }

    fn kept(draft: &Draft, id: i64) -> Contact<'_> {
        let values = draft.0.each_ref().map(|value| match value {
            Some(Value::Text(text)) => Some(Value::Text(text.as_str())),
            Some(Value::Date(date)) => Some(Value::Date(*date)),
            None => None,
        });
        let at = DateTime::UNIX_EPOCH;
        Contact { id, values: Values(values), created_at: at, updated_at: at, version: 1 }
    }

    fn written(format: Format, drafts: &[Draft]) -> Vec<u8> {
        let mut file = Vec::new();
        format.begin(&mut file);
        for (index, draft) in drafts.iter().enumerate() {
            format.contact(&kept(draft, 7), index == 0, &mut file);
        }
        format.end(&mut file);
        file
    }

    fn read_all(format: Format, file: &[u8]) -> Import {
        read(format, file, today()).unwrap_or_else(|error| panic!("{format:?}: {error:?}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_import_of_an_export_is_the_identity(drafts in proptest::collection::vec(draft(), 1..4)) {
            for format in FORMATS {
                let file = written(format, &drafts);
                let import = read_all(format, &file);
                let text = String::from_utf8_lossy(&file);
                prop_assert!(import.report.errors.is_empty(), "{:?} {}", import.report, text);
                prop_assert_eq!(&import.drafts, &drafts, "{:?} {}", format, text);
            }
        }

        #[test]
        fn no_file_makes_the_readers_panic(file in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)) {
            let file = file.concat();
            for format in FORMATS {
                let _ = read(format, file.as_bytes(), today());
            }
        }
    }

    /// What files are made of.
    const PIECES: &[&str] = &[
        "BEGIN:VCARD\r\n",
        "END:VCARD\r\n",
        "BEGIN:VCARD\n",
        "END:VCARD\n",
        "VERSION:2.1\n",
        "VERSION:4.0\n",
        "N",
        "FN",
        "TEL",
        "BDAY",
        "NOTE",
        "PHOTO",
        "item1.",
        "ORG",
        "ADR",
        ":",
        ";",
        ",",
        "=",
        "\"",
        "\\",
        "\\n",
        "\n",
        "\r",
        "\r\n ",
        "\n\t",
        " ",
        ";TYPE=",
        ";ENCODING=QUOTED-PRINTABLE",
        ";ENCODING=b",
        ";CHARSET=UTF-8",
        ";CHARSET=KOI8-R",
        ";VALUE=date",
        ";VALUE=uri",
        ";VALUE=utc-offset",
        ";PREF=",
        ";JSCOMPS=",
        ";CREATED=",
        "=D0=86",
        "=\n",
        "=4",
        "QUJD",
        "--0517",
        "1990-05-17T25:61:61Z",
        "99999999999999999999",
        "-",
        "+",
        "é",
        "😀",
        "\u{0}",
        "[",
        "]",
        "{",
        "}",
        "\"first_name\":",
        "first_name,birthday\n",
        "Name;Birthday\n",
        "1/2/1990",
        "\u{feff}",
        "data:;base64,",
        "GEO",
        "REV",
        "TZ",
        "LANG",
        "GENDER",
        "ANNIVERSARY",
        "CLIENTPIDMAP",
        "RELATED",
        "KIND",
        "XML",
        "X-ABLabel:_$!<",
        ".",
    ];
}
