//! `contactd health`, which an image's health check runs: 0 if the program is ready for requests, else 1 and a line that says why.

use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use crate::support::random_secret;
use crate::support::server::{Setup, command, database};

/// Runs the command with nothing set but this address.
fn health(listen: &str) -> Output {
    command(&[("LISTEN".to_owned(), listen.to_owned())]).arg("health").output().expect("the program starts")
}

fn said(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_asks_where_the_program_listens() {
    let database = database();
    let path = format!("unix:{}/contactd-{}", std::env::temp_dir().display(), &random_secret()[..16]);
    for listen in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0", &path] {
        let setup = Setup::on(&database).with("LISTEN", listen);
        let server = setup.start();
        crate::support::eventually("it is ready", || {
            let place = if listen == path {
                path.clone()
            } else {
                listen.replace(":0", &format!(":{}", server.address.port()))
            };
            let output = health(&place);
            let (code, said) = (output.status.code(), said(&output));
            assert!(code == Some(0) && said.is_empty() || code == Some(1) && !said.is_empty(), "{code:?} {said}");
            code == Some(0)
        });
    }
    std::fs::remove_file(path.trim_start_matches("unix:")).expect("the socket is left");
}

#[test]
fn it_says_why_the_program_is_not_ready() {
    let server = Setup::at("host=127.0.0.1 port=1 user=x dbname=x").start();
    let output = health(&server.address.to_string());
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output);
    assert!(told.starts_with("contactd: {") && told.contains("\"status\":503"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn it_does_not_wait_for_a_program_that_is_gone_or_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("its address").to_string();
    let started = Instant::now();
    assert_eq!(health(&address).status.code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    drop(silent);
    let output = health(&address);
    assert_eq!((output.status.code(), said(&output).lines().count()), (Some(1), 1));
    let output = health("nowhere");
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).starts_with("contactd: LISTEN must be "), "{output:?}");
}
