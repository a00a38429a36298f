//! What each source of a download has given.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{SourceId, SwarmEvent, plan::speed::SpeedMeter};
use crate::transfer::TransferError;

/// What one source of a download has given, and how it fares.
#[derive(Clone, Debug)]
pub struct SourceProgress {
    /// Which one.
    pub source: SourceId,
    /// What people call it.
    pub label: String,
    /// Whether it takes part at the moment.
    pub active: bool,
    /// Bytes that it has sent, of use or not.
    pub bytes: u64,
    /// Bytes that it sends in a second, over the last seconds.
    pub rate: u64,
    /// While it keeps a request waiting: so many are served before.
    pub queued: Option<u32>,
    /// How it failed last, if it did.
    pub failure: Option<TransferError>,
}

/// The sources of a download. Told of all that happens in it.
#[derive(Debug)]
pub(super) struct SourceTable {
    begun: Instant,
    sources: Mutex<BTreeMap<SourceId, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    label: String,
    active: bool,
    bytes: u64,
    meter: SpeedMeter,
    queued: Option<u32>,
    failure: Option<TransferError>,
}

impl Default for SourceTable {
    fn default() -> Self {
        Self { begun: Instant::now(), sources: Mutex::default() }
    }
}

impl SourceTable {
    pub(super) fn note(&self, event: &SwarmEvent) {
        let mut sources = self.sources();
        match event {
            SwarmEvent::Joined { source, label } => {
                let entry = sources.entry(*source).or_default();
                entry.label.clone_from(label);
                entry.active = true;
            }
            SwarmEvent::Queued { source, position } => {
                sources.entry(*source).or_default().queued = Some(*position);
            }
            SwarmEvent::Failed { source, label, reason } => {
                let entry = sources.entry(*source).or_default();
                entry.label.clone_from(label);
                entry.failure = Some(reason.clone());
                entry.active = false;
                entry.queued = None;
            }
            SwarmEvent::Left { source } => {
                let entry = sources.entry(*source).or_default();
                entry.active = false;
                entry.queued = None;
            }
            SwarmEvent::Piece { .. } => {}
        }
    }

    pub(super) fn received(&self, source: SourceId, bytes: u64) {
        let now = self.now();
        let mut sources = self.sources();
        let entry = sources.entry(source).or_default();
        entry.bytes = entry.bytes.saturating_add(bytes);
        entry.queued = None;
        entry.meter.add(bytes, now);
    }

    pub(super) fn snapshot(&self) -> Vec<SourceProgress> {
        let now = self.now();
        let sources = self.sources();
        let told = sources.iter().map(|(source, entry)| SourceProgress {
            source: *source,
            label: entry.label.clone(),
            active: entry.active,
            bytes: entry.bytes,
            // A cast from a float saturates.
            rate: if entry.active { entry.meter.estimate(now).unwrap_or(0.0) as u64 } else { 0 },
            queued: entry.queued,
            failure: entry.failure.clone(),
        });
        told.collect()
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn sources(&self) -> MutexGuard<'_, BTreeMap<SourceId, Entry>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PeerKey;

    #[tokio::test(start_paused = true)]
    async fn tells_what_each_source_gives() {
        let table = SourceTable::default();
        let source = PeerKey::generate().unwrap().peer_id();
        let label = "alice".to_owned();
        table.note(&SwarmEvent::Joined { source, label: label.clone() });
        table.note(&SwarmEvent::Queued { source, position: 3 });
        assert_eq!(table.snapshot()[0].queued, Some(3));
        for _ in 0..20 {
            tokio::time::advance(Duration::from_millis(100)).await;
            table.received(source, 100_000);
        }
        let told = &table.snapshot()[0];
        assert!((900_000..1_100_000).contains(&told.rate), "{told:?}");
        assert_eq!((told.bytes, told.queued, told.active), (2_000_000, None, true));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(table.snapshot()[0].rate, 0, "silence is told too");
        let reason = TransferError::Changed;
        table.note(&SwarmEvent::Failed { source, label, reason });
        let told = &table.snapshot()[0];
        assert!(!told.active && told.failure.is_some() && told.label == "alice");
    }
}
