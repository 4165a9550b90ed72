//! What guards accounts around the handlers: the throttle, the password asked for again, the log of what happens to them.

use std::fmt;
use std::net::IpAddr;

use crate::api::context::Context;
use crate::api::endpoint::{Caller, Client};
use crate::api::problem::Error;
use crate::domain::user::Password;
use crate::security::password;
use crate::security::throttle::{Flight, Subject};
use crate::store;
use crate::store::attempts::{Reservation, Reserved};

/// One line in the log for each thing that happens to an account; the logger adds the time.
pub fn audit(event: &str, user: Option<i64>, client: &Client) {
    let user = Or(user, "unknown");
    log::info!("auth {event} user={user} address={} request={}", Or(client.address, "none"), client.request_id);
}

struct Or<T>(Option<T>, &'static str);

impl<T: fmt::Display> fmt::Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str(self.1),
        }
    }
}

/// An attempt to guess a password, as which everything counts until it was right.
pub struct Attempt<'a> {
    cx: &'a Context,
    reserved: Reserved,
    /// The digest of the account or the user, and its place among those being checked, kept until the attempt is given back.
    account: Option<(Vec<u8>, Flight<'a>)>,
}

impl<'a> Attempt<'a> {
    /// Counts an attempt for an account, an address, or both. 429 where either has none left, whatever the password. `user`
    /// is for the log.
    pub fn begin(
        cx: &'a Context,
        account: Option<Subject<'_>>,
        address: Option<IpAddr>,
        user: Option<i64>,
        client: &Client,
    ) -> Result<Attempt<'a>, Error> {
        let account = account.map(|subject| subject.digest());
        let address = address.map(|ip| Subject::Address(ip).digest());
        let limited = |subject: &Option<Vec<u8>>, limit: i32| subject.clone().filter(|_| limit > 0).map(|s| (s, limit));
        let wanted: Vec<_> =
            limited(&account, cx.login_attempts).into_iter().chain(limited(&address, cx.address_attempts)).collect();
        loop {
            let busy = account.as_ref().is_some_and(|a| cx.in_flight.holds(a));
            match cx.store.reserve_attempt(&wanted)? {
                Reservation::Granted(reserved) => {
                    let account = account.map(|digest| (digest.clone(), cx.in_flight.enter(digest)));
                    return Ok(Attempt { cx, reserved, account });
                }
                // Some of those that took the last attempts may be right, and give them back.
                Reservation::Refused(_) if account.as_ref().is_some_and(|a| cx.in_flight.wait(a)) || busy => {}
                Reservation::Refused(seconds) => {
                    audit("throttled", user, client);
                    return Err(Error::TooManyRequests(seconds));
                }
            }
        }
    }

    /// The password was right: the account's failures are forgotten, for whoever knows the password is no guesser. The
    /// address only gets this attempt back, or an account of one's own would let one guess at others for ever.
    pub fn was_right(self) -> Result<(), Error> {
        self.cx.store.refund_attempt(&self.reserved)?;
        if let Some((digest, _)) = &self.account {
            self.cx.store.forget_attempts(digest)?;
        }
        Ok(())
    }
}

/// Asks a user who is logged in for the password again, throttled as a login is: a stolen token must not help to guess it.
/// Not by address: strangers who share it must not be in the way of a session that lives.
pub fn confirm_password(cx: &Context, caller: &Caller, given: &Password, client: &Client) -> Result<String, Error> {
    let subject = Subject::Confirmation(caller.user);
    let attempt = Attempt::begin(cx, Some(subject), None, Some(caller.user), client)?;
    let credentials = cx.store.credentials(caller.user).map_err(gone)?;
    if !password::verify(&credentials.password_hash, given.reveal()) {
        audit("wrong-password", Some(caller.user), client);
        return Err(Error::Unauthorized("The password is wrong."));
    }
    attempt.was_right()?;
    Ok(credentials.password_hash)
}

/// A caller whose row is gone was deleted a moment ago.
pub fn gone(error: store::Error) -> Error {
    match error {
        store::Error::NotFound => Error::Unauthorized("This account is gone."),
        error => error.into(),
    }
}
