//! The date in the configured time zone. Postgres knows the zones, so it is asked, but only once a minute at most.

use std::time::{Duration, Instant};

use chrono::NaiveDate;
use parking_lot::Mutex;

use super::{Error, Store, queries};

/// Today in one time zone, remembered for a while, and never beyond the end of the day.
pub struct Today {
    zone: String,
    known: Mutex<Option<(NaiveDate, Instant)>>,
}

/// How long the answer is remembered, so that a clock that is set, or a zone that changes, is noticed.
const REMEMBERED: Duration = Duration::from_secs(60);

impl Today {
    /// In the zone of this name, as Postgres knows it.
    pub fn in_zone(zone: String) -> Today {
        Today { zone, known: Mutex::new(None) }
    }

    /// The date.
    pub fn get(&self, store: &Store) -> Result<NaiveDate, Error> {
        if let Some((today, until)) = *self.known.lock()
            && Instant::now() < until
        {
            return Ok(today);
        }
        let asked = Instant::now();
        let row = store.read(|conn| conn.query_one(&queries::TODAY, &[&self.zone]))?;
        let (today, ends_in): (NaiveDate, f64) = (row.get(0), row.get(1));
        let until = asked + Duration::try_from_secs_f64(ends_in).unwrap_or_default().min(REMEMBERED);
        *self.known.lock() = Some((today, until));
        Ok(today)
    }
}
