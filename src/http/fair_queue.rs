//! What waits, in turns: first round the networks, then round the users within a network, so that whoever sends much waits
//! behind their own requests and not before others'.

use std::collections::VecDeque;

use super::budget::{Holder, Network};

type Users<T> = VecDeque<(Holder, VecDeque<T>)>;

/// Things that wait, each for its holder. The holders are few compared with what waits, so they are looked for in a row.
pub struct FairQueue<T> {
    networks: VecDeque<(Network, Users<T>)>,
    len: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> FairQueue<T> {
        FairQueue { networks: VecDeque::new(), len: 0 }
    }
}

impl<T> FairQueue<T> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts one behind its holder's others.
    pub fn push(&mut self, holder: Holder, item: T) {
        let users = match self.networks.iter().position(|(network, _)| *network == holder.network) {
            Some(at) => &mut self.networks[at].1,
            None => {
                self.networks.push_back((holder.network, VecDeque::new()));
                let last = self.networks.len() - 1;
                &mut self.networks[last].1
            }
        };
        match users.iter_mut().find(|(other, _)| *other == holder) {
            Some((_, items)) => items.push_back(item),
            None => users.push_back((holder, VecDeque::from([item]))),
        }
        self.len += 1;
    }

    /// The first item of the holder whose turn it is, of those that may have one.
    pub fn pop(&mut self, may: impl Fn(&Holder) -> bool) -> Option<(Holder, T)> {
        for at in 0..self.networks.len() {
            let (_, users) = &mut self.networks[at];
            let Some(user) = users.iter().position(|(holder, _)| may(holder)) else {
                continue;
            };
            // Both go to the end of their rows, the user only while something of theirs waits.
            let (holder, mut items) = users.remove(user)?;
            let item = items.pop_front();
            if !items.is_empty() {
                users.push_back((holder, items));
            }
            let network = self.networks.remove(at)?;
            if !network.1.is_empty() {
                self.networks.push_back(network);
            }
            self.len -= 1;
            return item.map(|item| (holder, item));
        }
        None
    }

    /// Takes out what fulfils a condition.
    pub fn take(&mut self, mut is_wanted: impl FnMut(&T) -> bool) -> Vec<(Holder, T)> {
        let mut taken = Vec::new();
        for (_, users) in &mut self.networks {
            for (holder, items) in users.iter_mut() {
                let (out, left) = std::mem::take(items).into_iter().partition(|item| is_wanted(item));
                *items = left;
                let out: VecDeque<T> = out;
                taken.extend(out.into_iter().map(|item| (*holder, item)));
            }
            users.retain(|(_, items)| !items.is_empty());
        }
        self.networks.retain(|(_, users)| !users.is_empty());
        self.len -= taken.len();
        taken
    }

    /// The last item of the holder for whom most wait; `None` where that is `holder`, or where everybody waits for one.
    pub fn pop_for(&mut self, holder: Holder) -> Option<T> {
        let all = self.networks.iter_mut().flat_map(|(_, users)| users.iter_mut());
        let (longest, items) = all.max_by_key(|(_, items)| items.len())?;
        if *longest == holder || items.len() < 2 {
            return None;
        }
        self.len -= 1;
        items.pop_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(address: &str, user: i64) -> Holder {
        Holder { network: Network::of(address.parse().unwrap()), user: Some(user) }
    }

    fn order(turns: &mut FairQueue<&'static str>) -> Vec<&'static str> {
        std::iter::from_fn(|| turns.pop(|_| true)).map(|(_, item)| item).collect()
    }

    #[test]
    fn turns_go_round_networks_and_then_round_users() {
        let mut turns = FairQueue::default();
        for (address, user, item) in [
            ("10.0.0.1", 1, "a1"),
            ("10.0.0.1", 1, "a2"),
            ("10.0.0.1", 1, "a3"),
            ("10.0.0.1", 2, "b1"),
            ("10.0.0.2", 3, "c1"),
            ("10.0.0.2", 3, "c2"),
        ] {
            turns.push(holder(address, user), item);
        }
        assert_eq!(turns.len(), 6);
        assert_eq!(order(&mut turns), ["a1", "c1", "b1", "c2", "a2", "a3"]);
        assert!(turns.is_empty() && turns.networks.is_empty());
    }

    #[test]
    fn one_who_may_not_is_passed_over_and_keeps_the_place() {
        let (a, b) = (holder("10.0.0.1", 1), holder("10.0.0.2", 2));
        let mut turns = FairQueue::default();
        for (holder, item) in [(a, "a1"), (a, "a2"), (b, "b1")] {
            turns.push(holder, item);
        }
        assert_eq!(turns.pop(|holder| *holder != a).map(|(_, item)| item), Some("b1"));
        assert_eq!(turns.pop(|holder| *holder != a).map(|(_, item)| item), None);
        assert_eq!(order(&mut turns), ["a1", "a2"]);
    }

    #[test]
    fn where_there_is_no_room_whoever_waits_most_gives_way() {
        let (a, b) = (holder("10.0.0.1", 1), holder("10.0.0.1", 2));
        let mut turns = FairQueue::default();
        for (holder, item) in [(b, "b1"), (a, "a1"), (a, "a2")] {
            turns.push(holder, item);
        }
        assert_eq!(turns.pop_for(a), None, "not for oneself");
        assert_eq!(turns.pop_for(b), Some("a2"));
        assert_eq!(turns.pop_for(b), None, "of one each, nobody does");
        assert_eq!(turns.take(|item| *item == "b1"), [(b, "b1")]);
        assert_eq!(order(&mut turns), ["a1"]);
    }
}
