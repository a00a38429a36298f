//! What a running peer counts, in the text format of Prometheus (OpenMetrics).

mod serve;
mod source;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicI64},
};

use p2pshare_core::{
    swarm::Report,
    transfer::{TransferError, UploadSlots},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

pub use serve::{MetricsError, MetricsServer};
pub(crate) use source::Metered;

/// Counters of one peer. A clone counts into the same.
#[derive(Clone)]
pub struct PeerMetrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    sent: Counter,
    received: Counter,
    verified: Counter,
    failed: Family<FailureLabels, Counter>,
    uploads: Gauge<i64, AtomicI64>,
    waiting: Gauge<i64, AtomicI64>,
    downloads: Gauge<i64, AtomicI64>,
    shares: Gauge<i64, AtomicI64>,
    published: Gauge<i64, AtomicI64>,
    online: Gauge<i64, AtomicI64>,
    troubles: Counter,
    slots: Mutex<Option<UploadSlots>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FailureLabels {
    reason: &'static str,
}

impl PeerMetrics {
    /// Counters that are all zero.
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("p2pshare_peer"),
            sent: Counter::default(),
            received: Counter::default(),
            verified: Counter::default(),
            failed: Family::default(),
            uploads: Gauge::default(),
            waiting: Gauge::default(),
            downloads: Gauge::default(),
            shares: Gauge::default(),
            published: Gauge::default(),
            online: Gauge::default(),
            troubles: Counter::default(),
            slots: Mutex::default(),
        };
        for reason in REASONS {
            // There from the beginning, so that a rate of it is.
            drop(inner.failed.get_or_create(&FailureLabels { reason }));
        }
        let mut registry = std::mem::take(&mut inner.registry);
        inner.register(&mut registry);
        Self(Arc::new(Inner { registry, ..inner }))
    }

    /// Whose uploads are counted as running and waiting.
    pub fn set_slots(&self, slots: UploadSlots) {
        *self.0.slots.lock().unwrap_or_else(PoisonError::into_inner) = Some(slots);
    }

    /// So many bytes were sent to others.
    pub fn sent(&self, bytes: u64) {
        self.0.sent.inc_by(bytes);
    }

    /// A download runs until the guard is dropped.
    #[must_use = "the download counts only as long as this lives"]
    pub fn download(&self) -> impl Drop + Send + use<> {
        Up::new(&self.0.downloads)
    }

    /// A download has ended, well or not, and this is what its sources did.
    pub fn downloaded(&self, report: &Report) {
        for source in &report.sources {
            self.0.received.inc_by(source.bytes);
            self.0.verified.inc_by(source.pieces.into());
            if let Some(failure) = &source.failure {
                self.failed(failure);
            }
        }
    }

    /// A content of at most one piece was downloaded.
    pub fn downloaded_small(&self, bytes: u64) {
        self.0.received.inc_by(bytes);
        self.0.verified.inc();
    }

    /// A source failed in this way.
    pub fn failed(&self, failure: &TransferError) {
        self.0.failed.get_or_create(&FailureLabels { reason: reason(failure) }).inc();
    }

    /// So many files and folders are shared.
    pub fn set_shares(&self, number: u64) {
        self.0.shares.set(whole(number));
    }

    /// The index knows so many files of this peer.
    pub fn set_published(&self, files: u64) {
        self.0.published.set(whole(files));
    }

    /// Whether the index has heard of the peer and knows that it is there.
    pub fn set_online(&self, online: bool) {
        self.0.online.set(online.into());
    }

    /// The index could not be asked, or refused.
    pub fn index_failed(&self) {
        self.0.troubles.inc();
    }

    /// The text that Prometheus reads.
    ///
    /// # Errors
    /// If the library cannot write it.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(slots) = slots {
            let (running, waiting) = slots.usage();
            self.0.uploads.set(whole(running as u64));
            self.0.waiting.set(whole(waiting as u64));
        }
        let mut text = String::new();
        encode(&mut text, &self.0.registry)?;
        Ok(text)
    }
}

impl Inner {
    fn register(&self, to: &mut Registry) {
        to.register("sent_bytes", "Bytes of contents sent to other peers", self.sent.clone());
        to.register("received_bytes", "Bytes of contents received", self.received.clone());
        to.register("pieces_verified", "Pieces received and proven right", self.verified.clone());
        to.register(
            "source_failures",
            "Sources that failed during a download, by reason",
            self.failed.clone(),
        );
        to.register("uploads_running", "Uploads that run", self.uploads.clone());
        to.register("uploads_waiting", "Uploads that wait for a slot", self.waiting.clone());
        to.register("downloads_running", "Downloads that run", self.downloads.clone());
        to.register("shares", "Files and folders that are shared", self.shares.clone());
        to.register("published_files", "Files that the index knows", self.published.clone());
        to.register(
            "online",
            "1 while the index knows that the peer is there",
            self.online.clone(),
        );
        to.register(
            "index_errors",
            "Times that the index could not be asked or refused",
            self.troubles.clone(),
        );
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        to.register("build", "The running program", build);
    }
}

impl Default for PeerMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PeerMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerMetrics").finish_non_exhaustive()
    }
}

/// Every reason that [`reason`] gives.
const REASONS: [&str; 9] = [
    "wrong-bytes",
    "wrong-manifest",
    "protocol",
    "not-held",
    "changed",
    "refused",
    "unavailable",
    "reading",
    "other",
];

/// Why a source failed, in one of a few words.
fn reason(failure: &TransferError) -> &'static str {
    match failure {
        TransferError::Mismatch(_) => "wrong-bytes",
        TransferError::Manifest(_) => "wrong-manifest",
        TransferError::Protocol(_) => "protocol",
        TransferError::NotFound(_) | TransferError::NotHeld(_) => "not-held",
        TransferError::Changed => "changed",
        TransferError::Refused(_) => "refused",
        TransferError::Unavailable(_) | TransferError::Stalled(_) => "unavailable",
        TransferError::Io(_) => "reading",
        _ => "other",
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A gauge that is one higher as long as this lives.
struct Up(Gauge<i64, AtomicI64>);

impl Up {
    fn new(gauge: &Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests;
