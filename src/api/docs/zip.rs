//! A zip archive read at compile time: finding an entry, and making it a gzip file.

use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ZIP;

/// A file in the archive.
pub struct Entry {
    /// It is DEFLATE-compressed; a small file may be stored as it is.
    pub is_deflated: bool,
    /// Of the plain file.
    pub crc32: u32,
    plain_len: u32,
    /// Where its bytes begin in the archive, and how many they are.
    start: usize,
    len: usize,
}

/// No name, no time: the build is reproducible.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
const GZIP_TRAILER_LEN: usize = 8;

/// Looks `path` up in the archive's central directory. An archive without it ends the build.
pub const fn find(path: &str) -> Entry {
    let mut end = ZIP.len() - 22;
    while u32_at(end) != 0x0605_4b50 {
        end -= 1;
    }
    let (mut left, mut at) = (u16_at(end + 10), u32_at(end + 16) as usize);
    while left > 0 {
        let name_len = u16_at(at + 28);
        if is_at(at + 46, name_len, path.as_bytes()) {
            let is_deflated = match u16_at(at + 10) {
                0 => false,
                8 => true,
                _ => panic!("a compression method that gzip does not know"),
            };
            // The local header repeats the name and has an extra field of its own, of another length.
            let local = u32_at(at + 42) as usize;
            let start = local + 30 + u16_at(local + 26) + u16_at(local + 28);
            let (crc32, len, plain_len) = (u32_at(at + 16), u32_at(at + 20) as usize, u32_at(at + 24));
            return Entry { is_deflated, crc32, plain_len, start, len };
        }
        at += 46 + name_len + u16_at(at + 30) + u16_at(at + 32);
        left -= 1;
    }
    panic!("Swagger UI's archive lacks a file: is it another version?")
}

/// The length of [`bytes`].
pub const fn len(entry: &Entry) -> usize {
    if entry.is_deflated { GZIP_HEADER.len() + entry.len + GZIP_TRAILER_LEN } else { entry.len }
}

/// A compressed entry as a gzip file, a stored one as it is.
pub const fn bytes<const LEN: usize>(entry: &Entry) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    let data = ZIP.split_at(entry.start).1.split_at(entry.len).0;
    if !entry.is_deflated {
        bytes.copy_from_slice(data);
        return bytes;
    }
    let (header, rest) = bytes.split_at_mut(GZIP_HEADER.len());
    let (body, trailer) = rest.split_at_mut(entry.len);
    let (crc32, plain_len) = trailer.split_at_mut(4);
    header.copy_from_slice(&GZIP_HEADER);
    body.copy_from_slice(data);
    crc32.copy_from_slice(&entry.crc32.to_le_bytes());
    plain_len.copy_from_slice(&entry.plain_len.to_le_bytes());
    bytes
}

/// The DEFLATE stream within a gzip file that [`bytes`] made.
pub fn deflated(gzip: &[u8]) -> &[u8] {
    &gzip[GZIP_HEADER.len()..gzip.len() - GZIP_TRAILER_LEN]
}

/// The CRC-32 of zip and gzip, bit by bit: it only meets the few kilobytes of our own files.
pub const fn crc32(bytes: &[u8]) -> u32 {
    let (mut crc, mut at) = (!0, 0);
    while at < bytes.len() {
        crc ^= bytes[at] as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
            bit += 1;
        }
        at += 1;
    }
    !crc
}

const fn is_at(at: usize, len: usize, name: &[u8]) -> bool {
    let mut same = if len == name.len() { 0 } else { return false };
    while same < len && ZIP[at + same] == name[same] {
        same += 1;
    }
    same == len
}

const fn u16_at(at: usize) -> usize {
    u16::from_le_bytes([ZIP[at], ZIP[at + 1]]) as usize
}

const fn u32_at(at: usize) -> u32 {
    u32::from_le_bytes([ZIP[at], ZIP[at + 1], ZIP[at + 2], ZIP[at + 3]])
}
