//! The folding of text for search: a contact's text and a search for it are both folded, so that `іван` finds `Іван`, `jose`
//! finds `José`, `ΟΔΥΣ` finds `Οδυσσέας` and `strasse` finds `Straße`, whatever the database's locale.
//!
//! It finds too much rather than too little: `й` is `и`, `ї` is `і`, and where vowels are written as marks (Hindi, Hebrew)
//! they do not count. A Hangul syllable is split into its letters, so `하` finds `한`. But Unicode takes `ł` and `ø` for
//! letters of their own, so they stay. Nothing is lost, since the row keeps the text as it was.
//!
//! A field that can be searched is not free. All of them share one search key, a column of a B-tree index, and Postgres
//! limits an entry of that index to 2,704 bytes with its other columns and headers. So each [`Part`] has a limit of its own,
//! and a new part must take its bytes from the others. Text beyond the limit is not found.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Between the parts of a search key: UNIT SEPARATOR, a control character, which [`fold`] never gives.
pub const SEPARATOR: char = '\u{1f}';

/// The most bytes of a search key.
pub const KEY_MAX_BYTES: usize = 2_500;

/// A needle that no key holds: another control character.
const NOTHING: &str = "\u{1}";

/// How a field is searched: what its part of the search key holds, and in how many bytes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The folded text.
    Text(usize),
    /// The digits alone, as of a phone number.
    Digits(usize),
}

impl Part {
    /// The most bytes that it takes.
    pub const fn max_bytes(self) -> usize {
        match self {
            Part::Text(most) | Part::Digits(most) => most,
        }
    }

    fn push_folded(self, text: &str, out: &mut String) {
        match self {
            Part::Text(_) => push_folded(text, out),
            Part::Digits(_) => out.extend(text.chars().filter_map(digit)),
        }
    }

    /// What to look for in the part. Text that folds to nothing, such as a mark alone or a phone number without a digit, is
    /// found in no contact: to ignore it would answer with the whole address book.
    fn needle(self, text: &str) -> String {
        let mut folded = String::new();
        self.push_folded(text, &mut folded);
        if folded.is_empty() && !text.is_empty() { NOTHING.to_owned() } else { folded }
    }
}

/// Compatibility decomposition (NFKD), without marks (general category M) and control characters, each letter as the lower
/// case of its upper case: by that `ς` is `σ` and `ß` is `ss`. A curly apostrophe becomes a straight one, for a phone types
/// `Мар’яна` where a keyboard has `Мар'яна`.
///
/// It works character by character (decomposition moves only marks), so the fold of a part is a part of the fold. To fold
/// twice changes nothing.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    push_folded(text, &mut folded);
    folded
}

fn push_folded(text: &str, out: &mut String) {
    if text.is_ascii() {
        return out.extend(text.chars().filter(|c| !c.is_control()).map(|c| c.to_ascii_lowercase()));
    }
    let folded = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c) && !c.is_control())
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' | '\u{2bc}' => '\'',
            other => other,
        })
        // The first step is for `ẞ`: it is upper case already, and only its lower case `ß` has the upper case `SS`.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase);
    out.extend(folded);
}

/// The decimal digits in `text` as ASCII, in the scripts that people write phone numbers in.
pub fn digits(text: &str) -> String {
    text.chars().filter_map(digit).collect()
}

fn digit(c: char) -> Option<char> {
    /// Each script's zero; its one to nine follow (Unicode's stability policy).
    const ZEROS: [char; 19] = [
        '0', '\u{660}', '\u{6f0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}', '\u{c66}',
        '\u{ce6}', '\u{d66}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{17e0}', '\u{1810}', '\u{ff10}',
    ];
    ZEROS.iter().find_map(|zero| {
        let value = u32::from(c).checked_sub(u32::from(*zero))?;
        char::from_digit(value, 10)
    })
}

/// The search key of a contact with these texts: its parts in order, each cut to its limit, with a [`SEPARATOR`] between.
pub fn key<'a>(texts: impl Iterator<Item = (Part, &'a str)>) -> String {
    // Most keys fit.
    let mut key = String::with_capacity(128);
    for (at, (part, text)) in texts.enumerate() {
        if at > 0 {
            key.push(SEPARATOR);
        }
        let most = key.len() + part.max_bytes();
        part.push_folded(text, &mut key);
        key.truncate(key.floor_char_boundary(most));
    }
    key
}

/// What to look for in each part of the keys, for contacts that have each of these texts in its own part; `None` in a part
/// where nothing is asked, and for all of them when nothing is asked at all: a filter that is absent or empty asks nothing. It
/// needs a filter for every part.
pub fn needles<'a>(filters: impl Iterator<Item = (Part, Option<&'a str>)>) -> Option<Vec<Option<String>>> {
    let needle = |(part, filter): (Part, Option<&str>)| filter.filter(|f| !f.is_empty()).map(|f| part.needle(f));
    let needles: Vec<_> = filters.map(needle).collect();
    needles.iter().any(Option::is_some).then_some(needles)
}

/// What to look for in the keys of contacts that have `q` in any part: in the whole key, for it holds no separator, so it is
/// never found across two parts; and where `q` reads as a part of a phone number its digits in the phone number, since a key has
/// no more of that. A contact is found by either. An empty `q` is found in every contact.
pub fn any_needle(q: &str) -> (String, Option<String>) {
    let anywhere = Part::Text(KEY_MAX_BYTES).needle(q);
    let is_phone = q.chars().all(|c| digit(c).is_some() || " +-()./\u{a0}".contains(c));
    // When it is digits only, the first needle finds them in the phone number too.
    let digits = Some(digits(q)).filter(|digits| is_phone && !digits.is_empty() && *digits != anywhere);
    (anywhere, digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAME: Part = Part::Text(1_000);
    const EMAIL: Part = Part::Text(400);
    const PHONE: Part = Part::Digits(40);
    const PARTS: [Part; 4] = [NAME, NAME, EMAIL, PHONE];

    fn key_of(texts: [&str; 4]) -> String {
        key(PARTS.into_iter().zip(texts))
    }

    fn needles_of(filters: [Option<&str>; 4]) -> Option<Vec<Option<String>>> {
        needles(PARTS.into_iter().zip(filters))
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
            ("йосип", "Иосип"),
            ("ﬁ", "Fiona"),
            ("мар'яна", "Мар’яна"),
            ("o'brien", "O\u{2bc}Brien"),
            ("하", "한국"),
        ] {
            let (search, text) = (fold(search), fold(text));
            assert!(text.contains(&search), "{search:?} in {text:?}");
        }
        for (search, text) in [("l", "ł"), ("o", "ø"), ("и", "і"), ("с", "c"), ("ґ", "г")] {
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

    #[test]
    fn digits_are_those_of_any_script_and_nothing_else() {
        assert_eq!(digits("+38 (050) 123-45-67"), "380501234567");
        assert_eq!(digits("٠١٢٣٤٥٦٧٨٩ ۰۹ ०९ ０９ ๐๙"), "012345678909090909");
        assert_eq!(digits("/:²½①IVжa٪"), "");
    }

    /// What the statements do with needles for each part.
    fn has_in_parts(key: &str, needles: &[Option<String>]) -> bool {
        let parts = key.split(SEPARATOR);
        assert_eq!(needles.len(), PARTS.len());
        parts.zip(needles).all(|(part, needle)| needle.as_ref().is_none_or(|needle| part.contains(needle)))
    }

    /// And with those for any part.
    fn has_anywhere(key: &str, (anywhere, digits): &(String, Option<String>)) -> bool {
        let phone = key.rsplit(SEPARATOR).next().unwrap();
        key.contains(anywhere) || digits.as_ref().is_some_and(|digits| phone.contains(digits))
    }

    /// Few characters, so that random filters hit; among them all that folding, phone numbers or SQL treat in a special way.
    fn text(most: usize) -> impl Strategy<Value = String> {
        let alphabet = "aAbé\u{301}ßẞΣς%_\\'’\u{1f}\0 1２-+й😀";
        let character = proptest::sample::select(alphabet.chars().collect::<Vec<_>>());
        proptest::collection::vec(character, 0..=most).prop_map(String::from_iter)
    }

    fn optional(most: usize) -> impl Strategy<Value = Option<String>> {
        proptest::option::of(text(most))
    }

    /// The meaning of one filter.
    fn is_in(part: Part, text: &str, filter: &str) -> bool {
        let folded = |text: &str| {
            let mut folded = String::new();
            part.push_folded(text, &mut folded);
            folded
        };
        filter.is_empty() || (!folded(filter).is_empty() && folded(text).contains(&folded(filter)))
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
            let each: String = text.chars().map(|c| fold(&c.to_string())).collect();
            prop_assert_eq!(fold(&text), each);
        }

        #[test]
        fn a_key_is_four_parts_within_their_limits_whatever_they_hold(texts: [String; 4]) {
            let key = key_of(texts.each_ref().map(String::as_str));
            prop_assert_eq!(key.matches(SEPARATOR).count(), 3);
            for (text, part) in key.split(SEPARATOR).zip(PARTS) {
                prop_assert!(text.len() <= part.max_bytes());
            }
        }

        #[test]
        fn needles_find_the_texts_in_their_own_fields(
            texts in [text(6), text(4), text(4), text(6)],
            filters in [optional(2), optional(2), optional(2), optional(2)],
        ) {
            let key = key_of(texts.each_ref().map(String::as_str));
            let mut each = PARTS.iter().zip(texts.iter().zip(&filters));
            let expected = each.all(|(part, (text, filter))| is_in(*part, text, filter.as_deref().unwrap_or("")));
            match needles_of(filters.each_ref().map(Option::as_deref)) {
                Some(needles) => prop_assert_eq!(has_in_parts(&key, &needles), expected, "{:?} {:?}", key, needles),
                None => prop_assert!(filters.iter().flatten().all(String::is_empty)),
            }
        }

        #[test]
        fn q_finds_a_text_in_any_field(texts in [text(6), text(4), text(4), text(6)], q in text(3)) {
            let key = key_of(texts.each_ref().map(String::as_str));
            let [names @ .., phone] = &texts;
            let is_phone = q.chars().all(|c| "1２ +-".contains(c));
            let expected = names.iter().any(|name| is_in(NAME, name, &q))
                || is_in(NAME, &digits(phone), &q)
                || (is_phone && is_in(PHONE, phone, &q));
            let needle = any_needle(&q);
            prop_assert_eq!(has_anywhere(&key, &needle), expected, "{:?} {:?}", key, needle);
        }
    }

    #[test]
    fn needles_as_text() {
        assert_eq!(needles_of([None; 4]), None);
        assert_eq!(needles_of([Some(""), None, Some(""), None]), None);
        let is = |got: Option<Vec<Option<String>>>, expected: [Option<&str>; 4]| {
            assert_eq!(got, Some(expected.map(|needle| needle.map(str::to_owned)).to_vec()));
        };
        is(needles_of([Some("Іван"), None, None, None]), [Some("іван"), None, None, None]);
        is(
            needles_of([None, Some(""), Some("50%_\\"), Some("+38 (050)")]),
            [None, None, Some("50%_\\"), Some("38050")],
        );
        for nothing_left in
            [[Some("\u{301}"), None, None, None], [Some("a"), None, None, Some("abc")], [None, Some("\0"), None, None]]
        {
            let needles = needles_of(nothing_left).unwrap();
            assert!(!has_in_parts(&key_of(["a", "", "", ""]), &needles));
            assert!(!has_in_parts(&key_of([""; 4]), &needles));
        }
        let is = |q, anywhere: &str, digits: Option<&str>| {
            assert_eq!(any_needle(q), (anywhere.to_owned(), digits.map(str::to_owned)));
        };
        is("", "", None);
        is("0501234", "0501234", None);
        is("(050) 12-3", "(050) 12-3", Some("050123"));
        is("+", "+", None);
        is("a1", "a1", None);
        assert!(!has_anywhere(&key_of([""; 4]), &any_needle("\u{301}")));
    }
}
