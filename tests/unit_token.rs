//! Forged, foreign, stale and mangled tokens, none of which may pass. The forger here does its own
//! signing, so that it can break each rule alone.

use chrono::{DateTime, TimeDelta, Utc};
use contactd::config::JwtSecret;
use contactd::security::token::{ACCESS_LIFETIME, Access, Keys, REFRESH_LIFETIME, Refresh, TokenError};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Sha256, Sha384};

const SECRET: &[u8] = &counting::<32>(0xA5);
const OLDER: &[u8] = &counting::<33>(0x5A);
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Bytes that are all different, as a secret's should be.
const fn counting<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = [first; N];
    let mut at = 0;
    while at < N {
        bytes[at] = first.wrapping_add(at as u8);
        at += 1;
    }
    bytes
}

fn long(secret: &[u8]) -> JwtSecret {
    JwtSecret::new(secret).unwrap()
}

fn keys() -> Keys {
    Keys::new(&[long(SECRET)])
}

fn now() -> DateTime<Utc> {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn later(seconds: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(seconds)
}

fn kid(secret: &[u8]) -> String {
    let token = Keys::new(&[long(secret)]).issue_access(1, 1, now());
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

fn base64url(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0; 4];
        word[1..=chunk.len()].copy_from_slice(chunk);
        let word = u32::from_be_bytes(word);
        for place in 0..=chunk.len() {
            text.push(BASE64URL[(word >> (18 - 6 * place)) as usize & 63] as char);
        }
    }
    text
}

/// A token with any header and claims, signed with HMAC-SHA-256 under `secret`.
fn forge(secret: &[u8], header: &str, claims: &str) -> String {
    let message = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", base64url(&mac.finalize().into_bytes()))
}

fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "HS256", "kid": kid(SECRET)})
}

fn claims() -> Value {
    let iat = now().timestamp();
    json!({"iss": "contactd", "aud": "contactd", "sub": "7", "sid": 9, "iat": iat, "exp": iat + 900})
}

/// `object` with `name` set to `value`; null removes it.
fn with(mut object: Value, name: &str, value: Value) -> String {
    let map = object.as_object_mut().unwrap();
    if value.is_null() {
        map.remove(name);
    } else {
        map.insert(name.to_owned(), value);
    }
    object.to_string()
}

fn verify(token: &str) -> Result<Access, TokenError> {
    keys().verify_access(token, now())
}

#[track_caller]
fn refused(error: TokenError, token: &str) {
    assert_eq!(verify(token), Err(error), "{token:.400}");
}

#[test]
fn the_forger_can_make_a_valid_token() {
    let token = forge(SECRET, &header().to_string(), &claims().to_string());
    let seven = Access { user: 7, session: 9 };
    assert_eq!(verify(&token), Ok(seven));
}

#[test]
fn what_is_issued_is_what_is_read() {
    let keys = keys();
    for (user, session, generation) in [(1, 2, 0), (i64::MAX, i64::MAX, i32::MAX)] {
        let access = keys.issue_access(user, session, now());
        assert_eq!(keys.verify_access(&access, now()), Ok(Access { user, session }));
        let end = now() + TimeDelta::days(30);
        let refresh = keys.issue_refresh(user, session, generation, now(), end);
        let expected = Refresh { user, session, generation };
        assert_eq!(keys.verify_refresh(&refresh, now()), Ok(expected));
        assert!(access.len() < 350 && refresh.len() < 350);
    }
}

#[test]
fn the_claims_are_those_of_the_contract_and_no_more() {
    let token = keys().issue_access(7, 9, now());
    let data = jsonwebtoken::dangerous::insecure_decode::<Value>(&token).unwrap();
    assert_eq!(data.claims, claims());
    let token = keys().issue_refresh(7, 9, 3, now(), now() + TimeDelta::days(30));
    let data = jsonwebtoken::dangerous::insecure_decode::<Value>(&token).unwrap();
    let mut expected = claims();
    expected["exp"] = json!((now() + TimeDelta::days(7)).timestamp());
    expected["gen"] = json!(3);
    assert_eq!(data.claims, expected);
}

#[test]
fn a_token_lives_its_time_and_five_seconds_of_leeway() {
    let keys = keys();
    let life = ACCESS_LIFETIME.num_seconds();
    assert_eq!(life, 900);
    let token = keys.issue_access(1, 2, now());
    let at = |seconds| keys.verify_access(&token, later(seconds)).err();
    assert_eq!(at(-6), Some(TokenError::NotYet));
    assert_eq!(at(-5), None);
    assert_eq!(at(life + 4), None);
    assert_eq!(at(life + 5), Some(TokenError::Expired));
    assert_eq!(at(life + 6), Some(TokenError::Expired));
}

#[test]
fn a_refresh_token_does_not_outlive_its_session() {
    let keys = keys();
    let week = REFRESH_LIFETIME.num_seconds();
    for (session_has, lives) in [(week + 1, week), (week, week), (600, 600), (-10, -10)] {
        let token = keys.issue_refresh(1, 2, 3, now(), later(session_has));
        let at = |seconds| keys.verify_refresh(&token, later(seconds)).err();
        assert_eq!(at(lives + 5), Some(TokenError::Expired));
        assert!(at(lives + 4).is_none() || lives < 0);
    }
}

#[test]
fn one_kind_is_never_taken_for_the_other() {
    let keys = keys();
    let access = keys.issue_access(1, 2, now());
    let refresh = keys.issue_refresh(1, 2, 3, now(), later(9_000));
    assert_eq!(keys.verify_access(&refresh, now()), Err(TokenError::Kind));
    assert_eq!(keys.verify_refresh(&access, now()), Err(TokenError::Kind));
    // Nor does a generation in an access token, or none in a refresh token, change that.
    let generation = with(claims(), "gen", json!(3));
    let access = forge(SECRET, &header().to_string(), &generation);
    assert!(keys.verify_access(&access, now()).is_ok());
    assert!(keys.verify_refresh(&access, now()).is_err());
    let typ = with(header(), "typ", json!("rt+jwt"));
    let refresh = forge(SECRET, &typ, &claims().to_string());
    assert_eq!(keys.verify_refresh(&refresh, now()), Err(TokenError::Claims));
}

#[test]
fn another_header_is_refused_though_well_signed() {
    let token = |name, value| forge(SECRET, &with(header(), name, value), &claims().to_string());
    for typ in [json!("JWT"), json!("AT+JWT"), json!(""), Value::Null] {
        refused(TokenError::Kind, &token("typ", typ));
    }
    for alg in ["HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA"] {
        refused(TokenError::Algorithm, &token("alg", json!(alg)));
    }
    for alg in [json!("none"), json!("None"), json!("hs256"), json!(""), json!(1), Value::Null] {
        refused(TokenError::Malformed, &token("alg", alg));
    }
    for kid in [json!("0123456789abcdef"), json!(""), json!("../../etc/passwd"), Value::Null] {
        refused(TokenError::UnknownKey, &token("kid", kid));
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("jku", json!("https://example.com/keys")),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
        ("anything", json!("else")),
    ] {
        refused(TokenError::Malformed, &token(name, value));
    }
}

#[test]
fn other_claims_are_refused_though_well_signed() {
    let token = |name, value| forge(SECRET, &header().to_string(), &with(claims(), name, value));
    for other in ["contactd2", "", "CONTACTD"] {
        refused(TokenError::Claims, &token("iss", json!(other)));
        refused(TokenError::Claims, &token("aud", json!(other)));
    }
    for sub in ["", "x", "7.0", "0x7", "9223372036854775808"] {
        refused(TokenError::Claims, &token("sub", json!(sub)));
    }
    for name in ["iss", "aud", "sub", "sid", "iat", "exp"] {
        refused(TokenError::Malformed, &token(name, Value::Null));
        refused(TokenError::Malformed, &token(name, json!([1])));
        refused(TokenError::Malformed, &token(name, json!({})));
    }
    refused(TokenError::Malformed, &token("aud", json!(["contactd"])));
    let t = now().timestamp();
    refused(TokenError::Expired, &token("exp", json!(t - 6)));
    assert!(verify(&token("exp", json!(t - 4))).is_ok());
    refused(TokenError::Expired, &token("exp", json!(0)));
    refused(TokenError::Claims, &token("exp", json!(i64::MIN)));
    refused(TokenError::Malformed, &token("exp", json!(1e30)));
    refused(TokenError::NotYet, &token("nbf", json!(t + 6)));
    refused(TokenError::NotYet, &token("iat", json!(t + 6)));
    refused(TokenError::NotYet, &token("iat", json!(i64::MAX)));
    assert!(verify(&token("nbf", json!(t + 5))).is_ok());
    assert!(verify(&token("exp", json!(i64::MAX))).is_ok());
    // A claim of a later version does not log anyone out of an older one.
    assert!(verify(&token("later", json!(1))).is_ok());
}

#[test]
fn other_signatures_are_refused() {
    let good = keys().issue_access(7, 9, now());
    let (message, signature) = good.rsplit_once('.').unwrap();
    // The right key's name over another secret's signature.
    let wrong = forge(&[0xA6; 32], &header().to_string(), &claims().to_string());
    refused(TokenError::Signature, &wrong);
    let mut mac = Hmac::<Sha384>::new_from_slice(SECRET).unwrap();
    mac.update(message.as_bytes());
    let sha384 = base64url(&mac.finalize().into_bytes());
    refused(TokenError::Signature, &format!("{message}.{sha384}"));
    refused(TokenError::Signature, &format!("{message}."));
    refused(TokenError::Signature, &format!("{message}.AAAA"));
    let doubled = format!("{message}.{signature}{signature}");
    assert!(verify(&doubled).is_err());
    // "none", as the library's own attackers write it: with an empty signature.
    let none = base64url(br#"{"alg":"none","typ":"at+jwt"}"#);
    let claims = message.split_once('.').unwrap().1;
    refused(TokenError::Malformed, &format!("{none}.{claims}."));
}

/// 43 characters of base64url hold 258 bits, two more than the signature has: those two must be
/// zero, or one token would have four spellings.
#[test]
fn a_bit_flipped_anywhere_is_refused() {
    let keys = keys();
    let good = keys.issue_access(7, 9, now());
    assert!(keys.verify_access(&good, now()).is_ok());
    let mut tried = 0;
    for at in 0..good.len() {
        for bit in 0..7 {
            let mut bytes = good.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let flipped = String::from_utf8(bytes).unwrap();
            assert!(keys.verify_access(&flipped, now()).is_err(), "{flipped:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, good.len() * 7);
    let (start, last) = good.split_at(good.len() - 1);
    for other in BASE64URL.iter().map(|b| *b as char) {
        let same = other.to_string() == last;
        let token = format!("{start}{other}");
        assert_eq!(keys.verify_access(&token, now()).is_ok(), same, "{other}");
    }
}

#[test]
fn mangled_tokens_are_refused() {
    let keys = keys();
    let good = keys.issue_access(7, 9, now());
    for length in 0..good.len() {
        assert!(keys.verify_access(&good[..length], now()).is_err());
    }
    for (before, after) in [
        (".", ""),
        ("", "."),
        ("", ".."),
        ("", "="),
        ("", "=="),
        (" ", ""),
        ("", " "),
        ("", "\n"),
        ("", "\0"),
        ("é", ""),
        ("Bearer ", ""),
    ] {
        let token = format!("{before}{good}{after}");
        assert!(keys.verify_access(&token, now()).is_err(), "{token:?}");
    }
    assert!(verify(&good.replacen('.', "..", 1)).is_err());
    assert!(verify(&good.replace('.', "=.")).is_err());
    for empty in ["", ".", "..", "...", "a.b.c"] {
        refused(TokenError::Malformed, empty);
    }
    refused(TokenError::TooLong, &"a".repeat(1_025));
    refused(TokenError::TooLong, &"a.".repeat(500_000));
    refused(TokenError::TooLong, &format!("{good}{}", "A".repeat(1 << 20)));
}

#[test]
fn json_that_says_a_thing_twice_or_nests_deeply_is_refused() {
    let (header, claims) = (header().to_string(), claims().to_string());
    let twice = |json: &str, more: &str| json.replacen('{', &format!("{{{more},"), 1);
    let two_kinds = twice(&header, r#""typ":"rt+jwt""#);
    refused(TokenError::Malformed, &forge(SECRET, &two_kinds, &claims));
    let two_users = twice(&claims, r#""sub":"8""#);
    refused(TokenError::Malformed, &forge(SECRET, &header, &two_users));
    let deep = twice(&claims, &format!(r#""x":{}"#, "[".repeat(300)));
    refused(TokenError::Malformed, &forge(SECRET, &header, &deep));
    for nothing in ["", "null", "[]", "1", "\u{feff}{}"] {
        refused(TokenError::Malformed, &forge(SECRET, &header, nothing));
        refused(TokenError::Malformed, &forge(SECRET, nothing, &claims));
    }
}

#[test]
fn secrets_rotate_without_logging_anyone_out() {
    let before = Keys::new(&[long(OLDER)]);
    let after = Keys::new(&[long(SECRET), long(OLDER)]);
    let old = before.issue_access(7, 9, now());
    let old_refresh = before.issue_refresh(7, 9, 3, now(), later(9_000));
    assert!(after.verify_access(&old, now()).is_ok());
    assert!(after.verify_refresh(&old_refresh, now()).is_ok());
    // The older secret verifies and does not sign.
    let new = after.issue_access(7, 9, now());
    assert!(after.verify_access(&new, now()).is_ok());
    assert_eq!(before.verify_access(&new, now()), Err(TokenError::UnknownKey));
    // Once it is gone, so is what it signed.
    refused(TokenError::UnknownKey, &old);
    // A key's name does not open another key's lock.
    let older_kid = with(header(), "kid", json!(kid(OLDER)));
    let crossed = forge(SECRET, &older_kid, &claims().to_string());
    assert_eq!(after.verify_access(&crossed, now()), Err(TokenError::Signature));
    // The same secret twice is no fault.
    let same = Keys::new(&[long(SECRET), long(SECRET)]);
    assert!(same.verify_access(&new, now()).is_ok());
}

#[test]
fn a_token_that_was_verified_before_is_judged_as_anew() {
    let keys = keys();
    let token = keys.issue_access(7, 9, now());
    for _ in 0..2 {
        assert_eq!(keys.verify_access(&token, now()), Ok(Access { user: 7, session: 9 }));
        assert_eq!(keys.verify_access(&token, later(905)), Err(TokenError::Expired));
        assert_eq!(keys.verify_access(&token, later(-6)), Err(TokenError::NotYet));
        assert_eq!(keys.verify_refresh(&token, now()), Err(TokenError::Kind));
        assert_eq!(keys.verify_access(&token[..token.len() - 1], now()).ok(), None);
    }
    // More than are remembered, each its own.
    let tokens: Vec<_> = (1..2_500).map(|user| keys.issue_access(user, user + 1, now())).collect();
    for _ in 0..2 {
        for (user, token) in (1..).zip(&tokens) {
            assert_eq!(keys.verify_access(token, now()), Ok(Access { user, session: user + 1 }));
        }
    }
    // Another secret makes all of them void, and the old one valid again.
    keys.replace(&[long(OLDER)]);
    assert_eq!(keys.verify_access(&token, now()), Err(TokenError::UnknownKey));
    assert_eq!(keys.verify_access(&tokens[2_400], now()), Err(TokenError::UnknownKey));
    keys.replace(&[long(OLDER), long(SECRET)]);
    assert!(keys.verify_access(&token, now()).is_ok());
}

/// The program says so, and ends: see `tests/api/tokens.rs`.
#[test]
fn there_are_no_keys_of_a_short_secret() {
    assert!(JwtSecret::new(&counting::<31>(1)).is_none());
    assert!(JwtSecret::new(b"").is_none());
    assert!(JwtSecret::new(&[1; 32]).is_none(), "of one byte again and again");
    assert!(JwtSecret::new(&counting::<11>(1).repeat(3)).is_none(), "of eleven");
    assert_eq!(long(&counting::<12>(1).repeat(3)).reveal(), counting::<12>(1).repeat(3));
}

#[test]
fn debug_shows_the_names_of_keys_and_nothing_of_the_secrets() {
    let secret = b"correct horse battery staple, and more";
    let keys = Keys::new(&[long(secret), long(OLDER)]);
    let shown = format!("{keys:?} {keys:#?} {:?}", long(secret));
    assert!(shown.contains(&kid(secret)) && shown.contains(&kid(OLDER)));
    for trace in ["correct", "horse", "99, 111", "0x63", "90, 91"] {
        assert!(!shown.contains(trace), "{shown}");
    }
}
