//! Safe repeats: what a request with an `Idempotency-Key` makes, it makes once.

use std::thread;
use std::time::Duration;

use crate::api::context::Context;
use crate::api::endpoint::Answer;
use crate::api::problem::Error;
use crate::domain::fields::Fault;
use crate::domain::repeat::Key;
use crate::domain::shape::Shape;
use crate::store;
use crate::store::repeats::Outcome;

/// How often a request asks whether what it waits for is done.
pub const PAUSE: Duration = Duration::from_millis(50);
/// How long it waits for the same request, from its arrival.
const WAIT_FOR_REPEAT: Duration = Duration::from_secs(3);
/// The same for another import of the same user.
pub const WAIT_FOR_IMPORT: Duration = Duration::from_secs(60);
/// That one took longer.
pub const IMPORTS_AT_ONCE: Error = Error::TooManyRequests("imports at once", WAIT_FOR_IMPORT.as_secs());

/// Makes so many contacts by `make`, if it is told that there is room, unless a request with the same key did: then it gives the
/// answer to that one. Room is looked for first: where the first request has taken the last of it, it is found afterwards.
pub fn once<const STATUS: u16, S: Shape + ?Sized>(
    cx: &Context,
    user: i64,
    contacts: usize,
    key: &Key,
    mut make: impl FnMut(bool) -> Result<Outcome, store::Error>,
) -> Result<Answer<STATUS, S>, Error> {
    // Where none is given since others may take the last places, one of them may be the first request.
    let leave = if contacts > 0 { cx.quota.leave(&cx.store, user, contacts) } else { Ok(None) };
    let has_room = contacts == 0 || matches!(leave, Ok(Some(_)));
    loop {
        match make(has_room)? {
            Outcome::Done(kept) => return Ok(Answer::of(kept)),
            Outcome::Again(kept) => return Ok(Answer::of(kept).header("Idempotency-Replayed", "true")),
            Outcome::OtherRequest => {
                let what = "was used for another request: choose a new key for each";
                return Err(Error::Invalid(vec![Fault::new("Idempotency-Key", what)]));
            }
            Outcome::NoRoom => return Err(leave.err().map_or(Error::ADDRESS_BOOK_FULL, Error::from)),
            Outcome::UnderWay if key.arrived.elapsed() >= WAIT_FOR_REPEAT => return Err(Error::InProgress),
            Outcome::Waits if key.arrived.elapsed() >= WAIT_FOR_IMPORT => return Err(IMPORTS_AT_ONCE),
            Outcome::UnderWay | Outcome::Waits => thread::sleep(PAUSE),
        }
    }
}
