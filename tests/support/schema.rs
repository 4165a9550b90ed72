//! The part of JSON Schema 2020-12 that the OpenAPI document uses, and no more: a keyword that is not known here is an error,
//! so nothing passes because it was not looked at.

use serde_json::Value;

/// Keywords that constrain nothing.
const REMARKS: [&str; 4] = ["description", "examples", "default", "title"];

/// What `reference` points to within the document (RFC 6901, without escapes, which no name here needs).
pub fn resolve<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    document.pointer(reference.strip_prefix('#')?)
}

/// Whether the value conforms; the first place where it does not otherwise. An object may have only the members that are
/// documented, which is stricter than JSON Schema: an answer should not say more than its document.
pub fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let keywords = schema.as_object().ok_or("a schema is an object")?;
    for (keyword, rule) in keywords {
        let holds = match keyword.as_str() {
            "$ref" => {
                let reference = rule.as_str().unwrap_or_default();
                let target = resolve(document, reference).ok_or(format!("{reference} leads nowhere"))?;
                check(document, target, value)?;
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| is_a(value, name)),
                name => is_a(value, name),
            },
            "properties" => {
                check_members(document, rule, value)?;
                true
            }
            "required" => {
                let names = rule.as_array().into_iter().flatten();
                let missing = |name: &Value| value.get(name.as_str().unwrap_or_default()).is_none();
                !value.is_object() || !names.clone().any(missing)
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    check(document, rule, item)?;
                }
                true
            }
            "enum" => rule.as_array().is_some_and(|choices| choices.contains(value)),
            "const" => rule == value,
            "minimum" => value.as_f64().is_none_or(|n| n >= rule.as_f64().unwrap_or(f64::MAX)),
            "maximum" => value.as_f64().is_none_or(|n| n <= rule.as_f64().unwrap_or(f64::MIN)),
            "minLength" => length(value).is_none_or(|n| n >= rule.as_u64().unwrap_or(u64::MAX)),
            "maxLength" => length(value).is_none_or(|n| n <= rule.as_u64().unwrap_or(0)),
            "maxItems" => {
                let most = rule.as_u64().unwrap_or(0);
                value.as_array().is_none_or(|items| items.len() as u64 <= most)
            }
            "pattern" => value.as_str().is_none_or(|text| has_pattern(text, rule)),
            "format" => value.as_str().is_none_or(|text| has_format(text, rule)),
            remark if REMARKS.contains(&remark) => true,
            unknown => return Err(format!("the keyword {unknown} is not known to this test")),
        };
        if !holds {
            return Err(format!("{value} does not keep {keyword}: {rule}"));
        }
    }
    Ok(())
}

fn check_members(document: &Value, properties: &Value, value: &Value) -> Result<(), String> {
    for (name, member) in value.as_object().into_iter().flatten() {
        let schema = properties.get(name).ok_or(format!("the member {name} is not documented"))?;
        check(document, schema, member).map_err(|fault| format!("{name}: {fault}"))?;
    }
    Ok(())
}

fn is_a(value: &Value, name: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    }
}

fn length(value: &Value) -> Option<u64> {
    Some(value.as_str()?.chars().count() as u64)
}

/// The patterns that the document has, each in code.
fn has_pattern(text: &str, pattern: &Value) -> bool {
    match pattern.as_str().unwrap_or_default() {
        r"^[^\u0000-\u001f\u007f-\u009f]*$" => !text.chars().any(char::is_control),
        r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]*$" => {
            !text.chars().any(|c| c.is_control() && !"\t\r\n".contains(c))
        }
        r"^((19|20)\d\d-\d\d-\d\d)?$" => text.is_empty() || text.len() == 10 && ("1900".."2100").contains(&&text[..4]),
        unknown => panic!("the pattern {unknown} is not known to this test"),
    }
}

fn has_format(text: &str, format: &Value) -> bool {
    match format.as_str() {
        Some("date") => text.parse::<chrono::NaiveDate>().is_ok(),
        Some("date-time") => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        Some("email") => text.contains('@'),
        // Said for people and generators; nothing that a text could break.
        Some("uri-reference" | "password" | "int64" | "binary") => true,
        _ => false,
    }
}
