//! The trash, where deleted contacts stay for 30 days.

use chrono::{DateTime, Utc};

use super::contacts::answer;
use super::{Id, leave_for};
use crate::api::endpoint::{Answer, Call, Caller, LoggedIn, NoContent, Path, Query};
use crate::api::problem::Error;
use crate::domain::contact::{Contact, Trashed};
use crate::domain::fields::{Fields, FromFields};
use crate::domain::page::Page;
use crate::domain::rules::{Doc, Instant, OneOf};
use crate::domain::shape::shape;

shape! {
    /// What came of restoring several.
    pub struct Restored as "Restored" {
        /// How many contacts are back.
        pub restored: u64 = { "examples": [3] },
    }
}

/// The query of a restoration.
pub struct DeletedAfter(DateTime<Utc>);

impl FromFields for DeletedAfter {
    fn from_fields(fields: &mut Fields<'_>) -> DeletedAfter {
        let rule = Doc(Instant, "What was deleted after this instant is restored.");
        DeletedAfter(fields.required("deleted_after", &rule))
    }
}

/// The query that empties the trash. A script with an empty id must not do it, so the words are asked for.
pub struct All;

impl FromFields for All {
    fn from_fields(fields: &mut Fields<'_>) -> All {
        let rule = Doc(OneOf { choices: &[("true", ())] }, "That all of it is meant.");
        fields.required("all", &rule);
        All
    }
}

/// Also where it was there longer ago.
pub const NOT_IN_TRASH: Error = Error::NotFound("There is no such contact in the trash.");

/// `GET /api/contacts/trash`
pub fn list(
    call: &Call<'_>,
    caller: &Caller,
    Query(page): Query<Page>,
) -> Result<Answer<200, [Trashed<'static>]>, Error> {
    let rows = call.store.trash(&call.quota, caller.user, page)?;
    Ok(Answer::array(rows.iter().map(|row| Trashed { contact: row.contact(), deleted_at: row.deleted_at() })))
}

/// `POST /api/contacts/trash/{id}/restore`
pub fn restore(
    call: &Call<'_>,
    caller: &Caller,
    Path(Id(id)): Path<Id>,
) -> Result<Answer<200, Contact<'static>>, Error> {
    let _leave = leave_for(call, caller, 1)?;
    let restored = call.store.restore_contact(&call.quota, caller.user, id);
    Ok(answer(&restored.map_err(NOT_IN_TRASH.if_missing())?))
}

/// `POST /api/contacts/trash/restore`
pub fn restore_after(
    call: &Call<'_>,
    caller: &Caller,
    Query(DeletedAfter(instant)): Query<DeletedAfter>,
) -> Result<Answer<200, Restored>, Error> {
    let ids = call.store.deleted_after(&call.quota, caller.user, instant)?;
    if ids.is_empty() {
        return Ok(Answer::json(&Restored { restored: 0 }));
    }
    let _leave = leave_for(call, caller, ids.len())?;
    Ok(Answer::json(&Restored { restored: call.store.restore_contacts(&call.quota, caller.user, &ids)? }))
}

/// `DELETE /api/contacts/trash/{id}`
pub fn delete(call: &Call<'_>, caller: &LoggedIn, Path(Id(id)): Path<Id>) -> Result<NoContent, Error> {
    match call.store.empty_trash(caller.user, Some(id))? {
        0 => Err(NOT_IN_TRASH),
        _ => Ok(NoContent),
    }
}

/// `DELETE /api/contacts/trash?all=true`
pub fn empty(call: &Call<'_>, caller: &LoggedIn, Query(All): Query<All>) -> Result<NoContent, Error> {
    call.store.empty_trash(caller.user, None)?;
    Ok(NoContent)
}
