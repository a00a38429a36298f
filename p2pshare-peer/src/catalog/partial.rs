//! Serving what is being downloaded beside what is shared.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use p2pshare_core::{
    content::{ContentId, Manifest, PieceRun},
    identity::Reach,
    transfer::{
        GuardedSource, HaveStream, PieceSource, SegmentStream, SmallContent, TransferError,
    },
};
use tokio::sync::watch;

/// Downloads whose pieces are served while they run, each to those whom the index tells of it: to nobody before the
/// index has said who that is. A clone is the same registry.
///
/// As a source it has these downloads alone; beside what is shared they are served by a [`CompositeSource`].
#[derive(Clone, Default)]
pub struct PartialSources {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Those of one content in the order in which they came. The first one is served: it has the most.
    downloads: Mutex<HashMap<ContentId, Vec<Download>>>,
    /// Its value is never read, only that it changes.
    changed: watch::Sender<()>,
}

struct Download {
    source: Arc<dyn PieceSource>,
    /// For whom it is; `None` while the index has not said so.
    reach: Option<Reach>,
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

    /// Serves a download, once others of the same content that came before it have gone.
    pub fn insert(&self, content: ContentId, source: Arc<dyn PieceSource>) -> PartialRegistration {
        let download = Download { source: source.clone(), reach: None };
        self.downloads().entry(content).or_default().push(download);
        self.inner.changed.send_replace(());
        PartialRegistration { sources: self.clone(), content, source }
    }

    /// The contents that are served now.
    pub fn contents(&self) -> HashSet<ContentId> {
        self.downloads().keys().copied().collect()
    }

    /// Whether there is a download of this content, and the index has not said yet for whom.
    pub fn is_untold(&self, content: &ContentId) -> bool {
        self.first(content, |download| download.reach.is_none()).unwrap_or(false)
    }

    /// From now on the download of a content is served to those who were granted `reach`.
    pub fn open_to(&self, content: &ContentId, reach: Reach) {
        for download in self.downloads().get_mut(content).into_iter().flatten() {
            download.reach = Some(reach);
        }
    }

    /// Tells when downloads have come or gone since it was asked last.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.inner.changed.subscribe()
    }

    /// The download of a content, if it is for somebody who was granted `reach`.
    fn find(&self, reach: Reach, content: &ContentId) -> Option<Arc<dyn PieceSource>> {
        let if_for = |download: &Download| {
            download.reach.is_some_and(|of| reach.opens(of)).then(|| download.source.clone())
        };
        self.first(content, if_for).flatten()
    }

    /// Asks the download of a content that is served.
    fn first<T>(&self, content: &ContentId, ask: impl FnOnce(&Download) -> T) -> Option<T> {
        self.downloads().get(content)?.first().map(ask)
    }

    fn downloads(&self) -> MutexGuard<'_, HashMap<ContentId, Vec<Download>>> {
        self.inner.downloads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PartialRegistration {
    fn drop(&mut self) {
        let mut downloads = self.sources.downloads();
        // Others of the same content stay.
        if let Some(same) = downloads.get_mut(&self.content) {
            same.retain(|download| !Arc::ptr_eq(&download.source, &self.source));
            if same.is_empty() {
                downloads.remove(&self.content);
            }
        }
        drop(downloads);
        self.sources.inner.changed.send_replace(());
    }
}

impl GuardedSource for PartialSources {
    fn within(&self, reach: Reach) -> Arc<dyn PieceSource> {
        Arc::new(ReachedDownloads { sources: self.clone(), reach })
    }
}

/// The downloads that are for somebody who was granted this.
struct ReachedDownloads {
    sources: PartialSources,
    reach: Reach,
}

impl ReachedDownloads {
    fn get(&self, content: &ContentId) -> Result<Arc<dyn PieceSource>, TransferError> {
        self.sources.find(self.reach, content).ok_or(TransferError::NotFound(*content))
    }
}

#[async_trait]
impl PieceSource for ReachedDownloads {
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
        f.debug_set().entries(self.downloads().keys()).finish()
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
    whole: Arc<dyn GuardedSource>,
    partial: PartialSources,
}

impl CompositeSource {
    /// Serves what `whole` has, and else what is in `partial`.
    pub fn new(whole: Arc<dyn GuardedSource>, partial: PartialSources) -> Self {
        Self { whole, partial }
    }
}

impl GuardedSource for CompositeSource {
    fn within(&self, reach: Reach) -> Arc<dyn PieceSource> {
        let partial = ReachedDownloads { sources: self.partial.clone(), reach };
        Arc::new(ReachedOfBoth { whole: self.whole.within(reach), partial })
    }
}

impl fmt::Debug for CompositeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompositeSource").field("partial", &self.partial).finish_non_exhaustive()
    }
}

/// What of a [`CompositeSource`] is for somebody who was granted something.
struct ReachedOfBoth {
    whole: Arc<dyn PieceSource>,
    partial: ReachedDownloads,
}

impl ReachedOfBoth {
    /// The download to try after this error of the whole source.
    fn instead(
        &self,
        content: &ContentId,
        error: TransferError,
    ) -> Result<Arc<dyn PieceSource>, TransferError> {
        match error {
            TransferError::Protocol(_) => Err(error),
            _ => self.partial.get(content).map_err(|_| error),
        }
    }
}

#[async_trait]
impl PieceSource for ReachedOfBoth {
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

    // What is small is no download for long.
    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        self.whole.fetch_many(contents).await
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::{
        content::{PieceIndex, hash_bytes},
        identity::GroupsId,
        transfer::{MemorySource, OpenSource},
    };

    use super::*;

    const CLUB: Reach = Reach::Groups(GroupsId::from_bytes([1; 16]));
    const TEAM: Reach = Reach::Groups(GroupsId::from_bytes([2; 16]));

    fn empty(content: &'static [u8]) -> (ContentId, Arc<MemorySource>) {
        let manifest = hash_bytes(content);
        let download = MemorySource::new();
        download.insert_empty(manifest.clone());
        (manifest.id(), Arc::new(download))
    }

    /// Whether a source has a content, for every call alike.
    async fn has(source: &dyn PieceSource, content: &ContentId) -> bool {
        let fetched = source.fetch(content, &[]).await.err();
        let has = !matches!(fetched, Some(TransferError::NotFound(_)));
        assert_eq!(source.manifest(content).await.is_ok(), has);
        assert_eq!(source.have(content).await.is_ok(), has);
        has
    }

    #[tokio::test]
    async fn downloads_are_served_until_they_are_taken_away() {
        let whole = MemorySource::new();
        let kept = whole.insert(&b"whole"[..]).id();
        let partial = PartialSources::new();
        let mut changes = partial.changes();
        let whole = Arc::new(OpenSource::new(Arc::new(whole)));
        let source = CompositeSource::new(whole, partial.clone()).within(Reach::Everyone);

        let (id, download) = empty(b"download");
        assert!(!has(&*source, &id).await);
        let first = partial.insert(id, download);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert_eq!(partial.contents(), HashSet::from([id]));
        assert!(!has(&*source, &id).await, "nobody was told of it");
        partial.open_to(&id, Reach::Everyone);
        assert_eq!(source.manifest(&id).await.unwrap().id(), id);
        assert!(has(&*partial.within(Reach::Everyone), &id).await);
        let missing = source.fetch(&id, &[]).await.err();
        assert!(matches!(missing, Some(TransferError::NotHeld(PieceIndex(0)))), "{missing:?}");
        assert!(has(&*source, &kept).await);

        let second = partial.insert(id, empty(b"download").1);
        assert!(has(&*source, &id).await && !partial.is_untold(&id), "the first one is served");
        drop(first);
        assert!(partial.is_untold(&id), "the later one stays, and is for whom the index says");
        partial.open_to(&id, Reach::Everyone);
        assert!(has(&*source, &id).await);
        drop(second);
        assert!(!has(&*source, &id).await);
        assert!(changes.has_changed().unwrap() && partial.contents().is_empty());
    }

    #[tokio::test]
    async fn a_download_is_there_for_those_alone_whom_it_is_for() {
        let partial = PartialSources::new();
        let whole = Arc::new(OpenSource::new(Arc::new(MemorySource::new())));
        let both = CompositeSource::new(whole, partial.clone());
        let (id, download) = empty(b"download");
        let _kept = partial.insert(id, download);
        for (open_to, everyone, club) in [
            (None, false, false),
            (Some(Reach::Everyone), true, true),
            (Some(CLUB), false, true),
            (Some(TEAM), false, false),
        ] {
            if let Some(reach) = open_to {
                partial.open_to(&id, reach);
            }
            assert_eq!(partial.is_untold(&id), open_to.is_none());
            for (reach, expected) in [(Reach::Everyone, everyone), (CLUB, club)] {
                assert_eq!(has(&*both.within(reach), &id).await, expected, "{open_to:?} {reach}");
                assert_eq!(has(&*partial.within(reach), &id).await, expected);
            }
        }
    }
}
