//! Contacts in and out as files.

use std::io::{self, Read};
use std::sync::Arc;
use std::vec;

use serde_json::{Value, json};

use super::contacts::ContactShape;
use crate::context::Context;
use crate::domain::contact::Draft;
use crate::domain::fields::{Fault, Fields, object_schema};
use crate::domain::rules::{Flag, OneOf};
use crate::endpoint::{
    Accept, Answer, Call, Caller, Content, Documented, FieldContext, FromFields, Input, ListOf,
    Operation, Query, Reply, Shape, always, want_media_type,
};
use crate::formats::{self, Format, Import, Unreadable};
use crate::http::{Body, Response};
use crate::problem::Error;
use crate::store::contacts::ContactRow;
use crate::store::{self, Store};

/// Contacts inserted with one statement: enough that the round trips do not count, and few enough that each ends long before
/// the statement's time limit.
const BATCH: usize = 1_000;

/// Contacts of an export that are in memory at once. With the longest texts they take about 4 MiB.
const PAGE: i64 = 200;

// ----------------------------------------------------------------------------------------------------------------- import

/// The media types that are read, and as what.
const READ: &[(&str, Format)] = &[("application/json", Format::Json)];

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
        match formats::read(*format, call.request.body, cx.now().date_naive()) {
            Ok(import) => Ok(Some(File(import))),
            Err(Unreadable::Malformed(detail)) => Err(Error::BadRequest(detail)),
            Err(Unreadable::TooMany(detail)) => {
                faults.push(Fault::new("", detail));
                Ok(None)
            }
        }
    }

    fn describe(operation: &mut Operation) {
        let contact = object_schema(&Fields::describe(Draft::read));
        for (name, format) in READ {
            let schema = match format {
                Format::Json => json!({ "type": "array", "items": contact }),
            };
            operation.bodies.push((*name, schema));
        }
    }
}

/// What a query of an import says.
pub struct Options {
    /// Whether it only tells what it would do.
    dry_run: bool,
}

impl FromFields for Options {
    fn from_fields(fields: &mut Fields<'_>, _: &FieldContext<'_>) -> Option<Options> {
        let dry_run = fields.optional("dry_run", &Flag).unwrap_or(false);
        Some(Options { dry_run })
    }
}

/// How an import went.
pub struct ReportShape;

impl Shape for ReportShape {
    const NAME: &'static str = "ImportReport";
    fn schema() -> Value {
        let count = |what: &str| json!({ "type": "integer", "minimum": 0, "description": what });
        let error =
            json!({ "line": { "type": "integer", "minimum": 1 }, "detail": { "type": "string" } });
        always(json!({
            "created": count("contacts made; on a dry run, that would be made"),
            "skipped": count("entries that were not made because of an error"),
            "errors": {
                "type": "array",
                "items": always(error),
                "maxItems": formats::MOST_ERRORS,
                "description": "the first thousand of those, each with the line in the file where it begins",
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
        cx.store
            .insert_contacts(caller.user, import.drafts.chunks(BATCH))?;
    }
    Ok(Answer::json(&import.report))
}

// ----------------------------------------------------------------------------------------------------------------- export

/// What an export is asked for in the query.
pub struct Wanted(Option<Format>);

impl FromFields for Wanted {
    fn from_fields(fields: &mut Fields<'_>, _: &FieldContext<'_>) -> Option<Wanted> {
        let choices = OneOf {
            choices: &[("json", Format::Json)],
        };
        Some(Wanted(fields.optional("format", &choices)))
    }
}

/// The media types that are written; the first is the one that a client gets who does not care.
const WRITTEN: &[(&str, Format)] = &[("application/json", Format::Json)];

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
            Format::Json => contacts.clone(),
        };
        operation.replies.push(Documented {
            status: 200,
            description: "The file.",
            content: WRITTEN
                .iter()
                .map(|(name, format)| (*name, schema(*format)))
                .collect(),
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
        Format::Json => ("application/json", "attachment; filename=\"contacts.json\""),
    };
    // The first page here, so that a database that is away is a 503 and no broken download. The rest is read by the thread
    // that sends it, and only as far as the client takes it: for a HEAD, not at all.
    let mut file = Export::new(Arc::clone(&cx.store), caller.user, format);
    file.next_page()?;
    let response = Response::with_body(200, content_type, Body::Stream(Box::new(file)))
        .header("Content-Disposition", disposition)
        .header("Vary", "Accept");
    Ok(Download(response))
}

/// A file while it is sent: pages of contacts by id, each written into a small buffer as that empties. Between pages no
/// connection to the database is held, however slowly the client takes them.
struct Export {
    store: Arc<Store>,
    user: i64,
    format: Format,
    page: vec::IntoIter<ContactRow>,
    /// The last id that was read; 0 before the first.
    after: i64,
    /// Whether that was the last page.
    is_last: bool,
    buffer: Vec<u8>,
    /// The bytes of the buffer that were given away.
    given: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    First,
    Further,
    Done,
}

impl Export {
    fn new(store: Arc<Store>, user: i64, format: Format) -> Export {
        Export {
            store,
            user,
            format,
            page: Vec::new().into_iter(),
            after: 0,
            is_last: false,
            buffer: Vec::new(),
            given: 0,
            stage: Stage::Begin,
        }
    }

    fn next_page(&mut self) -> Result<(), store::Error> {
        let page = self.store.contacts_after(self.user, self.after, PAGE)?;
        if let Some(last) = page.last() {
            self.after = last.contact().id;
        }
        self.is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        self.page = page.into_iter();
        Ok(())
    }

    /// Puts the next contact into the buffer, or what the file begins or ends with.
    fn step(&mut self) -> Result<(), store::Error> {
        if self.stage == Stage::Begin {
            self.format.begin(&mut self.buffer);
            self.stage = Stage::First;
            return Ok(());
        }
        if self.page.len() == 0 && !self.is_last {
            self.next_page()?;
        }
        match self.page.next() {
            Some(row) => {
                let is_first = self.stage == Stage::First;
                self.format
                    .contact(&row.contact(), is_first, &mut self.buffer);
                self.stage = Stage::Further;
            }
            None => {
                self.format.end(&mut self.buffer);
                self.stage = Stage::Done;
            }
        }
        Ok(())
    }
}

impl Read for Export {
    /// An error ends the download without its last chunk, which tells the client that it is not whole.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.buffer.len() {
            self.buffer.clear();
            self.given = 0;
            while self.buffer.len() < out.len() && self.stage != Stage::Done {
                self.step().map_err(io::Error::other)?;
            }
        }
        let count = out.len().min(self.buffer.len() - self.given);
        out[..count].copy_from_slice(&self.buffer[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// The format that an `Accept` header (RFC 9110 §12.5.1) likes best. Of a media type the most telling range counts, of two
/// liked alike the first of [`WRITTEN`].
fn negotiate(accept: Option<&str>) -> Result<Format, Error> {
    let Some(accept) = accept else {
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
