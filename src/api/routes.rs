//! THE table: every endpoint is a row here and nowhere else. The router, 405 and `Allow`, the lanes, the body limits, the
//! OpenAPI document and the tests of access are all made from it.
//!
//! Anybody may call what is `public`. What is `guarded` (or `together` for a `Caller`) is open to sessions and to API tokens: GET to all of
//! them, any other method to those with the scope `write`. What is `personal` is open to sessions alone.

use crate::api::endpoint::Lane::{File, Hash, Instant, Write};
use crate::api::endpoint::{Route, guarded, personal, public, together};
use crate::api::handlers::{auth, calendar, contacts, service, tokens, transfer, trash, users};
use crate::api::problem::Error;
use crate::domain::contact::Draft;
use crate::domain::fields;
use crate::http::Method::{Delete, Get, Patch, Post, Put};

/// The most bytes of a body about an account: a token or a password, and a few short texts.
const SMALL: usize = 16 << 10;

/// All routes.
pub fn routes() -> Vec<Route> {
    [accounts(), address_book(), about()].into_iter().flatten().collect()
}

#[rustfmt::skip] // a table is read by its columns
fn accounts() -> Vec<Route> {
    let auth = "auth";
    let users = "users";
    let rows = [
        public((Post, "/api/auth/signup", auth, "sign_up", "Sign up"), auth::signup).on(Hash).sends(&["Location"]).fails_with([auth::SIGNUP_IS_CLOSED, Error::EMAIL_TAKEN, Error::TOO_MANY_ATTEMPTS]),
        public((Post, "/api/auth/login", auth, "log_in", "Log in and get a pair of tokens"), auth::login).on(Hash).fails_with([auth::WRONG_CREDENTIALS, Error::TOO_MANY_ATTEMPTS]),
        public((Get, "/api/auth/refresh_token", auth, "refresh_by_header", "Get a new pair of tokens for the refresh token in Authorization"), auth::refresh).on(Write).fails_with([auth::DEAD_REFRESH_TOKEN]),
        public((Post, "/api/auth/refresh_token", auth, "refresh", "Get a new pair of tokens for a refresh token"), auth::refresh_by_post).fails_with([auth::DEAD_REFRESH_TOKEN]),
        personal((Post, "/api/auth/logout", auth, "log_out", "End the session that you use, or all of your sessions and API tokens"), auth::logout),
        personal((Get, "/api/auth/sessions", auth, "list_sessions", "List your sessions"), auth::sessions),
        personal((Delete, "/api/auth/sessions/{id}", auth, "end_session", "End a session"), auth::end_session).fails_with([auth::NO_SUCH_SESSION]),
        personal((Post, "/api/auth/tokens", auth, "make_token", "Make an API token, for a script"), tokens::make).on(Hash).fails_with([tokens::TOO_MANY_TOKENS, users::PASSWORD_CHANGED, Error::TOO_MANY_ATTEMPTS]),
        personal((Get, "/api/auth/tokens", auth, "list_tokens", "List your API tokens"), tokens::list),
        personal((Delete, "/api/auth/tokens/{id}", auth, "end_token", "End an API token"), tokens::end).fails_with([tokens::NO_SUCH_TOKEN]),
        together::<users::Me>((Get, "/api/users/me", users, "get_me", "Get your account")),
        personal((Patch, "/api/users/me", users, "update_me", "Change your name or your e-mail address"), users::change).on(Hash).fails_with([Error::EMAIL_TAKEN, users::PASSWORD_CHANGED, Error::TOO_MANY_ATTEMPTS]),
        personal((Put, "/api/users/me/password", users, "change_password", "Change your password, and end every other session and API token"), users::change_password).on(Hash).fails_with([users::PASSWORD_CHANGED, Error::TOO_MANY_ATTEMPTS]),
        personal((Delete, "/api/users/me", users, "delete_me", "Delete your account and everything in it"), users::delete).on(Hash).patient().fails_with([Error::TOO_MANY_ATTEMPTS]),
    ];
    rows.into_iter().map(|row| row.body_limit(SMALL)).collect()
}

#[rustfmt::skip]
fn address_book() -> Vec<Route> {
    let tag = "contacts";
    vec![
        guarded((Get, "/api/contacts", tag, "list_contacts", "List your contacts: search, sort, page"), contacts::list).sends(&["Link", "X-Total-Count"]),
        together::<contacts::Create>((Post, "/api/contacts", tag, "create_contact", "Add a contact")).sends(&["Location", "ETag", "Idempotency-Replayed"]).fails_with([Error::InProgress, Error::ADDRESS_BOOK_FULL]),
        together::<contacts::Birthdays>((Get, "/api/contacts/upcoming_birthdays", tag, "list_upcoming_birthdays", "List the contacts whose birthday is next")),
        guarded((Get, "/api/contacts/export", tag, "export_contacts", "Export all your contacts as a file"), transfer::export).on(File).patient().sends(&["Content-Disposition"]),
        guarded((Post, "/api/contacts/import", tag, "import_contacts", "Import the contacts of a file"), transfer::import).on(File).patient().body_limit(16 << 20).sends(&["Idempotency-Replayed"]).fails_with([Error::InProgress, Error::ADDRESS_BOOK_FULL]),
        personal((Post, "/api/contacts/calendar", tag, "open_calendar", "Create a new secret address for your birthday calendar"), calendar::open),
        personal((Delete, "/api/contacts/calendar", tag, "close_calendar", "Remove the secret address of your birthday calendar"), calendar::close),
        public((Get, "/api/calendar/{secret}.ics", tag, "get_calendar", "Get a birthday calendar, for calendar programs"), calendar::feed).sends(&["Content-Disposition", "ETag"]).fails_with([calendar::NO_SUCH_CALENDAR]),
        together::<contacts::One>((Get, "/api/contacts/{id}", tag, "get_contact", "Get a contact")).sends(&["ETag"]).fails_with([contacts::NO_SUCH_CONTACT]),
        guarded((Put, "/api/contacts/{id}", tag, "replace_contact", "Replace a contact"), contacts::change::<Draft>).sends(&["ETag"]).fails_with([contacts::NO_SUCH_CONTACT]),
        guarded((Patch, "/api/contacts/{id}", tag, "update_contact", "Change some fields of a contact"), contacts::change::<fields::Patch<Draft>>).sends(&["ETag"]).fails_with([contacts::NO_SUCH_CONTACT]),
        guarded((Delete, "/api/contacts/{id}", tag, "delete_contact", "Move a contact to the trash"), contacts::delete).fails_with([contacts::NO_SUCH_CONTACT]),
        guarded((Get, "/api/contacts/trash", tag, "list_trash", "List the trash"), trash::list),
        guarded((Post, "/api/contacts/trash/restore", tag, "restore_contacts", "Restore what was deleted after an instant"), trash::restore_after).on(File).patient().fails_with([Error::ADDRESS_BOOK_FULL]),
        guarded((Post, "/api/contacts/trash/{id}/restore", tag, "restore_contact", "Restore a contact"), trash::restore).sends(&["ETag"]).fails_with([trash::NOT_IN_TRASH, Error::ADDRESS_BOOK_FULL]),
        personal((Delete, "/api/contacts/trash/{id}", tag, "purge_contact", "Delete a contact for good"), trash::delete).fails_with([trash::NOT_IN_TRASH]),
        personal((Delete, "/api/contacts/trash", tag, "empty_trash", "Empty the trash"), trash::empty).on(File).patient(),
    ]
}

#[rustfmt::skip]
fn about() -> Vec<Route> {
    let tag = "service";
    vec![
        public((Get, "/", tag, "get_index", "Get the name, the version and the main addresses"), service::index).on(Instant),
        together::<service::Health>((Get, "/healthchecker", tag, "check_health_at_root", "Check that the service and its database answer")),
        together::<service::Health>((Get, "/api/healthchecker", tag, "check_health", "Check that the service and its database answer")),
        public((Get, "/livez", tag, "check_live", "Check that the service runs"), service::livez).on(Instant),
        public((Get, "/readyz", tag, "check_ready", "Check that the service is ready for requests"), service::readyz).on(Instant),
        public((Get, "/openapi.json", tag, "get_openapi", "Get this document"), service::openapi).on(Instant).unlisted(),
        public((Get, "/docs", tag, "get_docs", "Get the documentation page"), service::docs_page).on(Instant).unlisted(),
        public((Get, "/docs/{file}", tag, "get_docs_file", "Get a file of the documentation page"), service::docs_file).on(Instant).unlisted(),
    ]
}
