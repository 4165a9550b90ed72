//! Bytes as text: by the charset that a byte order mark or somebody names, else as UTF-8. Nothing is ever replaced.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8};

use super::{Unreadable, malformed};

/// A charset.
pub type Charset = &'static Encoding;

/// The charset of this name, if it is known. ASCII is UTF-8 here, and not windows-1252 as in browsers.
pub fn named(name: &str) -> Option<Charset> {
    let name = name.trim_matches(['"', ' ']);
    if name.to_ascii_lowercase().ends_with("ascii") {
        return Some(UTF_8);
    }
    Encoding::for_label(name.as_bytes()).filter(|charset| *charset != REPLACEMENT)
}

/// The charset of a file, and the file without its byte order mark. The mark counts before what the request names.
pub fn of(file: &[u8], given: Option<Charset>) -> (Charset, &[u8]) {
    let (charset, length) = Encoding::for_bom(file).unwrap_or((given.unwrap_or(UTF_8), 0));
    (charset, &file[length..])
}

/// The text, if all of it is of this charset.
pub fn decoded(charset: Charset, bytes: &[u8]) -> Option<Cow<'_, str>> {
    charset.decode_without_bom_handling_and_without_replacement(bytes)
}

/// The text of a whole file.
pub fn text(charset: Charset, file: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let Some(text) = decoded(charset, file) else {
        // No charset that has newlines as single bytes has them within a character.
        let bad = file.split(|b| *b == b'\n').position(|line| decoded(charset, line).is_none());
        let place =
            bad.filter(|_| charset.is_ascii_compatible()).map_or(String::new(), |at| format!(" in line {}", at + 1));
        let name = charset.name();
        return Err(Unreadable::Unfit(format!(
            "The file is not {name}{place}: save it as UTF-8, or name its charset in Content-Type."
        )));
    };
    if text.trim().is_empty() { Err(malformed("The file is empty.")) } else { Ok(text) }
}
