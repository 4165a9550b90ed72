//! The edits to the published tiny_http 0.12.0: the audit trail of how the server differs.
//!
//! The public types stay as published but for the edits below. What is not named in `FILES` is left out: it is
//! the part that touches sockets and threads, which `src/` replaces (and TLS, upgrades, Unix sockets and test
//! requests, which nothing here uses). `cargo run --example diff` prints the difference.

pub struct Edit {
    /// Below `src/` of the published package.
    pub file: &'static str,
    /// Occurs exactly once in that file.
    pub find: &'static str,
    /// How far the replaced text goes.
    pub until: Until,
    pub replace: &'static str,
    /// The fault that this mends.
    pub why: &'static str,
}

pub enum Until {
    FragmentEnd,
    /// Up to the next occurrence of this fragment, which stays.
    Before(&'static str),
    FileEnd,
}

/// The published files that are compiled.
pub const FILES: &[&str] = &["lib.rs", "common.rs", "request.rs", "response.rs"];

pub fn all() -> Vec<&'static Edit> {
    [LIB, COMMON, REQUEST, RESPONSE]
        .into_iter()
        .flatten()
        .collect()
}

const LIB: &[Edit] = &[
    Edit {
        file: "lib.rs",
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
        file: "lib.rs",
        find: "pub use connection::{",
        until: Until::Before("pub use response::"),
        replace: r#"pub use request::Request;
"#,
        why: "the server takes a TcpListener that is bound already; a request does not turn into a raw stream",
    },
    Edit {
        file: "lib.rs",
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
        file: "lib.rs",
        find: "mod response;",
        until: Until::Before("/// The main class"),
        replace: r#"#[allow(clippy::all)]
mod response;

"#,
        why: "see the edit above",
    },
    Edit {
        file: "lib.rs",
        find: "/// Destroying this object will",
        until: Until::Before("impl Server {"),
        replace: r#"/// Made by [`Server::hardened`]. Dropping it closes the listening socket and every connection at once;
/// [`Server::drain`] does it gently.
pub struct Server {
    core: Arc<core::Core>,
    acceptor: acceptor::Acceptor,
}

"#,
        why: "fault 16: the end of a server must reach its connections; one way to receive requests is enough",
    },
    Edit {
        file: "lib.rs",
        find: "    /// Shortcut for a simple server",
        until: Until::Before("    /// Blocks until an HTTP request has been"),
        replace: r#"    /// Serves HTTP on `listener` from now on, within `limits`; `program` decides what only the program can.
    ///
    /// # Errors
    /// When the system gives no thread or no pair of sockets for accepting.
    pub fn hardened(
        listener: std::net::TcpListener,
        limits: Limits,
        program: Arc<dyn Program>,
    ) -> IoResult<Server> {
        let core = Arc::new(core::Core::new(limits, program));
        let acceptor = acceptor::Acceptor::start(listener, Arc::clone(&core))?;
        Ok(Server { core, acceptor })
    }

"#,
        why: "faults 4 and 7: accepting survives errors, and every connection has limits",
    },
    Edit {
        file: "lib.rs",
        find: "match self.messages.pop() {",
        until: Until::Before("    /// Same as `recv()` but doesn't block longer"),
        replace: r#"self.core
            .queue
            .pop()
            .ok_or_else(|| IoError::other("the server was drained"))
    }

"#,
        why: "fault 16: a drained server lets every worker leave, not one",
    },
    Edit {
        file: "lib.rs",
        find: "    /// Same as `recv()` but doesn't block longer",
        until: Until::Before("impl Drop for Server"),
        replace: r#"    /// Stops accepting, closes the connections without a request, and waits until the others have been
    /// answered, with `Connection: close`. Those that are not done `within` this time are cut off.
    /// Then [`Server::recv`] fails for every worker.
    ///
    /// Returns true if all were done in time. Workers must go on receiving meanwhile.
    pub fn drain(&self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        self.core.start_draining();
        self.acceptor.stop();
        let in_time = self.core.see_off(deadline);
        self.core.queue.close();
        in_time
    }

    /// The number of connections: those open, and those whose last answer is still being written.
    pub fn connections(&self) -> usize {
        self.core.roster.len()
    }
}

"#,
        why: "fault 16: a drain that is over within a set time",
    },
    Edit {
        file: "lib.rs",
        find: "self.close.store(true, Relaxed);",
        until: Until::FileEnd,
        replace: r#"self.drain(Duration::ZERO);
    }
}
"#,
        why: "fault 16: keep-alive clients of a dropped server must not be left hanging",
    },
];

const COMMON: &[Edit] = &[
    Edit {
        file: "common.rs",
        find: "let value = AsciiString::from_ascii(value).or(Err(()))?;",
        until: Until::FragmentEnd,
        replace: r#"let value = AsciiString::from_ascii(value).or(Err(()))?;
        if !crate::head::is_token(header.0.as_bytes()) || !is_clean(&value) {
            return Err(());
        }"#,
        why: "fault 10: CR and LF in a header value split the response (CVE-2026-66753)",
    },
    Edit {
        file: "common.rs",
        find: r#"let field = elems.next().and_then(|f| f.parse().ok()).ok_or(())?;
        let value = elems
            .next()
            .and_then(|v| AsciiString::from_ascii(v.trim()).ok())
            .ok_or(())?;

        Ok(Header { field, value })"#,
        until: Until::FragmentEnd,
        replace: r#"let field = elems.next().ok_or(())?;
        let value = elems.next().ok_or(())?.trim();
        Header::from_bytes(field, value)"#,
        why: "fault 10: the other way to make a header gets the same check",
    },
    Edit {
        file: "common.rs",
        find: "impl FromStr for Header {",
        until: Until::FragmentEnd,
        replace: r#"/// No control character but a tab (RFC 9110 section 5.5).
pub(crate) fn is_clean(value: &AsciiStr) -> bool {
    value.as_bytes().iter().all(|byte| *byte == b'\t' || (b' '..=b'~').contains(byte))
}

impl FromStr for Header {"#,
        why: "fault 10: what a header value may be made of",
    },
];

const REQUEST: &[Edit] = &[
    Edit {
        file: "request.rs",
        find: "use std::io::{self, Cursor, ErrorKind",
        until: Until::Before("/// Represents an HTTP request made"),
        replace: r#"use std::io::{Read, Result as IoResult};

use std::fmt;
use std::net::SocketAddr;

use crate::body::Body;
use crate::budget::Permit;
use crate::connection::Slot;
use crate::head::{self, Head};
use crate::{HTTPVersion, Header, Method, Response, ResponseBox, outgoing};

"#,
        why: "the imports of what is left",
    },
    Edit {
        file: "request.rs",
        find: r#"use std::io::Error as IoError;
"#,
        until: Until::FragmentEnd,
        replace: "",
        why: "the imports of what is left",
    },
    Edit {
        file: "request.rs",
        find: "/// # Pipelining",
        until: Until::Before("pub struct Request {"),
        replace: r#"/// It is complete: the body was read before a worker sees the request. A connection has one request in
/// flight; the next is read meanwhile, and waits.
///
/// # Automatic cleanup
///
/// A request that is dropped without [`respond`](Request::respond), as by a panic, is answered with
/// [`Program::refuse`](crate::Program::refuse) and 500, and the connection is closed.
"#,
        why: "faults 6, 8 and 14: what holds now",
    },
    Edit {
        file: "request.rs",
        find: "// where to read the body from",
        until: Until::Before("    remote_addr: Option<SocketAddr>,\n\n    // true if HTTPS"),
        replace: r#"body: Vec<u8>,

    // the body's share of what all bodies may take
    body_permit: Option<Permit>,

    // the right to answer; None once that is done
    pub(crate) slot: Option<Slot>,

"#,
        why: "faults 8 and 11: the body is whole before a worker sees it, and the response is one write",
    },
    Edit {
        file: "request.rs",
        find: r#"    // true if HTTPS, false if HTTP
    secure: bool,

    method: Method,

    path"#,
        until: Until::Before(": String"),
        replace: r#"    method: Method,

    path"#,
        why: "TLS is left to a proxy",
    },
    Edit {
        file: "request.rs",
        find: r#"    body_length: Option<usize>,

    // true if a"#,
        until: Until::Before("impl Request {\n    /// Returns true if the request was made"),
        replace: r#"}

"#,
        why: "faults 2, 8 and 9: a length that a client announces is judged in src/head.rs, and only what arrived is kept",
    },
    Edit {
        file: "request.rs",
        find: "    /// Returns true if the request was made through HTTPS.",
        until: Until::Before("    /// Returns the method requested"),
        replace: r#"    pub(crate) fn from_head(head: Head, peer: SocketAddr) -> Request {
        Request {
            body: Vec::new(),
            body_permit: None,
            slot: None,
            remote_addr: Some(peer),
            method: head.method,
            path: head.target,
            http_version: head.version,
            headers: head.headers,
        }
    }

    pub(crate) fn set_body(&mut self, body: Body) {
        (self.body, self.body_permit) = body.into_parts();
    }

"#,
        why: "faults 3, 5 and 9: a request is made from a head that was found valid, and nothing of it waits for another",
    },
    Edit {
        file: "request.rs",
        find: "    /// Returns the resource requested by the client.",
        until: Until::FragmentEnd,
        replace: r#"    /// Returns path and query as the client sent them, but for bytes over 127, which are percent-encoded, and the
    /// scheme and host of a proxy's request, which are left out."#,
        why: "fault 12: curl sends such bytes raw",
    },
    Edit {
        file: "request.rs",
        find: "    /// Returns the length of the body in bytes.",
        until: Until::Before("    /// Returns the address of the client that sent"),
        replace: r#"    /// The whole body; empty if there is none.
    #[inline]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

"#,
        why: "fault 8: a worker never waits for an upload",
    },
    Edit {
        file: "request.rs",
        find: "    /// The address is always `Some` for TCP",
        until: Until::Before("    /// Note that this is gathered"),
        replace: r#"    /// Always `Some`.
    ///
"#,
        why: "the server listens on TCP only",
    },
    Edit {
        file: "request.rs",
        find: "    /// Sends a response with a `Connection: upgrade`",
        until: Until::Before("    /// Sends a response to this request."),
        replace: "",
        why: "fault 9: a client that says Upgrade gets an ordinary answer, not a raw stream",
    },
    Edit {
        file: "request.rs",
        find: "    /// Sends a response to this request.",
        until: Until::Before("impl fmt::Debug for Request"),
        replace: r#"    /// Sends a response whose body is at hand, without waiting for the client: what its socket does not take
    /// at once is written by another thread.
    ///
    /// # Errors
    /// When the response's reader fails; the client has then got a 500. That a client left is no error.
    pub fn respond<R>(mut self, response: Response<R>) -> IoResult<()>
    where
        R: Read,
    {
        match self.slot.take() {
            Some(slot) => outgoing::respond(slot, response),
            None => Ok(()),
        }
    }

    /// Sends a response whose body is read while it is sent, on a thread of its own: chunked if its length is not
    /// known. Beyond [`Limits::streams`](crate::Limits) at once the client gets a 503 instead.
    pub fn respond_streaming(mut self, response: ResponseBox) {
        if let Some(slot) = self.slot.take() {
            outgoing::respond_streaming(slot, response);
        }
    }
}

"#,
        why: "fault 11: a response is one write, and a worker never waits for a client",
    },
    Edit {
        file: "request.rs",
        find: r#"if self.response_writer.is_some() {
            let response"#,
        until: Until::Before("/// Dummy trait"),
        replace: r#"if let Some(slot) = self.slot.take() {
            const FAILED: head::Refusal = head::refusal(500, "The server failed on this request.");
            // During an unwinding a second panic, of the program's own `refuse`, would abort the process.
            let answer = std::panic::AssertUnwindSafe(|| outgoing::refuse(slot, FAILED));
            let _ = std::panic::catch_unwind(answer);
        }
    }
}

"#,
        why: "fault 14: the answer to a panic is the program's, and it closes",
    },
    Edit {
        file: "request.rs",
        find: "/// Dummy trait that regroups",
        until: Until::Before("#[cfg(test)]"),
        replace: "",
        why: "nothing turns into a raw stream",
    },
];

const RESPONSE: &[Edit] = &[
    Edit {
        file: "response.rs",
        find: "use crate::common::{HTTPVersion, Header",
        until: Until::Before("/// Object representing an HTTP response"),
        replace: r#"use crate::common::{Header, StatusCode};
use std::io::{self, Cursor, Read};

use std::fs::File;

use std::str::FromStr;

"#,
        why: "the imports of what is left",
    },
    Edit {
        file: "response.rs",
        find: r#"    chunked_threshold: Option<usize>,
}"#,
        until: Until::Before("/// A `Response` without"),
        replace: r#"    close: bool,
}

"#,
        why: "faults 13 and 15: chunked only without a length; a response can end its connection",
    },
    Edit {
        file: "response.rs",
        find: "/// Transfer encoding to use when sending",
        until: Until::Before("impl<R> Response<R>\nwhere\n    R: Read,"),
        replace: "",
        why: "faults 11 and 15: src/outgoing.rs writes the response, in one piece",
    },
    Edit {
        file: "response.rs",
        find: "    /// The `additional_headers` argument",
        until: Until::Before("    /// All the other arguments"),
        replace: "",
        why: "headers that come after the body were never sent",
    },
    Edit {
        file: "response.rs",
        find: "/// All the other arguments are",
        until: Until::FragmentEnd,
        replace: "/// The arguments are",
        why: "see the edit above",
    },
    Edit {
        file: "response.rs",
        find: r#"        additional_headers: Option<Receiver<Header>>,
"#,
        until: Until::FragmentEnd,
        replace: "",
        why: "see the edit above",
    },
    Edit {
        file: "response.rs",
        find: "            chunked_threshold: None,",
        until: Until::FragmentEnd,
        replace: "            close: false,",
        why: "fault 13",
    },
    Edit {
        file: "response.rs",
        find: "        // dummy implementation",
        until: Until::Before("        response\n    }\n\n    /// Set a threshold"),
        replace: "",
        why: "see the edit of `additional_headers`",
    },
    Edit {
        file: "response.rs",
        find: "    /// Set a threshold for `Content-Length`",
        until: Until::Before("    /// Convert the response into the underlying"),
        replace: r#"    /// Makes this the connection's last response: it says `Connection: close`, and the server closes.
    pub fn with_close(mut self) -> Response<R> {
        self.close = true;
        self
    }

"#,
        why: "faults 13 and 15: a server must be able to end a connection",
    },
    Edit {
        file: "response.rs",
        find: "    /// The current `Content-Length` threshold",
        until: Until::Before("    /// Adds a header to the list."),
        replace: "",
        why: "fault 15: a known length is always sent as one",
    },
    Edit {
        file: "response.rs",
        find: "        // ignoring forbidden headers",
        until: Until::FragmentEnd,
        replace: r#"        // The fields are public, so a header need not have come through `from_bytes`.
        let name = header.field.as_str().as_bytes();
        if !crate::head::is_token(name) || !crate::common::is_clean(&header.value) {
            log::error!("a response header with control characters was left out: {:?}", header.field);
            return;
        }

        // The server sends its own date, and does not advertise itself.
        if header.field.equiv("Date") || header.field.equiv("Server") {
            return;
        }

        // ignoring forbidden headers"#,
        why: "fault 10: nothing can split a response",
    },
    Edit {
        file: "response.rs",
        find: r#"            status_code: self.status_code,
            data_length,
            chunked_threshold: self.chunked_threshold,"#,
        until: Until::FragmentEnd,
        replace: r#"            status_code: self.status_code,
            data_length,
            close: self.close,"#,
        why: "fault 13",
    },
    Edit {
        file: "response.rs",
        find: "    /// Prints the HTTP response to a writer.",
        until: Until::Before("    /// Retrieves the current value of the `Response` status code"),
        replace: r#"    /// What src/outgoing.rs sends: status, headers, body, its length if known, and whether to close.
    pub(crate) fn into_parts(self) -> (StatusCode, Vec<Header>, R, Option<usize>, bool) {
        (
            self.status_code,
            self.headers,
            self.reader,
            self.data_length,
            self.close,
        )
    }

"#,
        why: "faults 11 and 15: two packets a response, Content-Length on 204, chunked at the client's word, a Server header",
    },
    Edit {
        file: "response.rs",
        find: r#"as Box<dyn Read + Send>,
            status_code: self.status_code,
            headers: self.headers,
            data_length: self.data_length,
            chunked_threshold: self.chunked_threshold,"#,
        until: Until::FragmentEnd,
        replace: r#"as Box<dyn Read + Send>,
            status_code: self.status_code,
            headers: self.headers,
            data_length: self.data_length,
            close: self.close,"#,
        why: "fault 13",
    },
    Edit {
        file: "response.rs",
        find: r#"            file,
            file_size,
            None,
"#,
        until: Until::FragmentEnd,
        replace: r#"            file,
            file_size,
"#,
        why: "see the edit of `additional_headers`",
    },
    Edit {
        file: "response.rs",
        find: r#"            Cursor::new(data),
            Some(data_len),
            None,
"#,
        until: Until::FragmentEnd,
        replace: r#"            Cursor::new(data),
            Some(data_len),
"#,
        why: "see the edit of `additional_headers`",
    },
    Edit {
        file: "response.rs",
        find: r#"            Cursor::new(data.into_bytes()),
            Some(data_len),
            None,
"#,
        until: Until::FragmentEnd,
        replace: r#"            Cursor::new(data.into_bytes()),
            Some(data_len),
"#,
        why: "see the edit of `additional_headers`",
    },
    Edit {
        file: "response.rs",
        find: r#"            Some(0),
            None,
"#,
        until: Until::FragmentEnd,
        replace: r#"            Some(0),
"#,
        why: "see the edit of `additional_headers`",
    },
    Edit {
        file: "response.rs",
        find: "impl Clone for Response<io::Empty>",
        until: Until::FileEnd,
        replace: "",
        why: "an unused copy",
    },
];
