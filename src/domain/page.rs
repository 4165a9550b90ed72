//! The part of a list that is asked for: filters, order, and where to begin, by number (`skip`) or by cursor.

use std::sync::LazyLock;

use chrono::NaiveDate;

use super::birthday::WINDOW_MAX_DAYS;
use super::contact::FIELDS;
use super::fields::{Fields, FromFields};
use super::filter::Filter;
use super::fold::Part;
use super::hex;
use super::rules::{Date, Doc, Flag, Integer, OneOf, Verbatim};

/// The orders that a list can have, by their words. The keys are named in the API as in
/// `sql/queries/contacts/page_by_time.sql`: among others each field that is text of the search key, or a date. Text sorts folded,
/// by the database's collation `name_order`; an absent value comes before any other.
static SORTS: LazyLock<Vec<(String, Sort)>> = LazyLock::new(|| {
    let fields = FIELDS.iter().filter(|field| matches!(field.part, Some(Part::Text(_))) || field.is_date());
    let keys = ["id"].into_iter().chain(fields.map(|field| field.name)).chain(["created_at", "updated_at"]);
    let sorts = keys.flat_map(|key| [false, true].map(|descending| Sort { key, descending }));
    sorts.map(|sort| (sort.word(), sort)).collect()
});

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// One of the sort keys; ties are broken by id, in the same direction.
    pub key: &'static str,
    /// Whether the order is reversed.
    pub descending: bool,
}

impl Sort {
    const BY_ID: Sort = Sort { key: "id", descending: false };

    /// Whether it needs no sort key besides the id.
    pub fn is_by_id(self) -> bool {
        self.key == "id"
    }

    /// A key, or a key behind a minus.
    fn word(self) -> String {
        let sign = if self.descending { "-" } else { "" };
        format!("{sign}{}", self.key)
    }
}

/// Text to search for. It is not trimmed, since a space may be meant.
const NEEDLE: Verbatim = Verbatim { max: 254 };
const PART: Doc<Verbatim> =
    Doc(NEEDLE, "A substring of it, ignoring case and accents. A contact must match all filters.");
const PART_OF_PHONE: Doc<Verbatim> =
    Doc(NEEDLE, "Consecutive digits of it, however it is written, or a number with the same last nine digits.");
const Q: Doc<Verbatim> = Doc(
    NEEDLE,
    "Words in any order, each a substring of any field that has a parameter of its own. A phone number is one word.",
);
const COUNT: Doc<Flag> = Doc(Flag, "Whether to tell in X-Total-Count how many contacts match in all.");
const CURSOR: Doc<Verbatim> =
    Doc(Verbatim { max: 8192 }, "Where the page begins, from the Link header of the previous page; instead of skip.");

// More contacts than any user has. Without a bound, the sum with the limit might not fit into a bigint.
const SKIP: Doc<Integer> = Doc(Integer { range: 0..=1_000_000_000 }, "How many to skip.");
const LIMIT: Doc<Integer> = Doc(Integer { range: 1..=1000 }, "How many at most.");
const DAYS: Doc<Integer> =
    Doc(Integer { range: 0..=WINDOW_MAX_DAYS as i64 }, "How many days to look ahead, beyond today.");

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
    /// Opaque to clients, in lower-case hexadecimal digits, which every program that handles an address leaves alone. It holds
    /// nothing that its reader has not just read, so it needs no signature: a forged one can only begin the user's own list
    /// elsewhere.
    pub fn encode(&self) -> String {
        hex::encode(format!("{}\n{}\n{}", self.sort.word(), self.id, self.key).as_bytes())
    }

    /// The cursor, if the text is one and belongs to this order.
    pub fn decode(text: &str, sort: Sort) -> Option<Cursor> {
        let plain = String::from_utf8(hex::decode(text)?).ok()?;
        let mut parts = plain.splitn(3, '\n');
        let (word, id, key) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        (word == sort.word() && !key.contains('\0')).then(|| Cursor { sort, key: key.to_owned(), id })
    }
}

/// A query of `GET /api/contacts`.
#[derive(Debug, Clone)]
pub struct List {
    /// What the contacts must match.
    pub filter: Filter,
    /// The order.
    pub sort: Sort,
    /// How many to skip, and how many at most.
    pub page: Page,
    /// Where to begin, instead of at the start.
    pub cursor: Option<Cursor>,
    /// Whether to count all that match.
    pub count: bool,
}

impl FromFields for List {
    fn from_fields(fields: &mut Fields<'_>) -> List {
        let filters = FIELDS.each_ref().map(|field| {
            let part = field.part?;
            let rule = if matches!(part, Part::Digits(_)) { &PART_OF_PHONE } else { &PART };
            Some((part, fields.optional(field.name, rule)))
        });
        let q = fields.optional("q", &Q);
        let sort = Doc(OneOf { choices: &SORTS }, "The order, by default by id; prefix with - to reverse it.");
        let sort = fields.optional("sort", &sort).unwrap_or(Sort::BY_ID);
        let page = Page::from_fields(fields);
        let cursor = fields.optional("cursor", &CURSOR);
        let count = fields.or_default("count", &COUNT, false);

        let cursor = cursor.map(|text| match Cursor::decode(&text, sort) {
            _ if page.skip > 0 => Err("cannot be combined with skip"),
            Some(cursor) => Ok(cursor),
            None => Err("must be a cursor from a Link header of a list in the same order"),
        });
        let cursor = cursor.transpose().map_err(|detail| fields.fault("cursor", detail)).unwrap_or_default();
        let filters = filters.iter().flatten().map(|(part, filter)| (*part, filter.as_deref()));
        let filter = Filter::new(filters, q.as_deref().unwrap_or_default());
        List { filter, sort, page, cursor, count }
    }
}

/// A query of `GET /api/contacts/upcoming_birthdays`.
#[derive(Debug, Clone)]
pub struct UpcomingQuery {
    /// How many days beyond today, 0–366.
    pub days: u16,
    /// How many to skip, and how many at most.
    pub page: Page,
    /// The client's date; `None` for the server's.
    pub today: Option<NaiveDate>,
}

impl FromFields for UpcomingQuery {
    fn from_fields(fields: &mut Fields<'_>) -> UpcomingQuery {
        let days = fields.or_default("days", &DAYS, 7);
        let page = Page::from_fields(fields);
        let today = Doc(Date::today(), "Your date; by default the server's.");
        let today = fields.optional("today", &today);
        UpcomingQuery { days: days as u16, page, today }
    }
}

/// A part of a list that has one order and no filter.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// How many to skip.
    pub skip: i64,
    /// How many at most.
    pub limit: i64,
}

impl FromFields for Page {
    fn from_fields(fields: &mut Fields<'_>) -> Page {
        Page { skip: fields.or_default("skip", &SKIP, 0), limit: fields.or_default("limit", &LIMIT, 100) }
    }
}
