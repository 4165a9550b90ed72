//! The formats that contacts come and go in: vCard, CSV, JSON, and the birthday calendar's iCalendar.
//!
//! Reading turns a whole file into drafts that keep the same rules as a `POST`, and a report of the entries that do not; it
//! touches no database, so a file that cannot be read leaves nothing behind. Writing appends one contact at a time to a
//! buffer, so an export needs the memory of one page. All formats hold the same values, so an import of an export creates the
//! same contacts.

mod charset;
mod columns;
mod content_line;
mod csv;
pub mod ics;
mod json;
mod lines;
mod person;
mod vcard;

use chrono::NaiveDate;
use encoding_rs::UTF_8;

pub use self::charset::{Charset, named};
use crate::domain::contact::{Contact, Draft};
use crate::domain::shape::shape;

/// The most entries of one file, good and bad: it bounds the memory that an import of many tiny ones takes. It is ten times the
/// largest address book that this is made for, and 16 MiB hold more of them only if they are bare names.
const MOST_ENTRIES: usize = 200_000;

/// The most errors, and the most warnings, that a report lists; one more entry counts the rest.
pub const MOST_LISTED: usize = 1_000;

/// A file format of contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// vCard 4.0; any version is read.
    Vcard,
    /// vCard 3.0, which more programs import; any version is read.
    Vcard3,
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
        /// The number of entries that were left out because the user has the same contact, or an earlier entry is the same.
        pub duplicates: usize = { "examples": [1] },
        /// The errors of the first 1,000 skipped entries; one more counts the rest.
        pub errors: Vec<Notice>,
        /// The first 1,000 warnings: what was kept elsewhere than in its field, or cut off; one more counts the rest.
        pub warnings: Vec<Notice>,
    }
}

shape! {
    /// What a person should know of an entry.
    #[derive(Debug)]
    pub struct Notice as "ImportNotice" {
        /// The line of the file in which it stands, or in which its entry begins, counted from 1.
        pub line: usize = { "minimum": 1, "examples": [7] },
        /// A sentence.
        pub detail: String = { "examples": ["first_name is required"] },
    }
}

/// Why a file as a whole cannot be imported.
#[derive(Debug)]
pub enum Unreadable {
    /// It is not of the format that its media type names, or is cut off.
    Malformed(String),
    /// It is of another charset, or has too many entries.
    Unfit(String),
}

/// Reads a file; `today` bounds the birthdays. `charset` is the one that counts where the file names none.
pub fn read(format: Format, charset: Option<Charset>, file: &[u8], today: NaiveDate) -> Result<Import, Unreadable> {
    let (charset, file) = charset::of(file, charset);
    let mut entries = Entries { today, import: Import::default(), unlisted: [0; 2] };
    if file.trim_ascii().is_empty() {
        return Err(malformed("The file is empty."));
    }
    match format {
        // Each property may be of another charset, as long as what parts them is the same in all.
        Format::Vcard | Format::Vcard3 if charset.is_ascii_compatible() => vcard::read(file, charset, &mut entries)?,
        Format::Vcard | Format::Vcard3 => vcard::read(charset::text(charset, file)?.as_bytes(), UTF_8, &mut entries)?,
        Format::Csv => csv::read(&charset::text(charset, file)?, &mut entries)?,
        Format::Json => json::read(&charset::text(charset, file)?, &mut entries)?,
    }
    Ok(entries.import)
}

impl Format {
    /// Appends what a file begins with.
    pub fn begin(self, out: &mut Vec<u8>) {
        match self {
            Format::Vcard | Format::Vcard3 => {}
            Format::Csv => csv::begin(out),
            Format::Json => json::begin(out),
        }
    }

    /// Appends a contact.
    pub fn contact(self, contact: &Contact<'_>, is_first: bool, out: &mut Vec<u8>) {
        match self {
            Format::Vcard | Format::Vcard3 => vcard::contact(contact, self == Format::Vcard, out),
            Format::Csv => csv::contact(contact, out),
            Format::Json => json::contact(contact, is_first, out),
        }
    }

    /// Appends what a file ends with.
    pub fn end(self, out: &mut Vec<u8>) {
        if self == Format::Json {
            json::end(out);
        }
    }
}

/// The entries of a file while it is read.
struct Entries {
    today: NaiveDate,
    import: Import,
    /// How many errors and how many warnings are not listed.
    unlisted: [usize; 2],
}

impl Entries {
    /// Takes an entry, which keeps the rules of every contact.
    fn take(&mut self, draft: Draft) -> Result<(), Unreadable> {
        self.import.drafts.push(draft);
        self.count()
    }

    /// Reports an entry that no contact can be created from.
    fn refuse(&mut self, line: usize, detail: impl Into<String>) -> Result<(), Unreadable> {
        self.import.report.skipped += 1;
        list(&mut self.import.report.errors, &mut self.unlisted[0], line, detail.into());
        self.count()
    }

    /// Reports what a person should know of an entry that is taken.
    fn warn(&mut self, line: usize, detail: String) {
        list(&mut self.import.report.warnings, &mut self.unlisted[1], line, detail);
    }

    fn count(&self) -> Result<(), Unreadable> {
        if self.import.drafts.len() + self.import.report.skipped > MOST_ENTRIES {
            return Err(Unreadable::Unfit(format!("The file has more than {MOST_ENTRIES} entries: split it.")));
        }
        Ok(())
    }
}

/// Adds to a list while it is short, and then to the count in its last entry, which has the line of the first that is not listed.
fn list(notices: &mut Vec<Notice>, unlisted: &mut usize, line: usize, detail: String) {
    if notices.len() < MOST_LISTED {
        return notices.push(Notice { line, detail });
    }
    *unlisted += 1;
    let detail = format!("There are {unlisted} more, from this line on.");
    match notices.get_mut(MOST_LISTED) {
        Some(last) => last.detail = detail,
        None => notices.push(Notice { line, detail }),
    }
}

fn malformed(detail: impl Into<String>) -> Unreadable {
    Unreadable::Malformed(detail.into())
}

/// Counts lines, which end in LF, CR or both, up to places that come one after the other.
struct LineCounter<'a> {
    text: &'a [u8],
    seen: usize,
    line: usize,
}

impl<'a> LineCounter<'a> {
    fn new(text: &'a str) -> LineCounter<'a> {
        LineCounter { text: text.as_bytes(), seen: 0, line: 1 }
    }

    /// The line of the byte at this place, counted from 1.
    fn line_of(&mut self, at: usize) -> usize {
        let ends = |at: &usize| match self.text[*at] {
            b'\n' => true,
            b'\r' => self.text.get(*at + 1) != Some(&b'\n'),
            _ => false,
        };
        self.line += (self.seen..at).filter(ends).count();
        self.seen = at;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::contact::{FIELDS, Kind, Value, Values};
    use crate::domain::fields::{Fields, Given, Rule, Source};

    const FORMATS: [Format; 4] = [Format::Vcard, Format::Vcard3, Format::Csv, Format::Json];

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
        read(format, None, file, today()).unwrap_or_else(|error| panic!("{format:?}: {error:?}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_import_of_an_export_is_the_identity(drafts in proptest::collection::vec(draft(), 1..4)) {
            // With a byte order mark, as the export of CSV may have, and without.
            for (format, mark) in FORMATS.into_iter().flat_map(|format| [(format, ""), (format, "\u{feff}")]) {
                let file = [mark.as_bytes(), &written(format, &drafts)].concat();
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
                let _ = read(format, None, file.as_bytes(), today());
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
