//! Getting the manifest of a content from the sources that have it.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    Candidate, DownloadError, DownloadOptions, SourceId,
    small::{Watched, within},
};
use crate::{
    content::{ContentId, Manifest, ManifestError, PIECE_LEN, PieceIndex},
    transfer::{SmallFetch, TransferError, fetch_small},
};

/// How [`manifest_from`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestOptions {
    /// The next source is asked too when the one before has not answered for so long.
    pub hedge: Duration,
    /// A source that has not answered for so long has failed.
    pub patience: Duration,
    /// How many sources are asked at the same time, at least 1, before the time until the next one is asked doubles
    /// with each: all of them may be silent.
    pub at_once: usize,
}

impl Default for ManifestOptions {
    fn default() -> Self {
        Self { hedge: Duration::from_millis(500), patience: Duration::from_secs(60), at_once: 4 }
    }
}

/// What [`manifest_from`] found.
#[derive(Clone, Debug)]
pub struct FoundManifest {
    /// The manifest. All of it is proven, the length too.
    pub manifest: Manifest,
    /// The bytes of a content of at most one piece: only they prove its length, so they had to be fetched.
    pub data: Option<Vec<Bytes>>,
    /// Who sent it.
    pub from: SourceId,
    /// Those who failed before, and how. Those who lied ([`TransferError::is_lie`]) should not be asked again.
    pub failed: Vec<(SourceId, TransferError)>,
}

/// Asks the candidates for the manifest, in their order, the next one whenever one fails or takes long, and gives the
/// first right answer. Dropping the future or cancelling ends it at once.
///
/// # Errors
///
/// [`DownloadError::NoSources`] without candidates, [`DownloadError::AllFailed`] with every cause,
/// [`DownloadError::Cancelled`].
pub async fn manifest_from(
    content: &ContentId,
    candidates: &[Candidate],
    options: ManifestOptions,
    cancel: &CancellationToken,
) -> Result<FoundManifest, DownloadError> {
    let search = search(content, candidates, options);
    let stopped = cancel.run_until_cancelled(search).await;
    stopped.unwrap_or(Err(DownloadError::Cancelled))
}

async fn search(
    content: &ContentId,
    candidates: &[Candidate],
    options: ManifestOptions,
) -> Result<FoundManifest, DownloadError> {
    if candidates.is_empty() {
        return Err(DownloadError::NoSources { discovery: None });
    }
    let ask_one = |candidate: &Candidate| {
        let (content, candidate) = (*content, candidate.clone());
        async move {
            let answer = ask(&content, &candidate, options.patience).await;
            (candidate, answer)
        }
    };
    let mut waiting = candidates.iter();
    let mut asked = FuturesUnordered::new();
    let mut causes = Vec::new();
    let mut failed = Vec::new();
    let mut ask_next = true;
    loop {
        if std::mem::take(&mut ask_next) || asked.is_empty() {
            asked.extend(waiting.next().map(ask_one));
        }
        let excess = (asked.len() + 1).saturating_sub(options.at_once.max(1)).min(16);
        let hedge = sleep(options.hedge.saturating_mul(1 << excess));
        tokio::select! {
            answer = asked.next() => match answer {
                None => return Err(DownloadError::AllFailed { causes }),
                Some((candidate, Ok((manifest, data)))) => {
                    return Ok(FoundManifest { manifest, data, from: candidate.id, failed });
                }
                Some((candidate, Err(error))) => {
                    failed.push((candidate.id, error.clone()));
                    causes.push((candidate.label, error));
                    ask_next = true;
                }
            },
            () = hedge, if waiting.len() > 0 => ask_next = true,
        }
    }
}

async fn ask(
    content: &ContentId,
    candidate: &Candidate,
    patience: Duration,
) -> Result<(Manifest, Option<Vec<Bytes>>), TransferError> {
    let manifest = within(patience, candidate.source.manifest(content)).await?;
    if manifest.id() != *content {
        return Err(ManifestError::Id { id: *content }.into());
    }
    if manifest.layout().piece_count() > 1 {
        return Ok((manifest, None));
    }
    // Up to one piece anybody can claim any length. Believing it would make every honest source look like a liar.
    let options = DownloadOptions {
        answer: patience,
        stall: patience,
        queue_stall: patience,
        ..DownloadOptions::default()
    };
    let watched = Watched::new(candidate.source.clone(), &options);
    match fetch_small(&watched, content, PIECE_LEN, |_| {}).await? {
        SmallFetch::Content { manifest, data } => Ok((manifest, Some(data))),
        SmallFetch::NeedsManifest => Err(TransferError::NotHeld(PieceIndex(0))),
    }
}
