//! Memory that was freed goes back to the system, so that what one flood took is not missing for ever after.
//!
//! It is about glibc's allocator and does nothing elsewhere. Another allocator would mend this too, at some 100 kB of C.

/// Makes glibc give each block of 256 KiB or more back when it is freed. To be called first in `main`, while there is one
/// thread.
///
/// Without it, glibc stops doing so after the first such block, and then finds no use for a freed block that was aligned to
/// more than 16 bytes, as argon2's are (glibc bug 14581, seen in 2.36): a thread that hashed 15 passwords held 290 MB, four
/// threads a gigabyte. With it, a thread holds 19 MiB while it hashes and nothing after, at the same speed.
///
/// The number is small for the sake of request bodies: with 1 MiB, a hundred uploads at once left 11 MiB behind.
pub fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: both calls only store a number in the allocator's settings. There is no safe way to them, and no other way
    // from inside a program.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
        // What is below that size stays: glibc's own rule is twice the other, which it no longer applies once the other is
        // set.
        libc::mallopt(libc::M_TRIM_THRESHOLD, 512 << 10);
    }
}

/// Gives back what smaller blocks have left behind, when there is enough of it. glibc does so by itself only for what is
/// free at the very end of an arena, and one block that stays keeps all before it: forty lists of 10 MB, in rows of 10 kB,
/// left 50 MiB behind.
pub struct Keeper {
    /// Resident bytes when there was nothing to do yet, or fewer. It never rises: of what is resident while there is much to
    /// do, nobody can say how much will be free a moment later.
    least: u64,
}

/// What is worth the time that glibc takes to look through its arenas, each locked meanwhile.
const WORTH: u64 = 4 << 20;

impl Keeper {
    /// To be made before the first request.
    pub fn at_start() -> Keeper {
        Keeper { least: resident().unwrap_or(0) }
    }

    /// Looks how much there is; to be called every few seconds.
    pub fn look(&mut self) {
        let Some(now) = resident() else {
            return;
        };
        self.least = self.least.min(now);
        if now > self.least + WORTH {
            trim();
        }
    }
}

/// Resident memory in bytes, by proc(5).
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes the allocator's own locks, and touches nothing that is in use. There is no safe way to it.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}
