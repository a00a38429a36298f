//! A source of files that stay where they are.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{
    FileStamp, ReadOptions, give_many,
    read::{blocking, open_and_read},
    sys,
};
use crate::{
    content::{ContentId, Manifest, PieceIndex, PieceRun},
    transfer::{HaveStream, HaveUpdate, PieceSource, SegmentStream, SmallContent, TransferError},
};

/// A file that is shared: where it lies and what was hashed.
#[derive(Clone, Debug)]
pub struct SharedFile {
    /// Where the file is.
    pub path: PathBuf,
    /// What it held when it was hashed.
    pub manifest: Manifest,
    /// The file's state at that time.
    pub stamp: FileStamp,
}

impl SharedFile {
    /// Opens the file if it is still what was hashed. Blocks.
    ///
    /// # Errors
    ///
    /// [`TransferError::Changed`] when it is not, or is gone; [`TransferError::Io`] when it cannot be opened.
    pub fn open(&self) -> Result<Arc<File>, TransferError> {
        let file = sys::open_shared(&self.path).map_err(open_error)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || FileStamp::of(&metadata) != self.stamp {
            return Err(TransferError::Changed);
        }
        Ok(Arc::new(file))
    }

    /// Serves runs of the file's pieces; no runs: the whole content. What changes in the file while it is served ends
    /// the stream with [`TransferError::Changed`]. `options.check` is called besides. The first bytes are read before this
    /// returns, [`ReadOptions::read_ahead`] of them.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), [`wanted_runs`](crate::transfer::wanted_runs) and reading.
    pub async fn read(
        &self,
        runs: &[PieceRun],
        mut options: ReadOptions,
    ) -> Result<SegmentStream, TransferError> {
        let shared = self.clone();
        let open = move || {
            let file = shared.open()?;
            let (stamp, checked, also) = (shared.stamp, file.clone(), options.check.take());
            options.check = Some(Arc::new(move || {
                stamp.check(&checked)?;
                also.as_ref().map_or(Ok(()), |check| check())
            }));
            Ok((file, options))
        };
        open_and_read(open, self.manifest.layout(), runs).await
    }

    /// The whole content, if it has at most one piece. Blocks. What changes in the file meanwhile is
    /// [`TransferError::Changed`]. `options.check` is called besides.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) and reading.
    pub fn read_small(&self, options: &ReadOptions) -> Result<Bytes, TransferError> {
        let file = self.open()?;
        let len = self.manifest.layout().piece_len(PieceIndex(0));
        let mut data = Vec::new();
        sys::read_at(&file, &mut data, len, 0)?;
        self.stamp.check(&file)?;
        options.check.as_ref().map_or(Ok(()), |check| check())?;
        match data.len() == len {
            true => Ok(data.into()),
            false => Err(TransferError::Changed),
        }
    }
}

/// A source of whole contents in files that are read in place. A clone is another handle on the same files.
///
/// A file that is no longer what it was is not served, though it stays listed until it is removed.
#[derive(Clone, Debug, Default)]
pub struct FileSource {
    files: Arc<Mutex<HashMap<ContentId, SharedFile>>>,
    options: ReadOptions,
}

impl FileSource {
    /// A source without files.
    #[must_use]
    pub fn new(options: ReadOptions) -> Self {
        Self { files: Arc::default(), options }
    }

    /// Shares a file, in place of one with the same content.
    pub fn insert(&self, file: SharedFile) {
        self.files().insert(file.manifest.id(), file);
    }

    /// Ends the sharing of a content. Fetches that have begun go on. Gives what was shared.
    pub fn remove(&self, content: &ContentId) -> Option<SharedFile> {
        self.files().remove(content)
    }

    fn find(&self, content: &ContentId) -> Result<SharedFile, TransferError> {
        let found = self.files().get(content).cloned();
        found.ok_or(TransferError::NotFound(*content))
    }

    fn files(&self) -> MutexGuard<'_, HashMap<ContentId, SharedFile>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PieceSource for FileSource {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        Ok(self.find(content)?.manifest)
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        let file = self.find(content)?;
        let all = HaveUpdate { gained: vec![file.manifest.layout().all()], complete: true };
        blocking(move || file.open()).await?;
        Ok(stream::iter([Ok(all)]).boxed())
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        self.find(content)?.read(runs, self.options.clone()).await
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        let files: Vec<_> = contents.iter().map(|one| self.find(&one.content).ok()).collect();
        let options = self.options.clone();
        give_many(contents, &self.options, move |number| {
            files.get(number)?.as_ref()?.read_small(&options).ok()
        })
    }
}

fn open_error(error: io::Error) -> TransferError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            TransferError::Changed
        }
        _ => error.into(),
    }
}
