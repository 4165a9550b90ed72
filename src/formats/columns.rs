//! What the headings of a CSV file say: our own, Google's and Outlook's.

use ::csv::StringRecord;

use super::{Unreadable, malformed};

/// The most bytes of a heading, which may stand before each cell below it.
const LONGEST_HEADING: usize = 200;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// What only the server sets, and what tells nothing.
    Ignored,
    FirstName,
    LastName,
    FullName,
    Organization,
    Email,
    Phone,
    Birthday,
    Note,
    /// What kind of thing the value in another column is.
    LabelOf(usize),
    /// No field of ours: a line of `additional_info`.
    Other,
}

/// What each column of these headings holds.
pub fn columns(headings: &StringRecord) -> Result<Vec<Column>, Unreadable> {
    if headings.iter().any(|heading| heading.len() > LONGEST_HEADING) {
        return Err(malformed("Line 1 holds no headings: one of them is too long."));
    }
    let names: Vec<String> = headings.iter().map(|heading| heading.trim().to_lowercase()).collect();
    let columns: Vec<Column> = names.iter().map(|name| column(name, &names)).collect();
    let named = [Column::FirstName, Column::LastName, Column::FullName, Column::Organization];
    if columns.iter().any(|column| named.contains(column)) {
        Ok(columns)
    } else {
        Err(malformed("No heading in line 1 is one of a name, such as first_name, First Name, Given Name or Name."))
    }
}

/// What a heading says, in lower case: ours, Google's of before and after 2023, Outlook's and Outlook.com's.
fn column(name: &str, names: &[String]) -> Column {
    match name {
        "id" | "user_id" | "created_at" | "updated_at" | "e-mail type" => Column::Ignored,
        "first_name" | "first name" | "given name" | "firstname" => Column::FirstName,
        "last_name" | "last name" | "family name" | "surname" | "lastname" => Column::LastName,
        "name" | "full name" | "display name" => Column::FullName,
        "company" | "organization" | "organization name" | "organization 1 - name" => Column::Organization,
        "birthday" | "birth date" | "date of birth" => Column::Birthday,
        "additional_info" | "notes" | "note" => Column::Note,
        "email" | "e-mail" | "email address" | "e-mail address" => Column::Email,
        "phone_number" | "phone number" | "phone" | "mobile" | "telephone" => Column::Phone,
        _ => numbered(name, names),
    }
}

/// The columns of which there are several.
fn numbered(name: &str, names: &[String]) -> Column {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
    if let Some((thing, "type" | "label")) = name.split_once(" - ") {
        let value = format!("{thing} - value");
        return match names.iter().position(|name| *name == value) {
            Some(index) => Column::LabelOf(index),
            None => Column::Other,
        };
    }
    match name {
        _ if bare.ends_with(" phone") => Column::Phone,
        _ if name.starts_with("phone ") && name.ends_with(" - value") => Column::Phone,
        _ if name.starts_with("e-mail ") && name.ends_with(" - value") => Column::Email,
        _ if name.starts_with("e-mail ") && name.ends_with(" address") => Column::Email,
        _ if name.starts_with("e-mail ") && name.ends_with(" type") => Column::Ignored,
        _ => Column::Other,
    }
}

/// For each column, the one that holds what kind of thing its values are.
pub fn labels(columns: &[Column]) -> Vec<Option<usize>> {
    let mut labels = vec![None; columns.len()];
    for (index, column) in columns.iter().enumerate() {
        if let Column::LabelOf(of) = column {
            labels[*of] = Some(index);
        }
    }
    labels
}
