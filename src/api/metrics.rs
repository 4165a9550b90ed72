//! What is counted, for Prometheus. Labels are words of the table of routes and of ours, never what a client sent.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::system::log;

/// The upper ends of the histogram's buckets in seconds: what requests usually take, up to the time within which whatever needs
/// the database is answered.
const BUCKETS: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0];

/// A row of the table of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EncodeLabelSet)]
struct Row {
    route: &'static str,
    operation: &'static str,
}

/// Each has its own operation, and a path is long.
impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operation.hash(state);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answers {
    #[prometheus(flatten)]
    row: Row,
    status: u16,
}

type Word = [(&'static str, String); 1];

/// What is measured when somebody asks: a name, what it is, and a value, or one for each lane.
pub type Measured = (&'static str, &'static str, Vec<(Option<&'static str>, f64)>);

/// The counters.
pub struct Metrics {
    requests: Family<Answers, Counter>,
    seconds: Family<Row, Histogram, fn() -> Histogram>,
    refusals: Family<Word, Counter>,
    events: Family<Word, Counter>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        Metrics { requests: Family::default(), seconds, refusals: Family::default(), events: Family::default() }
    }
}

impl Metrics {
    /// An answer goes out, to a request of this row if there is one, so long after it was whole.
    pub fn answered(&self, route: &'static str, operation: &'static str, status: u16, time: Duration) {
        let row = Row { route, operation };
        self.requests.get_or_create(&Answers { row, status }).inc();
        self.seconds.get_or_create(&row).observe(time.as_secs_f64());
    }

    /// A request is not handled, for a reason of which there are few.
    pub fn refused(&self, reason: &str) {
        self.refusals.get_or_create(&[("reason", reason.to_owned())]).inc();
    }

    /// Something happens to an account.
    pub fn happened(&self, event: &str) {
        self.events.get_or_create(&[("event", event.to_owned())]).inc();
    }

    /// All of it, as Prometheus reads it.
    pub fn text(&self, measured: Vec<Measured>) -> String {
        let mut all = Registry::with_prefix("contactd");
        all.register("requests", "Answers", self.requests.clone());
        all.register("request_seconds", "Time from the whole request to its answer", self.seconds.clone());
        all.register("refusals", "Requests that were not handled", self.refusals.clone());
        all.register(
            "account_events",
            "What the log tells of accounts, attempts that were throttled among it",
            self.events.clone(),
        );
        let dropped = Counter::<u64>::default();
        dropped.inc_by(log::dropped());
        all.register("log_lines_dropped", "Lines that nobody took from the log in time", dropped);
        let build = Family::<[(&str, &str); 2], Gauge>::default();
        let revision = option_env!("CONTACTD_COMMIT").unwrap_or("unknown");
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION")), ("revision", revision)]).set(1);
        all.register("build_info", "The program", build);
        for (name, help, values) in measured {
            let family = Family::<Vec<(&str, &str)>, Gauge<f64, std::sync::atomic::AtomicU64>>::default();
            for (lane, value) in values {
                family.get_or_create(&lane.map(|lane| ("lane", lane)).into_iter().collect()).set(value);
            }
            all.register(name, help, family);
        }
        let mut text = String::new();
        // A string takes it all.
        let _ = encode(&mut text, &all);
        text
    }
}
