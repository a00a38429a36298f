//! Serving what a process downloads, for as long as it does.

use std::{convert::Infallible, net::SocketAddr, num::NonZeroUsize, sync::Arc, time::Duration};

use p2pshare_core::{identity::PeerId, time::SystemClock, transfer::RateLimit};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{
    DaemonError, addresses, goodbye, listen,
    partial::{SETTLE, Told, tell},
    presence::{TRY_AGAIN, beat, beat_of},
    upload_slots,
};
use crate::{
    catalog::PartialSources,
    guard::GrantGuard,
    net::{PeerTls, ServerLimits, ServerSecurity, ServerServices, Uploads, serve},
    publish::OwnPeer,
};

/// Uploads that run may end within this time when all is downloaded.
const GRACE: Duration = Duration::from_millis(500);

/// How downloads are served.
#[derive(Clone, Debug)]
pub struct DownloadServeOptions {
    /// Where to listen; `None`: on any port, where those can reach it who can reach the index.
    pub listen: Option<SocketAddr>,
    /// Uploads at a time.
    pub upload_slots: NonZeroUsize,
    /// How fast all uploads together may go.
    pub upload_limit: RateLimit,
    /// Serve without TLS.
    pub insecure: bool,
}

/// Serves what a process downloads, as a peer of its own that shares nothing else.
///
/// It is another peer than the one that serves from the same data directory: whether that runs, starts or stops meanwhile
/// makes no difference.
#[derive(Debug)]
pub struct DownloadServer {
    peer: OwnPeer,
    guard: GrantGuard,
    sources: PartialSources,
}

impl DownloadServer {
    /// A server of the downloads in `sources` that is known as `peer`, and lets in whoever has a grant of its index.
    pub fn new(peer: OwnPeer, sources: PartialSources) -> Self {
        let keys = peer.index_keys().current();
        let guard = GrantGuard::new(keys, peer.id(), Arc::new(SystemClock));
        Self { peer, guard, sources }
    }

    /// As which peer it serves.
    pub fn peer(&self) -> PeerId {
        self.peer.id()
    }

    /// Serves until `stop` is cancelled, then says goodbye to the index and gives uploads that run half a second to end.
    ///
    /// Nothing is opened and nobody told before a download has run for a quarter of a second. An index that is away or
    /// refuses is asked again later: what is downloaded does not depend on it.
    ///
    /// # Errors
    /// [`DaemonError::Listen`], [`DaemonError::Tls`], [`DaemonError::Serve`], [`DaemonError::LoggedOut`].
    pub async fn run(
        self,
        options: DownloadServeOptions,
        stop: CancellationToken,
    ) -> Result<(), DaemonError> {
        if stop.run_until_cancelled(self.wanted()).await.is_none() {
            return Ok(());
        }
        let address = match options.listen {
            Some(address) => address,
            None => addresses::any_port(self.peer.client().url()).await,
        };
        let listener = listen(address).await?;
        let address = listener.local_addr().map_err(DaemonError::Serve)?;
        let security = match options.insecure {
            true => ServerSecurity::Plain,
            false => ServerSecurity::Tls(PeerTls::new(self.peer.key())?),
        };
        let services = ServerServices {
            source: Arc::new(self.sources.clone()),
            guard: Arc::new(self.guard.clone()),
            receiver: None,
            slots: upload_slots(options.upload_slots),
            upload_rate: options.upload_limit,
            uploads: Uploads::default(),
        };
        let limits = ServerLimits { shutdown_grace: GRACE, ..ServerLimits::default() };
        let stopped = stop.clone().cancelled_owned();
        let serving = serve(listener, services, security, limits, stopped);
        let online = async {
            let ended = stop.run_until_cancelled(self.stay(address)).await;
            if ended.is_none() {
                goodbye(&self.peer).await;
            }
            stop.cancelled().await;
            ended.unwrap_or(Ok(()))
        };
        let (served, online) = tokio::join!(serving, online);
        served.map_err(DaemonError::Serve)?;
        online
    }

    /// Waits until something is downloaded that takes some time.
    async fn wanted(&self) {
        let mut changes = self.sources.changes();
        loop {
            if !self.sources.contents().is_empty() {
                sleep(SETTLE).await;
                if !self.sources.contents().is_empty() {
                    return;
                }
            }
            // The sender lives as long as `sources`.
            let _ = changes.changed().await;
        }
    }

    /// Stays online until the session ends.
    async fn stay(&self, address: SocketAddr) -> Result<(), DaemonError> {
        let mut told = Told::new();
        loop {
            let Err(error) = self.online(address, &mut told).await;
            if error.is_logged_out() {
                return Err(DaemonError::LoggedOut);
            }
            tracing::info!(%error, "others are not told of the download for now");
            sleep(TRY_AGAIN).await;
        }
    }

    async fn online(
        &self,
        address: SocketAddr,
        told: &mut Told,
    ) -> Result<Infallible, DaemonError> {
        let place = addresses::announce(&self.peer, address, &[], None, None).await?;
        // Others may have come to be known for the announce.
        self.guard.replace_keys(self.peer.index_keys().current());
        let beating = async {
            let mut seconds = place.announced.heartbeat_seconds;
            loop {
                sleep(beat_of(seconds)).await;
                seconds = beat(&self.peer, &self.guard).await?.heartbeat_seconds;
            }
        };
        tokio::select! {
            failed = beating => failed,
            failed = tell(&self.peer, &self.sources, told) => Ok(failed?),
        }
    }
}
