//! THE table: every endpoint is a row here and nowhere else. The router, 405 and `Allow`, the lanes, the body limits, the
//! OpenAPI document and the tests of access are all made from it.

use crate::api::endpoint::Lane::{File, Hash, Instant, Write};
use crate::api::endpoint::{Route, guarded, public, together};
use crate::api::handlers::{auth, calendar, contacts, service, transfer, users};
use crate::http::Method::{Delete, Get, Patch, Post, Put};

/// The most bytes of a body about an account: a token or a password, and a few short texts.
const SMALL: usize = 16 << 10;

/// All routes.
pub fn routes() -> Vec<Route> {
    let mut all = accounts();
    all.extend(address_book());
    all.extend(about());
    all
}

#[rustfmt::skip] // a table is read by its columns
fn accounts() -> Vec<Route> {
    let auth = "auth";
    let users = "users";
    let rows = [
        public(Post, "/api/auth/signup", auth::signup, auth, "Sign up").on(Hash).errors(&[409, 429]),
        public(Post, "/api/auth/login", auth::login, auth, "Log in and get a pair of tokens").on(Hash).errors(&[401, 429]),
        public(Get, "/api/auth/refresh_token", auth::refresh, auth, "Get a new pair of tokens for the refresh token in Authorization").on(Write).errors(&[401]),
        public(Post, "/api/auth/refresh_token", auth::refresh_by_post, auth, "Get a new pair of tokens for a refresh token").errors(&[401]),
        guarded(Post, "/api/auth/logout", auth::logout, auth, "End this session, or all of your sessions"),
        guarded(Get, "/api/auth/sessions", auth::sessions, auth, "List your sessions"),
        guarded(Delete, "/api/auth/sessions/{id}", auth::end_session, auth, "End a session").errors(&[404]),
        together::<users::Me>(Get, "/api/users/me", users, "Get your account"),
        guarded(Patch, "/api/users/me", users::change, users, "Change your name or your e-mail address").on(Hash).errors(&[409, 429]),
        guarded(Put, "/api/users/me/password", users::change_password, users, "Change your password and end every other session").on(Hash).errors(&[409, 429]),
        guarded(Delete, "/api/users/me", users::delete, users, "Delete your account and everything in it").on(Hash).patient().errors(&[429]),
    ];
    rows.into_iter().map(|row| row.body_limit(SMALL)).collect()
}

#[rustfmt::skip]
fn address_book() -> Vec<Route> {
    let tag = "contacts";
    vec![
        guarded(Get, "/api/contacts", contacts::list, tag, "List your contacts: search, sort, page"),
        together::<contacts::Create>(Post, "/api/contacts", tag, "Add a contact").errors(&[409]),
        guarded(Get, "/api/contacts/upcoming_birthdays", contacts::upcoming, tag, "List the contacts whose birthday is next"),
        guarded(Get, "/api/contacts/export", transfer::export, tag, "Export all your contacts as a file").on(File).patient(),
        guarded(Post, "/api/contacts/import", transfer::import, tag, "Import the contacts of a file").on(File).patient().body_limit(16 << 20).errors(&[409]),
        guarded(Post, "/api/contacts/calendar", calendar::open, tag, "Create a new secret address for your birthday calendar"),
        guarded(Delete, "/api/contacts/calendar", calendar::close, tag, "Remove the secret address of your birthday calendar"),
        public(Get, "/api/calendar/{secret}.ics", calendar::feed, tag, "Get a birthday calendar, for calendar programs").errors(&[404]),
        together::<contacts::One>(Get, "/api/contacts/{id}", tag, "Get a contact").errors(&[404]),
        guarded(Put, "/api/contacts/{id}", contacts::replace, tag, "Replace a contact").errors(&[404]),
        guarded(Patch, "/api/contacts/{id}", contacts::patch, tag, "Change some fields of a contact").errors(&[404]),
        guarded(Delete, "/api/contacts/{id}", contacts::delete, tag, "Delete a contact").errors(&[404]),
    ]
}

#[rustfmt::skip]
fn about() -> Vec<Route> {
    let tag = "service";
    vec![
        public(Get, "/", service::index, tag, "Get the name, the version and the main addresses").on(Instant),
        together::<service::Health>(Get, "/healthchecker", tag, "Check that the service and its database answer"),
        together::<service::Health>(Get, "/api/healthchecker", tag, "Check that the service and its database answer"),
        public(Get, "/livez", service::livez, tag, "Check that the service runs").on(Instant),
        public(Get, "/readyz", service::readyz, tag, "Check that the service is ready for requests").on(Instant),
        public(Get, "/openapi.json", service::openapi, tag, "Get this document").on(Instant),
        public(Get, "/docs", service::docs_page, tag, "Get the documentation page").on(Instant),
        public(Get, "/docs/{file}", service::docs_file, tag, "Get a file of the documentation page").on(Instant).errors(&[404]),
    ]
}
