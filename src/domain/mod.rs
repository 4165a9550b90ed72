//! What an address book is made of, parsed once and valid from then on. No I/O here, no clock: now and today are arguments.

pub mod birthday;
pub mod contact;
pub mod fields;
pub mod filter;
pub mod fold;
pub mod hex;
pub mod page;
pub mod phone;
pub mod repeat;
pub mod rules;
pub mod shape;
pub mod user;
