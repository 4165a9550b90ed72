//! A number of units that all connections share: bytes of bodies, bytes of responses, streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The units that may be out at once.
pub(super) struct Budget {
    out: AtomicUsize,
    most: usize,
}

/// Units taken from a [`Budget`]; they go back when it is dropped, whatever path leads there.
pub(super) struct Permit {
    budget: Arc<Budget>,
    held: usize,
}

impl Budget {
    pub(super) fn new(most: usize) -> Arc<Budget> {
        Arc::new(Budget { out: AtomicUsize::new(0), most })
    }

    /// Takes `units`, or nothing when fewer are left.
    pub(super) fn take(self: &Arc<Budget>, units: usize) -> Option<Permit> {
        let mut permit = Permit { budget: Arc::clone(self), held: 0 };
        permit.grow(units).then_some(permit)
    }
}

impl Permit {
    /// Takes `more` units on top; false, with nothing taken, when fewer are left.
    pub(super) fn grow(&mut self, more: usize) -> bool {
        // Relaxed: the count guards no other memory.
        let fits = |out: usize| out.checked_add(more).filter(|sum| *sum <= self.budget.most);
        let taken = self.budget.out.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if taken {
            self.held += more;
        }
        taken
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.budget.out.fetch_sub(self.held, Relaxed);
    }
}
