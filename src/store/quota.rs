//! How many contacts a user may have. Counting them for each new one would double its cost, so the count is remembered for a
//! minute, with those added that this instance has made since. What is full is always counted afresh.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Error, Store};
use crate::domain::filter::Filter;

/// How long a count is trusted; it does not know what other instances have made meanwhile.
const TRUSTED: Duration = Duration::from_secs(60);
/// Users whose counts are remembered; the oldest count gives way.
const REMEMBERED: usize = 4_096;
/// How long a new contact waits for others of the same user that are being made and may take the last places.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSES: usize = 50;

/// The counts of users who have lately made contacts.
pub struct Quota {
    most: i64,
    counts: Mutex<HashMap<i64, Count>>,
}

struct Count {
    at: Instant,
    /// At most so many are there, those that are being made included.
    contacts: i64,
    /// Being made.
    under_way: i64,
    /// Made, or failed.
    ended: i64,
}

/// Leave to make contacts; it ends when they have been made.
pub struct Leave<'a> {
    quota: &'a Quota,
    user: i64,
    number: i64,
}

impl Count {
    /// Takes places, if they are free.
    fn take(&mut self, number: i64, most: i64) -> bool {
        let fits = self.contacts + number <= most;
        if fits {
            self.contacts += number;
            self.under_way += number;
        }
        fits
    }
}

impl Quota {
    /// So many for each user; 0 for no limit.
    pub fn new(most: i64) -> Quota {
        Quota { most, counts: Mutex::default() }
    }

    /// How many contacts the trash of each user may hold: as many as the address book.
    pub(super) fn of_trash(&self) -> i64 {
        if self.most == 0 { i64::MAX } else { self.most }
    }

    /// Leave for a user to make so many more contacts; `None` when the address book has no room for them.
    pub fn leave(&self, store: &Store, user: i64, number: usize) -> Result<Option<Leave<'_>>, Error> {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        if let Some(leave) = self.leave_now(user, number) {
            return Ok(Some(leave));
        }
        for _ in 0..PAUSES {
            let (at, ended) = (Instant::now(), self.counts.lock().get(&user).map_or(0, |count| count.ended));
            let counted = store.count_contacts(user, &Filter::default())?;
            if counted + number > self.most {
                return Ok(None);
            }
            let mut counts = self.counts.lock();
            if counts.len() >= REMEMBERED
                && let Some((&oldest, _)) = counts.iter().filter(|(_, c)| c.under_way == 0).min_by_key(|(_, c)| c.at)
            {
                counts.remove(&oldest);
            }
            let count = counts.entry(user).or_insert(Count { at, contacts: 0, under_way: 0, ended });
            // Those that were being made while it was counted may be in the count, or not.
            (count.at, count.contacts) = (at, counted + count.under_way + (count.ended - ended).max(0));
            if count.take(number, self.most) {
                return Ok(Some(Leave { quota: self, user, number }));
            }
            drop(counts);
            thread::sleep(PAUSE);
        }
        Err(Error::Unavailable("other contacts of this user are being made, and may take the last places".to_owned()))
    }

    /// The same where it needs no count and no wait.
    pub(super) fn leave_now(&self, user: i64, number: i64) -> Option<Leave<'_>> {
        let mut counts = self.counts.lock();
        let trusted = counts.get_mut(&user).filter(|count| count.at.elapsed() < TRUSTED);
        let has_room = self.most == 0 || trusted.is_some_and(|count| count.take(number, self.most));
        has_room.then(|| Leave { quota: self, user, number })
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.quota.counts.lock().get_mut(&self.user) {
            count.under_way -= self.number;
            count.ended += self.number;
        }
    }
}
