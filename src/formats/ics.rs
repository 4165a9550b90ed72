//! The birthday calendar as iCalendar (RFC 5545): a yearly event of a whole day for each birthday.

use chrono::Datelike;

use super::content_line::{escaped, instant, line, uuid};
use crate::domain::contact::Contact;

/// Raised when the same contacts make another file, so that no client keeps the old one by its ETag.
pub const REVISION: u8 = 1;

/// Appends what the calendar begins with. Programs ask for it again each day, unless their user sets another time.
pub fn begin(out: &mut Vec<u8>) {
    for (name, value) in [
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", "-//contactd//Birthdays//EN"),
        ("CALSCALE", "GREGORIAN"),
        ("NAME", "Birthdays"),
        ("X-WR-CALNAME", "Birthdays"),
        ("REFRESH-INTERVAL;VALUE=DURATION", "P1D"),
        ("X-PUBLISHED-TTL", "P1D"),
    ] {
        line(out, name, value);
    }
}

/// Appends the event of a contact's birthday; nothing without one.
pub fn event(contact: &Contact<'_>, out: &mut Vec<u8>) {
    let Some(birthday) = contact.values.birthday() else {
        return;
    };
    // The last day of February is the 29th or the 28th, as the year has it. A plain yearly rule would leave out three years
    // of four (RFC 5545 §3.3.10: an invalid date is skipped).
    let rule = if (birthday.month(), birthday.day()) == (2, 29) {
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1"
    } else {
        "FREQ=YEARLY"
    };
    line(out, "BEGIN", "VEVENT");
    line(out, "UID", &uuid(contact.id, &contact.created_at));
    // Without a METHOD it is when the event was last revised (§3.8.7.2), so the file changes only as the contacts do.
    line(out, "DTSTAMP", &instant(&contact.updated_at));
    line(out, "DTSTART;VALUE=DATE", &birthday.format("%Y%m%d").to_string());
    line(out, "RRULE", rule);
    line(out, "SUMMARY", &escaped(&contact.values.full_name()));
    line(out, "TRANSP", "TRANSPARENT");
    line(out, "END", "VEVENT");
}

/// Appends what the calendar ends with.
pub fn end(out: &mut Vec<u8>) {
    line(out, "END", "VCALENDAR");
}
