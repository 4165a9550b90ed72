//! The settings. Each comes from the environment or from a flag. All are checked at the start, so that a wrong one ends the
//! program with a line that names it, rather than failing a request much later.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

mod database;
#[cfg_attr(not(feature = "tls"), path = "config/no_tls.rs")]
mod tls;

pub use self::database::Database;

/// One setting, for reading and for `--help`.
pub struct Setting {
    /// Its name in the environment; the flag is the same in lower case with dashes.
    pub name: &'static str,
    /// The value when it is not set; empty for none.
    pub default: &'static str,
    /// One line for `--help`.
    pub help: &'static str,
}

const fn setting(name: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { name, default, help }
}

/// All settings: the one place that names their defaults. A flag wins over the environment.
#[rustfmt::skip] // a table is read by its columns
pub const SETTINGS: &[Setting] = &[
    setting("DATABASE_URL",             "",               "the Postgres server: a URL or key/value string, over TCP or a Unix socket (required)"),
    setting("DATABASE_URL_FILE",        "",               "file that holds this text, for it may hold a password"),
    setting("LISTEN",                   "127.0.0.1:8000", "address and port to serve on, or unix:/path"),
    setting("METRICS_LISTEN",           "",               "address and port to serve /metrics on, for Prometheus"),
    setting("JWT_SECRET",               "",               "secret that signs the tokens, at least 32 bytes, 12 of them different (required, unless in a file)"),
    setting("JWT_SECRET_FILE",          "",               "file of secrets, one a line: the first signs, all verify; SIGHUP reads it again"),
    // Six, because the sample users of the original application have six.
    setting("SIGNUP",                   "open",           "open, or closed: only `contactd user add` makes users"),
    setting("PASSWORD_MIN_LENGTH",      "6",              "fewest characters of a new password, 1 to 128; 8 or more is wise"),
    setting("REFUSED_PASSWORDS_FILE",   "",               "file of passwords to refuse, one per line"),
    setting("LOGIN_ATTEMPTS",           "10",             "failed logins per account and network within 15 minutes; 0: no limit"),
    setting("ADDRESS_ATTEMPTS",         "100",            "failed logins and sign-ups per network within 15 minutes; 0: no limit"),
    setting("MAX_CONTACTS",             "200000",         "contacts of a user, beyond which create and import answer 409; 0: no limit"),
    setting("RATE_LIMIT",               "0",              "requests of a user within a minute, to each instance; 0: no limit"),
    setting("REFRESH_GRACE",            "60",             "seconds for which a used refresh token still counts, as after a lost reply"),
    setting("TRUSTED_PROXIES",          "",               "comma-separated addresses and networks whose X-Forwarded-For is believed"),
    setting("TIMEZONE",                 "UTC",            "time zone of the server's own today, for birthdays: a name that Postgres knows"),
    setting("CORS_ORIGINS",             "",               "comma-separated origins whose pages may call the API; * for any"),
    setting("LOG",                      "info",           "error, warn, info, debug or off"),
    setting("LOG_FORMAT",               "text",           "text, or json: an object on each line"),
    setting("LOG_SLOW_MS",              "",               "milliseconds from which on a request has its line in the log at info"),
    setting("ACCESS_LOG",               "off",            "on: every request has its line in the log at info"),
    setting("WORKERS",                  "2 per core",     "threads for reads"),
    setting("WRITE_WORKERS",            "4 per core",     "most threads for writes, which wait for the disk"),
    setting("SLOW_WORKERS",             "1 per core",     "most threads for hashing, import and export"),
    setting("DATABASE_CONNECTIONS",     "0",              "most connections to the database; 0: as many as its threads can use"),
    setting("MAX_BATCH",                "16",             "most requests that one statement answers; 1 turns batches off"),
    setting("MAX_CONNECTIONS",          "1024",           "clients connected at the same time; the next one gets 503"),
    setting("IDLE_TIMEOUT",             "75",             "seconds that a connection may be idle"),
    setting("DRAIN_TIMEOUT",            "10",             "seconds that requests in progress may take after SIGTERM"),
    setting("SHUTDOWN_DELAY",           "0",              "seconds of service after SIGTERM, while /readyz sends a proxy elsewhere"),
];

/// Whether it holds a secret. Then it has a twin that names a file, and is no flag: every user of the machine can read those.
pub fn is_secret(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name.strip_suffix("_FILE") == Some(name))
}

/// Settings or an argument that cannot be used: one line for each, which names it.
#[derive(Debug, Clone)]
pub struct SettingError(pub String);

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingError {}

fn wrong(name: &str, what: impl fmt::Display) -> SettingError {
    SettingError(format!("{name} {what}"))
}

/// A secret that is long enough to sign tokens, and is never printed.
#[derive(Clone)]
pub struct JwtSecret(Vec<u8>);

impl JwtSecret {
    /// As many bytes as HMAC-SHA-256 gives (RFC 7518, section 3.2).
    pub const MIN_BYTES: usize = 32;
    /// How many different bytes it must have: what people make up, such as one word again and again, has fewer (RFC 8725,
    /// section 3.5). Of secrets of 64 random hexadecimal digits one in six million has.
    pub const MIN_DIFFERENT: usize = 12;

    /// The secret; `None` if it is too short or too simple.
    pub fn new(bytes: &[u8]) -> Option<JwtSecret> {
        let different = bytes.iter().collect::<HashSet<_>>().len();
        (bytes.len() >= JwtSecret::MIN_BYTES && different >= JwtSecret::MIN_DIFFERENT)
            .then(|| JwtSecret(bytes.to_vec()))
    }

    /// The bytes.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret(…)")
    }
}

/// Makes [`Config`] of a table: each field's name, its type, and how it is read. Each is read by itself, so that all faults are
/// told at once.
macro_rules! config {
    ($values:ident: $($field:ident: $type:ty = $read:expr,)+) => {
        /// All settings, checked.
        #[derive(Debug, Clone)]
        #[allow(missing_docs)] // SETTINGS says what each is
        pub struct Config {
            $(pub $field: $type,)+
        }

        impl Values {
            /// All settings, or a line for each that is missing or wrong.
            pub fn config(&self) -> Result<Config, SettingError> {
                let ($values, mut faults) = (self, Vec::new());
                $(let $field = $read.map_err(|SettingError(line)| faults.push(line)).ok();)+
                match ($($field,)+) {
                    ($(Some($field),)+) => Ok(Config { $($field),+ }),
                    _ => Err(SettingError(faults.join("\n"))),
                }
            }
        }
    };
}

config! { values:
    database: Database = values.database(),
    listen: String = values.place("LISTEN"),
    metrics_listen: Option<String> =
        values.is_set("METRICS_LISTEN").then(|| values.place("METRICS_LISTEN")).transpose(),
    jwt_secrets: Vec<JwtSecret> = values.jwt_secrets(),
    signup_is_open: bool = values.one_of("SIGNUP", &["open", "closed"]).map(|place| place == 0),
    password_min: usize = values.number("PASSWORD_MIN_LENGTH", 1..=128),
    refused_passwords: Vec<String> = values.refused_passwords(),
    login_attempts: i32 = values.number("LOGIN_ATTEMPTS", 0..=1_000_000),
    address_attempts: i32 = values.number("ADDRESS_ATTEMPTS", 0..=1_000_000),
    max_contacts: i64 = values.number("MAX_CONTACTS", 0..=1_000_000_000),
    rate_limit: u32 = values.number("RATE_LIMIT", 0..=1_000_000),
    refresh_grace: Duration = values.seconds("REFRESH_GRACE", 0..=3600),
    trusted_proxies: Vec<(IpAddr, u32)> =
        values.list("TRUSTED_PROXIES", "IP addresses or networks such as 10.0.0.0/8", network),
    timezone: String = values.timezone(),
    cors_origins: Vec<String> = values.list("CORS_ORIGINS", "origins such as https://app.example.com", |text| {
        is_origin(text).then(|| text.to_owned())
    }),
    log: log::LevelFilter = values.log(),
    log_as_json: bool = values.one_of("LOG_FORMAT", &["text", "json"]).map(|place| place == 1),
    log_slow: Option<Duration> =
        values.is_set("LOG_SLOW_MS").then(|| values.number("LOG_SLOW_MS", 0..=3_600_000)).transpose()
            .map(|time| time.map(Duration::from_millis)),
    access_log: bool = values.one_of("ACCESS_LOG", &["off", "on"]).map(|place| place == 1),
    workers: usize = values.number("WORKERS", 1..=256),
    write_workers: usize = values.number("WRITE_WORKERS", 1..=256),
    slow_workers: usize = values.number("SLOW_WORKERS", 1..=256),
    database_connections: usize = values.number("DATABASE_CONNECTIONS", 0..=10_000),
    max_batch: usize = values.number("MAX_BATCH", 1..=256),
    max_connections: usize = values.number("MAX_CONNECTIONS", 1..=100_000),
    idle_timeout: Duration = values.seconds("IDLE_TIMEOUT", 1..=3600),
    drain_timeout: Duration = values.seconds("DRAIN_TIMEOUT", 0..=3600),
    shutdown_delay: Duration = values.seconds("SHUTDOWN_DELAY", 0..=3600),
}

impl Config {
    /// How many connections to the database there may be. Where that is not set: one for each worker and for the one more of each
    /// lane, so that no worker waits for another's; one for housekeeping; and three for downloads, each of which borrows one
    /// per page and gives it back before it sends the page.
    pub fn database_connections(&self) -> usize {
        match self.database_connections {
            0 => self.workers + self.write_workers + 2 * self.slow_workers + 4 + 1 + 3,
            set => set,
        }
    }
}

/// The text of every setting, by its name; empty where it is not set and has no default.
pub struct Values(HashMap<&'static str, String>);

impl Values {
    /// The defaults, replaced by those of the given values that name a setting and are not empty. Later ones win.
    pub fn new(given: impl IntoIterator<Item = (String, String)>) -> Values {
        let mut values: HashMap<_, _> = SETTINGS.iter().map(|s| (s.name, s.default.to_owned())).collect();
        for (name, text) in given.into_iter().filter(|(_, text)| !text.is_empty()) {
            if let Some(value) = values.get_mut(name.as_str()) {
                *value = text;
            }
        }
        Values(values)
    }

    /// # Panics
    /// If there is no setting of this name.
    fn text(&self, name: &str) -> &str {
        &self.0[name]
    }

    fn is_set(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    fn number<T: TryFrom<u64>>(&self, name: &str, range: RangeInclusive<u64>) -> Result<T, SettingError> {
        let text = self.text(name);
        let number = match text.strip_suffix(" per core") {
            // On a machine of very many cores this stays within the range, too.
            Some(factor) => factor.parse().ok().map(|factor| cores().saturating_mul(factor).min(*range.end())),
            None => text.parse().ok(),
        };
        let number = number.filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok());
        let (from, to) = (range.start(), range.end());
        number.ok_or_else(|| wrong(name, format_args!("must be a number from {from} to {to}, not `{text}`")))
    }

    /// The place of its value among these.
    fn one_of(&self, name: &str, choices: &[&str]) -> Result<usize, SettingError> {
        let text = self.text(name);
        let refused = || wrong(name, format_args!("must be {}, not `{text}`", choices.join(" or ")));
        choices.iter().position(|choice| *choice == text).ok_or_else(refused)
    }

    fn seconds(&self, name: &str, range: RangeInclusive<u64>) -> Result<Duration, SettingError> {
        self.number(name, range).map(Duration::from_secs)
    }

    /// A comma-separated list; `item` reads each, and is `None` where it is not `what` the list must hold.
    fn list<T>(&self, name: &str, what: &str, item: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, SettingError> {
        let texts = self.text(name).split(',').map(str::trim).filter(|text| !text.is_empty());
        let refused = |text| wrong(name, format_args!("must be {what}, separated by commas, not `{text}`"));
        texts.map(|text| item(text).ok_or_else(|| refused(text))).collect()
    }

    /// The bytes of the file that a setting names; `None` where it names none.
    fn file(&self, name: &str) -> Result<Option<Vec<u8>>, SettingError> {
        let path = self.text(name);
        let read = (!path.is_empty()).then(|| std::fs::read(path)).transpose();
        read.map_err(|error| wrong(name, format_args!("names {path}, which cannot be read: {error}")))
    }

    /// What a setting holds, or else its file, without white space around it; and which of the two it was.
    fn held<'a>(&'a self, name: &'a str, file_name: &'a str) -> Result<Option<(&'a str, Vec<u8>)>, SettingError> {
        match (self.text(name), self.file(file_name)?) {
            ("", bytes) => Ok(bytes.map(|bytes| (file_name, bytes.trim_ascii().to_vec()))),
            (text, None) => Ok(Some((name, text.as_bytes().to_vec()))),
            _ => Err(wrong(name, format_args!("and {file_name} are both set: give one of them"))),
        }
    }

    /// The secrets as they are now, the one that signs first. A file may hold several, one a line.
    pub fn jwt_secrets(&self) -> Result<Vec<JwtSecret>, SettingError> {
        let (least, different) = (JwtSecret::MIN_BYTES, JwtSecret::MIN_DIFFERENT);
        let read = |name: &str, secret: &[u8]| {
            let what = format!("must hold at least {least} bytes, {different} of them different");
            JwtSecret::new(secret).ok_or_else(|| wrong(name, what + ": try `openssl rand -hex 32`"))
        };
        let Some((name, bytes)) = self.held("JWT_SECRET", "JWT_SECRET_FILE")? else {
            return Err(wrong("JWT_SECRET", "is not set, nor is JWT_SECRET_FILE: try `openssl rand -hex 32`"));
        };
        if name == "JWT_SECRET" {
            return Ok(vec![read(name, &bytes)?]);
        }
        let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
        let secrets = lines.map(|(index, line)| read(&format!("{name} line {}", index + 1), line));
        let secrets = secrets.collect::<Result<Vec<_>, _>>()?;
        if secrets.is_empty() { Err(wrong(name, "names a file without a secret")) } else { Ok(secrets) }
    }

    /// Where the database is. `contactd migrate` needs nothing else.
    pub fn database(&self) -> Result<Database, SettingError> {
        let (name, file_name) = ("DATABASE_URL", "DATABASE_URL_FILE");
        let missing = || wrong(name, "is not set, nor is DATABASE_URL_FILE: give postgres://user@host/database");
        let (name, bytes) = self.held(name, file_name)?.ok_or_else(missing)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong(name, "is not UTF-8"))?;
        text.parse().map_err(|what: String| wrong(name, what))
    }

    /// What a new password must be: its fewest characters, and the passwords that are refused.
    pub fn new_password(&self) -> Result<(usize, Vec<String>), SettingError> {
        Ok((self.number("PASSWORD_MIN_LENGTH", 1..=128)?, self.refused_passwords()?))
    }

    fn refused_passwords(&self) -> Result<Vec<String>, SettingError> {
        let name = "REFUSED_PASSWORDS_FILE";
        let bytes = self.file(name)?.unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|_| wrong(name, "names a file that is not UTF-8"))?;
        // Some editors begin a file with a byte order mark.
        let lines = text.trim_start_matches('\u{feff}').lines();
        Ok(lines.filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// The level of the log.
    pub fn log(&self) -> Result<log::LevelFilter, SettingError> {
        let text = self.text("LOG");
        let refused = |_| wrong("LOG", format_args!("must be error, warn, info, debug or off, not `{text}`"));
        text.parse().map_err(refused)
    }

    /// An address and a port, or `unix:/path` where clients are served.
    pub fn place(&self, name: &str) -> Result<String, SettingError> {
        let text = self.text(name);
        let or_path = if name == "LISTEN" { ", or unix:/path" } else { "" };
        let is_place = !or_path.is_empty() && text.starts_with("unix:/")
            || text.to_socket_addrs().is_ok_and(|mut all| all.next().is_some());
        let what = format_args!("must be an address and a port such as 127.0.0.1:8000{or_path}, not `{text}`");
        if is_place { Ok(text.to_owned()) } else { Err(wrong(name, what)) }
    }

    /// Only Postgres knows whether there is such a zone. But it would read the sign of an offset the other way round, as
    /// POSIX does: its `UTC+3` is three hours west. Below `Etc/` that is in the names themselves.
    fn timezone(&self) -> Result<String, SettingError> {
        let name = self.text("TIMEZONE");
        let is_offset = |pair: &[u8]| matches!(pair[0], b'+' | b'-') && pair[1].is_ascii_digit();
        if !name.starts_with("Etc/") && name.as_bytes().windows(2).any(is_offset) {
            let what = format_args!("must be the name of a zone such as Europe/Kyiv, not `{name}`");
            return Err(wrong("TIMEZONE", what));
        }
        Ok(name.to_owned())
    }
}

/// An address, or a network such as `10.0.0.0/8`: an address of it, and how many bits of that count.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
    Some((address, bits))
}

fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |n| n.get() as u64)
}

fn is_origin(text: &str) -> bool {
    text == "*" || text.contains("://") && !text.ends_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(name: &str, text: &str) -> Option<u64> {
        Values::new([(name.to_owned(), text.to_owned())]).number(name, 1..=256).ok()
    }

    #[test]
    fn a_number_of_threads_goes_by_the_cores_and_stays_within_its_range() {
        let defaults = Values::new([]);
        assert_eq!(defaults.number("WORKERS", 1..=256).ok(), Some((2 * cores()).min(256)));
        assert_eq!(defaults.number("WRITE_WORKERS", 1..=256).ok(), Some((4 * cores()).min(256)));
        assert_eq!(defaults.number("SLOW_WORKERS", 1..=256).ok(), Some(cores().min(256)));
        assert_eq!(number("WORKERS", "3"), Some(3));
        assert_eq!(number("WORKERS", &format!("{} per core", u64::MAX)), Some(256));
        for refused in ["0", "257", "-1", "x", "0 per core", "x per core", "per core", "1 per core "] {
            assert_eq!(number("WORKERS", refused), None, "{refused}");
        }
    }

    #[test]
    fn an_empty_value_counts_as_not_set_and_a_later_one_wins() {
        let given = [("LOG", "debug"), ("LOG", ""), ("COLOUR", "red"), ("TIMEZONE", "a"), ("TIMEZONE", "b")];
        let values = Values::new(given.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!((values.text("LOG"), values.text("TIMEZONE"), values.text("WORKERS")), ("debug", "b", "2 per core"));
    }
}
