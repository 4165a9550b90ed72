//! Percent-encoding (RFC 3986 §2.1), and the pairs of queries and forms.

use std::borrow::Cow;
use std::fmt::Write;

/// Decodes `%XX` strictly into UTF-8 (RFC 3986 §2.1); in forms `+` is a space. `None` for a broken escape or broken UTF-8.
pub fn percent_decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|b| b == b'%' || b == b'+' && plus_is_space) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'%' => {
                let (high, low) = (hex(rest.next()?)?, hex(rest.next()?)?);
                high << 4 | low
            }
            b'+' if plus_is_space => b' ',
            b => b,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Encodes all but the unreserved characters (RFC 3986 §2.3).
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    encode_but(|b| b.is_ascii_alphanumeric() || b"-._~".contains(b), text.as_bytes(), &mut encoded);
    encoded
}

/// Appends the bytes, encoded but for those that may stay, which must be ASCII.
pub(super) fn encode_but(may_stay: impl Fn(&u8) -> bool, bytes: &[u8], out: &mut String) {
    for byte in bytes {
        if may_stay(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// A decoded name and its decoded value; without the value where one of them is broken, the name then as it came.
pub type Pair<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// The pairs of a query string or an `application/x-www-form-urlencoded` body.
pub fn parse_pairs(text: &str) -> Vec<Pair<'_>> {
    let decoded = |pair| {
        let (name, value) = str::split_once(pair, '=').unwrap_or((pair, ""));
        percent_decode(name, true).map_or((name.into(), None), |name| (name, percent_decode(value, true)))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(decoded).collect()
}
