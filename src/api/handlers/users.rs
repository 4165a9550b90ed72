//! The caller's own account.

use super::guard::{account_deleted, confirm_password};
use crate::api::context::Context;
use crate::api::endpoint::{Answer, Batch, Call, Caller, NoContent, Payload};
use crate::api::problem::{BLANK, Error};
use crate::domain::fields::Patch;
use crate::domain::user::{ChangePassword, DeleteAccount, Rename, User};
use crate::security::password;
use crate::store;
use crate::store::sessions::Sessions;

/// `GET /api/users/me`
pub struct Me;

impl Batch for Me {
    type Who = Caller;
    type Input = ();
    type Asked = i64;
    type Kept = ();
    type Got = Result<User, store::Error>;
    type Reply = Answer<200, User>;

    fn ask(caller: &Caller, (): ()) -> (i64, ()) {
        (caller.user, ())
    }
    fn run(cx: &Context, asked: &[i64]) -> Vec<Option<Self::Got>> {
        cx.store.users(asked)
    }
    fn reply((): (), user: Self::Got) -> Result<Self::Reply, Error> {
        Ok(Answer::json(&user.map_err(account_deleted)?))
    }
}

/// `PATCH /api/users/me`
pub fn rename(
    call: &Call<'_>,
    caller: &Caller,
    Payload(patch): Payload<Patch<Rename>>,
) -> Result<Answer<200, User>, Error> {
    let username = patch.sets("username").then_some(patch.values.username.as_str());
    Ok(Answer::json(&call.store.rename_user(caller.user, username).map_err(account_deleted)?))
}

/// `PUT /api/users/me/password`
pub fn change_password(
    call: &Call<'_>,
    caller: &Caller,
    Payload(change): Payload<ChangePassword>,
) -> Result<NoContent, Error> {
    let old = confirm_password(call, caller, &change.current)?;
    let new = password::hash(change.new.reveal());
    let ended = call.store.change_password(caller.user, &new, Some(&old), Sessions::Others(caller.session))?;
    let ended =
        ended.ok_or(Error::Conflict(BLANK, "The password was changed by another request meanwhile: log in again."))?;
    call.revocations.add(ended);
    call.audit("password-changed", Some(caller.user));
    Ok(NoContent)
}

/// `DELETE /api/users/me`
pub fn delete(call: &Call<'_>, caller: &Caller, Payload(body): Payload<DeleteAccount>) -> Result<NoContent, Error> {
    confirm_password(call, caller, &body.password)?;
    let ended = call.store.delete_user(caller.user).map_err(account_deleted)?;
    call.revocations.add(ended);
    call.audit("account-deleted", Some(caller.user));
    Ok(NoContent)
}
