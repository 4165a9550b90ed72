//! The birthday calendar: a secret address that any calendar program can subscribe to.

use serde_json::{Value, json};

use super::export::{Document, Export, Page};
use super::guard::audit;
use crate::api::context::Context;
use crate::api::endpoint::{
    Answer, Caller, Client, Documented, IfNoneMatch, NoContent, Operation, Origin, Path, Reply, Shape, always,
};
use crate::api::problem::Error;
use crate::domain::contact::Contact;
use crate::domain::fields::{Fields, FromFields};
use crate::domain::rules::{Doc, Opaque};
use crate::formats::ics;
use crate::http::{Body, Response};
use crate::security::secret;
use crate::store::{self, Store};

/// `{"url": …}`
pub struct Address;

impl Shape for Address {
    const NAME: &'static str = "CalendarAddress";
    fn schema() -> Value {
        always(json!({ "url": {
            "type": "string",
            "format": "uri-reference",
            "description": "what a calendar program subscribes to; whoever has it sees the birthdays, and it is not shown again",
        } }))
    }
}

/// `POST /api/contacts/calendar`
pub fn open(
    cx: &Context,
    caller: &Caller,
    (Origin(origin), client): (Origin, Client),
) -> Result<Answer<201, Address>, Error> {
    let secret = secret::new().map_err(|e| Error::Internal(format!("no random bytes: {e}")))?;
    cx.store.set_calendar(caller.user, &secret::digest(&secret))?;
    audit("calendar-opened", Some(caller.user), &client);
    let url = format!("{origin}/api/calendar/{secret}.ics");
    Ok(Answer::json(&json!({ "url": url })))
}

/// `DELETE /api/contacts/calendar`
pub fn close(cx: &Context, caller: &Caller, client: Client) -> Result<NoContent, Error> {
    cx.store.delete_calendar(caller.user)?;
    audit("calendar-closed", Some(caller.user), &client);
    Ok(NoContent)
}

/// The `{secret}` of a path.
pub struct Secret(String);

impl FromFields for Secret {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Secret> {
        let secret = Doc(Opaque { max: 1024 }, "The one in the address that the calendar was given.");
        fields.required("secret", &secret).map(Secret)
    }
}

/// The calendar's file.
pub struct Feed(Response);

impl Reply for Feed {
    fn into_response(self) -> Response {
        self.0
    }

    fn describe(operation: &mut Operation) {
        let calendar = json!({ "type": "string", "description": "a yearly event for each birthday" });
        operation.replies.push(Documented {
            status: 200,
            description: "The calendar.",
            content: vec![("text/calendar", calendar)],
        });
    }
}

/// A yearly event for each birthday.
struct Birthdays;

impl Document for Birthdays {
    fn page(&self, store: &Store, user: i64, after: i64, limit: i64) -> Page {
        store.birthdays_after(user, after, limit)
    }
    fn begin(&self, out: &mut Vec<u8>) {
        ics::begin(out);
    }
    fn contact(&self, contact: &Contact<'_>, _: bool, out: &mut Vec<u8>) {
        ics::event(contact, out);
    }
    fn end(&self, out: &mut Vec<u8>) {
        ics::end(out);
    }
}

/// `GET /api/calendar/{secret}.ics`
///
/// The ETag is a digest of the contacts' versions, found before the file is made, so a program that asks in vain costs little.
/// A change between the two is sent under the old ETag, and once more under the new one.
pub fn feed(
    cx: &Context,
    (Path(Secret(secret)), IfNoneMatch(known)): (Path<Secret>, IfNoneMatch),
) -> Result<Feed, Error> {
    let owner = cx.store.calendar_owner(&secret::digest(&secret));
    let user = owner.map_err(|error| match error {
        store::Error::NotFound => Error::NotFound("There is no calendar at this address."),
        error => error.into(),
    })?;
    let etag = format!("\"{}-{}\"", ics::REVISION, cx.store.calendar_digest(user)?);
    let response = if is_known(known.as_deref(), &etag) {
        Response::new(304)
    } else {
        let file = Export::begin(&cx.store, user, Birthdays)?;
        Response::with_body(200, "text/calendar; charset=utf-8", Body::Stream(Box::new(file)))
    };
    let response = response.header("ETag", etag).header("Cache-Control", "private, no-cache");
    Ok(Feed(response))
}

/// Whether the client has this version (RFC 9110 §13.1.2); tags are compared weakly.
fn is_known(if_none_match: Option<&str>, etag: &str) -> bool {
    if_none_match.is_some_and(|header| {
        header.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
    })
}
