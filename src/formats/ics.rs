//! The birthday calendar as iCalendar (RFC 5545): a yearly event of a whole day for each birthday.

use chrono::{Datelike, NaiveDate};

use super::content_line::{escaped, instant, line, uuid};
use crate::domain::contact::Contact;

/// Raised when the same contacts make another file, so that no client keeps the old one by its ETag.
pub const REVISION: u8 = 2;

/// A time zone that nothing refers to.
const UTC: &[u8] =
    b"BEGIN:VTIMEZONE\r\nTZID:UTC\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0000\r\n\
    TZOFFSETTO:+0000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n";

/// Appends what the calendar begins with. Programs ask for it again each day, unless their user sets another time. A calendar
/// without a component is none (RFC 5545 §3.4), and there need not be a birthday, so it has a time zone.
pub fn begin(owner: &str, out: &mut Vec<u8>) {
    let title = escaped(&format!("Birthdays ({owner})"));
    for (name, value) in [
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", "-//contactd//Birthdays//EN"),
        ("CALSCALE", "GREGORIAN"),
        ("NAME", title.as_str()),
        ("X-WR-CALNAME", title.as_str()),
        ("REFRESH-INTERVAL;VALUE=DURATION", "P1D"),
        ("X-PUBLISHED-TTL", "P1D"),
    ] {
        line(out, name, value);
    }
    out.extend_from_slice(UTC);
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
    let date = |day: NaiveDate| day.format("%Y%m%d").to_string();
    line(out, "DTSTART;VALUE=DATE", &date(birthday));
    // The day after. It is what DTSTART alone means, but not every reader knows.
    line(out, "DTEND;VALUE=DATE", &date(birthday.succ_opt().unwrap_or(birthday)));
    line(out, "RRULE", rule);
    line(out, "SUMMARY", &escaped(&contact.values.full_name()));
    line(out, "DESCRIPTION", &format!("Born {birthday}"));
    line(out, "TRANSP", "TRANSPARENT");
    line(out, "END", "VEVENT");
}

/// Appends what the calendar ends with.
pub fn end(out: &mut Vec<u8>) {
    line(out, "END", "VCALENDAR");
}
