//! The two tokens of a session: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256.
//!
//! Both carry `iss`, `aud`, `sub` (the user), `sid` (the session), `iat` and `exp`; the refresh token also carries `gen`, its
//! generation. The header's `typ` tells the two kinds apart, as RFC 8725 section 3.11 advises, so that one is never taken for
//! the other. `at+jwt` is the name that RFC 9068 gave to access tokens. (The rest of its profile is for several servers:
//! nobody here would read `client_id` and `jti`.)
//!
//! A token is not encrypted. Whoever holds it can read it, so it holds nothing but ids and times. Whoever holds it can also
//! try secrets against it at leisure, which is why a secret must be 32 random bytes and not a phrase.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::hs256;
use crate::config::JwtSecret;
use crate::domain::hex;
use crate::store::{revocations, sessions};

/// How long an access token lives.
pub const ACCESS_LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How long a refresh token lives, unless its session ends before.
pub const REFRESH_LIFETIME: TimeDelta = TimeDelta::days(7);
/// By how many seconds the clocks of two instances over one database may differ.
const LEEWAY: i64 = 5;

// A session must not end while its refresh token is valid, nor be listed once no token can refresh it.
const _: () = assert!(REFRESH_LIFETIME.num_seconds() == sessions::UNUSED_AT_MOST.num_seconds());
// The id of an ended session is kept in memory until every access token of it has expired on every clock.
const _: () = assert!(ACCESS_LIFETIME.num_seconds() + 2 * LEEWAY < revocations::KEPT.as_secs() as i64);

/// A token of ours has some 300 bytes. A longer one is refused before anything is decoded.
const TOKEN_MAX_BYTES: usize = 1024;
const ISSUER: &str = "contactd";
const AUDIENCE: &str = "contactd";

/// How many access tokens are remembered, of some 300 bytes. When there are more, all are forgotten.
const KNOWN: usize = 1_000;

/// The secrets that tokens are signed and verified with.
pub struct Keys {
    /// The first signs, all verify: so a new secret logs nobody out.
    keys: RwLock<Vec<Key>>,
    /// Access tokens that were verified with these secrets. A client sends the same one for a quarter of an hour, and to verify
    /// it took half of the instructions of a point read. They are found by a keyed hash, which says nothing of how much of a guess was
    /// right.
    known: Mutex<HashMap<String, (Access, Times)>>,
    validation: Validation,
}

struct Key {
    /// Names the secret in the header (RFC 7515, section 4.1.4). It is a MAC under the secret, so it tells no more about the
    /// secret than any token does.
    kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// What a valid access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The user's id.
    pub user: i64,
    /// The session's id. Whether the session has ended, the token cannot tell.
    pub session: i64,
}

/// What a valid refresh token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// The user's id.
    pub user: i64,
    /// The session's id.
    pub session: i64,
    /// How many times the session had been refreshed when this was issued.
    pub generation: i32,
}

/// Why a token was refused, by a name for the log. A client is told 401 without the reason, which would help a forger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// More than 1,024 bytes.
    TooLong,
    /// Not three parts of canonical base64url that hold JSON as ours do.
    Malformed,
    /// Another `alg` than HS256 (`none` and unknown ones are [`TokenError::Malformed`]).
    Algorithm,
    /// A `kid` that belongs to none of our secrets, or no `kid`.
    UnknownKey,
    /// A refresh token in place of an access token, or the reverse, or neither.
    Kind,
    /// The signature is not this secret's over these bytes.
    Signature,
    /// `iss`, `aud`, `sub` or `exp` is absent, or made for someone else.
    Claims,
    /// `exp` is past.
    Expired,
    /// `nbf` or `iat` is in the future.
    NotYet,
}

#[derive(Clone, Copy)]
enum Kind {
    Access,
    Refresh,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// A string by RFC 7519, though ours is a number.
    sub: String,
    sid: i64,
    iat: i64,
    exp: i64,
    /// Never written here, but honoured, as section 4.1.5 demands.
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(rename = "gen", skip_serializing_if = "Option::is_none")]
    generation: Option<i32>,
}

/// When a token is valid, in seconds since 1970.
#[derive(Clone, Copy)]
struct Times {
    begins: i64,
    ends: i64,
}

impl Keys {
    /// Signs with the first secret, of which there must be one, and verifies with all.
    pub fn new(secrets: &[JwtSecret]) -> Keys {
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // For these two jsonwebtoken reads the system's clock, so no test could choose the time: `Times::check`
        // compares them with `now`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let keys = Keys { keys: RwLock::default(), known: Mutex::default(), validation };
        keys.replace(secrets);
        keys
    }

    /// From now on, these secrets in place of those before.
    pub fn replace(&self, secrets: &[JwtSecret]) {
        let mut keys = self.keys.write();
        *keys = secrets.iter().map(Key::new).collect();
        self.known.lock().clear();
    }

    /// An access token for 15 minutes from `now`.
    pub fn issue_access(&self, user: i64, session: i64, now: DateTime<Utc>) -> String {
        let claims = Claims::new(user, session, now, now + ACCESS_LIFETIME);
        self.issue(Kind::Access, &claims)
    }

    /// A refresh token for seven days from `now`, but not beyond `expires_at_most`, the end of its session.
    pub fn issue_refresh(
        &self,
        user: i64,
        session: i64,
        generation: i32,
        now: DateTime<Utc>,
        expires_at_most: DateTime<Utc>,
    ) -> String {
        let expires = expires_at_most.min(now + REFRESH_LIFETIME);
        let mut claims = Claims::new(user, session, now, expires);
        claims.generation = Some(generation);
        self.issue(Kind::Refresh, &claims)
    }

    /// # Errors
    /// [`TokenError`] for anything but an access token of ours that is valid at `now`.
    pub fn verify_access(&self, token: &str, now: DateTime<Utc>) -> Result<Access, TokenError> {
        let known = self.known.lock().get(token).copied();
        let (access, times) = known.map_or_else(|| self.learn(token), Ok)?;
        times.check(now)?;
        Ok(access)
    }

    fn learn(&self, token: &str) -> Result<(Access, Times), TokenError> {
        // The secrets are held until it is known, so that a change of them forgets it.
        let keys = self.keys.read();
        let claims = self.verify(&keys, Kind::Access, token)?;
        let learned = (Access { user: claims.user()?, session: claims.sid }, claims.times());
        let mut known = self.known.lock();
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(token.to_owned(), learned);
        Ok(learned)
    }

    /// # Errors
    /// [`TokenError`] for anything but a refresh token of ours that is valid at `now`.
    pub fn verify_refresh(&self, token: &str, now: DateTime<Utc>) -> Result<Refresh, TokenError> {
        let claims = self.verify(&self.keys.read(), Kind::Refresh, token)?;
        claims.times().check(now)?;
        Ok(Refresh {
            user: claims.user()?,
            session: claims.sid,
            generation: claims.generation.ok_or(TokenError::Claims)?,
        })
    }

    fn issue(&self, kind: Kind, claims: &Claims) -> String {
        let current = &self.keys.read()[0];
        jsonwebtoken::encode(&current.header(kind), claims, &current.signing)
            .expect("integers and short strings are JSON, and HMAC takes any key")
    }

    /// All but the times.
    fn verify(&self, keys: &[Key], kind: Kind, token: &str) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let key = keys.iter().find(|key| header.kid.as_ref() == Some(&key.kid)).ok_or(TokenError::UnknownKey)?;
        let expected = key.header(kind);
        if header.typ != expected.typ {
            return Err(TokenError::Kind);
        }
        if header.alg != expected.alg {
            return Err(TokenError::Algorithm);
        }
        // A header of ours has these three and nothing else: no `crit` to obey (RFC 7515, section 4.1.11), no key and no
        // address of one.
        if header != expected {
            return Err(TokenError::Malformed);
        }
        let token = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation)
            .map_err(|error| TokenError::from(error.kind()))?;
        Ok(token.claims)
    }
}

impl Key {
    fn new(secret: &JwtSecret) -> Key {
        let secret = secret.reveal();
        Key {
            kid: hex::encode(&hs256::mac(secret, b"contactd: key id")[..8]),
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
        }
    }

    fn header(&self, kind: Kind) -> Header {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(kind.typ().to_owned());
        header.kid = Some(self.kid.clone());
        header
    }
}

impl Kind {
    fn typ(self) -> &'static str {
        match self {
            Kind::Access => "at+jwt",
            // No RFC names this one. Nobody else has to read it.
            Kind::Refresh => "rt+jwt",
        }
    }
}

impl Claims {
    fn new(user: i64, session: i64, now: DateTime<Utc>, expires: DateTime<Utc>) -> Claims {
        Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.to_string(),
            sid: session,
            iat: now.timestamp(),
            exp: expires.timestamp(),
            nbf: None,
            generation: None,
        }
    }

    fn user(&self) -> Result<i64, TokenError> {
        self.sub.parse().map_err(|_| TokenError::Claims)
    }

    fn times(&self) -> Times {
        // RFC 7519 asks nothing of `iat`, but a token from the future comes from a broken clock or a forger.
        Times { begins: self.nbf.unwrap_or(self.iat).max(self.iat), ends: self.exp }
    }
}

impl Times {
    fn check(self, now: DateTime<Utc>) -> Result<(), TokenError> {
        let now = now.timestamp();
        // A token is expired "on or after" `exp` (section 4.1.4).
        if now >= self.ends.saturating_add(LEEWAY) {
            return Err(TokenError::Expired);
        }
        if now.saturating_add(LEEWAY) < self.begins {
            return Err(TokenError::NotYet);
        }
        Ok(())
    }
}

impl From<&ErrorKind> for TokenError {
    fn from(kind: &ErrorKind) -> TokenError {
        match kind {
            ErrorKind::InvalidSignature => TokenError::Signature,
            ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience | ErrorKind::MissingRequiredClaim(_) => {
                TokenError::Claims
            }
            _ => TokenError::Malformed,
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.read().iter().map(|key| &key.kid)).finish()
    }
}
