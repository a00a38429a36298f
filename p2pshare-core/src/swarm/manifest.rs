//! Getting the manifest of a content from the sources that have it.

use std::{ops::ControlFlow, time::Duration};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{
    Candidate, DownloadError, DownloadOptions, SourceId,
    hedge::{Hedge, ask_in_turn},
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
    let ask_one = |candidate: Candidate| async move {
        let answer = ask(content, &candidate, options.patience).await;
        (candidate, answer)
    };
    let hedge = Hedge { delay: options.hedge, at_once: options.at_once };
    let (mut causes, mut failed) = (Vec::new(), Vec::new());
    let found = ask_in_turn(candidates, hedge, ask_one, |(candidate, answer)| match answer {
        Ok((manifest, data)) => ControlFlow::Break((manifest, data, candidate.id)),
        Err(error) => {
            failed.push((candidate.id, error.clone()));
            causes.push((candidate.label, error));
            ControlFlow::Continue(())
        }
    });
    match found.await {
        Some((manifest, data, from)) => Ok(FoundManifest { manifest, data, from, failed }),
        None => Err(DownloadError::AllFailed { causes }),
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
