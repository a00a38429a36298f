//! A source that is kept to a rate.

use async_trait::async_trait;

use super::{HaveStream, PieceSource, RateLimit, SegmentStream, SmallContent, TransferError};
use crate::content::{ContentId, Manifest, PieceRun};

/// A source from which bytes come no faster than a limit, which it may share with others.
///
/// Manifests, and what the source has, are not held back.
#[derive(Clone, Debug)]
pub struct Throttled<S> {
    source: S,
    limit: RateLimit,
}

impl<S> Throttled<S> {
    /// `source`, at this rate.
    pub fn new(source: S, limit: RateLimit) -> Self {
        Self { source, limit }
    }
}

#[async_trait]
impl<S: PieceSource> PieceSource for Throttled<S> {
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
        Ok(self.limit.throttle(self.source.fetch(content, runs).await?))
    }

    async fn fetch_any(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        Ok(self.limit.throttle(self.source.fetch_any(content, runs, others).await?))
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        Ok(self.limit.throttle(self.source.fetch_many(contents).await?))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use futures::TryStreamExt;
    use tokio::time::Instant;

    use super::*;
    use crate::transfer::{FetchEvent, MemorySource};

    #[tokio::test(start_paused = true)]
    async fn all_comes_and_no_faster_than_it_may() {
        let memory = MemorySource::new();
        let bytes = vec![7; 2 << 20];
        let manifest = memory.insert(bytes.clone());
        let source = Throttled::new(memory, RateLimit::new(NonZeroU64::new(1 << 20)));
        let begun = Instant::now();
        let events: Vec<_> =
            source.fetch(&manifest.id(), &[]).await.unwrap().try_collect().await.unwrap();
        let data = events.into_iter().filter_map(|event| match event {
            FetchEvent::Segment(segment) => Some(segment.data.to_vec()),
            _ => None,
        });
        assert_eq!(data.collect::<Vec<_>>().concat(), bytes);
        let seconds = begun.elapsed().as_secs_f64();
        assert!((1.7..2.1).contains(&seconds), "{seconds} s for two seconds' worth");
    }
}
