//! The logical lines of vCard files as people have them. They are split here, once, by the rules of all versions: where a card
//! begins and ends, what continues the line before, what is a property. So nothing that a file holds is passed over.

use std::borrow::Cow;

/// How a value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Not at all.
    Plain,
    /// As quoted-printable (RFC 2045 §6.7).
    Quoted,
    /// In base64.
    Base64,
}

/// A line with those that continue it, as it stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its number in the file, counted from 1.
    pub number: usize,
    /// Its bytes, line breaks within it included.
    pub raw: &'a [u8],
    /// How its value is encoded.
    pub coding: Coding,
}

/// The logical lines of a file.
pub struct Lines<'a> {
    /// What has not been read.
    pub rest: &'a [u8],
    /// The number of its first line.
    pub number: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        // A byte order mark stands within a file that was put together of several.
        let file = self.rest.strip_prefix("\u{feff}".as_bytes()).unwrap_or(self.rest);
        if file.is_empty() {
            return None;
        }
        let (mut end, mut next) = physical(file);
        let (mut lines, mut coding) = (usize::from(next > end), coding(&file[..end]));
        let is_edge = is_boundary(&file[..end]);
        while next < file.len() && !is_edge {
            let (length, whole) = physical(&file[next..]);
            let line = &file[next..next + length];
            let continues = match coding {
                // Old phones fold base64 without a space.
                Some(Coding::Base64) if !line.is_empty() && line.iter().all(|b| is_base64(*b)) => true,
                Some(Coding::Quoted) if file[..end].ends_with(b"=") => true,
                _ => line.first().is_some_and(|b| is_blank(*b)),
            };
            if !continues || is_boundary(line) {
                break;
            }
            (end, next) = (next + length, next + whole);
            lines += usize::from(whole > length);
            if coding.is_none() && line.contains(&b':') {
                coding = self::coding(&file[..end]);
            }
        }
        let line = Line { number: self.number, raw: &file[..end], coding: coding.unwrap_or(Coding::Plain) };
        self.rest = &file[next..];
        self.number += lines;
        Some(line)
    }
}

impl<'a> Line<'a> {
    /// The line without its breaks. Version 2.1 folds where a space is, and keeps it; the later ones put one in.
    pub fn unfolded(&self, is_21: bool) -> Cow<'a, [u8]> {
        let (length, mut next) = physical(self.raw);
        if next >= self.raw.len() {
            return Cow::Borrowed(self.raw);
        }
        let mut line = self.raw[..length].to_vec();
        // Some programs fold quoted-printable as well. A space before a letter is the text's own.
        let is_folded_twice =
            self.raw.windows(2).all(|pair| !is_break(pair[0]) || is_break(pair[1]) || is_blank(pair[1]));
        while next < self.raw.len() {
            let (length, whole) = physical(&self.raw[next..]);
            let part = &self.raw[next..next + length];
            let is_soft = self.coding == Coding::Quoted && line.ends_with(b"=");
            let fold = usize::from(part.first().is_some_and(|b| is_blank(*b)));
            if is_soft {
                line.pop();
            }
            let cut = if is_soft { is_folded_twice && part.get(1) == Some(&b'=') } else { !is_21 };
            line.extend_from_slice(&part[if cut { fold } else { 0 }..]);
            next += whole;
        }
        Cow::Owned(line)
    }
}

/// Whether a line begins or ends a card.
pub fn is_boundary(line: &[u8]) -> bool {
    is(line, BEGIN) || is(line, END)
}

/// What a card begins with.
pub const BEGIN: &[u8] = b"BEGIN:VCARD";
/// What a card ends with.
pub const END: &[u8] = b"END:VCARD";

/// Whether a line says this, in any case.
pub fn is(line: &[u8], boundary: &[u8]) -> bool {
    line.trim_ascii_end().eq_ignore_ascii_case(boundary)
}

/// The length of the first line of a text, and its length with the line break, if there is one. Lines end in LF, in CR as
/// old Macs wrote them, or in CR LF; and behind the beginning or the end of a card, where files were put together.
fn physical(text: &[u8]) -> (usize, usize) {
    let boundary = [BEGIN, END].into_iter().find(|b| text.get(..b.len()).is_some_and(|start| is(start, b)));
    let length = boundary.map_or_else(|| text.iter().position(|b| is_break(*b)).unwrap_or(text.len()), <[u8]>::len);
    let returns = text[length..].iter().take_while(|b| **b == b'\r').count();
    let has_newline = text.get(length + returns) == Some(&b'\n');
    (length, length + if has_newline { returns + 1 } else { returns.min(1) })
}

fn is_break(b: u8) -> bool {
    b == b'\n' || b == b'\r'
}

fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

fn is_base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"+/= \t".contains(&b)
}

/// Where the value of a property begins: behind the first colon that is not within quotes, if their number is even.
pub fn colon(line: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    let outside = line.iter().position(|b| {
        is_quoted ^= *b == b'"';
        *b == b':' && !is_quoted
    });
    outside.or_else(|| line.iter().position(|b| *b == b':'))
}

/// How a value is encoded, by what stands before its colon; `None` without one. Version 2.1 leaves out the parameter's name.
fn coding(line: &[u8]) -> Option<Coding> {
    let header = line[..colon(line)?].iter().filter(|b| !b.is_ascii_whitespace() && **b != b'"');
    let header: Vec<u8> = header.map(u8::to_ascii_uppercase).collect();
    let coding = header.split(|b| *b == b';').skip(1).find_map(|param| {
        match param.strip_prefix(b"ENCODING=").unwrap_or(param) {
            b"QUOTED-PRINTABLE" => Some(Coding::Quoted),
            b"BASE64" | b"B" => Some(Coding::Base64),
            _ => None,
        }
    });
    coding.or(Some(Coding::Plain))
}

/// Decodes quoted-printable; what is no code stays as it is.
pub fn unquoted(text: &[u8]) -> Vec<u8> {
    let digit = |b: Option<&u8>| char::from(*b?).to_digit(16);
    let mut parts = text.split(|b| *b == b'=');
    let mut bytes = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let code =
            digit(part.first()).zip(digit(part.get(1))).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
        bytes.push(code.unwrap_or(b'='));
        bytes.extend_from_slice(&part[if code.is_some() { 2 } else { 0 }..]);
    }
    bytes
}
