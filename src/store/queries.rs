//! Every statement of the program by its name, from `sql/queries`. A statement is prepared once per connection.

/// A statement.
pub struct Query {
    /// Its place in each connection's list of prepared statements.
    pub(super) slot: usize,
    /// Its file below `sql/queries`.
    pub file: &'static str,
    /// Its text.
    pub sql: &'static str,
}

macro_rules! queries {
    ($($name:ident = $file:literal),* $(,)?) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Slots { $($name),* }
        $(
            #[doc = concat!("`sql/queries/", $file, "`")]
            pub static $name: Query = Query {
                slot: Slots::$name as usize,
                file: $file,
                sql: include_str!(concat!("../../sql/queries/", $file)),
            };
        )*
        /// All of them.
        pub static ALL: &[&Query] = &[$(&$name),*];
    };
}

queries! {
    CONTACT_BY_ID = "contacts/by_id.sql",
    CONTACTS_BY_IDS = "contacts/by_ids.sql",
    CONTACT_INSERT = "contacts/insert.sql",
    CONTACTS_INSERT_ALL = "contacts/insert_all.sql",
    CONTACT_INSERT_MANY = "contacts/insert_many.sql",
    CONTACT_IMPORT_LOCK = "contacts/import_lock.sql",
    CONTACT_LIKENESSES = "contacts/likenesses.sql",
    CONTACT_UPDATE = "contacts/update.sql",
    CONTACT_DELETE = "contacts/delete.sql",
    CONTACT_EXISTS = "contacts/exists.sql",
    CONTACT_PAGE = "contacts/page.sql",
    CONTACT_PAGE_DESC = "contacts/page_desc.sql",
    CONTACT_SEARCH = "contacts/search.sql",
    CONTACT_SEARCH_DESC = "contacts/search_desc.sql",
    CONTACT_PAGE_BY_TEXT = "contacts/page_by_text.sql",
    CONTACT_PAGE_BY_TEXT_DESC = "contacts/page_by_text_desc.sql",
    CONTACT_PAGE_BY_TIME = "contacts/page_by_time.sql",
    CONTACT_PAGE_BY_TIME_DESC = "contacts/page_by_time_desc.sql",
    CONTACT_COUNT = "contacts/count.sql",
    CONTACT_UPCOMING = "contacts/upcoming.sql",
    CONTACTS_UPCOMING = "contacts/upcoming_together.sql",
    TRASH_LIST = "trash/list.sql",
    TRASH_DELETED_AFTER = "trash/deleted_after.sql",
    TRASH_RESTORE = "trash/restore.sql",
    TRASH_DELETE = "trash/delete.sql",
    TRASH_PURGE = "trash/purge.sql",
    REPEAT_LOCK = "repeats/lock.sql",
    REPEAT_FIND = "repeats/find.sql",
    REPEAT_KEEP = "repeats/keep.sql",
    REPEAT_PURGE = "repeats/purge.sql",
    USER_INSERT = "users/insert.sql",
    USER_BY_ID = "users/by_id.sql",
    USERS_BY_IDS = "users/by_ids.sql",
    USERS_PAGE = "users/page.sql",
    USER_CREDENTIALS = "users/credentials.sql",
    USER_UPDATE = "users/update.sql",
    USER_SET_PASSWORD = "users/set_password.sql",
    USER_DISABLE = "users/disable.sql",
    USER_ENABLE = "users/enable.sql",
    USER_LOCK = "users/lock.sql",
    USER_LOCK_FOR_LOGIN = "users/lock_for_login.sql",
    USER_DELETE = "users/delete.sql",
    SESSION_INSERT = "sessions/insert.sql",
    SESSION_ROTATE = "sessions/rotate.sql",
    SESSION_LIST = "sessions/list.sql",
    SESSION_END = "sessions/end.sql",
    SESSION_END_ALL = "sessions/end_all.sql",
    SESSION_REVOKE = "sessions/revoke.sql",
    SESSION_REVOKED = "sessions/revoked.sql",
    SESSION_PURGE = "sessions/purge.sql",
    SESSION_PURGE_REVOKED = "sessions/purge_revoked.sql",
    TOKEN_INSERT = "tokens/insert.sql",
    TOKEN_LIST = "tokens/list.sql",
    TOKEN_FIND = "tokens/find.sql",
    TOKEN_USE = "tokens/use.sql",
    TOKEN_DELETE = "tokens/delete.sql",
    TOKEN_END_ALL = "tokens/end_all.sql",
    TOKEN_PURGE = "tokens/purge.sql",
    ATTEMPT_RESERVE = "attempts/reserve.sql",
    ATTEMPT_FAIL = "attempts/fail.sql",
    ATTEMPT_WITHDRAW = "attempts/withdraw.sql",
    ATTEMPT_FORGET = "attempts/forget.sql",
    ATTEMPT_PURGE = "attempts/purge.sql",
    CALENDAR_SET = "calendars/set.sql",
    CALENDAR_DELETE = "calendars/delete.sql",
    CALENDAR_OWNER = "calendars/owner.sql",
    CALENDAR_OWNER_BY_SECRET = "calendars/owner_by_secret.sql",
    CALENDAR_DIGEST = "calendars/digest.sql",
    CALENDAR_PAGE = "calendars/page.sql",
    KEYS_NEXT_USER = "keys/next_user.sql",
    KEYS_OLD = "keys/old.sql",
    KEYS_RENEW = "keys/renew.sql",
    POOLER = "service/pooler.sql",
    PING = "service/ping.sql",
    TROUBLE = "service/trouble.sql",
    TODAY = "service/today.sql",
}
