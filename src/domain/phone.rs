//! Phone numbers as people write them: what of one is compared, and which text is one.

/// What a number written in another way still ends with: `+380 50 123 45 67`, `00380501234567` and `050 123-45-67` are one.
const TAIL: usize = 9;

/// What a tail ends with in a search key, so that it is found only there: a control character, which no text holds.
pub(super) const END: char = '\u{2}';

/// The words that an extension begins with, folded; `p` and `w` are a pause and a wait.
const EXTENSIONS: [&str; 7] = ["ext", "extension", "x", "p", "w", "доб", "вн"];

/// All digits of a number as ASCII, and its tail as it stands in a search key: the last nine before the extension, if there are
/// so many. An extension begins with the first letter, comma, semicolon or `#` behind a digit.
pub fn digits_and_tail(text: &str) -> (String, Option<String>) {
    let (mut digits, mut end) = (String::new(), None);
    for c in text.chars() {
        if let Some(digit) = digit(c) {
            digits.push(digit);
        } else if !digits.is_empty() && (c.is_alphabetic() || ",;#".contains(c)) {
            end.get_or_insert(digits.len());
        }
    }
    let end = end.unwrap_or(digits.len());
    let tail = end.checked_sub(TAIL).map(|start| format!("{}{END}", &digits[start..end]));
    (digits, tail)
}

/// A number's part of a search key: all its digits, which end with the tail, or the tail and then the digits with those of an
/// extension.
pub(super) fn push_part(text: &str, out: &mut String) {
    let (digits, tail) = digits_and_tail(text);
    let (before, behind) = match tail.as_deref() {
        Some(tail) if digits.ends_with(&tail[..TAIL]) => ("", &tail[TAIL..]),
        tail => (tail.unwrap_or_default(), ""),
    };
    out.extend([before, &digits, behind]);
}

/// Whether a folded text reads as a phone number, or as a part of one: digits and what people write between them, and maybe
/// an extension.
pub(super) fn is_number(folded: &str) -> bool {
    let is_part = |c: char| digit(c).is_some() || c.is_whitespace() || "+-()./*#,;".contains(c);
    let text = folded.strip_prefix("tel:").unwrap_or(folded);
    let (number, extension) = text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()));
    let (word, rest) = extension.split_at(extension.find(|c: char| !c.is_alphabetic()).unwrap_or(extension.len()));
    let is_extension = EXTENSIONS.contains(&word) && rest.chars().all(|c| is_part(c) || ":=".contains(c));
    number.contains(|c| digit(c).is_some()) && (extension.is_empty() || is_extension)
}

/// A decimal digit as ASCII, of the scripts that people write phone numbers in.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_any_script_and_nothing_else() {
        assert_eq!(digits_and_tail("+38 (050) 123-45-67").0, "380501234567");
        assert_eq!(digits_and_tail("٠١٢٣٤٥٦٧٨٩ ۰۹ ०९ ０９ ๐๙").0, "012345678909090909");
        assert_eq!(digits_and_tail("/:²½①IVжa٪").0, "");
    }

    #[test]
    fn the_tail_of_a_number_is_its_last_nine_digits_before_an_extension() {
        for (text, tail) in [
            ("050 123-45-67", Some("501234567")),
            ("+380501234567", Some("501234567")),
            ("00380 50 123 45 67", Some("501234567")),
            ("+1 555 010 4567 ext. 5", Some("550104567")),
            ("+1 555 010 4567,9", Some("550104567")),
            ("tel:+15550104567;ext=89", Some("550104567")),
            ("+1 555 010 4567 #22", Some("550104567")),
            ("123456789", Some("123456789")),
            ("12345678", None),
            ("12345678 ext. 9", None),
            ("*111#", None),
            ("", None),
        ] {
            assert_eq!(digits_and_tail(text).1, tail.map(|tail| format!("{tail}{END}")), "{text}");
        }
    }

    #[test]
    fn a_key_holds_the_tail_and_all_digits_in_a_row() {
        for (text, part) in [
            ("050 123-45-67", "0501234567\u{2}"),
            ("050 123-45-67 ext. 89", "501234567\u{2}050123456789"),
            ("123-45-67 ext. 89", "123456789"),
            ("*111#", "111"),
            ("", ""),
        ] {
            let mut out = String::new();
            push_part(text, &mut out);
            assert_eq!(out, part, "{text}");
        }
    }

    #[test]
    fn a_text_is_a_number_if_it_holds_a_digit_and_only_what_stands_between_digits() {
        for text in
            ["5", "+38 (050)", "067-111", "*111#", "tel:+380", "1.2/3", "050 x5", "050,9", "1;ext=5", "5 доб. 12"]
        {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "+", "x5", "ext. 5", "tel:", "іван 050", "050 іван", "050 xx5", "a1", "1@2", "050x5y"]
        {
            assert!(!is_number(text), "{text}");
        }
    }
}
