//! What guards accounts around the handlers: the throttle, the password that is asked for again, the end of sessions.

use std::net::IpAddr;

use crate::api::endpoint::{Call, Caller};
use crate::api::problem::Error;
use crate::domain::user::Password;
use crate::security::password;
use crate::security::throttle::{Flight, Subject};
use crate::store;
use crate::store::attempts::{Reservation, Reserved};
use crate::store::sessions::Sessions;

/// A login attempt. It counts as a failed guess until the password proves right.
pub struct Attempt<'a> {
    call: &'a Call<'a>,
    reserved: Reserved,
    /// The digest of the account or the user, and the attempt's place among those being checked, which is kept as long as it.
    account: Option<(Vec<u8>, Flight<'a>)>,
}

impl<'a> Attempt<'a> {
    /// Counts an attempt for an account, an address, or both. 429 where either has none left, whatever the password. `user`
    /// is for the log.
    pub fn begin(
        call: &'a Call<'_>,
        account: Option<Subject<'_>>,
        address: Option<IpAddr>,
        user: Option<i64>,
    ) -> Result<Attempt<'a>, Error> {
        let account = account.map(|subject| subject.digest());
        let address = address.map(|ip| Subject::Address(ip).digest());
        let limited = |subject: &Option<Vec<u8>>, limit: i32| subject.clone().filter(|_| limit > 0).map(|s| (s, limit));
        let (of_account, of_address) =
            (limited(&account, call.login_attempts), limited(&address, call.address_attempts));
        let wanted: Vec<_> = of_account.into_iter().chain(of_address).collect();
        loop {
            let is_busy = account.as_ref().is_some_and(|a| call.in_flight.holds(a));
            match call.store.reserve_attempt(&wanted)? {
                Reservation::Granted(reserved) => {
                    let account = account.map(|digest| (digest.clone(), call.context.in_flight.enter(digest)));
                    return Ok(Attempt { call, reserved, account });
                }
                // Some of those that took the last attempts may prove right and give them back.
                Reservation::Refused(_) if account.as_ref().is_some_and(|a| call.in_flight.wait(a)) || is_busy => {}
                Reservation::Refused(seconds) => {
                    call.audit("throttled", user);
                    return Err(Error::TooManyRequests("attempts", seconds));
                }
            }
        }
    }

    /// The password was right: the account's failures are forgotten, for a client that knows the password is no guesser. The
    /// address only gets this attempt back; otherwise the owner of one account could guess at others without limit.
    pub fn was_right(self) -> Result<(), Error> {
        self.call.store.refund_attempt(&self.reserved)?;
        if let Some((digest, _)) = &self.account {
            self.call.store.forget_attempts(digest)?;
        }
        Ok(())
    }
}

/// Confirms the password of a user who is logged in; returns its hash. It is throttled as a login is, since a stolen
/// token must not help to guess the password. It is not counted by address: a stranger behind the same address must not
/// lock out a user whose session is alive.
pub fn confirm_password(call: &Call<'_>, caller: &Caller, given: &Password) -> Result<String, Error> {
    let attempt = Attempt::begin(call, Some(Subject::Confirmation(caller.user)), None, Some(caller.user))?;
    let credentials = call.store.credentials(caller.user).map_err(account_deleted)?;
    if !password::verify(&credentials.password_hash, given.reveal()) {
        call.audit("wrong-password", Some(caller.user));
        return Err(Error::Unauthorized("The password is wrong."));
    }
    attempt.was_right()?;
    Ok(credentials.password_hash)
}

/// The error for a caller whose row is missing: the account was deleted a moment ago.
pub fn account_deleted(error: store::Error) -> Error {
    match error {
        store::Error::NotFound => Error::Unauthorized("This account has been deleted."),
        error => error.into(),
    }
}

/// Ends sessions for good: in the database for all instances, and here at once. Returns those that had not ended before.
pub fn end_sessions(call: &Call<'_>, user: i64, sessions: Sessions) -> Result<Vec<i64>, Error> {
    let ended = call.store.end_sessions(user, sessions)?;
    call.revocations.add(ended.iter().copied());
    Ok(ended)
}
