//! What the manager of downloads works with.

use std::{
    fmt,
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use p2pshare_core::transfer::{Durability, PieceSource};

use super::DownloadId;
use crate::{
    download::{Serving, Target},
    metrics::PeerMetrics,
    net::PeerPool,
    publish::OwnPeer,
};

/// How downloads are managed.
#[derive(Clone)]
pub struct ManagerOptions {
    /// The folder for what is read while it is downloaded and kept nowhere else. Whatever is in it is removed.
    pub cache: PathBuf,
    /// How many bytes may stay there that nobody reads.
    pub cache_bytes: u64,
    /// How many downloads run at a time; the others are queued.
    pub at_once: NonZeroUsize,
    /// How many bytes a second may come, of all downloads together.
    pub limit: Option<NonZeroU64>,
    /// Whether finished files are synced to disk before they get their name.
    pub durability: Durability,
    /// What is shared, to be read from there.
    pub shared: Option<Arc<dyn PieceSource>>,
    /// How soon a source is looked for again while none is online. It doubles each time.
    pub first_retry: Duration,
    /// How long that takes at the most.
    pub longest_retry: Duration,
    /// For how long a reader waits when nothing comes.
    pub read_patience: Duration,
    /// How long a download that only readers wanted goes on after the last of them.
    pub read_grace: Duration,
    /// Where downloads and what their sources did are counted.
    pub metrics: PeerMetrics,
}

impl ManagerOptions {
    /// Options with defaults for all but the folder for what is read while it is downloaded.
    pub fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            cache_bytes: 4 << 30,
            at_once: NonZeroUsize::MIN.saturating_add(2),
            limit: None,
            durability: Durability::Sync,
            shared: None,
            first_retry: Duration::from_secs(2),
            longest_retry: Duration::from_secs(300),
            read_patience: Duration::from_secs(60),
            read_grace: Duration::from_secs(15),
            metrics: PeerMetrics::new(),
        }
    }
}

impl fmt::Debug for ManagerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagerOptions")
            .field("cache", &self.cache)
            .field("at_once", &self.at_once)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// What downloads need of the network while somebody is logged in.
#[derive(Clone, Debug)]
pub struct Connection {
    /// This peer at the index of the account.
    pub me: OwnPeer,
    /// Other peers are reached through it.
    pub pool: Arc<PeerPool>,
    /// Who serves what is downloaded while it is; `None`: nobody.
    pub serving: Option<Serving>,
}

/// What somebody wants to download.
#[derive(Clone, Debug)]
pub struct NewDownload {
    /// What, at least one.
    pub targets: Vec<Target>,
    /// The folder that the files go to, made if it is not there. Absolute.
    pub folder: PathBuf,
    /// Replace files that are there.
    pub overwrite: bool,
}

/// What came of adding a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Which one brings it.
    pub id: DownloadId,
    /// Whether it was there already, and goes on.
    pub joined: bool,
}
