//! What a downloader can be told.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::{PlannerConfig, ReadCursors};
use crate::content::PIECE_LEN;

/// The settings of one download. A time may be [`Duration::MAX`]: never.
#[derive(Clone, Debug)]
pub struct DownloadOptions {
    /// How many sources are used at the same time, at least 1; besides, up to as many in whose queues it waits.
    pub max_sources: usize,
    /// How many bytes of whole pieces may wait for the sink, at least one piece. Besides, each source holds up to one
    /// piece that is not whole yet.
    pub max_buffered: u64,
    /// How soon after the first look sources are looked for again. It doubles each time, up to `refresh`: when many begin
    /// to download at once they find each other soon.
    pub first_refresh: Duration,
    /// How often sources are looked for in the long run, at most ten times a second.
    pub refresh: Duration,
    /// A source that does not answer for so long has failed.
    pub answer: Duration,
    /// A source that gives no segment for so long has failed.
    pub stall: Duration,
    /// A source in whose queue a request comes no nearer to its turn for so long has failed.
    pub queue_stall: Duration,
    /// How long the download goes on when all known sources are gone. Zero: it fails at once.
    pub patience: Duration,
    /// The same for a download to which bytes have come and whose sources may come back, if that is longer: a line that
    /// breaks or a source that starts anew ends nothing.
    pub lull: Duration,
    /// How long the download goes on when the sources that are there have nothing that is missing.
    pub starving_patience: Duration,
    /// After so many failures in a row a source makes room for others.
    pub max_failures: u32,
    /// How long it rests then. It doubles each time, up to 32 times as long.
    pub rest: Duration,
    /// The planner's settings.
    pub planner: PlannerConfig,
    /// Seed for random choices, `None`: a random one.
    pub seed: Option<u64>,
    /// Who reads the content while it is downloaded.
    pub cursors: ReadCursors,
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self {
            max_sources: 32,
            max_buffered: 16 * PIECE_LEN,
            first_refresh: Duration::from_secs(1),
            refresh: Duration::from_secs(30),
            answer: Duration::from_secs(15),
            stall: Duration::from_secs(15),
            queue_stall: Duration::from_secs(600),
            patience: Duration::from_secs(30),
            lull: Duration::from_secs(15),
            starving_patience: Duration::from_secs(300),
            max_failures: 4,
            rest: Duration::from_secs(5),
            planner: PlannerConfig::default(),
            seed: None,
            cursors: ReadCursors::default(),
        }
    }
}

/// What all downloads of one process share. A clone is another handle on the same limits.
#[derive(Clone, Debug)]
pub struct SwarmLimits {
    /// Sources that are connected to.
    pub(super) sources: Arc<Semaphore>,
    /// Whole pieces in memory.
    pub(super) pieces: Arc<Semaphore>,
}

impl SwarmLimits {
    /// So many sources at a time, and so many bytes of whole pieces in memory; at least one source and one piece.
    #[must_use]
    pub fn new(max_sources: usize, max_buffered: u64) -> Self {
        Self {
            sources: Arc::new(Semaphore::new(max_sources.clamp(1, Semaphore::MAX_PERMITS))),
            pieces: Arc::new(Semaphore::new(pieces(max_buffered))),
        }
    }
}

impl Default for SwarmLimits {
    /// 256 sources and 64 MiB.
    fn default() -> Self {
        Self::new(256, 64 * PIECE_LEN)
    }
}

/// How many whole pieces so many bytes are, at least 1.
pub(super) fn pieces(bytes: u64) -> usize {
    let pieces = usize::try_from(bytes / PIECE_LEN).unwrap_or(usize::MAX);
    pieces.clamp(1, Semaphore::MAX_PERMITS)
}
