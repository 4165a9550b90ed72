//! Request line and headers by RFC 9112, with nothing of what it lets a recipient tolerate: what two
//! servers in a row could read differently is refused.

use tiny_http::{HTTPVersion, Header, Method};

use super::limits::Limits;
use super::url::encode_but;

/// A request that gets no further, and what the client is told.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) detail: &'static str,
}

/// U+001A, the control character for what could not be represented. No header holds it otherwise.
const SUBSTITUTE: u8 = 0x1a;

pub(super) const fn refusal(status: u16, detail: &'static str) -> Refusal {
    Refusal { status, detail }
}

/// How the body is delimited (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Framing {
    Empty,
    Length(usize),
    Chunked,
}

#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    /// Path and query, without scheme and host, with bytes over 127 percent-encoded.
    pub(super) target: String,
    pub(super) version: HTTPVersion,
    pub(super) headers: Vec<Header>,
    pub(super) framing: Framing,
    /// The client means to send another request on this connection.
    pub(super) keep_alive: bool,
    /// The client holds its body back until it sees `100 Continue`.
    pub(super) expects_continue: bool,
}

/// Looks for the end of a head in bytes that come piece by piece, each looked at once. Refuses as soon as it
/// can, so that garbage (a TLS handshake, say) is answered at once and not at the timeout.
#[derive(Default)]
pub(super) struct Scanner {
    at: usize,
    line_start: usize,
    lines: usize,
    request_line_is_good: bool,
}

impl Scanner {
    /// `data` is everything since the head's first byte. `Some(length)` once the head is whole, its empty
    /// line included.
    pub(super) fn scan(&mut self, data: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        while let Some(end) = line_end(data, self.at)? {
            let is_empty = self.line_start + 1 == end;
            if is_empty && self.line_start > 0 {
                return Ok(Some(end + 1));
            }
            (self.at, self.line_start) = (end + 1, end + 1);
            self.lines += usize::from(!is_empty);
            if self.lines > limits.headers + 1 {
                return Err(refusal(431, "The request has too many headers."));
            }
        }
        self.at = data.len();
        if self.lines > 0 && !self.request_line_is_good {
            parse_request_line(Lines::of(data).next().unwrap_or_default())?;
            self.request_line_is_good = true;
        }
        Ok(None)
    }
}

/// The place of the first LF in data that is good so far, of which what stands before `at` was looked at already.
pub(super) fn line_end(data: &[u8], at: usize) -> Result<Option<usize>, Refusal> {
    for at in at..data.len() {
        let after_cr = at > 0 && data[at - 1] == b'\r';
        match data[at] {
            b'\n' if after_cr => return Ok(Some(at)),
            b'\n' => return Err(refusal(400, "A line of the request ends in LF without CR.")),
            _ if after_cr => return Err(refusal(400, "The request has a CR without LF.")),
            b'\r' | b'\t' | b' '..=b'~' | 0x80.. => {}
            _ => return Err(refusal(400, "The request has a control character in its head.")),
        }
    }
    Ok(None)
}

/// Parses a whole head, as delimited by [`Scanner`], which has checked line ends and control characters.
pub(super) fn parse(head: &[u8]) -> Result<Head, Refusal> {
    let mut lines = Lines::of(head);
    let (method, (target, host), version) = parse_request_line(lines.next().unwrap_or_default())?;
    let mut headers = Vec::with_capacity(16);
    for line in lines {
        headers.push(parse_header(line)?);
    }

    check_host(&headers, &version)?;
    if !host.is_empty() {
        headers.retain(|header| !header.field.equiv("Host"));
        headers.push(Header::from_bytes("Host", host).map_err(|()| refusal(400, "The request target has no host."))?);
    }
    let framing = framing(&headers, &version)?;
    let expects_continue = expectation(&headers, &version)? && framing != Framing::Empty;
    if method == Method::Connect {
        return Err(refusal(501, "This server is no proxy: CONNECT is not implemented."));
    }
    Ok(Head { keep_alive: keep_alive(&headers, &version), method, target, version, headers, framing, expects_continue })
}

/// Lines up to the empty one, without their CR LF.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    /// RFC 9112 section 2.2: one empty line before the request line is a relic of old clients, and no line.
    fn of(head: &'a [u8]) -> Lines<'a> {
        Lines(head.strip_prefix(b"\r\n").unwrap_or(head))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == b'\r')?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 2..];
        (!line.is_empty()).then_some(line)
    }
}

/// A target, and the host that an absolute one names.
type Target<'a> = (String, &'a [u8]);

fn parse_request_line(line: &[u8]) -> Result<(Method, Target<'_>, HTTPVersion), Refusal> {
    const MALFORMED: Refusal = refusal(400, "The request line is not `METHOD target HTTP/1.1`.");
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(MALFORMED);
    };
    let version = match version {
        b"HTTP/1.0" => HTTPVersion(1, 0),
        // A later version of the same major one means the same to us (RFC 9110 section 2.5).
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] if minor.is_ascii_digit() => HTTPVersion(1, 1),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            return Err(refusal(505, "This server speaks HTTP/1.1 and HTTP/1.0 only."));
        }
        _ => return Err(MALFORMED),
    };
    if !is_token(method) {
        return Err(MALFORMED);
    }
    // A token is ASCII, and so a method.
    let method: Method = str::from_utf8(method).ok().and_then(|m| m.parse().ok()).ok_or(MALFORMED)?;
    let target = parse_target(target, &method)?;
    Ok((method, target, version))
}

/// The target in origin form (RFC 9112 section 3.2), and the host of an absolute one, in place of which `Host` is ignored. Raw
/// bytes over 127, which browsers encode and curl does not, are taken as what they would have been encoded to.
fn parse_target<'a>(target: &'a [u8], method: &Method) -> Result<Target<'a>, Refusal> {
    const MALFORMED: Refusal = refusal(400, "The request target is neither a path nor an http URL.");
    let (mut lead, mut host) = ("", &target[..0]);
    let path = match target {
        [b'/', ..] => target,
        b"*" if *method == Method::Options => target,
        // host:port, which `parse` refuses, after the rest of the head proved well formed.
        _ if *method == Method::Connect && !target.is_empty() => target,
        _ => {
            let after_scheme = [&b"http://"[..], b"https://"]
                .iter()
                .find(|scheme| target.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme)))
                .map(|scheme| &target[scheme.len()..])
                .ok_or(MALFORMED)?;
            let host_end =
                after_scheme.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after_scheme.len());
            host = &after_scheme[..host_end];
            if !is_host(host) || host.is_empty() {
                return Err(MALFORMED);
            }
            let path = &after_scheme[host_end..];
            if path.first() != Some(&b'/') {
                lead = "/";
            }
            path
        }
    };
    if path.iter().any(|byte| matches!(byte, b'#' | b'\t')) {
        return Err(MALFORMED);
    }
    let mut text = String::with_capacity(lead.len() + path.len());
    text.push_str(lead);
    encode_but(u8::is_ascii, path, &mut text);
    Ok((text, host))
}

fn parse_header(line: &[u8]) -> Result<Header, Refusal> {
    if matches!(line[0], b' ' | b'\t') {
        return Err(refusal(400, "A header is folded over two lines."));
    }
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = match colon {
        Some(colon) if is_token(&line[..colon]) => (&line[..colon], &line[colon + 1..]),
        _ => return Err(refusal(400, "A header is not `Name: value`.")),
    };
    let mut value = value.trim_ascii().to_vec();
    // Bytes over 127 are opaque (RFC 9110 section 5.5): browsers send the cookies of other programs along. Nothing that we read has
    // any, so each becomes a character that nothing has, and what is read does not fit.
    value.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = SUBSTITUTE);
    Header::from_bytes(name, value).map_err(|()| refusal(400, "A header is not `Name: value`."))
}

fn values<'a>(headers: &'a [Header], name: &'static str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |header| header.field.equiv(name)).map(|header| header.value.as_str())
}

/// RFC 9112 section 3.2: one Host, and on 1.1 not fewer.
fn check_host(headers: &[Header], version: &HTTPVersion) -> Result<(), Refusal> {
    let mut hosts = values(headers, "Host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (None, None) if *version == HTTPVersion(1, 0) => Ok(()),
        (None, None) => Err(refusal(400, "The request has no Host header.")),
        (_, Some(_)) => Err(refusal(400, "The request has more than one Host header.")),
        _ => Err(refusal(400, "The Host header is not a host.")),
    }
}

/// RFC 9112 section 6.3, without its leniencies: repeated or listed lengths, and a length beside a coding, are how
/// requests are smuggled.
fn framing(headers: &[Header], version: &HTTPVersion) -> Result<Framing, Refusal> {
    let mut codings = values(headers, "Transfer-Encoding");
    let mut lengths = values(headers, "Content-Length");
    match (codings.next(), lengths.next()) {
        (None, None) => Ok(Framing::Empty),
        (Some(_), Some(_)) => Err(refusal(400, "The request has both Transfer-Encoding and Content-Length.")),
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(refusal(400, "The request has more than one Content-Length."));
            }
            if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(refusal(400, "The Content-Length is not a number."));
            }
            match length.parse() {
                Ok(0) => Ok(Framing::Empty),
                Ok(length) => Ok(Framing::Length(length)),
                Err(_) => Err(refusal(413, "The body is larger than any server would take.")),
            }
        }
        (Some(coding), None) => {
            if *version == HTTPVersion(1, 0) {
                return Err(refusal(400, "HTTP/1.0 has no Transfer-Encoding."));
            }
            if codings.next().is_some() {
                return Err(refusal(400, "The request has more than one Transfer-Encoding."));
            }
            if !coding.eq_ignore_ascii_case("chunked") {
                return Err(refusal(501, "The only Transfer-Encoding that this server knows is chunked."));
            }
            Ok(Framing::Chunked)
        }
    }
}

/// RFC 9110 section 10.1.1: 1.0 cannot expect anything.
fn expectation(headers: &[Header], version: &HTTPVersion) -> Result<bool, Refusal> {
    if *version == HTTPVersion(1, 0) {
        return Ok(false);
    }
    let mut found = false;
    for value in values(headers, "Expect") {
        if !value.eq_ignore_ascii_case("100-continue") {
            return Err(refusal(417, "The only expectation that this server meets is 100-continue."));
        }
        found = true;
    }
    Ok(found)
}

/// RFC 9112 section 9.3.
fn keep_alive(headers: &[Header], version: &HTTPVersion) -> bool {
    let mut wanted = *version == HTTPVersion(1, 1);
    for option in values(headers, "Connection").flat_map(|value| value.split(',')) {
        let option = option.trim();
        if option.eq_ignore_ascii_case("close") {
            return false;
        }
        wanted |= option.eq_ignore_ascii_case("keep-alive");
    }
    wanted
}

/// RFC 9110 section 5.6.2: what method and header names are made of.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

/// The characters of RFC 3986's host and port, and no user before them; it may be empty.
fn is_host(bytes: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%:[]".contains(byte);
    bytes.iter().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_however_it_is_cut() {
        for head in ["GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let data = format!("{head}GET /next HTTP/1.1\r\n").into_bytes();
            for first in 0..head.len() {
                for second in first..head.len() {
                    let mut scanner = Scanner::default();
                    let limits = Limits::default();
                    assert_eq!(scanner.scan(&data[..first], &limits), Ok(None));
                    assert_eq!(scanner.scan(&data[..second], &limits), Ok(None));
                    assert_eq!(scanner.scan(&data, &limits), Ok(Some(head.len())));
                }
            }
            let parsed = parse(head.as_bytes()).unwrap();
            assert_eq!((parsed.method, parsed.target.as_str()), (Method::Get, "/"));
        }
    }

    #[test]
    fn nonsense_is_refused_before_the_head_is_whole() {
        for (status, begun) in
            [(400, "\u{16}\u{3}"), (400, "GET /\r\n"), (400, "GET / HTTP/1.1\n"), (505, "GET / HTTP/3.0\r\nHost: a")]
        {
            let refused = Scanner::default().scan(begun.as_bytes(), &Limits::default());
            assert_eq!(refused.unwrap_err().status, status, "{begun:?}");
        }
    }
}
