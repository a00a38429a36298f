//! A download to a file.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::Semaphore,
    task::{JoinError, spawn_blocking},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Committer, FileStamp, PartialSource, SinkOptions,
    discard::discard,
    open::{self, Opened},
    part::Part,
    sys,
};
use crate::{
    content::{ContentId, Manifest, PieceIndex, PieceSet, verify_piece},
    process::cores,
    transfer::{PieceSink, SinkError, held::Holdings},
};

/// A download to a file, which a crash at any point leaves resumable.
///
/// While it is unfinished it is a sparse file `NAME.ID.part` beside the target `NAME`, where `ID` is the first 16 digits
/// of the content id, so that two contents of the same name never touch each other's; a content of more than one piece
/// also has its manifest there, `NAME.ID.part.manifest`. A name too long for that is cut, with `~` and 8 digits of its
/// hash in place of the rest.
///
/// What a part file holds is found by hashing it: there is no record of progress that could be wrong. The part file is
/// locked while the sink lives, against other processes and other sinks.
#[derive(Debug)]
pub struct FileSink {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    manifest: Manifest,
    part: Arc<Part>,
    held: Holdings,
    /// Pieces are hashed and written by as many at a time as there are cores: more would only take each other's caches.
    puts: Arc<Semaphore>,
    /// Held by who writes. The system lets only one write to a file at a time, and those who wait there burn time.
    writing: Mutex<()>,
    committer: Committer,
    complete: bool,
}

impl FileSink {
    /// Begins the download of a content to the file `target`, or goes on with it.
    ///
    /// Makes missing folders. When the target has the very content already, the sink is complete from the start and
    /// finishing it does nothing. Everything is done in the blocking pool; what is there is hashed on all cores.
    ///
    /// Cancellation: dropping the future stops hashing after a piece for each thread.
    ///
    /// # Errors
    ///
    /// [`SinkError::Exists`] when the target is something else, [`SinkError::Special`] when it is no file,
    /// [`SinkError::Locked`] when somebody else downloads to it, [`SinkError::NoRoom`] when it does not fit on the disk,
    /// [`SinkError::NoSpace`] and [`SinkError::Io`].
    pub async fn open(
        target: &Path,
        manifest: Manifest,
        options: SinkOptions,
    ) -> Result<Self, SinkError> {
        let cancel = CancelOnDrop(options.stop.clone().unwrap_or_default());
        let flag = cancel.0.clone();
        let path = target.to_owned();
        let work = move || {
            let opened = open::open(&path, &manifest, &options, &flag)?;
            Ok(Self::new(manifest, opened, options.committer))
        };
        blocking(target, work).await
    }

    /// Makes a content of one piece, all of whose bytes are there, the file `target`: what opening a sink, putting the
    /// piece and finishing does, in one turn of the blocking pool. Few are written at a time, however many ask.
    ///
    /// Gives what [`stamp`](Self::stamp) says then.
    ///
    /// Cancellation: the file is there or not, and a part file may be left.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), [`put`](PieceSink::put) and [`finish`](PieceSink::finish).
    pub async fn keep(
        target: &Path,
        manifest: Manifest,
        data: Vec<Bytes>,
        options: SinkOptions,
    ) -> Result<Option<FileStamp>, SinkError> {
        let turn = options.committer.turn().await;
        let path = target.to_owned();
        let work = move || {
            let _turn = turn;
            let opened = open::open(&path, &manifest, &options, &AtomicBool::new(false))?;
            let sink = Self::new(manifest, opened, options.committer);
            let write = || {
                sink.inner.put(PieceIndex(0), &data)?;
                sink.inner.committer.commit_unsynced(&sink.inner.part)
            };
            if !sink.already_complete()
                && let Err(error) = write()
            {
                sink.abandon();
                return Err(error);
            }
            Ok(sink)
        };
        let sink = blocking(target, work).await?;
        let finished = sink.finish().await;
        let stamp = sink.stamp();
        if finished.is_err() {
            let abandon = move || {
                sink.abandon();
                Ok(())
            };
            let _ = blocking(target, abandon).await;
        }
        finished.map(|()| stamp)
    }

    /// Removes the part file, if it is still there under its name: nothing can go on with that of a single piece, and of many
    /// files on a full disk very many would be left. Blocks.
    fn abandon(&self) {
        let part = &self.inner.part;
        if let Ok(metadata) = part.file.metadata()
            && sys::is_at(&metadata, &part.path).unwrap_or(false)
        {
            let _ = fs::remove_file(&part.path);
        }
    }

    /// The manifest that an unfinished download of a content to this target left, verified; `None` when there is none
    /// or it is damaged.
    pub async fn stored_manifest(target: &Path, content: &ContentId) -> Option<Manifest> {
        let (target, content) = (target.to_owned(), *content);
        let work = spawn_blocking(move || open::stored_manifest(&target, &content));
        work.await.ok().flatten()
    }

    /// Removes what an unfinished download of a content to this target has left: part file and manifest. The target itself
    /// is not touched. False when there was nothing.
    ///
    /// # Errors
    ///
    /// [`SinkError::Locked`] while somebody downloads to it, [`SinkError::Io`].
    pub async fn discard(target: &Path, content: &ContentId) -> Result<bool, SinkError> {
        let (path, content) = (target.to_owned(), *content);
        blocking(target, move || discard(&path, &content)).await
    }

    /// Whether the target had the content before the sink was opened.
    #[must_use]
    pub fn already_complete(&self) -> bool {
        self.inner.complete
    }

    /// What the very file with the content was when it was complete, whatever has its name by now; `None` before that.
    #[must_use]
    pub fn stamp(&self) -> Option<FileStamp> {
        self.inner.part.finished()
    }

    /// The file that the content becomes.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.inner.part.target
    }

    /// The file that the content is written to meanwhile.
    #[must_use]
    pub fn part_path(&self) -> &Path {
        &self.inner.part.path
    }

    /// A source of the pieces that are held, which follows as more come, and goes on after the download is finished.
    #[must_use]
    pub fn source(&self) -> PartialSource {
        let Inner { manifest, part, held, .. } = &*self.inner;
        PartialSource::new(
            manifest.clone(),
            part.file.clone(),
            held.view().clone(),
            part.renamed.clone(),
        )
    }

    fn new(manifest: Manifest, opened: Opened, committer: Committer) -> Self {
        Self {
            inner: Arc::new(Inner {
                manifest,
                part: Arc::new(opened.part),
                held: Holdings::new(opened.held),
                puts: Arc::new(Semaphore::new(cores().get().max(2))),
                writing: Mutex::new(()),
                committer,
                complete: opened.complete,
            }),
        }
    }
}

#[async_trait]
impl PieceSink for FileSink {
    fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    fn held(&self) -> PieceSet {
        self.inner.held.view().snapshot()
    }

    async fn put(&self, piece: PieceIndex, data: Vec<Bytes>) -> Result<(), SinkError> {
        if self.inner.held.view().contains(piece) {
            return Ok(());
        }
        let inner = self.inner.clone();
        // A task of its own: whoever waits for a turn and is not polled when it comes would keep it from the others.
        let work = tokio::spawn(async move {
            // It is never closed.
            let turn = inner.puts.clone().acquire_owned().await.ok();
            let part = inner.part.clone();
            let work = move || {
                let _turn = turn;
                inner.put(piece, &data)
            };
            blocking(&part.target, work).await
        });
        ended(self.target(), AbortOnDropHandle::new(work).await)
    }

    async fn finish(&self) -> Result<(), SinkError> {
        let Inner { part, held, committer, .. } = &*self.inner;
        match held.view().missing() {
            0 if part.finished().is_some() => Ok(()),
            0 => committer.commit(part.clone()).await,
            missing => Err(SinkError::Incomplete { missing }),
        }
    }
}

impl Inner {
    fn put(&self, piece: PieceIndex, data: &[Bytes]) -> Result<(), SinkError> {
        verify_piece(&self.manifest, piece, data.iter().map(|slice| &slice[..]))?;
        let part = &self.part;
        part.check()?;
        let offset = self.manifest.layout().piece_offset(piece);
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Of one that came twice, or all may be finished by now, and the file somebody's own.
        if self.held.view().contains(piece) {
            return Ok(());
        }
        part.check_there()?;
        sys::write_at(&part.file, data, offset)
            .map_err(|error| part.error("writing", &part.path, error))?;
        self.held.insert(piece);
        Ok(())
    }
}

#[derive(Default)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn blocking<T: Send + 'static>(
    target: &Path,
    work: impl FnOnce() -> Result<T, SinkError> + Send + 'static,
) -> Result<T, SinkError> {
    ended(target, spawn_blocking(work).await)
}

fn ended<T>(
    target: &Path,
    result: Result<Result<T, SinkError>, JoinError>,
) -> Result<T, SinkError> {
    result.unwrap_or_else(|_| {
        let error = io::Error::from(ErrorKind::Interrupted);
        Err(SinkError::from_io("writing", target, target, error))
    })
}

#[cfg(test)]
mod tests;
