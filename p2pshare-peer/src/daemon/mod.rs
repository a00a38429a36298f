//! The running peer: serves what is shared, stays online, publishes what changes.

mod addresses;
mod collection;
mod downloads;
mod moving;
mod partial;
mod presence;
mod refused;
mod reserved;
mod shared;
mod upkeep;

pub use collection::CollectionShares;
pub use downloads::{DownloadServeOptions, DownloadServer};
pub use reserved::{SlotUsers, SlotsFor};
pub use shared::{FolderShares, Shared, SharesNow};

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    num::NonZeroUsize,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use p2pshare_core::{
    api::AddressCheck,
    identity::{PeerAddr, Username},
    path::SharePath,
    time::SystemClock,
    transfer::{PushReceiver, RateLimit, UploadSlots},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::{CompositeSource, PartialSources},
    guard::GrantGuard,
    inbox::Received,
    index_client::ClientError,
    index_keys::IndexKeysError,
    lan::LanSwitch,
    metrics::{Metered, PeerMetrics},
    net::{PeerTls, ServerLimits, ServerSecurity, ServerServices, TlsError, Uploads, serve},
    port_mapping::{HomeRouter, PortMapper},
    publish::{AnnounceFailure, OwnPeer, PublishError},
    watch::WatchEvent,
};

/// Uploads that wait for a slot; more are turned away.
const WAITING_UPLOADS: usize = 4096;

/// Uploads at a time, unless told otherwise.
pub const UPLOADS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(7);

/// How to serve.
#[derive(Clone)]
pub struct ServeOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where others can reach this peer, best first; empty: found out.
    pub advertise: Vec<PeerAddr>,
    /// Ask the router of this network to let others in, if one is between this peer and the index.
    pub port_mapping: bool,
    /// Who takes pushes; `None`: they are refused.
    pub receiver: Option<Arc<dyn PushReceiver>>,
    /// Uploads at a time: see [`upload_slots`].
    pub upload_slots: UploadSlots,
    /// More uploads at a time, for certain users alone.
    pub slots_for: Vec<SlotsFor>,
    /// How fast all uploads together may go.
    pub upload_limit: RateLimit,
    /// Serve without TLS.
    pub insecure: bool,
    /// What others may take of this peer.
    pub limits: ServerLimits,
    /// The local network, where the peer is announced too; `None`: it is not.
    pub lan: Option<LanSwitch>,
    /// Where what it does is counted.
    pub metrics: PeerMetrics,
    /// Where the uploads are listed.
    pub uploads: Uploads,
}

impl Default for ServeOptions {
    /// On any free port, with TLS, 8 uploads at a time as fast as they go; no pushes, and no word to the router or the local
    /// network.
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 0).into(),
            advertise: Vec::new(),
            port_mapping: false,
            receiver: None,
            upload_slots: upload_slots(UPLOADS),
            slots_for: Vec::new(),
            upload_limit: RateLimit::unlimited(),
            insecure: false,
            limits: ServerLimits::default(),
            lan: None,
            metrics: PeerMetrics::new(),
            uploads: Uploads::default(),
        }
    }
}

/// Slots for so many uploads at a time; the others wait in a queue.
pub fn upload_slots(slots: NonZeroUsize) -> UploadSlots {
    UploadSlots::new(slots, WAITING_UPLOADS)
}

impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("listen", &self.listen)
            .field("advertise", &self.advertise)
            .field("takes_pushes", &self.receiver.is_some())
            .field("insecure", &self.insecure)
            .finish_non_exhaustive()
    }
}

/// Something that whoever runs the peer may want to know.
#[derive(Debug)]
#[non_exhaustive]
pub enum DaemonEvent {
    /// It listens and is announced.
    Ready {
        /// Where it listens.
        listen: SocketAddr,
        /// Where it told others to reach it.
        addresses: Vec<PeerAddr>,
        /// Files that the index knows of it.
        published: u64,
    },
    /// What changed was published.
    Published {
        /// Files that the index knows of it now.
        total: u64,
    },
    /// Others reach it elsewhere now.
    Moved {
        /// Where it told others to reach it.
        addresses: Vec<PeerAddr>,
        /// The address at which the router lets others in, if it does.
        let_in: Option<SocketAddrV4>,
    },
    /// The index could not reach it: others cannot fetch from it.
    Unreachable {
        /// Why not, for each address that the index tried.
        tried: Vec<AddressCheck>,
    },
    /// It is not online for now, for this reason; that is tried again.
    Offline(String),
    /// It is online again.
    Online,
    /// Its session is over. A node waits for the next one.
    LoggedOut,
    /// Something happened while shares were followed.
    Watch(WatchEvent),
    /// Something failed and will be tried again.
    Trouble(String),
    /// Somebody pushed a file, and it is there.
    Received(Received),
    /// Somebody's push was refused: whose, of what, and why. Of many in a short time one is told.
    PushRefused(Username, SharePath, String),
}

/// Told what happens. It must not block.
pub type DaemonEvents = Arc<dyn Fn(DaemonEvent) + Send + Sync>;

/// Why a peer does not serve, or does no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// It cannot listen there.
    #[error("listening on {address} failed: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The session has ended: somebody logged out.
    #[error("the session has ended: log in again")]
    LoggedOut,
    /// The index refused.
    #[error(transparent)]
    Index(#[from] ClientError),
    /// The index did not take the announce.
    #[error(transparent)]
    Announce(#[from] AnnounceFailure),
    /// The index's keys changed, and it is not known whether the new ones are its own.
    #[error(transparent)]
    IndexKeys(#[from] IndexKeysError),
    /// What is shared could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// No certificate could be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server failed.
    #[error("serving failed: {0}")]
    Serve(#[source] io::Error),
}

impl DaemonError {
    /// Whether the index says that nobody is logged in.
    fn is_logged_out(&self) -> bool {
        match self {
            Self::Index(error)
            | Self::Announce(AnnounceFailure::Index(error))
            | Self::Publish(PublishError::Index(error)) => error.is_logged_out(),
            Self::LoggedOut => true,
            _ => false,
        }
    }
}

/// What a daemon works with.
pub struct Daemon {
    /// This peer at its index.
    pub peer: OwnPeer,
    /// What is shared: [`FolderShares`], or something of one's own.
    pub shared: Arc<dyn Shared>,
    /// Downloads that are served while they run.
    pub partial: PartialSources,
}

impl Daemon {
    /// Serves until `shutdown` is cancelled or the session ends. Then the peer says goodbye to the index, and calls that
    /// run have some seconds to end.
    ///
    /// An index that is away does not end it: grants are checked without it, and it is asked again and again. Shares that
    /// are watched are followed meanwhile; what changes in them is published.
    pub async fn run(
        self,
        options: ServeOptions,
        events: DaemonEvents,
        shutdown: CancellationToken,
    ) -> Result<(), DaemonError> {
        let listener = listen(options.listen).await?;
        let address = listener.local_addr().map_err(DaemonError::Serve)?;
        let guard = GrantGuard::new(
            self.peer.index_keys().current(),
            self.peer.id(),
            Arc::new(SystemClock),
        );
        let source = CompositeSource::new(self.shared.source(), self.partial.clone());
        options.metrics.set_slots(options.upload_slots.clone());
        let services = ServerServices {
            source: Arc::new(Metered::new(Arc::new(source), options.metrics.clone())),
            guard: Arc::new(guard.clone()),
            receiver: options.receiver.clone(),
            slots: options.upload_slots.clone(),
            upload_rate: options.upload_limit.clone(),
            uploads: options.uploads.clone(),
        };
        let security = if options.insecure {
            ServerSecurity::Plain
        } else {
            ServerSecurity::Tls(PeerTls::new(self.peer.key())?)
        };

        // A child: what ends the peer from inside does not look like a wish of its owner.
        let stop = shutdown.child_token();
        let serving = serve(
            listener,
            services,
            security,
            options.limits.clone(),
            stop.clone().cancelled_owned(),
        );
        let presence = presence::Presence {
            peer: self.peer.clone(),
            guard,
            shared: self.shared.clone(),
            listen: address,
            advertise: options.advertise.clone(),
            insecure: options.insecure,
            mapper: PortMapper::default(),
            events: events.clone(),
            refused: Mutex::default(),
            published: AtomicU64::new(presence::UNTOLD),
            metrics: options.metrics.clone(),
        };
        let keep = self.shared.keep(events.clone(), stop.clone());
        let partial = partial::run(&self.peer, &self.partial, &stop);
        let (slots, slots_for) = (&options.upload_slots, &options.slots_for);
        let reserved = Box::pin(reserved::run(&self.peer, slots, slots_for, &events, &stop));
        // Without TLS nobody nearby could prove who answers, and nobody asks.
        let lan = options.lan.as_ref().filter(|_| !options.insecure);
        let nearby = async {
            if let Some(lan) = lan {
                stop.run_until_cancelled(lan.announce(self.peer.id(), address)).await;
            }
        };
        // Nobody is let in from afar to where everybody on the way could read along.
        let let_in = async {
            if options.port_mapping && !options.insecure {
                Box::pin(presence.mapper.run(&HomeRouter, &stop)).await;
            }
        };
        let online = async {
            let ended = Box::pin(presence.run(&stop)).await;
            stop.cancel();
            ended
        };
        let (served, online, (), (), (), (), ()) =
            tokio::join!(serving, online, keep, partial, reserved, nearby, let_in);
        options.metrics.set_online(false);
        if !online.as_ref().is_err_and(DaemonError::is_logged_out) {
            goodbye(&self.peer).await;
        }
        served.map_err(DaemonError::Serve)?;
        online
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, DaemonError> {
    TcpListener::bind(address).await.map_err(|error| DaemonError::Listen { address, error })
}

/// Tells the index that the peer goes. It has little time: without a goodbye the peer is taken for offline soon anyway.
async fn goodbye(peer: &OwnPeer) {
    const TIME: Duration = Duration::from_secs(5);
    match tokio::time::timeout(TIME, peer.leave()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "saying goodbye failed"),
        Err(_) => tracing::debug!("the index did not take the goodbye in time"),
    }
}
