//! The caller's own account.

use serde_json::{Value, json};

use super::guard::{audit, confirm_password, gone};
use crate::api::context::Context;
use crate::api::endpoint::{Answer, Caller, Client, Json, MergePatch, NoContent, Shape, always};
use crate::api::problem::Error;
use crate::domain::user::{ChangePassword, DeleteAccount, Rename};
use crate::security::password;
use crate::store::sessions::Sessions;

/// A user in an answer.
pub struct UserShape;

impl Shape for UserShape {
    const NAME: &'static str = "User";
    fn schema() -> Value {
        always(json!({
            "id": { "type": "integer", "format": "int64" },
            "username": { "type": "string" },
            "email": { "type": "string", "format": "email" },
            "created_at": { "type": "string", "format": "date-time" },
        }))
    }
}

/// `GET /api/users/me`
pub fn me(cx: &Context, caller: &Caller, (): ()) -> Result<Answer<200, UserShape>, Error> {
    Ok(Answer::json(&cx.store.user(caller.user).map_err(gone)?))
}

/// `PATCH /api/users/me`
pub fn rename(
    cx: &Context,
    caller: &Caller,
    MergePatch(patch): MergePatch<Rename>,
) -> Result<Answer<200, UserShape>, Error> {
    let username = patch.sets("username").then_some(patch.values.username.as_str());
    Ok(Answer::json(&cx.store.rename_user(caller.user, username).map_err(gone)?))
}

/// `PUT /api/users/me/password`
pub fn change_password(
    cx: &Context,
    caller: &Caller,
    (Json(change), client): (Json<ChangePassword>, Client),
) -> Result<NoContent, Error> {
    let old = confirm_password(cx, caller, &change.current, &client)?;
    let new = password::hash(change.new.reveal());
    let others = Sessions::Others(caller.session);
    let changed = cx.store.change_password(caller.user, &new, Some(&old), others)?;
    cx.revocations.add(
        changed
            .ok_or(Error::Conflict("The password was changed at the same moment by somebody else: log in again."))?,
    );
    audit("password-changed", Some(caller.user), &client);
    Ok(NoContent)
}

/// `DELETE /api/users/me`
pub fn delete(
    cx: &Context,
    caller: &Caller,
    (Json(body), client): (Json<DeleteAccount>, Client),
) -> Result<NoContent, Error> {
    confirm_password(cx, caller, &body.password, &client)?;
    let ended = cx.store.delete_user(caller.user).map_err(gone)?;
    cx.revocations.add(ended);
    audit("account-deleted", Some(caller.user), &client);
    Ok(NoContent)
}
