//! The rules that values must keep: text, addresses, passwords, dates, numbers, choices.
//!
//! Text is trimmed and kept in NFC, and lengths count its characters (Unicode scalar values) after that. Control characters
//! are refused rather than dropped: NUL cannot be stored in Postgres at all, and U+001F separates the fields of the search key.

use std::ops::RangeInclusive;

use chrono::{DateTime, Days, NaiveDate, Utc};
use serde_json::{Value, json};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::fields::{Given, Rule};
use super::fold::is_invisible;
use super::user::Password;

/// Another rule, with a description of the value for the documentation.
pub struct Doc<R>(pub R, pub &'static str);

impl<R: Rule> Rule for Doc<R> {
    type Out = R::Out;

    fn read(&self, given: Given<'_>) -> Result<Option<R::Out>, String> {
        self.0.read(given)
    }

    fn schema(&self) -> Value {
        let mut schema = self.0.schema();
        schema["description"] = json!(self.1);
        schema
    }
}

/// Text of 1 to `max` characters; empty text counts as absent.
pub struct Text {
    /// The most characters.
    pub max: usize,
    /// Whether line breaks and tabs are allowed.
    pub lines: bool,
    /// An example for the documentation.
    pub example: &'static str,
}

impl Text {
    /// One line of text.
    pub const fn line(max: usize, example: &'static str) -> Text {
        Text { max, lines: false, example }
    }
}

fn plain(text: &str, lines: bool) -> Result<String, String> {
    let text = text.trim();
    if let Some(c) = text.chars().find(|c| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'))) {
        return Err(format!("must not contain the control character U+{:04X}", u32::from(c)));
    }
    Ok(if is_nfc(text) { text.to_owned() } else { text.nfc().collect() })
}

/// The text of a value that has to be text.
fn string(given: Given<'_>) -> Result<&str, String> {
    given.text().ok_or_else(|| "must be a string".to_owned())
}

fn at_most(text: &str, max: usize) -> Result<(), String> {
    // There are never more characters than bytes, so short text need not be counted.
    if text.len() > max && text.chars().count() > max {
        return Err(format!("must have at most {max} characters"));
    }
    Ok(())
}

impl Rule for Text {
    type Out = String;

    fn read(&self, given: Given<'_>) -> Result<Option<String>, String> {
        let text = plain(string(given)?, self.lines)?;
        at_most(&text, self.max)?;
        Ok((!text.is_empty()).then_some(text))
    }

    fn schema(&self) -> Value {
        // Control characters, of which text of several lines may have three.
        let refused = if self.lines { r"\u0000-\u0008\u000b\u000c\u000e-\u001f" } else { r"\u0000-\u001f" };
        let pattern = format!(r"^[^{refused}\u007f-\u009f]*$");
        json!({ "type": "string", "maxLength": self.max, "pattern": pattern, "examples": [self.example] })
    }
}

/// An e-mail address (RFC 5321 §4.1.2 without quoted strings and address literals, RFC 6531 letters allowed),
/// at most 254 characters, its domain with at least one dot.
pub struct Email;

impl Rule for Email {
    type Out = String;

    fn read(&self, given: Given<'_>) -> Result<Option<String>, String> {
        let text = plain(string(given)?, false)?;
        if text.is_empty() {
            return Ok(None);
        }
        at_most(&text, 254)?;
        // Two addresses that look the same must be the same.
        if let Some(c) = text.chars().find(|c| is_invisible(*c)) {
            return Err(format!("must not contain the invisible character U+{:04X}", u32::from(c)));
        }
        if is_address(&text) {
            Ok(Some(text))
        } else {
            Err("must be an e-mail address such as name@example.com".to_owned())
        }
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "format": "email", "maxLength": 254, "examples": ["ivan@example.com"] })
    }
}

fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let atom =
        |c: char| c.is_alphanumeric() || !c.is_ascii() && !c.is_whitespace() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let local_ok = local.len() <= 64 && local.split('.').all(|part| !part.is_empty() && part.chars().all(atom));
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-' || !c.is_ascii() && !c.is_whitespace())
    };
    local_ok && domain.contains('.') && domain.split('.').all(label_ok)
}

/// A password: any Unicode, neither trimmed nor cut, counted in characters.
#[derive(Clone, Copy)]
pub struct PasswordRule<'a> {
    /// The fewest characters; 0 where a password is only compared.
    pub min: usize,
    /// Passwords that are refused, from [`PasswordRule::refusals`].
    pub refused: &'a [String],
}

impl PasswordRule<'_> {
    /// A password that is only compared with the one in force.
    pub const GIVEN: PasswordRule<'static> = PasswordRule { min: 0, refused: &[] };

    /// The most characters a password may have.
    pub const MAX: usize = 128;

    /// A list of refused passwords, in the form of [`PasswordRule::refused`].
    pub fn refusals(list: &[String]) -> Vec<String> {
        let mut refused: Vec<_> = list.iter().map(|text| refusable(text)).collect();
        refused.sort_unstable();
        refused.dedup();
        refused
    }
}

/// A form that is the same for passwords that are equally bad: those that differ only in case, or in characters that are
/// hashed alike (see `security::password`).
fn refusable(password: &str) -> String {
    password.nfkc().collect::<String>().to_lowercase()
}

impl Rule for PasswordRule<'_> {
    type Out = Password;

    fn read(&self, given: Given<'_>) -> Result<Option<Self::Out>, String> {
        let text = string(given)?;
        // Characters are counted as a person counts them: a keyboard that sends `é` as two must not make a password too long.
        let count = text.nfc().take(Self::MAX + 1).count();
        if count < self.min {
            return Err(format!("must have at least {} characters", self.min));
        }
        if count > Self::MAX {
            return Err(format!("must have at most {} characters", Self::MAX));
        }
        if self.refused.binary_search(&refusable(text)).is_ok() {
            return Err("is on the list of refused passwords".to_owned());
        }
        Ok((count > 0).then(|| Password::new(text)))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "format": "password", "minLength": self.min.max(1), "maxLength": Self::MAX, "examples": ["correct horse"] })
    }
}

/// A calendar date, `YYYY-MM-DD`.
pub struct Date {
    /// The earliest and the latest date that are accepted.
    pub range: RangeInclusive<NaiveDate>,
    /// An example, which the documentation page fills in; `None` where no date stays right.
    pub example: Option<&'static str>,
}

/// The first date that is accepted.
const FIRST: NaiveDate = NaiveDate::from_ymd_opt(1900, 1, 1).expect("a date");
/// The last one that a client may call today.
const LAST: NaiveDate = NaiveDate::from_ymd_opt(9998, 12, 31).expect("a date");

impl Date {
    /// A birthday: from 1900 to the server's tomorrow, since the client may be a day ahead of the server.
    pub fn birthday(today: NaiveDate) -> Date {
        Date { range: FIRST..=today.checked_add_days(Days::new(1)).unwrap_or(today), example: Some("1990-05-17") }
    }

    /// A client's own "today".
    pub fn today() -> Date {
        Date { range: FIRST..=LAST, example: None }
    }
}

impl Rule for Date {
    type Out = NaiveDate;

    fn read(&self, given: Given<'_>) -> Result<Option<NaiveDate>, String> {
        let text = string(given)?.trim();
        if text.is_empty() {
            return Ok(None);
        }
        // chrono alone would also accept 2001-2-3 and +2001-02-03.
        let shaped = text.len() == 10
            && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        let date = if shaped { text.parse::<NaiveDate>().ok() } else { None };
        let date = date.ok_or_else(|| "must be a date such as 2001-02-28".to_owned())?;
        if self.range.contains(&date) {
            Ok(Some(date))
        } else {
            Err(format!("must be a date from {} to {}", self.range.start(), self.range.end()))
        }
    }

    fn schema(&self) -> Value {
        // JSON Schema cannot bound a date; the years can be.
        let mut schema = json!({ "type": "string", "format": "date", "pattern": r"^((19|20)\d\d-\d\d-\d\d)?$" });
        if let Some(example) = self.example {
            schema["description"] = json!(format!("A date from {} to tomorrow.", self.range.start()));
            schema["examples"] = json!([example]);
        }
        schema
    }
}

/// An instant as RFC 3339 writes it.
pub struct Instant;

impl Rule for Instant {
    type Out = DateTime<Utc>;

    fn read(&self, given: Given<'_>) -> Result<Option<DateTime<Utc>>, String> {
        let text = string(given)?;
        let instant = (!text.is_empty()).then(|| DateTime::parse_from_rfc3339(text)).transpose();
        // A plus in a query is a space.
        let wrong = |_| "must be an instant such as 2026-01-02T03:04:05Z, a + in it percent-encoded as %2B".to_owned();
        Ok(instant.map_err(wrong)?.map(|instant| instant.to_utc()))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "format": "date-time", "examples": ["2026-01-02T03:04:05Z"] })
    }
}

/// An integer within a range.
pub struct Integer {
    /// The smallest and the largest value that are accepted.
    pub range: RangeInclusive<i64>,
}

impl Rule for Integer {
    type Out = i64;

    fn read(&self, given: Given<'_>) -> Result<Option<i64>, String> {
        let number = match given {
            // To JSON Schema, 90.0 is an integer.
            Given::Json(value) => {
                let whole = |n: &f64| n.fract() == 0.0 && n.abs() < 1e15;
                value.as_i64().or_else(|| value.as_f64().filter(whole).map(|n| n as i64))
            }
            Given::Text("") => return Ok(None),
            // A plus, which the standard library takes, is no part of a number here.
            Given::Text(text) => text.parse().ok().filter(|_| !text.starts_with('+')),
        };
        match number {
            Some(n) if self.range.contains(&n) => Ok(Some(n)),
            _ if *self.range.end() == i64::MAX => Err(format!("must be an integer of at least {}", self.range.start())),
            _ => Err(format!("must be an integer from {} to {}", self.range.start(), self.range.end())),
        }
    }

    fn schema(&self) -> Value {
        let mut schema = json!({ "type": "integer", "format": "int64", "minimum": self.range.start() });
        if *self.range.end() != i64::MAX {
            schema["maximum"] = json!(self.range.end());
        }
        schema
    }
}

/// `true` or `false`.
pub struct Flag;

impl Rule for Flag {
    type Out = bool;

    fn read(&self, given: Given<'_>) -> Result<Option<bool>, String> {
        match given {
            Given::Text("") => Ok(None),
            Given::Text("true") | Given::Json(Value::Bool(true)) => Ok(Some(true)),
            Given::Text("false") | Given::Json(Value::Bool(false)) => Ok(Some(false)),
            _ => Err("must be true or false".to_owned()),
        }
    }

    fn schema(&self) -> Value {
        json!({ "type": "boolean" })
    }
}

/// One of a few words, each standing for a value.
pub struct OneOf<T: 'static, W: 'static = &'static str> {
    /// Word and value.
    pub choices: &'static [(W, T)],
}

impl<T, W: AsRef<str>> OneOf<T, W> {
    fn words(&self) -> Vec<&'static str> {
        self.choices.iter().map(|(word, _)| word.as_ref()).collect()
    }
}

impl<T: Copy, W: AsRef<str>> Rule for OneOf<T, W> {
    type Out = T;

    fn read(&self, given: Given<'_>) -> Result<Option<T>, String> {
        let text = string(given)?;
        let choice = self.choices.iter().find(|(word, _)| word.as_ref() == text);
        match choice {
            None if !text.is_empty() => Err(one_of(&self.words())),
            choice => Ok(choice.map(|(_, value)| *value)),
        }
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "enum": self.words() })
    }
}

/// Says that a text must be one of these words.
pub fn one_of(words: &[&str]) -> String {
    match words {
        [word] => format!("must be {word}"),
        words => format!("must be one of {}", words.join(", ")),
    }
}

/// Text of bounded length that is taken as it is, such as a token, a cursor or a text to search for. Empty text counts as
/// absent.
pub struct Verbatim {
    /// The most characters.
    pub max: usize,
}

impl Rule for Verbatim {
    type Out = String;

    fn read(&self, given: Given<'_>) -> Result<Option<String>, String> {
        let text = string(given)?;
        at_most(text, self.max)?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "maxLength": self.max })
    }
}
