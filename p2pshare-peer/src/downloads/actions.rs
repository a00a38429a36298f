//! What changes downloads: adding, pausing, cancelling and the like.

use std::{future, panic, sync::Arc};

use p2pshare_core::time::{Clock, SystemClock};
use tokio::task::JoinError;

use super::{
    Added, DownloadId, DownloadManager, DownloadView, DownloadsError, NewDownload,
    engine::Engine,
    look,
    store::{AccountId, Moved, Saved},
};
use crate::catalog::local;

/// Of so many settled downloads is known what became of them,
const REMEMBERED: u64 = 1000;

/// with so many files in all: each is a row of the database.
const REMEMBERED_FILES: u64 = 500_000;

/// Most things that one download may name.
const MAX_TARGETS: usize = 1000;

impl DownloadManager {
    /// Says that the index, or the network, is there again: downloads that wait are tried now, not when their time has
    /// come.
    pub fn try_again(&self) {
        self.engine.try_all_afresh();
    }

    /// Adds a download to the end of the queue. What it is made of is found out in the background.
    ///
    /// One of the same targets to the same folder that is not settled is joined instead: it goes on if it was paused, and
    /// looks for a source at once if it waits for one.
    ///
    /// Of very many that are settled those are forgotten that ended first.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::LoggedOut`], [`DownloadsError::Invalid`], [`DownloadsError::Database`].
    pub async fn add(&self, new: NewDownload) -> Result<Added, DownloadsError> {
        let session = self.engine.session()?;
        let invalid = |why: &str| Err(DownloadsError::Invalid(why.to_owned()));
        if new.targets.is_empty() {
            return invalid("nothing was named to download");
        }
        if new.targets.len() > MAX_TARGETS {
            return invalid(
                "one download names at most 1,000 things: name a folder, or add several",
            );
        }
        if !new.folder.is_absolute() || local::to_bytes(&new.folder).is_none() {
            return invalid("the folder must be named from the root on");
        }
        let work = move |engine: Arc<Engine>| async move {
            let title = look::title(&new.targets);
            let now = SystemClock.now();
            let added = engine.store.add(session.account, new, title, now).await?;
            if added.joined {
                engine.try_afresh(added.id);
            }
            engine.moved(added.id);
            let account = session.account;
            tokio::spawn(async move { forget_oldest(&engine, account).await });
            Ok(added)
        };
        self.to_its_end(work).await
    }

    /// Stops a download at once; what has come stays. Pausing a paused one does nothing.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it is settled.
    pub async fn pause(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        let work = move |engine: Arc<Engine>| async move {
            let _control = engine.control.lock().await;
            let session = engine.session()?;
            let from = &[Saved::Queued, Saved::Running];
            match engine.store.shift(session.account, id, from, Saved::Paused).await? {
                Moved::From(_) | Moved::Stays(Saved::Paused) => engine.halt(id).await,
                other => return Err(refused(id, other, "there is nothing to pause")),
            }
            engine.moved(id);
            Ok(())
        };
        self.to_its_end(work).await?;
        self.view(id).await
    }

    /// Lets a paused download go on. One that waits for a source looks for one now; one that waits for its folder, which
    /// is gone, makes it again.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it is settled.
    pub async fn resume(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        let work = move |engine: Arc<Engine>| async move {
            let session = engine.session()?;
            let from = &[Saved::Paused];
            match engine.store.shift(session.account, id, from, Saved::Queued).await? {
                Moved::From(_) => {}
                Moved::Stays(Saved::Queued | Saved::Running) => engine.resume(id),
                done @ Moved::Stays(Saved::Done) => {
                    return Err(refused(id, done, "there is nothing left to fetch"));
                }
                other => return Err(refused(id, other, "retry it to fetch what is missing")),
            }
            engine.moved(id);
            Ok(())
        };
        self.to_its_end(work).await?;
        self.view(id).await
    }

    /// Gives a download up: stops it, and removes what has come of files that are not complete.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it is done.
    pub async fn cancel(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        let work = move |engine: Arc<Engine>| async move {
            let control = engine.control.lock().await;
            let session = engine.session()?;
            let from = &[Saved::Queued, Saved::Running, Saved::Paused, Saved::Failed];
            match engine.store.shift(session.account, id, from, Saved::Cancelling).await? {
                // It stays so when clearing away failed before.
                Moved::From(_) | Moved::Stays(Saved::Cancelling) => {}
                Moved::Stays(Saved::Cancelled) => return Ok(()),
                other => {
                    return Err(refused(id, other, "its files are complete, forget it instead"));
                }
            }
            engine.halt(id).await;
            drop(control);
            engine.clear(id).await?;
            engine.moved(id);
            Ok(())
        };
        self.to_its_end(work).await?;
        self.view(id).await
    }

    /// Queues what failed, or was cancelled, again.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it neither failed nor was cancelled.
    pub async fn retry(&self, id: DownloadId) -> Result<DownloadView, DownloadsError> {
        let work = move |engine: Arc<Engine>| async move {
            let _control = engine.control.lock().await;
            let session = engine.session()?;
            match engine.store.retry(session.account, id).await? {
                // The attempt that failed may be about to end still.
                Moved::From(_) => engine.halt(id).await,
                other => {
                    let instead = "only what failed or was cancelled is retried";
                    return Err(refused(id, other, instead));
                }
            }
            engine.moved(id);
            Ok(())
        };
        self.to_its_end(work).await?;
        self.view(id).await
    }

    /// Takes a settled download from the list. Files stay.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::NotFound`]; [`DownloadsError::State`] when it is not settled.
    pub async fn forget(&self, id: DownloadId) -> Result<(), DownloadsError> {
        let work = move |engine: Arc<Engine>| async move {
            let session = engine.session()?;
            match engine.store.forget(session.account, id).await? {
                Moved::From(_) => {
                    engine.hub.removed(id);
                    Ok(())
                }
                other => Err(refused(id, other, "cancel it before it is forgotten")),
            }
        };
        self.to_its_end(work).await
    }

    /// Pauses all that are not settled, and says how many that were.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::LoggedOut`], [`DownloadsError::Database`].
    pub async fn pause_all(&self) -> Result<u64, DownloadsError> {
        let work = |engine: Arc<Engine>| async move {
            let _control = engine.control.lock().await;
            let session = engine.session()?;
            let from = &[Saved::Queued, Saved::Running];
            let moved = engine.store.shift_all(session.account, from, Saved::Paused).await?;
            engine.halt_all().await;
            engine.hub.changed(moved.iter().copied());
            Ok(moved.len() as u64)
        };
        self.to_its_end(work).await
    }

    /// Resumes all that are paused, and says how many that were.
    ///
    /// # Errors
    ///
    /// [`DownloadsError::LoggedOut`], [`DownloadsError::Database`].
    pub async fn resume_all(&self) -> Result<u64, DownloadsError> {
        let work = |engine: Arc<Engine>| async move {
            let session = engine.session()?;
            let from = &[Saved::Paused];
            let moved = engine.store.shift_all(session.account, from, Saved::Queued).await?;
            engine.hub.changed(moved.iter().copied());
            engine.look_again();
            Ok(moved.len() as u64)
        };
        self.to_its_end(work).await
    }

    /// Does something in a task of its own, so that it is not left half done when nobody waits for it any more.
    async fn to_its_end<T, F>(
        &self,
        work: impl FnOnce(Arc<Engine>) -> F,
    ) -> Result<T, DownloadsError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DownloadsError>> + Send + 'static,
    {
        let done = tokio::spawn(Box::pin(work(self.engine.clone()))).await;
        match done.map_err(JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits.
            Err(Err(_)) => future::pending().await,
        }
    }
}

/// A database that grows for ever is worse than a history that ends.
async fn forget_oldest(engine: &Engine, account: AccountId) {
    match engine.store.forget_oldest(account, REMEMBERED, REMEMBERED_FILES).await {
        Ok(gone) => gone.into_iter().for_each(|id| engine.hub.removed(id)),
        Err(error) => tracing::warn!(%error, "old downloads were not forgotten"),
    }
}

fn refused(id: DownloadId, moved: Moved, instead: &'static str) -> DownloadsError {
    match moved {
        Moved::Stays(state) | Moved::From(state) => {
            let instead = match state {
                Saved::Cancelling => "what has come of it is being removed, try again in a moment",
                _ => instead,
            };
            DownloadsError::State { id, state: state.shown(), instead }
        }
        Moved::Missing => DownloadsError::NotFound(id),
    }
}
