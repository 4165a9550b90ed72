//! The sessions that ended lately, in memory: access tokens are checked against them without a round trip.
//!
//! A session that this instance ends is listed at once. One that another instance ends comes with the next
//! [`Revocations::refresh`], twice a second. If refreshing fails for long, the list is brought up to date before the next token
//! is accepted: housekeeping that has lost its connection must not keep ended sessions alive.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::{Error, Store, queries};

/// How long an ended session is listed: longer than any access token is valid, which `security::token` asserts.
pub const KEPT: Duration = Duration::from_secs(16 * 60);

/// A list older than this is not trusted. Two refreshes may fail before it is.
const STALE: Duration = Duration::from_secs(2);

/// How far a refresh looks back beyond the one before, since a row becomes visible only when it is committed: far longer than
/// any statement that writes one may take.
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
    /// Whether a session has ended.
    pub fn holds(&self, store: &Store, session: i64) -> Result<bool, Error> {
        let list = self.0.read();
        if list.ended.contains_key(&session) {
            return Ok(true);
        }
        if list.refreshed.is_some_and(|at| at.elapsed() < STALE) {
            return Ok(false);
        }
        drop(list);
        self.refresh(store)?;
        Ok(self.0.read().ended.contains_key(&session))
    }

    /// Adds sessions that this instance has just ended.
    pub fn add(&self, sessions: impl IntoIterator<Item = i64>) {
        let now = Instant::now();
        let mut list = self.0.write();
        list.ended.extend(sessions.into_iter().map(|session| (session, now)));
    }

    /// Asks the database which sessions have ended since the last time, and forgets those whose access tokens have expired.
    pub fn refresh(&self, store: &Store) -> Result<(), Error> {
        let asked = Instant::now();
        let since = self.0.read().refreshed.map_or(KEPT, |at| (at.elapsed() + OVERLAP).min(KEPT));
        let rows = store.read(|conn| conn.query(&queries::SESSION_REVOKED, &[&since.as_secs_f64()]))?;
        let mut list = self.0.write();
        for row in rows {
            list.ended.entry(row.get(0)).or_insert(asked);
        }
        list.ended.retain(|_, at| at.elapsed() < KEPT);
        list.refreshed = Some(asked);
        Ok(())
    }
}
