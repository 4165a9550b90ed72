//! The folding of text for search: what a contact's text and a search for it are both turned into,
//! so that `іван` finds `Іван`, `jose` finds `José`, `ΟΔΥΣ` finds `Οδυσσέας` and `strasse` finds
//! `Straße`, whatever the database's locale.
//!
//! It finds too much rather than too little: `й` is `и`, `ї` is `і`, and where vowels are written
//! as marks (Hindi, Hebrew) they do not count. A Hangul syllable is its letters, so `하` finds `한`.
//! But `ł` and `ø` are letters of their own to Unicode, and stay. Nothing is lost by any of it,
//! since the row keeps the text as it was.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Between the fields of a search key: UNIT SEPARATOR, a control character, which [`fold`] never
/// gives.
pub const SEPARATOR: char = '\u{1f}';

/// A search key's most bytes. It is a column of a B-tree index, whose entries Postgres limits to
/// 2,704 bytes with their other columns and headers.
pub const KEY_MAX_BYTES: usize = 2_500;

// A name of 100 characters is some 200 bytes folded, in Hangul 900; an email 254; a phone number
// 40. Only what no one is called is cut: names of compatibility ligatures (U+FDFA alone becomes 18
// letters), or an email with hundreds of letters beyond ASCII. What is cut is not found.
const NAME_MAX_BYTES: usize = 1_000;
const EMAIL_MAX_BYTES: usize = 457;
const PHONE_MAX_BYTES: usize = 40;
const _: () = assert!(2 * NAME_MAX_BYTES + EMAIL_MAX_BYTES + PHONE_MAX_BYTES + 3 == KEY_MAX_BYTES);

/// A key has three separators, so this one fits none.
const NOTHING: &str = "\u{1f}\u{1f}\u{1f}\u{1f}";

/// Compatibility decomposition (NFKD), without marks (general category M) and control characters,
/// each letter as the lower case of its upper case: by that `ς` is `σ` and `ß` is `ss`. The curly
/// apostrophes are the straight one, for a phone types `Мар’яна` where a keyboard has `Мар'яна`.
///
/// It works character by character (decomposition moves only marks), so the fold of a part is a
/// part of the fold. Folding what is folded changes nothing.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        let mut folded = text.to_ascii_lowercase();
        folded.retain(|c| !c.is_control());
        return folded;
    }
    text.nfkd()
        .filter(|c| !is_combining_mark(*c) && !c.is_control())
        .map(|c| match c {
            '\u{2018}' | '\u{2019}' | '\u{2bc}' => '\'',
            other => other,
        })
        // The first step is for `ẞ`: it is upper case already, and only its lower case `ß` has the
        // upper case `SS`.
        .flat_map(char::to_lowercase)
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
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

/// What a contact is found by: first name, last name, email and the digits of the phone number,
/// folded, with exactly three [`SEPARATOR`]s between them and at most [`KEY_MAX_BYTES`] in all.
pub fn search_key(first_name: &str, last_name: Option<&str>, email: Option<&str>, phone: Option<&str>) -> String {
    let name = |name| cut(fold(name), NAME_MAX_BYTES);
    [
        name(first_name),
        name(last_name.unwrap_or("")),
        cut(fold(email.unwrap_or("")), EMAIL_MAX_BYTES),
        cut(digits(phone.unwrap_or("")), PHONE_MAX_BYTES),
    ]
    .join("\u{1f}")
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

/// The LIKE pattern (with backslash as its escape) for the keys of contacts that have each of the
/// texts in its field. A filter holds no separator, and the three in the pattern take up all three
/// of the key, so none can match outside of its field.
///
/// `None` when nothing is asked: a filter that is absent or empty asks nothing. A filter that is
/// not empty but of which nothing is left, such as a mark alone or a phone number without a digit,
/// matches no contact: to ignore it would answer with the whole address book.
pub fn pattern(
    first_name: Option<&str>,
    last_name: Option<&str>,
    email: Option<&str>,
    phone: Option<&str>,
) -> Option<String> {
    let filters = [first_name, last_name, email, phone].map(|filter| filter.unwrap_or(""));
    if filters.iter().all(|filter| filter.is_empty()) {
        return None;
    }
    let [first_name, last_name, email, phone] = filters;
    let folded = [fold(first_name), fold(last_name), fold(email), digits(phone)];
    let mut pattern = String::new();
    for (at, (filter, folded)) in filters.iter().zip(&folded).enumerate() {
        if folded.is_empty() && !filter.is_empty() {
            return Some(NOTHING.to_owned());
        }
        if at > 0 {
            pattern.push(SEPARATOR);
        }
        push_containing(&mut pattern, folded);
    }
    Some(pattern)
}

/// The patterns for the keys of contacts that have `q` in any field: one over all fields, and where
/// `q` reads as a part of a phone number one for its digits, since a key has no more of a phone
/// number. A contact is found if either matches.
///
/// An empty `q` matches every contact, one of which nothing is left none, as with [`pattern`].
pub fn any_pattern(q: &str) -> (String, Option<String>) {
    let folded = fold(q);
    let mut anywhere = String::new();
    if folded.is_empty() && !q.is_empty() {
        anywhere.push_str(NOTHING);
    } else {
        push_containing(&mut anywhere, &folded);
    }
    let is_phone = q.chars().all(|c| digit(c).is_some() || " +-()./\u{a0}".contains(c));
    let digits = digits(q);
    // When it is digits only, the first pattern finds them in the phone number too.
    if !is_phone || digits.is_empty() || digits == folded {
        return (anywhere, None);
    }
    (anywhere, pattern(None, None, None, Some(&digits)))
}

fn push_containing(pattern: &mut String, text: &str) {
    pattern.push('%');
    if text.is_empty() {
        return;
    }
    for c in text.chars() {
        if matches!(c, '\\' | '%' | '_') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all_characters() -> impl Iterator<Item = char> {
        // Beyond these planes nothing is assigned but ideographs and private use, which fold to
        // themselves.
        let characters = (0..0x1_ffff).chain(0x2_f800..0x2_fa1e).chain(0xe_0000..0xe_01f0);
        characters.filter_map(char::from_u32)
    }

    /// Since the fold of a text is the folds of its characters in a row, what holds for each
    /// character holds for every text.
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

    /// What Postgres does: `%` is any text, `_` any character, a backslash takes the meaning from
    /// the next.
    fn like(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|at| like(&text[at..], rest)),
            ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
            ['\\', literal, rest @ ..] | [literal, rest @ ..] => {
                text.first() == Some(literal) && like(&text[1..], rest)
            }
        }
    }

    fn matches(key: &str, pattern: &str) -> bool {
        let characters = |text: &str| text.chars().collect::<Vec<_>>();
        like(&characters(key), &characters(pattern))
    }

    /// Few characters, so that random filters hit; among them all that LIKE, folding or phone
    /// numbers treat in a way of their own.
    fn text(most: usize) -> impl Strategy<Value = String> {
        let alphabet = "aAbé\u{301}ßẞΣς%_\\'’\u{1f}\0 1２-+й😀";
        let character = proptest::sample::select(alphabet.chars().collect::<Vec<_>>());
        proptest::collection::vec(character, 0..=most).prop_map(String::from_iter)
    }

    fn optional(most: usize) -> impl Strategy<Value = Option<String>> {
        proptest::option::of(text(most))
    }

    /// The meaning of one filter, without LIKE.
    fn is_in(field: &str, filter: &str, folding: fn(&str) -> String) -> bool {
        let part = folding(filter);
        filter.is_empty() || (!part.is_empty() && folding(field).contains(&part))
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
        fn a_key_is_four_fields_whatever_they_hold(
            a: String,
            b: Option<String>,
            c: Option<String>,
            d: Option<String>,
        ) {
            let key = search_key(&a, b.as_deref(), c.as_deref(), d.as_deref());
            prop_assert_eq!(key.matches(SEPARATOR).count(), 3);
            prop_assert!(key.len() <= KEY_MAX_BYTES);
        }

        #[test]
        fn a_pattern_finds_the_texts_in_their_own_fields(
            (a, b, c, d) in (text(6), optional(4), optional(4), optional(6)),
            (fa, fb, fc, fd) in (optional(2), optional(2), optional(2), optional(2)),
        ) {
            let text = |field: &Option<String>| field.clone().unwrap_or_default();
            let key = search_key(&a, b.as_deref(), c.as_deref(), d.as_deref());
            let expected = is_in(&a, &text(&fa), fold)
                && is_in(&text(&b), &text(&fb), fold)
                && is_in(&text(&c), &text(&fc), fold)
                && is_in(&text(&d), &text(&fd), digits);
            match pattern(fa.as_deref(), fb.as_deref(), fc.as_deref(), fd.as_deref()) {
                Some(pattern) => {
                    prop_assert_eq!(matches(&key, &pattern), expected, "{:?} {}", key, pattern);
                }
                None => prop_assert!([fa, fb, fc, fd].iter().all(|filter| text(filter).is_empty())),
            }
        }

        #[test]
        fn q_finds_a_text_in_any_field(
            (a, b, c, d) in (text(6), text(4), text(4), text(6)),
            q in text(3),
        ) {
            let key = search_key(&a, Some(&b), Some(&c), Some(&d));
            let is_phone = q.chars().all(|c| "1２ +-".contains(c));
            let expected = [&a, &b, &c].iter().any(|field| is_in(field, &q, fold))
                || is_in(&digits(&d), &q, fold)
                || (is_phone && is_in(&d, &q, digits));
            let (anywhere, phone) = any_pattern(&q);
            let by_phone = phone.is_some_and(|phone| matches(&key, &phone));
            let found = matches(&key, &anywhere) || by_phone;
            prop_assert_eq!(found, expected, "{:?} {:?}", key, anywhere);
        }
    }

    #[test]
    fn patterns_as_text() {
        let s = SEPARATOR;
        assert_eq!(pattern(None, None, None, None), None);
        assert_eq!(pattern(Some(""), None, Some(""), None), None);
        let is = |got: Option<String>, expected: String| assert_eq!(got, Some(expected));
        is(pattern(Some("Іван"), None, None, None), format!("%іван%{s}%{s}%{s}%"));
        is(pattern(None, None, Some("50%_\\"), Some("+38 (050)")), format!("%{s}%{s}%50\\%\\_\\\\%{s}%38050%"));
        for nothing_left in [
            pattern(Some("\u{301}"), None, None, None),
            pattern(Some("a"), None, None, Some("abc")),
            pattern(None, Some("\0"), None, None),
        ] {
            let pattern = nothing_left.unwrap();
            assert!(!matches(&search_key("a", None, None, None), &pattern));
            assert!(!matches(&search_key("", None, None, None), &pattern));
        }
        assert_eq!(any_pattern(""), ("%".to_owned(), None));
        assert_eq!(any_pattern("0501234"), ("%0501234%".to_owned(), None));
        let phone = format!("%{s}%{s}%{s}%050123%");
        assert_eq!(any_pattern("(050) 12-3"), ("%(050) 12-3%".to_owned(), Some(phone)));
        assert_eq!(any_pattern("+"), ("%+%".to_owned(), None));
        assert_eq!(any_pattern("a1"), ("%a1%".to_owned(), None));
    }

    #[test]
    fn the_longest_contacts_fit_into_an_index_entry() {
        let longest = |c: &str| {
            let (name, email) = (c.repeat(100), c.repeat(254));
            let phone = "９".repeat(40);
            search_key(&name, Some(&name), Some(&email), Some(&phone))
        };
        for c in ["\u{fdfa}", "한", "😀", "𝔛", "ẞ", "ΐ", "\u{1f}", "a", "ж"] {
            let key = longest(c);
            assert!(key.len() <= KEY_MAX_BYTES, "{c}: {}", key.len());
            assert_eq!(key.matches(SEPARATOR).count(), 3, "{c}");
            assert!(key.ends_with(&"9".repeat(40)), "{c}");
        }
        // U+FDFA uses all that there is; what people write is whole.
        assert!(longest("\u{fdfa}").len() > KEY_MAX_BYTES - 10);
        for c in ["한", "😀", "ж", "a", "ẞ"] {
            let name = fold(&c.repeat(100));
            assert!(longest(c).starts_with(&format!("{name}\u{1f}{name}\u{1f}")), "{c}");
        }
        let email = "a".repeat(242) + "@example.com";
        assert!(search_key("", None, Some(&email), None).contains(&email));
    }
}
