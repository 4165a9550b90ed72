//! common.rs: `Header` and friends.

use super::{Edit, Until};

const FILE: &str = "common.rs";

pub const EDITS: &[Edit] = &[
    Edit {
        file: FILE,
        find: "let value = AsciiString::from_ascii(value).or(Err(()))?;",
        until: Until::FragmentEnd,
        replace: r#"let value = AsciiString::from_ascii(value).or(Err(()))?;
        if !crate::head::is_token(header.0.as_bytes()) || !is_clean(&value) {
            return Err(());
        }"#,
        why: "fault 10: CR and LF in a header value split the response (CVE-2026-66753)",
    },
    Edit {
        file: FILE,
        find: r#"let field = elems.next().and_then(|f| f.parse().ok()).ok_or(())?;
        let value = elems
            .next()
            .and_then(|v| AsciiString::from_ascii(v.trim()).ok())
            .ok_or(())?;

        Ok(Header { field, value })"#,
        until: Until::FragmentEnd,
        replace: r#"let field = elems.next().ok_or(())?;
        let value = elems.next().ok_or(())?.trim();
        Header::from_bytes(field, value)"#,
        why: "fault 10: the other way to make a header gets the same check",
    },
    Edit {
        file: FILE,
        find: "impl FromStr for Header {",
        until: Until::FragmentEnd,
        replace: r#"/// No control character but a tab (RFC 9110 section 5.5).
pub(crate) fn is_clean(value: &AsciiStr) -> bool {
    value.as_bytes().iter().all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte))
}

impl FromStr for Header {"#,
        why: "fault 10: what a header value may be made of",
    },
];
