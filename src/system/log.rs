//! The log: one line per event on standard error, with the time and the level.

use std::io::Write;

use chrono::{SecondsFormat, Utc};
use log::{LevelFilter, Log, Metadata, Record};

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // tokio-postgres logs every statement at debug, with people's data in it.
        let is_postgres = ["postgres", "tokio_postgres"].iter().any(|name| record.target().starts_with(name));
        if !self.enabled(record.metadata()) || is_postgres && record.level() > log::Level::Info {
            return;
        }
        #[expect(clippy::disallowed_methods)] // a log tells the real time
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        // What a client sent must not begin a line of its own.
        let text = record.args().to_string().replace(|c: char| c.is_control(), " ");
        let line = format!("{time} {:5} {text}\n", record.level());
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Starts logging.
pub fn start(level: LevelFilter) {
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}
