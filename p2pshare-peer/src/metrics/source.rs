//! A source whose bytes are counted as they are given out.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use p2pshare_core::{
    content::{ContentId, Manifest, PieceRun},
    identity::Reach,
    transfer::{
        FetchEvent, GuardedSource, HaveStream, PieceSource, SegmentStream, SmallContent,
        TransferError,
    },
};

use super::PeerMetrics;

/// What is shared, as others fetch it.
pub(crate) struct Metered {
    source: Arc<dyn GuardedSource>,
    metrics: PeerMetrics,
}

impl Metered {
    /// `source`, with what it gives counted as sent.
    pub(crate) fn new(source: Arc<dyn GuardedSource>, metrics: PeerMetrics) -> Self {
        Self { source, metrics }
    }
}

impl GuardedSource for Metered {
    fn within(&self, reach: Reach) -> Arc<dyn PieceSource> {
        Arc::new(Within { source: self.source.within(reach), metrics: self.metrics.clone() })
    }
}

/// What of it is for somebody.
struct Within {
    source: Arc<dyn PieceSource>,
    metrics: PeerMetrics,
}

#[async_trait]
impl PieceSource for Within {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.source.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.source.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        Ok(self.counted(self.source.fetch(content, runs).await?))
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        Ok(self.counted(self.source.fetch_many(contents).await?))
    }
}

impl Within {
    fn counted(&self, events: SegmentStream) -> SegmentStream {
        let metrics = self.metrics.clone();
        let counted = events.inspect(move |event| {
            if let Ok(FetchEvent::Segment(segment)) = event {
                metrics.sent(segment.data.len() as u64);
            }
        });
        counted.boxed()
    }
}
