//! A number of units that all clients share: bytes of bodies, bytes of responses, streams. It is handed out so that nobody can
//! take it all: a quarter stays free for those who hold none.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// A client's network: an IPv4 address, or an IPv6 /48, which is what one customer commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(u64);

impl Network {
    /// The network of an address; an IPv4-mapped IPv6 address is an IPv4 address.
    pub fn of(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(v4) => Network(u64::from(u32::from(v4))),
            IpAddr::V6(v6) => Network(1 << 63 | (u128::from(v6) >> 80) as u64),
        }
    }

    /// A number that no other network has.
    pub fn number(self) -> i64 {
        self.0.cast_signed()
    }
}

/// Who holds something that is shared: a user in a network, or whoever is there without a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Where the request comes from.
    pub network: Network,
    /// The user, where a token says who it is.
    pub user: Option<i64>,
}

/// The units that may be out at once.
pub(super) struct Budget {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    total: usize,
    by_holder: HashMap<Holder, usize>,
    by_network: HashMap<Network, usize>,
}

/// Units taken from a [`Budget`]; they go back when it is dropped, whatever path leads there.
pub(super) struct Permit {
    budget: Arc<Budget>,
    holder: Holder,
    units: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Arc<Budget> {
        Arc::new(Budget { most, held: Mutex::default() })
    }

    /// Takes `units`, or nothing when too few are left for this holder.
    pub(super) fn take(self: &Arc<Budget>, holder: Holder, units: usize) -> Option<Permit> {
        let mut permit = Permit { budget: Arc::clone(self), holder, units: 0 };
        permit.grow(units).then_some(permit)
    }
}

impl Permit {
    /// Takes `more` units on top; false, with nothing taken, when too few are left. What one request needs it takes step by
    /// step, and what it holds by itself does not count against it.
    pub(super) fn grow(&mut self, more: usize) -> bool {
        let (most, Holder { network, .. }) = (self.budget.most, self.holder);
        let mut held = self.budget.held.lock();
        let others = |held: Option<&usize>| held.copied().unwrap_or(0) - self.units;
        // The last eighth is for networks that hold none, the one before it for users who hold none.
        let limit = match (others(held.by_network.get(&network)), others(held.by_holder.get(&self.holder))) {
            (0, _) => most,
            (_, 0) => most - most / 8,
            _ => most - most / 4,
        };
        if held.total.checked_add(more).is_none_or(|total| total > limit) {
            return false;
        }
        held.total += more;
        *held.by_holder.entry(self.holder).or_default() += more;
        *held.by_network.entry(network).or_default() += more;
        self.units += more;
        true
    }

    /// How much is held by the network of whoever holds this, and by that holder: if they are to make room in this budget for
    /// `units` of another, who will then not hold more than they do.
    pub(super) fn gives_way(&self, budget: &Arc<Budget>, holder: Holder, units: usize) -> Option<(usize, usize)> {
        let held = self.budget.held.lock();
        let of = |holder: Holder| {
            let network = held.by_network.get(&holder.network).copied().unwrap_or(0);
            (network, held.by_holder.get(&holder).copied().unwrap_or(0))
        };
        let (here, there) = (of(self.holder), of(holder));
        let is_more = match self.holder.network == holder.network {
            true => here.1 >= there.1 + units,
            false => here.0 >= there.0 + units,
        };
        (is_more && Arc::ptr_eq(&self.budget, budget)).then_some(here)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut held = self.budget.held.lock();
        held.total -= self.units;
        give_back(&mut held.by_holder, self.holder, self.units);
        give_back(&mut held.by_network, self.holder.network, self.units);
    }
}

fn give_back<K: std::hash::Hash + Eq>(held: &mut HashMap<K, usize>, key: K, units: usize) {
    if let Some(left) = held.get_mut(&key) {
        *left -= units;
        if *left == 0 {
            held.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(address: &str, user: i64) -> Holder {
        Holder { network: Network::of(address.parse().unwrap()), user: Some(user) }
    }

    #[test]
    fn a_quarter_stays_free_for_those_who_hold_none() {
        let budget = Budget::new(16);
        let (first, neighbour, stranger) = (holder("10.0.0.1", 1), holder("10.0.0.1", 2), holder("10.0.0.2", 1));
        let most: Vec<_> = std::iter::from_fn(|| budget.take(first, 1)).collect();
        assert_eq!(most.len(), 12);
        assert!(budget.take(neighbour, 3).is_none());
        let second = budget.take(neighbour, 2).expect("half of the rest is for another user of the network");
        assert!(budget.take(holder("10.0.0.1", 3), 1).is_none());
        let third = budget.take(stranger, 2).expect("and half of it for another network");
        assert!(budget.take(holder("10.0.0.3", 1), 1).is_none());
        drop((most, second, third));
        assert!(budget.take(first, 16).is_some(), "all of it has come back");
        assert!(budget.take(first, 17).is_none());
    }

    #[test]
    fn what_a_request_holds_itself_does_not_count_against_it() {
        let budget = Budget::new(16);
        let mut alone = budget.take(holder("10.0.0.1", 1), 8).unwrap();
        assert!(alone.grow(8));
        assert!(!alone.grow(1));
    }

    #[test]
    fn networks_are_told_apart_as_the_contract_says() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:ffff::2"));
        assert_ne!(network("2001:db8:1::1"), network("2001:db8:2::1"));
    }
}
