//! The house's rules that a program can check: what a module may use, what a file may hold, how long it may be.
//!
//! The order of modules is read from the map in `src/lib.rs`, so the map cannot be wrong either.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file and of a function, below `src`.
const FILE: usize = 450;
const FUNCTION: usize = 70;

/// The most dependencies that one comment tells of.
const TOGETHER: usize = 3;

/// What a module may not touch, beyond what stands above it in the map. `*` stands for every module but those named after it.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("tiny_http::", "* edge server setup", "the server is known where requests come in, and nowhere else"),
    ("postgres::", "* store config", "SQL and its types stay in the store"),
    ("r2d2", "* store", "the pool is the store's"),
    ("serde_json", "store", "the store knows nothing of JSON"),
    ("std::env", "* main", "the environment is read in one place"),
    ("env::var", "* main", "the environment is read in one place"),
    ("process::exit", "*", "main returns an exit code"),
    ("crate::http", "security", "keys and now are arguments, not requests"),
    ("crate::http", "context", "what handlers share is no request"),
    ("std::net", "domain", "no I/O"),
    ("std::fs", "domain", "no I/O"),
    ("std::io", "domain", "no I/O"),
    ("Utc::now", "* setup logger", "the clock is an argument"),
    ("SystemTime", "*", "the clock is an argument"),
    ("println!", "* main", "the log is the only voice of a server"),
    ("dbg!", "*", "left behind"),
    ("crate::api::routes", "server", "the server serves whatever the table says"),
    ("crate::api::app", "edge", "edge is below the program"),
    ("crate::domain", "edge", "edge knows HTTP alone"),
    ("crate::store", "endpoint", "input and output, no SQL"),
    ("crate::api::problem", "store", "no status codes below the one place for them"),
];

struct Source {
    /// Below the repository's root.
    path: String,
    /// The first name below `src`: `store` of `src/store/pool.rs`.
    module: String,
    /// As it stands.
    text: String,
    /// Without comments and without unit tests, the line count unchanged.
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder with this ending, not what was built or fetched.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing below {folder}");
    found
}

fn sources(folder: &str) -> Vec<Source> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let module = path.split('/').nth(1).unwrap_or_default();
        let module = module.trim_end_matches(".rs").to_owned();
        let mut code: Vec<&str> = text.lines().map(without_comment).collect();
        if let Some(tests) = code.iter().position(|line| line.trim() == "#[cfg(test)]") {
            code.truncate(tests);
        }
        let code = code.join("\n");
        Source { path, module, text, code }
    };
    files(folder, "rs").into_iter().map(read).collect()
}

/// A line up to `//`, unless that stands in a text as in an address.
fn without_comment(line: &str) -> &str {
    let in_text = |at: usize| line[..at].matches('"').count() % 2 == 1;
    match line.match_indices("//").find(|(at, _)| !in_text(*at)) {
        Some((at, _)) => &line[..at],
        None => line,
    }
}

/// Fails with everything that is wrong, one a line.
#[track_caller]
fn nothing_of(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

// ------------------------------------------------------------------------------------------------------------------- modules

/// The modules as the map in lib.rs lists them, from above.
fn map() -> Vec<String> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | [`"));
    rows.map(|row| row.split('`').next().unwrap().to_owned()).collect()
}

#[test]
fn the_map_lists_every_module() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared = text.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let declared: BTreeSet<_> = declared.map(|line| line.trim_end_matches(';').to_owned()).collect();
    assert_eq!(map().into_iter().collect::<BTreeSet<_>>(), declared);
}

/// The modules of this program that a file uses: `crate::a::…`, and each of `crate::{a, b::…}`.
fn used(code: &str, root: &str) -> BTreeSet<String> {
    let mut modules = BTreeSet::new();
    for (at, found) in code.match_indices(root) {
        let rest = &code[at + found.len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => outermost(group),
            None => vec![rest],
        };
        for name in names {
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
            modules.insert(name[..end].to_owned());
        }
    }
    modules
}

/// The items of a group up to its closing brace, groups within them left whole.
fn outermost(group: &str) -> Vec<&str> {
    let (mut items, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                items.push(group[from..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(group[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

#[test]
fn a_group_of_modules_is_read_whole() {
    let code =
        "use crate::{openapi, routes::{a, b}, store::{self, Store}};\ncrate::config::X; use crate::api::app::App;";
    let expected = ["app", "config", "openapi", "routes", "store"].map(str::to_owned);
    assert_eq!(used(code, "crate::"), BTreeSet::from(expected));
}

#[test]
fn a_module_uses_only_modules_below_it() {
    let map = map();
    let place = |module: &str| map.iter().position(|listed| listed == module);
    let mut faults = Vec::new();
    for source in sources("src") {
        // main and what belongs to it are above all, and lib.rs is the map itself.
        let Some(own) = place(&source.module) else {
            continue;
        };
        for module in used(&source.code, "crate::") {
            match place(&module) {
                Some(other) if other >= own => {}
                Some(_) => faults.push(format!("{} uses {module}, which is above it", source.path)),
                None => faults.push(format!("{} uses crate::{module}, which is no module of the map", source.path)),
            }
        }
        // config stands alone.
        if source.module == "config" && !used(&source.code, "crate::").is_empty() {
            faults.push(format!("{} uses other modules", source.path));
        }
    }
    nothing_of(faults);
}

#[test]
fn a_module_touches_only_what_it_may() {
    let mut faults = Vec::new();
    for source in sources("src") {
        // The command line is main's other half.
        let module = if source.module == "command" { "main" } else { &source.module };
        for (word, modules, why) in FORBIDDEN {
            let listed = modules.split(' ').any(|name| name == module);
            let forbidden = if modules.starts_with('*') { !listed } else { listed };
            if forbidden && mentions(&source.code, word) {
                faults.push(format!("{} mentions {word}: {why}", source.path));
            }
        }
    }
    nothing_of(faults);
}

/// The word, not as the end of a longer one.
fn mentions(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

// ----------------------------------------------------------------------------------------------------------------------- SQL

/// Beginnings of statements, as they are written in SQL here.
const VERBS: [&str; 16] = [
    "select ",
    "insert into ",
    "update ",
    "delete from ",
    "with ",
    "create ",
    "alter ",
    "drop ",
    "truncate ",
    "set ",
    "begin",
    "commit",
    "rollback",
    "lock table",
    "explain ",
    "vacuum",
];

/// Migrations keep their own table; the pool opens connections and transactions.
const SQL_ALLOWED: [&str; 2] = ["src/store/migrations.rs", "src/store/pool.rs"];

#[test]
fn sql_stands_in_files_of_its_own_and_is_never_put_together() {
    let mut faults = Vec::new();
    for source in sources("src") {
        for text in texts(&source.code) {
            let lower = text.trim_start().to_lowercase();
            let begins = VERBS.iter().any(|verb| lower.starts_with(verb));
            let holds = ["where user_id", "from contacts", "from users", "from sessions", " returning "];
            let is_sql =
                (begins && text.starts_with(char::is_lowercase)) || holds.iter().any(|part| lower.contains(part));
            if is_sql && !SQL_ALLOWED.contains(&source.path.as_str()) {
                faults.push(format!("{}: {text:?} looks like SQL", source.path));
            }
        }
        if source.module == "store" {
            for line in source.code.lines().filter(|line| line.contains("format!(")) {
                let lower = line.to_lowercase();
                if VERBS.iter().any(|verb| lower.contains(&format!("\"{verb}"))) {
                    faults.push(format!("{}: SQL is not put together: {}", source.path, line.trim()));
                }
            }
        }
    }
    nothing_of(faults);
}

/// The string literals of a file, near enough: raw strings and escaped quotes are rare here, and end one too early at most.
fn texts(code: &str) -> Vec<&str> {
    code.split('"').skip(1).step_by(2).collect()
}

// --------------------------------------------------------------------------------------------------------------------- files

#[test]
fn every_file_begins_by_saying_what_it_is() {
    let mut faults = Vec::new();
    let patches = ["patches/tiny_http", "patches/swagger_ui"];
    for folder in ["src", "tests"].into_iter().chain(patches) {
        for source in sources(folder) {
            if !source.text.starts_with("//! ") {
                faults.push(format!("{} has no `//!` head", source.path));
            }
        }
    }
    nothing_of(faults);
}

#[test]
fn files_and_functions_are_short_enough_to_be_read() {
    let mut faults = Vec::new();
    for source in sources("src") {
        let lines = source.text.lines().count();
        if lines > FILE {
            faults.push(format!("{} has {lines} lines, more than {FILE}", source.path));
        }
        for (name, lines) in functions(&source.text) {
            if lines > FUNCTION {
                faults.push(format!("{}: {name} has {lines} lines, more than {FUNCTION}", source.path));
            }
        }
    }
    nothing_of(faults);
}

/// Name and length of each function: as rustfmt writes it, a function ends at the first brace that stands where it began.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<_> = text.lines().collect();
    let mut found = Vec::new();
    for (from, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let words: Vec<_> = trimmed.split(' ').take(4).collect();
        let Some(at) = words.iter().position(|word| *word == "fn") else {
            continue;
        };
        if trimmed.starts_with("//") || line.ends_with(';') || line.ends_with('}') {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let end = format!("{}}}", &line[..indent]);
        let length = lines[from..].iter().position(|line| *line == end);
        let name = words.get(at + 1).copied().unwrap_or_default();
        found.push((name.split(['(', '<']).next().unwrap_or_default(), length.map_or(1, |n| n + 1)));
    }
    found
}

#[test]
fn functions_are_measured() {
    let text = "fn a() {\n    x\n}\n\nimpl B {\n    pub fn c<T>(\n        self,\n    ) -> T {\n        {\n        }\n    }\n}\n";
    assert_eq!(functions(text), [("a", 3), ("c", 6)]);
}

#[test]
fn nothing_is_left_undone_or_skipped() {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut faults = Vec::new();
    for folder in ["src", "tests", "patches"] {
        for source in sources(folder) {
            for word in words.iter().filter(|word| source.text.contains(**word)) {
                faults.push(format!("{} holds {word}", source.path));
            }
        }
    }
    nothing_of(faults);
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let mut faults = Vec::new();
    let manifests = files("patches", "toml").into_iter().chain([root().join("Cargo.toml")]);
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).unwrap();
        // What comes together is told together; a comment at the line's end tells of that line.
        let (mut listed, mut told) = (false, 0);
        for line in text.lines() {
            match line {
                _ if line.starts_with('[') => listed = line.trim_matches(['[', ']']).ends_with("dependencies"),
                _ if line.starts_with('#') => told = TOGETHER,
                _ if !listed || !line.contains(" = ") || line.contains(" # ") => {}
                _ if told > 0 => told -= 1,
                _ => faults.push(format!("{}: {line}", manifest.display())),
            }
        }
    }
    nothing_of(faults);
}

#[test]
fn unsafe_code_is_explained() {
    let mut faults = Vec::new();
    for source in sources("src") {
        let lines: Vec<_> = source.text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            if mentions(without_comment(line), "unsafe ")
                && !lines[n.saturating_sub(6)..n].iter().any(|l| l.contains("SAFETY"))
            {
                faults.push(format!("{}:{}: unsafe without SAFETY", source.path, n + 1));
            }
        }
    }
    nothing_of(faults);
}
