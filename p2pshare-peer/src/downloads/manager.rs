//! The manager of downloads.

use std::{
    fmt,
    num::{NonZeroU64, NonZeroUsize},
    path::Path,
    sync::Arc,
};

use p2pshare_core::content::ContentId;
use tokio_util::sync::DropGuard;

use super::{
    Changes, Connection, ContentReader, DownloadFile, DownloadFilter, DownloadId, DownloadTotals,
    DownloadView, DownloadsError, FileFilter, ManagerOptions, Page, PieceMap, ReadError,
    engine::{Engine, Session},
    look,
    reading::Readings,
    store::{DownloadRow, Store},
};
use crate::download::{Copies, Locator};

/// Longest page of a list.
const MAX_PAGE: usize = 1000;

/// Downloads in the background: a queue in a database, worked on while somebody is logged in. A clone is the same.
///
/// A download belongs to the account that it was added by: others neither see it nor go on with it. It survives the end
/// of the process at any point: what ran goes on when the account is connected again.
///
/// Whatever changes a download goes on to its end, also when the future of the call is dropped.
///
/// Dropping the last handle stops everything as the end of the process would; [`close`](Self::close) waits for it.
#[derive(Clone)]
pub struct DownloadManager {
    pub(super) engine: Arc<Engine>,
    _stop: Arc<DropGuard>,
}

impl DownloadManager {
    /// Opens the queue in this file, and makes it if it is not there. Blocks, and must be called in a runtime: that is
    /// where downloads run. Nothing runs before [`connect`](Self::connect).
    ///
    /// # Errors
    ///
    /// [`DownloadsError::Database`], [`DownloadsError::Cache`].
    pub fn open(path: &Path, options: ManagerOptions) -> Result<Self, DownloadsError> {
        let store = Store::open(path)?;
        let cache = options.cache.clone();
        let readings = Readings::open(&cache, options.cache_bytes)
            .map_err(|error| DownloadsError::Cache { path: cache, error })?;
        let engine = Arc::new(Engine::new(store, options, readings));
        let stop = Arc::new(engine.stop.clone().drop_guard());
        tokio::spawn({
            let engine = engine.clone();
            async move {
                let stop = engine.stop.clone();
                let clearing = stop.run_until_cancelled(engine.clear_all());
                tokio::join!(clearing, engine.clone().drive());
            }
        });
        Ok(Self { engine, _stop: stop })
    }

    /// From now on downloads are those of this connection's account, and run over it. `None`: nobody is logged in, all
    /// wait. Returns when nothing runs over the connection before any more.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::Database`]: then nobody counts as logged in.
    pub async fn connect(&self, connection: Option<Connection>) -> Result<(), DownloadsError> {
        let _control = self.engine.control.lock().await;
        let session = match connection {
            None => None,
            Some(connection) => {
                let me = &connection.me;
                let account = self.engine.store.account(me.index_keys().ids(), me.user().clone());
                let account = account.await?;
                let limit = self.engine.limit.clone();
                let own = self.engine.options.shared.clone();
                let locator = Locator::with_own(me.clone(), connection.pool.clone(), limit, own);
                Some(Session { account, connection, locator, copies: Copies::default() })
            }
        };
        Ok(self.engine.change_session(session).await?)
    }

    /// Stops all downloads so that they go on when the queue is opened again. Returns when nothing runs any more.
    pub async fn close(&self) {
        let _control = self.engine.control.lock().await;
        self.engine.stop.cancel();
        self.engine.halt_all().await;
    }

    /// Up to `limit` downloads of the account, the newest first, after (older than) `after`. Empty when nobody is logged
    /// in.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::Database`].
    pub async fn list(
        &self,
        filter: DownloadFilter,
        after: Option<DownloadId>,
        limit: usize,
    ) -> Result<Page<DownloadView, DownloadId>, DownloadsError> {
        let Ok(session) = self.engine.session() else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        let limit = limit.clamp(1, MAX_PAGE);
        let rows = self.engine.store.list(session.account, filter, after, limit + 1).await?;
        let page = page(rows, limit, |row| row.id);
        let items = page.items.into_iter().map(|row| self.show(row)).collect();
        Ok(Page { items, next: page.next })
    }

    /// One download.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`], [`DownloadsError::LoggedOut`], [`DownloadsError::Database`].
    pub async fn view(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        Ok(self.show(self.row(id).await?))
    }

    /// How many downloads of the account there are of each kind.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::Database`].
    pub async fn totals(&self) -> Result<DownloadTotals, DownloadsError> {
        let Ok(session) = self.engine.session() else { return Ok(DownloadTotals::default()) };
        let totals = self.engine.store.totals(session.account).await?;
        Ok(DownloadTotals { rate: self.engine.rate(), ..totals })
    }

    /// Up to `limit` files of a download, in order of their number, after `after`.
    ///
    /// # Errors
    ///
    /// As [`view`](Self::view).
    pub async fn files(
        &self,
        id: DownloadId,
        filter: FileFilter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Page<DownloadFile, u64>, DownloadsError> {
        let download = self.row(id).await?;
        let limit = limit.clamp(1, MAX_PAGE);
        let rows = self.engine.store.files(id, filter, after.unwrap_or(0), limit + 1).await?;
        let page = page(rows, limit, |row| row.number);
        let seen = self.engine.look(id);
        let items =
            page.items.into_iter().map(|row| look::file(row, &download.folder, seen.as_ref()));
        Ok(Page { items: items.collect(), next: page.next })
    }

    /// Which pieces of a file are there, in up to `cells` parts, and who gives what.
    ///
    /// # Errors
    ///
    /// As [`view`](Self::view).
    pub async fn piece_map(
        &self,
        id: DownloadId,
        file: u64,
        cells: usize,
    ) -> Result<PieceMap, DownloadsError> {
        self.row(id).await?;
        let before = file.checked_sub(1).ok_or(DownloadsError::NotFound(id))?;
        let found = self.engine.store.files(id, FileFilter::All, before, 1).await?;
        let row = found.into_iter().find(|row| row.number == file);
        let row = row.ok_or(DownloadsError::NotFound(id))?;
        Ok(look::piece_map(&row, self.engine.look(id).as_ref(), cells))
    }

    /// Follows what changes, from now on.
    pub fn changes(&self) -> Changes {
        self.engine.hub.follow(self.engine.stop.clone())
    }

    /// How many bytes a second may come, of all downloads together, and how many downloads run at a time, from now on.
    /// Those that run already go on.
    pub fn set_limits(&self, rate: Option<NonZeroU64>, at_once: NonZeroUsize) {
        self.engine.limit.set(rate);
        self.engine.set_at_once(at_once.get());
    }

    /// A reader of a content: of a file that has it, of a download of it that runs, or else of one that is begun for the
    /// reader alone and kept for a while. Returns when it is known how long the content is.
    ///
    /// `size` is what somebody said of it; nothing depends on it being true.
    ///
    /// # Errors
    ///
    /// [`ReadError`].
    pub async fn reader(
        &self,
        content: ContentId,
        size: Option<u64>,
    ) -> Result<ContentReader, ReadError> {
        let origin = self.engine.origin(content, size).await?;
        Ok(ContentReader::new(self.engine.clone(), content, origin))
    }

    async fn row(&self, id: DownloadId) -> Result<DownloadRow, DownloadsError> {
        let session = self.engine.session()?;
        let row = self.engine.store.download(session.account, id).await?;
        row.ok_or(DownloadsError::NotFound(id))
    }

    fn show(&self, row: DownloadRow) -> DownloadView {
        let seen = self.engine.look(row.id);
        look::download(row, seen)
    }
}

impl fmt::Debug for DownloadManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadManager")
            .field("options", &self.engine.options)
            .finish_non_exhaustive()
    }
}

/// A page of rows of which one more was read, to see whether there are more.
fn page<T, C>(mut rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> C) -> Page<T, C> {
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(cursor);
    Page { items: rows, next }
}
