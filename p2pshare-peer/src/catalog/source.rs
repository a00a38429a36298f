//! Serving the shared files.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use p2pshare_core::{
    content::{ContentId, Manifest, PIECE_LEN, PieceRun},
    identity::Reach,
    transfer::{
        GuardedSource, HaveStream, HaveUpdate, PieceSource, ReadOptions, SegmentStream, SharedFile,
        SmallContent, TransferError, give_many,
    },
};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{Catalog, CatalogError, CatalogFile, ShareId, manifests::ManifestCache};

/// So many files with the same content are tried.
const MAX_COPIES: u32 = 16;

/// Manifests of so many bytes in all are kept in memory: those of 2 TiB.
const MANIFEST_BYTES: usize = 64 << 20;

/// Reports of changed files that wait. More are dropped: each file is reported again when it is next asked for.
const REPORTS: usize = 1024;

/// Serves the files of a catalog, each to those it is shared with, for as long as it is shared and is what it was when it
/// was hashed. A clone is the same source.
///
/// A file is checked when it is opened and while it is read. One that has changed or is gone is not served, whoever asks
/// gets [`TransferError::Changed`] unless another shared file has the same content, and it is told to the
/// [`ChangedFiles`].
#[derive(Clone)]
pub struct CatalogSource {
    inner: Arc<Inner>,
}

struct Inner {
    catalog: Catalog,
    manifests: Mutex<ManifestCache>,
    options: ReadOptions,
    changed: mpsc::Sender<ChangedFile>,
}

/// A file that was found changed or gone when it was to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    /// The share it belongs to.
    pub share: ShareId,
    /// Where it is, or was.
    pub local: PathBuf,
}

/// The files that a [`CatalogSource`] found changed.
#[derive(Debug)]
pub struct ChangedFiles {
    reports: mpsc::Receiver<ChangedFile>,
}

impl ChangedFiles {
    /// The next one; `None` once the source is gone. The same file may come several times.
    ///
    /// Cancellation: none is lost.
    pub async fn next(&mut self) -> Option<ChangedFile> {
        self.reports.recv().await
    }
}

impl CatalogSource {
    /// Serves the files of `catalog`, read as `options` say.
    pub fn new(catalog: Catalog, options: ReadOptions) -> (Self, ChangedFiles) {
        let (changed, reports) = mpsc::channel(REPORTS);
        let manifests = Mutex::new(ManifestCache::new(MANIFEST_BYTES));
        let inner = Arc::new(Inner { catalog, manifests, options, changed });
        (Self { inner }, ChangedFiles { reports })
    }

    /// All of the files, whoever they are shared with: for their owner alone.
    pub fn own(&self) -> Arc<dyn PieceSource> {
        Arc::new(ReachedFiles { inner: self.inner.clone(), reach: None })
    }
}

impl GuardedSource for CatalogSource {
    fn within(&self, reach: Reach) -> Arc<dyn PieceSource> {
        Arc::new(ReachedFiles { inner: self.inner.clone(), reach: Some(reach) })
    }
}

/// The files that are for somebody who was granted this; `None`: all, for their owner.
struct ReachedFiles {
    inner: Arc<Inner>,
    reach: Option<Reach>,
}

impl ReachedFiles {
    /// The shared files with this content, at least one, and their manifest.
    async fn find(
        &self,
        content: &ContentId,
    ) -> Result<(Vec<CatalogFile>, Manifest), TransferError> {
        // Asked each time, so that what is no longer shared is no longer served, nor to whom it is no longer.
        let catalog = &self.inner.catalog;
        let files = match self.reach {
            Some(reach) => catalog.files_for(reach, *content, MAX_COPIES).await,
            None => catalog.files_with(*content, MAX_COPIES).await,
        };
        let files = files.map_err(|error| unavailable(&error))?;
        let first = files.first().ok_or(TransferError::NotFound(*content))?;
        // That of a single piece says nothing that is not known.
        if first.stamp.len <= PIECE_LEN {
            let manifest = Manifest::single(*content, first.stamp.len)?;
            return Ok((files, manifest));
        }
        if let Some(manifest) = self.inner.manifests().find(content) {
            return Ok((files, manifest));
        }
        let manifest = catalog.manifest(*content).await.map_err(|error| unavailable(&error))?;
        let manifest = manifest.ok_or(TransferError::NotFound(*content))?;
        self.inner.manifests().insert(&manifest);
        Ok((files, manifest))
    }
}

#[async_trait]
impl PieceSource for ReachedFiles {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        Ok(self.find(content).await?.1)
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        let (files, manifest) = self.find(content).await?;
        let all = HaveUpdate { gained: vec![manifest.layout().all()], complete: true };
        let mut failures = Failures::new(&self.inner);
        for file in files {
            let shared = shared(&file, &manifest);
            match spawn_blocking(move || shared.open().map(drop)).await {
                Ok(Ok(())) => return Ok(stream::iter([Ok(all)]).boxed()),
                Ok(Err(error)) => failures.add(file, error),
                Err(_) => failures.add(file, io::Error::from(io::ErrorKind::Interrupted).into()),
            }
        }
        Err(failures.first(content))
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let (files, manifest) = self.find(content).await?;
        let mut failures = Failures::new(&self.inner);
        for file in files {
            match shared(&file, &manifest).read(runs, self.inner.options.clone()).await {
                Ok(segments) => return Ok(watched(segments, self.inner.clone(), file)),
                // It is the request that is wrong.
                Err(error @ TransferError::Protocol(_)) => return Err(error),
                Err(error) => failures.add(file, error),
            }
        }
        Err(failures.first(content))
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        let wanted = contents.iter().map(|one| one.content).collect();
        let catalog = &self.inner.catalog;
        let files = catalog.files_for_each(self.reach, wanted, MAX_COPIES).await;
        let files = files.map_err(|error| unavailable(&error))?;
        let files: Vec<_> = contents.iter().copied().zip(files).collect();
        let mut files = files.into_iter();
        let inner = self.inner.clone();
        give_many(contents, &self.inner.options, move |_| {
            // Each is asked for once, in this order.
            let (content, copies) = files.next()?;
            read_one(&inner, content, copies)
        })
    }
}

/// The bytes of a small content, from the first of its files that has them. If none has, it is asked for by itself, and what
/// is wrong with them is told and reported then.
fn read_one(
    inner: &Inner,
    SmallContent { content, len }: SmallContent,
    copies: Vec<CatalogFile>,
) -> Option<Bytes> {
    let manifest = Manifest::single(content, len).ok()?;
    let mut failures = Vec::new();
    for file in copies.into_iter().filter(|file| file.stamp.len == len) {
        match shared(&file, &manifest).read_small(&inner.options) {
            Ok(data) => {
                failures.into_iter().for_each(|(file, error)| inner.report(file, &error));
                return Some(data);
            }
            Err(error) => failures.push((file, error)),
        }
    }
    None
}

impl Inner {
    fn manifests(&self) -> MutexGuard<'_, ManifestCache> {
        self.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, file: CatalogFile, error: &TransferError) {
        let is_shut = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        if matches!(error, TransferError::Changed)
            || matches!(error, TransferError::Io(error) if is_shut(error))
        {
            let report = ChangedFile { share: file.share, local: file.local };
            // Full: it is reported again. Closed: nobody wants to know.
            let _ = self.changed.try_send(report);
        } else {
            tracing::warn!(file = %file.local.display(), %error, "a shared file cannot be read");
        }
    }
}

impl fmt::Debug for CatalogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogSource")
            .field("catalog", &self.inner.catalog)
            .finish_non_exhaustive()
    }
}

/// Why the files with a content could not be served.
struct Failures<'a> {
    inner: &'a Inner,
    first: Option<TransferError>,
}

impl<'a> Failures<'a> {
    fn new(inner: &'a Inner) -> Self {
        Self { inner, first: None }
    }

    fn add(&mut self, file: CatalogFile, error: TransferError) {
        self.inner.report(file, &error);
        self.first.get_or_insert(error);
    }

    fn first(self, content: &ContentId) -> TransferError {
        self.first.unwrap_or(TransferError::NotFound(*content))
    }
}

fn shared(file: &CatalogFile, manifest: &Manifest) -> SharedFile {
    SharedFile { path: file.local.clone(), manifest: manifest.clone(), stamp: file.stamp }
}

/// The same stream; if it ends because the file has changed, that is reported.
fn watched(segments: SegmentStream, inner: Arc<Inner>, file: CatalogFile) -> SegmentStream {
    let watch = move |event: &Result<_, TransferError>| {
        if let Err(error) = event {
            inner.report(file.clone(), error);
        }
    };
    segments.inspect(watch).boxed()
}

fn unavailable(error: &CatalogError) -> TransferError {
    tracing::error!(%error, "the catalog cannot be read");
    // What is wrong with this peer's disk is nobody else's business.
    TransferError::Unavailable("its catalog cannot be read at the moment".to_owned())
}
