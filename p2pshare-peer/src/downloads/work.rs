//! One attempt at a download: what it is made of, then its files.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, stream};
use p2pshare_core::{
    backend::sqlite::{DatabaseError, DatabaseResult},
    content::PIECE_LEN,
    swarm::DownloadError,
    time::{Clock, SystemClock},
    transfer::SinkError,
};
use tokio_util::sync::CancellationToken;

use super::{
    DownloadId,
    cells::{KEPT_CELLS, cells_of},
    engine::{Engine, Session},
    folder,
    store::{DownloadRow, FileRow, Saved},
    verdict::{self, Reason, Verdict},
};
use crate::download::{
    Arrived, DownloadOptions, FetchError, Fetched, IN_VAIN, JobFiles, JobProgress, JobResults,
    ResolveError, SMALL_GROUP, Target, Wanted, find_each, run_files,
};

/// How long a file that has begun to come waits for its sources before others have its place.
const LULL: Duration = Duration::from_secs(15);

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is settled, or gone.
    Over,
    /// It was told to stop.
    Stopped,
    /// It is to be tried again, and why.
    Waits(Reason),
    /// The same, for its folder is not there.
    FolderGone(Reason),
}

/// An attempt that runs, as others see it.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    pub(super) progress: JobProgress,
    resolving: AtomicBool,
    /// Whether a file is complete since it began.
    completed: AtomicBool,
    /// What the queue says is held of the files that are fetched at the moment.
    held: Mutex<HashMap<u64, u64>>,
}

impl Attempt {
    pub(super) fn is_resolving(&self) -> bool {
        self.resolving.load(Relaxed)
    }

    /// Bytes that are verified and not in the queue's own counts.
    pub(super) fn gained(&self) -> u64 {
        let files = self.progress.files();
        let held = self.held();
        let gained = files.iter().map(|(number, file)| {
            file.verified().saturating_sub(held.get(number).copied().unwrap_or(0))
        });
        gained.sum()
    }

    /// Whether anything is there that was not before it began. What is small comes whole and is never seen to grow.
    pub(super) fn has_gained(&self) -> bool {
        self.completed.load(Relaxed) || self.gained() > 0
    }

    fn held(&self) -> MutexGuard<'_, HashMap<u64, u64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Work {
    pub(super) engine: Arc<Engine>,
    pub(super) session: Arc<Session>,
    pub(super) id: DownloadId,
    /// It was tried before: only what has sources is tried now.
    pub(super) again: bool,
    /// Its folder, which is gone, is to be made again.
    pub(super) makes_folder: bool,
    pub(super) attempt: Arc<Attempt>,
    pub(super) cancel: CancellationToken,
}

impl Work {
    pub(super) async fn run(self) -> Ended {
        match self.try_run().await {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(download = %self.id, %error, "the list of downloads failed");
                Ended::Waits(Reason::other(format!("the list of downloads: {error}")))
            }
        }
    }

    async fn try_run(&self) -> DatabaseResult<Ended> {
        let store = &self.engine.store;
        let Some(row) = store.download(self.session.account, self.id).await? else {
            return Ok(Ended::Over);
        };
        if row.state != Saved::Running {
            // It was paused or given up.
            return Ok(Ended::Stopped);
        }
        if !row.resolved {
            self.attempt.resolving.store(true, Relaxed);
            self.engine.hub.changed([self.id]);
            let resolved = self.cancel.run_until_cancelled(self.resolve(&row)).await;
            self.attempt.resolving.store(false, Relaxed);
            match resolved {
                None => return Ok(Ended::Stopped),
                Some(Ok(())) => self.engine.hub.changed([self.id]),
                Some(Err(Unresolved::Database(error))) => return Err(error),
                Some(Err(Unresolved::Index(error))) => match verdict::of_resolve(&error) {
                    Verdict::Waits(reason) => return Ok(Ended::Waits(reason)),
                    Verdict::Stopped => return Ok(Ended::Stopped),
                    Verdict::Fails(reason)
                    | Verdict::NoPlace(reason)
                    | Verdict::AllFail(reason) => {
                        store.fail(self.id, reason, SystemClock.now()).await?;
                        return Ok(Ended::Over);
                    }
                },
            }
        }
        self.fetch(row).await
    }

    /// Asks the index what the download is made of, and notes it page by page.
    async fn resolve(&self, row: &DownloadRow) -> Result<(), Unresolved> {
        let (store, id) = (&self.engine.store, self.id);
        store.begin_files(id).await?;
        let each = |found| {
            let store = store.clone();
            async move { store.add_files(id, found).await.map_err(Unresolved::Database) }.boxed()
        };
        let client = self.session.connection.me.client();
        for text in &row.targets {
            let target: Target = text.parse().map_err(DatabaseError::corrupt)?;
            find_each(client, &target, &each).await?;
        }
        store.end_files(id).await?;
        Ok(())
    }

    async fn fetch(&self, row: DownloadRow) -> DatabaseResult<Ended> {
        let checking = folder::check(&row, self.makes_folder);
        match self.cancel.run_until_cancelled(checking).await {
            None => return Ok(Ended::Stopped),
            Some(Err(reason)) => return Ok(Ended::FolderGone(reason)),
            Some(Ok(())) => {}
        }
        let stop = self.cancel.child_token();
        let results =
            Results { work: self, folder: &row.folder, stop: stop.clone(), pass: Mutex::default() };
        let options = DownloadOptions {
            overwrite: row.overwrite,
            durability: self.engine.options.durability,
            patience: Duration::ZERO,
            lull: Some(LULL),
            serving: self.session.connection.serving.clone(),
            copies: self.session.copies.clone(),
            known: self.engine.known.clone(),
            downloader: self.engine.downloader.clone(),
        };
        let files = JobFiles {
            small: self.pages(&row, false, &results),
            large: self.pages(&row, true, &results).flat_map(stream::iter).boxed(),
        };
        let locator = self.session.locator.clone();
        let progress = &self.attempt.progress;
        let counted = self.engine.options.metrics.download();
        Box::pin(run_files(locator, files, options, progress, &results, &stop)).await;
        drop(counted);

        if self.cancel.is_cancelled() {
            return Ok(Ended::Stopped);
        }
        let pass = results.pass.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (store, now) = (&self.engine.store, SystemClock.now());
        if let Some(reason) = pass.fatal {
            store.fail(self.id, reason, now).await?;
            return Ok(Ended::Over);
        }
        if store.settle(self.id, now).await? {
            return Ok(Ended::Over);
        }
        Ok(Ended::Waits(pass.reason.unwrap_or_else(Reason::no_source)))
    }

    /// Pages of the files that are to be fetched now.
    fn pages<'a>(
        &'a self,
        row: &DownloadRow,
        larger: bool,
        results: &'a Results<'a>,
    ) -> stream::BoxStream<'a, Vec<(u64, Wanted)>> {
        let folder = row.folder.clone();
        let pages = stream::unfold(0, move |after| {
            let folder = folder.clone();
            async move {
                let page = self.page(after, larger, results).await?;
                let last = page.last()?.number;
                let page = self.with_sources(page, results).await?;
                let mut held = self.attempt.held();
                held.extend(page.iter().map(|file| (file.number, file.held)));
                drop(held);
                let wanted = page.into_iter().map(|file| {
                    let target = file.name.under(&folder);
                    (file.number, Wanted { content: file.content, size: file.size, target })
                });
                Some((wanted.collect(), last))
            }
        });
        pages.boxed()
    }

    async fn page(&self, after: u64, larger: bool, results: &Results<'_>) -> Option<Vec<FileRow>> {
        if self.cancel.is_cancelled() {
            return None;
        }
        let store = &self.engine.store;
        let page = store.waiting_files(self.id, after, PIECE_LEN, larger, SMALL_GROUP).await;
        let failed = |error| Reason::other(format!("the list of downloads: {error}"));
        page.map_err(|error| results.waits(failed(error))).ok()
    }

    /// What of the page is worth another attempt: files that somebody gives now.
    async fn with_sources(
        &self,
        page: Vec<FileRow>,
        results: &Results<'_>,
    ) -> Option<Vec<FileRow>> {
        if !self.again {
            return Some(page);
        }
        let contents: Vec<_> = page.iter().map(|file| file.content).collect();
        let asking = self.session.locator.with_news(&contents);
        let asked = self.cancel.run_until_cancelled(asking).await?;
        let given = asked.map_err(|error| results.waits(Reason::other(error.to_string()))).ok()?;
        let (given, rest): (Vec<_>, Vec<_>) =
            page.into_iter().partition(|file| given.contains(&file.content));
        if !rest.is_empty() {
            results.waits(Reason::no_source());
            rest.iter().for_each(|file| self.session.locator.forget(&file.content));
        }
        Some(given)
    }
}

/// Why it is not known what a download is made of.
enum Unresolved {
    Index(ResolveError),
    Database(DatabaseError),
}

impl From<ResolveError> for Unresolved {
    fn from(error: ResolveError) -> Self {
        Self::Index(error)
    }
}

impl From<DatabaseError> for Unresolved {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

/// Notes what becomes of the files.
struct Results<'a> {
    work: &'a Work,
    /// Where the download goes.
    folder: &'a Path,
    /// Ends the attempt.
    stop: CancellationToken,
    pass: Mutex<Pass>,
}

#[derive(Default)]
struct Pass {
    /// Why some of the files wait.
    reason: Option<Reason>,
    /// Files that could not be written, since the last that could.
    in_vain: u32,
    /// Why the whole download has failed.
    fatal: Option<Reason>,
}

impl Results<'_> {
    fn waits(&self, reason: Reason) {
        self.pass().reason = Some(reason);
    }

    fn pass(&self) -> MutexGuard<'_, Pass> {
        self.pass.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn note(&self, number: u64, result: Result<Arrived, FetchError>) -> DatabaseResult<()> {
        let (store, id) = (&self.work.engine.store, self.work.id);
        let error = match result {
            Ok(Arrived { how, stamp }) => {
                let there = matches!(how, Fetched::AlreadyThere);
                self.pass().in_vain = 0;
                store.file_done(id, number, stamp, there).await?;
                self.work.attempt.completed.store(true, Relaxed);
                return Ok(());
            }
            Err(error) => error,
        };
        self.note_held(number).await?;
        match verdict::of_fetch(&error) {
            Verdict::Stopped => {}
            Verdict::Waits(reason) => self.waits(reason),
            Verdict::Fails(reason) => store.file_failed(id, number, reason).await?,
            Verdict::NoPlace(reason) => {
                let in_vain = {
                    let mut pass = self.pass();
                    pass.in_vain += 1;
                    pass.in_vain
                };
                store.file_failed(id, number, reason.clone()).await?;
                if in_vain.is_multiple_of(IN_VAIN) && self.takes_nothing(&error).await {
                    self.end(reason);
                }
            }
            Verdict::AllFail(reason) => self.end(reason),
        }
        Ok(())
    }

    /// Whether a file that could not be written was not for the disk or the whole folder, but for a folder in it.
    async fn takes_nothing(&self, error: &FetchError) -> bool {
        matches!(error, FetchError::Download(DownloadError::Sink(SinkError::NoSpace(_))))
            || folder::takes_nothing(self.folder).await
    }

    /// The others would fail too.
    fn end(&self, reason: Reason) {
        self.pass().fatal = Some(reason);
        self.stop.cancel();
    }

    fn count(&self, wanted: &Wanted, result: &Result<Arrived, FetchError>) {
        let metrics = &self.work.engine.options.metrics;
        match result {
            Ok(Arrived { how: Fetched::Pieces(report), .. }) => metrics.downloaded(report),
            Ok(Arrived { how: Fetched::Small(_), .. }) => metrics.downloaded_small(wanted.size),
            Err(FetchError::Download(DownloadError::AllFailed { causes })) => {
                for (_, cause) in causes {
                    metrics.failed(cause);
                }
            }
            _ => {}
        }
    }

    /// Keeps what is there of a file that stops, to be shown.
    async fn note_held(&self, number: u64) -> DatabaseResult<()> {
        let file = self.work.attempt.progress.file(number);
        let Some((file, pieces)) = file.and_then(|file| Some((file.clone(), file.pieces()?)))
        else {
            return Ok(());
        };
        let cells = cells_of(&pieces.held(), KEPT_CELLS);
        self.work.engine.store.file_stopped(self.work.id, number, file.verified(), cells).await
    }
}

#[async_trait]
impl JobResults for Results<'_> {
    async fn settled(&self, number: u64, wanted: Wanted, result: Result<Arrived, FetchError>) {
        self.count(&wanted, &result);
        if let Err(error) = self.note(number, result).await {
            // It is found again by what is on the disk.
            self.waits(Reason::other(format!("the list of downloads: {error}")));
        }
        // The queue counts it from now on.
        self.work.attempt.held().insert(number, u64::MAX);
    }

    fn ended(&self, number: u64) {
        self.work.attempt.held().remove(&number);
        self.work.engine.hub.changed([self.work.id]);
    }
}
