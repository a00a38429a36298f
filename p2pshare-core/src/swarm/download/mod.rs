//! Downloading a content from many sources at once.
//!
//! One task coordinates: it looks for sources, starts a worker for each that is to be used, and ends the download. A
//! worker fetches from its source what the planner says. They share a [`Board`](board::Board).

mod board;
mod coordinator;
mod put;
mod request;
mod roster;
mod session;
mod worker;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use self::{board::Board, coordinator::Coordinator};
use super::{Discovery, DownloadError, DownloadOptions, Report, SwarmEvents, SwarmLimits};
use crate::transfer::PieceSink;

/// Downloads contents. All downloads of one downloader, and of its clones, share its limits.
#[derive(Clone, Debug, Default)]
pub struct Downloader {
    limits: SwarmLimits,
}

impl Downloader {
    /// A downloader whose downloads together keep within these limits.
    #[must_use]
    pub fn new(limits: SwarmLimits) -> Self {
        Self { limits }
    }

    /// Fetches what the sink lacks, from all the sources that are found, and finishes the sink.
    ///
    /// The sink's manifest says which content. It must be proven: of a content of at most one piece only the bytes
    /// prove the length, so it comes from [`manifest_from`](crate::swarm::manifest_from) or
    /// [`download_small`](crate::swarm::download_small).
    ///
    /// Cancelling, or dropping the future, ends it at once with all that it started; the sink keeps the pieces that it
    /// has, and the same call goes on from there.
    ///
    /// Memory: that of the planner, up to [`DownloadOptions::max_buffered`], and for each source up to one piece and
    /// what the source itself holds for two requests.
    ///
    /// # Errors
    ///
    /// [`DownloadError::NoSources`] and [`DownloadError::AllFailed`] when all known sources are gone for longer than
    /// [`DownloadOptions::patience`], with the last failure of each; [`DownloadError::Sink`] when a piece cannot be
    /// kept; [`DownloadError::Cancelled`].
    pub async fn download(
        &self,
        sink: Arc<dyn PieceSink>,
        discovery: Arc<dyn Discovery>,
        options: DownloadOptions,
        events: SwarmEvents,
        cancel: &CancellationToken,
    ) -> Result<Report, DownloadError> {
        let board = Arc::new(Board::new(sink, options, self.limits.clone(), events));
        let coordinator = Coordinator::new(board, discovery);
        Box::pin(coordinator.run(cancel)).await
    }
}
