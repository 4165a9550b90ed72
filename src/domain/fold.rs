//! The folding of text for search: a contact's text and a search for it are both folded, so that `іван` finds `Іван`, `jose`
//! finds `José`, `ΟΔΥΣ` finds `Οδυσσέας` and `strasse` finds `Straße`, whatever the database's locale.
//!
//! It finds too much rather than too little: `ї` is `і`, `ł` is `l`, and where vowels are written as marks (Hindi, Hebrew) they
//! do not count. A Hangul syllable is split into its letters, so `하` finds `한`. But `й` stays a letter of its own, as people
//! type it and as alphabets order it. Nothing is lost, since the row keeps the text as it was.
//!
//! A field that can be searched is not free. All of them share one search key, a column of a B-tree index, and Postgres
//! limits an entry of that index to 2,704 bytes with its other columns and headers. So each [`Part`] has a limit of its own,
//! and a new part must take its bytes from the others. Text beyond the limit is not found.
//!
//! Each part of a key begins with a mark of the [`REVISION`] of the folding that made it, so a key may be of several: a release
//! that knows nothing of a newer folding writes only the parts that it changes. Housekeeping makes the older ones anew.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::phone;

/// Raised when a text folds to something else than before, together with the index `contacts_old_key_idx` and the statements
/// in `sql/queries/keys`. Revision 0 was the first, without a mark.
pub const REVISION: u8 = 1;

/// Between the parts of a search key: UNIT SEPARATOR, a control character, which [`fold`] never gives.
pub const SEPARATOR: char = '\u{1f}';

/// What a part begins with: a control character, the smaller the newer. So to the database "older" is a comparison, which an
/// older release makes as well, and it leaves the keys of a newer one alone.
pub const MARK: char = (SEPARATOR as u8 - REVISION) as char;

/// The most bytes of a search key.
pub const KEY_MAX_BYTES: usize = 2_500;

/// How a field is searched: what its part of the search key holds, and in how many bytes at most, without the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The folded text.
    Text(usize),
    /// The digits alone, as of a phone number: see [`phone`].
    Digits(usize),
}

impl Part {
    /// The most bytes that it takes.
    pub const fn max_bytes(self) -> usize {
        match self {
            Part::Text(most) | Part::Digits(most) => most,
        }
    }
}

/// Compatibility decomposition (NFKD), without marks (general category M), control and invisible characters (Cc, Cf), each
/// letter as the lower case of its upper case: by that `ς` is `σ` and `ß` is `ss`. Apostrophes and dashes that look alike are
/// one, for a phone types `Мар’яна` where a keyboard has `Мар'яна`.
///
/// It works character by character of the composed text, so the fold of a part is a part of the fold. To fold twice changes
/// nothing.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    push_folded(text, &mut folded);
    folded
}

fn push_folded(text: &str, out: &mut String) {
    if text.is_ascii() {
        let visible = text.chars().filter(|c| !c.is_control());
        return out.extend(visible.map(|c| if c == '`' { '\'' } else { c.to_ascii_lowercase() }));
    }
    for c in text.nfc() {
        match c {
            'й' | 'Й' => out.push('й'),
            // An acute accent that stands alone is typed for an apostrophe. NFKD would make it a space and a mark.
            '\u{b4}' => out.push('\''),
            _ => decompose_compatible(c, |c| {
                if !is_combining_mark(c) && !c.is_control() && !is_invisible(c) {
                    // The first step is for `ẞ`: it is upper case already, and only its lower case `ß` has the upper case `SS`.
                    let lower = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
                    lower.for_each(|c| push_letter(c, out));
                }
            }),
        }
    }
}

/// Letters and signs as people type them.
fn push_letter(c: char, out: &mut String) {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2bb}' | '\u{2bc}' | '\u{2032}' | '`' => out.push('\''),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => out.push('-'),
        'ł' => out.push('l'),
        'ø' => out.push('o'),
        'đ' | 'ð' => out.push('d'),
        'ħ' => out.push('h'),
        'æ' => out.push_str("ae"),
        'œ' => out.push_str("oe"),
        'þ' => out.push_str("th"),
        c => out.push(c),
    }
}

/// Whether nobody sees the character: general category Cf, such as a soft hyphen or a mark of direction.
pub fn is_invisible(c: char) -> bool {
    c.general_category() == GeneralCategory::Format
}

/// The search key of a contact with these texts: its parts in order, each cut to its limit, with a [`SEPARATOR`] between.
pub fn key<'a>(texts: impl Iterator<Item = (Part, &'a str)>) -> String {
    // Most keys fit.
    let mut key = String::with_capacity(128);
    for (at, (part, text)) in texts.enumerate() {
        if at > 0 {
            key.push(SEPARATOR);
        }
        key.push(MARK);
        let most = key.len() + part.max_bytes();
        match part {
            Part::Text(_) => push_folded(text, &mut key),
            Part::Digits(_) => phone::push_part(text, &mut key),
        }
        key.truncate(key.floor_char_boundary(most));
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: Part = Part::Text(1_000);
    const EMAIL: Part = Part::Text(400);
    const PHONE: Part = Part::Digits(50);
    const PARTS: [Part; 4] = [NAME, NAME, EMAIL, PHONE];

    fn key_of(texts: [&str; 4]) -> String {
        key(PARTS.into_iter().zip(texts))
    }

    fn all_characters() -> impl Iterator<Item = char> {
        // Beyond these planes nothing is assigned but ideographs and private use, which fold to themselves.
        let characters = (0..0x1_ffff).chain(0x2_f800..0x2_fa1e).chain(0xe_0000..0xe_01f0);
        characters.filter_map(char::from_u32)
    }

    /// The fold of a text is the folds of its characters in a row, so what holds for each character holds for every text.
    #[test]
    fn a_fold_is_folded_and_holds_no_mark_and_no_separator() {
        let mut buffer = [0; 4];
        for c in all_characters() {
            let once = fold(c.encode_utf8(&mut buffer));
            assert_eq!(fold(&once), once, "{c:?}");
            let bad = |c: char| is_combining_mark(c) || c.is_control() || c == SEPARATOR;
            assert!(!once.contains(bad), "{c:?}: {once:?}");
        }
    }

    #[test]
    fn letters_fold_as_people_expect() {
        for (search, text) in [
            ("іван", "Іван"),
            ("jose", "José"),
            ("ΟΔΥΣ", "Οδυσσέας"),
            ("σσέας", "ΟΔΥΣΣΕΑΣ"),
            ("straße", "STRASSE"),
            ("strasse", "STRAẞE"),
            ("istanbul", "İSTANBUL"),
            ("їжак", "ЇЖАК"),
            ("йосип", "ЙОСИП"),
            ("и\u{306}осип", "Йосип"),
            ("И\u{323}\u{306}", "й"),
            ("ﬁ", "Fiona"),
            ("мар'яна", "Мар’яна"),
            ("мар\u{b4}яна", "Мар`яна"),
            ("мар\u{1ffd}яна", "Мар′яна"),
            ("o'brien", "O\u{2bc}Brien"),
            ("анна-марія", "Анна\u{2011}Марія"),
            ("a-b", "A\u{2212}B"),
            ("іваненко", "Іва\u{ad}не\u{200b}нко\u{202c}"),
            ("lukasz", "Łukasz"),
            ("ødegård", "Odegard"),
            ("dordevic", "Đorđević"),
            ("aethelthryth oeuvre", "Æthelþryth Œuvre"),
            ("hal", "Ħal"),
            ("diyarbakir", "Dıyarbakır"),
            ("하", "한국"),
        ] {
            let (search, text) = (fold(search), fold(text));
            assert!(text.contains(&search), "{search:?} in {text:?}");
        }
        for (search, text) in [("и", "й"), ("й", "и"), ("и", "Й"), ("и", "і"), ("с", "c"), ("ґ", "г")] {
            assert!(!fold(text).contains(&fold(search)), "{search} in {text}");
        }
        assert_eq!(fold("A\0\u{1f}b\tc\u{85}Ж\u{1f}"), "abcж");
    }

    #[test]
    fn ascii_folds_by_the_short_way_as_by_the_long_one() {
        for c in '\0'..='\x7f' {
            let long_way = fold(&format!("{c}ж"));
            assert_eq!(fold(&c.to_string()) + "ж", long_way, "{c:?}");
        }
    }

    proptest! {
        // A failure is printed with its input; files of old ones are not kept.
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            cases: 2_000,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_fold_of_a_text_is_the_folds_of_its_characters(text in any::<String>()) {
            let text = text.replace('\u{306}', "");
            let each: String = text.chars().map(|c| fold(&c.to_string())).collect();
            prop_assert_eq!(fold(&text), each);
        }

        #[test]
        fn a_pattern_folds_as_the_field_does_however_either_is_composed(text in any::<String>()) {
            let (composed, decomposed): (String, String) = (text.nfc().collect(), text.nfd().collect());
            prop_assert_eq!(fold(&composed), fold(&decomposed));
            prop_assert_eq!(fold(&composed), fold(&text));
        }

        #[test]
        fn a_key_is_four_marked_parts_within_their_limits_whatever_they_hold(texts: [String; 4]) {
            let key = key_of(texts.each_ref().map(String::as_str));
            prop_assert_eq!(key.matches(SEPARATOR).count(), 3);
            for (text, part) in key.split(SEPARATOR).zip(PARTS) {
                prop_assert!(text.starts_with(MARK) && text.len() <= part.max_bytes() + 1);
            }
        }
    }
}
