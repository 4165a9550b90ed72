//! Contacts in and out as files.

use serde_json::{Value, json};

use super::export::{self, Document};
use super::leave_for;
use crate::api::endpoint::{Answer, Call, Caller, Input, Operation, Query, Reply, unsupported};
use crate::api::problem::Error;
use crate::domain::contact::{Contact, Draft};
use crate::domain::fields::{Fault, Fields, FromFields, object_schema};
use crate::domain::rules::{Doc, Flag, OneOf};
use crate::domain::shape::Shape;
use crate::formats::{self, Format, Import, Report, Unreadable};
use crate::http::Response;

/// The number of contacts inserted by one statement: so many that round trips cost little, and so few that each statement
/// ends long before its time limit.
const BATCH: usize = 1_000;

// ----------------------------------------------------------------------------------------------------------------- import

/// The media types that are read, and their formats.
const READ: [(&str, Format); 5] = [
    ("text/vcard", Format::Vcard),
    ("text/x-vcard", Format::Vcard),
    ("text/directory", Format::Vcard),
    ("text/csv", Format::Csv),
    ("application/json", Format::Json),
];

/// A file as body. It is parsed in place, in the request's body, so it is never in memory twice.
pub struct Upload(Import);

impl Input for Upload {
    fn read(call: &Call<'_>) -> Result<Upload, Error> {
        let given = call.request.media_type();
        let Some((_, format)) = READ.into_iter().find(|(name, _)| given.as_deref() == Some(name)) else {
            return Err(unsupported(call.request, READ.map(|(name, _)| name).to_vec()));
        };
        match formats::read(format, call.request.body(), call.now().date_naive()) {
            Ok(import) => Ok(Upload(import)),
            Err(Unreadable::Malformed(detail)) => Err(Error::BadRequest(detail)),
            Err(Unreadable::TooMany(detail)) => Err(Error::Invalid(vec![Fault::new("", detail)])),
        }
    }

    fn describe(operation: &mut Operation) {
        let contact = operation.add_schema(Draft::NAME, object_schema(&Fields::describing().describe::<Draft>()));
        for (name, format) in READ {
            let schema = match format {
                Format::Vcard => file_schema("cards of version 2.1, 3.0 or 4.0, one after the other", VCARD),
                Format::Csv => file_schema(
                    "a line of headings (the fields' names, or Google's or Outlook's headings), then a line for each contact",
                    CSV,
                ),
                Format::Json => json!({ "type": "array", "items": contact }),
            };
            operation.bodies.push((name, schema));
        }
    }
}

fn file_schema(what: &str, example: &str) -> Value {
    json!({ "type": "string", "description": what, "examples": [example] })
}

const VCARD: &str = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Іван Франко\r\nN:Франко;Іван;;;\r\n\
    TEL:+38 (050) 123-45-67\r\nBDAY:19900517\r\nEND:VCARD\r\n";
const CSV: &str = "first_name,last_name,email,phone_number,birthday,additional_info\r\n\
    Іван,Франко,ivan@example.com,0501234567,1990-05-17,Met at the spring conference\r\n";

/// The query of an import.
pub struct ImportQuery {
    dry_run: bool,
}

impl FromFields for ImportQuery {
    fn from_fields(fields: &mut Fields<'_>) -> Option<ImportQuery> {
        const DRY_RUN: Doc<Flag> = Doc(Flag, "Whether to only report what would be imported.");
        Some(ImportQuery { dry_run: fields.or_default("dry_run", &DRY_RUN, false) })
    }
}

/// `POST /api/contacts/import`
pub fn import(
    call: &Call<'_>,
    caller: &Caller,
    (Query(query), Upload(import)): (Query<ImportQuery>, Upload),
) -> Result<Answer<200, Report>, Error> {
    if !query.dry_run && !import.drafts.is_empty() {
        let _leave = leave_for(call, caller, import.drafts.len())?;
        call.store.insert_contacts(caller.user, import.drafts.chunks(BATCH))?;
    }
    Ok(Answer::json(&import.report))
}

// ----------------------------------------------------------------------------------------------------------------- export

/// The query of an export.
pub struct ExportQuery {
    format: Option<Format>,
}

impl FromFields for ExportQuery {
    fn from_fields(fields: &mut Fields<'_>) -> Option<ExportQuery> {
        let formats = OneOf { choices: &[("vcf", Format::Vcard), ("csv", Format::Csv), ("json", Format::Json)] };
        let format = Doc(formats, "The file's format; by default the one that Accept prefers, or JSON.");
        Some(ExportQuery { format: fields.optional("format", &format) })
    }
}

/// The media types that are written; a client without a preference gets the first.
const WRITTEN: [(&str, Format); 3] =
    [("application/json", Format::Json), ("text/vcard", Format::Vcard), ("text/csv", Format::Csv)];

/// A file to download.
pub struct Download(Response);

impl Reply for Download {
    fn into_response(self) -> Response {
        self.0
    }

    fn describe(operation: &mut Operation) {
        operation.add_schema(Contact::NAME, Contact::schema());
        let schema = |format| match format {
            Format::Vcard => file_schema("a vCard 4.0 for each contact", VCARD),
            Format::Csv => file_schema("the fields' names, then a line for each contact", CSV),
            Format::Json => <[Contact<'_>]>::reference(),
        };
        let content = WRITTEN.into_iter().map(|(name, format)| (name, schema(format))).collect();
        operation.replies.push((200, "The file", content));
        // Accept is no parameter: OpenAPI derives it from the media types of the answers.
        operation.errors.push(406);
    }
}

/// `GET /api/contacts/export`
pub fn export(call: &Call<'_>, caller: &Caller, Query(query): Query<ExportQuery>) -> Result<Download, Error> {
    let format = match query.format {
        Some(format) => format,
        None => negotiate(&call.request.list("Accept").filter(|range| !range.is_empty()).collect::<Vec<_>>())?,
    };
    let (content_type, disposition) = match format {
        Format::Vcard => ("text/vcard; charset=utf-8", "attachment; filename=\"contacts.vcf\""),
        Format::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"contacts.csv\""),
        Format::Json => ("application/json", "attachment; filename=\"contacts.json\""),
    };
    let file = export::body(&call.store, caller.user, Document::Contacts(format))?;
    let response = Response::with_body(200, content_type, file)
        .header("Content-Disposition", disposition)
        .header("Vary", "Accept");
    Ok(Download(response))
}

/// The format that an `Accept` header (RFC 9110 §12.5.1) prefers. The most specific range that fits a media type counts; of
/// two that are preferred alike, the first of [`WRITTEN`].
fn negotiate(accept: &[&str]) -> Result<Format, Error> {
    if accept.is_empty() {
        return Ok(WRITTEN[0].1);
    }
    let liked =
        WRITTEN.into_iter().map(|(name, format)| (quality(accept, name), format)).filter(|(quality, _)| *quality > 0.0);
    // Of several that are equal, `max_by` returns the last.
    let best = liked.rev().max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, format)| format)
        .ok_or_else(|| Error::NotAcceptable(format!("Available: {}.", WRITTEN.map(|(name, _)| name).join(", "))))
}

fn quality(accept: &[&str], name: &str) -> f32 {
    let main = name.split('/').next().unwrap_or(name);
    let mut best = (0, 0.0);
    for range in accept {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or("").to_ascii_lowercase();
        let specificity = match range.strip_suffix("/*") {
            Some("*") => 1,
            Some(kind) if kind == main => 2,
            _ if range == name => 3,
            _ => continue,
        };
        let quality = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if specificity > best.0 {
            best = (specificity, quality);
        }
    }
    best.1
}
