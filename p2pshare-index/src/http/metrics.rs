//! What the index counts, in the text format of Prometheus (OpenMetrics).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use p2pshare_core::index::model::StoreCounts;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};

/// Counters of one index. A clone counts into the same.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabels, Histogram>,
    in_flight: Gauge,
    connections: Gauge,
    refused: Counter,
    heartbeats: Counter,
    store: StoreGauges,
    totals: Totals,
}

/// What families of counters cannot be asked for: their sums.
#[derive(Default)]
struct Totals {
    requests: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
}

/// What was counted since the process started, and what is at this moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    pub(super) requests: u64,
    /// Of these, how many were answered with a status of 500 or above.
    pub(super) failed: u64,
    /// Time of all requests, in sum.
    pub(super) request_micros: u64,
    pub(super) in_flight: u64,
    pub(super) connections: u64,
    pub(super) connections_refused: u64,
    pub(super) heartbeats: u64,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Default)]
struct StoreGauges {
    users: Gauge<i64, AtomicI64>,
    sessions: Gauge<i64, AtomicI64>,
    peers: Gauge<i64, AtomicI64>,
    online: Gauge<i64, AtomicI64>,
    entries: Gauge<i64, AtomicI64>,
    bytes: Gauge<f64, AtomicU64>,
}

impl Metrics {
    /// Counters that are all zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("p2pshare_index");
        let inner = Inner {
            requests: Family::default(),
            latency: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_25, 4.0, 9))
            }),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            refused: Counter::default(),
            heartbeats: Counter::default(),
            store: StoreGauges::default(),
            totals: Totals::default(),
            registry: Registry::default(),
        };
        registry.register("requests", "Requests answered", inner.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to its answer's head",
            Unit::Seconds,
            inner.latency.clone(),
        );
        registry.register("in_flight", "Requests being worked on", inner.in_flight.clone());
        registry.register("connections", "Open connections", inner.connections.clone());
        registry.register(
            "connections_refused",
            "Connections closed at once because of a limit",
            inner.refused.clone(),
        );
        registry.register("heartbeats", "Heartbeats of peers", inner.heartbeats.clone());
        inner.store.register(&mut registry);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running program", build);
        Self(Arc::new(Inner { registry, ..inner }))
    }

    /// Counts a request as being worked on until the guard is dropped.
    pub(super) fn begin(&self) -> impl Drop + use<> {
        Up::new(&self.0.in_flight)
    }

    pub(super) fn request(
        &self,
        method: &Method,
        route: &str,
        status: StatusCode,
        elapsed: Duration,
    ) {
        let totals = &self.0.totals;
        totals.requests.fetch_add(1, Relaxed);
        totals.failed.fetch_add(u64::from(status.is_server_error()), Relaxed);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        totals.micros.fetch_add(micros, Relaxed);
        let labels = RequestLabels {
            method: method_label(method),
            route: route.to_owned(),
            status: status.as_u16(),
        };
        self.0.requests.get_or_create(&labels).inc();
        let labels = RouteLabels { route: route.to_owned() };
        self.0.latency.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    pub(super) fn heartbeat(&self) {
        self.0.heartbeats.inc();
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn connection(&self) -> impl Drop + Send + use<> {
        Up::new(&self.0.connections)
    }

    pub(crate) fn connection_refused(&self) {
        self.0.refused.inc();
    }

    /// What was counted, in sum.
    pub(super) fn counted(&self) -> Counted {
        let now = |gauge: &Gauge| u64::try_from(gauge.get()).unwrap_or(0);
        Counted {
            requests: self.0.totals.requests.load(Relaxed),
            failed: self.0.totals.failed.load(Relaxed),
            request_micros: self.0.totals.micros.load(Relaxed),
            in_flight: now(&self.0.in_flight),
            connections: now(&self.0.connections),
            connections_refused: self.0.refused.get(),
            heartbeats: self.0.heartbeats.get(),
        }
    }

    /// The text that Prometheus reads. Without the store's counts those that were told last stay as they are.
    pub(super) fn text(&self, counts: Option<&StoreCounts>) -> Result<String, fmt::Error> {
        if let Some(counts) = counts {
            self.0.store.set(counts);
        }
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl StoreGauges {
    fn register(&self, registry: &mut Registry) {
        registry.register("users", "Accounts", self.users.clone());
        registry.register("sessions", "Open sessions", self.sessions.clone());
        registry.register("peers", "Known peers", self.peers.clone());
        registry.register("peers_online", "Peers that are online", self.online.clone());
        registry.register("entries", "Published files", self.entries.clone());
        registry.register_with_unit(
            "entries_size",
            "Sum of the sizes of published files",
            Unit::Bytes,
            self.bytes.clone(),
        );
    }

    fn set(&self, counts: &StoreCounts) {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        self.users.set(whole(counts.users));
        self.sessions.set(whole(counts.sessions));
        self.peers.set(whole(counts.peers));
        self.online.set(whole(counts.online));
        self.entries.set(whole(counts.entries));
        self.bytes.set(counts.bytes as f64);
    }
}

/// A gauge that is one higher as long as this lives.
struct Up(Gauge);

impl Up {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Clients can make up methods; labels are few.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
