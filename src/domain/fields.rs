//! Reads named values (the members of a JSON object, the pairs of a query or a form) against rules, and notes *every* fault,
//! so that a client learns all that is wrong with a body in one answer.
//!
//! The same reading code also describes itself: run over [`Source::Describe`] it records each field it asks for, with the
//! rule's JSON Schema. The OpenAPI document is made from these records, so it cannot disagree with what is accepted.

use std::borrow::Cow;

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

/// What is wrong with one field; the text completes "`field` …" for a person.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fault {
    /// The field's name as the client wrote it; empty for the body as a whole.
    pub field: String,
    /// A sentence that says what would be right.
    pub detail: String,
}

impl Fault {
    /// A fault of one field.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Fault {
        Fault { field: field.into(), detail: detail.into() }
    }
}

/// What keeps a text from being JSON, and where, in the middle of a sentence.
pub fn no_json(error: &serde_json::Error) -> String {
    // serde_json's own text ends with the place, in other words, and leaves it out where there is none.
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    let (line, column) = (error.line(), error.column());
    format!("{what}, at line {line} column {column}")
}

/// Where the values come from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// The members of a JSON object.
    Json(&'a Map<String, Value>),
    /// Decoded pairs of a query string or a form; of several with one name the first counts.
    Pairs(&'a [(Cow<'a, str>, Cow<'a, str>)]),
    /// Nothing to read: the fields asked for are only recorded.
    Describe,
}

/// One value as it was given.
#[derive(Clone, Copy)]
pub enum Given<'a> {
    /// A member of a JSON object, never `null`.
    Json(&'a Value),
    /// Text of a query, a form or a path.
    Text(&'a str),
}

impl<'a> Given<'a> {
    /// The text, if it is text.
    pub fn text(self) -> Option<&'a str> {
        match self {
            Given::Json(value) => value.as_str(),
            Given::Text(text) => Some(text),
        }
    }
}

/// What a value must be, in code and as JSON Schema.
pub trait Rule {
    /// What is held once the rule is kept.
    type Out;
    /// The value, or what would be right instead. `Ok(None)` is an empty value, which counts as absent.
    fn read(&self, given: Given<'_>) -> Result<Option<Self::Out>, String>;
    /// The rule as JSON Schema (2020-12), for the OpenAPI document.
    fn schema(&self) -> Value;
}

/// A field that was asked for while describing.
#[derive(Debug, Clone)]
pub struct Described {
    /// The field's name.
    pub name: &'static str,
    /// Whether a value must be given.
    pub required: bool,
    /// Whether `null` is taken, for "none" or "clear it".
    pub nullable: bool,
    /// JSON Schema of the value.
    pub schema: Value,
}

/// A member of an RFC 7396 merge patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patch<T> {
    /// Absent: stays as it is.
    Keep,
    /// `null` or empty: cleared.
    Clear,
    /// A new value.
    Set(T),
}

/// The reader: asks for fields, collects faults.
pub struct Fields<'a> {
    source: Source<'a>,
    today: NaiveDate,
    faults: Vec<Fault>,
    described: Vec<Described>,
}

enum Found<T> {
    Absent,
    Empty,
    Value(T),
    Faulty,
}

impl<'a> Fields<'a> {
    /// A reader over `source`; `today` is the server's date, for rules that depend on it.
    pub fn new(source: Source<'a>, today: NaiveDate) -> Fields<'a> {
        Fields { source, today, faults: Vec::new(), described: Vec::new() }
    }

    /// Runs `read` over nothing and returns the fields that it asked for.
    pub fn describe<T>(read: impl FnOnce(&mut Fields<'_>) -> T) -> Vec<Described> {
        let mut fields = Fields::new(Source::Describe, NaiveDate::default());
        read(&mut fields);
        fields.described
    }

    /// The server's date in UTC.
    pub fn today(&self) -> NaiveDate {
        self.today
    }

    /// A value that must be there. `None` exactly when a fault was noted.
    pub fn required<R: Rule>(&mut self, name: &'static str, rule: &R) -> Option<R::Out> {
        match self.find(name, rule, true, false) {
            Found::Value(value) => Some(value),
            Found::Faulty => None,
            Found::Absent | Found::Empty => {
                self.fault(name, "is required");
                None
            }
        }
    }

    /// A value that may be absent, `null` or empty. `None` also after a fault.
    pub fn optional<R: Rule>(&mut self, name: &'static str, rule: &R) -> Option<R::Out> {
        match self.find(name, rule, false, true) {
            Found::Value(value) => Some(value),
            Found::Absent | Found::Empty | Found::Faulty => None,
        }
    }

    /// A member of a merge patch.
    pub fn patch<R: Rule>(&mut self, name: &'static str, rule: &R) -> Patch<R::Out> {
        match self.find(name, rule, false, true) {
            Found::Value(value) => Patch::Set(value),
            Found::Empty => Patch::Clear,
            Found::Absent | Found::Faulty => Patch::Keep,
        }
    }

    /// A member of a merge patch that may not be cleared.
    pub fn patch_required<R: Rule>(&mut self, name: &'static str, rule: &R) -> Option<R::Out> {
        match self.find(name, rule, false, false) {
            Found::Value(value) => Some(value),
            Found::Absent | Found::Faulty => None,
            Found::Empty => {
                self.fault(name, "is required and cannot be cleared");
                None
            }
        }
    }

    /// Notes a fault that concerns several fields, or one beyond its rule.
    pub fn fault(&mut self, field: &str, detail: impl Into<String>) {
        if !matches!(self.source, Source::Describe) {
            self.faults.push(Fault::new(field, detail));
        }
    }

    /// All faults so far.
    pub fn into_faults(self) -> Vec<Fault> {
        self.faults
    }

    fn find<R: Rule>(&mut self, name: &'static str, rule: &R, required: bool, nullable: bool) -> Found<R::Out> {
        let given = match self.source {
            Source::Describe => {
                self.described.push(Described { name, required, nullable, schema: rule.schema() });
                return Found::Absent;
            }
            Source::Json(members) => match members.get(name) {
                None => return Found::Absent,
                Some(Value::Null) => return Found::Empty,
                Some(value) => Given::Json(value),
            },
            Source::Pairs(pairs) => match pairs.iter().find(|(key, _)| key == name) {
                None => return Found::Absent,
                Some((_, value)) => Given::Text(value),
            },
        };
        match rule.read(given) {
            Ok(Some(value)) => Found::Value(value),
            Ok(None) => Found::Empty,
            Err(detail) => {
                self.fault(name, detail);
                Found::Faulty
            }
        }
    }
}

/// The JSON Schema of an object with these fields.
pub fn object_schema(described: &[Described]) -> Value {
    let mut properties = Map::new();
    for field in described {
        let mut schema = field.schema.clone();
        if field.nullable
            && let Some(kind) = schema.get("type").cloned()
        {
            schema["type"] = json!([kind, "null"]);
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<_> = described.iter().filter(|f| f.required).map(|f| f.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}
