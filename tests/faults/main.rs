//! What happens when things go wrong around the program: the database, its own end, settings, hostile clients.

#[path = "../support/mod.rs"]
mod support;

mod database;
mod settings;
mod stop;
