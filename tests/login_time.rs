//! Whether a login's time tells who has an account. The one test here that looks at a clock, so it has a binary, and with it
//! the machine, to itself as far as the other tests go.
//!
//! What decides is counted first: both kinds of failure send the same statements and go through the memory of one hash. The
//! clock then looks for what counting cannot see, over interleaved pairs, in up to three rounds, for other programs may
//! disturb one.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;

use support::proxy::{Counts, Proxy};
use support::server::{Server, Setup, database};

const PAIRS: usize = 200;
const ROUNDS: usize = 3;

/// A failed login: its time, and what it cost the program.
fn fail(server: &Server, email: &str) -> Duration {
    let body = json!({ "email": email, "password": "a wrong one" });
    let request = server.client().post("/api/auth/login", &body);
    let began = Instant::now();
    let answer = request.send();
    let took = began.elapsed();
    assert_eq!(answer.status, 401, "{}", answer.text());
    took
}

/// Pages that a process has touched for the first time, so far (proc(5), minflt).
fn faults(server: &Server) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).expect("Linux");
    let after_name = stat.rsplit_once(") ").expect("a name in parentheses").1;
    after_name.split(' ').nth(7).expect("minflt").parse().expect("a number")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn an_unknown_address_takes_as_long_as_a_wrong_password() {
    const WRONG: &str = "ivan@example.com";
    const UNKNOWN: &str = "nobody@example.com";
    let database = database();
    let (url, proxy) = Proxy::before(&database);
    let setup = Setup::on(&database).with("DATABASE_URL", url);
    let server = setup.with("LOGIN_ATTEMPTS", "1000000").ready();
    server.client().new_user(WRONG);

    let statements = |email| -> Counts {
        let mut cost = proxy.least_cost(|| {
            fail(&server, email);
        });
        cost.housekeeping = 0;
        cost
    };
    assert_eq!(statements(UNKNOWN), statements(WRONG));

    // A hash goes through 19 MiB, each time anew: so many pages. Where the system gives huge pages there are far
    // fewer faults, and only the comparison is left.
    let touched = |email| {
        let before = faults(&server);
        for _ in 0..20 {
            fail(&server, email);
        }
        (faults(&server) - before) / 20
    };
    let (unknown, wrong) = (touched(UNKNOWN), touched(WRONG));
    assert!(unknown.abs_diff(wrong) * 10 <= wrong, "{unknown} and {wrong} pages");
    let huge = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    if !huge.is_ok_and(|mode| mode.contains("[always]")) {
        let one_hash = 19_456 * 1024 / rustix::param::page_size() as u64;
        let about_one = one_hash..one_hash * 3 / 2;
        assert!(about_one.contains(&unknown) && about_one.contains(&wrong), "{unknown} and {wrong} pages");
    }

    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // Which comes first must make no difference.
            if pair % 2 == 0 {
                unknown.push(fail(&server, UNKNOWN).as_secs_f64());
                wrong.push(fail(&server, WRONG).as_secs_f64());
            } else {
                wrong.push(fail(&server, WRONG).as_secs_f64());
                unknown.push(fail(&server, UNKNOWN).as_secs_f64());
            }
        }
        let (unknown, wrong) = (median(unknown), median(wrong));
        seen.push(format!("{:.2} ms unknown, {:.2} ms wrong", unknown * 1e3, wrong * 1e3));
        if (unknown / wrong - 1.0).abs() <= 0.05 {
            println!("medians: {}", seen.join("; "));
            return;
        }
    }
    panic!("medians differ by more than 5 % each time: {}", seen.join("; "));
}
