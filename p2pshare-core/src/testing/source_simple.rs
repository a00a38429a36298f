//! A source that does no more than it must.

use async_trait::async_trait;

use crate::{
    content::{ContentId, Manifest, PieceRun},
    transfer::{HaveStream, MemorySource, PieceSource, SegmentStream, TransferError},
};

/// What is in memory, without any of the calls that a source may leave out: one content at a time.
#[derive(Clone, Debug, Default)]
pub struct SimpleSource(pub MemorySource);

#[async_trait]
impl PieceSource for SimpleSource {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.0.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.0.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        self.0.fetch(content, runs).await
    }
}
