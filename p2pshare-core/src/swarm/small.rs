//! Getting a content of at most one piece.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    Candidate, DownloadError, DownloadOptions, SourceId,
    hedge::{Hedge, ask_in_turn},
};
use crate::{
    content::{ContentId, Manifest, PIECE_LEN, PieceRun},
    time::later,
    transfer::{
        FetchEvent, HaveStream, PieceSource, QueueNews, SegmentStream, SmallContent, SmallFetch,
        SmallNews, TransferError, fetch_small,
    },
};

/// What [`download_small`] found.
#[derive(Clone, Debug)]
pub enum SmallDownload {
    /// The whole content, verified.
    Content {
        /// Its manifest, made from the bytes.
        manifest: Manifest,
        /// Its bytes in order, as a sink takes them for piece 0.
        data: Vec<Bytes>,
        /// Who sent it.
        from: SourceId,
    },
    /// It is longer than one piece, or the sources have only parts of it: use [`manifest_from`](super::manifest_from)
    /// and a [`Downloader`](super::Downloader).
    NeedsManifest,
}

/// A source that takes the whole time for each part of a content gives it in so many parts at least.
const SLICES: u32 = 32;

/// The next source is asked too when the first has not given the content for three seconds; then later each time.
const HEDGE: Hedge = Hedge { delay: Duration::from_secs(3), at_once: 2 };

/// Fetches a content that has at most one piece from one source after the other, until one gives it. One that takes long
/// is not waited for: the next is asked beside it.
///
/// How long a source may be silent, or a request in its queue come no nearer to its turn, is as in a download of several
/// pieces: [`DownloadOptions::answer`], [`stall`](DownloadOptions::stall) and
/// [`queue_stall`](DownloadOptions::queue_stall).
/// `news` is told what happens at each source. Dropping the future or cancelling ends it at once.
///
/// # Errors
///
/// [`DownloadError::NoSources`] without candidates, [`DownloadError::AllFailed`] with every cause,
/// [`DownloadError::Cancelled`].
pub async fn download_small(
    content: &ContentId,
    candidates: &[Candidate],
    options: &DownloadOptions,
    news: impl FnMut(SourceId, SmallNews) + Send,
    cancel: &CancellationToken,
) -> Result<SmallDownload, DownloadError> {
    let news = &Mutex::new(news);
    // Whoever gives a little in each such time is not silent, and may be slow, but not without an end.
    let longest = options.queue_stall.saturating_add(options.stall.saturating_mul(SLICES));
    let ask_one = |candidate: Candidate| async move {
        let watched = Watched::new(candidate.source.clone(), options);
        let news = |what| {
            (news.lock().unwrap_or_else(PoisonError::into_inner))(candidate.id, what);
        };
        let answer = within(longest, fetch_small(&watched, content, PIECE_LEN, news)).await;
        (candidate, answer)
    };
    let work = async {
        let (mut causes, mut longer) = (Vec::new(), false);
        let found = ask_in_turn(candidates, HEDGE, ask_one, |(candidate, answer)| {
            match answer {
                Ok(SmallFetch::Content { manifest, data }) => {
                    let from = candidate.id;
                    return ControlFlow::Break(SmallDownload::Content { manifest, data, from });
                }
                // Another may have the content and be honest: no single source decides that it is longer.
                Ok(SmallFetch::NeedsManifest) => longer = true,
                Err(error) => causes.push((candidate.label, error)),
            }
            ControlFlow::Continue(())
        });
        if let Some(content) = found.await {
            return Ok(content);
        }
        match (longer, causes.is_empty()) {
            (true, _) => Ok(SmallDownload::NeedsManifest),
            (false, true) => Err(DownloadError::NoSources { discovery: None }),
            (false, false) => Err(DownloadError::AllFailed { causes }),
        }
    };
    let stopped = cancel.run_until_cancelled(work).await;
    stopped.unwrap_or(Err(DownloadError::Cancelled))
}

/// A source that fails when it is silent for too long.
pub(super) struct Watched {
    inner: Arc<dyn PieceSource>,
    answer: Duration,
    stall: Duration,
    queue_stall: Duration,
}

impl Watched {
    pub(super) fn new(inner: Arc<dyn PieceSource>, options: &DownloadOptions) -> Self {
        let DownloadOptions { answer, stall, queue_stall, .. } = *options;
        Self { inner, answer, stall, queue_stall }
    }
}

#[async_trait]
impl PieceSource for Watched {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        within(self.answer, self.inner.manifest(content)).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        within(self.answer, self.inner.have(content)).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        Ok(self.watch(within(self.answer, self.inner.fetch(content, runs)).await?))
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        Ok(self.watch(within(self.answer, self.inner.fetch_many(contents)).await?))
    }
}

impl Watched {
    fn watch(&self, inner: SegmentStream) -> SegmentStream {
        let (stall, queue_stall) = (self.stall, self.queue_stall);
        let waiting =
            Waiting { inner, patience: stall, since: Instant::now(), queue: QueueNews::default() };
        let watched = stream::unfold(Some(waiting), move |waiting| async move {
            let mut waiting = waiting?;
            let deadline = later(waiting.since, waiting.patience);
            let event = match timeout_at(deadline, waiting.inner.next()).await {
                Err(_) => return Some((Err(TransferError::Stalled(waiting.patience)), None)),
                Ok(event) => event?,
            };
            let alive = match &event {
                Ok(FetchEvent::Queued { position }) => {
                    waiting.patience = queue_stall;
                    match waiting.queue.take(*position) {
                        Ok(nearer) => nearer,
                        Err(lie) => return Some((Err(lie), None)),
                    }
                }
                _ => {
                    waiting.patience = stall;
                    true
                }
            };
            if alive {
                waiting.since = Instant::now();
            }
            Some((event, Some(waiting)))
        });
        watched.boxed()
    }
}

/// A stream, and since when nothing has come that is worth waiting for.
struct Waiting {
    inner: SegmentStream,
    patience: Duration,
    since: Instant,
    queue: QueueNews,
}

/// What a source answers, unless it takes too long.
pub(super) async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, TransferError>>,
) -> Result<T, TransferError> {
    let answer = timeout(patience, answer).await;
    answer.unwrap_or(Err(TransferError::Stalled(patience)))
}
