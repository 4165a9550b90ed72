//! Reads named values (the members of a JSON object, the pairs of a query or a form) against rules, and notes *every* fault,
//! so that a client learns all that is wrong with a body in one answer.
//!
//! The same reading code also describes itself: run over [`Source::Describe`] it records each field it asks for, with the
//! rule's JSON Schema. The OpenAPI document is made from these records, so it cannot disagree with what is accepted.

use std::borrow::Cow;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::rules::PasswordRule;

/// What is wrong with one field. The text completes a sentence that begins with the field's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The field's name as the client wrote it; empty for the body as a whole.
    pub field: String,
    /// What would be right, such as "must be a string".
    pub detail: String,
}

impl Fault {
    /// A fault of one field.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Fault {
        Fault { field: field.into(), detail: detail.into() }
    }
}

/// Why a text is not JSON, and where, as a part of a sentence.
pub fn no_json(error: &serde_json::Error) -> String {
    // serde_json's own text ends with the place in other words, or has none.
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
    /// Decoded pairs of a query string or a form, without the value where it was broken; of several with the same name, the
    /// first counts.
    Pairs(&'a [(Cow<'a, str>, Option<Cow<'a, str>>)]),
    /// Nothing: the fields that are asked for are only recorded.
    Describe,
}

/// A value as it was given.
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
    /// The type of a value that keeps the rule.
    type Out;
    /// The value, or what would be right instead. `Ok(None)` means an empty value, which counts as absent.
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
    /// Whether `null` is accepted, for no value.
    pub nullable: bool,
    /// JSON Schema of the value.
    pub schema: Value,
}

/// A JSON object.
pub const JSON: &str = "application/json";
/// A JSON object whose members change those of another (RFC 7396).
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// Pairs of names and values, percent-encoded.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Something that is read field by field.
pub trait FromFields: Sized + 'static {
    /// The media types of the bodies that it can be read from.
    const MEDIA_TYPES: &'static [&'static str] = &[JSON];
    /// What the OpenAPI document calls such a body. One without a name does not compile.
    const NAME: &'static str = "";
    /// The same for a [`Patch`] of it.
    const PATCH_NAME: &'static str = "";
    /// Asks for each of its fields. What it makes of them is dropped where a fault was noted.
    fn from_fields(fields: &mut Fields<'_>) -> Self;
}

/// An RFC 7396 merge patch: a `T`, and the list of the fields that were given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch<T> {
    /// The values. A field that was not given is empty here, even one that a `T` must have.
    pub values: T,
    /// The names of the fields that were given, `null` included.
    pub given: Vec<&'static str>,
}

impl<T> Patch<T> {
    /// Whether a field was given.
    pub fn sets(&self, name: &str) -> bool {
        self.given.contains(&name)
    }
}

impl<T: FromFields> FromFields for Patch<T> {
    const MEDIA_TYPES: &'static [&'static str] = &[MERGE_PATCH, JSON];
    const NAME: &'static str = T::PATCH_NAME;

    fn from_fields(fields: &mut Fields<'_>) -> Patch<T> {
        fields.is_patch = true;
        Patch { values: T::from_fields(fields), given: std::mem::take(&mut fields.given) }
    }
}

/// The reader: asks for fields, collects faults.
pub struct Fields<'a> {
    source: Source<'a>,
    /// The server's date in UTC, for rules that depend on it.
    pub today: NaiveDate,
    /// What a new password must be, by the settings.
    pub new_password: PasswordRule<'a>,
    /// Whether it reads a [`FORM`], which may name its fields otherwise than JSON does.
    pub is_form: bool,
    /// Whether it reads a [`Patch`]: no field must be given, and one that a whole `T` must have cannot be cleared.
    is_patch: bool,
    given: Vec<&'static str>,
    faults: Vec<Fault>,
    described: Vec<Described>,
}

enum Field<T> {
    Absent,
    Empty,
    Value(T),
    Faulty,
}

impl<'a> Fields<'a> {
    /// A reader over `source`. For a new password, set its rule.
    pub fn new(source: Source<'a>, today: NaiveDate) -> Fields<'a> {
        Fields {
            source,
            today,
            new_password: PasswordRule::GIVEN,
            is_form: false,
            is_patch: false,
            given: Vec::new(),
            faults: Vec::new(),
            described: Vec::new(),
        }
    }

    /// Reads a `T`, or returns everything that is wrong with it.
    pub fn read<T: FromFields>(mut self) -> Result<T, Vec<Fault>> {
        let value = T::from_fields(&mut self);
        if self.faults.is_empty() { Ok(value) } else { Err(self.faults) }
    }

    /// A reader of nothing, which records what is asked for.
    pub fn describing() -> Fields<'a> {
        Fields::new(Source::Describe, NaiveDate::default())
    }

    /// The fields that a `T` asks for.
    pub fn describe<T: FromFields>(mut self) -> Vec<Described> {
        T::from_fields(&mut self);
        self.described
    }

    /// A value that must be given. In a patch it may be absent, but it cannot be cleared. Its type's default where there is none.
    pub fn required<R: Rule<Out: Default> + ?Sized>(&mut self, name: &'static str, rule: &R) -> R::Out {
        match self.find(name, rule, false) {
            Field::Value(value) => return value,
            Field::Faulty => {}
            Field::Absent if self.is_patch => {}
            Field::Empty if self.is_patch => self.fault(name, "is required and cannot be cleared"),
            Field::Absent | Field::Empty => self.fault(name, "is required"),
        }
        R::Out::default()
    }

    /// A value that may be absent, `null` or empty. `None` also after a fault.
    pub fn optional<R: Rule + ?Sized>(&mut self, name: &'static str, rule: &R) -> Option<R::Out> {
        match self.find(name, rule, true) {
            Field::Value(value) => Some(value),
            Field::Absent | Field::Empty | Field::Faulty => None,
        }
    }

    /// A value that may be absent, `null` or empty, which gives the default. The documentation tells the default, too.
    pub fn or_default<R: Rule<Out: Copy + Serialize>>(
        &mut self,
        name: &'static str,
        rule: &R,
        default: R::Out,
    ) -> R::Out {
        let value = self.optional(name, rule);
        if let Source::Describe = self.source
            && let Some(described) = self.described.last_mut()
        {
            described.schema["default"] = json!(default);
        }
        value.unwrap_or(default)
    }

    /// Notes a fault that no rule of a single field finds.
    pub fn fault(&mut self, field: &str, detail: impl Into<String>) {
        if !matches!(self.source, Source::Describe) {
            self.faults.push(Fault::new(field, detail));
        }
    }

    fn find<R: Rule + ?Sized>(&mut self, name: &'static str, rule: &R, is_optional: bool) -> Field<R::Out> {
        let given = match self.source {
            Source::Describe => {
                let mut schema = rule.schema();
                if !is_optional && schema["type"] == "string" && schema.get("minLength").is_none() {
                    schema["minLength"] = json!(1);
                }
                let required = !is_optional && !self.is_patch;
                self.described.push(Described { name, required, nullable: is_optional, schema });
                return Field::Absent;
            }
            Source::Json(members) => members.get(name).map(Given::Json),
            Source::Pairs(pairs) => match pairs.iter().find(|(key, _)| key == name) {
                Some((_, None)) => {
                    self.fault(name, "must be percent-encoded UTF-8");
                    return Field::Faulty;
                }
                found => found.and_then(|(_, value)| value.as_deref()).map(Given::Text),
            },
        };
        let Some(given) = given else {
            return Field::Absent;
        };
        if self.is_patch {
            self.given.push(name);
        }
        if matches!(given, Given::Json(Value::Null)) {
            return Field::Empty;
        }
        match rule.read(given) {
            Ok(Some(value)) => Field::Value(value),
            Ok(None) => Field::Empty,
            Err(detail) => {
                self.fault(name, detail);
                Field::Faulty
            }
        }
    }
}

/// The JSON Schema of an object with these fields.
pub fn object_schema(described: &[Described]) -> Value {
    let required: Vec<_> = described.iter().filter(|f| f.required).map(|f| f.name).collect();
    json!({ "type": "object", "properties": properties(described), "required": required })
}

/// The JSON Schema of each of these fields, as a member of an object.
pub fn properties(described: &[Described]) -> Map<String, Value> {
    let mut properties = Map::new();
    for field in described {
        let mut schema = field.schema.clone();
        if field.nullable
            && let Some(kind) = schema.get("type").cloned()
        {
            schema["type"] = json!([kind, "null"]);
            if let Some(choices) = schema.get_mut("enum").and_then(Value::as_array_mut) {
                choices.push(Value::Null);
            }
        }
        properties.insert(field.name.to_owned(), schema);
    }
    properties
}
