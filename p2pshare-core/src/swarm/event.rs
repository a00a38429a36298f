//! What others may know of a download while it goes on.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

use tokio::sync::broadcast;

pub use super::sources::SourceProgress;
use super::{SourceId, sources::SourceTable};
use crate::{content::PieceIndex, transfer::TransferError};

/// Something that happened in a download.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SwarmEvent {
    /// A source has told what it has.
    Joined {
        /// Which one.
        source: SourceId,
        /// What people call it.
        label: String,
    },
    /// A source has put the request into its queue.
    Queued {
        /// Which one.
        source: SourceId,
        /// So many are served before.
        position: u32,
    },
    /// A piece was verified and is kept.
    Piece {
        /// Who delivered it.
        source: SourceId,
        /// Which one.
        piece: PieceIndex,
    },
    /// A source has failed. Unless it lied it is tried again later.
    Failed {
        /// Which one.
        source: SourceId,
        /// What people call it.
        label: String,
        /// Why.
        reason: TransferError,
    },
    /// A source takes part no longer: the content is complete, or it failed too often.
    Left {
        /// Which one.
        source: SourceId,
    },
}

/// Where a download reports to: events over a channel that never blocks it (a slow listener loses the oldest), and
/// counters that can be read at any time. A clone is another handle on the same.
#[derive(Clone, Debug)]
pub struct SwarmEvents {
    sender: broadcast::Sender<SwarmEvent>,
    counters: Arc<Counters>,
    sources: Arc<SourceTable>,
}

/// How far a download is. Read without locking it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmProgress {
    /// Bytes of verified pieces, those held from the start among them.
    pub verified: u64,
    /// Length of the content in bytes, 0 until the download has begun.
    pub total: u64,
    /// Bytes that have come, also those that were dropped.
    pub received: u64,
    /// Sources that take part.
    pub sources: u32,
}

#[derive(Debug, Default)]
struct Counters {
    verified: AtomicU64,
    total: AtomicU64,
    received: AtomicU64,
    sources: AtomicU32,
}

impl Default for SwarmEvents {
    fn default() -> Self {
        Self::new(256)
    }
}

impl SwarmEvents {
    /// Keeps up to `capacity` events for slow listeners.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            sender: broadcast::Sender::new(capacity.max(1)),
            counters: Arc::default(),
            sources: Arc::default(),
        }
    }

    /// The events from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<SwarmEvent> {
        self.sender.subscribe()
    }

    /// How far the download is.
    #[must_use]
    pub fn progress(&self) -> SwarmProgress {
        SwarmProgress {
            verified: self.counters.verified.load(Relaxed),
            total: self.counters.total.load(Relaxed),
            received: self.counters.received.load(Relaxed),
            sources: self.counters.sources.load(Relaxed),
        }
    }

    /// What each source has given since the download began, those that have left among them.
    #[must_use]
    pub fn by_source(&self) -> Vec<SourceProgress> {
        self.sources.snapshot()
    }

    pub(super) fn begin(&self, verified: u64, total: u64) {
        self.counters.verified.store(verified, Relaxed);
        self.counters.total.store(total, Relaxed);
    }

    pub(super) fn verified(&self, bytes: u64) {
        self.counters.verified.fetch_add(bytes, Relaxed);
    }

    pub(super) fn received(&self, source: SourceId, bytes: u64) {
        self.counters.received.fetch_add(bytes, Relaxed);
        self.sources.received(source, bytes);
    }

    pub(super) fn sources(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.counters.sources.store(count, Relaxed);
    }

    pub(super) fn send(&self, event: SwarmEvent) {
        self.sources.note(&event);
        // Without a listener it is lost, as it should be.
        let _ = self.sender.send(event);
    }
}
