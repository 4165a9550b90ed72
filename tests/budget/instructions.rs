//! Instructions of requests in user space, counted by valgrind's callgrind: the same whatever else the machine does.

use serde_json::json;

use super::system_calls::repeat;
use crate::limits::INSTRUCTIONS;
use crate::program;
use crate::support::server::{Setup, database};

/// A request that a budget is for: what it is called, its first words, its body, its status.
type Asked = (&'static str, &'static str, &'static str, u16);

/// Runs the program under callgrind, asks so often, and gives the instructions of the whole run.
fn run((_, request, body, status): Asked, times: usize) -> u64 {
    let database = database();
    let out = std::env::temp_dir().join(format!("contactd-callgrind-{}-{times}", std::process::id()));
    let valgrind =
        ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", out.display())].map(str::to_owned);
    // One worker and no poll of sessions while it runs, so that two runs differ by their reads alone.
    let mut server = Setup::on(&database).program(program()).under(&valgrind).with("WORKERS", "1").ready();
    let user = server.client().new_user("a@example.com");
    let id = user.new_contact(&json!({ "first_name": "A" }));
    repeat(&user, &request.replace("{id}", &id.to_string()), body, status, times);
    server.signal("TERM");
    assert_eq!(server.wait(std::time::Duration::from_secs(60)).code(), Some(0), "{}", server.log());
    let profile = std::fs::read_to_string(&out).expect("callgrind writes its profile");
    std::fs::remove_file(&out).expect("the profile can be removed");
    let total =
        profile.lines().find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    total.and_then(|count| count.trim().parse().ok()).expect("a total")
}

#[test]
fn requests_take_no_more_instructions_than_their_budgets() {
    let asked: [(Asked, usize, u64); 3] = [
        (("a point read", "GET /api/contacts/{id}", "", 200), 2_000, INSTRUCTIONS[0]),
        (("a list", "GET /api/contacts", "", 200), 500, INSTRUCTIONS[1]),
        (("a create", "POST /api/contacts", r#"{"first_name":"A"}"#, 201), 500, INSTRUCTIONS[2]),
    ];
    for (asked, times, allowed) in asked {
        let each = (run(asked, times + 100).saturating_sub(run(asked, 100))) / times as u64;
        println!("instructions of {}: {each}", asked.0);
        assert!(each <= allowed, "{}: {each} instructions, {allowed} are allowed", asked.0);
        assert!(each > 1_000, "{each} instructions: nothing was measured");
    }
}
