//! Contacts. Each statement asks for the caller's own rows, so another user's contact is the same 404 as a missing one.

use std::sync::LazyLock;

use chrono::NaiveDate;

use super::Id;
use super::repeats::once;
use crate::api::context::Context;
use crate::api::endpoint::{
    Answer, Asking, Batch, Call, Caller, NoContent, Path, Payload, Preconditions, Query, RepeatKey, is_short,
};
use crate::api::problem::Error;
use crate::domain::birthday;
use crate::domain::contact::{Contact, Draft, Upcoming};
use crate::domain::fields::{Fields, FromFields, Patch};
use crate::domain::page::{Cursor, List, UpcomingQuery};
use crate::domain::repeat::Key;
use crate::http::{parse_pairs, percent_encode};
use crate::store;
use crate::store::contacts::{Celebrations, ContactRow};

// ------------------------------------------------------------------------------------------------ ETags and preconditions

fn etag(contact: &Contact<'_>) -> String {
    format!("\"{}\"", contact.version)
}

/// The versions of a contact that a change is meant for; `None` for any. The statement that changes the contact holds on to
/// them, so nothing can come between. `If-Match` names them; with `If-None-Match` it is the version that was looked at.
fn meant_for(call: &Call<'_>, caller: &Caller, id: i64, conditions: &Preconditions) -> Result<Option<Vec<i32>>, Error> {
    if conditions.none_match.is_empty() {
        let is_any = conditions.r#match.is_empty() || conditions.r#match == ["*"];
        return Ok((!is_any).then(|| conditions.r#match.iter().filter_map(|tag| version(tag)).collect()));
    }
    let row = call.store.contact(caller.user, id).map_err(NO_SUCH_CONTACT.if_missing())?;
    match conditions.allow(&etag(&row.contact()))? {
        true => Ok(Some(vec![row.contact().version])),
        false => Err(Error::PreconditionFailed),
    }
}

/// The version that a tag of ours stands for. A weak tag and a foreign one stand for none.
fn version(tag: &str) -> Option<i32> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    // Only in the form that etag() writes: "+1" and "01" can be parsed, too, but are not ours.
    digits.parse().ok().filter(|version: &i32| version.to_string() == digits)
}

/// Also where the contact is another user's.
pub const NO_SUCH_CONTACT: Error = Error::NotFound("There is no such contact.");

pub(super) fn answer<const STATUS: u16>(row: &ContactRow) -> Answer<STATUS, Contact<'static>> {
    let contact = row.contact();
    Answer::json(&contact).header("ETag", etag(&contact))
}

// --------------------------------------------------------------------------------------------------------------- handlers

/// `POST /api/contacts`
pub struct Create;

impl Batch for Create {
    type Who = Caller;
    type Input = (Payload<Draft>, RepeatKey);
    type Asked = (i64, Draft, Option<Key>);
    type Kept = ();
    type Got = Result<Self::Reply, Error>;
    type Reply = Answer<201, Contact<'static>>;

    fn ask(_: &Call<'_>, caller: &Caller, (Payload(draft), RepeatKey(key)): Self::Input) -> Asking<Self> {
        Ok(((caller.user, draft, key), ()))
    }
    fn run(cx: &Context, asked: &[Self::Asked]) -> Vec<Option<Self::Got>> {
        // One with a key comes alone.
        if let [(user, draft, Some(key))] = asked {
            let kept = |row: ContactRow| created(&row).kept();
            let make = |has_room| cx.store.create_contact_once((*user, key, has_room), draft, kept);
            return vec![Some(once(cx, *user, 1, key, make))];
        }
        let reply = |row: Result<Option<_>, _>| Ok(created(&row?.ok_or(Error::ADDRESS_BOOK_FULL)?));
        cx.store.create_contacts(&cx.quota, asked).into_iter().map(|row| row.map(reply)).collect()
    }
    fn reply(_: &Call<'_>, (): (), answer: Self::Got) -> Result<Self::Reply, Error> {
        answer
    }
}

fn created(row: &ContactRow) -> Answer<201, Contact<'static>> {
    answer(row).header("Location", format!("/api/contacts/{}", row.contact().id))
}

/// `GET /api/contacts/{id}`
pub struct One;

impl Batch for One {
    type Who = Caller;
    type Input = (Path<Id>, Preconditions);
    type Asked = (i64, i64);
    type Kept = Preconditions;
    type Got = Result<ContactRow, store::Error>;
    type Reply = Answer<200, Contact<'static>>;

    fn ask(_: &Call<'_>, caller: &Caller, (Path(Id(id)), conditions): Self::Input) -> Asking<Self> {
        Ok(((caller.user, id), conditions))
    }
    fn run(cx: &Context, asked: &[(i64, i64)]) -> Vec<Option<Self::Got>> {
        cx.store.contacts_by_id(asked)
    }
    fn reply(_: &Call<'_>, conditions: Preconditions, row: Self::Got) -> Result<Self::Reply, Error> {
        let row = row.map_err(NO_SUCH_CONTACT.if_missing())?;
        let answer = answer(&row);
        Ok(if conditions.allow(&etag(&row.contact()))? { answer } else { answer.without_body(304) })
    }
}

/// `PUT /api/contacts/{id}` with a `Draft`, which changes every field, and `PATCH` with a `Patch` of one.
pub fn change<C: FromFields + Into<Patch<Draft>>>(
    call: &Call<'_>,
    caller: &Caller,
    (Path(Id(id)), Payload(change), conditions): (Path<Id>, Payload<C>, Preconditions),
) -> Result<Answer<200, Contact<'static>>, Error> {
    let versions = meant_for(call, caller, id, &conditions)?;
    let changed = call.store.update_contact(caller.user, id, &change.into(), versions.as_deref());
    Ok(answer(&changed.map_err(NO_SUCH_CONTACT.if_missing())?))
}

/// `DELETE /api/contacts/{id}`
pub fn delete(
    call: &Call<'_>,
    caller: &Caller,
    (Path(Id(id)), conditions): (Path<Id>, Preconditions),
) -> Result<NoContent, Error> {
    let versions = meant_for(call, caller, id, &conditions)?;
    let deleted = call.store.delete_contact(&call.quota, caller.user, id, versions.as_deref());
    deleted.map_err(NO_SUCH_CONTACT.if_missing())?;
    Ok(NoContent)
}

/// `GET /api/contacts`
pub fn list(
    call: &Call<'_>,
    caller: &Caller,
    Query(list): Query<List>,
) -> Result<Answer<200, [Contact<'static>]>, Error> {
    let rows = call.store.contacts(caller.user, &list)?;
    // The store returns one contact more than the page has, if there is one: so the page has a next one.
    let page = &rows[..rows.len().min(usize::try_from(list.page.limit).unwrap_or(usize::MAX))];
    let mut answer = Answer::array(page.iter().map(ContactRow::contact));
    if page.len() < rows.len()
        && let Some(last) = page.last()
    {
        let key = if list.sort.is_by_id() { "" } else { last.sort_key() };
        let cursor = Cursor { sort: list.sort, key: key.to_owned(), id: last.contact().id };
        answer = answer.header("Link", next_link(call.request.query(), &cursor));
    }
    if list.count {
        let count = call.store.count_contacts(caller.user, &list.filter)?;
        answer = answer.header("X-Total-Count", count.to_string());
    }
    Ok(answer)
}

/// The parameters that a link to the next page repeats: all that a list reads, except where it begins.
static REPEATED: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let names = Fields::describing().describe::<List>().into_iter().map(|f| f.name);
    names.filter(|n| !matches!(*n, "cursor" | "skip")).collect()
});

/// The link to the next page (RFC 8288): the same query, begun behind the cursor. It is written again from the values that
/// were read: nothing that a client sent may reach a header as it is, and unknown or repeated parameters could make the link
/// longer than a request may be.
fn next_link(query: &str, cursor: &Cursor) -> String {
    let given = parse_pairs(query);
    let mut link = "</api/contacts?".to_owned();
    for name in REPEATED.iter() {
        if let Some((_, Some(value))) = given.iter().find(|(n, _)| n == name) {
            link += &format!("{name}={}&", percent_encode(value));
        }
    }
    link + &format!("cursor={}>; rel=\"next\"", cursor.encode())
}

/// `GET /api/contacts/upcoming_birthdays`
pub struct Birthdays;

impl Batch for Birthdays {
    type Who = Caller;
    type Input = Query<UpcomingQuery>;
    type Asked = Celebrations;
    type Kept = NaiveDate;
    type Got = Result<Vec<ContactRow>, store::Error>;
    type Reply = Answer<200, [Upcoming<'static>]>;

    fn goes_along(query: &str) -> bool {
        is_short(query, &["days", "today"])
    }
    fn ask(call: &Call<'_>, caller: &Caller, Query(query): Self::Input) -> Asking<Self> {
        let today = query.today.map_or_else(|| call.today.get(&call.store), Ok)?;
        let windows = birthday::windows(today, query.days);
        Ok((Celebrations { user: caller.user, windows, page: query.page }, today))
    }
    fn run(cx: &Context, asked: &[Celebrations]) -> Vec<Option<Self::Got>> {
        cx.store.upcoming(asked)
    }
    fn reply(_: &Call<'_>, today: NaiveDate, rows: Self::Got) -> Result<Self::Reply, Error> {
        Ok(Answer::array(rows?.iter().map(|row| celebrated(row, today))))
    }
}

fn celebrated(row: &ContactRow, today: NaiveDate) -> Upcoming<'_> {
    let contact = row.contact();
    // Every row of a window of birthdays has a birthday.
    let born = contact.values.birthday().unwrap_or(today);
    let (next_birthday, days_until, turns) = birthday::next(born, today);
    Upcoming { contact, next_birthday, days_until: days_until.unsigned_abs(), turns }
}
