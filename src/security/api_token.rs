//! API tokens: `contactd_`, the user's id, `_`, and a secret. Nothing is signed, so nothing but a row makes one count.

use std::collections::HashSet;

use parking_lot::Mutex;

use super::secret;
use crate::domain::hex;

/// What every API token begins with, and no token of a session. Scanners for leaked secrets look for such.
const PREFIX: &str = "contactd_";

/// How many tokens an instance remembers.
const REMEMBERED: usize = 4_096;

/// A new token of a user.
pub fn new(user: i64) -> String {
    format!("{PREFIX}{user}_{}", secret::new())
}

/// The user whom a token names, and its digest; `None` where it cannot be one of ours.
pub fn read(token: &str) -> Option<(i64, [u8; 32])> {
    let (user, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    let is_whole = hex::decode(secret).is_some_and(|bytes| bytes.len() == secret::BYTES);
    let user = user.parse().ok().filter(|user: &i64| is_whole && *user > 0)?;
    Some((user, secret::digest(token)))
}

/// The tokens that counted when they were last used, by their digests. They tell in whose turn a call comes, before the database is
/// asked; what a token itself says of its user anybody could write. They open nothing.
#[derive(Default)]
pub struct Known(Mutex<HashSet<[u8; 32]>>);

impl Known {
    /// The token counts, or does not.
    pub fn set(&self, digest: [u8; 32], counts: bool) {
        let mut known = self.0.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        if counts {
            known.insert(digest)
        } else {
            known.remove(&digest)
        };
    }

    /// Whether it counted.
    pub fn holds(&self, digest: &[u8; 32]) -> bool {
        self.0.lock().contains(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_user_and_nothing_else_is_one() {
        let token = new(4_815_162_342);
        let (user, digest) = read(&token).unwrap();
        assert_eq!((user, digest), (4_815_162_342, secret::digest(&token)));
        let secret = "0".repeat(40);
        assert!(read(&format!("contactd_1_{secret}")).is_some());
        for wrong in ["", "contactd_", "contactd_1", "contactd_1_", "eyJ0eXAiOiJhdCtqd3Qi.e30.e30"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        for user in ["", "0", "-1", "x", "1_2", "99999999999999999999"] {
            assert_eq!(read(&format!("contactd_{user}_{secret}")), None, "{user}");
        }
        for (prefix, secret) in [("contactd_", &secret[1..]), ("contactd_", &"g".repeat(40)), ("Contactd_", &secret)] {
            assert_eq!(read(&format!("{prefix}1_{secret}")), None);
        }
    }

    #[test]
    fn a_known_token_is_forgotten_when_it_does_not_count() {
        let known = Known::default();
        known.set([1; 32], true);
        assert!(known.holds(&[1; 32]) && !known.holds(&[2; 32]));
        known.set([1; 32], false);
        assert!(!known.holds(&[1; 32]));
        (0..20_000_u32).for_each(|n| known.set(secret::digest(&n.to_string()), true));
        assert!(known.0.lock().len() <= REMEMBERED);
    }
}
