//! The rules of the house that a program can check and clippy cannot: which module may use which, what each may touch, where
//! SQL stands, what a file must say. The order of modules is read from the maps in the sources, so the maps cannot be wrong.
//! Cargo runs tests in the package's folder, so all paths here are relative to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// The most lines of a file below `src`.
const FILE_LINES: usize = 450;

/// The most dependencies that one comment explains.
const TOGETHER: usize = 3;

/// The files that hold a map of modules, and the path that these modules are below.
const MAPS: [(&str, &str); 2] = [("src/lib.rs", ""), ("src/api/mod.rs", "api/")];

/// Modules that use no other module of the program.
const ALONE: [&str; 3] = ["http", "config", "system"];

use Where::{Never, Only};

enum Where {
    /// Nowhere but in these modules.
    Only(&'static str),
    /// Everywhere but in these modules.
    Never(&'static str),
}

/// Where words may stand in code, and why. A module is named by its path below `src`.
const RULES: &[(&str, Where, &str)] = &[
    ("tiny_http::", Only("http"), "its types reach the rest of the program through http"),
    (
        "TcpStream TcpListener UnixStream",
        Only("http lanes main store/connect system/listener"),
        "nobody else touches sockets",
    ),
    (
        "thread::spawn thread::Builder",
        Only("http lanes main command store/connect store/pool system/log"),
        "a request runs on one thread",
    ),
    ("std::net std::io std::fs", Never("domain"), "no I/O"),
    ("std::fs", Only("config system"), "a request needs no file"),
    ("postgres::", Only("store config"), "SQL and its types stay in the store"),
    ("r2d2", Only("store"), "the pool is the store's"),
    ("jsonwebtoken argon2::", Only("security"), "tokens and passwords are checked in one place"),
    ("libc::", Only("system"), "there is no safe way to call it"),
    ("serde_json", Never("http store"), "they know nothing of JSON"),
    ("crate::http", Never("domain store security formats api/context"), "they get plain values, not requests"),
    ("crate::store", Never("formats api/routes api/router api/openapi api/endpoint"), "no SQL"),
    (
        "crate::config",
        Only("api/app security/token store/connect store/pool"),
        "settings are read where the parts are put together",
    ),
    ("crate::api::routes", Never("lanes"), "the server serves whatever the table says"),
];

struct Source {
    path: String,
    /// As it stands.
    text: String,
    /// Without comments and without unit tests.
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Source {
        let lines = text.lines().map(without_comment);
        let code: Vec<_> = lines.take_while(|line| line.trim() != "#[cfg(test)]").collect();
        Source { path: path.to_owned(), text: text.to_owned(), code: code.join("\n") }
    }

    /// Whether it is one of these modules, or below one of them.
    fn is_in(&self, modules: &str) -> bool {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        modules.split(' ').any(|module| path == module || path.starts_with(&format!("{module}/")))
    }

    /// The name just below a folder of `src`: of `src/api/handlers/auth.rs` it is `handlers` below `api/`.
    fn name_below(&self, folder: &str) -> Option<&str> {
        let rest = self.path.strip_prefix("src/")?.strip_prefix(folder)?;
        rest.split('/').next().map(|name| name.trim_end_matches(".rs"))
    }
}

/// A line up to `//`, unless that stands in a text as in an address.
fn without_comment(line: &str) -> &str {
    let in_text = |at: usize| line[..at].matches('"').count() % 2 == 1;
    line.match_indices("//").find(|(at, _)| !in_text(*at)).map_or(line, |(at, _)| &line[..at])
}

fn sources(folder: &str) -> Vec<Source> {
    let (mut sources, mut folders) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(Source::new(path.to_str().unwrap(), &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    sources
}

/// Fails with every fault of these sources, one per line.
#[track_caller]
fn no_fault(folder: &str, faults: impl Fn(&Source) -> Vec<String>) {
    let mut found = Vec::new();
    for source in sources(folder) {
        found.extend(faults(&source).iter().map(|fault| format!("{}: {fault}", source.path)));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

// ------------------------------------------------------------------------------------------------------------------- modules

/// The modules as a map lists them, from above.
fn map(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split('`').next()).collect()
}

/// The lines of each part in README, as `tests/lines.sh` prints them.
#[test]
fn readme_says_how_many_lines_there_are() {
    let counted = std::process::Command::new("tests/lines.sh").output().expect("bash and awk are there");
    let counted = String::from_utf8(counted.stdout).unwrap();
    let readme = fs::read_to_string("README.md").unwrap();
    for line in counted.lines() {
        let (lines, part) = line.trim().split_once("  ").unwrap();
        let (name, lines) = match part {
            "(top)" => ("top level".to_owned(), lines.to_owned()),
            "src" => ("**all**".to_owned(), format!("**{lines}**")),
            part => (format!("`{}`", part.trim_end_matches('/')), lines.to_owned()),
        };
        assert!(readme.contains(&format!("| {name} | {lines} |")), "README should say: | {name} | {lines} |");
    }
}

/// The functions that the walk in `src/lib.rs` names, as `file.rs: function`.
fn walk() -> Vec<(String, String)> {
    let text = fs::read_to_string("src/lib.rs").unwrap();
    let (_, walk) = text.split_once("# One request's walk").expect("lib.rs has the walk");
    let (walk, _) = walk.split_once("\n\npub mod").expect("the modules follow it");
    let quoted = walk.split('`').skip(1).step_by(2);
    let named = quoted.filter_map(|quoted| quoted.split_once(".rs: "));
    named.map(|(file, function)| (format!("src/{file}.rs"), function.to_owned())).collect()
}

#[test]
fn the_walk_names_functions_that_exist() {
    let walk = walk();
    assert!((8..=14).contains(&walk.len()), "{} sentences name a function", walk.len());
    for (file, function) in walk {
        let source = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {function}")), "{file} has no function {function}");
    }
}

#[test]
fn each_map_lists_every_module() {
    for (file, _) in MAPS {
        let text = fs::read_to_string(file).unwrap();
        let declared = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        assert_eq!(map(&text).into_iter().collect::<BTreeSet<_>>(), declared.collect(), "{file}");
    }
}

/// The paths of this program that code uses, such as `api::app::App`: `crate::a::…`, and each of `crate::{a, b::…}`.
fn used(code: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (at, found) in code.match_indices("crate::") {
        // The path so far, and what stands before each group that is open.
        let (mut path, mut groups) = (String::new(), Vec::new());
        for c in code[at + found.len()..].chars() {
            match c {
                '{' => groups.push(path.clone()),
                ',' | '}' if !groups.is_empty() => {
                    paths.insert(std::mem::take(&mut path));
                    if c == '}' {
                        groups.pop();
                    }
                    path = groups.last().cloned().unwrap_or_default();
                }
                _ if c.is_ascii_alphanumeric() || c == '_' || c == ':' => path.push(c),
                _ if groups.is_empty() => break,
                _ => {}
            }
        }
        paths.insert(path);
    }
    // What is left at the end of a group is no path.
    paths.retain(|path| !path.is_empty() && !path.ends_with("::"));
    paths
}

#[test]
fn a_group_of_modules_is_read_whole() {
    let code = "use crate::{api::{app, routes::{a, b}}, store::{self, Store}};\ncrate::config::X; use crate::http;";
    let expected = ["api::app", "api::routes::a", "api::routes::b", "config::X", "http", "store::Store", "store::self"];
    assert_eq!(used(code), BTreeSet::from(expected.map(str::to_owned)));
}

/// What a source uses that stands above it in the map of the modules below `folder`.
fn out_of_order(source: &Source, folder: &str, map: &[&str]) -> Vec<String> {
    let place = |module: &str| map.iter().position(|listed| *listed == module);
    // main and its command line are above all, and a map's own file is none of its modules.
    let Some(own) = source.name_below(folder).and_then(place) else {
        return Vec::new();
    };
    let prefix = folder.replace('/', "::");
    let used = used(&source.code);
    let modules: BTreeSet<_> = used.iter().filter_map(|path| path.strip_prefix(&prefix)?.split("::").next()).collect();
    let fault = |module: &str| match place(module) {
        Some(other) if other < own => Some(format!("uses {module}, which is above it")),
        Some(other) if other > own && ALONE.contains(&map[own]) => Some(format!("uses {module}, but must stand alone")),
        Some(_) => None,
        None => Some(format!("uses {module}, which the map does not list")),
    };
    modules.into_iter().filter_map(fault).collect()
}

#[test]
fn a_module_uses_only_modules_below_it() {
    for (file, folder) in MAPS {
        let text = fs::read_to_string(file).unwrap();
        no_fault("src", |source| out_of_order(source, folder, &map(&text)));
    }
}

#[test]
fn a_module_that_uses_one_above_it_is_found() {
    let map = ["api", "app", "handlers", "store", "http", "system"];
    let faults = |path, folder, code| out_of_order(&Source::new(path, code), folder, &map).len();
    let code = "use crate::{api::app::App, store}; // crate::gone\n#[cfg(test)]\nuse crate::gone;";
    assert_eq!([faults("src/api/handlers/a.rs", "", code), faults("src/api/handlers/a.rs", "api/", code)], [0, 1]);
    assert_eq!([faults("src/store/pool.rs", "", code), faults("src/main.rs", "", code)], [1, 0]);
    assert_eq!(faults("src/store/pool.rs", "", "crate::system::log; crate::gone::X"), 1);
    assert_eq!(faults("src/http.rs", "", "crate::system::log; crate::http::url"), 1);
}

// --------------------------------------------------------------------------------------------------------------------- words

/// The word, not as the end of a longer one.
fn mentions(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| !code[..at].ends_with(is_part))
}

/// The words of a source that may not stand there.
fn misplaced(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (words, place, why) in RULES {
        let allowed = match place {
            Only(modules) => source.is_in(modules),
            Never(modules) => !source.is_in(modules),
        };
        let stray = words.split(' ').filter(|word| !allowed && mentions(&source.code, word));
        faults.extend(stray.map(|word| format!("mentions {word}: {why}")));
    }
    faults
}

#[test]
fn a_module_touches_only_what_it_may() {
    no_fault("src", misplaced);
}

#[test]
fn what_a_module_may_not_touch_is_found() {
    let faults = |path, code| misplaced(&Source::new(path, code)).len();
    let code = "use postgres::Row; // tiny_http::Server\n";
    assert_eq!((faults("src/store/pool.rs", code), faults("src/api/handlers/auth.rs", code)), (0, 1));
    assert_eq!((faults("src/config.rs", code), faults("src/configuration.rs", code)), (0, 1));
    let code = "std::net::TcpStream::connect(address); crate::http::Request";
    assert_eq!((faults("src/http/poller.rs", code), faults("src/http.rs", code)), (0, 0));
    assert_eq!((faults("src/api/context.rs", code), faults("src/domain/mod.rs", code)), (2, 3));
}

#[test]
fn every_module_that_a_rule_names_exists() {
    let sources = sources("src");
    for (word, Only(modules) | Never(modules), _) in RULES {
        for module in modules.split(' ') {
            assert!(sources.iter().any(|source| source.is_in(module)), "{word}: there is no {module}");
        }
    }
}

// ----------------------------------------------------------------------------------------------------------------------- SQL

/// Beginnings of statements, as they are written in SQL here.
const VERBS: &str = "select |insert into |update |delete from |with |create |alter |drop |truncate |set |begin|commit|rollback\
    |lock table|explain |vacuum";

/// What hardly any text holds but SQL.
const PARTS: [&str; 5] = ["where user_id", "from contacts", "from users", "from sessions", " returning "];

/// Migrations keep a table of their own; connections are set up, and begin and end transactions.
const SQL_ALLOWED: &str = "store/migrations store/connection";

/// The texts of a source that look like SQL, and what puts SQL together.
fn sql(source: &Source) -> Vec<String> {
    let begins = |text: &str| VERBS.split('|').any(|verb| text.starts_with(verb));
    // String literals, near enough: raw strings and escaped quotes are rare here, and at most end one too early.
    let texts = source.code.split('"').skip(1).step_by(2);
    let is_sql = |text: &&str| {
        let lower = text.trim_start().to_lowercase();
        begins(&lower) && text.starts_with(char::is_lowercase) || PARTS.iter().any(|part| lower.contains(part))
    };
    let stray = texts.filter(is_sql).map(|text| format!("{text:?} looks like SQL"));
    let stray = stray.filter(|_| !source.is_in(SQL_ALLOWED));
    let lines = source.code.lines().filter(|line| line.contains("format!(") && source.is_in("store"));
    let built = lines.filter(|line| line.to_lowercase().split('"').skip(1).any(begins));
    stray.chain(built.map(|line| format!("SQL is put together: {}", line.trim()))).collect()
}

#[test]
fn sql_stands_in_files_of_its_own_and_is_never_put_together() {
    no_fault("src", sql);
}

#[test]
fn sql_in_the_wrong_place_is_found() {
    let faults = |path, code| sql(&Source::new(path, code)).len();
    assert_eq!(faults("src/store/users.rs", "query(\"select 1\")"), 1);
    assert_eq!(faults("src/api/app.rs", "(\"Select a file\", \"… from contacts\")"), 1);
    assert_eq!(faults("src/store/connection.rs", "execute(\"begin\")"), 0);
    assert_eq!(faults("src/store/connection.rs", "format!(\"select {column}\")"), 1);
}

// --------------------------------------------------------------------------------------------------------------------- files

/// What a file lacks, and what it should not hold.
fn unfinished(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    // Put together, so that this file does not hold them.
    let words = [concat!("#[", "ignore"), concat!("FIX", "ME"), concat!("XX", "X")];
    let undone = words.iter().filter(|word| source.text.contains(**word)).map(|word| format!("holds {word}"));
    let headless = (!source.text.starts_with("//! ")).then(|| "has no `//!` head".to_owned());
    let long = (source.path.starts_with("src") && lines > FILE_LINES).then(|| format!("has {lines} lines"));
    undone.chain(headless).chain(long).collect()
}

#[test]
fn every_file_says_what_it_is_and_is_short_and_finished() {
    no_fault("src", unfinished);
    no_fault("tests", unfinished);
    let bad = Source::new("src/a.rs", &format!("// A.\n#[{}]\n{}", "ignore", "\n".repeat(FILE_LINES)));
    assert_eq!(unfinished(&bad).len(), 3);
}

/// The dependencies of a manifest that no comment explains. What comes together is explained together; a comment at the end
/// of a line explains that line.
fn unexplained(manifest: &str) -> Vec<&str> {
    let (mut is_list, mut explained) = (false, 0);
    let mut faults = Vec::new();
    for line in manifest.lines() {
        match line {
            _ if line.starts_with('[') => is_list = line.trim_matches(['[', ']']).ends_with("dependencies"),
            _ if line.starts_with('#') => explained = TOGETHER,
            _ if !is_list || !line.contains(" = ") || line.contains(" # ") => {}
            _ if explained > 0 => explained -= 1,
            _ => faults.push(line),
        }
    }
    faults
}

#[test]
fn every_dependency_says_why_it_is_there() {
    assert_eq!(unexplained(&fs::read_to_string("Cargo.toml").unwrap()), [""; 0]);
    let bad = "[dependencies]\na = 1\n# Why.\nb = 1\nc = 1\nd = 1\ne = 1\nf = 1 # why\n[profile.release]\nlto = 1\n";
    assert_eq!(unexplained(bad), ["a = 1", "e = 1"]);
}
