//! Where the database is, and how it proves who it is. The postgres crate reads the rest, but knows neither how far a
//! certificate is to be checked nor by whose.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use postgres::config::{Host, SslMode};

use super::tls::{self, Tls};

/// A database, and how to speak TLS with it, if that is wanted.
#[derive(Clone)]
pub struct Database {
    /// For the postgres crate.
    pub config: postgres::Config,
    /// Not over a Unix socket.
    pub tls: Option<Tls>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl FromStr for Database {
    /// What is wrong with it, as the rest of a sentence that begins with the setting.
    type Err = String;

    fn from_str(text: &str) -> Result<Database, String> {
        let (rest, ours) = if is_url(text) { split_url(text)? } else { split_pairs(text) };
        let find = |name| ours.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let mut config: postgres::Config = rest.parse().map_err(|error| said(&error))?;
        let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
        let all_local = hosts.iter().all(is_local) && addresses.iter().all(IpAddr::is_loopback);
        let mode = match find("sslmode") {
            _ if config.get_user().is_none_or(str::is_empty) => return Err("names no user".to_owned()),
            _ if hosts.is_empty() && addresses.is_empty() => return Err("names no host".to_owned()),
            Some(mode @ ("disable" | "prefer" | "require" | "verify-ca" | "verify-full")) => mode,
            Some(_) => {
                return Err("has a sslmode that is not disable, prefer, require, verify-ca or verify-full".into());
            }
            None if all_local => "disable",
            None => {
                let what = "names a remote host without a sslmode: add sslmode=verify-full, or sslmode=disable";
                return Err(format!("{what} to accept plain text"));
            }
        };
        let is_unix = addresses.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)));
        let (ssl_mode, tls) = match mode {
            // As libpq does: nothing of a Unix socket goes over a wire.
            mode if mode == "disable" || is_unix => (SslMode::Disable, None),
            "prefer" => (SslMode::Prefer, Some(tls::client(mode, find("sslrootcert"))?)),
            _ => (SslMode::Require, Some(tls::client(mode, find("sslrootcert"))?)),
        };
        config.ssl_mode(ssl_mode);
        Ok(Database { config, tls })
    }
}

/// What is left, and the names and values of what is read here.
type Split = (String, Vec<(String, String)>);

const OURS: [&str; 2] = ["sslmode", "sslrootcert"];

fn is_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

fn split_url(text: &str) -> Result<Split, String> {
    // A password may have a question mark; it ends where the host begins.
    let host = text.find('@').unwrap_or(0);
    let Some((before, query)) = text[host..].split_once('?') else {
        return Ok((text.to_owned(), Vec::new()));
    };
    let (mut kept, mut ours) = (format!("{}{before}", &text[..host]), Vec::new());
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((name, value)) if OURS.contains(&name) => {
                // The parser decodes it: this one takes any text.
                let decoded = format!("postgres://x/?application_name={value}").parse::<postgres::Config>();
                let broken = |_| format!("has a {name} that is not percent-encoded UTF-8");
                let value = decoded.map_err(broken)?.get_application_name().unwrap_or_default().to_owned();
                ours.push((name.to_owned(), value));
            }
            _ => kept += &format!("{}{pair}", if kept.ends_with(before) { '?' } else { '&' }),
        }
    }
    Ok((kept, ours))
}

/// Of `name=value name='a value'`, where a backslash takes the next character as it is.
fn split_pairs(mut text: &str) -> Split {
    let (mut kept, mut ours) = (String::new(), Vec::new());
    while let Some((name, after)) = text.split_once('=') {
        let after = after.trim_start();
        let (is_quoted, mut value, mut end) = (after.starts_with('\''), String::new(), after.len());
        let mut rest = after.char_indices().skip(usize::from(is_quoted));
        while let Some((at, c)) = rest.next() {
            match c {
                '\\' => value.extend(rest.next().map(|(_, c)| c)),
                '\'' if is_quoted => {
                    end = at + 1;
                    break;
                }
                c if c.is_whitespace() && !is_quoted => {
                    end = at;
                    break;
                }
                c => value.push(c),
            }
        }
        match name.trim() {
            name if OURS.contains(&name) => ours.push((name.to_owned(), value)),
            _ => kept += &format!("{} ", &text[..text.len() - after.len() + end]),
        }
        text = &after[end..];
    }
    (kept + text, ours)
}

/// The parser's own words may repeat the password, but for the name of a parameter.
fn said(error: &postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    match cause.split('`').nth(1) {
        Some(name) if name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && cause.contains("option") => {
            format!("has an {cause}")
        }
        _ => "must be a Postgres URL or key/value string, such as postgres://user@host/database".to_owned(),
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(text: &str) -> (String, Vec<(String, String)>) {
        if is_url(text) { split_url(text).unwrap() } else { split_pairs(text) }
    }

    #[test]
    fn what_is_read_here_is_taken_out_and_all_else_is_left() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, kept, read) in [
            ("postgres://u@h/d", "postgres://u@h/d", vec![]),
            ("postgres://u@h/d?sslmode=require", "postgres://u@h/d", vec![pair("sslmode", "require")]),
            (
                "postgres://u:p?sslmode=x@h/d?a=b&sslrootcert=%2Fa%20b%2Fca.crt&c=d&sslmode=prefer",
                "postgres://u:p?sslmode=x@h/d?a=b&c=d",
                vec![pair("sslrootcert", "/a b/ca.crt"), pair("sslmode", "prefer")],
            ),
            ("postgres:///d?host=h&sslmode=disable", "postgres:///d?host=h", vec![pair("sslmode", "disable")]),
            ("host=h sslmode=require user=u", "host=h  user=u ", vec![pair("sslmode", "require")]),
            (
                r"sslrootcert = '/a b/it\'s \\.crt' password='x sslmode=disable'  user=u",
                " password='x sslmode=disable'   user=u ",
                vec![pair("sslrootcert", r"/a b/it's \.crt")],
            ),
            (r"sslrootcert=/a\ b\\c user=u", " user=u ", vec![pair("sslrootcert", r"/a b\c")]),
            ("user=u password=x://y sslmode='", "user=u  password=x://y ", vec![pair("sslmode", "")]),
            ("user", "user", vec![]),
        ] {
            assert_eq!(ours(text), (kept.to_owned(), read), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_the_password_is_not() {
        for (text, told) in [
            ("postgres://u:hunter2@h/d?sslmode=verify-full&sslcert=x", "unknown option `sslcert`"),
            ("host=h user=u password=hunter2 service=x", "unknown option `service`"),
            ("host=h user=u password=hunter2 keepalives=x", "invalid value for option `keepalives`"),
            ("host=h user=u password=a hunter2=b", "must be a Postgres URL"),
            ("host=h user=u password='hunter2", "must be a Postgres URL"),
            ("postgres://u:hunter2@h:port/d", "option `port`"),
            ("postgres://u:hunter2@h/d", "remote host"),
            ("postgres://u:hunter2@h/d?sslmode=allow", "a sslmode that is not disable"),
            ("postgres://u:hunter2@h/d?sslmode=", "a sslmode that is not disable"),
            ("postgres://u:hunter2@h/d?sslmode=require&sslrootcert=%zz", "sslrootcert"),
            ("postgres://:hunter2@h/d?sslmode=require", "names no user"),
            ("user=u password=hunter2 sslmode=require", "names no host"),
        ] {
            let error = text.parse::<Database>().unwrap_err();
            assert!(error.contains(told) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn authorities_are_read_from_a_file_or_from_the_system() {
        let read = |root: &str| format!("host=db user=u sslmode=verify-ca sslrootcert={root}").parse::<Database>();
        for (root, told) in [("/does/not/exist", "cannot be read"), ("/dev/null", "holds no certificate")] {
            let error = read(root).unwrap_err();
            assert!(error.contains(root) && error.contains(told), "{error}");
        }
        // Not every machine has a list of its own; one that has none says so.
        assert!(read("system").map_or_else(|error| error.contains("sslrootcert=FILE"), |read| read.tls.is_some()));
    }
}
