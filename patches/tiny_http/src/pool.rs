//! Threads on demand, for requests that arrive in pieces and for what is left of slow responses.
//!
//! The published pool counted a thread as idle until it woke, so connections that came together queued up
//! behind one thread and starved. Here a task waits for an idle thread only if there is one for it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread without a task stays. Long enough for clients that often need one, short enough that an idle
/// program has no spare threads.
const LINGERING: Duration = Duration::from_secs(1);

pub(crate) trait Task: Send + 'static {
    fn run(self);
}

pub(crate) struct Pool<T> {
    shared: Arc<Shared<T>>,
    stack: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    wake: Condvar,
}

struct State<T> {
    tasks: VecDeque<T>,
    /// Threads that wait for a task or are on their way to. All of `tasks` is for them, so `tasks.len() <= idle`
    /// always holds while the lock is free.
    idle: usize,
}

impl<T: Task> Pool<T> {
    /// A pool without threads; each that it starts has `stack` bytes of stack.
    pub(crate) fn new(stack: usize) -> Pool<T> {
        Pool {
            shared: Arc::new(Shared {
                state: Mutex::new(State { tasks: VecDeque::new(), idle: 0 }),
                wake: Condvar::new(),
            }),
            stack,
        }
    }

    /// Runs `task` on a thread of its own, at once.
    ///
    /// # Errors
    /// The task, when the system gives no thread.
    pub(crate) fn spawn(&self, task: T) -> Result<(), T> {
        let mut state = self.shared.lock();
        if state.tasks.len() < state.idle {
            state.tasks.push_back(task);
            drop(state);
            self.shared.wake.notify_one();
            return Ok(());
        }
        // Under the lock, so that the task can be had back: nobody else takes it meanwhile.
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .stack_size(self.stack)
            .spawn(move || while shared.run_one() {});
        match thread {
            Ok(_) => {
                state.idle += 1;
                state.tasks.push_back(task);
                Ok(())
            }
            Err(error) => {
                log::warn!("no thread for a connection: {error}");
                Err(task)
            }
        }
    }
}

impl<T: Task> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No task runs under the lock, so a panic cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a task and runs it; false when none came. The thread must be counted as idle.
    fn run_one(&self) -> bool {
        let state = self.lock();
        let (mut state, _) = self
            .wake
            .wait_timeout_while(state, LINGERING, |state| state.tasks.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        let Some(task) = state.tasks.pop_front() else {
            return false;
        };
        drop(state);
        task.run();
        self.lock().idle += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    impl<F: FnOnce() + Send + 'static> Task for F {
        fn run(self) {
            self();
        }
    }

    #[test]
    fn an_idle_thread_counts_for_one_task_only() {
        let pool = Pool::new(64 * 1024);
        // A thread that is about to wake, for ever.
        pool.shared.lock().idle = 1;
        let (sender, receiver) = mpsc::channel();
        for number in 1..=3 {
            let sender = sender.clone();
            assert!(pool.spawn(move || sender.send(number).unwrap()).is_ok());
        }
        // It can take one of them. The others have threads of their own.
        for _ in 0..2 {
            receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        }
    }
}
