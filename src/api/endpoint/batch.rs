//! A handler that takes several calls at once: what waits for the database together is asked of it together. A worker that
//! finds several calls of such a row takes them all, and one statement answers them, for the price of one round trip and one
//! wake-up. Nobody waits for a batch to fill.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{About, Call, Caller, Finish, Handler, Input, Reply, Route, Run, row};
use crate::api::context::Context;
use crate::api::problem::Error;

/// Such a handler, in three steps: the first and the last are taken for each call by itself, so that what is wrong with one
/// concerns no other.
pub trait Batch: Sized + 'static {
    /// Who may call.
    type Who: Who;
    /// What comes in.
    type Input: Input;
    /// What a call asks of the store.
    type Asked;
    /// What it keeps until the answer.
    type Kept;
    /// What the store has for it, or its error.
    type Got;
    /// What goes out.
    type Reply: Reply;

    /// Whether a call with this query goes along with others: one that may take long goes by itself.
    fn goes_along(_query: &str) -> bool {
        true
    }
    /// What a call asks, and keeps.
    fn ask(call: &Call<'_>, who: &Self::Who, input: Self::Input) -> Asking<Self>;
    /// What the store has for each, in their order; nothing for one that is better asked for by itself.
    fn run(context: &Context, asked: &[Self::Asked]) -> Vec<Option<Self::Got>>;
    /// The reply to a call.
    fn reply(call: &Call<'_>, kept: Self::Kept, got: Self::Got) -> Result<Self::Reply, Error>;
}

/// What a call asks of the store, and what it keeps until the answer; or why it asks nothing.
pub type Asking<B> = Result<(<B as Batch>::Asked, <B as Batch>::Kept), Error>;

/// Whether a query asks for nothing but these and a page of a hundred at most: several such pages are answered together.
pub fn is_short(query: &str, others: &[&str]) -> bool {
    query.split('&').filter(|pair| !pair.is_empty()).all(|pair| match pair.split_once('=') {
        Some(("limit", limit)) => limit.parse().is_ok_and(|limit: u8| limit <= 100),
        Some((name, _)) => others.contains(&name),
        None => false,
    })
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
pub fn together<B: Batch>(about: About) -> Route {
    let run: Run<B::Who> = Box::new(move |calls, admit, finish| {
        let (mut asked, mut kept) = (Vec::with_capacity(calls.len()), Vec::with_capacity(calls.len()));
        for call in calls {
            match shielded(|| B::ask(call, &admit(call)?, B::Input::read(call)?)) {
                Ok((what, keep)) => {
                    asked.push(what);
                    kept.push((call, keep));
                }
                Err(error) => finish(call, Err(error)),
            }
        }
        // The others have their answers before one is asked for by itself.
        let left_out = settle::<B>(&asked, kept, finish);
        for (asked, left_out) in asked.iter().zip(left_out) {
            left_out.map(|call| settle::<B>(std::slice::from_ref(asked), vec![call], finish));
        }
    });
    Route { goes_along: Some(B::goes_along), ..row::<B::Input, B::Reply>(about, B::Who::handler(run)) }
}

/// A call, and what it keeps until the answer.
type Kept<'c, 'r, B> = (&'c Call<'r>, <B as Batch>::Kept);

/// Runs it for these calls, and answers them; gives back those that it leaves out, in their places.
fn settle<'c, 'r, B: Batch>(
    asked: &[B::Asked],
    kept: Vec<Kept<'c, 'r, B>>,
    finish: &mut Finish<'_>,
) -> Vec<Option<Kept<'c, 'r, B>>> {
    let Some((call, _)) = kept.first() else {
        return Vec::new();
    };
    let outcomes = B::run(call.context, asked);
    debug_assert_eq!(outcomes.len(), kept.len());
    let each = kept.into_iter().zip(outcomes).map(|((call, kept), outcome)| match outcome {
        Some(got) => {
            finish(call, shielded(|| B::reply(call, kept, got).map(Reply::into_response)));
            None
        }
        None => Some((call, kept)),
    });
    each.collect()
}

/// The outcome of a step; a panic is one, too, and concerns no other call.
pub(super) fn shielded<T>(step: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let panicked = |_| Err(Error::Internal("the handler panicked".to_owned()));
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(panicked)
}
