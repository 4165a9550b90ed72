//! The log: one line per event on standard error, with the time and the level, as text or as a JSON object.
//!
//! Whoever reads standard error may stop reading, and a write to a full pipe waits for ever. So lines go through a bounded
//! channel to a thread of their own. What does not fit is dropped and counted, and of warnings and errors that differ in their
//! request id alone one line a second is written, with their number.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use log::kv::{Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use serde_json::Value as Json;

/// Lines that wait to be written.
const QUEUE: usize = 1_024;
/// Repeats are counted for so long before they become a line.
const WINDOW: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(3600);
/// How long the end of the program waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Different warnings within one window; beyond them each is written.
const CAUSES: usize = 256;
/// Values of a request that its text says already.
const SAID: [&str; 5] = ["method", "path", "route", "status", "ms"];

static DROPPED: AtomicU64 = AtomicU64::new(0);

struct Queue {
    events: SyncSender<Event>,
    as_json: bool,
}

enum Event {
    /// What is told, and its values as they are written.
    Line(Level, String, String),
    /// Everything before it is written.
    Flush(SyncSender<()>),
}

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // tokio-postgres logs every statement at debug, with people's data in it.
        let is_postgres = ["postgres", "tokio_postgres"].iter().any(|name| record.target().starts_with(name));
        if !self.enabled(record.metadata()) || is_postgres && record.level() > Level::Info {
            return;
        }
        // What a client sent must not begin a line of its own.
        let plain = |text: String| text.replace(|c: char| c.is_control(), " ");
        let mut values = Values { as_json: self.as_json, written: String::new() };
        let _ = record.key_values().visit(&mut values);
        let line = Event::Line(record.level(), plain(record.args().to_string()), plain(values.written));
        if self.events.try_send(line).is_err() {
            DROPPED.fetch_add(1, Relaxed);
        }
    }

    fn flush(&self) {
        let (sender, receiver) = sync_channel(1);
        if self.events.try_send(Event::Flush(sender)).is_ok() {
            let _ = receiver.recv_timeout(LAST_LINES);
        }
    }
}

/// The values of a record.
struct Values {
    as_json: bool,
    written: String,
}

impl<'kvs> VisitSource<'kvs> for Values {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        if self.as_json {
            let number = value.to_i64().map(Json::from).or_else(|| value.to_f64().map(Json::from));
            let value = number.unwrap_or_else(|| Json::from(value.to_string()));
            write!(self.written, ",{}:{value}", Json::from(key.as_str()))?;
        } else if !SAID.contains(&key.as_str()) {
            write!(self.written, " {key}={value}")?;
        }
        Ok(())
    }
}

/// How many lines were dropped since the start.
pub fn dropped() -> u64 {
    DROPPED.load(Relaxed)
}

/// Starts logging.
pub fn start(level: LevelFilter, as_json: bool) {
    let (events, receiver) = sync_channel(QUEUE);
    let thread = thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&receiver, as_json));
    if thread.is_ok() && log::set_boxed_logger(Box::new(Queue { events, as_json })).is_ok() {
        log::set_max_level(level);
        // The standard hook writes to standard error itself, and would wait for its reader.
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    }
}

fn write_lines(events: &Receiver<Event>, as_json: bool) {
    let write = |level: &Level, text: &str, values: &str| write(as_json, *level, text, values);
    let (mut repeats, mut ends) = (HashMap::<String, (Level, u64)>::new(), Instant::now() + WINDOW);
    let mut told = 0;
    loop {
        // With no repeats to tell of, there is no end of a window to wake up for.
        let wait = if repeats.is_empty() { IDLE } else { ends.saturating_duration_since(Instant::now()) };
        let event = events.recv_timeout(wait);
        let (now, is_last) =
            (Instant::now(), matches!(event, Ok(Event::Flush(_)) | Err(RecvTimeoutError::Disconnected)));
        if let Ok(Event::Line(level, text, values)) = &event {
            let cause = cause(text);
            match repeats.get_mut(&cause) {
                Some((_, count)) => *count += 1,
                None => {
                    write(level, text, values);
                    if *level <= Level::Warn && repeats.len() < CAUSES {
                        repeats.insert(cause, (*level, 0));
                    }
                }
            }
        }
        if now >= ends || is_last {
            for (cause, (level, count)) in repeats.drain().filter(|(_, (_, count))| *count > 0) {
                write(&level, &format!("{cause} ({count} more like it)"), "");
            }
            let (before, all) = (told, dropped());
            told = all;
            if all > before {
                write(
                    &Level::Warn,
                    &format!("{} lines of the log were dropped: its reader is too slow", all - before),
                    "",
                );
            }
            ends = now + WINDOW;
        }
        match event {
            Ok(Event::Flush(done)) => drop(done.send(())),
            Err(RecvTimeoutError::Disconnected) => return,
            _ => {}
        }
    }
}

/// A line without the ids of its request.
fn cause(text: &str) -> String {
    let is_id = |word: &str| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit());
    text.split(' ').filter(|word| !is_id(word)).collect::<Vec<_>>().join(" ")
}

fn write(as_json: bool, level: Level, text: &str, values: &str) {
    #[expect(clippy::disallowed_methods)] // a log tells the real time
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let line = if as_json {
        let (level, text) = (level.as_str().to_ascii_lowercase(), Json::from(text));
        format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"message\":{text}{values}}}\n")
    } else {
        format!("{time} {level:5} {text}{values}\n")
    };
    let _ = std::io::stderr().write_all(line.as_bytes());
}
