//! The settings: each from the environment or a flag, checked at the start, so that a wrong one ends the program with a line
//! that names it rather than a request much later.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use postgres::config::{Host, SslMode};

/// The default of `PASSWORD_MIN_LENGTH`: the sample users of the original application have six.
pub const PASSWORD_MIN_LENGTH: usize = 6;

/// A value that is never printed.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The bytes.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One setting, for reading and for `--help`.
pub struct Setting {
    /// Its name in the environment; the flag is the same in lower case with dashes.
    pub name: &'static str,
    /// What counts when it is not set.
    pub default: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help }
}

/// All settings. A flag wins over the environment.
#[rustfmt::skip] // a table is read by its columns
pub const SETTINGS: &[Setting] = &[
    setting("DATABASE_URL",             "",               "where Postgres is: a URL or key/value string, TCP or Unix socket (required)"),
    setting("LISTEN",                   "127.0.0.1:8000", "address and port to serve on"),
    setting("JWT_SECRET",               "",               "what tokens are signed with, at least 32 bytes (required, or the next)"),
    setting("JWT_SECRET_FILE",          "",               "a file that holds it; white space around it does not count"),
    setting("JWT_SECRET_PREVIOUS",      "",               "an older secret, for verifying only, while keys change"),
    setting("JWT_SECRET_PREVIOUS_FILE", "",               "a file that holds it"),
    setting("PASSWORD_MIN_LENGTH",      "6",              "fewest characters of a new password, 1 to 128; 8 or more is wise"),
    setting("REFUSED_PASSWORDS_FILE",   "",               "a file of passwords that are refused, one a line"),
    setting("LOGIN_ATTEMPTS",           "10",             "failed logins of an account in 15 minutes; 0: no limit"),
    setting("ADDRESS_ATTEMPTS",         "100",            "failed logins or sign-ups from an address in 15 minutes; 0: no limit"),
    setting("TRUSTED_PROXIES",          "",               "addresses, by commas, whose X-Forwarded-For counts"),
    setting("TIMEZONE",                 "UTC",            "the server's own today, for birthdays: a zone that Postgres knows"),
    setting("CORS_ORIGINS",             "",               "origins, by commas, whose browsers may call; * for any"),
    setting("LOG",                      "info",           "error, warn, info, debug (a line each request) or off"),
    setting("WORKERS",                  "",               "threads for reads (two a core)"),
    setting("WRITE_WORKERS",            "",               "most threads for writes, which wait for the disk (four a core)"),
    setting("SLOW_WORKERS",             "",               "threads for hashing, import and export (one a core)"),
    setting("MAX_CONNECTIONS",          "1024",           "clients at the same time; the next gets 503"),
    setting("HEAD_TIMEOUT",             "10",             "seconds for a whole request head from its first byte"),
    setting("BODY_TIMEOUT",             "30",             "seconds for a whole request body"),
    setting("IDLE_TIMEOUT",             "75",             "seconds that a connection may be idle"),
    setting("WRITE_TIMEOUT",            "10",             "seconds that a client may take nothing of its answer"),
    setting("MAX_HEAD_BYTES",           "32768",          "most bytes of request line and headers"),
    setting("MAX_HEADERS",              "100",            "most headers of a request"),
    setting("BODIES_IN_FLIGHT",         "134217728",      "most bytes of all request bodies together; the next gets 503"),
    setting("DRAIN_TIMEOUT",            "10",             "seconds for requests in flight after SIGTERM"),
];

/// A setting that does not fit; one line that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn wrong<T>(name: &str, what: impl fmt::Display) -> Result<T, Wrong> {
    Err(Wrong(format!("{name} {what}")))
}

/// All settings, checked.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // SETTINGS says what each is
pub struct Config {
    pub database: postgres::Config,
    pub listen: SocketAddr,
    pub jwt_secret: Secret,
    pub jwt_secret_previous: Option<Secret>,
    pub password_min: usize,
    pub refused_passwords: Vec<String>,
    pub login_attempts: i32,
    pub address_attempts: i32,
    pub trusted_proxies: Vec<IpAddr>,
    pub timezone: String,
    pub cors_origins: Vec<String>,
    pub log: log::LevelFilter,
    pub workers: usize,
    pub write_workers: usize,
    pub slow_workers: usize,
    pub max_connections: usize,
    pub head_timeout: u64,
    pub body_timeout: u64,
    pub idle_timeout: u64,
    pub write_timeout: u64,
    pub max_head_bytes: usize,
    pub max_headers: usize,
    pub bodies_in_flight: usize,
    pub drain_timeout: u64,
}

/// Connections to the database beyond those of the workers, for downloads: each borrows one for each of its pages, and gives
/// it back before it sends the page.
const DOWNLOADS: usize = 3;

impl Config {
    /// Connections to the database: one for each worker, so that none waits for another's, one for housekeeping, and some
    /// for downloads.
    pub fn database_connections(&self) -> usize {
        self.workers + self.write_workers + self.slow_workers + 1 + DOWNLOADS
    }
}

/// Named values, by the settings' names.
pub struct Values(HashMap<&'static str, String>);

impl Values {
    /// The settings among these values; those that are empty count as not set. Later ones win.
    pub fn new(given: impl IntoIterator<Item = (String, String)>) -> Values {
        let mut values = HashMap::new();
        for (name, value) in given {
            if let Some(setting) = SETTINGS.iter().find(|s| s.name == name)
                && !value.is_empty()
            {
                values.insert(setting.name, value);
            }
        }
        Values(values)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn or_default(&self, name: &'static str) -> &str {
        self.get(name).or_else(|| SETTINGS.iter().find(|s| s.name == name).map(|s| s.default)).unwrap_or("")
    }

    fn number(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
        computed: Option<u64>,
    ) -> Result<u64, Wrong> {
        let text = self.or_default(name);
        match (text, computed) {
            ("", Some(computed)) => Ok(computed),
            _ => match text.parse() {
                Ok(number) if range.contains(&number) => Ok(number),
                _ => wrong(
                    name,
                    format_args!("must be a number from {} to {}, not `{text}`", range.start(), range.end()),
                ),
            },
        }
    }

    fn size(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
        computed: Option<u64>,
    ) -> Result<usize, Wrong> {
        self.number(name, range, computed).map(|n| usize::try_from(n).unwrap_or(usize::MAX))
    }

    fn list(&self, name: &'static str) -> Vec<&str> {
        self.or_default(name).split(',').map(str::trim).filter(|s| !s.is_empty()).collect()
    }

    fn secret(&self, name: &'static str, file_name: &'static str) -> Result<Option<Secret>, Wrong> {
        let (named, bytes) = match (self.get(name), self.get(file_name)) {
            (Some(_), Some(_)) => {
                return wrong(name, format_args!("and {file_name} are both set: give one of them"));
            }
            (Some(text), None) => (name, text.as_bytes().to_vec()),
            (None, Some(path)) => (file_name, read_file(file_name, path)?.trim_ascii().to_vec()),
            (None, None) => return Ok(None),
        };
        if bytes.len() < 32 {
            return wrong(
                named,
                format_args!("must hold at least 32 bytes, not {}: try `openssl rand -hex 32`", bytes.len()),
            );
        }
        Ok(Some(Secret(bytes)))
    }

    /// Where the database is, alone: all that `contactd migrate` needs.
    pub fn database(&self) -> Result<postgres::Config, Wrong> {
        let text = self
            .get("DATABASE_URL")
            .map_or_else(|| wrong("DATABASE_URL", "is not set: give postgres://user@host/database"), Ok)?;
        // The parser's own error may repeat the password.
        let Ok(config) = text.parse::<postgres::Config>() else {
            return wrong(
                "DATABASE_URL",
                "must be a Postgres URL or key/value string, such as postgres://user@host/database",
            );
        };
        if config.get_user().is_none() {
            return wrong("DATABASE_URL", "names no user");
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return wrong("DATABASE_URL", "names no host");
        }
        match config.get_ssl_mode() {
            SslMode::Disable => Ok(config),
            SslMode::Prefer
                if config.get_hosts().iter().all(is_local)
                    && config.get_hostaddrs().iter().all(IpAddr::is_loopback) =>
            {
                Ok(config)
            }
            SslMode::Prefer => wrong(
                "DATABASE_URL",
                "names a remote host, and TLS is not built in: add sslmode=disable to accept plain text",
            ),
            _ => wrong(
                "DATABASE_URL",
                "asks for TLS, which is not built in: use a Unix socket, a local proxy, or sslmode=disable",
            ),
        }
    }

    /// What a new password must be, for whoever makes users by command.
    pub fn new_password(&self) -> Result<(usize, Vec<String>), Wrong> {
        Ok((self.size("PASSWORD_MIN_LENGTH", 1..=128, None)?, self.refused_passwords()?))
    }

    /// The level of the log.
    pub fn log(&self) -> Result<log::LevelFilter, Wrong> {
        let text = self.or_default("LOG");
        text.parse().or_else(|_| wrong("LOG", format_args!("must be error, warn, info, debug or off, not `{text}`")))
    }

    /// All settings.
    pub fn config(&self) -> Result<Config, Wrong> {
        let listen = self.or_default("LISTEN");
        let Some(listen) = listen.to_socket_addrs().ok().and_then(|mut all| all.next()) else {
            return wrong(
                "LISTEN",
                format_args!("must be an address and a port such as 127.0.0.1:8000, not `{listen}`"),
            );
        };
        let Some(jwt_secret) = self.secret("JWT_SECRET", "JWT_SECRET_FILE")? else {
            return wrong("JWT_SECRET", "is not set, nor JWT_SECRET_FILE: try `openssl rand -hex 32`");
        };
        let mut trusted_proxies = Vec::new();
        for text in self.list("TRUSTED_PROXIES") {
            match text.parse::<IpAddr>() {
                Ok(address) => trusted_proxies.push(address.to_canonical()),
                Err(_) => {
                    return wrong("TRUSTED_PROXIES", format_args!("must be IP addresses by commas, not `{text}`"));
                }
            }
        }
        let (password_min, refused_passwords) = self.new_password()?;
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        Ok(Config {
            database: self.database()?,
            listen,
            jwt_secret,
            jwt_secret_previous: self.secret("JWT_SECRET_PREVIOUS", "JWT_SECRET_PREVIOUS_FILE")?,
            password_min,
            refused_passwords,
            login_attempts: self.number("LOGIN_ATTEMPTS", 0..=1_000_000, None)? as i32,
            address_attempts: self.number("ADDRESS_ATTEMPTS", 0..=1_000_000, None)? as i32,
            trusted_proxies,
            timezone: self.timezone()?,
            cors_origins: self.cors_origins()?,
            log: self.log()?,
            workers: self.size("WORKERS", 1..=256, Some(2 * cores))?,
            write_workers: self.size("WRITE_WORKERS", 1..=256, Some(4 * cores))?,
            slow_workers: self.size("SLOW_WORKERS", 1..=256, Some(cores))?,
            max_connections: self.size("MAX_CONNECTIONS", 1..=100_000, None)?,
            head_timeout: self.number("HEAD_TIMEOUT", 1..=3600, None)?,
            body_timeout: self.number("BODY_TIMEOUT", 1..=3600, None)?,
            idle_timeout: self.number("IDLE_TIMEOUT", 1..=3600, None)?,
            write_timeout: self.number("WRITE_TIMEOUT", 1..=3600, None)?,
            max_head_bytes: self.size("MAX_HEAD_BYTES", 1024..=1_048_576, None)?,
            max_headers: self.size("MAX_HEADERS", 8..=10_000, None)?,
            bodies_in_flight: self.size("BODIES_IN_FLIGHT", 1 << 24..=1 << 40, None)?,
            drain_timeout: self.number("DRAIN_TIMEOUT", 0..=3600, None)?,
        })
    }

    fn refused_passwords(&self) -> Result<Vec<String>, Wrong> {
        let name = "REFUSED_PASSWORDS_FILE";
        let Some(path) = self.get(name) else {
            return Ok(Vec::new());
        };
        let Ok(text) = String::from_utf8(read_file(name, path)?) else {
            return wrong(name, "must be UTF-8");
        };
        // Some editors begin a file with a byte order mark.
        let lines = text.trim_start_matches('\u{feff}').lines();
        Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Whether there is such a zone only Postgres knows. But of an offset it would read the sign the other way round, as POSIX
    /// does: its `UTC+3` is three hours west. Below `Etc/` that is in the names themselves.
    fn timezone(&self) -> Result<String, Wrong> {
        let name = self.or_default("TIMEZONE");
        let is_offset = |pair: &[u8]| matches!(pair[0], b'+' | b'-') && pair[1].is_ascii_digit();
        if !name.starts_with("Etc/") && name.as_bytes().windows(2).any(is_offset) {
            return wrong("TIMEZONE", format_args!("must be the name of a zone such as Europe/Kyiv, not `{name}`"));
        }
        Ok(name.to_owned())
    }

    fn cors_origins(&self) -> Result<Vec<String>, Wrong> {
        let name = "CORS_ORIGINS";
        let list = self.list(name);
        match list.iter().find(|o| {
            **o != "*" && (!o.contains("://") || o.ends_with('/') || o.bytes().any(|b| !b.is_ascii_graphic()))
        }) {
            Some(odd) => {
                wrong(name, format_args!("must be origins such as https://app.example.com by commas, not `{odd}`"))
            }
            None => Ok(list.into_iter().map(str::to_owned).collect()),
        }
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

fn read_file(name: &str, path: &str) -> Result<Vec<u8>, Wrong> {
    std::fs::read(path).or_else(|error| wrong(name, format_args!("names {path}, which cannot be read: {error}")))
}
