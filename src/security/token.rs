//! The two tokens of a session: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256.
//!
//! Both carry `iss`, `aud`, `sub` (the user), `sid` (the session), `iat` and `exp`, the refresh
//! token also `gen`, its generation. The kind is the header's `typ`, as RFC 8725 section 3.11
//! advises, so that one is never taken for the other; `at+jwt` is the name that RFC 9068 gave to
//! access tokens (the rest of its profile is for several servers: `client_id` and `jti` would have
//! no reader here).
//!
//! A token is not encrypted: whoever holds it can read it, so it holds ids and times alone. And
//! whoever holds it can try secrets against it at leisure, which is why a secret must be 32 random
//! bytes, not a phrase.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::hs256;
use crate::domain::hex;

/// How long an access token lives.
pub const ACCESS_LIFETIME: TimeDelta = TimeDelta::minutes(15);
/// How long a refresh token lives, unless its session ends before.
pub const REFRESH_LIFETIME: TimeDelta = TimeDelta::days(7);
/// The least number of bytes in a secret: as many as HMAC-SHA-256 gives (RFC 7518, section 3.2).
pub const SECRET_MIN_BYTES: usize = 32;

/// Seconds by which the clocks of two instances over one database may differ.
const LEEWAY: i64 = 5;
/// Ours have some 300 bytes. A longer one is refused before anything is decoded.
const TOKEN_MAX_BYTES: usize = 1024;
const ISSUER: &str = "contactd";
const AUDIENCE: &str = "contactd";

/// The secrets that tokens are signed and verified with.
pub struct Keys {
    current: Key,
    /// Verifies what it signed while it was current, and signs nothing: so a new secret logs nobody
    /// out.
    previous: Option<Key>,
    validation: Validation,
}

struct Key {
    /// Names the secret in the header (RFC 7515, section 4.1.4). It is a MAC under the secret, so
    /// it tells no more about it than any token does.
    kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// A secret with fewer than [`SECRET_MIN_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooShort {
    /// Which of the two arguments of [`Keys::new`].
    pub which: &'static str,
    /// Its length in bytes.
    pub length: usize,
}

/// What a valid access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The user's id.
    pub user: i64,
    /// The session's id. Whether it still lives, only the sessions know.
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

/// Why a token was refused. It is for the log: a client hears 401 and no reason, for a reason helps
/// who forges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// More than 1,024 bytes.
    TooLong,
    /// Not three parts of canonical base64url with the JSON of ours in them.
    Malformed,
    /// Another `alg` than HS256 (`none` and unheard-of ones are [`TokenError::Malformed`]).
    Algorithm,
    /// A `kid` that is none of our secrets', or no `kid`.
    UnknownKey,
    /// A refresh token for an access token, or the reverse, or neither.
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
    /// Never written by us, but honoured, as section 4.1.5 demands.
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(rename = "gen", skip_serializing_if = "Option::is_none")]
    generation: Option<i32>,
}

impl Keys {
    /// Signs with `current`; verifies with it and with `previous`.
    ///
    /// # Errors
    /// [`TooShort`] for a secret of fewer than 32 bytes.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Result<Keys, TooShort> {
        hs256::install();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // jsonwebtoken reads the system's clock for these two, and no test could choose the time:
        // `Claims::check_times` does it against `now`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Keys {
            current: Key::new("current", current)?,
            previous: previous.map(|p| Key::new("previous", p)).transpose()?,
            validation,
        })
    }

    /// An access token for 15 minutes from `now`.
    pub fn issue_access(&self, user: i64, session: i64, now: DateTime<Utc>) -> String {
        let claims = Claims::new(user, session, now, now + ACCESS_LIFETIME);
        self.issue(Kind::Access, &claims)
    }

    /// A refresh token for seven days from `now`, and not beyond `expires_at_most`, the end of its
    /// session.
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
        let claims = self.verify(Kind::Access, token, now)?;
        Ok(Access { user: claims.user()?, session: claims.sid })
    }

    /// # Errors
    /// [`TokenError`] for anything but a refresh token of ours that is valid at `now`.
    pub fn verify_refresh(&self, token: &str, now: DateTime<Utc>) -> Result<Refresh, TokenError> {
        let claims = self.verify(Kind::Refresh, token, now)?;
        Ok(Refresh {
            user: claims.user()?,
            session: claims.sid,
            generation: claims.generation.ok_or(TokenError::Claims)?,
        })
    }

    fn issue(&self, kind: Kind, claims: &Claims) -> String {
        jsonwebtoken::encode(&self.current.header(kind), claims, &self.current.signing)
            .expect("integers and short strings are JSON, and HMAC takes any key")
    }

    fn verify(&self, kind: Kind, token: &str, now: DateTime<Utc>) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        let key = self.key_of(&header)?;
        let expected = key.header(kind);
        if header.typ != expected.typ {
            return Err(TokenError::Kind);
        }
        if header.alg != expected.alg {
            return Err(TokenError::Algorithm);
        }
        // A header of ours has these three and nothing else: no `crit` to obey (RFC 7515, section
        // 4.1.11), no key or address to be led astray by.
        if header != expected {
            return Err(TokenError::Malformed);
        }
        let token = jsonwebtoken::decode::<Claims>(token, &key.verifying, &self.validation)
            .map_err(|error| TokenError::from(error.kind()))?;
        token.claims.check_times(now)?;
        Ok(token.claims)
    }

    fn key_of(&self, header: &Header) -> Result<&Key, TokenError> {
        let kid = header.kid.as_deref().ok_or(TokenError::UnknownKey)?;
        [Some(&self.current), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.kid == kid)
            .ok_or(TokenError::UnknownKey)
    }
}

impl Key {
    fn new(which: &'static str, secret: &[u8]) -> Result<Key, TooShort> {
        if secret.len() < SECRET_MIN_BYTES {
            return Err(TooShort { which, length: secret.len() });
        }
        let mac = hs256::mac(secret, b"contactd: key id");
        Ok(Key {
            kid: hex::encode(&mac[..8]),
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
        })
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
            // No RFC names this one; it is ours alone to read.
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

    fn check_times(&self, now: DateTime<Utc>) -> Result<(), TokenError> {
        let now = now.timestamp();
        // "On or after" `exp` it is over (section 4.1.4).
        if now >= self.exp.saturating_add(LEEWAY) {
            return Err(TokenError::Expired);
        }
        // RFC 7519 asks nothing of `iat`; but a token from the future is from a broken clock or a
        // forger.
        let begins = self.nbf.unwrap_or(self.iat).max(self.iat);
        if now.saturating_add(LEEWAY) < begins {
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
        f.debug_struct("Keys")
            .field("current", &self.current.kid)
            .field("previous", &self.previous.as_ref().map(|key| &key.kid))
            .finish_non_exhaustive()
    }
}

impl fmt::Display for TooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} secret has {} bytes, and needs {SECRET_MIN_BYTES} or more", self.which, self.length)
    }
}

impl std::error::Error for TooShort {}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenError::TooLong => "longer than any of ours",
            TokenError::Malformed => "not a token of ours",
            TokenError::Algorithm => "signed by another algorithm",
            TokenError::UnknownKey => "signed with an unknown key",
            TokenError::Kind => "a token of another kind",
            TokenError::Signature => "wrong signature",
            TokenError::Claims => "made for someone else, or incomplete",
            TokenError::Expired => "expired",
            TokenError::NotYet => "from the future",
        })
    }
}

impl std::error::Error for TokenError {}
