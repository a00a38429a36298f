//! Serving a content while it is downloaded.

use std::{
    fs::File,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;

use super::{FileStamp, ReadOptions, StampCheck, read_runs};
use crate::{
    content::{ContentId, Manifest, PieceIndex, PieceRun, PieceSet},
    transfer::{
        HaveStream, PieceSource, SegmentStream, TransferError, held::HoldingsView, wanted_runs,
    },
};

/// The verified pieces of one download, for others to fetch.
///
/// It does not keep the download alive: when its sink is dropped unfinished, this source is
/// [`TransferError::Unavailable`]. After the download is finished it serves the file for as long as that stays as it is.
#[derive(Clone, Debug)]
pub struct PartialSource {
    manifest: Manifest,
    file: Arc<File>,
    held: HoldingsView,
    /// The file's state when it got its final name, under which others may change it.
    renamed: Arc<OnceLock<FileStamp>>,
    options: ReadOptions,
}

impl PartialSource {
    pub(super) fn new(
        manifest: Manifest,
        file: Arc<File>,
        held: HoldingsView,
        renamed: Arc<OnceLock<FileStamp>>,
    ) -> Self {
        Self { manifest, file, held, renamed, options: ReadOptions::default() }
    }

    /// The same with other options of reading.
    #[must_use]
    pub fn with_options(mut self, options: ReadOptions) -> Self {
        self.options = options;
        self
    }

    /// The manifest of the content.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pieces that are held, at this moment.
    #[must_use]
    pub fn held(&self) -> PieceSet {
        self.held.snapshot()
    }

    /// Whether this piece is held.
    #[must_use]
    pub fn holds(&self, piece: PieceIndex) -> bool {
        self.held.contains(piece)
    }

    /// Waits until this piece is held. Cancellation: the future may be dropped at any time.
    ///
    /// # Errors
    ///
    /// [`TransferError::Unavailable`] when the download ends without it.
    pub async fn wait_for(&self, piece: PieceIndex) -> Result<(), TransferError> {
        match self.held.wait_for(piece).await {
            true => Ok(()),
            false => Err(abandoned()),
        }
    }

    /// Says whether this is the content, and its pieces can be served.
    fn check(&self, content: &ContentId) -> Result<(), TransferError> {
        if *content != self.manifest.id() {
            return Err(TransferError::NotFound(*content));
        }
        self.check_alive()
    }

    fn check_alive(&self) -> Result<(), TransferError> {
        if self.renamed.get().is_none() && self.held.is_abandoned() {
            return Err(abandoned());
        }
        Ok(())
    }

    /// Says whether the file can be read. A cheap system call.
    fn file_check(&self) -> StampCheck {
        let view = self.clone();
        Arc::new(move || {
            view.check_alive()?;
            if let Some(stamp) = view.renamed.get() {
                stamp.check(&view.file)?;
            }
            view.options.check.as_ref().map_or(Ok(()), |check| check())
        })
    }
}

fn abandoned() -> TransferError {
    TransferError::Unavailable("it has stopped downloading the content".to_owned())
}

#[async_trait]
impl PieceSource for PartialSource {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.check(content)?;
        Ok(self.manifest.clone())
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.check(content)?;
        Ok(self.held.stream())
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        self.check(content)?;
        let layout = self.manifest.layout();
        self.held.check(&wanted_runs(&layout, runs)?)?;
        let options = ReadOptions { check: Some(self.file_check()), ..self.options.clone() };
        read_runs(self.file.clone(), layout, runs, options)
    }
}
