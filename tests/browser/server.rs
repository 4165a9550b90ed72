//! The program itself, as a person would start it, on a real Postgres.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A running `contactd`. Dropping it ends the process.
pub struct Server {
    process: Child,
    /// Such as `http://127.0.0.1:40123`.
    pub address: String,
}

impl Server {
    /// Starts the program on a free port with a secret of its own, and waits until it says where it listens.
    pub fn start() -> Server {
        let mut process = Command::new(env!("CARGO_BIN_EXE_contactd"))
            .env("LISTEN", "127.0.0.1:0")
            .env("JWT_SECRET", random_secret())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut log = BufReader::new(process.stderr.take().expect("stderr is piped"));
        let mut seen = String::new();
        let address = loop {
            let start = seen.len();
            let read = log.read_line(&mut seen).expect("the log is text");
            assert_ne!(read, 0, "the program ended before it listened:\n{seen}");
            if let Some((_, rest)) = seen[start..].split_once("http://127.0.0.1:") {
                let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                break format!("http://127.0.0.1:{port}");
            }
        };
        // Read on, or the program would wait for room in the pipe one day.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Server { process, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// 32 random bytes in hexadecimal.
fn random_secret() -> String {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .expect("the system has random bytes");
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes any text");
        hex
    })
}
