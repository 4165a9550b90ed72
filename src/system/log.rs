//! The log: one line per event on standard error, with the time and the level.
//!
//! Whoever reads standard error may stop reading, and a write to a full pipe waits for ever. So lines go through a bounded
//! channel to a thread of their own. What does not fit is dropped and counted, and of warnings and errors that differ in their
//! request id alone one line a second is written, with their number.

use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// Lines that wait to be written.
const QUEUE: usize = 1_024;
/// Repeats are counted for so long before they become a line.
const WINDOW: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_secs(3600);
/// How long the end of the program waits for its last lines.
const LAST_LINES: Duration = Duration::from_secs(1);
/// Different warnings within one window; beyond them each is written.
const CAUSES: usize = 256;

static DROPPED: AtomicU64 = AtomicU64::new(0);

struct Queue(SyncSender<Event>);

enum Event {
    Line(Level, String),
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
        let text = record.args().to_string().replace(|c: char| c.is_control(), " ");
        if self.0.try_send(Event::Line(record.level(), text)).is_err() {
            DROPPED.fetch_add(1, Relaxed);
        }
    }

    fn flush(&self) {
        let (sender, receiver) = sync_channel(1);
        if self.0.try_send(Event::Flush(sender)).is_ok() {
            let _ = receiver.recv_timeout(LAST_LINES);
        }
    }
}

/// Starts logging.
pub fn start(level: LevelFilter) {
    let (sender, receiver) = sync_channel(QUEUE);
    let thread = thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&receiver));
    if thread.is_ok() && log::set_boxed_logger(Box::new(Queue(sender))).is_ok() {
        log::set_max_level(level);
        // The standard hook writes to standard error itself, and would wait for its reader.
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    }
}

fn write_lines(events: &Receiver<Event>) {
    let (mut repeats, mut ends) = (HashMap::<String, (Level, u64)>::new(), Instant::now() + WINDOW);
    loop {
        // With no repeats to tell of, there is no end of a window to wake up for.
        let wait = if repeats.is_empty() { IDLE } else { ends.saturating_duration_since(Instant::now()) };
        let event = events.recv_timeout(wait);
        let (now, is_last) =
            (Instant::now(), matches!(event, Ok(Event::Flush(_)) | Err(RecvTimeoutError::Disconnected)));
        if let Ok(Event::Line(level, text)) = &event {
            let cause = cause(text);
            match repeats.get_mut(&cause) {
                Some((_, count)) => *count += 1,
                None => {
                    write(*level, text);
                    if *level <= Level::Warn && repeats.len() < CAUSES {
                        repeats.insert(cause, (*level, 0));
                    }
                }
            }
        }
        if now >= ends || is_last {
            for (cause, (level, count)) in repeats.drain().filter(|(_, (_, count))| *count > 0) {
                write(level, &format!("{cause} ({count} more like it)"));
            }
            let dropped = DROPPED.swap(0, Relaxed);
            if dropped > 0 {
                write(Level::Warn, &format!("{dropped} lines of the log were dropped: its reader is too slow"));
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

fn write(level: Level, text: &str) {
    #[expect(clippy::disallowed_methods)] // a log tells the real time
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let _ = std::io::stderr().write_all(format!("{time} {level:5} {text}\n").as_bytes());
}
