//! The birthday calendar: a secret address that any calendar program can subscribe to.

use serde_json::json;

use super::export::{self, Document};
use crate::api::endpoint::{Answer, Call, LoggedIn, NoContent, Operation, Path, Preconditions, Reply};
use crate::api::problem::Error;
use crate::domain::fields::{Fields, FromFields};
use crate::domain::hex;
use crate::domain::rules::{Doc, Verbatim};
use crate::domain::shape::shape;
use crate::formats::ics;
use crate::http::Response;
use crate::security::secret;

shape! {
    /// Where a calendar is.
    pub struct Address as "CalendarAddress" {
        /// What a calendar program subscribes to. Anyone who has it sees the birthdays, and it is not shown again.
        pub url: String = { "format": "uri-reference", "examples": ["https://contacts.example.com/api/calendar/7-SECRET.ics"] },
        /// The same for a browser, which hands it to a calendar program; null where the server's own address is not known.
        pub webcal_url: Option<String> = { "format": "uri-reference", "examples": ["webcal://contacts.example.com/api/calendar/7-SECRET.ics"] },
    }
}

/// `POST /api/contacts/calendar`
pub fn open(call: &Call<'_>, caller: &LoggedIn, (): ()) -> Result<Answer<201, Address>, Error> {
    // It names its user, so that only that user's rows need to be asked.
    let secret = format!("{}-{}", caller.user, secret::new());
    call.store.set_calendar(caller.user, &secret::digest(&secret))?;
    call.audit("calendar-opened", Some(caller.user));
    let url = format!("{}/api/calendar/{secret}.ics", call.origin());
    let webcal_url = url.split_once("://").map(|(_, rest)| format!("webcal://{rest}"));
    Ok(Answer::json(&Address { url, webcal_url }))
}

/// `DELETE /api/contacts/calendar`
pub fn close(call: &Call<'_>, caller: &LoggedIn, (): ()) -> Result<NoContent, Error> {
    call.store.delete_calendar(caller.user)?;
    call.audit("calendar-closed", Some(caller.user));
    Ok(NoContent)
}

/// The `{secret}` of a path.
pub struct Secret(String);

impl FromFields for Secret {
    fn from_fields(fields: &mut Fields<'_>) -> Secret {
        let secret = Doc(Verbatim { max: 1024 }, "The secret in the address of the calendar.");
        Secret(fields.required("secret", &secret))
    }
}

/// The calendar's file.
pub struct Feed(Response);

impl Reply for Feed {
    fn into_response(self) -> Response {
        self.0
    }
    fn describe(operation: &mut Operation) {
        let example = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//contactd//Birthdays//EN\r\nBEGIN:VEVENT\r\n\
            UID:1@contactd\r\nDTSTAMP:20260102T030405Z\r\nDTSTART;VALUE=DATE:19900517\r\nRRULE:FREQ=YEARLY\r\n\
            SUMMARY:Іван Франко\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        let calendar =
            json!({ "type": "string", "description": "a yearly event for each birthday", "examples": [example] });
        operation.replies.push((200, "The calendar", vec![("text/calendar", calendar)]));
    }
}

/// Also where it has been removed or replaced.
pub const NO_SUCH_CALENDAR: Error = Error::NotFound("There is no calendar at this address.");

/// `GET /api/calendar/{secret}.ics`
///
/// The ETag is a digest of what the file shows, found before the file is made, so a program that has the file already costs
/// little. A change between the two is sent under the old ETag, and again under the new one. It is weak, for the time of
/// an event's last revision alone, which other changes of its contact move, makes no other calendar.
pub fn feed(call: &Call<'_>, (Path(Secret(secret)), conditions): (Path<Secret>, Preconditions)) -> Result<Feed, Error> {
    // An address of an older release names no user.
    let named = secret.split_once('-').and_then(|(user, _)| user.parse().ok());
    let owner = call.store.calendar_owner(named, &secret::digest(&secret));
    let (user, name) = owner.map_err(NO_SUCH_CALENDAR.if_missing())?;
    let shown = format!("{} {} {name}", ics::REVISION, call.store.calendar_digest(user)?);
    let etag = format!("W/\"{}\"", hex::encode(&secret::digest(&shown)[..16]));
    let response = if conditions.allow(&etag)? {
        let mut file = Vec::new();
        ics::begin(&name, &mut file);
        let file = export::body(&call.store, user, Document::Birthdays, file)?;
        let response = Response::with_body(200, "text/calendar; charset=utf-8", file);
        // Not the last part of the address, which is the secret.
        response.header("Content-Disposition", "inline; filename=\"birthdays.ics\"")
    } else {
        Response::new(304)
    };
    Ok(Feed(response.header("ETag", etag).header("Cache-Control", "private, no-cache")))
}
