//! The processes that work in a folder. A folder of a test's own names exactly what it started, children of children included, which
//! a list of process ids could not.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Those whose current directory is this one or below it.
pub fn within(folder: &Path) -> Vec<i32> {
    let all = fs::read_dir("/proc").expect("/proc is there").flatten();
    let mut pids: Vec<i32> = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.retain(|pid| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder)));
    pids
}

/// Stops all of them with SIGSTOP, as a machine does that hangs.
pub fn stop(folder: &Path) {
    // A parent is among the first, so there will be no new ones for ever.
    act(folder, Signal::STOP, is_stopped);
}

/// Lets all of them go on.
pub fn go_on(folder: &Path) {
    within(folder).into_iter().for_each(|pid| signal(pid, Signal::CONT));
}

/// Ends all of them with SIGKILL, as a machine does that loses its power.
pub fn kill(folder: &Path) {
    act(folder, Signal::KILL, |_| false);
}

/// Sends the signal until each of them is in the state that it leads to.
fn act(folder: &Path, what: Signal, is_done: impl Fn(i32) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    assert!(!within(folder).is_empty(), "nothing runs in {}", folder.display());
    loop {
        let mut left = within(folder);
        left.retain(|pid| !is_done(*pid));
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what:?} did nothing to {left:?} in {}", folder.display());
        left.into_iter().for_each(|pid| signal(pid, what));
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_stopped(pid: i32) -> bool {
    // The state stands behind the name, which is in parentheses. One that is gone, or about to be, does nothing either.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
}

fn signal(pid: i32, signal: Signal) {
    // It may have ended meanwhile.
    let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, signal));
}
