//! API tokens, which open the address book to scripts.

use super::Id;
use super::guard::confirm_password;
use super::users::{PASSWORD_CHANGED, user};
use crate::api::endpoint::{Answer, Call, LoggedIn, NoContent, Path, Payload};
use crate::api::problem::Error;
use crate::domain::shape::shape;
use crate::domain::user::{ApiToken, TokenDraft};
use crate::security::{api_token, secret};

shape! {
    /// An API token that was just made.
    pub struct NewApiToken as "NewApiToken" with about: ApiToken {
        /// The token itself: `Authorization: Bearer …`. It is shown only here.
        pub token: String = { "examples": ["contactd_4815162342108_5f0c…"] },
    }
}

/// A user has as many as there may be.
pub const TOO_MANY_TOKENS: Error = Error::Conflict(
    "urn:contactd:too-many-tokens",
    "You have 20 API tokens, and cannot have more: end one that you no longer need.",
);
/// Also where the token is another user's, or has ended.
pub const NO_SUCH_TOKEN: Error = Error::NotFound("There is no such API token.");

/// `POST /api/auth/tokens`
pub fn make(
    call: &Call<'_>,
    caller: &LoggedIn,
    Payload(draft): Payload<TokenDraft>,
) -> Result<Answer<201, NewApiToken>, Error> {
    let hash = confirm_password(call, &user(call, caller.user)?, &draft.password)?;
    let token = api_token::new(caller.user);
    let made = call.store.make_token((caller.user, &hash), &draft, &secret::digest(&token));
    let about = made.map_err(PASSWORD_CHANGED.if_missing())?.ok_or(TOO_MANY_TOKENS)?;
    call.audit("api-token-made", Some(caller.user));
    Ok(Answer::json(&NewApiToken { about, token }))
}

/// `GET /api/auth/tokens`
pub fn list(call: &Call<'_>, caller: &LoggedIn, (): ()) -> Result<Answer<200, [ApiToken]>, Error> {
    Ok(Answer::array(call.store.tokens(caller.user)?.into_iter()))
}

/// `DELETE /api/auth/tokens/{id}`
pub fn end(call: &Call<'_>, caller: &LoggedIn, Path(Id(id)): Path<Id>) -> Result<NoContent, Error> {
    if !call.store.end_token(caller.user, id)? {
        return Err(NO_SUCH_TOKEN);
    }
    call.audit("api-token-ended", Some(caller.user));
    Ok(NoContent)
}
