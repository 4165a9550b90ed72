//! tiny_http's requests and responses to and from our plain ones; the only place besides `server.rs` that knows tiny_http.

use std::io::{Cursor, empty};

use tiny_http::{Header, StatusCode};

use crate::http::{Body, Method, Request, Response};

/// A view of tiny_http's request; nothing is copied but the list of headers.
pub fn request(from: &tiny_http::Request) -> Request<'_> {
    let (path, query) = from.url().split_once('?').unwrap_or((from.url(), ""));
    Request {
        method: Method::parse(from.method().as_str()),
        path,
        query,
        headers: from.headers().iter().map(|h| (h.field.as_str().as_str(), h.value.as_str())).collect(),
        body: from.body(),
        peer: from.remote_addr().map(|address| address.ip()),
    }
}

/// Sends a response. A worker is free again when this returns, however slowly the client takes it.
pub fn respond(to: tiny_http::Request, response: Response) {
    let Response { status, headers, body } = response;
    let status = StatusCode(status);
    let headers = headers.iter().filter_map(|(name, value)| header(name, value)).collect();
    let outcome = match body {
        Body::Empty => to.respond(tiny_http::Response::new(status, headers, empty(), Some(0))),
        Body::Bytes(bytes) => {
            let length = bytes.len();
            to.respond(tiny_http::Response::new(status, headers, Cursor::new(bytes), Some(length)))
        }
        Body::Static(bytes) => to.respond(tiny_http::Response::new(status, headers, bytes, Some(bytes.len()))),
        Body::Stream(reader) => {
            to.respond_streaming(tiny_http::Response::new(status, headers, reader, None));
            Ok(())
        }
    };
    if let Err(error) = outcome {
        log::warn!("a response could not be written: {error}");
    }
}

/// The same for what the server refuses by itself.
pub fn boxed(response: Response) -> tiny_http::ResponseBox {
    let headers = response.headers.iter().filter_map(|(name, value)| header(name, value)).collect();
    let bytes = match response.body {
        Body::Bytes(bytes) => bytes,
        _ => Vec::new(),
    };
    let length = bytes.len();
    tiny_http::Response::new(StatusCode(response.status), headers, Cursor::new(bytes), Some(length)).boxed()
}

fn header(name: &str, value: &str) -> Option<Header> {
    let header = Header::from_bytes(name, value);
    if header.is_err() {
        log::error!("a response header {name} with forbidden characters was left out");
    }
    header.ok()
}
