//! response.rs: `Response`, which no longer writes itself.

use super::{Edit, Until};

const FILE: &str = "response.rs";

pub const EDITS: &[Edit] = &[
    Edit {
        file: FILE,
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
        file: FILE,
        find: r#"    chunked_threshold: Option<usize>,
}"#,
        until: Until::Before("/// A `Response` without"),
        replace: r#"    close: bool,
}

"#,
        why: "faults 13 and 15: chunked only without a length; a response can end its connection",
    },
    Edit {
        file: FILE,
        find: "/// Transfer encoding to use when sending",
        until: Until::Before("impl<R> Response<R>\nwhere\n    R: Read,"),
        replace: "",
        why: "faults 11 and 15: src/outgoing.rs writes the response, in one piece",
    },
    Edit {
        file: FILE,
        find: "    /// The `additional_headers` argument",
        until: Until::Before("    /// All the other arguments"),
        replace: "",
        why: "headers that come after the body were never sent",
    },
    Edit {
        file: FILE,
        find: "/// All the other arguments are",
        until: Until::FragmentEnd,
        replace: "/// The arguments are",
        why: "see the edit above",
    },
    Edit {
        file: FILE,
        find: r#"        additional_headers: Option<Receiver<Header>>,
"#,
        until: Until::FragmentEnd,
        replace: "",
        why: "see the edit above",
    },
    Edit {
        file: FILE,
        find: "            chunked_threshold: None,",
        until: Until::FragmentEnd,
        replace: "            close: false,",
        why: "fault 13",
    },
    Edit {
        file: FILE,
        find: "        // dummy implementation",
        until: Until::Before("        response\n    }\n\n    /// Set a threshold"),
        replace: "",
        why: "see the edit of `additional_headers`",
    },
    Edit {
        file: FILE,
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
        file: FILE,
        find: "    /// The current `Content-Length` threshold",
        until: Until::Before("    /// Adds a header to the list."),
        replace: "",
        why: "fault 15: a known length is always sent as one",
    },
    Edit {
        file: FILE,
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
        file: FILE,
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
        file: FILE,
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
        file: FILE,
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
        file: FILE,
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
        file: FILE,
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
        file: FILE,
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
        file: FILE,
        find: r#"            Some(0),
            None,
"#,
        until: Until::FragmentEnd,
        replace: r#"            Some(0),
"#,
        why: "see the edit of `additional_headers`",
    },
    Edit {
        file: FILE,
        find: "impl Clone for Response<io::Empty>",
        until: Until::FileEnd,
        replace: "",
        why: "an unused copy",
    },
];
