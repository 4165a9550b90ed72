//! What the headings of a CSV file say: our own, Google's and Outlook's.

use ::csv::StringRecord;

use super::person::{slots, stand_ins};
use super::{Unreadable, malformed};
use crate::domain::contact::FIRST_NAME;

/// The most bytes of a heading, which may stand before each cell below it.
const LONGEST_HEADING: usize = 200;

/// Headings of values that only the server sets, or that say nothing about the person.
const IGNORED: [&str; 6] = ["id", "user_id", "created_at", "updated_at", "e-mail type", "e-mail * type"];

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Nothing of use.
    Ignored,
    /// Values of this slot of a person.
    Slot(usize),
    /// Labels of the values in another column, such as `Home`.
    LabelOf(usize),
    /// Values without a slot, which become lines of `additional_info`.
    Other,
}

/// What each column of these headings holds.
pub fn columns(headings: &StringRecord) -> Result<Vec<Column>, Unreadable> {
    if headings.iter().any(|heading| heading.len() > LONGEST_HEADING) {
        return Err(malformed("Line 1 holds no headings: one of them is too long."));
    }
    let names: Vec<String> = headings.iter().map(|heading| heading.trim().to_lowercase()).collect();
    let columns: Vec<Column> = names.iter().map(|name| column(name, &names)).collect();
    let is_name = |slot| slot == FIRST_NAME || stand_ins().contains(&slot);
    if columns.iter().any(|column| matches!(column, Column::Slot(slot) if is_name(*slot))) {
        Ok(columns)
    } else {
        Err(malformed("No heading in line 1 is one of a name, such as first_name, First Name, Given Name or Name."))
    }
}

/// What a heading says, in lower case: ours, Google's of before and after 2023, Outlook's and Outlook.com's.
fn column(name: &str, names: &[String]) -> Column {
    if let Some((thing, "type" | "label")) = name.split_once(" - ") {
        let value = format!("{thing} - value");
        return names.iter().position(|name| *name == value).map_or(Column::Other, Column::LabelOf);
    }
    if is_one_of(&IGNORED, name) {
        return Column::Ignored;
    }
    let slot = slots().position(|slot| slot.name == name || is_one_of(slot.headings, name));
    slot.map_or(Column::Other, Column::Slot)
}

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
