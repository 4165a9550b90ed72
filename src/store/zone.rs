//! The date in the set time zone. Postgres knows the zones, so it is asked, once a day and not once a request.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::NaiveDate;

use super::{Error, Store, queries};

/// Today in one time zone, remembered until the day ends there.
pub struct Today {
    zone: String,
    known: Mutex<Option<(NaiveDate, Instant)>>,
}

/// Asked again after so long even within a day, so that a clock that is set, or a zone that changes, is noticed.
const AT_MOST: Duration = Duration::from_secs(60);

impl Today {
    /// In the zone of this name, as Postgres knows it.
    pub fn in_zone(zone: String) -> Today {
        Today { zone, known: Mutex::new(None) }
    }

    /// The date.
    pub fn get(&self, store: &Store) -> Result<NaiveDate, Error> {
        if let Some((today, until)) = *self.lock()
            && Instant::now() < until
        {
            return Ok(today);
        }
        let asked = Instant::now();
        let row = store.read(|conn| conn.query_one(&queries::TODAY, &[&self.zone]))?;
        let (today, ends_in): (NaiveDate, f64) = (row.get(0), row.get(1));
        let until = asked + Duration::try_from_secs_f64(ends_in).unwrap_or_default().min(AT_MOST);
        *self.lock() = Some((today, until));
        Ok(today)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(NaiveDate, Instant)>> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
