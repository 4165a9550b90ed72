//! A contact: the table of its fields, what a client may write, and what is kept and shown.

use chrono::{DateTime, NaiveDate, Utc};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Value as Json, json};
use unicode_normalization::UnicodeNormalization;

use super::fields::{Fields, FromFields, Given, Patch, Rule, properties};
use super::fold::{self, Part};
use super::rules::{Date, Email, Text};
use super::shape::{Rfc3339, Shape, iso_8601, member, rfc3339, shape};

/// A field of a contact. All code that deals with every field goes through [`FIELDS`].
pub struct Field {
    /// Its name in JSON, in SQL, in queries and as a CSV heading.
    pub name: &'static str,
    /// What it is called in a line of `additional_info`, where an import keeps what has no room in the field itself.
    pub label: &'static str,
    /// What a value must be.
    pub kind: Kind,
    /// Whether each contact has a value.
    pub is_required: bool,
    /// Its part of the search key, if it can be searched. A list can be sorted by a part of text.
    pub part: Option<Part>,
    /// Where it stands in a vCard.
    pub vcard: Property,
    /// Other headings of CSV files that mean it, in lower-case English: `formats/headings.txt` translates. `*` stands for any text; only with it, a number may follow.
    pub headings: &'static [&'static str],
}

impl Field {
    /// Whether its value is a date, and not text.
    pub fn is_date(&self) -> bool {
        matches!(self.kind, Kind::Birthday)
    }

    /// A value, or what would be right instead; `today` bounds a birthday.
    pub fn read(&self, text: &str, today: NaiveDate) -> Result<Option<Value<String>>, String> {
        let given = Given::Text(text);
        Ok(match self.kind {
            Kind::Text(rule) => rule.read(given)?.map(Value::Text),
            Kind::Birthday => Date::birthday(today).read(given)?.map(Value::Date),
        })
    }

    /// As much of a text as the field may hold.
    pub fn cut(&self, text: &str) -> String {
        let max = if let Kind::Text(rule) = self.kind { rule.schema()["maxLength"].as_u64() } else { None };
        text.trim().nfc().zip(0..max.unwrap_or(0)).map(|(c, _)| c).collect()
    }
}

/// What kind of value a field has.
pub enum Kind {
    /// Text that keeps this rule.
    Text(&'static (dyn Rule<Out = String> + Sync)),
    /// A date from 1900-01-01 to tomorrow.
    Birthday,
}

/// A place in a vCard (RFC 6350).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// A component of `N`, counted from 0.
    Name(usize),
    /// A property of its own.
    Own(&'static str),
}

/// The fields, in the order in which JSON, CSV and SQL have them. To add one: a row at the end, a migration, and its column
/// in the statements of `sql/queries/contacts` and `trash`; `tests/api/fields.rs` then finds a place that was forgotten.
pub static FIELDS: [Field; 6] = [
    Field {
        name: "first_name",
        label: "First name",
        kind: Kind::Text(&Text::line(100, "Іван")),
        is_required: true,
        // A name of 100 characters has some 200 bytes folded, in Hangul 900. Only what no one is called is cut, such as a
        // name of compatibility ligatures: U+FDFA alone becomes 18 letters.
        part: Some(Part::Text(1_000)),
        vcard: Property::Name(1),
        headings: &["first name", "given name", "firstname"],
    },
    Field {
        name: "last_name",
        label: "Last name",
        kind: Kind::Text(&Text::line(100, "Франко")),
        is_required: false,
        part: Some(Part::Text(1_000)),
        vcard: Property::Name(0),
        headings: &["last name", "family name", "surname", "lastname"],
    },
    Field {
        name: "email",
        label: "E-mail",
        kind: Kind::Text(&Email),
        is_required: false,
        // An address of 254 characters fits, unless it has hundreds of letters beyond ASCII.
        part: Some(Part::Text(443)),
        vcard: Property::Own("EMAIL"),
        headings: &[
            "e-mail",
            "email address",
            "e-mail address",
            "e-mail * - value",
            "e-mail * address",
            "primary email",
        ],
    },
    Field {
        name: "phone_number",
        label: "Phone",
        kind: Kind::Text(&Text::line(40, "+38 (050) 123-45-67")),
        is_required: false,
        // As many digits as there may be characters, and the tail of a number with an extension.
        part: Some(Part::Digits(50)),
        vcard: Property::Own("TEL"),
        headings: &["phone number", "phone", "mobile", "telephone", "* phone", "phone * - value"],
    },
    Field {
        name: "birthday",
        label: "Birthday",
        kind: Kind::Birthday,
        is_required: false,
        part: None,
        vcard: Property::Own("BDAY"),
        headings: &["birth date", "date of birth", "dateofbirth"],
    },
    Field {
        name: "additional_info",
        label: "Note",
        kind: Kind::Text(&Text { max: 5000, lines: true, example: "Met at the spring conference" }),
        is_required: false,
        part: None,
        vcard: Property::Own("NOTE"),
        headings: &["notes", "note"],
    },
];

/// A field that some code needs by name, as its place in the table.
pub const FIRST_NAME: usize = 0;
/// See [`FIRST_NAME`].
pub const LAST_NAME: usize = 1;
/// See [`FIRST_NAME`].
pub const EMAIL: usize = 2;
/// See [`FIRST_NAME`].
pub const PHONE_NUMBER: usize = 3;
/// See [`FIRST_NAME`].
pub const BIRTHDAY: usize = 4;
/// See [`FIRST_NAME`].
pub const ADDITIONAL_INFO: usize = 5;

// The parts of the search key, each with its mark, and with a separator behind each but the last, fit into an index entry. They are four, the last of
// them digits: the statements look for each by its number, and for a phone number in the fourth.
const _: () = {
    let (mut at, mut bytes, mut parts) = (0, 0, 0);
    while at < FIELDS.len() {
        if let Some(part) = FIELDS[at].part {
            bytes += part.max_bytes() + 2;
            parts += 1;
            assert!(matches!(part, Part::Digits(_)) == (parts == 4));
        }
        at += 1;
    }
    assert!(bytes - 1 <= fold::KEY_MAX_BYTES, "the search key is too long for its index: give a part fewer bytes");
    assert!(parts == 4);
};

/// The fields that can be searched, with their parts, in the search key's order.
pub fn searchable() -> impl Iterator<Item = (&'static Field, Part)> + Clone {
    FIELDS.iter().filter_map(|field| Some((field, field.part?)))
}

/// The value of a field. Text is trimmed, in NFC and never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
#[allow(missing_docs)]
pub enum Value<T> {
    Text(T),
    Date(#[serde(serialize_with = "iso_8601")] NaiveDate),
}

/// The values of a contact, in the order of [`FIELDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values<T>(pub [Option<Value<T>>; FIELDS.len()]);

/// A whole contact as a client writes it.
pub type Draft = Values<String>;

impl FromFields for Draft {
    const NAME: &'static str = "ContactInput";
    const PATCH_NAME: &'static str = "ContactPatch";

    fn from_fields(fields: &mut Fields<'_>) -> Draft {
        fn ask<R: Rule<Out: Default> + ?Sized>(fields: &mut Fields<'_>, field: &Field, rule: &R) -> Option<R::Out> {
            if field.is_required { Some(fields.required(field.name, rule)) } else { fields.optional(field.name, rule) }
        }
        Values(FIELDS.each_ref().map(|field| match field.kind {
            Kind::Text(rule) => ask(fields, field, rule).map(Value::Text),
            Kind::Birthday => ask(fields, field, &Date::birthday(fields.today)).map(Value::Date),
        }))
    }
}

impl From<Draft> for Patch<Draft> {
    /// The patch that changes every field.
    fn from(values: Draft) -> Patch<Draft> {
        Patch { values, given: FIELDS.iter().map(|field| field.name).collect() }
    }
}

impl<T: AsRef<str>> Values<T> {
    /// The text of a field; empty where there is none.
    pub fn text(&self, field: usize) -> &str {
        match &self.0[field] {
            Some(Value::Text(text)) => text.as_ref(),
            _ => "",
        }
    }

    /// The birthday.
    pub fn birthday(&self) -> Option<NaiveDate> {
        match self.0[BIRTHDAY] {
            Some(Value::Date(date)) => Some(date),
            _ => None,
        }
    }

    /// First name, last name.
    pub fn full_name(&self) -> String {
        let (first, last) = (self.text(FIRST_NAME), self.text(LAST_NAME));
        if last.is_empty() { first.to_owned() } else { format!("{first} {last}") }
    }

    /// What the contact is found by.
    pub fn search_key(&self) -> String {
        fold::key((0..FIELDS.len()).filter_map(|at| Some((FIELDS[at].part?, self.text(at)))))
    }
}

/// A kept contact, borrowed from the row it was read from, so that a list goes from Postgres to JSON without copies.
#[derive(Debug, Clone, Copy)]
pub struct Contact<'a> {
    /// Unique over all users.
    pub id: i64,
    /// What a client wrote.
    pub values: Values<&'a str>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last written.
    pub updated_at: DateTime<Utc>,
    /// Counts the writes from 1; the `ETag`.
    pub version: i32,
}

impl Serialize for Contact<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Contact", FIELDS.len() + 3)?;
        object.serialize_field("id", &self.id)?;
        for (field, value) in FIELDS.iter().zip(&self.values.0) {
            object.serialize_field(field.name, value)?;
        }
        object.serialize_field("created_at", &Rfc3339(self.created_at))?;
        object.serialize_field("updated_at", &Rfc3339(self.updated_at))?;
        object.end()
    }
}

impl Shape for Contact<'_> {
    const NAME: &'static str = "Contact";
    fn members() -> Vec<(String, Json)> {
        let mut members = vec![member::<i64>("id", "Unique over all users.", json!([{ "examples": [1] }]))];
        members.extend(properties(&Fields::describing().describe::<Draft>()));
        members.push(member::<DateTime<Utc>>("created_at", "When it was created.", json!([])));
        members.push(member::<DateTime<Utc>>("updated_at", "When it was last changed.", json!([])));
        members
    }
}

shape! {
    /// A contact in the list of upcoming birthdays.
    #[derive(Debug, Clone, Copy)]
    pub struct Upcoming<'a> as "UpcomingBirthday" with contact: Contact<'a> {
        /// The day it is celebrated next, today included.
        #[serde(serialize_with = "iso_8601")]
        pub next_birthday: NaiveDate = { "examples": ["2026-05-17"] },
        /// Days from today to it.
        pub days_until: u64 = { "examples": [3] },
        /// The age in years reached on it.
        pub turns: i32 = { "examples": [36] },
    }
}

shape! {
    /// A contact in the trash.
    #[derive(Debug, Clone, Copy)]
    pub struct Trashed<'a> as "TrashedContact" with contact: Contact<'a> {
        /// When it was deleted.
        #[serde(serialize_with = "rfc3339")]
        pub deleted_at: DateTime<Utc>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_fields_are_those_in_the_table() {
        let places = [
            (FIRST_NAME, "first_name"),
            (LAST_NAME, "last_name"),
            (EMAIL, "email"),
            (PHONE_NUMBER, "phone_number"),
            (BIRTHDAY, "birthday"),
            (ADDITIONAL_INFO, "additional_info"),
        ];
        for (place, name) in places {
            assert_eq!(FIELDS[place].name, name);
        }
    }

    #[test]
    fn the_longest_contacts_fit_into_an_index_entry() {
        let longest = |c: &str| {
            let (name, email, phone) = (c.repeat(100), c.repeat(254), "９".repeat(40));
            let values = FIELDS.each_ref().map(|field| match field.name {
                "email" => Some(Value::Text(email.as_str())),
                "phone_number" => Some(Value::Text(phone.as_str())),
                _ => Some(Value::Text(name.as_str())),
            });
            Values(values).search_key()
        };
        for c in ["\u{fdfa}", "한", "😀", "𝔛", "ẞ", "ΐ", "\u{1f}", "a", "ж"] {
            let key = longest(c);
            assert!(key.len() <= fold::KEY_MAX_BYTES, "{c}: {}", key.len());
            assert_eq!(key.matches(fold::SEPARATOR).count(), searchable().count() - 1, "{c}");
            assert!(key.contains(&"9".repeat(40)), "{c}");
        }
        // U+FDFA uses all that there is, but for the tail of a number with an extension; what people write is whole.
        assert!(longest("\u{fdfa}").len() > fold::KEY_MAX_BYTES - 20);
        for c in ["한", "😀", "ж", "a", "ẞ"] {
            let name = fold::fold(&c.repeat(100));
            let mark = fold::MARK;
            assert!(longest(c).starts_with(&format!("{mark}{name}\u{1f}{mark}{name}\u{1f}")), "{c}");
        }
        let email = "a".repeat(242) + "@example.com";
        assert!(Values(FIELDS.each_ref().map(|_| Some(Value::Text(&email)))).search_key().contains(&email));
    }
}
