//! Filters of contacts: what their search keys must hold, as the statements take it.

use std::cmp::Reverse;

use super::fold::{Part, fold};
use super::phone;

/// A needle that no key holds: a control character.
const NOTHING: &str = "\u{1}";

/// What statements look for in the keys, as the array that they take: `None` where nothing is looked for.
pub type Needles = Option<Vec<Option<String>>>;

/// What contacts must hold, as text to find in their search keys. Everything matches the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What the keys of all that match have in common, as long as possible: the first test, and for most contacts the only one.
    pub needle: String,
    /// What each field must hold: two for each, as `needles` makes them.
    pub fields: Needles,
    /// The first word that the needle does not settle: three of which one will do, as `words` makes them.
    pub word: [Option<String>; 3],
    /// The others.
    pub words: Needles,
}

impl Filter {
    /// For contacts that have each of these texts in its own part, and each word of `q` in any.
    pub fn new<'a>(fields: impl Iterator<Item = (Part, Option<&'a str>)>, q: &str) -> Filter {
        let (fields, words) = (needles(fields), words(q));
        let each = fields.iter().flat_map(|fields| fields.chunks(2));
        let each = each.chain(words.iter().map(|word| &word[..]));
        let needle = each.map(common).max_by_key(|needle| needle.len()).unwrap_or_default().to_owned();
        let settled = [Some(needle.clone()), None, None];
        let mut words = words.into_iter().filter(|word| *word != settled);
        let word = words.next().unwrap_or_default();
        let words = Some(words.flatten().collect()).filter(|words: &Vec<_>| !words.is_empty());
        Filter { needle, fields, word, words }
    }
}

/// The longest text that a key has whichever of these it has: one of them, or digits between the signs of a phone number.
fn common(any: &[Option<String>]) -> &str {
    let any: Vec<_> = any.iter().flatten().map(|needle| needle.trim_end_matches(phone::END)).collect();
    let runs = any.iter().flat_map(|needle| needle.split(|c: char| !c.is_ascii_digit()));
    let candidates = any.iter().copied().chain(runs).filter(|text| any.iter().all(|needle| needle.contains(text)));
    candidates.max_by_key(|text| text.len()).unwrap_or_default()
}

/// What to look for in each part of the keys, for contacts that have each of these texts in its own part: two for each part,
/// of a phone number its tail, which will do as well. A filter that is absent or empty asks nothing. It needs a filter for
/// every part. Text that folds to nothing, such as a mark alone or a phone number without a digit, is found in no contact: to
/// ignore it would answer with the whole address book.
fn needles<'a>(filters: impl Iterator<Item = (Part, Option<&'a str>)>) -> Needles {
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
fn words(q: &str) -> Vec<[Option<String>; 3]> {
    let folded = fold(q);
    let folded = folded.trim();
    let mut words: Vec<_> = if phone::is_number(folded) { vec![folded] } else { folded.split_whitespace().collect() };
    if words.is_empty() && !q.trim().is_empty() {
        words.push(NOTHING);
    }
    // The longest is looked for first, as the one that fewest contacts have.
    words.sort_by_key(|word| (Reverse(word.len()), *word));
    words.dedup();
    let needles = words.into_iter().map(|word| {
        let (digits, tail) = phone::is_number(word).then(|| phone::digits_and_tail(word)).unzip();
        let tail = tail.flatten();
        // Where it is digits only, the word itself finds them in the phone number too.
        [Some(word.to_owned()), digits.filter(|digits| digits != word), tail]
    });
    needles.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    use super::super::fold::{SEPARATOR, key};
    use super::*;

    const NAME: Part = Part::Text(1_000);
    const EMAIL: Part = Part::Text(400);
    const PHONE: Part = Part::Digits(50);
    const PARTS: [Part; 4] = [NAME, NAME, EMAIL, PHONE];

    fn key_of(texts: [&str; 4]) -> String {
        key(PARTS.into_iter().zip(texts))
    }

    fn of_fields(filters: [Option<&str>; 4]) -> Filter {
        Filter::new(PARTS.into_iter().zip(filters), "")
    }

    fn of_words(q: &str) -> Filter {
        Filter::new(PARTS.into_iter().zip([None; 4]), q)
    }

    /// What the statements do with a filter.
    fn is_found(key: &str, Filter { needle, fields, word, words }: &Filter) -> bool {
        let parts: Vec<_> = key.split(SEPARATOR).collect();
        let has = |text: &Option<String>| text.as_ref().is_some_and(|text| key.contains(text));
        let in_part = |part: &str, text: &Option<String>| text.as_ref().is_some_and(|text| part.contains(text));
        let has_word = |word: &[Option<String>]| {
            let [anywhere, digits, tail] = word else { panic!("three for each word") };
            has(anywhere) || has(tail) || in_part(parts[3], digits)
        };
        let fields = fields.iter().flat_map(|fields| parts.iter().zip(fields.chunks(2)));
        key.contains(needle)
            && { fields }.all(|(part, needles)| needles[0].is_none() || in_part(part, &needles[0]) || has(&needles[1]))
            && (word[0].is_none() || has_word(word))
            && words.iter().flat_map(|words| words.chunks(3)).all(has_word)
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
        fn what_is_in_a_field_is_found_by_any_part_of_it(text in text(8), from in 0..8_usize, count in 1..8_usize) {
            let part: String = text.chars().skip(from).take(count).collect();
            prop_assert!(fold(&text).contains(&fold(&part)), "{:?} in {:?}", part, text);
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
            let filter = of_fields(filters.each_ref().map(Option::as_deref));
            prop_assert_eq!(is_found(&key, &filter), expected, "{:?} {:?}", key, filter);
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
                prop_assert_eq!(is_found(&key, &of_words(&q)), expected, "{:?} {:?}", key, q);
            }
        }
    }

    #[test]
    fn filters_as_text() {
        assert_eq!(of_fields([None; 4]), Filter::default());
        assert_eq!(of_fields([Some(""), None, Some(""), None]), Filter::default());
        assert_eq!(of_words(" \t"), Filter::default());
        let is = |got: Filter, needle: &str, fields: Option<[&str; 8]>, words: &[[&str; 3]]| {
            let texts = |texts: &[&str]| {
                texts.iter().map(|text| Some((*text).to_owned()).filter(|_| !text.is_empty())).collect()
            };
            let fields = fields.map(|fields| texts(&fields));
            let first = words.first().map(|word| word.map(|text| Some(text.to_owned()).filter(|_| !text.is_empty())));
            let words = words.get(1..).filter(|words| !words.is_empty()).map(|words| texts(&words.concat()));
            assert_eq!(got, Filter { needle: needle.to_owned(), fields, word: first.unwrap_or_default(), words });
        };
        let in_first = of_fields([Some("Іван"), None, None, None]);
        is(in_first, "іван", Some(["іван", "", "", "", "", "", "", ""]), &[]);
        let odd = of_fields([None, Some(""), Some("50%_\\"), Some("+38 (050)")]);
        is(odd, "38050", Some(["", "", "", "", "50%_\\", "", "38050", ""]), &[]);
        let whole = of_fields([None, None, None, Some("+1 555 010 4567 ext. 5")]);
        is(whole, "550104567", Some(["", "", "", "", "", "", "155501045675", "550104567\u{2}"]), &[]);
        for nothing_left in
            [[Some("\u{301}"), None, None, None], [Some("a"), None, None, Some("abc")], [None, Some("\0"), None, None]]
        {
            let filter = of_fields(nothing_left);
            assert!(!is_found(&key_of(["a", "", "", ""]), &filter));
            assert!(!is_found(&key_of([""; 4]), &filter));
        }
        assert!(!is_found(&key_of([""; 4]), &of_words("\u{301}")));
        is(of_words("0501234"), "0501234", None, &[]);
        is(of_words(" (050) 12-3"), "050", None, &[["(050) 12-3", "050123", ""]]);
        is(of_words("+"), "+", None, &[]);
        is(of_words("a1"), "a1", None, &[]);
        is(of_words("Франко  Іван франко"), "франко", None, &[["іван", "", ""]]);
        let number = ["+380501234567", "380501234567", "501234567\u{2}"];
        is(of_words("Іван +380501234567"), "501234567", None, &[number, ["іван", "", ""]]);
        is(of_words("050 123-45-67"), "123", None, &[["050 123-45-67", "0501234567", "501234567\u{2}"]]);
        is(of_words("Олександра 123456789"), "олександра", None, &[["123456789", "", "123456789\u{2}"]]);
        is(of_words("٠٥٠-١"), "", None, &[["٠٥٠-١", "0501", ""]]);
        let both = Filter::new(PARTS.into_iter().zip([Some("Іван"), None, None, None]), "франко мар");
        is(both, "франко", Some(["іван", "", "", "", "", "", "", ""]), &[["мар", "", ""]]);
    }
}
