//! request.rs: `Request`, which is whole before anyone sees it.

use super::{Edit, Until};

const FILE: &str = "request.rs";

pub const EDITS: &[Edit] = &[
    Edit {
        file: FILE,
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
        file: FILE,
        find: r#"use std::io::Error as IoError;
"#,
        until: Until::FragmentEnd,
        replace: "",
        why: "the imports of what is left",
    },
    Edit {
        file: FILE,
        find: "/// # Pipelining",
        until: Until::Before("pub struct Request {"),
        replace: r#"/// It is complete: the body was read before a worker sees the request. A connection has one request in
/// flight.
///
/// # Automatic cleanup
///
/// A request that is dropped without [`respond`](Request::respond), as by a panic, is answered with
/// [`Program::refuse`](crate::Program::refuse) and 500, and the connection is closed.
"#,
        why: "faults 6, 8 and 14: what holds now",
    },
    Edit {
        file: FILE,
        find: "// where to read the body from",
        until: Until::Before("    remote_addr: Option<SocketAddr>,\n\n    // true if HTTPS"),
        replace: r#"body: Vec<u8>,

    // the body's share of what all bodies may take
    body_permit: Option<Permit>,

    // the right to answer; None once that is done
    pub(crate) slot: Option<Slot>,

    // the client may send another request after this one
    pub(crate) keep_alive: bool,

"#,
        why: "faults 8 and 11: the body is whole before a worker sees it, and the response is one write",
    },
    Edit {
        file: FILE,
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
        file: FILE,
        find: r#"    body_length: Option<usize>,

    // true if a"#,
        until: Until::Before("impl Request {\n    /// Returns true if the request was made"),
        replace: r#"}

"#,
        why: "faults 2, 8 and 9: a length that a client announces is judged in src/head.rs, and only what arrived is kept",
    },
    Edit {
        file: FILE,
        find: "    /// Returns true if the request was made through HTTPS.",
        until: Until::Before("    /// Returns the method requested"),
        replace: r#"    pub(crate) fn from_head(head: Head, peer: SocketAddr) -> Request {
        Request {
            body: Vec::new(),
            body_permit: None,
            slot: None,
            keep_alive: head.keep_alive,
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
        file: FILE,
        find: "    /// Returns the resource requested by the client.",
        until: Until::FragmentEnd,
        replace: r#"    /// Returns path and query as the client sent them, but for bytes over 127, which are percent-encoded, and the
    /// scheme and host of a proxy's request, which are left out."#,
        why: "fault 12: curl sends such bytes raw",
    },
    Edit {
        file: FILE,
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
        file: FILE,
        find: "    /// The address is always `Some` for TCP",
        until: Until::Before("    /// Note that this is gathered"),
        replace: r#"    /// Always `Some`.
    ///
"#,
        why: "the server listens on TCP only",
    },
    Edit {
        file: FILE,
        find: "    /// Sends a response with a `Connection: upgrade`",
        until: Until::Before("    /// Sends a response to this request."),
        replace: "",
        why: "fault 9: a client that says Upgrade gets an ordinary answer, not a raw stream",
    },
    Edit {
        file: FILE,
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
        file: FILE,
        find: r#"if self.response_writer.is_some() {
            let response"#,
        until: Until::Before("/// Dummy trait"),
        replace: r#"if let Some(slot) = self.slot.take() {
            const FAILED: head::Refusal = head::refusal(500, "The server failed on this request.");
            outgoing::refuse(slot, FAILED, None);
        }
    }
}

"#,
        why: "fault 14: the answer to a panic is the program's, and it closes",
    },
    Edit {
        file: FILE,
        find: "/// Dummy trait that regroups",
        until: Until::Before("#[cfg(test)]"),
        replace: "",
        why: "nothing turns into a raw stream",
    },
];
