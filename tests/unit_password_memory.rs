//! What hashing passwords does to the memory of the process. Alone in its binary, since a process
//! has one peak.
#![cfg(target_os = "linux")]

use contactd::security::password;
use contactd::system::memory;

/// The most memory that this process ever had in use, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hash_takes_19_mib_and_gives_them_back() {
    memory::return_large_blocks();
    let before = peak();
    let phc = password::hash("123456");
    let one = peak() - before;
    // The kernel counts a thread's pages in batches of 64, and what was in use before may have been freed since.
    assert!((19_456 - 512..24_000).contains(&one), "one hash took {one} KiB");
    for _ in 0..40 {
        assert!(password::verify(&phc, "123456"));
    }
    let all = peak() - before;
    assert!(all < 24_000, "41 hashes took {all} KiB at once");
}
