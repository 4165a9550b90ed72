//! A small server for the tests, and raw sockets to meet it with.
#![allow(dead_code)] // Each test binary uses its own part.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use contactd::http::{Body, Holder, Kind, Limits, Network, Program, Request, Response, Server, StatusCode};
use rustix::net;

/// Generous: no test waits this long unless it fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A request that waits for the gate.
pub const GATE: &[u8] = b"GET /gate HTTP/1.1\r\nHost: a\r\n\r\n";

/// Refuses in a shape that the tests can tell from a worker's answer.
pub struct Refuser;

impl Program for Refuser {
    fn is_instant(&self, request: &Request) -> bool {
        request.path().starts_with("/instant")
    }

    fn batch(&self, _: &Request) -> Kind {
        None
    }

    fn body_limit(&self, request: &Request) -> usize {
        assert!(!request.path().starts_with("/panic"), "as the test asked for");
        if request.path().starts_with("/large") { 16 << 20 } else { 1 << 20 }
    }

    /// The user is what `X-User` says.
    fn holder(&self, request: &Request) -> Holder {
        let user = request.header("X-User").and_then(|user| user.parse().ok());
        Holder { network: Network::of(request.peer()), user }
    }

    fn refuse(&self, status: u16, detail: &str, _: Option<&Request>) -> Response {
        text(status, format!("refused: {detail}"))
    }
}

fn text(status: u16, text: impl Into<String>) -> Response {
    Response::with_body(status, "text/plain", Body::Bytes(text.into().into_bytes()))
}

fn stream(body: impl Read + Send + 'static) -> Response {
    Response { body: Body::Stream(Box::new(body)), ..Response::new(200) }
}

/// Something a handler waits for, that a test opens.
#[derive(Default)]
pub struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    pub waiting: AtomicUsize,
}

impl Gate {
    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        self.waiting.fetch_add(1, SeqCst);
        let open = self.open.lock().unwrap();
        let (open, _) = self.opened.wait_timeout_while(open, DEADLINE, |open| !*open).unwrap();
        assert!(*open, "the test never opened the gate");
    }
}

pub struct Running {
    pub server: Arc<Server>,
    pub address: SocketAddr,
    pub gate: Arc<Gate>,
    /// Requests that reached a worker.
    pub handled: Arc<AtomicUsize>,
    workers: Vec<JoinHandle<()>>,
}

pub fn start(limits: Limits) -> Running {
    start_with(limits, 4)
}

pub fn start_with(limits: Limits, workers: usize) -> Running {
    serve(TcpListener::bind("127.0.0.1:0").unwrap(), limits, workers)
}

pub fn serve(listener: TcpListener, limits: Limits, workers: usize) -> Running {
    let address = listener.local_addr().unwrap();
    let server = Arc::new(Server::start(listener, limits, Arc::new(Refuser)).unwrap());
    let gate = Arc::new(Gate::default());
    let handled = Arc::new(AtomicUsize::new(0));
    let workers = (0..workers)
        .map(|_| {
            let (server, gate, handled) = (server.clone(), gate.clone(), handled.clone());
            thread::spawn(move || {
                while let Ok(request) = server.recv() {
                    handled.fetch_add(1, SeqCst);
                    // As the program does: a panic is one request's matter.
                    let _ = catch_unwind(AssertUnwindSafe(|| answer(request.item, &gate)));
                }
            })
        })
        .collect();
    Running { server, address, gate, handled, workers }
}

/// Does as the path says; what says nothing is echoed.
fn answer(request: Arc<Request>, gate: &Gate) {
    let path = request.target().to_owned();
    let number = || path.rsplit('/').next().and_then(|n| n.parse::<usize>().ok()).unwrap();
    let response = match path.split('/').nth(1).unwrap_or_default() {
        "close" => Response { close: true, ..text(200, "bye") },
        "gate" => {
            gate.pass();
            text(200, "through the gate")
        }
        "left" => {
            eventually("the client leaves", || request.client_left());
            text(200, "it left")
        }
        "bytes" => text(200, "x".repeat(number())),
        "status" => text(number() as u16, ""),
        "stream" => stream(std::io::repeat(b's').take(number() as u64)),
        "streamed-status" => Response { status: StatusCode(number() as u16), ..stream(std::io::empty()) },
        "debug" => text(200, format!("{request:?}")),
        "panic" => panic!("as the test asked for"),
        "broken" => stream(std::io::repeat(b's').take(number() as u64).chain(Broken)),
        "drop" => return drop(request),
        "split" => ["a\r\nInjected: yes", "a\nInjected: yes", "a\rb", "a\0b", "a\u{e9}b", "a\tb"]
            .into_iter()
            .fold(text(200, "ok"), |response, value| response.header("X-Test", value)),
        "forbidden" => ["Date", "server", "Connection", "content-length", "Transfer-Encoding", "Trailer", "Upgrade"]
            .into_iter()
            .fold(text(200, "ok"), |response, name| response.header(name, "7")),
        _ => {
            let body = request.body();
            let begun = String::from_utf8_lossy(&body[..body.len().min(1000)]);
            text(200, format!("{} {} {} {begun}", request.method(), request.target(), body.len()))
        }
    };
    request.respond(response);
}

/// A reader that fails.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("as the test asked for"))
    }
}

impl Running {
    pub fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).unwrap())
    }

    /// A client in another network: its address is 127.0.0.`last`.
    pub fn connect_from(&self, last: u8) -> Client {
        let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None).unwrap();
        net::bind(&socket, &SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
        net::connect(&socket, &self.address).unwrap();
        Client::new(TcpStream::from(socket))
    }

    pub fn connect_and_send(&self, bytes: &[u8]) -> Client {
        let mut client = self.connect();
        client.send(bytes);
        client
    }

    /// One request on a connection of its own; everything the server says until it closes.
    pub fn exchange(&self, bytes: &[u8]) -> String {
        self.connect_and_send(bytes).rest()
    }

    /// The server answers a plain request: it lives.
    pub fn assert_alive(&self) {
        let reply = self.connect().get("/alive");
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Drains and joins every worker: none may be left.
    pub fn stop(self) {
        self.server.drain(DEADLINE);
        for worker in self.workers {
            worker.join().unwrap();
        }
    }
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

pub struct Client {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn new(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream, buffer: Vec::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        self.reply()
    }

    /// Reads one response that has a Content-Length, or none and no body.
    pub fn reply(&mut self) -> Reply {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.read_more() > 0, "closed within a head: {:?}", self.text());
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let mut reply = Reply { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head, body: Vec::new() };
        let length = reply.header("content-length").map_or(0, |n| n.parse().unwrap());
        while self.buffer.len() < length {
            assert!(self.read_more() > 0, "closed within a body");
        }
        reply.body = self.buffer.drain(..length).collect();
        reply
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> String {
        while self.read_more() > 0 {}
        self.text()
    }

    /// True if the server closes, without having said a thing.
    pub fn is_closed_silently(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// The first bytes that have arrived and that nobody has read, up to so many.
    pub fn peeked(&self, count: usize) -> Vec<u8> {
        let mut peeked = vec![0; count];
        self.stream.set_nonblocking(true).unwrap();
        let found = self.stream.peek(&mut peeked).unwrap_or(0);
        self.stream.set_nonblocking(false).unwrap();
        peeked.truncate(found);
        peeked
    }

    /// Something has arrived that nobody has read.
    pub fn has_input(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        peeked.is_ok()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.buffer).into_owned()
    }

    fn read_more(&mut self) -> usize {
        let mut piece = [0; 65536];
        loop {
            match self.stream.read(&mut piece) {
                Ok(count) => {
                    self.buffer.extend_from_slice(&piece[..count]);
                    return count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("reading: {error}; had {:.300?}", self.text()),
            }
        }
    }
}

/// Waits until `holds`, or fails saying `what`.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Threads of all servers of this process, their workers not included.
pub fn threads() -> usize {
    let is_servers = |task: std::io::Result<std::fs::DirEntry>| {
        // A thread that ends meanwhile has no name any more.
        let name = std::fs::read_to_string(task.unwrap().path().join("comm"));
        name.is_ok_and(|name| name.starts_with("http"))
    };
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.map(is_servers).filter(|is| *is).count()
}

/// Open descriptors of this process.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Peak resident memory of this process in bytes.
pub fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}
