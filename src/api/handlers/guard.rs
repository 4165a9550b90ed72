//! What guards accounts around the handlers: the throttle, the password that is asked for again, the end of sessions.

use std::time::{Duration, Instant};
use std::{mem, thread};

use crate::api::endpoint::Call;
use crate::api::problem::Error;
use crate::domain::user::{Password, User};
use crate::security::password;
use crate::security::throttle::Subject;
use crate::store::accounts::Credentials;
use crate::store::attempts::{Limited, Reservation, Reserved};
use crate::store::sessions::Sessions;

/// So many times the limit of one network close an account to all networks but those where its user has a session.
const NETWORKS: i32 = 10;
/// Until so long after its request arrived an attempt waits for those that are being checked, and may give their places back:
/// when many right logins come at the same moment, as from a script that starts all its jobs at once, some find no place left.
/// Where they wait for a database that hangs, this one must still be answered 503 within three seconds.
const WAIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// An attempt that is not judged counts no more after so many seconds.
const UNJUDGED: u64 = 30;

/// An attempt at a password. It counts as a failure from before the password is looked at. One that is dropped before it is
/// judged was none: something else failed.
pub struct Attempt<'a> {
    call: &'a Call<'a>,
    /// The subject of the account.
    account: Option<Vec<u8>>,
    /// Nothing once it is judged.
    reserved: Reserved,
}

impl<'a> Attempt<'a> {
    /// Counts an attempt from the caller's network at the account of this e-mail, if it is about one. 429 where account or
    /// network have no room left, whatever the password.
    pub fn begin(call: &'a Call<'_>, email: Option<&str>, known: Option<&Credentials>) -> Result<Attempt<'a>, Error> {
        let (of_account, of_network, network) = (call.login_attempts, call.address_attempts, call.network());
        let account = email.map(|email| Subject::Account(email).digest());
        let mut wanted = Vec::new();
        if let Some(subject) = account.clone().filter(|_| of_account > 0) {
            let is_at_home = known.is_some_and(|known| known.is_at_home);
            let of_all = (!is_at_home).then_some(NETWORKS * of_account);
            wanted.push(Limited { subject, of_network: of_account, of_all });
        }
        if of_network > 0 {
            wanted.push(Limited { subject: Subject::Network(network).digest(), of_network, of_all: None });
        }
        let deadline = call.request.arrived() + WAIT;
        let _turn = account.as_deref().and_then(|account| call.line.turn(account, deadline));
        loop {
            match call.store.reserve_attempt(&wanted, network)? {
                Reservation::Granted(reserved) => return Ok(Attempt { call, account, reserved }),
                Reservation::Refused(seconds) if seconds <= UNJUDGED && Instant::now() < deadline => {
                    thread::sleep(PAUSE)
                }
                Reservation::Refused(seconds) => {
                    call.audit("throttled", known.map(|known| known.user));
                    return Err(Error::TooManyRequests("attempts", seconds));
                }
            }
        }
    }

    /// The attempt counts. Until that is written, nobody may learn that the password was wrong.
    pub fn counts(mut self) -> Result<(), Error> {
        self.call.store.fail_attempt(&self.reserved)?;
        self.reserved = Reserved::default();
        Ok(())
    }

    /// The password was right. This account's failures from this network are forgiven, for a client that knows the password is
    /// no guesser. The network itself only gets this attempt back; otherwise the owner of one account could guess at others
    /// without limit. If that cannot be written, it is no fault of the client's.
    pub fn was_right(mut self) {
        let forgiven = self.account.take();
        self.withdraw(forgiven.as_deref());
    }

    fn withdraw(&mut self, forgiven: Option<&[u8]>) {
        let reserved = mem::take(&mut self.reserved);
        let forgiven = forgiven.map(|account| (account, self.call.network()));
        if let Err(error) = self.call.store.withdraw_attempt(&reserved, forgiven) {
            log::debug!("{} an attempt counts for {UNJUDGED} s more: {error}", self.call.id);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.withdraw(None);
    }
}

/// Confirms the password of a user who is logged in; returns its hash. It is throttled as a login is, since a stolen token must
/// not help to guess the password.
pub fn confirm_password(call: &Call<'_>, user: &User, given: &Password) -> Result<String, Error> {
    let known = call.store.credentials(&user.email, call.network())?.filter(|known| known.user == user.id);
    let attempt = Attempt::begin(call, Some(&user.email), known.as_ref())?;
    let known = known.ok_or(Error::ACCOUNT_DELETED)?;
    if !password::verify(&known.password_hash, given.reveal()) {
        attempt.counts()?;
        call.audit("wrong-password", Some(user.id));
        return Err(Error::Unauthorized("The password is wrong."));
    }
    attempt.was_right();
    Ok(known.password_hash)
}

/// Ends sessions for good: in the database for all instances, and here at once. Returns those that had not ended before.
pub fn end_sessions(call: &Call<'_>, user: i64, sessions: Sessions) -> Result<Vec<i64>, Error> {
    let ended = call.store.end_sessions(user, sessions)?;
    call.revocations.add(ended.iter().copied());
    Ok(ended)
}
