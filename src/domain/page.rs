//! Which part of a list is asked for: filters, order, and where to begin, by number (`skip`) or by cursor.

use chrono::NaiveDate;

use super::fields::{Fields, FromFields};
use super::rules::{Date, Doc, Flag, Integer, Needle, OneOf, Opaque};
use super::{fold, hex};

/// What a list is ordered by. Text sorts folded, by code point, the same on every database; an absent value comes before any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// In the order of making.
    Id,
    /// Folded.
    FirstName,
    /// Folded.
    LastName,
    /// Folded.
    Email,
    /// By year, month and day.
    Birthday,
    /// To the microsecond.
    CreatedAt,
    /// To the microsecond.
    UpdatedAt,
}

impl Key {
    /// The key's name in the API and in `sql/queries/contacts/page_by_key.sql`.
    pub fn name(self) -> &'static str {
        match self {
            Key::Id => "id",
            Key::FirstName => "first_name",
            Key::LastName => "last_name",
            Key::Email => "email",
            Key::Birthday => "birthday",
            Key::CreatedAt => "created_at",
            Key::UpdatedAt => "updated_at",
        }
    }
}

/// A key and its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// What it is ordered by; ties by id, in the same direction.
    pub key: Key,
    /// Whether it is turned.
    pub descending: bool,
}

const fn up(key: Key) -> Sort {
    Sort { key, descending: false }
}
const fn down(key: Key) -> Sort {
    Sort { key, descending: true }
}

const PART: Doc<Needle> =
    Doc(Needle, "A part of it, in any case and without accents. Contacts must match all filters.");
const PART_OF_PHONE: Doc<Needle> = Doc(Needle, "Some of its digits in a row, however written.");
const Q: Doc<Needle> = Doc(Needle, "A part of any of the four: first name, last name, e-mail, phone number.");
const COUNT: Doc<Flag> = Doc(Flag, "Whether to say in X-Total-Count how many match in all.");
const CURSOR: Doc<Opaque> =
    Doc(Opaque { max: 8192 }, "Where to go on, from the Link header of the page before; instead of skip.");

const WORDS: OneOf<Sort> = OneOf {
    choices: &[
        ("id", up(Key::Id)),
        ("-id", down(Key::Id)),
        ("first_name", up(Key::FirstName)),
        ("-first_name", down(Key::FirstName)),
        ("last_name", up(Key::LastName)),
        ("-last_name", down(Key::LastName)),
        ("email", up(Key::Email)),
        ("-email", down(Key::Email)),
        ("birthday", up(Key::Birthday)),
        ("-birthday", down(Key::Birthday)),
        ("created_at", up(Key::CreatedAt)),
        ("-created_at", down(Key::CreatedAt)),
        ("updated_at", up(Key::UpdatedAt)),
        ("-updated_at", down(Key::UpdatedAt)),
    ],
};

const SORT: Doc<OneOf<Sort>> = Doc(WORDS, "The order, by id where none is given; a minus in front turns it.");
const SKIP: Doc<Integer> = Doc(
    Integer {
        // More than anybody has; without a bound, the sum with a limit would not fit into a bigint.
        range: 0..=1_000_000_000,
        default: Some(0),
    },
    "How many to pass over.",
);
const LIMIT: Doc<Integer> = Doc(Integer { range: 1..=1000, default: Some(100) }, "How many at most.");
const DAYS: Doc<Integer> =
    Doc(Integer { range: 0..=366, default: Some(7) }, "How many days to look ahead, beyond today.");

/// The place behind the last contact of a page: its sort key as text (empty when ordered by id) and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The order that it belongs to.
    pub sort: Sort,
    /// The last contact's key, as the page query computes it.
    pub key: String,
    /// The last contact's id.
    pub id: i64,
}

impl Cursor {
    /// Opaque to clients, and in lower-case hexadecimal digits so that it survives whatever handles the address. It holds nothing that its reader did not just read, so it needs no signature: a forged one
    /// can only begin the user's own list elsewhere.
    pub fn encode(&self) -> String {
        let sign = if self.sort.descending { "-" } else { "" };
        hex::encode(format!("{sign}{}\n{}\n{}", self.sort.key.name(), self.id, self.key).as_bytes())
    }

    /// The cursor, if it is one and belongs to this order.
    pub fn decode(text: &str, sort: Sort) -> Option<Cursor> {
        let plain = String::from_utf8(hex::decode(text)?).ok()?;
        let mut parts = plain.splitn(3, '\n');
        let (word, id, key) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let known = WORDS.choices.iter().any(|(choice, value)| *choice == word && *value == sort);
        (known && !key.contains('\0')).then(|| Cursor { sort, key: key.to_owned(), id })
    }
}

/// A query of `GET /api/contacts`.
#[derive(Debug, Clone)]
pub struct List {
    /// `LIKE` patterns over the search key, all of which must match.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// How many to pass over.
    pub skip: i64,
    /// How many at most.
    pub limit: i64,
    /// Where to begin, instead of at the start.
    pub cursor: Option<Cursor>,
    /// Whether the whole number is asked for.
    pub count: bool,
}

/// What contacts must match, as `LIKE` patterns over the folded search key (see [`fold`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// From `first_name`, `last_name`, `email` and `phone_number`.
    pub fields: Option<String>,
    /// From `q`: any field.
    pub any: Option<String>,
    /// From `q`, where it looks like a phone number: the phone's digits, as another way to match.
    pub phone: Option<String>,
}

impl Filter {
    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        *self == Filter::default()
    }
}

impl FromFields for List {
    fn from_fields(fields: &mut Fields<'_>) -> Option<List> {
        let first_name = fields.optional("first_name", &PART);
        let last_name = fields.optional("last_name", &PART);
        let email = fields.optional("email", &PART);
        let phone_number = fields.optional("phone_number", &PART_OF_PHONE);
        let q = fields.optional("q", &Q);
        let sort = fields.optional("sort", &SORT).unwrap_or(up(Key::Id));
        let (skip, limit) = skip_and_limit(fields);
        let cursor = fields.optional("cursor", &CURSOR);
        let count = fields.optional("count", &COUNT).unwrap_or(false);

        let cursor = match cursor {
            None => None,
            Some(_) if skip > 0 => {
                fields.fault("cursor", "cannot be combined with skip");
                return None;
            }
            Some(text) => match Cursor::decode(&text, sort) {
                Some(cursor) => Some(cursor),
                None => {
                    fields.fault("cursor", "must be a cursor from a Link header of a list in the same order");
                    return None;
                }
            },
        };
        let mut filter = Filter {
            fields: fold::pattern(
                first_name.as_deref(),
                last_name.as_deref(),
                email.as_deref(),
                phone_number.as_deref(),
            ),
            ..Filter::default()
        };
        if let Some(q) = q {
            let (any, phone) = fold::any_pattern(&q);
            filter.any = Some(any);
            filter.phone = phone;
        }
        Some(List { filter, sort, skip, limit, cursor, count })
    }
}

/// A query of `GET /api/contacts/upcoming_birthdays`.
#[derive(Debug, Clone)]
pub struct UpcomingQuery {
    /// How many days beyond today, 0–366.
    pub days: u16,
    /// How many to pass over.
    pub skip: i64,
    /// How many at most.
    pub limit: i64,
    /// The client's date; the server's where there is none.
    pub today: Option<NaiveDate>,
}

impl FromFields for UpcomingQuery {
    fn from_fields(fields: &mut Fields<'_>) -> Option<UpcomingQuery> {
        let days = fields.optional("days", &DAYS).unwrap_or(7);
        let (skip, limit) = skip_and_limit(fields);
        let today = Doc(Date::today(), "Your date; the server's where none is given.");
        let today = fields.optional("today", &today);
        Some(UpcomingQuery { days: u16::try_from(days).ok()?, skip, limit, today })
    }
}

fn skip_and_limit(fields: &mut Fields<'_>) -> (i64, i64) {
    (fields.optional("skip", &SKIP).unwrap_or(0), fields.optional("limit", &LIMIT).unwrap_or(100))
}
