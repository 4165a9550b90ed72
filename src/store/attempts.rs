//! The throttle's counters: attempts per subject within 15 minutes, in the database, so that they survive a restart and span
//! instances.

use chrono::{DateTime, Utc};

use super::{Error, Store, queries};

/// Reserved attempts, refunded if the password was right.
#[derive(Debug)]
pub struct Reserved {
    subjects: Vec<Vec<u8>>,
    at: Vec<DateTime<Utc>>,
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
    /// Reserves one attempt of each (subject, limit): of all of them or, where one has none left, of none.
    pub fn reserve_attempt(&self, wanted: &[(Vec<u8>, i32)]) -> Result<Reservation, Error> {
        let mut reserved = Reserved { subjects: Vec::new(), at: Vec::new() };
        if wanted.is_empty() {
            return Ok(Reservation::Granted(reserved));
        }
        let subjects: Vec<_> = wanted.iter().map(|(subject, _)| subject.as_slice()).collect();
        let limits: Vec<_> = wanted.iter().map(|(_, limit)| *limit).collect();
        let rows = self.write(|conn| conn.query(&queries::ATTEMPT_RESERVE, &[&subjects, &limits]))?;
        let mut wait = None;
        for row in rows {
            if row.get(1) {
                reserved.subjects.push(row.get(0));
                reserved.at.push(row.get(2));
            } else {
                let seconds = u64::try_from(row.get::<_, i64>(3)).unwrap_or(0).max(1);
                wait = wait.max(Some(seconds));
            }
        }
        let Some(seconds) = wait else {
            return Ok(Reservation::Granted(reserved));
        };
        self.refund_attempt(&reserved)?;
        Ok(Reservation::Refused(seconds))
    }

    /// Refunds attempts.
    pub fn refund_attempt(&self, reserved: &Reserved) -> Result<(), Error> {
        if reserved.subjects.is_empty() {
            return Ok(());
        }
        // One by one: a statement that locks several rows could deadlock with one that locks them in another order.
        self.write(|conn| {
            for (subject, at) in reserved.subjects.iter().zip(&reserved.at) {
                conn.execute(&queries::ATTEMPT_REFUND, &[subject, at])?;
            }
            Ok(())
        })
    }

    /// Forgets all failures of a subject.
    pub fn forget_attempts(&self, subject: &[u8]) -> Result<(), Error> {
        self.write(|conn| conn.execute(&queries::ATTEMPT_FORGET, &[&subject])).map(drop)
    }
}
