//! Takes the few files that the page needs out of Swagger UI's release archive, and writes the table of assets.
//!
//! A zip entry is a DEFLATE stream with its CRC-32 and lengths beside it, and a gzip file is a DEFLATE stream with its
//! CRC-32 and length behind it. So the entries become gzip by moving bytes: nothing is decompressed or compressed
//! here, and no zip or compression crate is needed (RFC 1951, RFC 1952, PKWARE's APPNOTE.TXT 4.3).

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ZIP;

/// The archive's top folder. Another version of Swagger UI fails here first, and on purpose: look at the page again.
const ROOT: &str = "swagger-ui-5.32.6";

/// From the archive: path below [`ROOT`], media type. The licence travels with what it covers (Apache-2.0, section 4).
const THEIRS: [(&str, &str); 5] = [
    ("dist/swagger-ui.css", "text/css; charset=utf-8"),
    ("dist/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("dist/favicon-32x32.png", "image/png"),
    ("LICENSE", "text/plain; charset=utf-8"),
    ("NOTICE", "text/plain; charset=utf-8"),
];

/// Our own, in `page/`: small enough to go out as they are.
const OURS: [(&str, &str); 3] = [
    ("index.html", "text/html; charset=utf-8"),
    ("docs.css", "text/css; charset=utf-8"),
    ("initializer.js", "text/javascript; charset=utf-8"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=page");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let out = Path::new(&out);
    let mut table = String::from("[\n");
    for (path, media_type) in THEIRS {
        let entry = find(&format!("{ROOT}/{path}"));
        let name = path.rsplit('/').next().expect("a path has a last part");
        let (bytes, gzip) = match entry.method {
            0 => (entry.data.to_vec(), false),
            8 => (entry.to_gzip(), true),
            other => panic!("{path}: compression method {other} is not one that gzip knows"),
        };
        fs::write(out.join(name), bytes).expect("OUT_DIR is writable");
        add_row(&mut table, name, media_type, entry.crc32, gzip);
    }
    for (name, media_type) in OURS {
        let bytes = fs::read(Path::new("page").join(name)).expect("the page's files are in page/");
        fs::write(out.join(name), &bytes).expect("OUT_DIR is writable");
        add_row(&mut table, name, media_type, crc32(&bytes), false);
    }
    table.push(']');
    fs::write(out.join("assets.rs"), table).expect("OUT_DIR is writable");
}

/// One `Asset` of the table that `lib.rs` includes.
fn add_row(table: &mut String, name: &str, media_type: &str, crc32: u32, gzip: bool) {
    writeln!(
        table,
        r#"Asset::new({name:?}, {media_type:?}, "W/\"{crc32:08x}\"", include_bytes!(concat!(env!("OUT_DIR"), "/{name}")), {gzip}),"#
    )
    .expect("a String takes any text");
}

/// A file in the archive, still compressed.
struct Entry {
    method: u16,
    crc32: u32,
    plain_len: u32,
    data: &'static [u8],
}

impl Entry {
    /// The same DEFLATE stream between a gzip header (no name, no time: the build is reproducible) and trailer.
    fn to_gzip(&self) -> Vec<u8> {
        let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        gzip.extend_from_slice(self.data);
        gzip.extend_from_slice(&self.crc32.to_le_bytes());
        gzip.extend_from_slice(&self.plain_len.to_le_bytes());
        gzip
    }
}

/// Looks `path` up in the archive's central directory. An archive without it ends the build.
fn find(path: &str) -> Entry {
    let end = ZIP
        .windows(4)
        .rposition(|signature| signature == b"PK\x05\x06")
        .expect("a zip archive ends with its central directory");
    let count = u16_at(end + 10);
    let mut at = u32_at(end + 16) as usize;
    for _ in 0..count {
        assert_eq!(&ZIP[at..at + 4], b"PK\x01\x02", "a directory entry at {at}");
        let lengths = [u16_at(at + 28), u16_at(at + 30), u16_at(at + 32)].map(usize::from);
        if &ZIP[at + 46..at + 46 + lengths[0]] == path.as_bytes() {
            // The local header repeats the name and has an extra field of its own, of another length.
            let local = u32_at(at + 42) as usize;
            let start = local + 30 + usize::from(u16_at(local + 26)) + usize::from(u16_at(local + 28));
            return Entry {
                method: u16_at(at + 10),
                crc32: u32_at(at + 16),
                plain_len: u32_at(at + 24),
                data: &ZIP[start..start + u32_at(at + 20) as usize],
            };
        }
        at += 46 + lengths.iter().sum::<usize>();
    }
    panic!("Swagger UI's archive has no {path}: is it another version?")
}

fn u16_at(at: usize) -> u16 {
    u16::from_le_bytes([ZIP[at], ZIP[at + 1]])
}

fn u32_at(at: usize) -> u32 {
    u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16
}

/// The CRC-32 of zip and gzip, bit by bit: it only meets the few kilobytes of `page/`.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes
        .iter()
        .fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1))))
}
