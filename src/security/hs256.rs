//! HMAC-SHA-256 for jsonwebtoken, and no other algorithm (RFC 7518, section 3.2).
//!
//! jsonwebtoken leaves the cryptography to a provider. Its two bundled ones were rejected: `rust_crypto` brings `rsa`
//! (RUSTSEC-2023-0071) and four more families of keys, `aws_lc_rs` a C library. The Postgres client already brings the crates
//! `hmac` and `sha2` for SCRAM. No other algorithm is compiled in, so a token that asks for another cannot be verified, even
//! if a check above this module were forgotten.

use std::sync::Once;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use sha2::Sha256;

/// Makes this the process's provider. Calling it again does nothing.
///
/// # Panics
/// If another provider is installed, which only another user of jsonwebtoken in this program could have done.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| {
            let mac = keyed(*algorithm, key.family(), key.as_bytes())?;
            Ok(Box::new(Hs256(mac)))
        },
        verifier_factory: |algorithm, key| {
            let mac = keyed(*algorithm, key.family(), key.try_get_as_bytes()?)?;
            Ok(Box::new(Hs256(mac)))
        },
        // Only JSON Web Keys need these, and there are none here.
        key_utils: KeyUtils::new_unimplemented(),
    };
    ONCE.call_once(|| {
        assert!(PROVIDER.install_default().is_ok(), "another provider of JWT algorithms is installed");
    });
}

/// HMAC-SHA-256 of `message` under `key`.
pub(super) fn mac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = new_mac(key);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// A keyed state, made for each token: jsonwebtoken gives its factories the bare key, so keeping the state would take a global
/// table of secrets. It would save two blocks of SHA-256, measured as 0.05 of the 2 µs that a verification takes.
struct Hs256(Hmac<Sha256>);

fn keyed(algorithm: Algorithm, family: AlgorithmFamily, key: &[u8]) -> Result<Hmac<Sha256>, Error> {
    if algorithm != Algorithm::HS256 {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    if family != AlgorithmFamily::Hmac {
        return Err(new_error(ErrorKind::InvalidKeyFormat));
    }
    Ok(new_mac(key))
}

fn new_mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        let mut mac = self.0.clone();
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let mut mac = self.0.clone();
        mac.update(message);
        // Constant time, and the whole 32 bytes: a shortened signature is refused.
        mac.verify_slice(signature).map_err(|_| signature::Error::new())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hex;
    use jsonwebtoken::crypto::{sign, verify};
    use jsonwebtoken::{DecodingKey, EncodingKey};

    /// RFC 4231, test case 2.
    const KEY: &[u8] = b"Jefe";
    const MESSAGE: &[u8] = b"what do ya want for nothing?";
    const MAC: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const MAC_BASE64URL: &str = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM";

    #[test]
    fn it_is_the_hmac_of_the_standard() {
        assert_eq!(hex::encode(&mac(KEY, MESSAGE)), MAC);
    }

    #[test]
    fn jsonwebtoken_signs_and_verifies_with_it() {
        install();
        install();
        let signing = EncodingKey::from_secret(KEY);
        assert_eq!(sign(MESSAGE, &signing, Algorithm::HS256).unwrap(), MAC_BASE64URL);
        let verifying = DecodingKey::from_secret(KEY);
        let verifies = |signature: &str| verify(signature, MESSAGE, &verifying, Algorithm::HS256).unwrap();
        assert!(verifies(MAC_BASE64URL));
        assert!(!verifies(&MAC_BASE64URL[..40]), "the first 30 bytes of it");
        assert!(!verifies(""));
    }

    #[test]
    fn no_other_algorithm_and_no_other_kind_of_key_exists() {
        install();
        let secret = [7; 64];
        let signing = EncodingKey::from_secret(&secret);
        let verifying = DecodingKey::from_secret(&secret);
        for other in
            [Algorithm::HS384, Algorithm::HS512, Algorithm::RS256, Algorithm::ES256, Algorithm::PS256, Algorithm::EdDSA]
        {
            assert!(sign(b"m", &signing, other).is_err(), "{other:?}");
            assert!(verify("AAAA", b"m", &verifying, other).is_err(), "{other:?}");
        }
        let rsa = DecodingKey::from_rsa_der(&secret);
        assert!(verify("AAAA", b"m", &rsa, Algorithm::HS256).is_err());
        let rsa = DecodingKey::from_rsa_raw_components(&secret, &secret);
        assert!(verify("AAAA", b"m", &rsa, Algorithm::HS256).is_err());
        let rsa = EncodingKey::from_rsa_der(&secret);
        assert!(sign(b"m", &rsa, Algorithm::HS256).is_err());
    }
}
