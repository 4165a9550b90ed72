//! What is done for each route: plain functions from typed input to a typed reply.

pub mod auth;
pub mod calendar;
pub mod contacts;
mod export;
mod guard;
pub mod service;
pub mod transfer;
pub mod users;

use crate::api::context::Context;
use crate::api::problem::Error;

/// Ids in a path.
mod path {
    use crate::domain::fields::{Fields, FromFields};
    use crate::domain::rules::{Doc, Integer};

    /// The `{id}` of a path: a positive integer.
    pub struct Id(pub i64);

    impl FromFields for Id {
        fn from_fields(fields: &mut Fields<'_>) -> Option<Id> {
            const ID: Doc<Integer> =
                Doc(Integer { range: 1..=i64::MAX, default: None }, "The id that the list of them has.");
            fields.required("id", &ID).map(Id)
        }
    }
}

/// Ends sessions for good: in the database for all instances, and here at once.
fn end_sessions(cx: &Context, user: i64, which: crate::store::sessions::Sessions) -> Result<Vec<i64>, Error> {
    let ended = cx.store.end_sessions(user, which)?;
    cx.revocations.add(ended.iter().copied());
    Ok(ended)
}
