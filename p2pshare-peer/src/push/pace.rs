//! How fast files are pushed, and where that is seen.

use async_trait::async_trait;
use p2pshare_core::{
    content::{ContentId, Manifest, PieceRun},
    identity::{PeerId, Username},
    transfer::{HaveStream, PieceSource, RateLimit, SegmentStream, TransferError},
};

use crate::net::{PushProgress, UploadCall, UploadKey, Uploads};

/// How fast files are pushed, and where that is seen. Unless told otherwise as fast as can be, and nowhere.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Bytes a second, of all who share it: pushes, and what others fetch.
    pub limit: RateLimit,
    /// Lists what is pushed beside what others fetch.
    pub uploads: Option<Uploads>,
}

impl Pace {
    /// Lists a push until this is dropped.
    pub(super) fn list(
        &self,
        user: &Username,
        peer: PeerId,
        content: ContentId,
    ) -> Option<UploadCall> {
        let key = UploadKey { user: user.clone(), peer: Some(peer), content };
        self.uploads.as_ref()?.begin(key)
    }
}

/// Tells the list how far a push is.
pub(super) fn note(listed: Option<&UploadCall>, progress: PushProgress) {
    let Some(listed) = listed else { return };
    match progress {
        PushProgress::Queued { position } => listed.queued(position),
        PushProgress::Sent { bytes } => listed.sent(bytes),
        PushProgress::Wanted { .. } => {}
    }
}

/// A source from which no more is taken than a limit allows.
pub(super) struct Paced<'a, S> {
    pub(super) source: S,
    pub(super) limit: &'a RateLimit,
}

#[async_trait]
impl<S: PieceSource> PieceSource for Paced<'_, S> {
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
}
