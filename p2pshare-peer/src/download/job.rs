//! Downloading many contents at once.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use futures::{StreamExt, future::join, stream};
use p2pshare_core::{
    api::MAX_GRANT_BATCH,
    identity::PeerId,
    swarm::{DownloadError, DownloadOptions as SwarmOptions, Downloader, SwarmEvents},
    transfer::{Committer, Durability, SinkOptions},
};
use tokio_util::sync::CancellationToken;

use super::{
    Locator, Wanted,
    fetch::{FetchError, Fetched, Fetcher, are_free, is_small},
};
use crate::catalog::PartialSources;

/// Contents of at most one piece that are fetched at a time.
const SMALL_AT_ONCE: usize = 64;

/// Larger contents that are fetched at a time.
const LARGE_AT_ONCE: usize = 2;

/// On a slow line a segment takes long, and comes as one. Whether a source is silent is seen at the connection; this is
/// for those who keep that busy and give nothing. A peer that serves gives up a line that is slower.
const SLOWEST_SEGMENT: Duration = Duration::from_secs(90);

/// How to download.
#[derive(Clone, Debug)]
pub struct DownloadOptions {
    /// Replace files that are there.
    pub overwrite: bool,
    /// Whether finished files are synced to disk before they get their name.
    pub durability: Durability,
    /// How long to wait for a source when none is online.
    pub patience: Duration,
    /// By whom contents of several pieces are served while they are downloaded; `None`: by nobody.
    pub serving: Option<Serving>,
}

/// Somebody who serves downloads while they run: a daemon, or a [`DownloadServer`](crate::daemon::DownloadServer).
#[derive(Clone, Debug)]
pub struct Serving {
    /// What they serve.
    pub sources: PartialSources,
    /// As which peer.
    pub peer: PeerId,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            overwrite: false,
            durability: Durability::Sync,
            patience: Duration::ZERO,
            serving: None,
        }
    }
}

/// Something that happened in a job.
#[derive(Debug)]
#[non_exhaustive]
pub enum JobEvent<'a> {
    /// A file is complete, verified and in its place.
    Done(&'a Wanted, &'a Fetched),
    /// A file could not be fetched. The others go on.
    Failed(&'a Wanted, &'a FetchError),
}

/// How far a job is. Cheap to read at any time.
#[derive(Debug, Default)]
pub struct JobProgress {
    total: AtomicU64,
    settled: AtomicU64,
    running: Mutex<HashMap<usize, SwarmEvents>>,
}

impl JobProgress {
    /// Bytes that are verified.
    pub fn done(&self) -> u64 {
        let running: u64 = self.running().values().map(|events| events.progress().verified).sum();
        (self.settled.load(Relaxed) + running).min(self.total())
    }

    /// Bytes of all files of the job, as far as the index was told.
    pub fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Sources that give bytes at the moment.
    pub fn sources(&self) -> u32 {
        self.running().values().map(|events| events.progress().sources).sum()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<usize, SwarmEvents>> {
        // A panic elsewhere leaves a map of counters: as good as before.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a job came to.
#[derive(Debug, Default)]
pub struct JobReport {
    /// Files that were fetched.
    pub fetched: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already.
    pub there: u64,
    /// Files that could not be fetched, and why.
    pub failed: Vec<(Wanted, FetchError)>,
}

/// Downloads contents to files: small ones many at a time, larger ones in pieces from all their sources.
///
/// One that fails does not keep the others from being fetched. Cancelling ends all at once; what came of larger ones
/// stays for the next time.
pub async fn run(
    locator: Arc<Locator>,
    wanted: Vec<Wanted>,
    options: DownloadOptions,
    progress: &JobProgress,
    events: &(dyn Fn(JobEvent<'_>) + Send + Sync),
    cancel: &CancellationToken,
) -> JobReport {
    progress.total.store(wanted.iter().map(|one| one.size).fold(0, u64::saturating_add), Relaxed);
    let fetcher = Fetcher {
        locator,
        downloader: Downloader::default(),
        sink: SinkOptions {
            overwrite: options.overwrite,
            committer: Committer::new(options.durability),
            ..SinkOptions::default()
        },
        swarm: SwarmOptions {
            patience: options.patience,
            stall: SLOWEST_SEGMENT,
            ..SwarmOptions::default()
        },
        serving: options.serving,
        cancel: cancel.clone(),
    };
    let report = Mutex::new(JobReport::default());
    let job = Job { fetcher, progress, events, report: &report };
    let (small, large): (Vec<_>, Vec<_>) =
        wanted.into_iter().enumerate().partition(|(_, one)| is_small(one));
    join(job.fetch_small(small), job.fetch_large(large)).await;
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

struct Job<'a> {
    fetcher: Fetcher,
    progress: &'a JobProgress,
    events: &'a (dyn Fn(JobEvent<'_>) + Send + Sync),
    report: &'a Mutex<JobReport>,
}

impl Job<'_> {
    async fn fetch_small(&self, mut wanted: Vec<(usize, Wanted)>) {
        while !wanted.is_empty() {
            let rest = wanted.split_off(wanted.len().min(MAX_GRANT_BATCH));
            let contents: Vec<_> = wanted.iter().map(|(_, one)| one.content).collect();
            // If it fails each content is asked for by itself, and fails with its own cause.
            if let Err(error) = self.fetcher.locator.prime(&contents).await {
                tracing::debug!(%error, "asking for many contents at once failed");
            }
            let free = are_free(wanted.iter().map(|(_, one)| one)).await;
            let batch = stream::iter(std::mem::replace(&mut wanted, rest).into_iter().zip(free));
            let fetch = |((number, one), free)| self.fetch(number, one, free);
            batch.for_each_concurrent(SMALL_AT_ONCE, fetch).await;
        }
    }

    async fn fetch_large(&self, wanted: Vec<(usize, Wanted)>) {
        let all = stream::iter(wanted);
        all.for_each_concurrent(LARGE_AT_ONCE, |(number, one)| self.fetch(number, one, false))
            .await;
    }

    async fn fetch(&self, number: usize, wanted: Wanted, free: bool) {
        let events = SwarmEvents::default();
        self.progress.running().insert(number, events.clone());
        let result = if self.fetcher.cancel.is_cancelled() {
            Err(DownloadError::Cancelled.into())
        } else if is_small(&wanted) {
            self.fetcher.small(&wanted, free, &events).await
        } else {
            self.fetcher.pieces(&wanted, &events).await
        };
        self.progress.running().remove(&number);
        self.fetcher.locator.forget(&wanted.content);
        // What failed is settled too, or the bar would never be full.
        self.progress.settled.fetch_add(wanted.size, Relaxed);

        match &result {
            Ok(fetched) => (self.events)(JobEvent::Done(&wanted, fetched)),
            Err(error) => (self.events)(JobEvent::Failed(&wanted, error)),
        }
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(Fetched::AlreadyThere) => report.there += 1,
            Ok(_) => {
                report.fetched += 1;
                report.bytes = report.bytes.saturating_add(wanted.size);
            }
            Err(error) => report.failed.push((wanted, error)),
        }
    }
}
