//! Takes the published tiny_http sources, applies `edits.rs`, and leaves the result in `OUT_DIR/tiny_http`.
//!
//! Nothing of tiny_http is copied into this repository: cargo has fetched its package and checked its hash
//! because it is a build-dependency. An edit whose fragment is missing or ambiguous stops the build by name,
//! so the edits cannot silently drift from the sources.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod edits;

use edits::{Edit, Until};

const PACKAGE: &str = "tiny_http-0.12.0";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=edits.rs");
    println!("cargo::rerun-if-changed=edits");
    let published = find_published();
    println!("cargo::rerun-if-changed={}", published.display());
    println!("cargo::rustc-env=TINY_HTTP_PUBLISHED={}", published.display());

    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("tiny_http");
    // Files that an older list of edits wrote must not linger in the printed difference.
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).expect("OUT_DIR is writable");

    let edits = edits::all();
    for file in edits::FILES {
        let source = fs::read_to_string(published.join("src").join(file))
            .unwrap_or_else(|e| panic!("cannot read the published {file}: {e}"));
        let of_this_file: Vec<&Edit> = edits.iter().copied().filter(|e| e.file == *file).collect();
        let mut text = apply(&source, &of_this_file);
        if *file == "lib.rs" {
            text = without_inner_attributes(&text);
        }
        fs::write(out.join(file), text).expect("OUT_DIR is writable");
    }
    if let Some(stray) = edits.iter().find(|e| !edits::FILES.contains(&e.file)) {
        panic!("edit of {:?} names a file that is not in FILES: {}", stray.file, stray.why);
    }
}

/// Applies all edits of one file. Every fragment is looked for in the published text, never in the result
/// of another edit, so their order means nothing; two that overlap are a mistake.
fn apply(source: &str, edits: &[&Edit]) -> String {
    let mut spans: Vec<(usize, usize, &Edit)> = edits
        .iter()
        .map(|edit| {
            let start = find_once(source, edit);
            (start, end_of(source, start, edit), *edit)
        })
        .collect();
    spans.sort_by_key(|span| span.0);

    let mut text = String::with_capacity(source.len());
    let mut at = 0;
    for (start, end, edit) in spans {
        assert!(start >= at, "edit of {} overlaps the one before it: {:?}", edit.file, edit.find);
        text.push_str(&source[at..start]);
        text.push_str(edit.replace);
        at = end;
    }
    text.push_str(&source[at..]);
    text
}

fn find_once(source: &str, edit: &Edit) -> usize {
    let found: Vec<usize> = source.match_indices(edit.find).map(|(at, _)| at).collect();
    match found[..] {
        [at] => at,
        _ => panic!(
            "edit of {} (\"{}\"): its fragment {:?} occurs {} times in {PACKAGE}, and must occur exactly once",
            edit.file,
            edit.why,
            edit.find,
            found.len()
        ),
    }
}

fn end_of(source: &str, start: usize, edit: &Edit) -> usize {
    let after = start + edit.find.len();
    match edit.until {
        Until::FragmentEnd => after,
        Until::FileEnd => source.len(),
        Until::Before(stop) => match source[after..].find(stop) {
            Some(offset) => after + offset,
            None => panic!(
                "edit of {} (\"{}\"): nothing like {stop:?} follows {:?} in {PACKAGE}",
                edit.file, edit.why, edit.find
            ),
        },
    }
}

/// `include!` takes items only: the crate's own documentation and attributes stand in `src/lib.rs`.
fn without_inner_attributes(source: &str) -> String {
    source
        .lines()
        .filter(|line| !line.starts_with("//!") && !line.starts_with("#!["))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// The folder cargo unpacked the published package into.
fn find_published() -> PathBuf {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    if let Some(found) = home.and_then(|home| in_registry(&home)) {
        return found;
    }
    // Sources that were vendored lie wherever the user's configuration says; only cargo knows.
    in_metadata().unwrap_or_else(|| {
        panic!(
            "the sources of {PACKAGE} are neither below CARGO_HOME nor known to `cargo metadata --offline`; \
             run `cargo fetch` once"
        )
    })
}

fn in_registry(cargo_home: &Path) -> Option<PathBuf> {
    let registries = fs::read_dir(cargo_home.join("registry/src")).ok()?;
    registries.filter_map(|entry| Some(entry.ok()?.path().join(PACKAGE))).find(|path| path.join("src/lib.rs").is_file())
}

fn in_metadata() -> Option<PathBuf> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    // The package that depends on this one has the lock file that the build follows.
    let outer = here.join("../../Cargo.toml");
    let manifest = if outer.is_file() { outer } else { here.join("Cargo.toml") };
    let output = Command::new(env::var_os("CARGO")?)
        .args(["metadata", "--offline", "--format-version", "1", "--filter-platform"])
        .arg(env::var_os("HOST")?)
        .arg("--manifest-path")
        .arg(manifest)
        .output()
        .ok()?;
    if !output.status.success() {
        println!("cargo::warning=cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    // The document is one line of JSON without spaces, and a package's `manifest_path` comes after its name:
    // two searches do, and spare the build a JSON parser.
    let text = String::from_utf8(output.stdout).ok()?;
    let package = &text[text.find(r#""name":"tiny_http","version":"0.12.0""#)?..];
    let key = r#""manifest_path":""#;
    let path = &package[package.find(key)? + key.len()..];
    let path = path[..path.find('"')?].replace(r"\\", r"\");
    Some(Path::new(&path).parent()?.to_path_buf())
}
