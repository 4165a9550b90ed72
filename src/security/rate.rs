//! How many requests a minute each user may make: a bucket of as many tokens as the limit, which fills up within a minute.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const MINUTE: Duration = Duration::from_secs(60);

/// The buckets of this instance.
pub struct Rates {
    /// Requests a minute; 0 for no limit.
    limit: u32,
    /// When the bucket of each user will be full again. One that is full needs no entry.
    full_at: Mutex<HashMap<i64, Instant>>,
}

impl Rates {
    /// So many requests a minute; 0 for no limit.
    pub fn new(limit: u32) -> Rates {
        Rates { limit, full_at: Mutex::default() }
    }

    /// Takes a token of a user; where there is none, returns the seconds until there is.
    pub fn take(&self, user: i64, now: Instant) -> Result<(), u64> {
        let Some(each) = MINUTE.checked_div(self.limit) else {
            return Ok(());
        };
        let mut all = self.full_at.lock();
        if all.len() == all.capacity() {
            all.retain(|_, full_at| *full_at > now);
        }
        let full_at = all.entry(user).or_insert(now);
        let after = (*full_at).max(now) + each;
        let missing = after.duration_since(now).saturating_sub(MINUTE);
        if missing > Duration::ZERO {
            return Err(seconds(missing));
        }
        *full_at = after;
        Ok(())
    }

    /// The limit, how many requests a user may make at once, and the seconds until the bucket is full; `None` without a limit.
    pub fn left(&self, user: i64, now: Instant) -> Option<[u64; 3]> {
        let each = MINUTE.checked_div(self.limit)?;
        let until_full = self.full_at.lock().get(&user).map_or(Duration::ZERO, |full_at| full_at.duration_since(now));
        // The limit need not divide a minute.
        let taken = until_full.as_nanos().div_ceil(each.as_nanos()).try_into().unwrap_or(u64::MAX);
        let limit = u64::from(self.limit);
        Some([limit, limit.saturating_sub(taken), seconds(until_full)])
    }
}

/// Whole seconds, none too few.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_up() {
        let (rates, start) = (Rates::new(3), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let left = |remaining, reset| Some([3, remaining, reset]);
        assert_eq!(rates.left(1, at(0)), left(3, 0));
        for (remaining, reset) in [(2, 20), (1, 40), (0, 60)] {
            assert_eq!(rates.take(1, at(0)), Ok(()));
            assert_eq!(rates.left(1, at(0)), left(remaining, reset));
        }
        assert_eq!(rates.take(1, at(0)), Err(20));
        assert_eq!(rates.take(1, at(19)), Err(1));
        assert_eq!(rates.take(2, at(19)), Ok(()), "another user's bucket");
        assert_eq!(rates.take(1, at(20)), Ok(()));
        assert_eq!(rates.left(1, at(20)), left(0, 60));
        assert_eq!(rates.left(1, at(41)), left(1, 39));
        assert_eq!(rates.left(1, at(500)), left(3, 0));
    }

    #[test]
    fn any_limit_is_kept_exactly_and_zero_is_none() {
        let now = Instant::now();
        for limit in [1, 7, 59, 61, 997, 1_000_000] {
            let rates = Rates::new(limit);
            let taken = (0..=limit).take_while(|_| rates.take(1, now).is_ok()).count();
            assert_eq!(taken, limit as usize);
            assert_eq!(rates.left(1, now).unwrap()[1], 0, "{limit}");
        }
        let none = Rates::new(0);
        assert!((0..10_000).all(|_| none.take(1, now).is_ok()));
        assert_eq!(none.left(1, now), None);
        assert!(none.full_at.lock().is_empty());
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let (rates, start) = (Rates::new(60), Instant::now());
        for user in 0..100_000 {
            rates.take(user, start + Duration::from_millis(user as u64 * 10)).unwrap();
        }
        let kept = rates.full_at.lock().capacity();
        assert!(kept < 1_000, "{kept}");
    }
}
