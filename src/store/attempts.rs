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

/// An attempt that is counted until it is judged, for half a minute: the subjects, and until when it counts for each.
#[derive(Debug, Default)]
pub struct Reserved(Vec<(Vec<u8>, DateTime<Utc>)>);

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
                reserved.0.push((row.get(0), row.get(2)));
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
    pub fn fail_attempt(&self, Reserved(reserved): &Reserved) -> Result<(), Error> {
        // One by one, here and below: a statement that locks several rows could deadlock with one that locks them in another
        // order.
        for (subject, until) in reserved {
            self.write(|conn| conn.execute(&queries::ATTEMPT_FAIL, &[subject, until]))?;
        }
        Ok(())
    }

    /// An attempt counts no more and, where that is said of a subject and a network, nor do the failures of this network.
    pub fn withdraw_attempt(&self, Reserved(reserved): &Reserved, forgiven: Option<(&[u8], i64)>) -> Result<(), Error> {
        for (subject, until) in reserved {
            let forgiven = forgiven.filter(|(forgiven, _)| forgiven == subject).map(|(_, network)| network);
            self.write(|conn| conn.execute(&queries::ATTEMPT_WITHDRAW, &[subject, until, &forgiven]))?;
        }
        Ok(())
    }

    /// Forgets all failures of a subject.
    pub fn forget_attempts(&self, subject: &[u8]) -> Result<(), Error> {
        self.write(|conn| conn.execute(&queries::ATTEMPT_FORGET, &[&subject])).map(drop)
    }
}
