//! What the headings of a CSV file say: our own, Google's, Outlook's, Thunderbird's, and those of others by their meaning.

use std::collections::HashMap;
use std::sync::LazyLock;

use ::csv::StringRecord;

use super::person::{STAND_INS, phone_rank, slots};
use super::{Unreadable, malformed};
use crate::domain::contact::{BIRTHDAY, EMAIL, FIRST_NAME, PHONE_NUMBER};

/// The most bytes of a heading, which may stand before each cell below it.
const LONGEST_HEADING: usize = 200;

/// Values that only the server sets. A file of others may mean something else by these names, such as a member's number.
pub const OF_THE_SERVER: [&str; 4] = ["id", "user_id", "created_at", "updated_at"];

/// Headings of values that say nothing about the person.
const IGNORED: [&str; 2] = ["e-mail type", "e-mail * type"];

/// Thunderbird's columns of a birthday.
const BIRTH_PARTS: [&str; 3] = ["birth year", "birth month", "birth day"];

/// Parts of words for an address and for a number, in many languages.
const ADDRESS: [&str; 6] = ["mail", "messagerie", "correo", "пошт", "почт", "メール"];
const NUMBER: [&str; 6] = ["phone", "tel", "tél", "тел", "電話", "电话"];

/// What a heading or a label in lower case is called in English, or the same if that is not known.
pub fn english(name: &str) -> &str {
    static WORDS: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
        let lines = include_str!("headings.txt").lines().filter_map(|line| line.split_once(" = "));
        lines.flat_map(|(ours, theirs)| theirs.split(", ").map(move |name| (name, ours))).collect()
    });
    WORDS.get(name).copied().unwrap_or(name)
}

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
    let has = |name: &str| names.iter().any(|other| other == name);
    let names = names.iter().map(|name| match name.as_str() {
        // Beside a first name alone, a German "Name" is the last one.
        "name" if has("vorname") && !has("nachname") => "last name",
        name => english(name),
    });
    let names: Vec<&str> = names.collect();
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
fn column(name: &str, names: &[&str]) -> Column {
    if let Some((thing, "type" | "label")) = name.split_once(" - ") {
        let value = format!("{thing} - value");
        return names.iter().position(|name| *name == value).map_or(Column::Other, Column::LabelOf);
    }
    let has_years = names.contains(&BIRTH_PARTS[0]);
    let is_export = names.contains(&"id") && names.contains(&"created_at");
    let slot = slots().position(|slot| slot.name == name || is_one_of(slot.headings, name));
    match (BIRTH_PARTS.iter().position(|part| *part == name), slot) {
        _ if is_one_of(&IGNORED, name) || is_export && OF_THE_SERVER.contains(&name) => Column::Ignored,
        (Some(part), _) => Column::BirthPart(part),
        // In German, the day of the month is called as the birthday is.
        (None, Some(BIRTHDAY)) if has_years => Column::BirthPart(2),
        (None, Some(slot)) => Column::Slot(slot),
        (None, None) => by_meaning(name),
    }
}

/// What a heading seems to say. An address is no heading: such a file has none.
fn by_meaning(name: &str) -> Column {
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let is_number = says(&NUMBER) || matches!(phone_rank(name), 0 | 8 | 9);
    match name.contains('@') {
        false if says(&ADDRESS) => Column::Perhaps(EMAIL),
        false if is_number => Column::Perhaps(PHONE_NUMBER),
        _ => Column::Other,
    }
}

/// Whether a name is one of these headings.
fn is_one_of(headings: &[&str], name: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
    headings.iter().any(|heading| match heading.split_once('*') {
        Some((start, end)) => bare.starts_with(start) && bare.ends_with(end),
        None => name == *heading,
    })
}

/// For each column, the column of its labels.
pub fn labels(columns: &[Column]) -> Vec<Option<usize>> {
    let label = |of| columns.iter().position(|column| *column == Column::LabelOf(of));
    (0..columns.len()).map(label).collect()
}
