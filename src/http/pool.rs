//! Threads on demand, for whatever may have to wait: requests that arrive in pieces, slow readers, streams, the program's
//! lanes. They are one pool, so that a thread which one of them is done with serves the next.
//!
//! The published pool counted a thread as idle until it woke, so connections that came together queued up behind one
//! thread and starved (fault 1). Here a task waits for an idle thread only if there is one for it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long a thread without a task stays. Long enough for a client that writes now and then, short enough that an idle
/// program has no spare threads.
const LINGERING: Duration = Duration::from_secs(1);

type Task = Box<dyn FnOnce(bool) + Send>;

/// A pool; clones share their threads.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
    stack: usize,
}

#[derive(Default)]
struct Inner {
    tasks: Mutex<Tasks>,
    wake: Condvar,
}

#[derive(Default)]
struct Tasks {
    waiting: VecDeque<Task>,
    /// Threads that wait for a task or are on their way to. All of `waiting` is for them, so `waiting.len() <= idle` holds
    /// while the lock is free.
    idle: usize,
}

impl Pool {
    /// A pool without threads; each that it starts has `stack` bytes of stack.
    pub fn new(stack: usize) -> Pool {
        Pool { inner: Arc::default(), stack }
    }

    /// Runs `task(true)` on a thread of the pool, at once; `task(false)` here where the system gives no thread.
    pub fn spawn(&self, task: impl FnOnce(bool) + Send + 'static) {
        let mut tasks = self.inner.tasks.lock();
        tasks.waiting.push_back(Box::new(task));
        if tasks.waiting.len() <= tasks.idle {
            drop(tasks);
            self.inner.wake.notify_one();
            return;
        }
        // Under the lock, so that the task can be had back: nobody else takes it meanwhile.
        let inner = Arc::clone(&self.inner);
        let thread = thread::Builder::new().name("http".to_owned()).stack_size(self.stack);
        match thread.spawn(move || while inner.run_one() {}) {
            Ok(_) => tasks.idle += 1,
            Err(error) => {
                let task = tasks.waiting.pop_back();
                drop(tasks);
                log::warn!("the system gives no thread: {error}");
                if let Some(task) = task {
                    task(false);
                }
            }
        }
    }
}

impl Inner {
    /// Waits for a task and runs it; false when none came. The thread must be counted as idle.
    fn run_one(&self) -> bool {
        let mut tasks = self.tasks.lock();
        self.wake.wait_while_for(&mut tasks, |tasks| tasks.waiting.is_empty(), LINGERING);
        tasks.idle -= 1;
        let Some(task) = tasks.waiting.pop_front() else {
            return false;
        };
        drop(tasks);
        // A task that panics ends itself alone; the panic hook has logged it.
        let _ = catch_unwind(AssertUnwindSafe(|| task(true)));
        self.tasks.lock().idle += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_idle_thread_counts_for_one_task_only() {
        let pool = Pool::new(64 * 1024);
        // A thread that is about to wake, for ever.
        pool.inner.tasks.lock().idle = 1;
        let (sender, receiver) = mpsc::channel();
        for number in 1..=3 {
            let sender = sender.clone();
            pool.spawn(move |has_thread| {
                assert!(has_thread);
                sender.send(number).unwrap();
            });
        }
        // It can take one of them. The others have threads of their own.
        for _ in 0..2 {
            receiver.recv_timeout(Duration::from_secs(20)).unwrap();
        }
    }

    #[test]
    fn a_thread_serves_again_after_a_task_that_panicked() {
        let pool = Pool::new(64 * 1024);
        let (sender, receiver) = mpsc::channel();
        pool.spawn(|_| panic!("as the test asked for"));
        pool.spawn(move |_| sender.send(()).unwrap());
        receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
