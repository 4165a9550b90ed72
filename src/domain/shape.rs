//! The shapes of the JSON that is sent. `shape!` makes a struct that serializes itself and describes itself for the OpenAPI
//! document, so its members and their descriptions are written once.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// Something that is sent as JSON, with its JSON Schema.
pub trait Shape {
    /// Its name under `components/schemas`.
    const NAME: &'static str;
    /// Its members, each with its JSON Schema.
    fn members() -> Vec<(String, Value)>;
    /// Its JSON Schema: an object that always has all of its members.
    fn schema() -> Value {
        let properties: Map<_, _> = Self::members().into_iter().collect();
        let required: Vec<_> = properties.keys().cloned().collect();
        json!({ "type": "object", "properties": properties, "required": required })
    }
    /// The schema of an answer that consists of it.
    fn reference() -> Value {
        json!({ "$ref": format!("#/components/schemas/{}", Self::NAME) })
    }
}

impl<S: Shape> Shape for [S] {
    const NAME: &'static str = S::NAME;
    fn members() -> Vec<(String, Value)> {
        S::members()
    }
    fn reference() -> Value {
        json!({ "type": "array", "items": S::reference() })
    }
}

/// The type of a member of a shape.
pub trait Member {
    /// Its JSON Schema.
    fn schema() -> Value;
}

/// Declares a struct that is sent as JSON. The doc comment of a member is its description in the OpenAPI document, too;
/// `= { … }` adds to its schema. `with name: Type` puts the members of another shape before its own.
macro_rules! shape {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident $(<$life:lifetime>)? as $title:literal $(with $base:ident: $base_type:ty)? {
            $($(#[doc = $doc:literal])+ $(#[serde($($serde:tt)+)])? pub $member:ident: $type:ty $(= $more:tt)?,)+
        }
    ) => {
        $(#[$about])*
        #[derive(serde::Serialize)]
        $vis struct $name $(<$life>)? {
            $(
                /// The members that come before its own.
                #[serde(flatten)]
                pub $base: $base_type,
            )?
            $($(#[doc = $doc])+ $(#[serde($($serde)+)])? pub $member: $type,)+
        }

        impl $(<$life>)? $crate::domain::shape::Shape for $name $(<$life>)? {
            const NAME: &'static str = $title;
            fn members() -> Vec<(String, serde_json::Value)> {
                use $crate::domain::shape::member;
                let mut members = Vec::new();
                $(members.extend(<$base_type>::members());)?
                $(members.push(member::<$type>(stringify!($member), concat!($($doc),+), serde_json::json!([$($more)?])));)+
                members
            }
        }
    };
}

pub(crate) use shape;

/// The name and the schema of a member, for `shape!`.
pub fn member<M: Member>(name: &str, description: &str, more: Value) -> (String, Value) {
    let mut schema = M::schema();
    schema["description"] = json!(description.trim().trim_end_matches('.'));
    for (key, value) in more.as_array().into_iter().flatten().flat_map(Value::as_object).flatten() {
        schema[key] = value.clone();
    }
    (name.to_owned(), schema)
}

macro_rules! members {
    ($($type:ty: $schema:tt;)+) => {
        $(impl Member for $type {
            fn schema() -> Value {
                json!($schema)
            }
        })+
    };
}

members! {
    bool: { "type": "boolean" };
    i32: { "type": "integer" };
    i64: { "type": "integer", "format": "int64" };
    usize: { "type": "integer", "minimum": 0 };
    u64: { "type": "integer", "minimum": 0 };
    &str: { "type": "string" };
    String: { "type": "string" };
    NaiveDate: { "type": "string", "format": "date" };
    DateTime<Utc>: { "type": "string", "format": "date-time", "examples": ["2026-01-02T03:04:05Z"] };
}

impl<M: Member> Member for Option<M> {
    fn schema() -> Value {
        let mut schema = M::schema();
        schema["type"] = json!([schema["type"], "null"]);
        schema
    }
}

impl<S: Shape> Member for Vec<S> {
    fn schema() -> Value {
        json!({ "type": "array", "items": S::schema() })
    }
}

/// An instant that is displayed and serialized as RFC 3339 in UTC with whole seconds.
pub struct Rfc3339(pub DateTime<Utc>);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0.naive_utc();
        let numbers = [(11, t.hour()), (14, t.minute()), (17, t.second())];
        f.write_str(fill(&mut { *b"0000-00-00T00:00:00Z" }, t.date(), &numbers))
    }
}

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Puts a date, and more numbers of two digits at their places, into a text. chrono's own formatting writes each digit by itself, and
/// the serializer looks at each for something to escape.
fn fill<'a>(text: &'a mut [u8], date: NaiveDate, more: &[(usize, u32)]) -> &'a str {
    let year = date.year().unsigned_abs();
    let numbers = [(0, year / 100), (2, year), (5, date.month()), (8, date.day())];
    for (place, number) in numbers.iter().chain(more) {
        text[*place] = b'0' + (number / 10 % 10) as u8;
        text[place + 1] = b'0' + (number % 10) as u8;
    }
    std::str::from_utf8(text).expect("digits are ASCII")
}

/// A date, for `#[serde(serialize_with = …)]`: as chrono writes it.
pub fn iso_8601<S: Serializer>(date: &NaiveDate, serializer: S) -> Result<S::Ok, S::Error> {
    match date.year() {
        0..=9999 => serializer.serialize_str(fill(&mut { *b"0000-00-00" }, *date, &[])),
        _ => date.serialize(serializer),
    }
}

/// An [`Rfc3339`], for `#[serde(serialize_with = …)]`.
pub fn rfc3339<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    Rfc3339(*at).serialize(serializer)
}
