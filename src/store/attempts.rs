//! The throttle's counters: attempts per subject within a quarter of an hour, in the database, so that they survive a
//! restart and span instances.

use chrono::{DateTime, Utc};

use super::{Error, Store, queries};

/// Attempts that were taken, to be given back if they turn out to be none.
#[derive(Debug)]
pub struct Reserved {
    subjects: Vec<Vec<u8>>,
    at: Vec<DateTime<Utc>>,
}

/// Whether one more attempt is allowed.
#[derive(Debug)]
pub enum Reservation {
    /// It is, and it is counted.
    Granted(Reserved),
    /// It is not, for so many seconds.
    Refused(u64),
}

impl Store {
    /// Takes one attempt of each (subject, limit). All or none: what was taken of the others is given back.
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
        match wait {
            None => Ok(Reservation::Granted(reserved)),
            Some(seconds) => {
                self.refund_attempt(&reserved)?;
                Ok(Reservation::Refused(seconds))
            }
        }
    }

    /// Gives attempts back.
    pub fn refund_attempt(&self, reserved: &Reserved) -> Result<(), Error> {
        if reserved.subjects.is_empty() {
            return Ok(());
        }
        // One by one: a statement that locked several rows could be a deadlock with one that takes them in another order.
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
