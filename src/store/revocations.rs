//! Sessions that ended lately, in memory: access tokens are checked against them without a round trip.
//!
//! What ends here is here at once; what ends on another instance comes with the next [`Revocations::refresh`], twice a second.
//! If refreshing fails for long, the list is brought up to date before the next token counts: a database that lost its
//! connection to whoever refreshes must not keep dead tokens alive.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::{Error, Store, queries};

/// An access token lives 15 minutes, plus the leeway for clocks, plus a margin.
pub const KEPT: Duration = Duration::from_secs(16 * 60);

/// A list older than this is not trusted. Above the second that others may take to notice, below what anybody would.
const STALE: Duration = Duration::from_secs(2);

/// What a refresh asks for again, for rows become visible only when they are committed: twice the longest statement.
const OVERLAP: Duration = Duration::from_secs(20);

#[derive(Default)]
struct List {
    ended: HashMap<i64, Instant>,
    refreshed: Option<Instant>,
}

/// The list.
#[derive(Default)]
pub struct Revocations(RwLock<List>);

impl Revocations {
    /// Whether this session has ended.
    pub fn holds(&self, store: &Store, session: i64) -> Result<bool, Error> {
        {
            let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if list.ended.contains_key(&session) {
                return Ok(true);
            }
            if list.refreshed.is_some_and(|at| at.elapsed() < STALE) {
                return Ok(false);
            }
        }
        self.refresh(store)?;
        let list = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(list.ended.contains_key(&session))
    }

    /// Adds sessions that this instance has just ended.
    pub fn add(&self, sessions: impl IntoIterator<Item = i64>) {
        let now = Instant::now();
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        list.ended.extend(sessions.into_iter().map(|session| (session, now)));
    }

    /// Asks the database for what ended since the last time, and forgets what every access token has outlived.
    pub fn refresh(&self, store: &Store) -> Result<(), Error> {
        let asked = Instant::now();
        let since = match self.0.read().unwrap_or_else(PoisonError::into_inner).refreshed {
            Some(at) => (at.elapsed() + OVERLAP).min(KEPT),
            None => KEPT,
        };
        let rows = store.read(|conn| conn.query(&queries::SESSION_REVOKED, &[&since.as_secs_f64()]))?;
        let mut list = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            list.ended.entry(row.get(0)).or_insert(asked);
        }
        list.ended.retain(|_, at| at.elapsed() < KEPT);
        list.refreshed = Some(asked);
        Ok(())
    }
}
