//! What the program weighs: its file, its packages, its memory and threads when idle and after load.

use std::process::Command;

use serde_json::json;

use super::system_calls::repeat;
use crate::limits::{BINARY, IDLE_KIB, LOADED_KIB, PACKAGES, THREADS_PER_CORE};
use crate::program;
use crate::support::eventually;
use crate::support::server::{Server, Setup, database};

fn status(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
    line.trim_matches([':', '\t', ' ']).split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

#[test]
fn the_binary_and_its_packages_are_few() {
    let size = std::fs::metadata(program()).expect("the release build is there").len();
    assert!(size < BINARY, "{size} bytes, {BINARY} are allowed");
    let tree = Command::new(env!("CARGO")).args(["tree", "--offline", "-e", "normal", "--prefix", "none"]).output();
    let tree = String::from_utf8(tree.expect("cargo is there").stdout).expect("UTF-8");
    let mut packages: Vec<String> =
        tree.lines().map(|l| l.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    packages.sort();
    packages.dedup();
    println!("{size} bytes, {} packages", packages.len());
    assert!((10..PACKAGES).contains(&packages.len()), "{} packages, {PACKAGES} are allowed", packages.len());
}

#[test]
fn memory_and_threads_stay_small() {
    let database = database();
    let server = Setup::on(&database).program(program()).ready();
    let idle = status(&server, "VmRSS");
    let cores = std::thread::available_parallelism().expect("a number of cores").get();
    assert!(idle <= IDLE_KIB, "{idle} KiB when idle, {IDLE_KIB} are allowed");

    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| repeat(&user, &format!("GET /api/contacts/{id}"), "", 200, 200));
        }
    });
    let loaded = status(&server, "VmRSS");
    println!("resident memory: {idle} KiB idle, {loaded} KiB after load");
    assert!(loaded <= LOADED_KIB, "{loaded} KiB after load, {LOADED_KIB} are allowed");
    let threads = THREADS_PER_CORE * cores;
    eventually("the threads of the load are gone", || status(&server, "Threads") <= threads as u64);
}
