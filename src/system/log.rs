//! The log: a line an event on standard error, with the time and the level.

use std::io::Write;

use chrono::{SecondsFormat, Utc};
use log::{LevelFilter, Log, Metadata, Record};

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // tokio-postgres tells every statement at debug, with the people's data in it.
        let theirs = record.target().starts_with("tokio_postgres") || record.target().starts_with("postgres");
        if !self.enabled(record.metadata()) || theirs && record.level() > log::Level::Info {
            return;
        }
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        // Whatever a client sent stays on its line.
        let text = record.args().to_string().replace(|c: char| c.is_control(), " ");
        let line = format!("{time} {:5} {text}\n", record.level());
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Begins logging.
pub fn start(level: LevelFilter) {
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}
