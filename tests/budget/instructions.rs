//! Instructions of a point read in user space, counted by valgrind's callgrind: the same whatever else the machine does.

use serde_json::json;

use super::system_calls::read_over_one_connection;
use crate::limits::INSTRUCTIONS;
use crate::program;
use crate::support::server::{Setup, database};

/// Runs the program under callgrind, reads so often, and gives the instructions of the whole run.
fn run(reads: usize) -> u64 {
    let database = database();
    let out = std::env::temp_dir().join(format!("contactd-callgrind-{}-{reads}", std::process::id()));
    let valgrind =
        ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", out.display())].map(str::to_owned);
    // One worker and no poll of sessions while it runs, so that two runs differ by their reads alone.
    let mut server = Setup::on(&database).program(program()).under(&valgrind).with("WORKERS", "1").ready();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    read_over_one_connection(&user, id, reads);
    server.signal("TERM");
    assert_eq!(server.wait(std::time::Duration::from_secs(60)).code(), Some(0), "{}", server.log());
    let profile = std::fs::read_to_string(&out).expect("callgrind writes its profile");
    std::fs::remove_file(&out).expect("the profile can be removed");
    let total =
        profile.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    total.and_then(|count| count.trim().parse().ok()).expect("a total")
}

#[test]
fn a_point_read_takes_no_more_instructions_than_its_budget() {
    const READS: usize = 2_000;
    let each = (run(READS + 100).saturating_sub(run(100))) / READS as u64;
    println!("instructions of a point read: {each}");
    assert!(each <= INSTRUCTIONS, "{each} instructions, {INSTRUCTIONS} are allowed");
    assert!(each > 1_000, "{each} instructions: nothing was measured");
}
