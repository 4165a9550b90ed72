//! lib.rs: `Server`, and which modules there are.

use super::{Edit, Until};

const FILE: &str = "lib.rs";

pub const EDITS: &[Edit] = &[
    Edit {
        file: FILE,
        find: r#"#[cfg(any(feature = "ssl-openssl", feature = "ssl-rustls"))]
use zeroize"#,
        until: Until::Before("pub use common::"),
        replace: r#"use std::io::Error as IoError;
use std::io::Result as IoResult;
use std::sync::Arc;
use std::time::{Duration, Instant};

"#,
        why: "TLS is left to a proxy, and the parts that are replaced need no imports",
    },
    Edit {
        file: FILE,
        find: "pub use connection::{",
        until: Until::Before("pub use response::"),
        replace: r#"pub use request::Request;
"#,
        why: "the server takes a TcpListener that is bound already; a request does not turn into a raw stream",
    },
    Edit {
        file: FILE,
        find: "pub use test::TestRequest;",
        until: Until::Before("mod request;"),
        replace: r#"// Published code is held to its own lints, not to ours.
#[allow(clippy::all)]
mod common;
#[allow(clippy::all)]
"#,
        why: "faults 1 to 9: the modules that read from sockets and run threads are replaced by those of src/",
    },
    Edit {
        file: FILE,
        find: "mod response;",
        until: Until::Before("/// The main class"),
        replace: r#"#[allow(clippy::all)]
mod response;

"#,
        why: "see the edit above",
    },
    Edit {
        file: FILE,
        find: "/// Destroying this object will",
        until: Until::Before("impl Server {"),
        replace: r#"/// Made by [`Server::hardened`]. Dropping it closes the listening socket and every connection at once;
/// [`Server::drain`] does it gently.
pub struct Server {
    core: Arc<core::Core>,
    poller: poller::Poller,
}

"#,
        why: "fault 16: the end of a server must reach its connections; one way to receive requests is enough",
    },
    Edit {
        file: FILE,
        find: "    /// Shortcut for a simple server",
        until: Until::Before("    /// Blocks until an HTTP request has been"),
        replace: r#"    /// Serves HTTP on `listener` from now on, within `limits`; `program` decides what only the program can.
    ///
    /// # Errors
    /// When the system gives no thread or no descriptors for watching connections.
    pub fn hardened(
        listener: std::net::TcpListener,
        limits: Limits,
        program: Arc<dyn Program>,
    ) -> IoResult<Server> {
        let core = Arc::new(core::Core::new(limits, program)?);
        let poller = poller::Poller::start(listener, Arc::clone(&core))?;
        Ok(Server { core, poller })
    }

"#,
        why: "faults 4 and 7: accepting survives errors, and every connection has limits",
    },
    Edit {
        file: FILE,
        find: "/// Blocks until an HTTP request has been submitted and returns it.",
        until: Until::FragmentEnd,
        replace: r#"/// Waits for a request, which is whole, and returns it.
    ///
    /// # Errors
    /// For every worker once [`Server::drain`] is over: it is time to leave."#,
        why: "fault 16: what the error means now",
    },
    Edit {
        file: FILE,
        find: "match self.messages.pop() {",
        until: Until::Before("    /// Same as `recv()` but doesn't block longer"),
        replace: r#"self.core
            .next_request()
            .ok_or_else(|| IoError::other("the server was drained"))
    }

"#,
        why: "fault 16: a drained server lets every worker leave, not one",
    },
    Edit {
        file: FILE,
        find: "    /// Same as `recv()` but doesn't block longer",
        until: Until::Before("impl Drop for Server"),
        replace: r#"    /// Stops accepting, closes the connections without a request, and waits until the others have been
    /// answered, with `Connection: close`. Those that are not done `within` this time are cut off.
    /// Then [`Server::recv`] fails for every worker.
    ///
    /// Returns true if all were done in time. Workers must go on receiving meanwhile.
    pub fn drain(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        self.core.start_draining(deadline);
        self.poller.join();
        let left = deadline.saturating_duration_since(Instant::now());
        let in_time = self.core.roster.wait_until_empty(left);
        self.core.queue.close();
        in_time
    }

    /// The number of connections: those open, and those whose last answer is still being written.
    pub fn connections(&self) -> usize {
        self.core.roster.count().0
    }
}

"#,
        why: "fault 16: a drain that is over within a set time",
    },
    Edit {
        file: FILE,
        find: "self.close.store(true, Relaxed);",
        until: Until::FileEnd,
        replace: r#"self.drain(Duration::ZERO);
    }
}
"#,
        why: "fault 16: keep-alive clients of a dropped server must not be left hanging",
    },
];
