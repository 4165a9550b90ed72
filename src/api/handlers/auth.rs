//! Signing up, in and out, and the sessions in between.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};

use super::end_sessions;
use super::guard::{Attempt, audit};
use super::path::Id;
use super::users::UserShape;
use crate::api::context::Context;
use crate::api::endpoint::{
    Answer, BearerToken, Caller, Client, Either, Json, JsonOrForm, ListOf, NoContent, OptionalJson, Path, Query, Shape,
    always,
};
use crate::api::problem::Error;
use crate::domain::contact::rfc3339;
use crate::domain::fields::{Fields, FromFields};
use crate::domain::rules::{Doc, Flag, Opaque};
use crate::domain::user::{Login, Signup};
use crate::security::password;
use crate::security::throttle::Subject;
use crate::store;
use crate::store::accounts::Credentials;
use crate::store::sessions::{self, Session, Sessions};

/// A login as JSON.
pub struct LoginJson(Login);

impl FromFields for LoginJson {
    fn from_fields(fields: &mut Fields<'_>) -> Option<LoginJson> {
        Login::read_json(fields).map(LoginJson)
    }
}

/// A login as an OAuth2 password form.
pub struct LoginForm(Login);

impl FromFields for LoginForm {
    fn from_fields(fields: &mut Fields<'_>) -> Option<LoginForm> {
        Login::read_form(fields).map(LoginForm)
    }
}

/// A body of `POST /api/auth/refresh_token`.
pub struct RefreshBody(Option<String>);

impl FromFields for RefreshBody {
    fn from_fields(fields: &mut Fields<'_>) -> Option<RefreshBody> {
        let token = fields.optional("refresh_token", &Opaque { max: 4096 });
        Some(RefreshBody(token))
    }
}

const EVERYWHERE: Doc<Flag> = Doc(Flag, "Whether to end all of your sessions.");

/// The query of `POST /api/auth/logout`.
pub struct LogoutQuery {
    everywhere: bool,
}

impl FromFields for LogoutQuery {
    fn from_fields(fields: &mut Fields<'_>) -> Option<LogoutQuery> {
        Some(LogoutQuery { everywhere: fields.optional("everywhere", &EVERYWHERE).unwrap_or(false) })
    }
}

/// A pair of tokens (RFC 6749 §5.1).
pub struct TokenPair;

impl Shape for TokenPair {
    const NAME: &'static str = "TokenPair";
    fn schema() -> Value {
        always(json!({
            "access_token": { "type": "string" },
            "refresh_token": { "type": "string" },
            "token_type": { "type": "string", "const": "bearer" },
            "expires_in": { "type": "integer", "description": "seconds that the access token lives" },
        }))
    }
}

/// A session in the list of them.
pub struct SessionShape;

impl Shape for SessionShape {
    const NAME: &'static str = "Session";
    fn schema() -> Value {
        always(json!({
            "id": { "type": "integer", "format": "int64" },
            "created_at": { "type": "string", "format": "date-time" },
            "last_used_at": { "type": "string", "format": "date-time" },
            "user_agent": { "type": ["string", "null"] },
            "ip": { "type": ["string", "null"] },
            "current": { "type": "boolean" },
        }))
    }
}

#[derive(Serialize)]
struct SessionView<'a> {
    id: i64,
    #[serde(serialize_with = "rfc3339")]
    created_at: DateTime<Utc>,
    #[serde(serialize_with = "rfc3339")]
    last_used_at: DateTime<Utc>,
    user_agent: Option<&'a str>,
    ip: Option<&'a str>,
    current: bool,
}

/// One answer for an unknown e-mail, a wrong password and a disabled user.
const WRONG: Error = Error::InvalidGrant("E-mail or password is wrong.");
const DEAD_REFRESH: Error = Error::InvalidGrant("The refresh token does not count (any more): log in again.");

/// `POST /api/auth/signup`
pub fn signup(cx: &Context, (Json(signup), client): (Json<Signup>, Client)) -> Result<Answer<201, UserShape>, Error> {
    Attempt::begin(cx, None, client.address, None, &client)?; // it counts, whatever comes of it
    let hash = password::hash(signup.password.reveal());
    let user = cx
        .store
        .insert_user(&signup.username, &signup.email, &hash)
        .inspect_err(|_| audit("signup-failed", None, &client))?;
    audit("signup", Some(user.id), &client);
    Ok(Answer::json(&user).header("Location", "/api/users/me"))
}

/// `POST /api/auth/login`
pub fn login(
    cx: &Context,
    (JsonOrForm(body), client): (JsonOrForm<LoginJson, LoginForm>, Client),
) -> Result<Answer<200, TokenPair>, Error> {
    let (Either::Left(LoginJson(login)) | Either::Right(LoginForm(login))) = body;
    let known = cx.store.credentials_by_email(&login.email)?;
    let user = known.as_ref().map(|known| known.user);
    let account = Subject::Account(&login.email);
    let attempt = Attempt::begin(cx, Some(account), client.address, user, &client)?;
    let Some((known, session)) = begin_session(cx, &login, known, &client)? else {
        audit("login-failed", user, &client);
        return Err(WRONG);
    };
    attempt.was_right()?;
    if password::needs_rehash(&known.password_hash) {
        let hash = password::hash(login.password.reveal());
        cx.store.renew_hash(known.user, &hash, &known.password_hash)?;
    }
    audit("login", Some(known.user), &client);
    Ok(pair(cx, known.user, session))
}

/// Checks a password and begins a session. An unknown e-mail, a wrong password and a disabled user take the same time.
fn begin_session(
    cx: &Context,
    login: &Login,
    mut known: Option<Credentials>,
    client: &Client,
) -> Result<Option<(Credentials, Session)>, Error> {
    let address = client.address.map(|ip| ip.to_string());
    let typed = login.password.reveal();
    // Once more where the hash changed while the password was checked: if another login renewed it, it is right still.
    for _ in 0..2 {
        let right = match &known {
            Some(known) => password::verify(&known.password_hash, typed),
            None => password::verify_unknown(typed),
        };
        let Some(credentials) = known.filter(|known| right && !known.disabled) else {
            break;
        };
        let agent = client.user_agent.as_deref();
        match cx.store.begin_session(&credentials, agent, address.as_deref()) {
            Err(store::Error::NotFound) => known = cx.store.credentials_by_email(&login.email)?,
            session => return Ok(Some((credentials, session?))),
        }
    }
    Ok(None)
}

fn pair(cx: &Context, user: i64, session: Session) -> Answer<200, TokenPair> {
    let now = cx.now();
    let ends = session.created_at + sessions::LIFETIME;
    let answer = Answer::json(&json!({
        "access_token": cx.keys.issue_access(user, session.id, now),
        "refresh_token": cx.keys.issue_refresh(user, session.id, session.generation, now, ends),
        "token_type": "bearer",
        "expires_in": crate::security::token::ACCESS_LIFETIME.num_seconds(),
    }));
    answer.header("Cache-Control", "no-store") // RFC 6749 §5.1
}

/// `GET /api/auth/refresh_token`
pub fn refresh(
    cx: &Context,
    (BearerToken(token), client): (BearerToken, Client),
) -> Result<Answer<200, TokenPair>, Error> {
    let token = token.ok_or(Error::Unauthorized("Send the refresh token: Authorization: Bearer …"))?;
    let refresh = cx.keys.verify_refresh(&token, cx.now()).map_err(|error| {
        log::debug!("{} refresh token refused: {error:?}", client.request_id);
        audit("refresh-failed", None, &client);
        DEAD_REFRESH
    })?;
    match cx.store.rotate_session(refresh.user, refresh.session, refresh.generation) {
        Ok(session) => {
            audit("refreshed", Some(refresh.user), &client);
            Ok(pair(cx, refresh.user, session))
        }
        // A genuine token that counts no more was used by two: one of them stole it. Which one cannot be told, so the
        // session ends for both. Where the session had ended already, this finds nothing to end.
        Err(store::Error::NotFound) => {
            let ended = end_sessions(cx, refresh.user, Sessions::One(refresh.session))?;
            let event = if ended.is_empty() { "refresh-failed" } else { "refresh-token-reused" };
            audit(event, Some(refresh.user), &client);
            Err(DEAD_REFRESH)
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /api/auth/refresh_token`
pub fn refresh_by_post(
    cx: &Context,
    (bearer, OptionalJson(body), client): (BearerToken, OptionalJson<RefreshBody>, Client),
) -> Result<Answer<200, TokenPair>, Error> {
    let token = body.and_then(|RefreshBody(token)| token).or(bearer.0);
    refresh(cx, (BearerToken(token), client))
}

/// `POST /api/auth/logout`
pub fn logout(
    cx: &Context,
    caller: &Caller,
    (Query(query), client): (Query<LogoutQuery>, Client),
) -> Result<NoContent, Error> {
    let which = if query.everywhere { Sessions::All } else { Sessions::One(caller.session) };
    end_sessions(cx, caller.user, which)?;
    audit(if query.everywhere { "logout-everywhere" } else { "logout" }, Some(caller.user), &client);
    Ok(NoContent)
}

/// `GET /api/auth/sessions`
pub fn sessions(cx: &Context, caller: &Caller, (): ()) -> Result<Answer<200, ListOf<SessionShape>>, Error> {
    let sessions = cx.store.sessions(caller.user)?;
    Ok(Answer::array(sessions.iter().map(|s| SessionView {
        id: s.id,
        created_at: s.created_at,
        last_used_at: s.last_used_at,
        user_agent: s.user_agent.as_deref(),
        ip: s.ip.as_deref(),
        current: s.id == caller.session,
    })))
}

/// `DELETE /api/auth/sessions/{id}`
pub fn end_session(
    cx: &Context,
    caller: &Caller,
    (Path(Id(id)), client): (Path<Id>, Client),
) -> Result<NoContent, Error> {
    if end_sessions(cx, caller.user, Sessions::One(id))?.is_empty() {
        return Err(Error::NotFound("There is no such session."));
    }
    audit("session-ended", Some(caller.user), &client);
    Ok(NoContent)
}
