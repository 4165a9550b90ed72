//! What systemd is told. Its variables are no settings: it sets them, for this process alone. Without them, nothing happens here.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// How to tell systemd (sd_notify(3)).
#[derive(Clone)]
pub struct Notifier {
    manager: Option<OsString>,
    /// How often it wants to hear that the program is well.
    pub watchdog: Option<Duration>,
}

impl Notifier {
    /// By the variables that systemd has set, which this looks up.
    pub fn new(variable: impl Fn(&str) -> Option<OsString>) -> Notifier {
        let number = |name| variable(name).and_then(|text| text.to_str()?.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|time| is_ours && *time > 0).map(Duration::from_micros);
        Notifier { manager: variable("NOTIFY_SOCKET"), watchdog }
    }

    /// Says so, such as `READY=1`. If systemd does not listen, that is its own affair.
    pub fn tell(&self, state: &str) {
        let Some(name) = &self.manager else { return };
        let told = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(name),
        }
        .and_then(|manager| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &manager));
        if let Err(error) = told {
            log::warn!("systemd cannot be told {state}: {error}");
        }
    }
}
