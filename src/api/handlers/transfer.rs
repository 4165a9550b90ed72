//! Contacts in and out as files.

use serde_json::{Value, json};

use super::contacts::ContactShape;
use super::export::{Document, Export, Page};
use crate::api::context::Context;
use crate::api::endpoint::{
    Accept, Answer, Call, Caller, Content, Documented, Input, ListOf, Operation, Query, Reply, Shape, always,
    want_media_type,
};
use crate::api::problem::Error;
use crate::domain::contact::{Contact, Draft};
use crate::domain::fields::{Fault, Fields, FromFields, object_schema};
use crate::domain::rules::{Doc, Flag, OneOf};
use crate::formats::{self, Format, Import, Unreadable};
use crate::http::{Body, Response};
use crate::store::Store;

/// Contacts inserted with one statement: enough that the round trips do not count, and few enough that each ends long before
/// the statement's time limit.
const BATCH: usize = 1_000;

// ----------------------------------------------------------------------------------------------------------------- import

/// The media types that are read, and as what.
const READ: &[(&str, Format)] = &[
    ("text/vcard", Format::Vcard),
    ("text/x-vcard", Format::Vcard),
    ("text/directory", Format::Vcard),
    ("text/csv", Format::Csv),
    ("application/json", Format::Json),
];

/// Their names alone.
const READ_NAMES: &[&str] = &{
    let mut names = [""; READ.len()];
    let mut i = 0;
    while i < READ.len() {
        names[i] = READ[i].0;
        i += 1;
    }
    names
};

/// A file as body. It is read where it lies, in the request's body, so it is never in memory twice.
pub struct File(Import);

impl Input for File {
    fn read(cx: &Context, call: &Call<'_>, faults: &mut Vec<Fault>) -> Result<Option<File>, Error> {
        want_media_type(call, READ_NAMES)?;
        let media_type = call.request.media_type().unwrap_or_default();
        let format = READ.iter().find(|(name, _)| *name == media_type);
        let (_, format) = format.ok_or(Error::UnsupportedMediaType(READ_NAMES))?;
        match formats::read(*format, call.request.body(), cx.now().date_naive()) {
            Ok(import) => Ok(Some(File(import))),
            Err(Unreadable::Malformed(detail)) => Err(Error::BadRequest(detail)),
            Err(Unreadable::TooMany(detail)) => {
                faults.push(Fault::new("", detail));
                Ok(None)
            }
        }
    }

    fn describe(operation: &mut Operation) {
        let contact = object_schema(&Fields::describe::<Draft>(operation.password_min));
        for (name, format) in READ {
            let schema = match format {
                Format::Vcard => file_schema("cards of version 3.0 or 4.0, one after the other"),
                Format::Csv => file_schema(
                    "a line of headings (the fields' names, or Google's or Outlook's headings), then a line for each contact",
                ),
                Format::Json => json!({ "type": "array", "items": contact }),
            };
            operation.bodies.push((*name, schema));
        }
    }
}

fn file_schema(what: &str) -> Value {
    json!({ "type": "string", "description": what })
}

/// What a query of an import says.
pub struct Options {
    /// Whether it only tells what it would do.
    dry_run: bool,
}

impl FromFields for Options {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Options> {
        let dry_run = Doc(Flag, "Whether only to tell what would be done.");
        let dry_run = fields.optional("dry_run", &dry_run).unwrap_or(false);
        Some(Options { dry_run })
    }
}

/// How an import went.
pub struct ReportShape;

impl Shape for ReportShape {
    const NAME: &'static str = "ImportReport";
    fn schema() -> Value {
        let count = |what: &str| json!({ "type": "integer", "minimum": 0, "description": what });
        let error = json!({ "line": { "type": "integer", "minimum": 1 }, "detail": { "type": "string" } });
        always(json!({
            "created": count("contacts made; on a dry run, that would be made"),
            "skipped": count("entries that were not made because of an error"),
            "errors": {
                "type": "array",
                "items": always(error),
                "description": format!(
                    "the first {} of those, each with the line in the file where it begins",
                    formats::MOST_ERRORS
                ),
            },
        }))
    }
}

/// `POST /api/contacts/import`
pub fn import(
    cx: &Context,
    caller: &Caller,
    (Query(options), File(import)): (Query<Options>, File),
) -> Result<Answer<200, ReportShape>, Error> {
    if !options.dry_run && !import.drafts.is_empty() {
        cx.store.insert_contacts(caller.user, import.drafts.chunks(BATCH))?;
    }
    Ok(Answer::json(&import.report))
}

// ----------------------------------------------------------------------------------------------------------------- export

/// What an export is asked for in the query.
pub struct Wanted(Option<Format>);

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Wanted> {
        let choices = OneOf { choices: &[("vcf", Format::Vcard), ("csv", Format::Csv), ("json", Format::Json)] };
        let wanted = Doc(choices, "The file's format; where none is given, what Accept asks for, or JSON.");
        Some(Wanted(fields.optional("format", &wanted)))
    }
}

/// The media types that are written; the first is the one that a client gets who does not care.
const WRITTEN: &[(&str, Format)] =
    &[("application/json", Format::Json), ("text/vcard", Format::Vcard), ("text/csv", Format::Csv)];

/// A file to download.
pub struct Download(Response);

impl Reply for Download {
    fn into_response(self) -> Response {
        self.0
    }

    fn describe(operation: &mut Operation) {
        let (contacts, name, contact) = ListOf::<ContactShape>::describe();
        operation.components.push((name, contact));
        let schema = |format| match format {
            Format::Vcard => file_schema("a vCard 4.0 for each contact"),
            Format::Csv => file_schema("the fields' names, then a line for each contact"),
            Format::Json => contacts.clone(),
        };
        operation.replies.push(Documented {
            status: 200,
            description: "The file.",
            content: WRITTEN.iter().map(|(name, format)| (*name, schema(*format))).collect(),
        });
    }
}

/// `GET /api/contacts/export`
pub fn export(
    cx: &Context,
    caller: &Caller,
    (Query(Wanted(wanted)), Accept(accept)): (Query<Wanted>, Accept),
) -> Result<Download, Error> {
    let format = match wanted {
        Some(format) => format,
        None => negotiate(accept.as_deref())?,
    };
    let (content_type, disposition) = match format {
        Format::Vcard => ("text/vcard; charset=utf-8", "attachment; filename=\"contacts.vcf\""),
        Format::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"contacts.csv\""),
        Format::Json => ("application/json", "attachment; filename=\"contacts.json\""),
    };
    let file = Export::begin(&cx.store, caller.user, Contacts(format))?;
    let response = Response::with_body(200, content_type, Body::Stream(Box::new(file)))
        .header("Content-Disposition", disposition)
        .header("Vary", "Accept");
    Ok(Download(response))
}

/// All contacts in a format.
struct Contacts(Format);

impl Document for Contacts {
    fn page(&self, store: &Store, user: i64, after: i64, limit: i64) -> Page {
        store.contacts_after(user, after, limit)
    }
    fn begin(&self, out: &mut Vec<u8>) {
        self.0.begin(out);
    }
    fn contact(&self, contact: &Contact<'_>, is_first: bool, out: &mut Vec<u8>) {
        self.0.contact(contact, is_first, out);
    }
    fn end(&self, out: &mut Vec<u8>) {
        self.0.end(out);
    }
}

/// The format that an `Accept` header (RFC 9110 §12.5.1) likes best. Of a media type the most telling range counts, of two
/// liked alike the first of [`WRITTEN`].
fn negotiate(accept: Option<&str>) -> Result<Format, Error> {
    let Some(accept) = accept.filter(|accept| !accept.trim().is_empty()) else {
        return Ok(WRITTEN[0].1);
    };
    let mut best = (0.0, None);
    for (name, format) in WRITTEN {
        let quality = quality(accept, name);
        if quality > best.0 {
            best = (quality, Some(*format));
        }
    }
    best.1.ok_or_else(|| {
        let names: Vec<_> = WRITTEN.iter().map(|(name, _)| *name).collect();
        Error::NotAcceptable(format!("There is {}.", names.join(", ")))
    })
}

fn quality(accept: &str, name: &str) -> f32 {
    let main = name.split('/').next().unwrap_or(name);
    let mut found = (0, 0.0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or("").to_ascii_lowercase();
        let telling = match range.strip_suffix("/*") {
            Some("*") => 1,
            Some(kind) if kind == main => 2,
            _ if range == name => 3,
            _ => continue,
        };
        let quality = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if telling > found.0 {
            found = (telling, quality);
        }
    }
    found.1
}
