//! The watch over the workers: it answers in the place of those who are stuck, replaces them, and turns away who has waited
//! too long for a turn.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{BLOCKED, Lanes, Place, Role, TURN_LIMIT};
use crate::api::endpoint::Lane;
use crate::api::problem::Error;

/// How often the lanes are looked at while somebody works.
const TICK: Duration = Duration::from_millis(50);
/// The same while nobody does.
const IDLE_TICK: Duration = Duration::from_millis(200);
/// A request that waits for the database is answered 503 so long after it arrived. The contract says 3 s; finding out whether
/// the database is away takes half a second more for whoever comes next, and a tick.
const TIME_LIMIT: Duration = Duration::from_millis(2_100);
/// But the database has so much time for an answer, as the request may have waited long for its turn, or for a hash.
const AT_LEAST: Duration = Duration::from_millis(400);
/// However many statements it has: after this time, none may take long.
const LAST_LIMIT: Duration = Duration::from_millis(2_750);
const AT_LAST: Duration = Duration::from_millis(150);
/// The time limit of requests that may take long, as the table of routes says.
const PATIENT_LIMIT: Duration = Duration::from_secs(120);
/// Workers that were left behind, for each worker of all lanes. Beyond that the lanes shrink.
const LEFT_BEHIND: usize = 3;

/// Looks at the lanes for as long as they are there.
pub(super) fn run(lanes: &Weak<Lanes>) {
    while let Some(lanes) = lanes.upgrade() {
        let tick = if lanes.look() { TICK } else { IDLE_TICK };
        drop(lanes);
        thread::sleep(tick);
    }
}

impl Lanes {
    /// Answers in the place of workers that have taken too long, and those who have waited too long for a turn. Whether
    /// anybody works.
    fn look(self: &Arc<Lanes>) -> bool {
        let (now, is_away) = (Instant::now(), self.app.context.store.is_away());
        let places = self.places.lock().clone();
        let left_behind = places.iter().filter(|place| place.work.lock().left_behind).count();
        let most = LEFT_BEHIND * (self.workers.read + self.workers.write + 2 * self.workers.slow);
        let mut overdue = 0;
        for place in &places {
            let mut work = place.work.lock();
            let Some((request, since)) = work.request.clone().filter(|_| !work.left_behind) else {
                continue;
            };
            // A batch that takes long makes room for another, so that nobody waits behind one that is stuck.
            if now > since + BLOCKED {
                self.done(place.role, work.kind.take());
            }
            let Some(waited) = place.wait.elapsed() else {
                continue;
            };
            let is_patient = self.app.route(&request).is_some_and(|route| route.is_patient);
            let (limit, last) = if is_patient { (PATIENT_LIMIT, PATIENT_LIMIT) } else { (TIME_LIMIT, LAST_LIMIT) };
            let age = request.arrived().elapsed();
            let is_overdue = waited > AT_LEAST && (is_away || age > limit) || waited > AT_LAST && age > last;
            if is_overdue && left_behind + overdue < most {
                work.left_behind = true;
                overdue += 1;
                let others = std::mem::take(&mut work.others);
                drop(work);
                for request in others.iter().chain([&request]) {
                    self.turn_away(request, Error::Unavailable("the database did not answer in time".to_owned()));
                }
                self.replace(place.role);
            }
        }
        if overdue > 0 {
            let waited = places.iter().filter_map(|place| place.wait.elapsed()).max();
            self.app.context.store.doubt(waited.unwrap_or_default());
        }
        self.fill_up();
        [Lane::Write, Lane::Hash, Lane::File].into_iter().for_each(|lane| self.start(lane));
        self.turn_away_late(now, is_away, left_behind + overdue > 0);
        self.relieve_readers(now, &places);
        places.iter().any(|place| place.work.lock().request.is_some())
    }

    fn turn_away_late(&self, now: Instant, is_away: bool, is_sick: bool) {
        let mut late = self.server.take_older(now - TURN_LIMIT);
        for queue in [&self.write, &self.hash, &self.file] {
            let than = if is_away { now } else { now - queue.turn_limit };
            late.append(&mut queue.state.lock().waiting.take(|request| request.arrived() < than));
        }
        for request in late {
            let sick = || Error::Unavailable("the database does not answer".to_owned());
            self.turn_away(&request, if is_away || is_sick { sick() } else { Error::OverShare });
        }
    }

    /// A fresh worker for one that is left behind.
    fn replace(self: &Arc<Lanes>, role: Role) {
        match role {
            Role::Reader => *self.readers.lock() -= 1,
            Role::Lane(lane, holder) => {
                self.finish(lane, holder);
                self.start(lane);
            }
            // The extra readers: the same look sees that they are missing, as it does for readers.
            Role::Instant | Role::Reserve => {}
        }
    }

    /// Starts the extra readers when all have been busy for a moment; they leave when one is free.
    fn relieve_readers(self: &Arc<Lanes>, now: Instant, places: &[Arc<Place>]) {
        let is_there = |role: Role| places.iter().any(|place| place.role == role && !place.work.lock().left_behind);
        let is_busy = |place: &Place| {
            let work = place.work.lock();
            work.left_behind || work.request.as_ref().is_some_and(|(_, since)| now > *since + BLOCKED)
        };
        let blocked = places.iter().filter(|place| place.role == Role::Reader).all(|place| is_busy(place));
        self.blocked.store(blocked, Relaxed);
        for role in [Role::Instant, Role::Reserve] {
            if blocked && !is_there(role) {
                self.spawn(role, |lanes, place, has_thread| {
                    if has_thread {
                        lanes.relieve(place);
                    }
                });
            }
        }
    }
}
