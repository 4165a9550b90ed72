//! Plain values of HTTP: what a request says and what a response is, without a server.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::net::IpAddr;

/// A request method (RFC 9110 §9, PATCH from RFC 5789). Methods that no route has are all `Other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Other,
}

impl Method {
    /// From the request line; methods are case-sensitive.
    pub fn parse(name: &str) -> Method {
        match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }

    /// As in a request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Other => "OTHER",
        }
    }
}

/// A request whose head and body are whole, borrowed from the server's own.
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// The path as it came, percent-encoded, without the query.
    pub path: &'a str,
    /// What follows `?`, percent-encoded.
    pub query: &'a str,
    /// Name and value of each header, in order.
    pub headers: Vec<(&'a str, &'a str)>,
    /// The body; empty when there is none.
    pub body: &'a [u8],
    /// The address that the connection comes from.
    pub peer: Option<IpAddr>,
}

impl fmt::Debug for Request<'_> {
    /// Without what is secret or private: tokens are in headers, passwords in bodies, names in queries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("body", &self.body.len())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl<'a> Request<'a> {
    /// The first value of a header; names are compared without case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers_named(name).next()
    }

    /// All values of a header.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// The token of `Authorization: Bearer …`; the scheme is read in any case (RFC 9110 §11.1).
    pub fn bearer(&self) -> Option<&'a str> {
        let (scheme, token) = self.header("Authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The client's address. What `X-Forwarded-For` says counts only from trusted proxies: it is read from its end, where
    /// each proxy adds the address it was called from, up to the first that is not one of them.
    pub fn client_address(&self, trusted: &[IpAddr]) -> Option<IpAddr> {
        let mut address = self.peer?.to_canonical();
        let forwarded: Vec<_> = self.headers_named("X-Forwarded-For").flat_map(|value| value.split(',')).collect();
        for hop in forwarded.into_iter().rev() {
            if !trusted.contains(&address) {
                break;
            }
            match hop.trim().parse::<IpAddr>() {
                Ok(before) => address = before.to_canonical(),
                Err(_) => break,
            }
        }
        Some(address)
    }

    /// Scheme and host by which the client reached us, such as `https://contacts.example.org`, for addresses to be used
    /// elsewhere. We speak plain HTTP; that a proxy speaks TLS before us is believed only of a trusted one. `None` without a
    /// usable host, which only HTTP/1.0 allows.
    pub fn origin(&self, trusted: &[IpAddr]) -> Option<String> {
        let is_trusted = self.peer.is_some_and(|peer| trusted.contains(&peer.to_canonical()));
        // Of several proxies the last one wrote the last value.
        let forwarded = |name| {
            let value = self.headers_named(name).last().filter(|_| is_trusted)?;
            value.rsplit(',').next().map(str::trim)
        };
        let is_tls = forwarded("X-Forwarded-Proto").is_some_and(|p| p.eq_ignore_ascii_case("https"));
        let host = forwarded("X-Forwarded-Host").or_else(|| self.header("Host"))?;
        let is_host = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        let is_usable = (1..=255).contains(&host.len()) && host.bytes().all(is_host);
        let scheme = if is_tls { "https" } else { "http" };
        is_usable.then(|| format!("{scheme}://{host}"))
    }

    /// The media type of the body, in lower case, without parameters (RFC 9110 §8.3.1).
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("Content-Type")?;
        Some(value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
    }
}

/// What follows the head of a response.
pub enum Body {
    /// Nothing.
    Empty,
    /// Made for this response.
    Bytes(Vec<u8>),
    /// Part of the program.
    Static(&'static [u8]),
    /// Made while it is sent, of unknown length. Read on a thread of its own, so a slow client holds up nobody.
    Stream(Box<dyn Read + Send>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Body::Static(bytes) => write!(f, "Static({})", bytes.len()),
            Body::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// A response.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header names and values; a value never holds a control character (the server refuses one).
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A response without a body.
    pub fn new(status: u16) -> Response {
        Response { status, headers: Vec::with_capacity(8), body: Body::Empty }
    }

    /// A response with a body of this media type.
    pub fn with_body(status: u16, content_type: &'static str, body: Body) -> Response {
        Response { body, ..Response::new(status).header("Content-Type", content_type) }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Response {
        self.headers.push((name, value.into()));
        self
    }

    /// Whether it has this header.
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }
}

/// Decodes `%XX` strictly into UTF-8 (RFC 3986 §2.1); in forms `+` is a space. `None` for a broken escape or broken UTF-8.
pub fn percent_decode(text: &str, plus_is_space: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|b| b == b'%' || b == b'+' && plus_is_space) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'%' => {
                let (high, low) = (hex(rest.next()?)?, hex(rest.next()?)?);
                high << 4 | low
            }
            b'+' if plus_is_space => b' ',
            b => b,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Encodes all but the unreserved characters (RFC 3986 §2.3).
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            encoded.push(char::from(b));
        } else {
            let _ = write!(encoded, "%{b:02X}");
        }
        encoded
    })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// A decoded name and its decoded value.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The decoded pairs of a query string or an `application/x-www-form-urlencoded` body; the name of the first broken one otherwise.
pub fn parse_pairs(text: &str) -> Result<Vec<Pair<'_>>, String> {
    let mut pairs = Vec::new();
    for pair in text.split('&').filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match (percent_decode(name, true), percent_decode(value, true)) {
            (Some(name), Some(value)) => pairs.push((name, value)),
            (Some(name), None) => return Err(name.into_owned()),
            (None, _) => return Err(name.to_owned()),
        }
    }
    Ok(pairs)
}
