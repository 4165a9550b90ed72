//! Freed memory goes back to the system, so that what one flood took is not held for ever after.
//!
//! This is about glibc's allocator and does nothing elsewhere. Another allocator would also do it, at some 100 kB of C.

/// Makes glibc give back each block of 256 KiB or more when it is freed. Call it first in `main`, while there is one thread.
///
/// Without it, glibc stops doing so after the first such block, and then cannot reuse a freed block that was aligned to more
/// than 16 bytes, as argon2's are (glibc bug 14581, seen in 2.36): a thread that hashed 15 passwords held 290 MB, four threads
/// held a gigabyte. With it, a thread holds 19 MiB while it hashes and nothing afterwards, at the same speed.
///
/// The threshold is low for the sake of request bodies: with 1 MiB, a hundred uploads at once left 11 MiB behind.
pub fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: both calls only store a number in the allocator's settings. There is no safe way to make them, and no other
    // way to set this from inside a program.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
        // How much free memory may stay at the end of an arena. glibc's own rule, twice the threshold, ends once the
        // threshold is set.
        libc::mallopt(libc::M_TRIM_THRESHOLD, 512 << 10);
    }
}

/// Gives back what smaller blocks leave behind, when there is enough of it. By itself glibc gives back only what is free at the
/// very end of an arena, so one block in use holds all the memory before it: forty lists of 10 MB, in rows of 10 kB, left
/// 50 MiB behind.
pub struct Trimmer {
    /// The fewest resident bytes so far, counted from before the first request. It never rises, since under load nobody can say
    /// how much of what is resident will be free a moment later.
    least: u64,
}

/// glibc locks each arena while it looks through it. Fewer bytes than these are not worth that.
const WORTHWHILE: u64 = 4 << 20;

impl Trimmer {
    /// Create it before the first request.
    pub fn at_start() -> Trimmer {
        Trimmer { least: resident().unwrap_or(0) }
    }

    /// Gives memory back if that is worthwhile. Call it every few seconds.
    pub fn trim(&mut self) {
        if let Some(now) = resident() {
            self.least = self.least.min(now);
            if now > self.least + WORTHWHILE {
                trim_arenas();
            }
        }
    }
}

/// Resident memory in bytes, by proc(5).
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn trim_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the call takes the allocator's own locks and touches nothing that is in use. There is no safe way to make it.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}
