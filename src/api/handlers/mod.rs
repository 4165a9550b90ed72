//! What is done for each route: plain functions from typed input to a typed reply.

pub mod auth;
pub mod calendar;
pub mod contacts;
mod export;
mod guard;
pub mod service;
pub mod transfer;
pub mod users;

use crate::domain::fields::{Fields, FromFields};
use crate::domain::rules::{Doc, Integer};

/// The `{id}` of a path: a positive integer.
pub struct Id(i64);

impl FromFields for Id {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Id> {
        const ID: Doc<Integer> = Doc(Integer { range: 1..=i64::MAX }, "The id, as the list shows it.");
        fields.required("id", &ID).map(Id)
    }
}
