//! Passwords as argon2id hashes in the PHC string format (RFC 9106).
//!
//! A call takes about 25 ms of CPU and one block of 19 MiB, on the caller's own thread (rust-argon2's threads are a feature
//! that is off). So it belongs on the lane of hashing, while no database connection is held. [`crate::system::memory`] tells how the
//! block is given back.

use std::hint::black_box;

use argon2::{Config, ThreadMode, Variant, Version};
use unicode_normalization::UnicodeNormalization;

/// The second of the five equal choices in OWASP's password storage cheat sheet. The numbers are written out, instead of the
/// crate's `Config::owasp2()`, so that an update of the crate cannot change them. To raise them, change them here:
/// [`needs_rehash`] then renews each hash at its user's next login.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
/// One lane, since logins already run in parallel.
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: u32 = 32;

/// The PHC string to store for a new password, with a new random salt.
///
/// # Panics
/// If the operating system gives no randomness.
pub fn hash(password: &str) -> String {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).expect("the system's random number generator works");
    let config = Config {
        ad: &[],
        hash_length: HASH_BYTES,
        lanes: LANES,
        mem_cost: MEMORY_KIB,
        secret: &[],
        thread_mode: ThreadMode::Sequential,
        time_cost: PASSES,
        variant: Variant::Argon2id,
        version: Version::Version13,
    };
    argon2::hash_encoded(&normalized(password), &salt, &config).expect("the constants above are within argon2's limits")
}

/// Whether `phc` is the hash of `password`, compared in constant time. It costs what the parameters in `phc` ask for. A string
/// that is not an argon2 hash matches no password.
pub fn verify(phc: &str, password: &str) -> bool {
    argon2::verify_encoded(phc, &normalized(password)).unwrap_or(false)
}

/// Takes as long as [`verify`] and returns false: for a login with an unknown e-mail, so that its time does not tell who has an
/// account.
pub fn verify_unknown(password: &str) -> bool {
    // The result is not needed, but the work must be done.
    black_box(verify(&nobody(), password));
    false
}

/// A hash that no password has. Every salt and every hash cost the same, so these are zeros; a real hash, made at the start or
/// at the first login, would only delay it.
fn nobody() -> String {
    let (salt, hash) = ("A".repeat(22), "A".repeat(43));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")
}

/// Whether `phc` was made with lower parameters than today's, or by another algorithm. Call it only after [`verify`] returned
/// true, while the password is at hand.
pub fn needs_rehash(phc: &str) -> bool {
    let mut parts = phc.split('$').skip(1);
    if parts.next() != Some("argon2id") || parts.next() != Some("v=19") {
        return true;
    }
    let mut costs = parts.next().unwrap_or("").split(',');
    let mut at_least = |name: &str, least: u32| {
        let value = costs.next().and_then(|cost| cost.strip_prefix(name));
        value.and_then(|digits| digits.parse::<u32>().ok()).is_some_and(|value| value >= least)
    };
    !(at_least("m=", MEMORY_KIB) && at_least("t=", PASSES) && at_least("p=", LANES))
}

/// The bytes that are hashed: NFKC, and never truncated.
///
/// A phone and a laptop may send the same `é` as one code point or as two, and a Japanese keyboard a full-width `１` for `1`;
/// both must log in. NIST SP 800-63B asks for NFKC or NFKD. RFC 8265 asks for NFC, since it keeps more characters apart, but
/// that is strength on paper only: a `①` in place of a `1` makes no password safe.
fn normalized(password: &str) -> Vec<u8> {
    password.nfkc().collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with the reference implementation in C (argon2-cffi 25.1), salt `somesaltsomesalt`.
    const REFERENCE: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$rRHBypagGoyRZRLFWJeVeZolUG7xCHlEEjyzQJqIdXg";

    #[test]
    fn a_hash_of_the_reference_implementation_verifies() {
        assert!(verify(REFERENCE, "Пароль №1"));
        assert!(!verify(REFERENCE, "пароль №1"));
        assert!(!needs_rehash(REFERENCE));
    }

    #[test]
    fn a_hash_has_the_pinned_parameters_and_a_salt_of_its_own() {
        let (one, two) = (hash("123456"), hash("123456"));
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_eq!(one.split('$').nth(4).unwrap().len(), 22, "16 bytes of salt");
        assert_eq!(one.split('$').nth(5).unwrap().len(), 43, "32 bytes of hash");
        assert_ne!(one, two);
        assert!(verify(&one, "123456") && verify(&two, "123456"));
        assert!(!verify(&one, "1234567") && !verify(&one, "") && !verify(&one, "12345"));
        assert!(!needs_rehash(&one));
    }

    #[test]
    fn not_one_of_128_characters_is_cut() {
        let long = "😀".repeat(128);
        let phc = hash(&long);
        assert!(verify(&phc, &long));
        assert!(!verify(&phc, &"😀".repeat(127)));
        assert!(!verify(&phc, &("😀".repeat(127) + "😁")));
    }

    #[test]
    fn the_same_text_from_another_keyboard_logs_in() {
        let composed = hash("Jos\u{e9} 1");
        assert!(verify(&composed, "Jose\u{301} 1"), "as two code points");
        assert!(verify(&composed, "Jose\u{301}\u{a0}\u{ff11}"), "full width");
        assert!(!verify(&composed, "Jose 1"), "an accent still counts");
        assert!(!verify(&composed, "JOS\u{e9} 1"), "and so does case");
    }

    #[test]
    fn lower_or_other_parameters_ask_for_a_new_hash() {
        for other in [
            "$argon2id$v=19$m=19455,t=2,p=1$c2FsdHNhbHQ$aGFzaA",
            "$argon2id$v=19$m=47104,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
            "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA",
            "$argon2id$v=16$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA",
            "$argon2id$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA",
            "$2b$12$abcdefghijklmnopqrstuv",
            "",
        ] {
            assert!(needs_rehash(other), "{other}");
        }
        for as_good in
            ["$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaA"]
        {
            assert!(!needs_rehash(as_good), "{as_good}");
        }
    }

    #[test]
    fn what_is_no_hash_fits_no_password() {
        for junk in ["", "$", "123456", "$argon2id$v=19$m=19456,t=2,p=1$$", "\0"] {
            assert!(!verify(junk, ""), "{junk:?}");
            assert!(!verify(junk, "123456"), "{junk:?}");
        }
    }

    /// The equal time itself is measured over the socket; here, that it is a whole verification:
    /// neither refused before the work nor of another cost.
    #[test]
    fn an_unknown_user_costs_a_whole_verification() {
        assert!(!verify_unknown("123456"));
        assert_eq!(argon2::verify_encoded(&nobody(), b"123456"), Ok(false));
        let costs = |phc: &str| phc.split('$').take(4).collect::<String>();
        assert_eq!(costs(&nobody()), costs(REFERENCE));
        assert_eq!(nobody().len(), REFERENCE.len(), "as much salt and hash");
    }
}
