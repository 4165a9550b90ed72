//! A contact: what a client may write, what is kept, what is shown.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;

use super::fields::{Fields, FromFields};
use super::rules::{Date, Email, Text};
use super::shape::rfc3339;

const FIRST_NAME: Text = Text::line(100, "Іван");
const LAST_NAME: Text = Text::line(100, "Франко");
const PHONE_NUMBER: Text = Text::line(40, "+38 (050) 123-45-67");
const ADDITIONAL_INFO: Text = Text { max: 5000, lines: true, example: "Met at the spring conference" };

/// A whole contact as a client writes it: trimmed, NFC, every optional field either a value or `None`, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// 1–100 characters.
    pub first_name: String,
    /// At most 100 characters.
    pub last_name: Option<String>,
    /// An address.
    pub email: Option<String>,
    /// At most 40 characters, as written.
    pub phone_number: Option<String>,
    /// From 1900-01-01 to tomorrow.
    pub birthday: Option<NaiveDate>,
    /// At most 5,000 characters, line breaks allowed.
    pub additional_info: Option<String>,
}

impl FromFields for Draft {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Draft> {
        let birthday = Date::birthday(fields.today);
        let first_name = fields.required("first_name", &FIRST_NAME);
        let last_name = fields.optional("last_name", &LAST_NAME);
        let email = fields.optional("email", &Email);
        let phone_number = fields.optional("phone_number", &PHONE_NUMBER);
        let birthday = fields.optional("birthday", &birthday);
        let additional_info = fields.optional("additional_info", &ADDITIONAL_INFO);
        Some(Draft { first_name: first_name?, last_name, email, phone_number, birthday, additional_info })
    }
}

/// A kept contact, borrowed from the row it was read from, so that a list goes from Postgres to JSON without copies.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Contact<'a> {
    /// Unique over all users.
    pub id: i64,
    /// See [`Draft`].
    pub first_name: &'a str,
    /// See [`Draft`].
    pub last_name: Option<&'a str>,
    /// See [`Draft`].
    pub email: Option<&'a str>,
    /// See [`Draft`].
    pub phone_number: Option<&'a str>,
    /// See [`Draft`].
    pub birthday: Option<NaiveDate>,
    /// See [`Draft`].
    pub additional_info: Option<&'a str>,
    /// When it was made.
    #[serde(serialize_with = "rfc3339")]
    pub created_at: DateTime<Utc>,
    /// When it was last written.
    #[serde(serialize_with = "rfc3339")]
    pub updated_at: DateTime<Utc>,
    /// Counts the writes from 1; the `ETag`.
    #[serde(skip)]
    pub version: i32,
}

impl Contact<'_> {
    /// First name, last name.
    pub fn full_name(&self) -> String {
        match self.last_name {
            Some(last) => format!("{} {last}", self.first_name),
            None => self.first_name.to_owned(),
        }
    }
}

/// A contact in the list of upcoming birthdays.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Upcoming<'a> {
    /// The contact itself.
    #[serde(flatten)]
    pub contact: Contact<'a>,
    /// The day it is celebrated next, `today` included.
    pub next_birthday: NaiveDate,
    /// Days from `today` to it.
    pub days_until: i64,
    /// The age reached on it, in years.
    pub turns: i32,
}
