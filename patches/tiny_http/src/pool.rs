//! Threads on demand for connections and for what is left of slow responses.
//!
//! The published pool counted a thread as idle until it woke, so connections that came together queued up
//! behind one thread and starved. Here a job waits for an idle thread only if there is one for it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread without a job stays. Long enough to serve a client that connects for each request,
/// short enough that an idle program has no spare threads.
const LINGERING: Duration = Duration::from_secs(1);

pub(crate) type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Pool {
    shared: Arc<Shared>,
    stack: usize,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// Threads that wait for a job, those woken but not yet running included. All of `jobs` is for them,
    /// so `jobs.len() <= idle` always holds while the lock is free.
    idle: usize,
}

impl Pool {
    /// A pool without threads; each that it starts has `stack` bytes of stack.
    pub(crate) fn new(stack: usize) -> Pool {
        Pool {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    jobs: VecDeque::new(),
                    idle: 0,
                }),
                wake: Condvar::new(),
            }),
            stack,
        }
    }

    /// Runs `job` on a thread of its own, at once. False, with the job dropped, when the system gives no thread.
    pub(crate) fn spawn(&self, job: Job) -> bool {
        let mut state = self.shared.lock();
        if state.idle > state.jobs.len() {
            state.jobs.push_back(job);
            drop(state);
            self.shared.wake.notify_one();
            return true;
        }
        drop(state);
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .stack_size(self.stack)
            .spawn(move || run(&shared, Some(job)));
        if let Err(error) = &thread {
            log::warn!("no thread for a connection: {error}");
        }
        thread.is_ok()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs under the lock, so a panic cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run(shared: &Shared, mut job: Option<Job>) {
    while let Some(work) = job.take() {
        work();
        job = next(shared);
    }
}

fn next(shared: &Shared) -> Option<Job> {
    let mut state = shared.lock();
    state.idle += 1;
    let (mut state, _) = shared
        .wake
        .wait_timeout_while(state, LINGERING, |state| state.jobs.is_empty())
        .unwrap_or_else(PoisonError::into_inner);
    state.idle -= 1;
    state.jobs.pop_front()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_idle_thread_counts_for_one_job_only() {
        let pool = Pool::new(64 * 1024);
        // A thread that is about to wake, for ever.
        pool.shared.lock().idle = 1;
        let (sender, receiver) = mpsc::channel();
        for number in 1..=3 {
            let sender = sender.clone();
            assert!(pool.spawn(Box::new(move || sender.send(number).unwrap())));
        }
        // It can take one of them. The others have threads of their own.
        for _ in 0..2 {
            receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        }
    }
}
