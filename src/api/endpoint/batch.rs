//! A handler that takes several calls at once: what waits for the database together is asked of it together. A worker that
//! finds several calls of such a row takes them all, and one statement answers them, for the price of one round trip and one
//! wake-up. Nobody waits for a batch to fill.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Caller, Handler, Input, Reply, Route, Run, row};
use crate::api::context::Context;
use crate::api::problem::Error;
use crate::http::Method;
use crate::store;

/// Such a handler, in three steps: the first and the last are taken for each call by itself, so that what is wrong with one
/// concerns no other.
pub trait Batch: 'static {
    /// Who may call.
    type Who: Who;
    /// What comes in.
    type Input: Input;
    /// What a call asks of the store.
    type Asked;
    /// What it keeps until the answer.
    type Kept;
    /// What the store has for it.
    type Got;
    /// What goes out.
    type Reply: Reply;

    /// What a call asks, and keeps.
    fn ask(who: &Self::Who, input: Self::Input) -> (Self::Asked, Self::Kept);
    /// What the store has for each, in their order.
    fn run(context: &Context, asked: &[Self::Asked]) -> Vec<Result<Self::Got, store::Error>>;
    /// The reply to a call.
    fn reply(kept: Self::Kept, got: Result<Self::Got, store::Error>) -> Result<Self::Reply, Error>;
}

/// Who calls a handler: anybody, or a [`Caller`].
pub trait Who: Sized + 'static {
    /// The handler for them.
    fn handler(run: Run<Self>) -> Handler;
}

impl Who for () {
    fn handler(run: Run<()>) -> Handler {
        Handler::Public(run)
    }
}

impl Who for Caller {
    fn handler(run: Run<Caller>) -> Handler {
        Handler::Guarded(run)
    }
}

/// A row for a handler that takes several calls at once.
pub fn together<B: Batch>(method: Method, path: &'static str, tag: &'static str, summary: &'static str) -> Route {
    let run: Run<B::Who> = Box::new(move |calls, admit, finish| {
        let (mut asked, mut kept) = (Vec::with_capacity(calls.len()), Vec::with_capacity(calls.len()));
        for call in calls {
            match shielded(|| Ok(B::ask(&admit(call)?, B::Input::read(call)?))) {
                Ok((what, keep)) => {
                    asked.push(what);
                    kept.push((call, keep));
                }
                Err(error) => finish(call, Err(error)),
            }
        }
        if let Some((call, _)) = kept.first() {
            let got = B::run(call.context, &asked);
            debug_assert_eq!(got.len(), asked.len());
            for ((call, keep), got) in kept.into_iter().zip(got) {
                finish(call, shielded(|| B::reply(keep, got).map(Reply::into_response)));
            }
        }
    });
    Route { batch: true, ..row::<B::Input, B::Reply>(method, path, B::Who::handler(run), tag, summary) }
}

/// The outcome of a step; a panic is one, too, and concerns no other call.
pub(super) fn shielded<T>(step: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let panicked = |_| Err(Error::Internal("the handler panicked".to_owned()));
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(panicked)
}
