//! systemd, as the program sees it: a socket that outlives each process, and what the manager is told.

use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

use crate::support::server::{Setup, database};
use crate::support::{eventually, random_secret, steady};

/// Handed these sockets as systemd hands them over: from descriptor 3 on, and for this process alone.
pub fn handed(setup: Setup, sockets: &[OwnedFd]) -> Setup {
    let moved: String =
        sockets.iter().enumerate().map(|(n, fd)| format!("exec {}<&{}; ", n + 3, fd.as_raw_fd())).collect();
    let script = format!("{moved}LISTEN_PID=$$ LISTEN_FDS={} exec \"$0\" \"$@\"", sockets.len());
    setup.under(&["/bin/bash".to_owned(), "-c".to_owned(), script])
}

/// A descriptor of it that child processes inherit, out of the way of those from 3 on.
pub fn inherited(socket: &impl AsFd) -> OwnedFd {
    let socket = fcntl_dupfd_cloexec(socket, 20).expect("a descriptor");
    fcntl_setfd(&socket, FdFlags::empty()).expect("it can be inherited");
    socket
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

#[test]
fn a_restart_of_the_only_instance_fails_nothing_where_the_socket_stays() {
    let socket = listener();
    let database = database();
    let given = [inherited(&socket)];
    let setup = handed(Setup::on(&database).with("SHUTDOWN_DELAY", "1"), &given);
    let mut server = setup.ready();
    assert_eq!(server.address, socket.local_addr().expect("its address"), "LISTEN does not count");
    let user = server.client().new_user("a@example.com");
    let tally = steady::ask(&user, 8, |tally| {
        for _ in 0..4 {
            server.signal("TERM");
            assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(0));
            server = setup.start();
            let so_far = tally.answered.load(SeqCst);
            eventually("it is at work", || tally.answered.load(SeqCst) > so_far + 16);
        }
    });
    tally.expect_no_failure();
}

#[test]
fn a_socket_that_is_of_no_use_ends_the_start_with_a_line() {
    let database = database();
    let two = vec![inherited(&listener()), inherited(&listener())];
    let datagrams = vec![inherited(&UdpSocket::bind("127.0.0.1:0").expect("a free port"))];
    for (given, told) in [(two, "2 sockets"), (datagrams, "LISTEN_FDS")] {
        let output = handed(Setup::on(&database), &given).output();
        let said = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(told) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn it_tells_when_it_is_ready_and_stopping_and_that_it_is_well() {
    let path = format!("{}/contactd-notify-{}", std::env::temp_dir().display(), &random_secret()[..16]);
    let by_path = UnixDatagram::bind(&path).expect("a socket");
    let name = format!("contactd-{}", random_secret());
    let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).expect("a name")).expect("a socket");
    for (manager, address) in [(by_path, path.clone()), (by_name, format!("@{name}"))] {
        manager.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        let hear = || {
            let mut bytes = [0; 100];
            let n = manager.recv(&mut bytes).expect("it says something");
            String::from_utf8_lossy(&bytes[..n]).into_owned()
        };
        let database = database();
        let setup = Setup::on(&database).with("NOTIFY_SOCKET", address).with("SHUTDOWN_DELAY", "3600");
        let mut server = setup.with("WATCHDOG_USEC", "400000").start();
        assert_eq!(hear(), "READY=1");
        server.client().get("/readyz").send().expect(200);
        // It is well without its database, too.
        database.kick();
        (0..10).for_each(|_| assert_eq!(hear(), "WATCHDOG=1"));
        database.allow();
        server.signal("TERM");
        eventually("it says that it stops", || hear() == "STOPPING=1");
        (0..3).for_each(|_| assert_eq!(hear(), "WATCHDOG=1"));
        server.signal("TERM");
        assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0));
    }
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn a_manager_that_is_gone_or_means_another_process_changes_nothing() {
    let database = database();
    let setup = Setup::on(&database).with("NOTIFY_SOCKET", "/does/not/exist").with("WATCHDOG_USEC", "100000");
    let mut server = setup.with("WATCHDOG_PID", "1").with("LISTEN_FDS", "1").with("LISTEN_PID", "1").ready();
    server.client().new_user("a@example.com");
    assert!(server.log().contains("systemd cannot be told READY=1"), "{}", server.log());
    assert!(!server.log().contains("WATCHDOG"), "{}", server.log());
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(10)).code(), Some(0));
}
