//! The example of nginx in docs/deploy, run by the real nginx before the real program: TLS outside, the client's own address and scheme
//! inside. `make check` runs it, for it needs nginx, curl and openssl.

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::eventually;
use support::server::{Setup, database};

/// A running nginx and its folder. Dropping it ends it.
struct Nginx {
    process: Child,
    folder: PathBuf,
    site: String,
    /// The same without TLS.
    plain: String,
}

fn run(line: &[&str]) -> String {
    let output = Command::new(line[0]).args(&line[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("{} is missing: {error}", line[0]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line:?}: {said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

impl Nginx {
    /// Before a program that listens there, configured as the example but for ports and paths.
    fn before(program: &str) -> Nginx {
        let folder = std::env::temp_dir().join(format!("contactd-nginx-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for nginx");
        let path = |name: &str| folder.join(name).to_str().expect("UTF-8").to_owned();
        let (key, certificate) = (path("key.pem"), path("certificate.pem"));
        run(&[
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=contacts.example.com",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ]);
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port();
        let (port, plain) = (free(), free());
        let mut site = include_str!("../../docs/deploy/nginx.conf").to_owned();
        for (from, to) in [
            ("127.0.0.1:8000", program),
            ("listen 80;", &format!("listen 127.0.0.1:{plain};")),
            ("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl")),
            ("/etc/ssl/certs/contacts.example.com.pem", &certificate),
            ("/etc/ssl/private/contacts.example.com.key", &key),
        ] {
            assert!(site.contains(from), "the example has no {from}");
            site = site.replace(from, to);
        }
        let own = format!(
            "daemon off; pid {pid}; error_log {log}; events {{}}\nhttp {{\naccess_log {access};\n\
             client_body_temp_path {body}; proxy_temp_path {proxy}; fastcgi_temp_path {fastcgi};\n\
             uwsgi_temp_path {uwsgi}; scgi_temp_path {scgi};\n{site}\n}}\n",
            pid = path("pid"),
            log = path("error.log"),
            access = path("access.log"),
            body = path("body"),
            proxy = path("proxy"),
            fastcgi = path("fastcgi"),
            uwsgi = path("uwsgi"),
            scgi = path("scgi"),
        );
        fs::write(folder.join("nginx.conf"), own).expect("the folder can be written");
        let mut nginx = Command::new("nginx");
        nginx.args(["-p", &path(""), "-c", &path("nginx.conf"), "-e", &path("error.log")]);
        let process =
            nginx.stderr(Stdio::inherit()).spawn().expect("nginx is missing (Debian: apt-get install nginx-light)");
        let plain = format!("http://127.0.0.1:{plain}");
        Nginx { process, folder, site: format!("https://127.0.0.1:{port}"), plain }
    }

    /// Asks through nginx, from another address than nginx's own.
    fn curl(&self, target: &str, more: &[&str]) -> String {
        let url = format!("{}{target}", self.site);
        let mut line = vec!["curl", "-sS", "--insecure", "--interface", "127.0.0.2", &url];
        line.extend(more);
        run(&line)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(Path::new(&self.folder).join(name)).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn behind_nginx_as_the_example_has_it() {
    let database = database();
    let server = Setup::on(&database).with("TRUSTED_PROXIES", "127.0.0.1").ready();
    let nginx = Nginx::before(&server.address.to_string());
    eventually("nginx answers", || {
        let health = ["-sf", "--insecure", &format!("{}/livez", nginx.site)].map(str::to_owned);
        Command::new("curl").args(health).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
    });

    let head = run(&["curl", "-sSI", &format!("{}/docs?a=b", nginx.plain)]);
    assert!(head.starts_with("HTTP/1.1 308") && head.contains("Location: https://127.0.0.1/docs?a=b"), "{head}");
    let head = nginx.curl("/livez", &["-I"]);
    assert!(head.contains("Strict-Transport-Security: max-age=31536000"), "{head}");

    let kind = "Content-Type: application/json";
    let person = json!({ "username": "A", "email": "a@example.com", "password": "123456" }).to_string();
    assert_eq!(parsed(&nginx.curl("/api/auth/signup", &["-H", kind, "-d", &person]))["email"], "a@example.com");
    // What a client claims of itself is added to, and not believed.
    let pair = nginx.curl("/api/auth/login", &["-H", kind, "-H", "X-Forwarded-For: 10.9.8.7", "-d", &person]);
    let bearer = format!("Authorization: Bearer {}", parsed(&pair)["access_token"].as_str().expect("a token"));
    let sessions = parsed(&nginx.curl("/api/auth/sessions", &["-H", &bearer]));
    assert_eq!(sessions[0]["ip"], "127.0.0.2", "{sessions}");

    // Nor do they decide the address that is handed out.
    let lie = ["-X", "POST", "-H", &bearer, "-H", "X-Forwarded-Host: evil.example.com"];
    let opened = parsed(&nginx.curl("/api/contacts/calendar", &lie));
    let url = opened["url"].as_str().expect("an address");
    assert!(url.starts_with("https://127.0.0.1"), "{url}");
    let path = &url[url.find("/api/").expect("a path")..];
    assert!(nginx.curl(path, &[]).starts_with("BEGIN:VCALENDAR"));
    let secret = path.trim_start_matches("/api/calendar/").trim_end_matches(".ics");
    assert!(nginx.read("access.log").contains("/api/contacts/calendar"), "the rest is logged");
    assert!(!nginx.read("access.log").contains(secret), "the calendar's secret is in nginx's log");

    // An import of more than nginx's own limit of 1 MiB, and an export of it.
    let many: Vec<_> = (0..30_000).map(|n| json!({ "first_name": format!("First{n}"), "last_name": "Last" })).collect();
    let file = nginx.folder.join("many.json");
    fs::write(&file, json!(many).to_string()).expect("the folder can be written");
    let data = format!("@{}", file.display());
    let report = nginx.curl("/api/contacts/import", &["-H", &bearer, "-H", kind, "--data-binary", &data]);
    assert_eq!(parsed(&report)["created"], 30_000, "{report}");
    let export = parsed(&nginx.curl("/api/contacts/export", &["-H", &bearer]));
    assert_eq!(export.as_array().expect("a list").len(), 30_000);
}
