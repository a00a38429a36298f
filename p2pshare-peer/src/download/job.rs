//! Downloading many contents at once.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, future::join, stream, stream::BoxStream};
use p2pshare_core::{
    identity::PeerId,
    swarm::{DownloadError, DownloadOptions as SwarmOptions, Downloader},
    transfer::{Committer, Durability, EarlierParts, KnownParts, SinkError, SinkOptions},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, field::Empty};

use super::{
    Copies, JobProgress, Locator, Wanted,
    batch::{self, Batch, Batching, Came, File},
    error::FetchError,
    fetch::{Arrived, Fetched, Fetcher},
    place::{self, Place},
};
use crate::catalog::PartialSources;

/// Contents of at most one piece that are fetched, or written, at a time.
const SMALL_AT_ONCE: usize = 64;

/// Contents of at most one piece for which the index is asked at once. While it answers, the last ones of the group before
/// are fetched: more in a group would be waited for.
pub const SMALL_GROUP: usize = 256;

/// Calls for many small contents that run at a time.
const BATCHES_AT_ONCE: usize = 4;

/// Larger contents that are fetched at a time.
const LARGE_AT_ONCE: usize = 2;

/// On a slow line that others share a slice of a segment takes long. Whether a source is silent is seen at the connection;
/// this is for those who keep that busy and give nothing.
const SLOWEST_SEGMENT: Duration = Duration::from_secs(90);

/// The beginning of an answer waits behind what others are sent. A connection gives up as late.
const SLOWEST_ANSWER: Duration = Duration::from_secs(60);

/// A download for whose place others wait goes on so long with sources that have nothing of use.
const STARVING: Duration = Duration::from_secs(60);

/// After so many files in a row that could not be written the disk is full or away: the others would come in vain.
pub(crate) const IN_VAIN: u32 = 64;

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
    /// How long a download that has begun goes on when all its sources are gone; `None`: as long as `patience`.
    pub lull: Option<Duration>,
    /// What was downloaded a moment ago, by others too that have the same.
    pub copies: Copies,
    /// What unfinished files held when they were let go of.
    pub known: KnownParts,
    /// Whose limits of sources and memory it shares.
    pub downloader: Downloader,
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
            lull: None,
            copies: Copies::default(),
            known: KnownParts::default(),
            downloader: Downloader::default(),
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
    /// Files that were not tried any more, or not to their end, after the disk was full again and again.
    pub untried: u64,
}

/// The files of a job as they are come by, each with a number of its own.
pub struct JobFiles<'a> {
    /// Those of at most one piece, as far as the index was told, in groups for which the index is asked at once.
    pub small: BoxStream<'a, Vec<(u64, Wanted)>>,
    /// The others.
    pub large: BoxStream<'a, (u64, Wanted)>,
}

/// Told what becomes of each file of a job.
#[async_trait]
pub trait JobResults: Send + Sync {
    /// A file is complete, or could not be fetched. It counts as running until this returns.
    async fn settled(&self, number: u64, wanted: Wanted, result: Result<Arrived, FetchError>);

    /// After that: it counts as running no more.
    fn ended(&self, _number: u64) {}
}

/// Downloads contents to files: small ones many at a time, larger ones in pieces from all their sources.
///
/// One that fails does not keep the others from being fetched, unless the disk is full for one after the other. Cancelling
/// ends all at once; what came of larger ones stays for the next time.
pub async fn run(
    locator: Arc<Locator>,
    wanted: Vec<Wanted>,
    options: DownloadOptions,
    progress: &JobProgress,
    events: &(dyn Fn(JobEvent<'_>) + Send + Sync),
    cancel: &CancellationToken,
) -> JobReport {
    progress.expect(wanted.iter().map(|one| one.size).fold(0, u64::saturating_add));
    let (small, large): (Vec<_>, Vec<_>) = (0..).zip(wanted).partition(|(_, one)| one.is_small());
    let files = JobFiles {
        small: stream::iter(small).chunks(SMALL_GROUP).boxed(),
        large: stream::iter(large).boxed(),
    };
    let full = cancel.child_token();
    let results =
        Collect { events, report: Mutex::default(), cancel, full, in_vain: AtomicU32::new(0) };
    run_files(locator, files, options, progress, &results, &results.full).await;
    results.report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// As [`run`], for files that are not all known from the start: memory is that of those which are fetched at a time.
pub async fn run_files(
    locator: Arc<Locator>,
    files: JobFiles<'_>,
    options: DownloadOptions,
    progress: &JobProgress,
    results: &dyn JobResults,
    cancel: &CancellationToken,
) {
    let fetcher = Fetcher {
        locator,
        copies: options.copies,
        downloader: options.downloader,
        sink: SinkOptions {
            overwrite: options.overwrite,
            committer: Committer::new(options.durability),
            known: options.known,
            earlier: Some(EarlierParts::default()),
            ..SinkOptions::default()
        },
        swarm: {
            let usual = SwarmOptions::default();
            SwarmOptions {
                patience: options.lull.unwrap_or(options.patience),
                starving_patience: match options.lull {
                    Some(_) => STARVING,
                    None => usual.starving_patience,
                },
                answer: SLOWEST_ANSWER,
                stall: SLOWEST_SEGMENT,
                ..usual
            }
        },
        patience: options.patience,
        serving: options.serving,
        cancel: cancel.clone(),
    };
    let batching = Batching::new(fetcher.locator.clone(), cancel.clone());
    let job = Job { fetcher, batching, progress, results };
    join(job.fetch_small(files.small), job.fetch_large(files.large)).await;
}

struct Job<'a> {
    fetcher: Fetcher,
    batching: Batching,
    progress: &'a JobProgress,
    results: &'a dyn JobResults,
}

impl Job<'_> {
    async fn fetch_small(&self, groups: BoxStream<'_, Vec<(u64, Wanted)>>) {
        // A group is prepared as soon as there is room, beside the last files of the one before.
        let batches = groups.then(|group| self.prepare(group)).flat_map(stream::iter).boxed();
        let batching = self.batching.clone();
        let files = batches.flat_map_unordered(BATCHES_AT_ONCE, move |batch| batching.files(batch));
        let fetch = |File { number, wanted, place, came }| self.fetch(number, wanted, place, came);
        files.for_each_concurrent(SMALL_AT_ONCE, fetch).await;
    }

    /// Looks at the places of a group of files, and asks the index for what is not there yet, in one call. What one source
    /// has together is a batch.
    async fn prepare(&self, group: Vec<(u64, Wanted)>) -> Vec<Batch> {
        let looking = place::look_at(group.iter().map(|(_, one)| one));
        let places = self.fetcher.cancel.run_until_cancelled(looking).await;
        let places = places.unwrap_or_else(|| group.iter().map(|_| Place::default()).collect());
        // Nobody is asked for what is there.
        let wanted = group.iter().zip(&places).map(|((_, one), place)| (one.content, place));
        let wanted = wanted.filter(|(content, place)| !place.has(content));
        let contents: Vec<_> = wanted.map(|(content, _)| content).collect();
        if !contents.is_empty() {
            // If it fails each content is asked for by itself, and fails with its own cause.
            let primed = self.fetcher.locator.prime(&contents);
            if let Some(Err(error)) = self.fetcher.cancel.run_until_cancelled(primed).await {
                tracing::debug!(%error, "asking for many contents at once failed");
            }
        }
        let file = |((number, wanted), place)| File { number, wanted, place, came: None };
        let files = group.into_iter().zip(places).map(file).collect();
        batch::of(files, &self.fetcher, &self.batching).await
    }

    async fn fetch_large(&self, wanted: BoxStream<'_, (u64, Wanted)>) {
        let fetch = |(number, one)| self.fetch(number, one, Place::default(), None);
        wanted.for_each_concurrent(LARGE_AT_ONCE, fetch).await;
    }

    async fn fetch(&self, number: u64, wanted: Wanted, place: Place, came: Option<Came>) {
        let file = self.progress.begin(number, &wanted);
        let span = tracing::info_span!(
            target: p2pshare_telemetry::TARGET,
            "download",
            otel.status_code = Empty,
            p2pshare.bytes = wanted.size,
        );
        let fetched = async {
            if self.fetcher.cancel.is_cancelled() {
                Err(DownloadError::Cancelled.into())
            } else {
                self.fetcher.fetch(&wanted, &place, &file, came).await
            }
        };
        let result = fetched.instrument(span.clone()).await;
        if result.is_err() {
            p2pshare_telemetry::failed(&span);
        }
        self.fetcher.locator.forget(&wanted.content);
        let complete = result.is_ok();
        self.results.settled(number, wanted.clone(), result).await;
        self.progress.end(number, &wanted, complete);
        self.results.ended(number);
    }
}

/// Tells of each file, and sums them up.
struct Collect<'a> {
    events: &'a (dyn Fn(JobEvent<'_>) + Send + Sync),
    report: Mutex<JobReport>,
    cancel: &'a CancellationToken,
    /// The disk is: nothing more is tried.
    full: CancellationToken,
    /// Files one after the other for which there was no space.
    in_vain: AtomicU32,
}

impl Collect<'_> {
    /// Whether a file was given up because the disk is full.
    fn is_untried(&self, error: &FetchError) -> bool {
        matches!(error, FetchError::Download(DownloadError::Cancelled))
            && self.full.is_cancelled()
            && !self.cancel.is_cancelled()
    }
}

#[async_trait]
impl JobResults for Collect<'_> {
    async fn settled(&self, _: u64, wanted: Wanted, result: Result<Arrived, FetchError>) {
        match &result {
            Err(FetchError::Download(DownloadError::Sink(SinkError::NoSpace(_)))) => {
                if self.in_vain.fetch_add(1, Relaxed) + 1 == IN_VAIN {
                    self.full.cancel();
                }
            }
            Err(error) if self.is_untried(error) => {
                let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
                report.untried += 1;
                return;
            }
            Err(_) => {}
            Ok(_) => self.in_vain.store(0, Relaxed),
        }
        match &result {
            Ok(arrived) => (self.events)(JobEvent::Done(&wanted, &arrived.how)),
            Err(error) => (self.events)(JobEvent::Failed(&wanted, error)),
        }
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(Arrived { how: Fetched::AlreadyThere, .. }) => report.there += 1,
            Ok(_) => {
                report.fetched += 1;
                report.bytes = report.bytes.saturating_add(wanted.size);
            }
            Err(error) => report.failed.push((wanted, error)),
        }
    }
}
