//! Another peer.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use p2pshare_core::identity::{PeerAddr, PeerId};
use p2pshare_core::transfer::TransferError;
use p2pshare_proto::SERVICE_NAME;
use tokio::time::timeout;
use tonic::metadata::{AsciiMetadataValue, MetadataValue};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::channel::Channel;
use super::connector::PeerConnector;
use super::grants::{GrantProvider, GrantRequest};
use super::lane::Lane;
use super::source::RemoteSource;
use super::watch::Watch;
use crate::net::limits::{ClientLimits, MAX_CONTROL_MESSAGE};
use crate::net::status::{transfer_error, wants_credential};

/// Another peer, with at most two connections to it: one for bytes and one for everything else, so that a question never
/// waits behind megabytes. They are made when first needed and again after they broke. A clone shares them.
#[derive(Clone)]
pub struct RemotePeer {
    inner: Arc<Inner>,
}

struct Inner {
    connector: PeerConnector,
    id: PeerId,
    addrs: RwLock<Vec<PeerAddr>>,
    bulk: Lane,
    control: Lane,
    /// It does not give several contents in one call.
    one_at_a_time: AtomicBool,
}

/// Which of the two connections a call goes over.
#[derive(Clone, Copy)]
pub(super) enum Route {
    /// The one for bytes.
    Bulk,
    /// The one for everything else.
    Control,
}

impl RemotePeer {
    pub(super) fn new(connector: PeerConnector, id: PeerId, addrs: Vec<PeerAddr>) -> Self {
        Self {
            inner: Arc::new(Inner {
                connector,
                id,
                addrs: RwLock::new(addrs),
                bulk: Lane::default(),
                control: Lane::default(),
                one_at_a_time: AtomicBool::new(false),
            }),
        }
    }

    /// Who it is.
    pub fn id(&self) -> PeerId {
        self.inner.id
    }

    /// Replaces its addresses; a connection that is open stays.
    pub fn set_addrs(&self, addrs: Vec<PeerAddr>) {
        let mut current = self.inner.addrs.write().unwrap_or_else(PoisonError::into_inner);
        *current = addrs;
    }

    /// The peer as a source of pieces. Each call carries a grant of `grants`.
    pub fn source(&self, grants: Arc<dyn GrantProvider>) -> RemoteSource {
        RemoteSource::new(self.clone(), grants)
    }

    /// Asks whether the peer serves. Needs no grant.
    ///
    /// # Errors
    /// [`TransferError::Unavailable`] when it does not, or cannot be reached.
    pub async fn check_health(&self) -> Result<(), TransferError> {
        let channel = self.channel(Route::Control).await?;
        let origin = channel.origin();
        let mut client = HealthClient::with_origin(channel, origin)
            .max_decoding_message_size(MAX_CONTROL_MESSAGE);
        let request = HealthCheckRequest { service: SERVICE_NAME.to_owned() };
        let unavailable = |what: String| TransferError::Unavailable(what);
        let check = timeout(self.limits().answer_timeout, client.check(request)).await;
        let answer = check.map_err(|_| self.no_answer())?;
        let status = answer.map_err(|status| {
            unavailable(format!("the health check failed: {:?}", status.code()))
        })?;
        match status.into_inner().status() == ServingStatus::Serving.into() {
            true => Ok(()),
            false => Err(unavailable("the peer is not serving".to_owned())),
        }
    }

    /// Makes a call and gives what the peer answers. The grant is fetched first; if the peer finds it not valid, another
    /// one is tried, once, and so is another connection if this one turns out to be broken.
    ///
    /// Whoever reads the answer keeps the watch beside it, and tells it when something comes.
    pub(super) async fn call<R, F>(
        &self,
        route: Route,
        grants: &dyn GrantProvider,
        request: GrantRequest,
        mut send: impl FnMut(Channel, Grant) -> F,
    ) -> Result<(R, Watch), TransferError>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let (mut may_reconnect, mut may_renew) = (true, true);
        loop {
            let text = grants.grant(&request).await?;
            let grant = Grant::new(&text)?;
            let channel = self.channel(route).await?;
            let mut watch = channel.watch(self.limits().stall_timeout / 4);
            let answer = send(channel, grant);
            let status = match timeout(self.limits().answer_timeout, answer).await {
                Ok(Ok(answer)) => {
                    watch.alive();
                    return Ok((answer.into_inner(), watch));
                }
                Ok(Err(status)) => {
                    watch.over();
                    status
                }
                Err(_) => return Err(self.no_answer()),
            };
            if may_renew && wants_credential(&status) {
                may_renew = false;
                grants.refused(&request, &text);
                continue;
            }
            // A status that the peer sent has no source; this one is a connection that was closed in between.
            let is_broken = std::error::Error::source(&status).is_some();
            if may_reconnect && is_broken {
                may_reconnect = false;
                continue;
            }
            let error = transfer_error(&status, &request.content);
            return Err(if is_broken { self.inner.connector.explain_broken(error) } else { error });
        }
    }

    /// Whether it is known not to give several contents in one call.
    pub(super) fn gives_one_at_a_time(&self) -> bool {
        self.inner.one_at_a_time.load(Ordering::Relaxed)
    }

    /// A call for several contents failed so: a peer that has no such calls need not be asked again.
    pub(super) fn learn_from(&self, error: &TransferError) {
        if matches!(error, TransferError::Unsupported) {
            self.inner.one_at_a_time.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn limits(&self) -> &ClientLimits {
        self.inner.connector.limits()
    }

    /// Whether nobody but this value uses the peer.
    pub(super) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.inner) == 1
    }

    async fn channel(&self, route: Route) -> Result<Channel, TransferError> {
        let lane = match route {
            Route::Bulk => &self.inner.bulk,
            Route::Control => &self.inner.control,
        };
        let connect = async || {
            let addrs = self.addrs();
            self.inner.connector.connect(self.inner.id, &addrs).await
        };
        lane.channel(connect).await
    }

    fn addrs(&self) -> Vec<PeerAddr> {
        let addrs = self.inner.addrs.read();
        addrs.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn no_answer(&self) -> TransferError {
        let time = self.limits().answer_timeout;
        TransferError::Unavailable(format!("peer {} gave no answer in {time:?}", self.id().short()))
    }
}

impl fmt::Debug for RemotePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemotePeer")
            .field("id", &self.inner.id)
            .field("addrs", &self.addrs())
            .finish_non_exhaustive()
    }
}

/// A grant as it goes into a call.
pub(super) struct Grant(AsciiMetadataValue);

impl Grant {
    fn new(text: &str) -> Result<Self, TransferError> {
        let mut value = MetadataValue::try_from(format!("Bearer {text}")).map_err(|_| {
            TransferError::Refused("the grant of the index cannot be sent: log in again".to_owned())
        })?;
        // Keeps it out of logs and of the compression's memory.
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The call that carries it.
    pub(super) fn request<T>(self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.0);
        request
    }
}
