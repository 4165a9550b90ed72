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

use std::cmp::Reverse;

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

/// A needle that no key holds: another control character.
const NOTHING: &str = "\u{1}";

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

/// What statements look for in the keys, as the array that they take: `None` where nothing is looked for.
pub type Needles = Option<Vec<Option<String>>>;

/// What to look for in each part of the keys, for contacts that have each of these texts in its own part: two for each part,
/// of a phone number its tail, which will do as well. A filter that is absent or empty asks nothing. It needs a filter for
/// every part. Text that folds to nothing, such as a mark alone or a phone number without a digit, is found in no contact: to
/// ignore it would answer with the whole address book.
pub fn needles<'a>(filters: impl Iterator<Item = (Part, Option<&'a str>)>) -> Needles {
    let needles = filters.flat_map(|(part, filter)| {
        let text = filter.unwrap_or_default();
        let (needle, tail) = match part {
            Part::Text(_) => (fold(text), None),
            Part::Digits(_) => phone::digits_and_tail(text),
        };
        let needle = if needle.is_empty() { NOTHING.to_owned() } else { needle };
        [Some(needle).filter(|_| !text.is_empty()), tail]
    });
    Some(needles.collect()).filter(|needles: &Vec<_>| needles.iter().any(Option::is_some))
}

/// What to look for in the keys of contacts that have each word of `q` in any part: three for each word, any of which will do.
/// The word itself, anywhere: it holds no separator, so it is never found across two parts. Where it reads as a phone number,
/// its digits in the phone number, since a key has no more of that, and its tail (see [`phone`]). A `q` that is a phone number
/// as a whole is one word. A blank `q` asks nothing.
pub fn words(q: &str) -> Needles {
    let folded = fold(q);
    let folded = folded.trim();
    let mut words: Vec<_> = if phone::is_number(folded) { vec![folded] } else { folded.split_whitespace().collect() };
    if words.is_empty() && !q.trim().is_empty() {
        words.push(NOTHING);
    }
    // The longest is looked for first, as the one that fewest contacts have.
    words.sort_by_key(|word| (Reverse(word.len()), *word));
    words.dedup();
    let needles = words.into_iter().flat_map(|word| {
        let (digits, tail) = phone::is_number(word).then(|| phone::digits_and_tail(word)).unzip();
        let tail = tail.flatten();
        // Where it is digits only, the word itself finds them in the phone number too.
        [Some(word.to_owned()), digits.filter(|digits| digits != word), tail]
    });
    Some(needles.collect()).filter(|needles: &Vec<_>| !needles.is_empty())
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

    fn needles_of(filters: [Option<&str>; 4]) -> Needles {
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

    /// What the statements do with needles for each part.
    fn has_in_parts(key: &str, needles: &Needles) -> bool {
        let Some(needles) = needles else { return true };
        assert_eq!(needles.len(), 2 * PARTS.len());
        let mut found = key.split(SEPARATOR).zip(needles.chunks(2)).map(|(part, needles)| {
            let by_tail = needles[1].as_ref().is_some_and(|tail| key.contains(tail));
            by_tail || needles[0].as_ref().is_none_or(|needle| part.contains(needle))
        });
        found.all(|found| found)
    }

    /// And with those of words.
    fn has_words(key: &str, words: &Needles) -> bool {
        let phone = key.rsplit(SEPARATOR).next().unwrap();
        let has = |word: &[Option<String>]| {
            let [anywhere, digits, tail] = word else { panic!("three for each word") };
            let has_tail = tail.as_ref().is_some_and(|tail| key.contains(tail));
            let has_digits = digits.as_ref().is_some_and(|digits| phone.contains(digits));
            key.contains(anywhere.as_ref().unwrap()) || has_tail || has_digits
        };
        words.iter().flat_map(|words| words.chunks(3)).all(has)
    }

    /// Few characters, so that random filters hit; among them all that folding, phone numbers or SQL treat in a special way.
    fn text(most: usize) -> impl Strategy<Value = String> {
        let alphabet = "aAbé\u{301}ßẞΣς%_\\'’\u{1f}\0 1２-+йи\u{306}\u{ad}łx😀";
        let character = proptest::sample::select(alphabet.chars().collect::<Vec<_>>());
        proptest::collection::vec(character, 0..=most).prop_map(|text| text.iter().collect::<String>().nfc().collect())
    }

    /// Digits and what stands between them, with many numbers that are the same but for their beginnings and extensions.
    fn phone() -> impl Strategy<Value = String> {
        let start = proptest::sample::select(vec!["", "+38", "0038", "8 ", "\u{202a}", "tel:+38"]);
        let digits = proptest::sample::select(vec!["0501234567", "(050) 123-45-67", "123–45–67", "*111#", "2", "٠٥٠"]);
        let end = proptest::sample::select(vec!["", " ext. 5", ",9", "x45", ";ext=7", "\u{202c}"]);
        (start, digits, end).prop_map(|(start, digits, end)| format!("{start}{digits}{end}"))
    }

    fn optional(most: usize) -> impl Strategy<Value = Option<String>> {
        proptest::option::of(text(most))
    }

    /// The meaning of one filter of text.
    fn is_in(text: &str, filter: &str) -> bool {
        filter.is_empty() || (!fold(filter).is_empty() && fold(text).contains(&fold(filter)))
    }

    /// The meaning of one filter of phone numbers.
    fn is_called(text: &str, filter: &str) -> bool {
        let ((digits, tail), (asked, asked_tail)) = (phone::digits_and_tail(text), phone::digits_and_tail(filter));
        filter.is_empty() || (!asked.is_empty() && digits.contains(&asked)) || (tail == asked_tail && tail.is_some())
    }

    /// Whether `q` finds the texts as a single word.
    fn is_found_by_word(texts: &[String; 4], word: &str) -> bool {
        let [names @ .., number] = texts;
        let word = fold(word);
        names.iter().any(|name| is_in(name, &word))
            || is_in(&phone::digits_and_tail(number).0, &word)
            || (phone::is_number(word.trim()) && is_called(number, &word))
    }

    fn contact() -> impl Strategy<Value = [String; 4]> {
        let number = proptest::strategy::Union::new([text(6).boxed(), phone().boxed()]);
        (text(6), text(4), text(4), number).prop_map(|(first, last, email, number)| [first, last, email, number])
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
        fn what_is_in_a_field_is_found_by_any_part_of_it(text in text(8), from in 0..8_usize, count in 1..8_usize) {
            let part: String = text.chars().skip(from).take(count).collect();
            prop_assert!(fold(&text).contains(&fold(&part)), "{:?} in {:?}", part, text);
        }

        #[test]
        fn a_key_is_four_marked_parts_within_their_limits_whatever_they_hold(texts: [String; 4]) {
            let key = key_of(texts.each_ref().map(String::as_str));
            prop_assert_eq!(key.matches(SEPARATOR).count(), 3);
            for (text, part) in key.split(SEPARATOR).zip(PARTS) {
                prop_assert!(text.starts_with(MARK) && text.len() <= part.max_bytes() + 1);
            }
        }

        #[test]
        fn needles_find_the_texts_in_their_own_fields(
            texts in contact(),
            (first, last, email, number) in (optional(2), optional(2), optional(2), proptest::option::of(phone())),
        ) {
            let key = key_of(texts.each_ref().map(String::as_str));
            let filters = [first, last, email, number];
            let filter = |at: usize| filters[at].as_deref().unwrap_or("");
            let expected = (0..3).all(|at| is_in(&texts[at], filter(at))) && is_called(&texts[3], filter(3));
            let needles = needles_of(filters.each_ref().map(Option::as_deref));
            prop_assert_eq!(has_in_parts(&key, &needles), expected, "{:?} {:?}", key, needles);
        }

        #[test]
        fn q_finds_what_each_of_its_words_finds_in_any_order(
            texts in contact(),
            words in proptest::collection::vec(proptest::strategy::Union::new([text(3).boxed(), phone().boxed()]), 1..5),
        ) {
            let key = key_of(texts.each_ref().map(String::as_str));
            let reversed = words.iter().rev().map(String::as_str).collect::<Vec<_>>().join(" ");
            for q in [words.join(" "), reversed] {
                let expected = match fold(&q).trim() {
                    "" => q.trim().is_empty(),
                    number if phone::is_number(number) => is_found_by_word(&texts, number),
                    folded => folded.split_whitespace().all(|word| is_found_by_word(&texts, word)),
                };
                prop_assert_eq!(has_words(&key, &super::words(&q)), expected, "{:?} {:?}", key, q);
            }
        }
    }

    #[test]
    fn needles_as_text() {
        assert_eq!(needles_of([None; 4]), None);
        assert_eq!(needles_of([Some(""), None, Some(""), None]), None);
        let is = |got: Needles, expected: &[Option<&str>]| {
            assert_eq!(got, Some(expected.iter().map(|needle| needle.map(str::to_owned)).collect()));
        };
        let each = |needles: [Option<&'static str>; 4]| needles.map(|needle| [needle, None]).concat();
        is(needles_of([Some("Іван"), None, None, None]), &each([Some("іван"), None, None, None]));
        let odd = needles_of([None, Some(""), Some("50%_\\"), Some("+38 (050)")]);
        is(odd, &each([None, None, Some("50%_\\"), Some("38050")]));
        let mut whole = each([None, None, None, Some("155501045675")]);
        whole[7] = Some("550104567\u{2}");
        is(needles_of([None, None, None, Some("+1 555 010 4567 ext. 5")]), &whole);
        for nothing_left in
            [[Some("\u{301}"), None, None, None], [Some("a"), None, None, Some("abc")], [None, Some("\0"), None, None]]
        {
            let needles = needles_of(nothing_left);
            assert!(!has_in_parts(&key_of(["a", "", "", ""]), &needles));
            assert!(!has_in_parts(&key_of([""; 4]), &needles));
        }
        assert_eq!(words(" \t"), None);
        is(words("0501234"), &[Some("0501234"), None, None]);
        is(words(" (050) 12-3"), &[Some("(050) 12-3"), Some("050123"), None]);
        is(words("+"), &[Some("+"), None, None]);
        is(words("a1"), &[Some("a1"), None, None]);
        is(words("Франко  Іван франко"), &[Some("франко"), None, None, Some("іван"), None, None]);
        is(
            words("Іван +380501234567"),
            &[Some("+380501234567"), Some("380501234567"), Some("501234567\u{2}"), Some("іван"), None, None],
        );
        assert!(!has_words(&key_of([""; 4]), &words("\u{301}")));
    }
}
