//! Files as people have them, made at random: vCards of all versions, encodings and charsets, folded and put together in every
//! way, with odd lines; CSV of many dialects; JSON. Every word that goes in comes out in a contact, or a notice names its line.
//!
//! `make test` tries a few hundred files, `make check-all` ten thousand: FILES says how many. A failure names its seed, and SEED
//! makes that file again.

// It asks the environment how many files to make, and the time which ones.
#![allow(clippy::disallowed_methods)]

use chrono::NaiveDate;
use contactd::domain::contact::{Draft, Value};
use contactd::formats::{self, Format, Import, Notice};
use encoding_rs::Encoding;

/// Numbers at random, the same for the same seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 33).expect("31 bits") % bound
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// A charset, and letters that it has.
type Script = (&'static str, &'static str);

const SCRIPTS: [Script; 9] = [
    ("utf-8", "abzéßłїєґжщאبπ漢字かな한글😀"),
    ("windows-1251", "abzєїіґжщыЮЯ"),
    ("koi8-u", "abzєїіґжщЮЯ"),
    ("iso-8859-1", "abzéßñøÅ"),
    ("iso-8859-2", "abzłžőŘ"),
    ("shift_jis", "abz安藤表ソ能ロイド予"),
    ("gbk", "abz张伟刘洋"),
    ("big5", "abz張偉許功蓋"),
    ("euc-kr", "abz김한글이"),
];

/// A file while it is made: its bytes, and the words that must come out of it.
struct File {
    random: Random,
    bytes: Vec<u8>,
    ending: &'static str,
    words: Vec<Word>,
    serial: usize,
    /// Whether all of it is UTF-8.
    is_text: bool,
}

/// A word, with the lines of the entry that it is part of. Any of its forms will do.
#[derive(Debug)]
struct Word {
    forms: Vec<String>,
    lines: (usize, usize),
}

impl File {
    fn new(seed: u64) -> File {
        let mut random = Random(seed);
        let ending = random.one(&["\r\n", "\r\n", "\n", "\r"]);
        File { random, bytes: Vec::new(), ending, words: Vec::new(), serial: 100, is_text: true }
    }

    /// The line that comes next.
    fn line(&self) -> usize {
        let ends = |at: &usize| match self.bytes[*at] {
            b'\n' => true,
            b'\r' => self.bytes.get(*at + 1) != Some(&b'\n'),
            _ => false,
        };
        1 + (0..self.bytes.len()).filter(ends).count()
    }

    /// A word that is nowhere else in the file.
    fn word(&mut self, letters: &str) -> String {
        let letters: Vec<char> = letters.chars().collect();
        self.serial += 1;
        let start: String = (0..1 + self.random.below(6)).map(|_| self.random.one(&letters)).collect();
        format!("{start}{}", self.serial)
    }

    fn words(&mut self, letters: &str, most: usize) -> Vec<String> {
        (0..1 + self.random.below(most)).map(|_| self.word(letters)).collect()
    }

    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn end_line(&mut self) {
        self.push(self.ending);
    }

    /// Notes words of the entry that is being made.
    fn expect(&mut self, words: Vec<String>) {
        self.words.extend(words.into_iter().map(|word| Word { forms: vec![word], lines: (0, 0) }));
    }

    /// Ends an entry that began in this line, when there were so many words.
    fn end_entry(&mut self, from: usize, before: usize) {
        let to = self.line();
        self.words[before..].iter_mut().for_each(|word| word.lines = (from, to));
    }

    // --------------------------------------------------------------------------------------------------------------- vCard

    fn cards(&mut self, script: Script) {
        for _ in 0..1 + self.random.below(4) {
            if script.0 == "utf-8" && self.random.once_in(6) {
                self.push("\u{feff}");
            }
            let (from, before) = (self.line(), self.words.len());
            let version = self.random.one(&["2.1", "3.0", "4.0"]);
            self.push("BEGIN:VCARD");
            self.end_line();
            let version_is_first = !self.random.once_in(5);
            if version_is_first {
                self.push(&format!("VERSION:{version}{}", self.ending));
            }
            let word = self.word("abz");
            self.push(&format!("FN:{word}{}", self.ending));
            self.expect(vec![word]);
            for _ in 0..self.random.below(9) {
                match self.random.below(12) {
                    0 => self.stray(script),
                    1 => self.birthday(),
                    2 => self.end_line(),
                    3 => self.picture(),
                    _ => self.property(version, script),
                }
            }
            if !version_is_first {
                self.push(&format!("VERSION:{version}{}", self.ending));
            }
            self.push("END:VCARD");
            self.end_entry(from, before);
            // Files are put together where the last line of one has no end.
            if !self.random.once_in(4) {
                self.end_line();
            }
        }
    }

    fn stray(&mut self, (charset, letters): Script) {
        // Not of letters alone, which may be the rest of something in base64.
        let word = self.word(letters) + ".";
        self.bytes.extend(in_charset(&word, charset));
        self.end_line();
        self.expect(vec![word]);
    }

    fn picture(&mut self) {
        let lines: Vec<_> = (0..1 + self.random.below(5)).map(|_| "QUJD/+".repeat(8)).collect();
        let fold = self.random.one(&["", " ", "\t"]);
        let header = self.random.one(&[
            "PHOTO;ENCODING=b;TYPE=JPEG",
            "item1.LOGO;JPEG;BASE64",
            "X-MS-CARDPICTURE;ENCODING=BASE64",
        ]);
        let folded = lines.join(&format!("{}{fold}", self.ending));
        self.push(&format!("{header}:{folded}{0}{0}", self.ending));
    }

    fn birthday(&mut self) {
        let (year, month, day) = (1850 + self.random.below(170), 1 + self.random.below(12), 1 + self.random.below(28));
        let text = match self.random.below(5) {
            0 => format!("{year}{month:02}{day:02}"),
            1 => format!("{year}-{month:02}-{day:02}T00:00:00Z"),
            2 => format!("{day:02}.{month:02}.{year}"),
            3 => format!("circa {year}"),
            _ => format!("{year}-{month:02}-{day:02}"),
        };
        let parameter =
            self.random.one(&["", ";VALUE=date", ";VALUE=text", ";VALUE=DATE-AND-OR-TIME", ";X-A=\"a:b;c\""]);
        let name = self.random.one(&["BDAY", "BDAY", "X-ANNIVERSARY", "ITEM1.X-ABDATE"]);
        self.push(&format!("{name}{parameter}:{text}{}", self.ending));
        let forms = vec![text, format!("{year}-{month:02}-{day:02}")];
        self.words.push(Word { forms, lines: (0, 0) });
    }

    fn property(&mut self, version: &str, (file_charset, file_letters): Script) {
        let (name, most) = self.random.one(&[
            ("N", 3),
            ("TEL", 1),
            ("EMAIL", 1),
            ("NOTE", 30),
            ("ADR", 9),
            ("ORG", 4),
            ("TITLE", 4),
            ("NICKNAME", 3),
            ("item1.URL", 1),
            ("X-Foo", 20),
            ("FN", 3),
            ("ROLE", 50),
            ("SUMMARY", 1_500),
        ]);
        let coding = self.random.one(&["", "", "quoted", "base64"]);
        let own = self.random.once_in(3).then(|| self.random.one(&SCRIPTS));
        let (charset, letters) = own.unwrap_or((file_charset, file_letters));
        let words = match name {
            "TEL" => vec![format!("+{}", "123456789".repeat(1 + self.random.below(7))) + &self.word("1")],
            "EMAIL" => vec![self.word("ab") + self.random.one(&["@example.com", "@intranet", "", "@@"])],
            _ => self.words(letters, most),
        };
        // What parts words in the value, and must be escaped in it.
        let separator = self.random.one(&[" ", " ", ", ", "; ", "\\ ", " : ", "\n", " \" "]);
        let separator = if version == "2.1" && coding.is_empty() && separator == "\n" { " " } else { separator };
        let mut value = String::new();
        for (at, word) in words.iter().enumerate() {
            let between =
                if ["N", "ADR", "ORG"].contains(&name) { ";".to_owned() } else { escaped(separator, version) };
            value += if at == 0 { "" } else { &between };
            value += word;
        }
        let mut header = name.to_owned();
        if own.is_some() {
            header += &format!(";CHARSET={}", self.random.one(&[charset.to_uppercase().as_str(), charset]).to_owned());
        }
        header += match (coding, self.random.below(2)) {
            ("", _) => "",
            ("quoted", 0) => ";ENCODING=QUOTED-PRINTABLE",
            ("quoted", _) => ";quoted-printable",
            (_, 0) => ";ENCODING=b",
            _ => ";BASE64",
        };
        header += self.random.one(&["", "", ";HOME", ";TYPE=work,pref", ";X=\"a;b:c\""]);
        let bytes = in_charset(&value, charset);
        self.is_text &= charset == "utf-8" || !coding.is_empty();
        let line = match coding {
            "quoted" => self.quoted(&header, &bytes),
            "base64" => self.base64(&header, &bytes),
            _ => self.folded(&header, &bytes, version),
        };
        self.bytes.extend(line);
        self.end_line();
        self.expect(words);
    }

    fn quoted(&mut self, header: &str, bytes: &[u8]) -> Vec<u8> {
        let mut line = format!("{header}:").into_bytes();
        let is_folded_too = self.random.once_in(4);
        for byte in bytes {
            let is_plain = !is_folded_too && (byte.is_ascii_alphanumeric() || *byte == b' ') && !self.random.once_in(9);
            if self.random.once_in(30) {
                line.extend(format!("={}", self.ending).bytes());
                line.extend(is_folded_too.then_some(b' '));
            }
            match is_plain {
                true => line.push(*byte),
                false if self.random.once_in(5) => line.extend(format!("={byte:02x}").bytes()),
                false => line.extend(format!("={byte:02X}").bytes()),
            }
        }
        line
    }

    fn base64(&mut self, header: &str, bytes: &[u8]) -> Vec<u8> {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut digits = Vec::new();
        for three in bytes.chunks(3) {
            let number =
                three.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
            let count = three.len() + 1;
            digits.extend((0..count).map(|at| DIGITS[number >> (18 - 6 * at) & 63]));
            digits.extend("=".repeat(4 - count).bytes());
        }
        let fold = self.random.one(&["", " ", "  "]);
        let mut line = format!("{header}:").into_bytes();
        for (at, part) in digits.chunks(60).enumerate() {
            line.extend(if at == 0 { String::new() } else { format!("{}{fold}", self.ending) }.bytes());
            line.extend(part);
        }
        line.extend(self.ending.bytes());
        line
    }

    fn folded(&mut self, header: &str, bytes: &[u8], version: &str) -> Vec<u8> {
        let mut line = format!("{header}:").into_bytes();
        let (mut width, fold) = (line.len(), self.random.one(&[" ", "\t"]));
        let most = 20 + self.random.below(60);
        for byte in bytes {
            // Version 2.1 folds before a space and keeps it, the others anywhere, also within a character.
            if width > most && (version != "2.1" || *byte == b' ') {
                line.extend(self.ending.bytes());
                line.extend(fold.bytes().filter(|_| version != "2.1"));
                width = 0;
            }
            line.push(*byte);
            width += 1;
        }
        line
    }

    // ----------------------------------------------------------------------------------------------------------------- CSV

    fn table(&mut self, (_, letters): Script) {
        const HEADINGS: [&str; 6] = [
            "first_name,last_name,email,phone_number,birthday,additional_info",
            "Name,Given Name,Family Name,Birthday,Notes,E-mail 1 - Type,E-mail 1 - Value,Phone 1 - Type,Phone 1 - Value,Relation 1 - Type,Relation 1 - Value",
            "Title,First Name,Last Name,Company,Assistant's Phone,Business Fax,Home Phone,Mobile Phone,E-mail Address,E-mail 2 Address,Web Page",
            "Anrede,Vorname,Nachname,Firma,Telefon geschäftlich,Mobiltelefon,E-Mail-Adresse,E-Mail 2: Adresse,Geburtstag,Notizen",
            "First Name,Last Name,Display Name,Nickname,Primary Email,Secondary Email,Work Phone,Mobile Number,Birth Year,Birth Month,Birth Day,Custom 1",
            "姓,名,会社名,電子メール アドレス,携帯電話,誕生日,メモ,",
        ];
        let separator = self.random.one(&[",", ";", "\t"]);
        if self.random.once_in(4) {
            self.push(&format!("sep={separator}{}", self.ending));
        }
        let headings: Vec<&str> = self.random.one(&HEADINGS).split(',').collect();
        let row = headings.join(separator);
        self.push(&format!("{row}{}", self.ending));
        for _ in 0..1 + self.random.below(4) {
            let (from, before) = (self.line(), self.words.len());
            for (at, heading) in headings.iter().enumerate() {
                let cell = match heading.to_lowercase() {
                    _ if self.random.once_in(4) => String::new(),
                    name if name.contains("birth") || name.contains("geburt") || name == "誕生日" => {
                        self.date(&name)
                    }
                    name if name.contains("mail") => self.word("ab") + self.random.one(&["@example.com", "@intranet"]),
                    // Its parts are values of their own in Google's files.
                    name if name.contains("type") => ["Mobile", "Home", "Work"][self.random.below(3)].to_owned(),
                    _ => self.words(letters, 12).join(self.random.one(&[" ", ", ", "; ", "\"\"", "\n", "\t", "' = "])),
                };
                if !heading.to_lowercase().contains("type") && !heading.contains("Birth ") {
                    let parts = cell.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 2);
                    let is_date = cell.starts_with(|c: char| c.is_ascii_digit()) && cell.contains(['/', '.', '-']);
                    let words: Vec<_> = parts.filter(|_| !is_date).map(str::to_owned).collect();
                    self.expect(words);
                }
                let quote =
                    if cell.contains(['"', '\n', '\r', ',', ';', '\t']) || self.random.once_in(3) { "\"" } else { "" };
                self.push(&format!("{}{quote}{cell}{quote}", if at == 0 { "" } else { separator }));
            }
            self.end_line();
            self.end_entry(from, before);
        }
    }

    fn date(&mut self, name: &str) -> String {
        let (year, month, day) = (1850 + self.random.below(170), 1 + self.random.below(12), 1 + self.random.below(28));
        match name {
            "birth year" => year.to_string(),
            "birth month" => month.to_string(),
            "birth day" => day.to_string(),
            _ => match self.random.below(4) {
                0 => format!("{year}-{month:02}-{day:02}"),
                1 => format!("{day}.{month}.{year}"),
                2 => "0.0.00".to_owned(),
                _ => format!("{year}/{month}/{day}"),
            },
        }
    }

    // ---------------------------------------------------------------------------------------------------------------- JSON

    fn array(&mut self, (_, letters): Script) {
        self.push("[");
        for at in 0..1 + self.random.below(4) {
            self.push(if at == 0 { "\n" } else { ",\n" });
            let (from, before) = (self.line(), self.words.len());
            let mut members = serde_json::Map::new();
            for _ in 0..1 + self.random.below(8) {
                let name = self.random.one(&[
                    "first_name",
                    "last_name",
                    "email",
                    "phone_number",
                    "birthday",
                    "additional_info",
                    "phone",
                    "notes",
                    "name",
                    "tags",
                ]);
                if members.contains_key(name) {
                    continue;
                }
                let words = self.words(letters, 30);
                let text = words.join(self.random.one(&[" ", "\n", "\u{b}", ", "]));
                let value = match self.random.below(8) {
                    0 => serde_json::json!([text]),
                    1 => serde_json::json!({ "a": { "b": text } }),
                    _ => serde_json::json!(text),
                };
                members.insert(name.to_owned(), value);
                self.expect(words);
            }
            let entry = serde_json::Value::from(members);
            let text = if self.random.once_in(2) { entry.to_string() } else { format!("{entry:#}") };
            self.push(&text);
            self.end_entry(from, before);
        }
        self.push("\n]");
    }
}

/// The separator of words as the version writes it.
fn escaped(separator: &str, version: &str) -> String {
    separator.chars().fold(String::new(), |text, c| match c {
        '\n' if version == "2.1" => text + "\r\n",
        '\n' => text + "\\n",
        ';' => text + "\\;",
        ',' | '\\' if version != "2.1" => text + "\\" + c.to_string().as_str(),
        c => text + c.to_string().as_str(),
    })
}

fn in_charset(text: &str, charset: &str) -> Vec<u8> {
    let charset = Encoding::for_label(charset.as_bytes()).expect("a charset");
    let (bytes, _, is_lossy) = charset.encode(text);
    assert!(!is_lossy, "{} has not all of {text}", charset.name());
    bytes.into_owned()
}

/// All text of the contacts.
fn text_of(drafts: &[Draft]) -> String {
    let values = drafts.iter().flat_map(|draft| draft.0.iter().flatten());
    let texts = values.map(|value| match value {
        Value::Text(text) => text.clone(),
        Value::Date(date) => date.to_string(),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Fails with the words that are nowhere.
fn check(seed: u64, bytes: &[u8], words: &[Word], import: &Import) {
    let text = text_of(&import.drafts);
    let notices: Vec<&Notice> = import.report.errors.iter().chain(&import.report.warnings).collect();
    let is_named = |word: &Word| {
        // What says that something is kept does not excuse that it is not.
        let mut losses = notices.iter().filter(|notice| !notice.detail.contains("kept in"));
        losses.any(|notice| (word.lines.0..=word.lines.1).contains(&notice.line))
    };
    let lost: Vec<_> =
        words.iter().filter(|word| !word.forms.iter().any(|form| text.contains(form.as_str()))).collect();
    let lost: Vec<_> = lost.into_iter().filter(|word| !is_named(word)).collect();
    let shown = String::from_utf8_lossy(bytes);
    assert!(lost.is_empty(), "SEED={seed}\n{lost:?}\nlost of\n{shown}\n{import:#?}");
    assert!(!text.contains('\u{fffd}'), "SEED={seed}\n{shown}\n{text}");
}

fn seeds() -> impl Iterator<Item = u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_nanos();
    let (first, count) = match number("SEED") {
        Some(seed) => (seed, 1),
        None => (u64::try_from(now % 1_000_000_000_000).expect("it is small"), number("FILES").unwrap_or(300)),
    };
    first..first + count
}

fn read(seed: u64, format: Format, charset: Option<&str>, bytes: &[u8]) -> Import {
    let today = NaiveDate::from_ymd_opt(2026, 6, 15).expect("a date");
    let charset = charset.map(|name| formats::named(name).expect("it is known"));
    let import = formats::read(format, charset, bytes, today);
    import.unwrap_or_else(|error| panic!("SEED={seed} {error:?}\n{}", String::from_utf8_lossy(bytes)))
}

/// Text of the file in its charset, in UTF-16, or with a mark; and what the request says of it.
fn sent(file: &mut File, (charset, _): Script) -> (Vec<u8>, Option<&'static str>) {
    let text = String::from_utf8(file.bytes.clone()).expect("it was made as UTF-8");
    match file.random.below(4) {
        0 => ([vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat(), None),
        1 => ([b"\xef\xbb\xbf", text.as_bytes()].concat(), Some("windows-1252")),
        2 => (text.into_bytes(), None),
        _ => (in_charset(&text, charset), Some(charset)),
    }
}

#[test]
fn every_word_of_a_card_is_kept_or_its_loss_told() {
    for seed in seeds() {
        let mut file = File::new(seed);
        let script = file.random.one(&SCRIPTS);
        file.cards(script);
        let is_utf_8 = script.0 == "utf-8";
        let mut bytes = file.bytes;
        // Folds within a character are of bytes.
        if is_utf_8
            && file.is_text
            && file.random.once_in(2)
            && let Ok(text) = String::from_utf8(bytes.clone())
        {
            bytes = [vec![0xff, 0xfe], text.encode_utf16().flat_map(u16::to_le_bytes).collect()].concat();
        }
        let import = read(seed, Format::Vcard, Some(script.0).filter(|_| !is_utf_8), &bytes);
        assert_eq!(import.report.errors.len(), 0, "SEED={seed} {import:#?}\n{}", String::from_utf8_lossy(&bytes));
        check(seed, &bytes, &file.words, &import);
    }
}

#[test]
fn every_word_of_a_table_is_kept_or_its_loss_told() {
    for seed in seeds() {
        let mut file = File::new(seed);
        let script = file.random.one(&SCRIPTS);
        file.table(script);
        let text = String::from_utf8_lossy(&file.bytes).into_owned();
        let is_of_it = Encoding::for_label(script.0.as_bytes()).is_some_and(|charset| !charset.encode(&text).2);
        let (bytes, charset) = sent(&mut file, if is_of_it { script } else { SCRIPTS[0] });
        check(seed, &bytes, &file.words, &read(seed, Format::Csv, charset, &bytes));
    }
}

#[test]
fn every_word_of_an_array_is_kept_or_its_loss_told() {
    for seed in seeds() {
        let mut file = File::new(seed);
        let script = file.random.one(&SCRIPTS);
        file.array(script);
        let (bytes, charset) = sent(&mut file, script);
        check(seed, &bytes, &file.words, &read(seed, Format::Json, charset, &bytes));
    }
}
