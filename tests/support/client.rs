//! A small HTTP client over a plain socket: it sends exactly what a test says and hides nothing of the answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};
use serde_json::{Value, json};

/// Whom to talk to, and as whom.
#[derive(Clone)]
pub struct Client {
    /// The server.
    pub address: SocketAddr,
    /// The access token that goes with each request.
    pub token: Option<String>,
    /// The refresh token of the login.
    pub refresh_token: Option<String>,
    /// The address to come from, where it matters.
    pub source: Option<Ipv4Addr>,
}

/// A request being put together.
pub struct Request {
    address: SocketAddr,
    source: Option<Ipv4Addr>,
    patience: Duration,
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names as sent, and values.
    pub headers: Vec<(String, String)>,
    /// The body, its chunks put together.
    pub body: Vec<u8>,
}

impl Client {
    /// Without a token.
    pub fn new(address: SocketAddr) -> Client {
        Client { address, token: None, refresh_token: None, source: None }
    }

    /// With this token.
    pub fn with_token(&self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..self.clone() }
    }

    /// From this address of the loopback network.
    pub fn from(&self, source: Ipv4Addr) -> Client {
        Client { source: Some(source), ..self.clone() }
    }

    /// A request; the target goes out as it is, raw bytes included.
    pub fn request(&self, method: &str, target: impl AsRef<[u8]>) -> Request {
        let request = Request {
            address: self.address,
            source: self.source,
            patience: Duration::from_secs(60),
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            headers: Vec::new(),
            body: None,
        };
        match &self.token {
            Some(token) => request.header("Authorization", &format!("Bearer {token}")),
            None => request,
        }
    }

    pub fn get(&self, target: impl AsRef<[u8]>) -> Request {
        self.request("GET", target)
    }

    pub fn post(&self, target: &str, body: &Value) -> Request {
        self.request("POST", target).json(body)
    }

    pub fn put(&self, target: &str, body: &Value) -> Request {
        self.request("PUT", target).json(body)
    }

    pub fn patch(&self, target: &str, body: &Value) -> Request {
        self.request("PATCH", target).json(body)
    }

    pub fn delete(&self, target: &str) -> Request {
        self.request("DELETE", target)
    }

    /// Signs up and logs in; panics unless both succeed.
    pub fn new_user(&self, email: &str) -> Client {
        let body = json!({ "username": "A person", "email": email, "password": "123456" });
        let answer = self.post("/api/auth/signup", &body).send();
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.login(email, "123456")
    }

    /// Logs in; panics unless it succeeds.
    pub fn login(&self, email: &str, password: &str) -> Client {
        let answer = self.post("/api/auth/login", &json!({ "email": email, "password": password })).send();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let pair = answer.json();
        let text = |name: &str| pair[name].as_str().map(str::to_owned);
        Client { token: text("access_token"), refresh_token: text("refresh_token"), ..self.clone() }
    }

    /// Makes a contact and gives its id; panics unless it succeeds.
    pub fn new_contact(&self, contact: &Value) -> i64 {
        let answer = self.post("/api/contacts", contact).send();
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["id"].as_i64().expect("an id")
    }
}

impl Request {
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Request {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = Some(body.into());
        self
    }

    /// Gives up when nothing comes for so long, in place of a minute.
    pub fn within(mut self, patience: Duration) -> Request {
        self.patience = patience;
        self
    }

    /// Sends it on a connection of its own and reads the answer to its end.
    pub fn send(self) -> Answer {
        self.try_send().expect("the server answers")
    }

    /// The same, where the server may not be there.
    pub fn try_send(self) -> std::io::Result<Answer> {
        let mut socket = match self.source {
            Some(source) => connect_from(source, self.address)?,
            None => TcpStream::connect_timeout(&self.address, Duration::from_secs(10))?,
        };
        socket.set_read_timeout(Some(self.patience))?;
        socket.set_nodelay(true)?;
        let mut bytes = format!("{} ", self.method).into_bytes();
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(format!(" HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address).as_bytes());
        for (name, value) in &self.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if let Some(body) = &self.body {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        // A server may refuse a body before it has read all of it: then writing fails and the answer is there to be read.
        let _ = socket.write_all(&bytes);
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        let parsed = if self.method == "HEAD" { Answer::parse_head(&answer) } else { Answer::parse(&answer) };
        parsed.ok_or_else(|| std::io::Error::other(format!("no answer in {:?}", String::from_utf8_lossy(&answer))))
    }
}

impl Answer {
    /// The answer in these bytes, whole to the connection's end.
    pub fn parse(bytes: &[u8]) -> Option<Answer> {
        let mut answer = Answer::parse_head(bytes)?;
        if answer.header("Transfer-Encoding") == Some("chunked") {
            answer.body = unchunk(&answer.body)?;
        }
        Some(answer)
    }

    /// The same for what answers HEAD: whatever its headers say of a body, there is none.
    pub fn parse_head(bytes: &[u8]) -> Option<Answer> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<_> =
            lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        Some(Answer { status, headers, body: bytes[end + 4..].to_vec() })
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; panics if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {}", self.text()))
    }

    /// All values of a header.
    pub fn headers_named(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The same answer, or this test fails telling what it was instead.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The fields that a 422 complains of, in its order.
    pub fn faults(&self) -> Vec<String> {
        let problem = self.json();
        let fields = problem["errors"].as_array().into_iter().flatten();
        fields.map(|fault| fault["field"].as_str().expect("a field").to_owned()).collect()
    }

    /// The `first_name` of each contact of a list.
    pub fn names(&self) -> Vec<String> {
        let list = self.json();
        let contacts = list.as_array().unwrap_or_else(|| panic!("a list: {}", self.text())).iter();
        contacts.map(|c| c["first_name"].as_str().expect("a name").to_owned()).collect()
    }
}

/// A connection from one address of this machine to another.
fn connect_from(source: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    rustix::net::connect(&socket, &to)?;
    Ok(TcpStream::from(socket))
}

fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = bytes.windows(2).position(|w| w == b"\r\n")?;
        let size =
            usize::from_str_radix(std::str::from_utf8(&bytes[..end]).ok()?.split(';').next()?.trim(), 16).ok()?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size + 2..)?;
    }
}
