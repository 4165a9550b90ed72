//! A browser under control: as much of WebDriver (W3C) as these tests need, over HTTP.
//!
//! Written out instead of a client crate, for those that exist bring an async runtime, and this is a screenful.
//! Nothing here sleeps for a set time: every step is tried until it succeeds or its deadline has passed.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long a step may take before the test fails. Generous, for a loaded machine: it decides nothing else.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long to wait before trying again.
const STEP: Duration = Duration::from_millis(20);

/// The member that marks a JSON object as a reference to an element (WebDriver, section 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Chromium with one empty window and an empty profile. Dropping it ends both processes.
pub struct Browser {
    driver: Child,
    /// Where both processes keep their files, the profile among them.
    folder: PathBuf,
    http: ureq::Agent,
    session: String,
}

/// A request that the browser made, as its network log has it.
pub struct Sent {
    /// Chromium's name for the request, by which its failure is found.
    pub id: String,
    pub url: String,
}

impl Browser {
    /// Starts ChromeDriver and Chromium with no way to any host but 127.0.0.1.
    pub fn start() -> Browser {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        // In the system's own folder, for Chromium has a socket in it, whose path may not be long.
        let folder = std::env::temp_dir().join(format!(
            "contactd-browser-{}-{}",
            std::process::id(),
            STARTED.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir(&folder).expect("the system has a folder for temporary files");
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("TMPDIR", &folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver does not start: `make check` installs it (Debian: chromium-driver)");
        let output = BufReader::new(driver.stdout.take().expect("stdout is piped"));
        let mut lines = output.lines().map(|line| line.expect("chromedriver prints text"));
        let port: u16 = lines
            .find_map(|line| {
                let (_, port) = line.rsplit_once("successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says its port");
        // Read on, for it may have more to say, and nobody at the other end of the pipe would end it.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser =
            Browser { driver, folder, http: agent(), session: format!("http://127.0.0.1:{port}/session") };
        let session = browser.command("POST", "", &capabilities()).expect("Chromium starts");
        let id = session["sessionId"].as_str().expect("a session has an id");
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    /// Gives the page this width, that of a desktop or of a phone.
    pub fn resize(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.command("POST", "/goog/cdp/execute", &command).expect("Chromium takes the size");
    }

    /// Opens a page and waits until it has loaded.
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url })).expect("the address opens");
    }

    /// Clicks the element as soon as it is there and nothing covers it.
    pub fn click(&self, xpath: &str) {
        self.until(&format!("a click on {xpath}"), || self.on(xpath, "POST", "click", &json!({})));
    }

    /// Types into the element as soon as it is there.
    pub fn type_into(&self, xpath: &str, text: &str) {
        self.until(&format!("typing into {xpath}"), || self.on(xpath, "POST", "value", &json!({ "text": text })));
    }

    /// Types into the element in place of what it holds.
    pub fn fill_in(&self, xpath: &str, text: &str) {
        // Control and A together select all; the third key lets go of Control.
        self.type_into(xpath, &format!("\u{e009}a\u{e000}{text}"));
    }

    /// The text a person sees in the element, as soon as it is there and has some.
    pub fn text(&self, xpath: &str) -> String {
        self.until(&format!("text in {xpath}"), || {
            let text = self.on(xpath, "GET", "text", &Value::Null)?;
            text.as_str().filter(|text| !text.is_empty()).map(String::from)
        })
    }

    /// Whether a person can see the element now.
    pub fn shows(&self, xpath: &str) -> bool {
        self.on(xpath, "GET", "displayed", &Value::Null) == Some(Value::Bool(true))
    }

    /// What a script in the page returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] })).expect("the script runs")
    }

    /// Tries a step until it gives something. Panics with `what` when the deadline has passed.
    pub fn until<T>(&self, what: &str, mut step: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(result) = step() {
                return result;
            }
            if start.elapsed() > DEADLINE {
                let page = self.run("return document.body.innerText");
                panic!("no {what} within {DEADLINE:?}; the page:\n{page:#}");
            }
            std::thread::sleep(STEP);
        }
    }

    /// The requests since the last call, and the ids of those that got no answer.
    /// `data:` addresses are left out: they name their own content, and no request goes anywhere.
    pub fn requests(&self) -> (Vec<Sent>, Vec<String>) {
        let (mut sent, mut failed) = (Vec::new(), Vec::new());
        for entry in self.log("performance") {
            let text = entry["message"].as_str().expect("an entry has a message");
            let entry: Value = serde_json::from_str(text).expect("a performance message is JSON");
            let params = &entry["message"]["params"];
            let string = |value: &Value| value.as_str().unwrap_or_default().to_string();
            match entry["message"]["method"].as_str() {
                Some("Network.requestWillBeSent") => {
                    sent.push(Sent { id: string(&params["requestId"]), url: string(&params["request"]["url"]) })
                }
                Some("Network.webSocketCreated") => {
                    sent.push(Sent { id: string(&params["requestId"]), url: string(&params["url"]) })
                }
                Some("Network.loadingFailed") => failed.push(string(&params["requestId"])),
                _ => {}
            }
        }
        sent.retain(|request| !request.url.starts_with("data:"));
        (sent, failed)
    }

    /// The console's warnings and errors since the last call, a breach of the page's own policy among them.
    pub fn complaints(&self) -> Vec<String> {
        self.log("browser")
            .iter()
            .filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING")
            .map(|entry| entry["message"].to_string())
            .collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let entries = self.command("POST", "/se/log", &json!({ "type": kind })).expect("the log is on");
        entries.as_array().expect("a log is a list").clone()
    }

    /// One command on the first element that matches. `None` while there is none, or while it is not ready: gone with
    /// a new rendering, covered, or not visible yet.
    fn on(&self, xpath: &str, method: &str, action: &str, body: &Value) -> Option<Value> {
        let query = json!({ "using": "xpath", "value": xpath });
        let found = self.command("POST", "/element", &query).ok()?;
        let id = found[ELEMENT].as_str().expect("an element has a reference");
        self.command(method, &format!("/element/{id}/{action}"), body).ok()
    }

    /// One WebDriver command. `Err` for the answers that mean "not yet"; any other error panics with what it says.
    fn command(&self, method: &str, path: &str, body: &Value) -> Result<Value, ()> {
        let url = format!("{}{path}", self.session);
        let response = match method {
            "GET" => self.http.get(url).call(),
            "POST" => self.http.post(url).send(body.to_string()),
            _ => self.http.delete(url).call(),
        };
        let text = response
            .and_then(|mut response| response.body_mut().read_to_string())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let mut answer: Value = serde_json::from_str(&text).expect("WebDriver answers with JSON");
        let value = answer["value"].take();
        match value["error"].as_str() {
            None => Ok(value),
            Some(
                "no such element"
                | "stale element reference"
                | "element not interactable"
                | "element click intercepted",
            ) => Err(()),
            Some(_) => panic!("{method} {path}: {}", value["message"]),
        }
    }
}

impl Drop for Browser {
    /// The session first, for that ends Chromium.
    fn drop(&mut self) {
        let _ = self.http.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // Chromium's helpers may still write while they end.
        let start = Instant::now();
        while std::fs::remove_dir_all(&self.folder).is_err() && start.elapsed() < DEADLINE {
            std::thread::sleep(STEP);
        }
    }
}

/// An HTTP client for loopback: no proxy from the environment, and answers of any status are answers.
pub fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(2 * DEADLINE))
        .build()
        .new_agent()
}

/// What Chromium is started with.
fn capabilities() -> Value {
    let mut arguments = vec![
        "--headless",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--window-size=1200,1500",
        // Every other name and address is one that does not exist.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ];
    // Chromium refuses to run its sandbox as root, as in most containers.
    if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
        arguments.push("--no-sandbox");
    }
    json!({ "capabilities": { "alwaysMatch": {
        "goog:chromeOptions": { "args": arguments },
        "goog:loggingPrefs": { "performance": "ALL", "browser": "ALL" },
    } } })
}
