//! Contacts. Each statement asks for the caller's own rows, so another user's contact is the same 404 as a missing one.

use std::sync::LazyLock;

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::path::Id;
use crate::api::context::Context;
use crate::api::endpoint::{
    Answer, Caller, IfMatch, IfNoneMatch, Json, ListOf, MergePatch, NoContent, Path, Query, RawQuery, Shape, always,
};
use crate::api::problem::Error;
use crate::domain::birthday;
use crate::domain::contact::{Contact, Draft, Upcoming};
use crate::domain::fields::Fields;
use crate::domain::page::{Cursor, List, UpcomingQuery};
use crate::http::{parse_pairs, percent_encode};
use crate::store;
use crate::store::contacts::{ChangeError, ContactRow};

/// A contact in an answer.
pub struct ContactShape;

fn contact_properties() -> Value {
    let text = json!({ "type": ["string", "null"] });
    let instant = json!({ "type": "string", "format": "date-time" });
    json!({
        "id": { "type": "integer", "format": "int64" },
        "first_name": { "type": "string" },
        "last_name": text,
        "email": text,
        "phone_number": text,
        "birthday": { "type": ["string", "null"], "format": "date" },
        "additional_info": text,
        "created_at": instant,
        "updated_at": instant,
    })
}

impl Shape for ContactShape {
    const NAME: &'static str = "Contact";
    fn schema() -> Value {
        always(contact_properties())
    }
}

/// A contact with its next birthday.
pub struct UpcomingShape;

impl Shape for UpcomingShape {
    const NAME: &'static str = "UpcomingBirthday";
    fn schema() -> Value {
        let mut properties = contact_properties();
        properties["next_birthday"] = json!({ "type": "string", "format": "date" });
        properties["days_until"] = json!({ "type": "integer", "minimum": 0 });
        properties["turns"] = json!({ "type": "integer" });
        always(properties)
    }
}

// ------------------------------------------------------------------------------------------------ ETags and preconditions

fn etag(contact: &Contact<'_>) -> String {
    format!("\"{}\"", contact.version)
}

/// The versions that an `If-Match` (RFC 9110 §13.1.1) names; `None` for any. A weak tag never matches strongly, nor does
/// one that is not of ours, so a header of such tags alone fits no version.
fn versions(if_match: Option<&str>) -> Option<Vec<i32>> {
    let header = if_match?.trim();
    if header == "*" {
        return None;
    }
    Some(header.split(',').filter_map(|tag| version(tag.trim())).collect())
}

fn version(tag: &str) -> Option<i32> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    // Only the form that etag() writes: "+1" and "01" parse too, and are not ours.
    digits.parse().ok().filter(|version: &i32| version.to_string() == digits)
}

impl From<ChangeError> for Error {
    fn from(error: ChangeError) -> Error {
        match error {
            ChangeError::OtherVersion => Error::PreconditionFailed,
            ChangeError::Store(error) => missing(error),
        }
    }
}

fn missing(error: store::Error) -> Error {
    match error {
        store::Error::NotFound => Error::NotFound("There is no such contact."),
        error => error.into(),
    }
}

fn shown<const STATUS: u16>(row: &ContactRow) -> Answer<STATUS, ContactShape> {
    let contact = row.contact();
    Answer::json(&contact).header("ETag", etag(&contact))
}

// --------------------------------------------------------------------------------------------------------------- handlers

/// `POST /api/contacts`
pub fn create(cx: &Context, caller: &Caller, Json(draft): Json<Draft>) -> Result<Answer<201, ContactShape>, Error> {
    let row = cx.store.insert_contact(caller.user, &draft)?;
    let location = format!("/api/contacts/{}", row.contact().id);
    Ok(shown(&row).header("Location", location))
}

/// `GET /api/contacts/{id}`
pub fn one(
    cx: &Context,
    caller: &Caller,
    (Path(Id(id)), known): (Path<Id>, IfNoneMatch),
) -> Result<Answer<200, ContactShape>, Error> {
    let row = cx.store.contact(caller.user, id).map_err(missing)?;
    let answer = shown(&row);
    let known = known.names(&etag(&row.contact()));
    Ok(if known { answer.not_modified() } else { answer })
}

/// `PUT /api/contacts/{id}`
pub fn replace(
    cx: &Context,
    caller: &Caller,
    (Path(Id(id)), Json(draft), IfMatch(tags)): (Path<Id>, Json<Draft>, IfMatch),
) -> Result<Answer<200, ContactShape>, Error> {
    let versions = versions(tags.as_deref());
    let row = cx.store.replace_contact(caller.user, id, &draft, versions.as_deref())?;
    Ok(shown(&row))
}

/// `PATCH /api/contacts/{id}`
pub fn patch(
    cx: &Context,
    caller: &Caller,
    (Path(Id(id)), MergePatch(patch), IfMatch(tags)): (Path<Id>, MergePatch<Draft>, IfMatch),
) -> Result<Answer<200, ContactShape>, Error> {
    let versions = versions(tags.as_deref());
    let row = cx.store.patch_contact(caller.user, id, &patch, versions.as_deref())?;
    Ok(shown(&row))
}

/// `DELETE /api/contacts/{id}`
pub fn delete(
    cx: &Context,
    caller: &Caller,
    (Path(Id(id)), IfMatch(tags)): (Path<Id>, IfMatch),
) -> Result<NoContent, Error> {
    let versions = versions(tags.as_deref());
    cx.store.delete_contact(caller.user, id, versions.as_deref())?;
    Ok(NoContent)
}

/// `GET /api/contacts`
pub fn list(
    cx: &Context,
    caller: &Caller,
    (Query(list), RawQuery(query)): (Query<List>, RawQuery),
) -> Result<Answer<200, ListOf<ContactShape>>, Error> {
    let rows = cx.store.contacts(caller.user, &list)?;
    // The store looks one further than the page, which tells whether there is more without counting.
    let page = &rows[..rows.len().min(usize::try_from(list.limit).unwrap_or(usize::MAX))];
    let mut answer = Answer::array(page.iter().map(ContactRow::contact));
    if page.len() < rows.len()
        && let Some(last) = page.last()
    {
        let cursor = Cursor { sort: list.sort, key: last.sort_key().to_owned(), id: last.contact().id };
        answer = answer.header("Link", next_link(&query, &cursor));
    }
    if list.count {
        let count = cx.store.count_contacts(caller.user, &list.filter)?;
        answer = answer.header("X-Total-Count", count.to_string());
    }
    Ok(answer)
}

/// What a link to the next page repeats: all that a list reads but the place where it begins.
static REPEATED: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let names = Fields::describe::<List>(0).into_iter().map(|f| f.name);
    names.filter(|n| !matches!(*n, "cursor" | "skip")).collect()
});

/// The link to the next page (RFC 8288): the same query, begun behind the cursor. It is written anew from the values that
/// count, for nothing that a client sent may reach a header as it is, and what is unknown or given twice could make the link
/// longer than a request may be.
fn next_link(query: &str, cursor: &Cursor) -> String {
    let given = parse_pairs(query).unwrap_or_default();
    let mut link = "</api/contacts?".to_owned();
    for name in REPEATED.iter() {
        if let Some((_, value)) = given.iter().find(|(n, _)| n == name) {
            link += &format!("{name}={}&", percent_encode(value));
        }
    }
    link + &format!("cursor={}>; rel=\"next\"", cursor.encode())
}

/// `GET /api/contacts/upcoming_birthdays`
pub fn upcoming(
    cx: &Context,
    caller: &Caller,
    Query(query): Query<UpcomingQuery>,
) -> Result<Answer<200, ListOf<UpcomingShape>>, Error> {
    let today = match query.today {
        Some(today) => today,
        None => cx.today.get(&cx.store)?,
    };
    let rows = cx.store.upcoming(caller.user, &birthday::windows(today, query.days), query.limit, query.skip)?;
    Ok(Answer::array(rows.iter().map(|row| celebrated(row, today))))
}

fn celebrated(row: &ContactRow, today: NaiveDate) -> Upcoming<'_> {
    let contact = row.contact();
    // Every row of a window of birthdays has one.
    let born = contact.birthday.unwrap_or(today);
    Upcoming {
        contact,
        next_birthday: birthday::next(born, today),
        days_until: birthday::days_until(born, today),
        turns: birthday::turns(born, today),
    }
}
