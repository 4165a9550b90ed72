//! Contacts: one statement for each thing that is done to them, every one keyed by their user.

use chrono::NaiveDate;
use postgres::Row;
use postgres::types::ToSql;

use super::queries::{self, Query};
use super::{Error, Store};
use crate::domain::birthday::{self, Window};
use crate::domain::contact::{Contact, Draft};
use crate::domain::fields::Patch;
use crate::domain::fold;
use crate::domain::page::{Filter, List};

/// A contact as it came from Postgres; [`ContactRow::contact`] borrows from it.
pub struct ContactRow(Row);

impl ContactRow {
    /// A row of the ten columns that every query of contacts has.
    pub(super) fn new(row: Row) -> ContactRow {
        ContactRow(row)
    }

    /// The contact, without copies.
    pub fn contact(&self) -> Contact<'_> {
        let row = &self.0;
        Contact {
            id: row.get(0),
            first_name: row.get(1),
            last_name: row.get(2),
            email: row.get(3),
            phone_number: row.get(4),
            birthday: row.get(5),
            additional_info: row.get(6),
            created_at: row.get(7),
            updated_at: row.get(8),
            version: row.get(9),
        }
    }

    /// The sort key of a page that is ordered by one; empty where the order is by id.
    pub fn sort_key(&self) -> &str {
        if self.0.len() > 10 { self.0.get(10) } else { "" }
    }
}

/// Which versions of a contact a change is meant for.
pub type Versions<'a> = Option<&'a [i32]>;

/// Why a change was not made.
#[derive(Debug)]
pub enum ChangeError {
    /// The contact is there, at another version.
    OtherVersion,
    /// Anything else.
    Store(Error),
}

impl From<Error> for ChangeError {
    fn from(error: Error) -> ChangeError {
        ChangeError::Store(error)
    }
}

impl Store {
    /// One contact.
    pub fn contact(&self, user: i64, id: i64) -> Result<ContactRow, Error> {
        let row = self.read(|conn| conn.query_opt(&queries::CONTACT_BY_ID, &[&user, &id]))?;
        row.map(ContactRow).ok_or(Error::NotFound)
    }

    /// Makes a contact.
    pub fn insert_contact(&self, user: i64, draft: &Draft) -> Result<ContactRow, Error> {
        let search = search_key(draft);
        let row = self.write(|conn| {
            conn.query_one(
                &queries::CONTACT_INSERT,
                &[
                    &user,
                    &draft.first_name,
                    &draft.last_name,
                    &draft.email,
                    &draft.phone_number,
                    &draft.birthday,
                    &draft.additional_info,
                    &search,
                ],
            )
        })?;
        Ok(ContactRow(row))
    }

    /// Makes contacts, all of them or none: `batches` of some thousand each, one statement a batch, within one transaction.
    pub fn insert_contacts<'a>(&self, user: i64, batches: impl Iterator<Item = &'a [Draft]>) -> Result<u64, Error> {
        self.write(|conn| {
            conn.transaction(|conn| {
                let mut made = 0;
                for batch in batches {
                    let columns = Columns::of(batch);
                    made += conn.execute(&queries::CONTACT_INSERT_MANY, &columns.params(&user))?;
                }
                Ok(made)
            })
        })
    }

    /// Writes a contact anew.
    pub fn replace_contact(
        &self,
        user: i64,
        id: i64,
        draft: &Draft,
        versions: Versions<'_>,
    ) -> Result<ContactRow, ChangeError> {
        let search = search_key(draft);
        let row = self.write(|conn| {
            conn.query_opt(
                &queries::CONTACT_REPLACE,
                &[
                    &user,
                    &id,
                    &draft.first_name,
                    &draft.last_name,
                    &draft.email,
                    &draft.phone_number,
                    &draft.birthday,
                    &draft.additional_info,
                    &search,
                    &versions,
                ],
            )
        })?;
        self.changed(user, id, row)
    }

    /// Changes some fields of a contact.
    pub fn patch_contact(
        &self,
        user: i64,
        id: i64,
        patch: &Patch<Draft>,
        versions: Versions<'_>,
    ) -> Result<ContactRow, ChangeError> {
        let draft = &patch.values;
        let set = ["first_name", "last_name", "email", "phone_number", "birthday", "additional_info"]
            .map(|name| patch.sets(name));
        let key = search_key(draft);
        // The key's parts are of the first four fields, in the same order.
        let parts: Vec<_> = key.split(fold::SEPARATOR).zip(set).map(|(part, set)| set.then_some(part)).collect();
        let row = self.write(|conn| {
            conn.query_opt(
                &queries::CONTACT_PATCH,
                &[
                    &user,
                    &id,
                    &set.as_slice(),
                    &draft.first_name,
                    &draft.last_name,
                    &draft.email,
                    &draft.phone_number,
                    &draft.birthday,
                    &draft.additional_info,
                    &versions,
                    &parts,
                ],
            )
        })?;
        self.changed(user, id, row)
    }

    /// Deletes a contact.
    pub fn delete_contact(&self, user: i64, id: i64, versions: Versions<'_>) -> Result<(), ChangeError> {
        let row = self.write(|conn| conn.query_opt(&queries::CONTACT_DELETE, &[&user, &id, &versions]))?;
        self.changed(user, id, row).map(drop)
    }

    /// A change that found no row found no contact, or one at another version; only then is a second look taken.
    fn changed(&self, user: i64, id: i64, row: Option<Row>) -> Result<ContactRow, ChangeError> {
        match row {
            Some(row) => Ok(ContactRow(row)),
            None => match self.read(|conn| conn.query_opt(&queries::CONTACT_EXISTS, &[&user, &id]))? {
                Some(_) => Err(ChangeError::OtherVersion),
                None => Err(ChangeError::Store(Error::NotFound)),
            },
        }
    }

    /// A page of contacts, and one more than its limit where there is one more.
    pub fn contacts(&self, user: i64, list: &List) -> Result<Vec<ContactRow>, Error> {
        let after = list.cursor.as_ref().map(|cursor| cursor.id);
        let limit = list.limit + 1;
        let Filter { fields, any, phone } = &list.filter;
        let descending = list.sort.descending;
        let rows = if !list.sort.is_by_id() {
            let query = pick(descending, &queries::CONTACT_PAGE_BY_KEY, &queries::CONTACT_PAGE_BY_KEY_DESC);
            let after_key = list.cursor.as_ref().map(|cursor| cursor.key.as_str());
            let key = list.sort.key;
            self.read(|conn| {
                conn.query(query, &[&user, &after, &limit, &list.skip, fields, any, phone, &key, &after_key])
            })?
        } else if list.filter.is_empty() && list.skip == 0 {
            let query = pick(descending, &queries::CONTACT_PAGE, &queries::CONTACT_PAGE_DESC);
            self.read(|conn| conn.query(query, &[&user, &after, &limit]))?
        } else {
            let query = pick(descending, &queries::CONTACT_SEARCH, &queries::CONTACT_SEARCH_DESC);
            self.read(|conn| conn.query(query, &[&user, &after, &limit, &list.skip, fields, any, phone]))?
        };
        Ok(rows.into_iter().map(ContactRow).collect())
    }

    /// The contacts behind this id, in the order of their ids.
    pub fn contacts_after(&self, user: i64, after: i64, limit: i64) -> Result<Vec<ContactRow>, Error> {
        let rows = self.read(|conn| conn.query(&queries::CONTACT_PAGE, &[&user, &Some(after), &limit]))?;
        Ok(rows.into_iter().map(ContactRow).collect())
    }

    /// How many contacts match.
    pub fn count_contacts(&self, user: i64, filter: &Filter) -> Result<i64, Error> {
        let Filter { fields, any, phone } = filter;
        Ok(self.read(|conn| conn.query_one(&queries::CONTACT_COUNT, &[&user, fields, any, phone]))?.get(0))
    }

    /// Contacts whose birthday falls in the windows, nearest first.
    pub fn upcoming(&self, user: i64, windows: &[Window; 2], limit: i64, skip: i64) -> Result<Vec<ContactRow>, Error> {
        let [first, second] = windows;
        let leap_day = windows.iter().any(|w| w.leap_day_on_28 && (w.from..=w.to).contains(&birthday::LEAP_DAY));
        let rows = if leap_day {
            self.read(|conn| {
                conn.query(
                    &queries::CONTACT_UPCOMING_LEAP_DAY,
                    &[
                        &user,
                        &first.from,
                        &first.to,
                        &first.leap_day_on_28,
                        &second.from,
                        &second.to,
                        &second.leap_day_on_28,
                        &limit,
                        &skip,
                    ],
                )
            })?
        } else {
            self.read(|conn| {
                conn.query(
                    &queries::CONTACT_UPCOMING,
                    &[&user, &first.from, &first.to, &second.from, &second.to, &limit, &skip],
                )
            })?
        };
        Ok(rows.into_iter().map(ContactRow).collect())
    }
}

fn pick(descending: bool, up: &'static Query, down: &'static Query) -> &'static Query {
    if descending { down } else { up }
}

fn search_key(draft: &Draft) -> String {
    fold::search_key(
        &draft.first_name,
        draft.last_name.as_deref(),
        draft.email.as_deref(),
        draft.phone_number.as_deref(),
    )
}

/// Contacts as columns, for `unnest`.
struct Columns<'a> {
    first_name: Vec<&'a str>,
    last_name: Vec<Option<&'a str>>,
    email: Vec<Option<&'a str>>,
    phone_number: Vec<Option<&'a str>>,
    birthday: Vec<Option<NaiveDate>>,
    additional_info: Vec<Option<&'a str>>,
    search: Vec<String>,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a [Draft]) -> Columns<'a> {
        Columns {
            first_name: batch.iter().map(|d| d.first_name.as_str()).collect(),
            last_name: batch.iter().map(|d| d.last_name.as_deref()).collect(),
            email: batch.iter().map(|d| d.email.as_deref()).collect(),
            phone_number: batch.iter().map(|d| d.phone_number.as_deref()).collect(),
            birthday: batch.iter().map(|d| d.birthday).collect(),
            additional_info: batch.iter().map(|d| d.additional_info.as_deref()).collect(),
            search: batch.iter().map(search_key).collect(),
        }
    }

    fn params<'b>(&'b self, user: &'b i64) -> [&'b (dyn ToSql + Sync); 8] {
        [
            user,
            &self.first_name,
            &self.last_name,
            &self.email,
            &self.phone_number,
            &self.birthday,
            &self.additional_info,
            &self.search,
        ]
    }
}
