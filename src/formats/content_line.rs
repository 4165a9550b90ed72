//! Content lines, which vCard (RFC 6350 §3) and iCalendar (RFC 5545 §3.1) are made of, and what both say of a contact.

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// The most octets of a line, without its end.
const WIDTH: usize = 75;

/// Appends `name:value`, folded between characters. The value is escaped already, where it is text.
pub fn line(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut width = 0;
    for part in [name, ":", value] {
        for c in part.chars() {
            if width + c.len_utf8() > WIDTH {
                out.extend_from_slice(b"\r\n ");
                width = 1;
            }
            width += c.len_utf8();
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Text as a value (RFC 6350 §3.4, RFC 5545 §3.3.11). Neither RFC has a carriage return in text; as `\r` it comes back here,
/// and does no harm elsewhere.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\\' | ',' | ';' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The UTC form of an instant that both RFCs have.
pub fn instant(at: &DateTime<Utc>) -> String {
    at.format("%Y%m%dT%H%M%SZ").to_string()
}

/// A UUID (RFC 9562 version 8) of a contact: the same as long as the contact lives, and nobody else's, also where several
/// address books meet in one calendar. Ids begin at 1 in each of them, but no two contacts with one id were made in the same
/// microsecond.
pub fn uuid(id: i64, created_at: &DateTime<Utc>) -> String {
    let digest = Sha256::new()
        .chain_update(b"contactd contact")
        .chain_update(id.to_be_bytes())
        .chain_update(created_at.timestamp_micros().to_be_bytes())
        .finalize();
    let mut number = u128::from_be_bytes(*digest.first_chunk().expect("a digest has 32 bytes"));
    number = number & !(0xf << 76) | 8 << 76;
    number = number & !(0b11 << 62) | 0b10 << 62;
    let hex = format!("{number:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_at_75_octets_between_characters() {
        let mut out = Vec::new();
        line(&mut out, "NOTE", &"їж".repeat(60));
        let text = String::from_utf8(out).expect("no character is cut");
        let lines: Vec<_> = text.trim_end().split("\r\n").collect();
        assert!(lines.len() > 2 && lines.iter().all(|l| l.len() <= 75), "{text}");
        assert!(lines[1..].iter().all(|l| l.starts_with(' ')));
        let unfolded = text.replace("\r\n ", "");
        assert_eq!(unfolded, format!("NOTE:{}\r\n", "їж".repeat(60)));
    }

    #[test]
    fn a_uuid_is_the_same_each_time_and_of_version_8() {
        let at = DateTime::from_timestamp_micros(1_767_323_045_000_001).expect("a time");
        let uuid_of = |id| uuid(id, &at);
        assert_eq!(uuid_of(7), uuid_of(7));
        assert_ne!(uuid_of(7), uuid_of(8));
        let text = uuid_of(7);
        assert_eq!(text.len(), 36);
        assert_eq!(&text[14..15], "8");
        assert!("89ab".contains(&text[19..20]), "{text}");
    }
}
