//! Contacts in and out as files.

use std::thread;
use std::time::Instant;

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::export::{self, Document};
use super::leave_for;
use super::repeats::{IMPORTS_AT_ONCE, PAUSE, WAIT_FOR_IMPORT, once};
use crate::api::endpoint::{Answer, Call, Caller, Input, Operation, Query, RepeatKey, Reply, unsupported};
use crate::api::problem::Error;
use crate::domain::contact::{Contact, Draft};
use crate::domain::fields::{Fault, Fields, FromFields, object_schema};
use crate::domain::rules::{Doc, Flag, OneOf};
use crate::domain::shape::Shape;
use crate::formats::{self, Format, Import, Report, Unreadable};
use crate::http::Response;

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
        let content_type = call.request.header("Content-Type").unwrap_or("");
        let charset = content_type.split(';').skip(1).find_map(|param| {
            let (name, value) = param.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then_some(value)
        });
        let known = |name: &str| formats::named(name).ok_or_else(|| Error::UnknownCharset(name.to_owned()));
        let charset = charset.map(known).transpose()?;
        Ok(Upload(formats::read(format, charset, call.request.body(), call.now().date_naive())?))
    }

    fn describe(operation: &mut Operation) {
        let contact = operation.add_schema(Draft::NAME, object_schema(&Fields::describing().describe::<Draft>()));
        for (name, format) in READ {
            let schema = match format {
                Format::Vcard | Format::Vcard3 => {
                    file_schema("cards of version 2.1, 3.0 or 4.0, one after the other", VCARD)
                }
                Format::Csv => file_schema(
                    "a line of headings (the fields' names, or those of Google, Outlook or Thunderbird), then a line for each contact",
                    CSV,
                ),
                Format::Json => json!({ "type": "array", "items": contact }),
            };
            operation.bodies.push((name, schema));
        }
        let cut_off = VCARD.trim_end_matches("END:VCARD\r\n").as_bytes();
        operation.errors.extend(formats::read(Format::Vcard, None, cut_off, NaiveDate::MIN).err().map(Error::from));
    }
}

impl From<Unreadable> for Error {
    fn from(error: Unreadable) -> Error {
        match error {
            Unreadable::Malformed(detail) => Error::BadRequest(detail),
            Unreadable::Unfit(detail) => Error::Invalid(vec![Fault::new("", detail)]),
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
    /// What happens to entries that are there already.
    duplicates: &'static str,
}

impl FromFields for ImportQuery {
    fn from_fields(fields: &mut Fields<'_>) -> ImportQuery {
        const DRY_RUN: Doc<Flag> = Doc(Flag, "Whether to only report what would be imported.");
        let duplicates = OneOf { choices: &[(SKIP, SKIP), ("add", "add")] };
        let about = "What becomes of an entry that is the same as a contact that is there, or as an earlier entry.";
        ImportQuery {
            dry_run: fields.or_default("dry_run", &DRY_RUN, false),
            duplicates: fields.or_default("duplicates", &Doc(duplicates, about), SKIP),
        }
    }
}

const SKIP: &str = "skip";

/// `POST /api/contacts/import`
pub fn import(
    call: &Call<'_>,
    caller: &Caller,
    (Query(query), Upload(Import { mut drafts, mut report }), RepeatKey(key)): (Query<ImportQuery>, Upload, RepeatKey),
) -> Result<Answer<200, Report>, Error> {
    let (good, skips) = (drafts.len(), query.duplicates == SKIP);
    if skips && good > 0 {
        call.store.drop_known(caller.user, &mut drafts)?;
    }
    let mut answer = |drafts: &[Draft]| {
        report.created = drafts.len();
        report.duplicates = good - drafts.len();
        Answer::json(&report)
    };
    if let Some(key) = key.filter(|_| !query.dry_run) {
        return once(call, caller.user, drafts.len(), &key, |has_room| {
            let kept = |drafts: &[Draft]| answer(drafts).kept();
            call.store.insert_contacts_once((caller.user, &key, has_room), &mut drafts, skips, kept)
        });
    }
    if !query.dry_run && !drafts.is_empty() {
        let _leave = leave_for(call, caller, drafts.len())?;
        let began = Instant::now();
        while !call.store.insert_contacts(caller.user, &mut drafts, skips)? {
            if began.elapsed() > WAIT_FOR_IMPORT {
                return Err(IMPORTS_AT_ONCE);
            }
            thread::sleep(PAUSE);
        }
    }
    Ok(answer(&drafts))
}

// ----------------------------------------------------------------------------------------------------------------- export

/// The query of an export.
pub struct ExportQuery {
    format: Option<Format>,
    bom: bool,
}

impl FromFields for ExportQuery {
    fn from_fields(fields: &mut Fields<'_>) -> ExportQuery {
        const BOM: Doc<Flag> =
            Doc(Flag, "Whether a CSV file begins with a byte order mark, without which Excel garbles it.");
        let choices = &[("vcf", Format::Vcard), ("vcf3", Format::Vcard3), ("csv", Format::Csv), ("json", Format::Json)];
        let format = Doc(OneOf { choices }, "The file's format; by default the one that Accept prefers, or JSON.");
        ExportQuery { format: fields.optional("format", &format), bom: fields.or_default("bom", &BOM, false) }
    }
}

/// The media types that are written, their formats, what `Content-Type` says of such a file, and how its name ends. A client
/// without a preference gets the first.
const WRITTEN: [(&str, Format, &str, &str); 4] = [
    ("application/json", Format::Json, "application/json", "json"),
    ("text/vcard", Format::Vcard, "text/vcard; charset=utf-8", "vcf"),
    ("text/vcard; version=3.0", Format::Vcard3, "text/vcard; charset=utf-8; version=3.0", "vcf"),
    ("text/csv", Format::Csv, "text/csv; charset=utf-8; header=present", "csv"),
];

/// A file to download.
pub struct Download(Response);

impl Reply for Download {
    fn into_response(self) -> Response {
        self.0
    }

    fn describe(operation: &mut Operation) {
        operation.add_schema(Contact::NAME, Contact::schema());
        let schema = |format| match format {
            Format::Vcard | Format::Vcard3 => file_schema("a vCard for each contact", VCARD),
            Format::Csv => file_schema("the fields' names, then a line for each contact", CSV),
            Format::Json => <[Contact<'_>]>::reference(),
        };
        // A parameter makes no other media type.
        let written = WRITTEN.into_iter().filter(|(name, ..)| !name.contains(';'));
        let content = written.map(|(name, format, ..)| (name, schema(format))).collect();
        operation.replies.push((200, "The file", content));
        // Accept is no parameter: OpenAPI derives it from the media types of the answers.
        operation.errors.extend(negotiate(&["image/png"]).err());
    }
}

/// `GET /api/contacts/export`
pub fn export(call: &Call<'_>, caller: &Caller, Query(query): Query<ExportQuery>) -> Result<Download, Error> {
    let format = match query.format {
        Some(format) => format,
        None => negotiate(&call.request.list("Accept").filter(|range| !range.is_empty()).collect::<Vec<_>>())?,
    };
    let mut file = Vec::new();
    if query.bom && format == Format::Csv {
        file.extend_from_slice("\u{feff}".as_bytes());
    }
    format.begin(&mut file);
    let file = export::body(&call.store, caller.user, Document::Contacts(format), file)?;
    let (.., content_type, ending) = WRITTEN.into_iter().find(|row| row.1 == format).expect("all formats are written");
    let disposition = format!("attachment; filename=\"contacts.{ending}\"");
    let response = Response::with_body(200, content_type, file).header("Content-Disposition", disposition);
    Ok(Download(response.header("Vary", "Accept")))
}

/// The format that an `Accept` header (RFC 9110 §12.5.1) prefers. The most specific range that fits a media type counts; of
/// two that are preferred alike, the first of [`WRITTEN`].
fn negotiate(accept: &[&str]) -> Result<Format, Error> {
    if accept.is_empty() {
        return Ok(WRITTEN[0].1);
    }
    let liked = WRITTEN.into_iter().map(|(name, format, ..)| (quality(accept, name), format));
    // Of several that are equal, `max_by` returns the last.
    let best = liked.filter(|(quality, _)| *quality > 0.0).rev().max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, format)| format)
        .ok_or_else(|| Error::NotAcceptable(format!("Available: {}.", WRITTEN.map(|row| row.0).join(", "))))
}

fn quality(accept: &[&str], name: &str) -> f32 {
    let (name, version) = name.split_once("; version=").unwrap_or((name, "4.0"));
    let main = name.split('/').next().unwrap_or(name);
    let mut best = (0, 0.0);
    for range in accept {
        let mut parts = range.split(';').map(str::trim);
        let range = parts.next().unwrap_or("").to_ascii_lowercase();
        let params = parts.filter_map(|part| part.split_once('='));
        let param =
            |name: &str| params.clone().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let specificity = match range.strip_suffix("/*") {
            Some("*") => 1,
            Some(kind) if kind == main => 2,
            // Only a vCard has versions.
            _ if range == name => match param("version").filter(|_| name == "text/vcard") {
                Some(wanted) if wanted.trim_matches('"') != version => continue,
                Some(_) => 4,
                None => 3,
            },
            _ => continue,
        };
        let quality = param("q").map_or(1.0, |q| q.parse().unwrap_or(0.0));
        if specificity > best.0 {
            best = (specificity, quality);
        }
    }
    best.1
}
