//! The running peer: an account, shares, downloads, uploads and pushes, and how they are at the moment.
//!
//! A [`Node`] works whether somebody is logged in or not. While somebody is, it serves as a [`Daemon`] and downloads; it
//! notices a login and a logout in any process that uses the same data directory. What it shows of itself are plain
//! values ([`State`], [`ShareView`] …), and [`Changes`] tell when to look again.
//!
//! [`Daemon`]: crate::daemon::Daemon

mod account;
mod changes;
mod dropped;
mod error;
mod folders;
mod inbox;
mod progress;
mod pushes;
mod run;
mod settings;
mod shares;
mod state;
#[cfg(test)]
mod tests;
mod transfers;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use p2pshare_core::{
    auth::TokenHash,
    identity::{PeerAddr, PeerId},
    transfer::{RateLimit, ReadOptions, UploadSlots},
};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use account::{LoginRequest, RegisterRequest};
pub use changes::{Changes, Notice, Topic};
pub use error::NodeError;
pub use folders::{FolderItem, FolderView};
pub use inbox::{InboxView, ReceivedView};
pub use progress::{ScanState, ScanView};
pub use pushes::{PushId, PushState, PushView};
pub use settings::{Settings, SettingsChange, SettingsView};
pub use shares::{ShareView, SharesView};
pub use state::{AccountView, State};
pub use transfers::{LinkView, RunningUpload, UploadsView, WaitingUpload};

use crate::{
    catalog::{Catalog, CatalogSource, ChangedFiles, PartialSources},
    daemon::{SlotsFor, upload_slots},
    data_dir::DataDir,
    downloads::{DownloadManager, ManagerOptions},
    index_client::IndexUrl,
    lan::LanSwitch,
    metrics::PeerMetrics,
    net::{ServerLimits, Uploads},
    share::Sharer,
};

/// How a node runs.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// Where to listen for other peers.
    pub listen: SocketAddr,
    /// Where others can reach this peer, best first; empty: found out.
    pub advertise: Vec<PeerAddr>,
    /// Ask the router of this network to let others in, if one is between this peer and the index.
    pub port_mapping: bool,
    /// Serve and connect without TLS.
    pub insecure: bool,
    /// What others may take of this peer.
    pub limits: ServerLimits,
    /// More uploads at a time than the settings say, for certain users alone.
    pub slots_for: Vec<SlotsFor>,
    /// The index to log in at unless somebody names another.
    pub default_index: Vec<IndexUrl>,
    /// Where what it does is counted.
    pub metrics: PeerMetrics,
    /// Settings that were given for this run: they come before those that are kept, and cannot be changed.
    pub given: SettingsChange,
}

impl NodeOptions {
    /// A node that listens here, and is as one is unless told otherwise: it asks no router to let others in.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            advertise: Vec::new(),
            port_mapping: false,
            insecure: false,
            limits: ServerLimits::default(),
            slots_for: Vec::new(),
            default_index: Vec::new(),
            metrics: PeerMetrics::new(),
            given: SettingsChange::default(),
        }
    }
}

/// A running peer. A clone is another handle on the same.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

struct Inner {
    dir: DataDir,
    peer: PeerId,
    options: NodeOptions,
    catalog: Catalog,
    sharer: Sharer,
    downloads: DownloadManager,
    partial: PartialSources,
    uploads: Uploads,
    slots: UploadSlots,
    upload_limit: RateLimit,
    /// Off while nobody is logged in.
    lan: LanSwitch,
    inbox: Arc<inbox::LiveInbox>,
    settings: settings::Store,
    shares: shares::Scans,
    pushes: pushes::Pushes,
    changes: changes::Sender,
    live: Mutex<state::Live>,
    /// Whoever is logged in.
    link: watch::Sender<Option<Arc<account::Link>>>,
    /// The session may be another than before.
    look: Notify,
    /// The last session that was found to be over. It is not taken up again.
    over: watch::Sender<Option<TokenHash>>,
    /// One login or logout at a time.
    signing: tokio::sync::Mutex<()>,
    /// It runs, or has run.
    ran: AtomicBool,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Node {
    /// Opens everything that is kept in the data directory. Nothing runs before [`run`](Self::run).
    ///
    /// The directory must be [locked for serving](DataDir::lock_for_serving).
    pub async fn open(dir: DataDir, options: NodeOptions) -> Result<Self, NodeError> {
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(dir, options)).await;
        opened.map_err(|_| NodeError::Interrupted)?
    }

    fn open_blocking(dir: DataDir, options: NodeOptions) -> Result<Self, NodeError> {
        if let Err(error) = dir.clear_reading() {
            tracing::warn!(%error, "what other processes have read stays for now");
        }
        let settings = settings::Store::open(&dir, options.given.clone())?;
        let now = settings.current();
        let catalog = Catalog::open(&dir.catalog())?;
        let changes = changes::Sender::default();
        let inbox = Arc::new(inbox::LiveInbox::new(changes.clone()));
        inbox.set(match &options.given.inbox {
            Some(_) => inbox.open(now.inbox.as_deref())?,
            // That the disk of one that was set before is away is no reason to be offline.
            None => inbox.reopen(now.inbox.as_deref()),
        });
        // Of what turns out to have changed the daemon hears too, when somebody asks for it.
        let (shared, _): (_, ChangedFiles) =
            CatalogSource::new(catalog.clone(), ReadOptions::default());
        let downloads = DownloadManager::open(
            &dir.path().join("downloads.sqlite"),
            ManagerOptions {
                at_once: now.at_once(),
                limit: now.download_rate(),
                shared: Some(shared.own()),
                metrics: options.metrics.clone(),
                ..ManagerOptions::new(dir.cache())
            },
        )?;
        let inner = Inner {
            peer: dir.peer_key()?.peer_id(),
            sharer: Sharer::new(catalog.clone(), &dir),
            shares: shares::Scans::default(),
            pushes: pushes::Pushes::default(),
            partial: PartialSources::new(),
            uploads: Uploads::default(),
            slots: upload_slots(now.slots()),
            upload_limit: RateLimit::new(now.upload_rate()),
            lan: LanSwitch::default(),
            live: Mutex::default(),
            link: watch::Sender::new(None),
            look: Notify::new(),
            over: watch::Sender::new(None),
            signing: tokio::sync::Mutex::new(()),
            ran: AtomicBool::new(false),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            dir,
            options,
            catalog,
            downloads,
            inbox,
            settings,
            changes,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The downloads.
    pub fn downloads(&self) -> &DownloadManager {
        &self.inner.downloads
    }

    /// Follows what changes, from now on.
    pub fn changes(&self) -> Changes {
        self.inner.changes.subscribe()
    }

    /// The data directory.
    pub fn dir(&self) -> &DataDir {
        &self.inner.dir
    }

    /// Runs work in the background until it ends or the node does.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.inner.stop.clone();
        self.inner.tasks.spawn(async move {
            stop.run_until_cancelled(work).await;
        });
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("dir", &self.inner.dir).finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves plain values: as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A path as text. What is not Unicode in it is replaced.
fn text(path: &std::path::Path) -> String {
    path.display().to_string()
}

/// A path that somebody named. It must be absolute: the node's own folder means nothing to them.
fn absolute(path: &str) -> Result<PathBuf, NodeError> {
    let path = PathBuf::from(path);
    match path.is_absolute() && !path.as_os_str().as_encoded_bytes().contains(&0) {
        true => Ok(path),
        false => Err(NodeError::Invalid(format!(
            "{:?} is not a whole path: it must begin with the root folder",
            text(&path)
        ))),
    }
}
