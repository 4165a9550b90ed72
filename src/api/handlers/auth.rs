//! Signing up, logging in and out, and the sessions in between.

use super::Id;
use super::guard::{Attempt, end_sessions};
use crate::api::endpoint::{Answer, BearerToken, Call, LoggedIn, NoContent, Path, Payload, Query};
use crate::api::problem::{self, Error};
use crate::domain::fields::{FORM, Fields, FromFields, JSON};
use crate::domain::rules::{Doc, Flag, OneOf, Text};
use crate::domain::shape::shape;
use crate::domain::user::{ListedSession, Login, Signup, User};
use crate::security::password;
use crate::security::token::ACCESS_LIFETIME;
use crate::store;
use crate::store::accounts::Credentials;
use crate::store::sessions::{self, Session, Sessions};

/// A body of `POST /api/auth/refresh_token`: JSON, or an OAuth2 form (RFC 6749 §6).
pub struct RefreshBody(Option<String>);

impl FromFields for RefreshBody {
    const NAME: &'static str = "Refresh";
    const MEDIA_TYPES: &'static [&'static str] = &[JSON, FORM];

    fn from_fields(fields: &mut Fields<'_>) -> RefreshBody {
        if fields.is_form {
            const REFRESH_GRANT: OneOf<()> = OneOf { choices: &[("refresh_token", ())] };
            fields.optional("grant_type", &REFRESH_GRANT);
        }
        RefreshBody(fields.optional("refresh_token", &Text::line(4096, "eyJ0eXAiOiJydCtqd3Qi…")))
    }
}

/// The query of `POST /api/auth/logout`.
pub struct LogoutQuery {
    everywhere: bool,
}

impl FromFields for LogoutQuery {
    fn from_fields(fields: &mut Fields<'_>) -> LogoutQuery {
        const EVERYWHERE: Doc<Flag> = Doc(Flag, "Whether to end all of your sessions and API tokens.");
        LogoutQuery { everywhere: fields.or_default("everywhere", &EVERYWHERE, false) }
    }
}

shape! {
    /// A pair of tokens (RFC 6749 §5.1).
    pub struct TokenPair as "TokenPair" {
        /// Authorizes requests: `Authorization: Bearer …`.
        pub access_token: String = { "examples": ["eyJ0eXAiOiJhdCtqd3Qi…"] },
        /// Gets the next pair, once.
        pub refresh_token: String = { "examples": ["eyJ0eXAiOiJydCtqd3Qi…"] },
        /// How tokens are sent.
        pub token_type: &'static str = { "const": "bearer" },
        /// The lifetime of the access token in seconds.
        pub expires_in: i64 = { "examples": [900] },
    }
}

/// One answer for an unknown e-mail, a wrong password and a disabled user.
pub const WRONG_CREDENTIALS: Error =
    Error::InvalidGrant("The e-mail address or the password is wrong.", problem::NO_TOKEN);
/// Also where the address is taken.
pub const SIGNUP_IS_CLOSED: Error =
    Error::Forbidden("Signing up is closed on this server: ask whoever runs it for an account.");
/// Nothing tells whether it ever was one of ours.
pub const DEAD_REFRESH_TOKEN: Error =
    Error::InvalidGrant("The refresh token is invalid, expired or revoked: log in again.", problem::INVALID_TOKEN);
/// Also where the session is another user's.
pub const NO_SUCH_SESSION: Error = Error::NotFound("There is no such session.");

/// `POST /api/auth/signup`
pub fn signup(call: &Call<'_>, Payload(signup): Payload<Signup>) -> Result<Answer<201, User>, Error> {
    if !call.signup_is_open {
        return Err(SIGNUP_IS_CLOSED);
    }
    let attempt = Attempt::begin(call, None, None)?;
    let hash = password::hash(signup.password.reveal());
    let user = call.store.insert_user(&signup.username, &signup.email, &hash);
    // It counts, whatever comes of it, unless that is a fault of ours. There is no password to guess, so nothing hangs on it.
    if matches!(user, Ok(_) | Err(store::Error::EmailTaken)) {
        let _ = attempt.counts();
    }
    let user = user.inspect_err(|_| call.audit("signup-failed", None))?;
    call.audit("signup", Some(user.id));
    Ok(Answer::json(&user).header("Location", "/api/users/me"))
}

/// `POST /api/auth/login`
pub fn login(call: &Call<'_>, Payload(login): Payload<Login>) -> Result<Answer<200, TokenPair>, Error> {
    let known = call.store.credentials(&login.email, call.network())?;
    let user = known.as_ref().map(|known| known.user);
    let attempt = Attempt::begin(call, Some(&login.email), known.as_ref())?;
    let Some((known, session)) = begin_session(call, &login, known)? else {
        attempt.counts()?;
        call.audit("login-failed", user);
        return Err(WRONG_CREDENTIALS);
    };
    attempt.was_right();
    if password::needs_rehash(&known.password_hash) {
        let hash = password::hash(login.password.reveal());
        call.store.renew_hash(known.user, &hash, &known.password_hash)?;
    }
    call.audit("login", Some(known.user));
    Ok(pair(call, known.user, session))
}

/// Checks a password and begins a session. An unknown e-mail, a wrong password and a disabled user take the same time.
fn begin_session(
    call: &Call<'_>,
    login: &Login,
    mut known: Option<Credentials>,
) -> Result<Option<(Credentials, Session)>, Error> {
    let (agent, address) = (call.user_agent(), call.client_address().to_string());
    let typed = login.password.reveal();
    // It is checked again if the hash changed meanwhile: after a rehash by another login, the password is still right.
    for _ in 0..2 {
        let is_right = match &known {
            Some(known) => password::verify(&known.password_hash, typed),
            None => password::verify_unknown(typed),
        };
        let Some(credentials) = known.filter(|known| is_right && !known.disabled) else {
            break;
        };
        match call.store.begin_session(&credentials, agent.as_deref(), &address, call.network()) {
            Err(store::Error::NotFound) => known = call.store.credentials(&login.email, call.network())?,
            begun => {
                let (session, ended) = begun?;
                call.revocations.add(ended);
                return Ok(Some((credentials, session)));
            }
        }
    }
    Ok(None)
}

fn pair(call: &Call<'_>, user: i64, session: Session) -> Answer<200, TokenPair> {
    let now = call.now();
    let ends = session.created_at + sessions::LIFETIME;
    let answer = Answer::json(&TokenPair {
        access_token: call.keys.issue_access(user, session.id, now),
        refresh_token: call.keys.issue_refresh(user, session.id, session.generation, now, ends),
        token_type: "bearer",
        expires_in: ACCESS_LIFETIME.num_seconds(),
    });
    answer.header("Cache-Control", "no-store") // RFC 6749 §5.1
}

/// `GET /api/auth/refresh_token`
pub fn refresh(call: &Call<'_>, BearerToken(token): BearerToken) -> Result<Answer<200, TokenPair>, Error> {
    let token = token.ok_or(Error::Unauthorized("Send the refresh token: Authorization: Bearer …"))?;
    let refresh = call.keys.verify_refresh(&token, call.now()).map_err(|error| {
        log::debug!("{} refresh token refused: {error:?}", call.id);
        call.audit("refresh-failed", None);
        DEAD_REFRESH_TOKEN
    })?;
    let token = (refresh.user, refresh.session, refresh.generation);
    match call.store.rotate_session(token, call.network(), call.refresh_grace.as_secs_f64()) {
        Ok(session) => {
            call.audit("refreshed", Some(refresh.user));
            Ok(pair(call, refresh.user, session))
        }
        // Two clients used a genuine token that is no longer valid: one of them stole it. Nothing tells which, so the session
        // ends for both. Where the session had ended already, this finds nothing to end.
        Err(store::Error::NotFound) => {
            let ended = end_sessions(call, refresh.user, Sessions::One(refresh.session))?;
            let event = if ended.is_empty() { "refresh-failed" } else { "refresh-token-reused" };
            call.audit(event, Some(refresh.user));
            Err(DEAD_REFRESH_TOKEN)
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /api/auth/refresh_token`
pub fn refresh_by_post(
    call: &Call<'_>,
    (BearerToken(bearer), body): (BearerToken, Option<Payload<RefreshBody>>),
) -> Result<Answer<200, TokenPair>, Error> {
    let token = body.and_then(|Payload(RefreshBody(token))| token);
    refresh(call, BearerToken(token.or(bearer)))
}

/// `POST /api/auth/logout`
pub fn logout(call: &Call<'_>, caller: &LoggedIn, Query(query): Query<LogoutQuery>) -> Result<NoContent, Error> {
    let (event, sessions) = match query.everywhere {
        true => ("logout-everywhere", Sessions::All),
        false => ("logout", Sessions::One(caller.session)),
    };
    end_sessions(call, caller.user, sessions)?;
    call.audit(event, Some(caller.user));
    Ok(NoContent)
}

/// `GET /api/auth/sessions`
pub fn sessions(call: &Call<'_>, caller: &LoggedIn, (): ()) -> Result<Answer<200, [ListedSession]>, Error> {
    Ok(Answer::array(call.store.sessions(caller.user, caller.session)?.into_iter()))
}

/// `DELETE /api/auth/sessions/{id}`
pub fn end_session(call: &Call<'_>, caller: &LoggedIn, Path(Id(id)): Path<Id>) -> Result<NoContent, Error> {
    if end_sessions(call, caller.user, Sessions::One(id))?.is_empty() {
        return Err(NO_SUCH_SESSION);
    }
    call.audit("session-ended", Some(caller.user));
    Ok(NoContent)
}
