//! Serving what is being downloaded beside what is shared.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use p2pshare_core::{
    content::{ContentId, Manifest, PieceRun},
    transfer::{HaveStream, PieceSource, SegmentStream, TransferError},
};
use tokio::sync::watch;

/// Downloads whose pieces are served while they run. A clone is the same registry.
///
/// As a source it has these downloads alone; beside what is shared they are served by a [`CompositeSource`].
#[derive(Clone, Default)]
pub struct PartialSources {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    sources: Mutex<HashMap<ContentId, Arc<dyn PieceSource>>>,
    /// Its value is never read, only that it changes.
    changed: watch::Sender<()>,
}

/// Keeps a download among the [`PartialSources`]; dropping it takes the download away.
#[must_use = "dropping it ends the serving of the download"]
pub struct PartialRegistration {
    sources: PartialSources,
    content: ContentId,
    source: Arc<dyn PieceSource>,
}

impl PartialSources {
    /// A registry without downloads.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a download, in place of another one of the same content.
    pub fn insert(&self, content: ContentId, source: Arc<dyn PieceSource>) -> PartialRegistration {
        self.sources().insert(content, source.clone());
        self.inner.changed.send_replace(());
        PartialRegistration { sources: self.clone(), content, source }
    }

    /// The download of a content.
    pub fn find(&self, content: &ContentId) -> Option<Arc<dyn PieceSource>> {
        self.sources().get(content).cloned()
    }

    /// The contents that are served now.
    pub fn contents(&self) -> HashSet<ContentId> {
        self.sources().keys().copied().collect()
    }

    /// Tells when downloads have come or gone since it was asked last.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.inner.changed.subscribe()
    }

    fn get(&self, content: &ContentId) -> Result<Arc<dyn PieceSource>, TransferError> {
        self.find(content).ok_or(TransferError::NotFound(*content))
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<ContentId, Arc<dyn PieceSource>>> {
        self.inner.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PartialRegistration {
    fn drop(&mut self) {
        let mut sources = self.sources.sources();
        // A later download of the same content stays.
        if sources.get(&self.content).is_some_and(|source| Arc::ptr_eq(source, &self.source)) {
            sources.remove(&self.content);
        }
        drop(sources);
        self.sources.inner.changed.send_replace(());
    }
}

#[async_trait]
impl PieceSource for PartialSources {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.get(content)?.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.get(content)?.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        self.get(content)?.fetch(content, runs).await
    }
}

impl fmt::Debug for PartialSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.sources().keys()).finish()
    }
}

impl fmt::Debug for PartialRegistration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PartialRegistration({:?})", self.content)
    }
}

/// A source of whole contents, and of downloads for contents that it does not have or cannot serve.
#[derive(Clone)]
pub struct CompositeSource {
    whole: Arc<dyn PieceSource>,
    partial: PartialSources,
}

impl CompositeSource {
    /// Serves what `whole` has, and else what is in `partial`.
    pub fn new(whole: Arc<dyn PieceSource>, partial: PartialSources) -> Self {
        Self { whole, partial }
    }

    /// The download to try after this error of the whole source.
    fn instead(
        &self,
        content: &ContentId,
        error: TransferError,
    ) -> Result<Arc<dyn PieceSource>, TransferError> {
        match error {
            TransferError::Protocol(_) => Err(error),
            _ => self.partial.find(content).ok_or(error),
        }
    }
}

impl fmt::Debug for CompositeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompositeSource").field("partial", &self.partial).finish_non_exhaustive()
    }
}

#[async_trait]
impl PieceSource for CompositeSource {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        match self.whole.manifest(content).await {
            Err(error) => self.instead(content, error)?.manifest(content).await,
            found => found,
        }
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        match self.whole.have(content).await {
            Err(error) => self.instead(content, error)?.have(content).await,
            found => found,
        }
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        match self.whole.fetch(content, runs).await {
            Err(error) => self.instead(content, error)?.fetch(content, runs).await,
            found => found,
        }
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::{
        content::{PieceIndex, hash_bytes},
        transfer::MemorySource,
    };

    use super::*;

    #[tokio::test]
    async fn downloads_are_served_until_they_are_taken_away() {
        let whole = MemorySource::new();
        let kept = whole.insert(&b"whole"[..]).id();
        let partial = PartialSources::new();
        let mut changes = partial.changes();
        let source = CompositeSource::new(Arc::new(whole), partial.clone());

        let download = MemorySource::new();
        let manifest = hash_bytes(b"download");
        download.insert_empty(manifest.clone());
        let id = manifest.id();
        assert!(matches!(source.manifest(&id).await, Err(TransferError::NotFound(_))));

        let first = partial.insert(id, Arc::new(download.clone()));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!(partial.contents(), HashSet::from([id]));
        assert_eq!(source.manifest(&id).await.unwrap().id(), id);
        assert_eq!(partial.manifest(&id).await.unwrap().id(), id);
        assert!(source.have(&id).await.is_ok());
        let missing = source.fetch(&id, &[]).await.err();
        assert!(matches!(missing, Some(TransferError::NotHeld(PieceIndex(0)))), "{missing:?}");
        assert!(source.fetch(&kept, &[]).await.is_ok());

        let second = partial.insert(id, Arc::new(download));
        drop(first);
        assert!(source.manifest(&id).await.is_ok(), "the later one stays");
        drop(second);
        assert!(matches!(source.have(&id).await, Err(TransferError::NotFound(_))));
        assert!(changes.has_changed().unwrap() && partial.contents().is_empty());
    }
}
