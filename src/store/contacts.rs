//! Contacts: one statement for each thing that is done to them, every one keyed by their user.
//!
//! A statement that writes a contact takes the values of its fields as its last parameters, and one that reads contacts has
//! them between `id` and `created_at`, both in the order of [`FIELDS`].

use std::error::Error as AnyError;

use chrono::{DateTime, NaiveDate, Utc};
use postgres::Row;
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::queries::{self, Query};
use super::quota::Quota;
use super::repeats::{Once, Outcome};
use super::together::{Outcomes, all_by_place, by_place, together};
use super::{Connection, Error, Store};
use crate::domain::birthday::Window;
use crate::domain::contact::{Contact, Draft, FIELDS, Value, Values, searchable};
use crate::domain::fields::Patch;
use crate::domain::filter::Filter;
use crate::domain::fold;
use crate::domain::page::{List, Page};
use crate::domain::repeat::{Kept, Key};

/// A contact as it came from Postgres; [`ContactRow::contact`] borrows from it.
/// Its columns are those that every query of contacts has.
pub struct ContactRow(pub(super) Row);

impl ContactRow {
    /// The contact, without copies.
    pub fn contact(&self) -> Contact<'_> {
        let row = &self.0;
        Contact {
            id: row.get(0),
            values: Values(std::array::from_fn(|field| row.get(1 + field))),
            created_at: row.get(FIELDS.len() + 1),
            updated_at: row.get(FIELDS.len() + 2),
            version: row.get(FIELDS.len() + 3),
        }
    }

    /// The sort key of a page that is not by id.
    pub fn sort_key(&self) -> &str {
        self.0.get(FIELDS.len() + 4)
    }

    /// When it was deleted, of a row of the trash.
    pub fn deleted_at(&self) -> DateTime<Utc> {
        self.0.get(FIELDS.len() + 4)
    }
}

impl<'a> FromSql<'a> for Value<&'a str> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn AnyError + Sync + Send>> {
        if *kind == Type::DATE {
            NaiveDate::from_sql(kind, raw).map(Value::Date)
        } else {
            <&str>::from_sql(kind, raw).map(Value::Text)
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::DATE || <&str as FromSql>::accepts(kind)
    }
}

impl ToSql for Value<String> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn AnyError + Sync + Send>> {
        match self {
            Value::Text(text) => text.to_sql(kind, out),
            Value::Date(date) => date.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::DATE || <&str as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

type Param<'a> = &'a (dyn ToSql + Sync);

/// The parameters of a statement that writes a contact: these, then the values of its fields.
fn params<'a>(first: &[Param<'a>], draft: &'a Draft) -> Vec<Param<'a>> {
    first.iter().copied().chain(draft.0.iter().map(|value| value as Param<'a>)).collect()
}

/// What to look for, as statements take it.
fn sought(Filter { needle, fields, word: [word, digits, tail], words }: &Filter) -> [Param<'_>; 6] {
    [needle, fields, word, digits, tail, words]
}

/// Contacts as arrays: their search keys, and the values of each field.
pub(super) struct Columns<'a>(Vec<String>, Vec<Vec<&'a Option<Value<String>>>>);

impl<'a> Columns<'a> {
    pub(super) fn of(drafts: impl Iterator<Item = &'a Draft> + Clone) -> Columns<'a> {
        let values = |field: usize| drafts.clone().map(|draft| &draft.0[field]).collect();
        Columns(drafts.clone().map(Draft::search_key).collect(), (0..FIELDS.len()).map(values).collect())
    }

    /// The parameters of a statement that makes them for this user, or for one each.
    pub(super) fn params<'p>(&'p self, users: Param<'p>) -> Vec<Param<'p>> {
        [users, &self.0].into_iter().chain(self.1.iter().map(|column| column as Param<'_>)).collect()
    }
}

/// Birthdays that a user asks for.
pub struct Celebrations {
    /// The user.
    pub user: i64,
    /// The days.
    pub windows: [Window; 2],
    /// How many to skip, and how many at most.
    pub page: Page,
}

/// The versions of a contact that a change is meant for; `None` for any.
pub type Versions<'a> = Option<&'a [i32]>;

impl Store {
    /// A contact by its user and its id.
    pub fn contact(&self, user: i64, id: i64) -> Result<ContactRow, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::CONTACT_BY_ID, &[&user, &id]))?;
        row.map(ContactRow).ok_or(Error::NotFound)
    }

    /// Contacts, each by its user and its id.
    pub fn contacts_by_id(&self, asked: &[(i64, i64)]) -> Outcomes<ContactRow> {
        let one = |(user, id): &(i64, i64)| self.contact(*user, *id);
        let found = |row: Option<Row>| row.map(ContactRow).ok_or(Error::NotFound);
        together(asked, one, || {
            let (users, ids): (Vec<_>, Vec<_>) = asked.iter().copied().unzip();
            let rows = self.read(|conn| conn.query(&queries::CONTACTS_BY_IDS, &[&users, &ids]))?;
            Ok(by_place(rows, asked.len()).into_iter().map(|row| Some(found(row))).collect())
        })
    }

    /// Creates contacts, each for its user; no row where the address book is full. Of several, those whose leave takes a count or
    /// a wait are left out, and those whose user is being changed or deleted.
    pub fn create_contacts(&self, quota: &Quota, asked: &[(i64, Draft, Option<Key>)]) -> Outcomes<Option<ContactRow>> {
        let one = |(user, draft, _): &(i64, Draft, _)| {
            let Some(_leave) = quota.leave(self, *user, 1)? else {
                return Ok(None);
            };
            let search = draft.search_key();
            let params = params(&[user, &search], draft);
            self.write(|conn| conn.query_one(&queries::CONTACT_INSERT, &params)).map(|row| Some(ContactRow(row)))
        };
        together(asked, one, || {
            let leaves: Vec<_> = asked.iter().map(|(user, ..)| quota.leave_now(*user, 1)).collect();
            let with_leave = asked.iter().zip(&leaves).filter(|(_, leave)| leave.is_some()).map(|(asked, _)| asked);
            let users: Vec<_> = with_leave.clone().map(|(user, ..)| *user).collect();
            let columns = Columns::of(with_leave.map(|(_, draft, _)| draft));
            let rows = self.write(|conn| conn.query(&queries::CONTACTS_INSERT_ALL, &columns.params(&users)))?;
            let mut made = by_place(rows, users.len()).into_iter();
            let row =
                |leave: &Option<_>| leave.as_ref().and_then(|_| made.next()?.map(|row| Ok(Some(ContactRow(row)))));
            Ok(leaves.iter().map(row).collect())
        })
    }

    /// Creates a contact once for a key, with the answer that is made of it.
    pub fn create_contact_once(
        &self,
        once: Once<'_>,
        draft: &Draft,
        answer: impl FnOnce(ContactRow) -> Kept,
    ) -> Result<Outcome, Error> {
        let search = draft.search_key();
        let params = params(&[&once.0, &search], draft);
        self.once(once, |conn| Ok(Some(answer(ContactRow(conn.query_one(&queries::CONTACT_INSERT, &params)?)))))
    }

    /// Changes the fields of a contact that the patch gives.
    pub fn update_contact(
        &self,
        user: i64,
        id: i64,
        patch: &Patch<Draft>,
        versions: Versions<'_>,
    ) -> Result<ContactRow, Error> {
        let key = patch.values.search_key();
        let parts = key.split(fold::SEPARATOR).zip(searchable());
        let parts: Vec<_> = parts.map(|(part, (field, _))| patch.sets(field.name).then_some(part)).collect();
        let params = params(&[&user, &id, &versions, &patch.given, &parts], &patch.values);
        let row = self.write(|conn| conn.query_opt(&queries::CONTACT_UPDATE, &params))?;
        row.map(ContactRow).map_or_else(|| self.unchanged(user, id, versions), Ok)
    }

    /// Why a change found no row. A second look tells whether there is no contact, or one at another version. A change for any
    /// version needs none, and might find what is just coming back from the trash.
    pub(super) fn unchanged<T>(&self, user: i64, id: i64, versions: Versions<'_>) -> Result<T, Error> {
        let exists = |conn: &mut Connection| conn.query_opt(&queries::CONTACT_EXISTS, &[&user, &id]);
        let is_there = versions.is_some() && self.read(exists)?.is_some();
        Err(if is_there { Error::OtherVersion } else { Error::NotFound })
    }

    /// A page of contacts, with one more than its limit if there is a next page.
    pub fn contacts(&self, user: i64, list: &List) -> Result<Vec<ContactRow>, Error> {
        let List { filter, sort, page: Page { skip, limit }, cursor, .. } = list;
        let after = cursor.as_ref().map(|cursor| cursor.id);
        let after_key = cursor.as_ref().map(|cursor| cursor.key.as_str());
        let limit = limit + 1;
        let part = searchable().zip(1..).find(|((field, _), _)| field.name == sort.key).map(|(_, number)| number);
        let column: Param<'_> = if part.is_some() { &part } else { &sort.key };
        // Each statement takes the first of these.
        let page: [Param<'_>; 4] = [&user, &after, &limit, skip];
        let params = [&page[..], &sought(filter), &[column, &after_key]].concat();
        let ([up, down], count) = if part.is_some() {
            ([&queries::CONTACT_PAGE_BY_TEXT, &queries::CONTACT_PAGE_BY_TEXT_DESC], 12)
        } else if !sort.is_by_id() {
            ([&queries::CONTACT_PAGE_BY_TIME, &queries::CONTACT_PAGE_BY_TIME_DESC], 12)
        } else if *filter != Filter::default() || *skip > 0 {
            ([&queries::CONTACT_SEARCH, &queries::CONTACT_SEARCH_DESC], 10)
        } else {
            ([&queries::CONTACT_PAGE, &queries::CONTACT_PAGE_DESC], 3)
        };
        let query = if sort.descending { down } else { up };
        self.contact_rows(query, &params[..count])
    }

    /// The contacts after this id, in the order of their ids.
    pub fn contacts_after(&self, user: i64, after: i64, limit: i64) -> Result<Vec<ContactRow>, Error> {
        self.contact_rows(&queries::CONTACT_PAGE, &[&user, &Some(after), &limit])
    }

    /// The contacts that a statement finds.
    pub(super) fn contact_rows(&self, query: &Query, params: &[Param<'_>]) -> Result<Vec<ContactRow>, Error> {
        let rows = self.read(|conn| conn.query(query, params))?;
        Ok(rows.into_iter().map(ContactRow).collect())
    }

    /// How many contacts match.
    pub fn count_contacts(&self, user: i64, filter: &Filter) -> Result<i64, Error> {
        let params = [&[&user as Param<'_>], &sought(filter)[..]].concat();
        Ok(self.read(|conn| conn.query_one(&queries::CONTACT_COUNT, &params))?.get(0))
    }

    /// Contacts whose birthday falls in the windows of each, nearest first. Of several, those are left out in which two days are
    /// celebrated as one: all birthdays of these are read.
    pub fn upcoming(&self, asked: &[Celebrations]) -> Outcomes<Vec<ContactRow>> {
        let one = |Celebrations { user, windows, page: Page { skip, limit } }: &Celebrations| {
            let (from, to, as_one): (Vec<_>, Vec<_>, Vec<_>) = windows.iter().flat_map(|w| w.ranges()).collect();
            self.contact_rows(&queries::CONTACT_UPCOMING, &[user, &from, &to, &as_one, limit, skip])
        };
        together(asked, one, || {
            let is_plain =
                |asked: &Celebrations| asked.windows.iter().flat_map(|w| w.ranges()).all(|(.., as_one)| !as_one);
            let ranges = (1..).zip(asked).filter(|(_, asked)| is_plain(asked)).flat_map(|(place, asked)| {
                let ranges = asked.windows.iter().flat_map(|w| w.ranges());
                ranges.map(move |(from, to, _)| (place, asked.user, from, to, asked.page.limit))
            });
            let (places, users, from, to, limits): (Vec<i64>, Vec<_>, Vec<_>, Vec<_>, Vec<_>) = ranges.collect();
            let params: [Param<'_>; 5] = [&places, &users, &from, &to, &limits];
            let rows = self.read(|conn| conn.query(&queries::CONTACTS_UPCOMING, &params))?;
            let found = asked.iter().zip(all_by_place(rows, asked.len())).map(|(asked, rows)| {
                let page = rows.into_iter().take(asked.page.limit as usize).map(ContactRow).collect();
                is_plain(asked).then_some(Ok(page))
            });
            Ok(found.collect())
        })
    }
}
