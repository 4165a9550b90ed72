//! Swagger UI, served from memory: the page at `/docs` and the files it loads.
//!
//! # Where the bytes come from
//! Three files and the licence are taken out of Swagger UI's release archive, which reaches us as a crate that cargo has
//! fetched and checked. They are byte for byte those of the npm package `swagger-ui-dist`. Nothing else is downloaded, no
//! third-party source is in this repository, and the page loads nothing from elsewhere.
//!
//! The archive is read at compile time, by the `const fn`s of `zip`, so only the wanted bytes are linked: a zip entry is a
//! DEFLATE stream with its CRC-32 and lengths beside it, and a gzip file is a DEFLATE stream with its CRC-32 and length
//! behind it (RFC 1951, RFC 1952, PKWARE's APPNOTE.TXT 4.3), so the one becomes the other by moving bytes.
//!
//! `utoipa-swagger-ui` was measured and refused: 10 crates more in the program and 22 more to build it (a zip reader, a
//! regex engine, utoipa's macros), and 4.5 MB of binary, or 1.4 MB with its gzip feature. This module costs two crates (the
//! one that inflates and its checksum) and 0.49 MB.
//!
//! # What the page needs from the program
//! - `GET /docs` and `/docs/` answer with [`page`], and `GET /docs/{name}` with [`asset`]. Each carries its `ETag`,
//!   `Vary: Accept-Encoding`, and [`CONTENT_SECURITY_POLICY`].
//! - `GET /openapi.json` answers with the document. For the Authorize button it has a security scheme of type `oauth2`
//!   with a `password` flow, whose `tokenUrl` may be a path. Without `servers` it describes the server it came from.
//!
//! `/docs/LICENSE` and `/docs/NOTICE` are Swagger UI's own: its licence asks that they go where it goes.

mod zip;

use std::sync::OnceLock;

use zip::{Entry, crc32, find};

/// The policy that the page keeps to: everything from this server, no inline script or style, no frame around it.
/// `data:` is for the icons inside Swagger UI's style sheet.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the page.
pub struct Asset {
    /// The last part of its address, such as `swagger-ui.css`.
    pub name: &'static str,
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// Of the plain form.
    crc32: u32,
    bytes: &'static [u8],
    is_gzip: bool,
    inflated: OnceLock<Vec<u8>>,
}

/// A file of the archive, as gzip where it is compressed there. Another version of Swagger UI fails here, and on purpose: look at the page again.
macro_rules! theirs {
    ($name:literal, $path:literal, $content_type:literal) => {{
        const ENTRY: Entry = find(concat!("swagger-ui-5.32.6/", $path));
        static BYTES: [u8; zip::len(&ENTRY)] = zip::bytes(&ENTRY);
        Asset::new($name, $content_type, ENTRY.crc32, &BYTES, ENTRY.is_deflated)
    }};
}

/// A file of ours, small enough to go out as it is.
macro_rules! ours {
    ($name:literal, $content_type:literal) => {{
        const BYTES: &[u8] = include_bytes!($name);
        Asset::new($name, $content_type, crc32(BYTES), BYTES, false)
    }};
}

static ASSETS: [Asset; 8] = [
    ours!("index.html", "text/html; charset=utf-8"),
    ours!("docs.css", "text/css; charset=utf-8"),
    ours!("initializer.js", "text/javascript; charset=utf-8"),
    theirs!("swagger-ui.css", "dist/swagger-ui.css", "text/css; charset=utf-8"),
    theirs!("swagger-ui-bundle.js", "dist/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    theirs!("favicon-32x32.png", "dist/favicon-32x32.png", "image/png"),
    // The licence travels with what it covers (Apache-2.0, section 4).
    theirs!("LICENSE", "LICENSE", "text/plain; charset=utf-8"),
    theirs!("NOTICE", "NOTICE", "text/plain; charset=utf-8"),
];

/// The page itself.
pub fn page() -> &'static Asset {
    &ASSETS[0]
}

/// The file of this name, if the page has it.
pub fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

impl Asset {
    const fn new(
        name: &'static str,
        content_type: &'static str,
        crc32: u32,
        bytes: &'static [u8],
        is_gzip: bool,
    ) -> Asset {
        Asset { name, content_type, crc32, bytes, is_gzip, inflated: OnceLock::new() }
    }

    /// Its `ETag`, quotes included. It is weak, since the gzip and the plain form share it (RFC 9110 §8.8.1).
    pub fn etag(&self) -> String {
        format!("W/\"{:08x}\"", self.crc32)
    }

    /// The body for a client that sent this `Accept-Encoding`, and its `Content-Encoding`, if it has one.
    /// The answer depends on that header, so it needs `Vary: Accept-Encoding`.
    ///
    /// A client that does not ask for gzip gets the plain bytes. They are made once and kept (1.7 MB for all), so that
    /// nobody can make the program inflate the same script again and again.
    pub fn body<'a>(
        &'static self,
        accept_encoding: impl IntoIterator<Item = &'a str>,
    ) -> (&'static [u8], Option<&'static str>) {
        if !self.is_gzip {
            return (self.bytes, None);
        }
        if accepts_gzip(accept_encoding) {
            return (self.bytes, Some("gzip"));
        }
        let inflate = || miniz_oxide::inflate::decompress_to_vec(zip::deflated(self.bytes));
        (self.inflated.get_or_init(|| inflate().expect("the tests inflate every asset")), None)
    }
}

/// Whether an `Accept-Encoding` allows gzip: by name or by `*`, and not with a weight of zero (RFC 9110, section
/// 12.5.3). Weights are not compared: who takes gzip at all gets it. Nonsense counts as a no, which is always safe.
fn accepts_gzip<'a>(codings: impl IntoIterator<Item = &'a str>) -> bool {
    let mut star = false;
    for item in codings {
        let (coding, parameter) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = parameter.split_once('=').map_or("", |(_, weight)| weight);
        let allowed = weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0);
        match coding.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return allowed,
            "*" => star = allowed,
            _ => {}
        }
    }
    star
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_asset_inflates_to_what_its_checksum_and_length_say() {
        for asset in &ASSETS {
            let (plain, coding) = asset.body([]);
            assert_eq!(coding, None, "{}", asset.name);
            let crc = crc32(plain);
            assert_eq!(asset.etag(), format!("W/\"{crc:08x}\""), "{}", asset.name);
            if let (coded, Some("gzip")) = asset.body(["gzip"]) {
                let trailer = [crc.to_le_bytes(), (plain.len() as u32).to_le_bytes()].concat();
                assert!(coded.ends_with(&trailer), "{}", asset.name);
                assert!(coded.starts_with(b"\x1f\x8b\x08\0"), "{}", asset.name);
            }
        }
    }

    #[test]
    fn the_large_files_are_kept_compressed_and_all_stay_small() {
        for name in ["swagger-ui-bundle.js", "swagger-ui.css"] {
            let (_, coding) = asset(name).unwrap().body(["gzip", "deflate", "br"]);
            assert_eq!(coding, Some("gzip"), "{name}");
        }
        let total: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(total < 500_000, "{total} bytes in the program");
    }

    #[test]
    fn the_page_names_only_files_that_are_here() {
        let html = std::str::from_utf8(page().body([]).0).unwrap();
        let names: Vec<_> = html.split("\"/docs/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(names.len(), 5, "{names:?}");
        for name in names {
            assert!(asset(name).is_some(), "{name}");
        }
        assert!(asset("swagger-ui.js").is_none());
        assert!(asset("").is_none());
    }

    #[test]
    fn gzip_goes_only_to_clients_that_take_it() {
        for (header, expected) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=0.5, br", true),
            ("gzip ; q=1.0", true),
            ("*", true),
            ("identity;q=1, *;q=0.1", true),
            ("", false),
            ("identity", false),
            ("br, deflate", false),
            ("gzip;q=0", false),
            ("gzip; Q=0.000", false),
            ("*, gzip;q=0", false),
            ("*;q=0", false),
            ("gzip;q=", false),
            ("gzip;q=NaN", false),
            ("gzip;nonsense", false),
            ("gzipped", false),
        ] {
            assert_eq!(accepts_gzip(header.split(',')), expected, "{header:?}");
        }
    }
}
