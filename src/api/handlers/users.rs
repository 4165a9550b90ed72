//! The caller's own account.

use super::guard::confirm_password;
use crate::api::context::Context;
use crate::api::endpoint::{Answer, Asking, Batch, Call, Caller, LoggedIn, NoContent, Payload};
use crate::api::problem::{BLANK, Error};
use crate::domain::fields::{Fault, Patch};
use crate::domain::user::{ChangeAccount, ChangePassword, DeleteAccount, User};
use crate::security::password;
use crate::store;
use crate::store::sessions::Sessions;

/// Between the check of the old password and the change that holds for it alone.
pub const PASSWORD_CHANGED: Error =
    Error::Conflict(BLANK, "The password was changed by another request meanwhile: log in again.");

/// `GET /api/users/me`
pub struct Me;

impl Batch for Me {
    type Who = Caller;
    type Input = ();
    type Asked = i64;
    type Kept = ();
    type Got = Result<User, store::Error>;
    type Reply = Answer<200, User>;

    fn ask(_: &Call<'_>, caller: &Caller, (): ()) -> Asking<Self> {
        Ok((caller.user, ()))
    }
    fn run(cx: &Context, asked: &[i64]) -> Vec<Option<Self::Got>> {
        cx.store.users(asked)
    }
    fn reply(_: &Call<'_>, (): (), user: Self::Got) -> Result<Self::Reply, Error> {
        Ok(Answer::json(&user.map_err(Error::ACCOUNT_DELETED.if_missing())?))
    }
}

/// The caller's account.
pub(super) fn user(call: &Call<'_>, id: i64) -> Result<User, Error> {
    call.store.user(id).map_err(Error::ACCOUNT_DELETED.if_missing())
}

/// `PATCH /api/users/me`
///
/// Who takes over the address takes over the account, so a new one needs the password. The address that is in force needs
/// none: a client may send back what it got.
pub fn change(
    call: &Call<'_>,
    caller: &LoggedIn,
    Payload(patch): Payload<Patch<ChangeAccount>>,
) -> Result<Answer<200, User>, Error> {
    let ChangeAccount { username, email, password } = &patch.values;
    let username = patch.sets("username").then_some(username.as_str());
    let now = user(call, caller.user)?;
    if !patch.sets("email") || *email == now.email {
        let changed = call.store.update_user(now.id, username, None);
        return Ok(Answer::json(&changed.map_err(Error::ACCOUNT_DELETED.if_missing())?));
    }
    let needed = || Error::Invalid(vec![Fault::new("current_password", "is required for a new e-mail address")]);
    let hash = confirm_password(call, &now, password.as_ref().ok_or_else(needed)?)?;
    let changed =
        call.store.update_user(now.id, username, Some((email, &hash))).map_err(PASSWORD_CHANGED.if_missing())?;
    call.audit("email-changed", Some(now.id));
    Ok(Answer::json(&changed))
}

/// `PUT /api/users/me/password`
pub fn change_password(
    call: &Call<'_>,
    caller: &LoggedIn,
    Payload(change): Payload<ChangePassword>,
) -> Result<NoContent, Error> {
    let old = confirm_password(call, &user(call, caller.user)?, &change.current)?;
    let new = password::hash(change.new.reveal());
    let ended = call.store.change_password(caller.user, &new, Some(&old), Sessions::Others(caller.session))?;
    call.revocations.add(ended.ok_or(PASSWORD_CHANGED)?);
    call.audit("password-changed", Some(caller.user));
    Ok(NoContent)
}

/// `DELETE /api/users/me`
pub fn delete(call: &Call<'_>, caller: &LoggedIn, Payload(body): Payload<DeleteAccount>) -> Result<NoContent, Error> {
    confirm_password(call, &user(call, caller.user)?, &body.password)?;
    let ended = call.store.delete_user(caller.user).map_err(Error::ACCOUNT_DELETED.if_missing())?;
    call.revocations.add(ended);
    call.audit("account-deleted", Some(caller.user));
    Ok(NoContent)
}
