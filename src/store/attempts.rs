//! The throttle's counters: attempts per subject within 15 minutes, in the database, so that they survive a restart and span
//! instances.

use chrono::{DateTime, Utc};

use super::{Error, Store, queries};

/// What an attempt is counted against, and within which limits.
pub struct Limited {
    /// The key of the counter.
    pub subject: Vec<u8>,
    /// How many attempts each network has.
    pub of_network: i32,
    /// How many all networks have together, if that is limited.
    pub of_all: Option<i32>,
}

/// An attempt that is counted until it is judged, for half a minute.
#[derive(Debug, Default)]
pub struct Reserved {
    subjects: Vec<Vec<u8>>,
    /// For each.
    until: Vec<DateTime<Utc>>,
}

/// Whether another attempt is allowed.
#[derive(Debug)]
pub enum Reservation {
    /// Allowed, and counted.
    Granted(Reserved),
    /// Not allowed for this number of seconds.
    Refused(u64),
}

impl Store {
    /// Counts an attempt from a network against all subjects or, where one has no room left, against none.
    pub fn reserve_attempt(&self, wanted: &[Limited], network: i64) -> Result<Reservation, Error> {
        let mut reserved = Reserved::default();
        if wanted.is_empty() {
            return Ok(Reservation::Granted(reserved));
        }
        let subjects: Vec<_> = wanted.iter().map(|limited| limited.subject.as_slice()).collect();
        let of_network: Vec<_> = wanted.iter().map(|limited| limited.of_network).collect();
        let of_all: Vec<_> = wanted.iter().map(|limited| limited.of_all).collect();
        let rows =
            self.write(|conn| conn.query(&queries::ATTEMPT_RESERVE, &[&subjects, &network, &of_network, &of_all]))?;
        let mut wait = None;
        for row in rows {
            if row.get(1) {
                reserved.subjects.push(row.get(0));
                reserved.until.push(row.get(2));
            } else {
                let seconds = u64::try_from(row.get::<_, Option<i64>>(3).unwrap_or(0)).unwrap_or(0).max(1);
                wait = wait.max(Some(seconds));
            }
        }
        let Some(seconds) = wait else {
            return Ok(Reservation::Granted(reserved));
        };
        self.withdraw_attempt(&reserved, None)?;
        Ok(Reservation::Refused(seconds))
    }

    /// An attempt was a failure: it counts for a quarter of an hour.
    pub fn fail_attempt(&self, Reserved { subjects, until }: &Reserved) -> Result<(), Error> {
        self.write(|conn| conn.execute(&queries::ATTEMPT_FAIL, &[subjects, until])).map(drop)
    }

    /// An attempt counts no more and, where that is said of a subject and a network, nor do the failures of this network.
    pub fn withdraw_attempt(&self, attempt: &Reserved, forgiven: Option<(&[u8], i64)>) -> Result<(), Error> {
        let Reserved { subjects, until } = attempt;
        if subjects.is_empty() {
            return Ok(());
        }
        let (forgiven, network) = forgiven.unzip();
        self.write(|conn| conn.execute(&queries::ATTEMPT_WITHDRAW, &[subjects, until, &forgiven, &network])).map(drop)
    }

    /// Forgets all failures of a subject.
    pub fn forget_attempts(&self, subject: &[u8]) -> Result<(), Error> {
        self.write(|conn| conn.execute(&queries::ATTEMPT_FORGET, &[&subject])).map(drop)
    }
}
