//! The manager of downloads.

use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::Path,
};

use p2pshare_core::content::ContentId;

use super::{
    Changes, Connection, ContentReader, DownloadFile, DownloadFilter, DownloadId, DownloadTotals,
    DownloadView, DownloadsError, ManagerOptions, NewDownload, Page, PieceMap, ReadError,
};

/// Downloads in the background: a queue in a database, worked on while somebody is logged in. A clone is the same.
///
/// A download belongs to the account that it was added by: others neither see it nor go on with it. It survives the end
/// of the process at any point: what ran goes on when the account is connected again.
///
/// Dropping the last handle stops everything as the end of the process would; [`close`](Self::close) waits for it.
#[derive(Clone, Debug)]
pub struct DownloadManager {}

impl DownloadManager {
    /// Opens the queue in this file, and makes it if it is not there. Blocks, and must be called in a runtime: that is
    /// where downloads run. Nothing runs before [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`DownloadsError::Database`], [`DownloadsError::Cache`].
    pub fn open(path: &Path, options: ManagerOptions) -> Result<Self, DownloadsError> {
        let _ = (path, options);
        Err(DownloadsError::LoggedOut)
    }

    /// From now on downloads are those of this connection's account, and run over it. `None`: nobody is logged in, all
    /// wait. Returns when nothing runs over the connection before any more.
    pub async fn connect(&self, connection: Option<Connection>) -> Result<(), DownloadsError> {
        let _ = connection;
        Ok(())
    }

    /// Stops all downloads so that they go on when the queue is opened again. Returns when nothing runs any more.
    pub async fn close(&self) {}

    /// Adds a download to the end of the queue. What it is made of is found out in the background.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::LoggedOut`], [`DownloadsError::Invalid`], [`DownloadsError::Database`].
    pub async fn add(&self, new: NewDownload) -> Result<DownloadId, DownloadsError> {
        let _ = new;
        Err(DownloadsError::LoggedOut)
    }

    /// Stops a download at once; what has come stays. Pausing a paused one does nothing.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it is settled.
    pub async fn pause(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        Err(DownloadsError::NotFound(id))
    }

    /// Lets a paused download go on. One that waits for a source looks for one now.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it is settled.
    pub async fn resume(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        Err(DownloadsError::NotFound(id))
    }

    /// Gives a download up: stops it, and removes what has come of files that are not complete.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it is done.
    pub async fn cancel(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        Err(DownloadsError::NotFound(id))
    }

    /// Queues what failed, or was cancelled, again.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it neither failed nor was cancelled.
    pub async fn retry(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        Err(DownloadsError::NotFound(id))
    }

    /// Takes a settled download from the list. Files stay.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it is not settled.
    pub async fn forget(&self, id: DownloadId) -> Result<(), DownloadsError> {
        Err(DownloadsError::NotFound(id))
    }

    /// Pauses all that are not settled, and says how many that were.
    pub async fn pause_all(&self) -> Result<u64, DownloadsError> {
        Ok(0)
    }

    /// Resumes all that are paused, and says how many that were.
    pub async fn resume_all(&self) -> Result<u64, DownloadsError> {
        Ok(0)
    }

    /// Up to `limit` downloads of the account, the newest first, after (older than) `after`. Empty when nobody is logged
    /// in.
    pub async fn list(
        &self,
        filter: DownloadFilter,
        after: Option<DownloadId>,
        limit: usize,
    ) -> Result<Page<DownloadView, DownloadId>, DownloadsError> {
        let _ = (filter, after, limit);
        Ok(Page { items: Vec::new(), next: None })
    }

    /// One download.
    pub async fn view(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        Err(DownloadsError::NotFound(id))
    }

    /// How many downloads of the account there are of each kind.
    pub async fn totals(&self) -> Result<DownloadTotals, DownloadsError> {
        Ok(DownloadTotals::default())
    }

    /// Up to `limit` files of a download, in order of their number, after `after`.
    pub async fn files(
        &self,
        id: DownloadId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Page<DownloadFile, u64>, DownloadsError> {
        let _ = (after, limit);
        Err(DownloadsError::NotFound(id))
    }

    /// Which pieces of a file are there, in up to `cells` parts, and who gives what.
    pub async fn piece_map(
        &self,
        id: DownloadId,
        file: u64,
        cells: usize,
    ) -> Result<PieceMap, DownloadsError> {
        let _ = (file, cells);
        Err(DownloadsError::NotFound(id))
    }

    /// Follows what changes, from now on.
    pub fn changes(&self) -> Changes {
        Changes {}
    }

    /// How many bytes a second may come, of all downloads together, and how many downloads run at a time, from now on.
    /// Those that run already go on.
    pub fn set_limits(&self, rate: Option<NonZeroU64>, at_once: NonZeroUsize) {
        let _ = (rate, at_once);
    }

    /// A reader of a content: of a file that has it, of a download of it that runs, or else of one that is begun for the
    /// reader alone and kept for a while. Returns when it is known how long the content is.
    ///
    /// `size` and `name` are what somebody said of it; nothing depends on them being true.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn reader(
        &self,
        content: ContentId,
        size: Option<u64>,
        name: Option<&str>,
    ) -> Result<ContentReader, ReadError> {
        let _ = (size, name);
        Err(ReadError::LoggedOut(content))
    }
}
