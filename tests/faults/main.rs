//! What happens when things go wrong around the program: the database, its own end, settings, hostile clients.

#[path = "../support/mod.rs"]
mod support;

mod database;
mod floods;
mod framing;
mod health;
mod lanes;
mod settings;
mod siege;
mod sizes;
mod slow;
mod stop;
mod systemd;
mod unix_socket;
mod upgrades;
mod wire;
