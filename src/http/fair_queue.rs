//! What waits, in turns: first round the networks, then round the users within a network, so that whoever sends much waits
//! behind their own requests and not before others'. What is of one kind can be done together with what waits.

use std::collections::VecDeque;

use super::budget::{Holder, Network};

/// What things are that may be done together, several of one kind at once; `None` for what is done alone.
pub type Kind = Option<usize>;

type Items<T> = VecDeque<(Kind, T)>;
type Users<T> = VecDeque<(Holder, Items<T>)>;

/// Things that wait, each for its holder. The holders are few compared with what waits, so they are looked for in a row.
pub struct FairQueue<T> {
    networks: VecDeque<(Network, Users<T>)>,
    len: usize,
    /// By kind.
    tallies: Vec<Tally>,
    /// How many batches of one kind are under way at once. What comes meanwhile makes the next batch: the fewer are under way,
    /// the larger they are, and the less each thing costs.
    batches: usize,
}

#[derive(Default)]
struct Tally {
    waiting: usize,
    /// Batches under way.
    under_way: usize,
}

/// What was taken, and from whom.
pub struct Taken<T> {
    /// Whose it was.
    pub holder: Holder,
    /// Its kind, which counts as under way until [`FairQueue::done`].
    pub kind: Kind,
    /// The thing.
    pub item: T,
}

impl<T> FairQueue<T> {
    /// A queue that has so many batches of one kind under way at once.
    pub fn new(batches: usize) -> FairQueue<T> {
        FairQueue { networks: VecDeque::new(), len: 0, tallies: Vec::new(), batches }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All that wait, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let users = self.networks.iter().flat_map(|(_, users)| users);
        users.flat_map(|(_, items)| items).map(|(_, item)| item)
    }

    /// How many could be taken now.
    pub fn ready(&self) -> usize {
        let held_back = |tally: &Tally| tally.waiting.saturating_sub(self.batches.saturating_sub(tally.under_way));
        self.len - self.tallies.iter().map(held_back).sum::<usize>()
    }

    /// Puts one behind its holder's others.
    pub fn push(&mut self, holder: Holder, kind: Kind, item: T) {
        let users = match self.networks.iter().position(|(network, _)| *network == holder.network) {
            Some(at) => &mut self.networks[at].1,
            None => {
                self.networks.push_back((holder.network, VecDeque::new()));
                let last = self.networks.len() - 1;
                &mut self.networks[last].1
            }
        };
        match users.iter_mut().find(|(other, _)| *other == holder) {
            Some((_, items)) => items.push_back((kind, item)),
            None => users.push_back((holder, VecDeque::from([(kind, item)]))),
        }
        self.len += 1;
        if let Some(kind) = kind {
            let kinds = self.tallies.len().max(kind + 1);
            self.tallies.resize_with(kinds, Tally::default);
            self.tallies[kind].waiting += 1;
        }
    }

    /// The first item of the holder whose turn it is, of those that may have one, and of the kinds that may have a batch more
    /// under way. `anyway` takes it however many there are.
    pub fn pop(&mut self, may: impl Fn(&Holder) -> bool, anyway: bool) -> Option<Taken<T>> {
        if self.ready() == 0 && !anyway {
            return None;
        }
        let FairQueue { networks, tallies, batches, .. } = self;
        let is_free = |kind: Kind| anyway || kind.is_none_or(|kind| tallies[kind].under_way < *batches);
        let first_of = |items: &Items<T>| items.iter().position(|(kind, _)| is_free(*kind));
        for at in 0..networks.len() {
            let mut users = networks[at].1.iter().enumerate();
            let found = users
                .find_map(|(user, (holder, items))| may(holder).then(|| first_of(items))?.map(|item| (user, item)));
            let Some((user, item)) = found else {
                continue;
            };
            // Both go to the end of their rows, the user only while something of theirs waits.
            let mut network = networks.remove(at)?;
            let (holder, mut items) = network.1.remove(user)?;
            let (kind, item) = items.remove(item)?;
            if !items.is_empty() {
                network.1.push_back((holder, items));
            }
            if !network.1.is_empty() {
                networks.push_back(network);
            }
            self.forget(kind);
            kind.iter().for_each(|kind| self.tallies[*kind].under_way += 1);
            return Some(Taken { holder, kind, item });
        }
        None
    }

    /// What goes along with one of this kind that was taken: at most so many, one of each holder in turn. It costs them no
    /// turn, and nobody else any time.
    pub fn more(&mut self, kind: Kind, most: usize) -> Vec<T> {
        let waiting = kind.and_then(|kind| self.tallies.get(kind)).map_or(0, |tally| tally.waiting);
        let (most, mut taken) = (most.min(waiting), Vec::new());
        while taken.len() < most {
            for (_, items) in self.networks.iter_mut().flat_map(|(_, users)| users) {
                if taken.len() < most
                    && let Some(at) = items.iter().position(|(other, _)| *other == kind)
                {
                    taken.extend(items.remove(at).map(|(_, item)| item));
                }
            }
        }
        taken.iter().for_each(|_| self.forget(kind));
        if !taken.is_empty() {
            self.tidy();
        }
        taken
    }

    /// A batch of this kind is done.
    pub fn done(&mut self, kind: Kind) {
        kind.iter().for_each(|kind| self.tallies[*kind].under_way -= 1);
    }

    /// Takes out what fulfils a condition.
    pub fn take(&mut self, mut is_wanted: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut taken = Vec::new();
        for (_, items) in self.networks.iter_mut().flat_map(|(_, users)| users) {
            let (out, left): (Items<T>, _) = std::mem::take(items).into_iter().partition(|(_, item)| is_wanted(item));
            *items = left;
            taken.extend(out);
        }
        taken.iter().for_each(|(kind, _)| self.forget(*kind));
        self.tidy();
        taken.into_iter().map(|(_, item)| item).collect()
    }

    /// The last item of the holder for whom most wait; `None` where that is `holder`, or where everybody waits for one.
    pub fn pop_for(&mut self, holder: Holder) -> Option<T> {
        let all = self.networks.iter_mut().flat_map(|(_, users)| users.iter_mut());
        let (longest, items) = all.max_by_key(|(_, items)| items.len())?;
        if *longest == holder || items.len() < 2 {
            return None;
        }
        let (kind, item) = items.pop_back()?;
        self.forget(kind);
        Some(item)
    }

    /// One of this kind does not wait any more.
    fn forget(&mut self, kind: Kind) {
        self.len -= 1;
        kind.iter().for_each(|kind| self.tallies[*kind].waiting -= 1);
    }

    /// Drops the rows in which nothing waits.
    fn tidy(&mut self) {
        self.networks.iter_mut().for_each(|(_, users)| users.retain(|(_, items)| !items.is_empty()));
        self.networks.retain(|(_, users)| !users.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(address: &str, user: i64) -> Holder {
        Holder { network: Network::of(address.parse().unwrap()), user: Some(user) }
    }

    fn order(turns: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| turns.pop(|_| true, false)).map(|taken| taken.item).collect()
    }

    #[test]
    fn turns_go_round_networks_and_then_round_users() {
        let mut turns = FairQueue::new(1);
        for (address, user, item) in [
            ("10.0.0.1", 1, "a1"),
            ("10.0.0.1", 1, "a2"),
            ("10.0.0.1", 1, "a3"),
            ("10.0.0.1", 2, "b1"),
            ("10.0.0.2", 3, "c1"),
            ("10.0.0.2", 3, "c2"),
        ] {
            turns.push(holder(address, user), None, item);
        }
        assert_eq!(turns.len(), 6);
        assert_eq!(order(&mut turns), ["a1", "c1", "b1", "c2", "a2", "a3"]);
        assert!(turns.is_empty() && turns.networks.is_empty());
    }

    #[test]
    fn one_who_may_not_is_passed_over_and_keeps_the_place() {
        let (a, b) = (holder("10.0.0.1", 1), holder("10.0.0.2", 2));
        let mut turns = FairQueue::new(1);
        for (holder, item) in [(a, "a1"), (a, "a2"), (b, "b1")] {
            turns.push(holder, None, item);
        }
        assert_eq!(turns.pop(|holder| *holder != a, false).map(|taken| taken.item), Some("b1"));
        assert_eq!(turns.pop(|holder| *holder != a, false).map(|taken| taken.item), None);
        assert_eq!(order(&mut turns), ["a1", "a2"]);
    }

    #[test]
    fn where_there_is_no_room_whoever_waits_most_gives_way() {
        let (a, b) = (holder("10.0.0.1", 1), holder("10.0.0.1", 2));
        let mut turns = FairQueue::new(1);
        for (holder, item) in [(b, "b1"), (a, "a1"), (a, "a2")] {
            turns.push(holder, None, item);
        }
        assert_eq!(turns.pop_for(a), None, "not for oneself");
        assert_eq!(turns.pop_for(b), Some("a2"));
        assert_eq!(turns.pop_for(b), None, "of one each, nobody does");
        assert_eq!(turns.take(|item| *item == "b1"), ["b1"]);
        assert_eq!(order(&mut turns), ["a1"]);
    }

    #[test]
    fn what_is_of_one_kind_goes_along_one_of_each_holder_in_turn() {
        let (a, b, c) = (holder("10.0.0.1", 1), holder("10.0.0.1", 2), holder("10.0.0.2", 3));
        let mut turns = FairQueue::new(1);
        for (holder, kind, item) in [
            (a, Some(7), "a1"),
            (a, Some(7), "a2"),
            (a, Some(7), "a3"),
            (b, None, "b1"),
            (b, Some(7), "b2"),
            (c, Some(2), "c1"),
            (c, Some(7), "c2"),
        ] {
            turns.push(holder, kind, item);
        }
        // One of each kind that goes in batches, and the one that does not.
        assert_eq!(turns.ready(), 3);
        let first = turns.pop(|_| true, false).expect("all may");
        assert_eq!((first.item, first.kind), ("a1", Some(7)));
        let mut along = turns.more(first.kind, 3);
        along.sort_unstable();
        assert_eq!(along, ["a2", "b2", "c2"]);
        // Another batch of the kind waits until this one is done.
        assert_eq!(turns.ready(), 2);
        assert_eq!(order(&mut turns), ["c1", "b1"]);
        assert_eq!(turns.ready(), 0);
        assert_eq!(turns.pop(|_| true, true).map(|taken| taken.item), Some("a3"), "or is taken anyway");
        turns.push(a, Some(7), "a4");
        turns.done(first.kind);
        assert_eq!(turns.ready(), 0);
        turns.done(Some(7));
        assert_eq!(order(&mut turns), ["a4"]);
        assert!(turns.is_empty() && turns.networks.is_empty());
    }
}
