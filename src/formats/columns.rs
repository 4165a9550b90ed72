//! What the headings of a CSV file say: our own, Google's, Outlook's, Thunderbird's, and those of others by their meaning.

use ::csv::StringRecord;

use super::person::{STAND_INS, phone_rank, slots};
use super::{Unreadable, malformed};
use crate::domain::contact::{EMAIL, FIRST_NAME, LAST_NAME, PHONE_NUMBER};

/// The most bytes of a heading, which may stand before each cell below it.
const LONGEST_HEADING: usize = 200;

/// Headings of values that only the server sets, or that say nothing about the person.
pub const IGNORED: &str = "id, user_id, created_at, updated_at, e-mail type, e-mail * type";

/// Birthdays in three columns, which Thunderbird writes: year, month and day, as it calls them in English, German and French.
const BIRTH_PARTS: [[&str; 3]; 3] = [
    ["birth year", "birth month", "birth day"],
    ["geburtsjahr", "geburtsmonat", "geburtstag"],
    ["année de naissance", "mois de naissance", "jour de naissance"],
];

/// Parts of words for an address and for a number, in lower case, in the languages whose headings are known.
const ADDRESS: &str = "mail, messagerie, courriel, correo, posta ele, пошт, почт, メール, 邮件, 郵件";
const NUMBER: &str = "phone, tel, tél, тел, 電話, 电话";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Nothing of use.
    Ignored,
    /// Values of this slot of a person.
    Slot(usize),
    /// The same, as far as the heading tells: what does not look like it is something else.
    Perhaps(usize),
    /// Labels of the values in another column, such as `Home`.
    LabelOf(usize),
    /// The year, the month or the day of a birthday.
    BirthPart(usize),
    /// Values without a slot, which become lines of `additional_info`.
    Other,
}

/// What each column of these headings holds.
pub fn columns(headings: &StringRecord) -> Result<Vec<Column>, Unreadable> {
    if headings.iter().any(|heading| heading.len() > LONGEST_HEADING) {
        return Err(malformed("The headings are none: one of them is too long."));
    }
    let names: Vec<String> = headings.iter().map(|heading| heading.trim().to_lowercase()).collect();
    let columns: Vec<Column> = names.iter().map(|name| column(name, &names)).collect();
    let is_name = |column: &Column| match column {
        Column::Slot(slot) | Column::Perhaps(slot) => *slot == FIRST_NAME || STAND_INS.contains(slot),
        _ => false,
    };
    if columns.iter().any(is_name) {
        Ok(columns)
    } else {
        Err(malformed("No heading in line 1 is one of a name, such as first_name, First Name, Given Name or Name."))
    }
}

/// What a heading says, in lower case.
fn column(name: &str, names: &[String]) -> Column {
    let has = |name: &str| names.iter().any(|other| other == name);
    if let Some((thing, "type" | "label")) = name.split_once(" - ") {
        let value = format!("{thing} - value");
        return names.iter().position(|name| *name == value).map_or(Column::Other, Column::LabelOf);
    }
    if is_one_of(IGNORED, name) {
        return Column::Ignored;
    }
    let parts = BIRTH_PARTS.iter().find(|parts| has(parts[0]));
    if let Some(part) = parts.and_then(|parts| parts.iter().position(|part| *part == name)) {
        return Column::BirthPart(part);
    }
    // Beside a first name, a German "Name" is the last one.
    if name == "name" && has("vorname") && !has("nachname") {
        return Column::Slot(LAST_NAME);
    }
    let slot = slots().position(|slot| slot.name == name || is_one_of(slot.headings, name));
    slot.map_or_else(|| by_meaning(name), Column::Slot)
}

/// What a heading seems to say. An address is no heading: such a file has none.
fn by_meaning(name: &str) -> Column {
    let says = |words: &str| words.split(", ").any(|word| name.contains(word));
    match phone_rank(name) {
        _ if name.contains('@') => Column::Other,
        _ if says(ADDRESS) => Column::Perhaps(EMAIL),
        // A mobile, a pager, a fax.
        0 | 8 | 9 => Column::Perhaps(PHONE_NUMBER),
        _ if says(NUMBER) => Column::Perhaps(PHONE_NUMBER),
        _ => Column::Other,
    }
}

/// Whether a name is one of these headings.
pub fn is_one_of(headings: &str, name: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
    headings.split(", ").any(|heading| match heading.split_once('*') {
        Some((start, end)) => bare.starts_with(start) && bare.ends_with(end),
        None => name == heading,
    })
}

/// For each column, the column of its labels.
pub fn labels(columns: &[Column]) -> Vec<Option<usize>> {
    let label = |of| columns.iter().position(|column| *column == Column::LabelOf(of));
    (0..columns.len()).map(label).collect()
}
