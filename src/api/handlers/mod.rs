//! What is done for each route: plain functions from typed input to a typed reply.

pub mod auth;
pub mod calendar;
pub mod contacts;
mod export;
mod guard;
mod repeats;
pub mod service;
pub mod tokens;
pub mod transfer;
pub mod trash;
pub mod users;

use crate::api::endpoint::{Call, Caller};
use crate::api::problem::Error;
use crate::domain::fields::{Fields, FromFields};
use crate::domain::rules::{Doc, Integer};
use crate::store::quota::Leave;

/// Leave for the caller to make so many contacts, to be held until they are made.
fn leave_for<'a>(call: &'a Call<'_>, caller: &Caller, number: usize) -> Result<Leave<'a>, Error> {
    call.quota.leave(&call.store, caller.user, number)?.ok_or(Error::ADDRESS_BOOK_FULL)
}

/// The `{id}` of a path: a positive integer.
pub struct Id(i64);

impl FromFields for Id {
    fn from_fields(fields: &mut Fields<'_>) -> Id {
        const ID: Doc<Integer> = Doc(Integer { range: 1..=i64::MAX }, "The id, as the list shows it.");
        Id(fields.required("id", &ID))
    }
}
