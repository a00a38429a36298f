//! A server on a free port, and clients of it.

// Each program of tests uses a part of it.
#![allow(dead_code)]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use p2pshare_core::content::{ContentId, Manifest, PIECE_LEN, PieceRun};
use p2pshare_core::identity::{Access, PeerAddr, PeerConnection, PeerKey, Reach, Username};
use p2pshare_core::path::SharePath;
use p2pshare_core::time::Timestamp;
use p2pshare_core::transfer::{
    AccessDenied, AccessRequest, Admission, FetchEvent, HaveStream, MemorySink, MemorySource,
    OpenSource, PieceSource, PushOffer, PushReceiver, PushTarget, RateLimit, Segment,
    SegmentStream, TransferError, TransferGuard, UploadSlots,
};
use p2pshare_peer::net::{
    ClientLimits, ClientSecurity, GrantProvider, GrantRequest, PeerConnector, PeerTls, RemotePeer,
    RemoteSource, ServerLimits, ServerSecurity, ServerServices, Uploads, serve,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest that any step of a test may take before the test is taken for hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What a call showed to the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) credential: Option<String>,
    pub(crate) access: Access,
    pub(crate) content: ContentId,
    pub(crate) connection: PeerConnection,
}

/// Lets those in who show [`Guard::GRANT`], as the user whose name follows it.
#[derive(Default)]
pub(crate) struct Guard {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) denial: Mutex<Option<AccessDenied>>,
}

impl Guard {
    pub(crate) const GRANT: &'static str = "grant-of-";
}

impl TransferGuard for Guard {
    fn admit(&self, request: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        self.seen.lock().unwrap().push(Seen {
            credential: request.credential.map(str::to_owned),
            access: request.access,
            content: request.content,
            connection: request.connection,
        });
        if let Some(denial) = &*self.denial.lock().unwrap() {
            return Err(denial.clone());
        }
        let user = request.credential.and_then(|credential| credential.strip_prefix(Self::GRANT));
        let invalid = || AccessDenied::Unauthenticated("the grant is not valid".to_owned());
        Ok(Admission {
            user: user.ok_or_else(invalid)?.parse().map_err(|_| invalid())?,
            expires_at: Timestamp::from_millis(i64::MAX),
            reach: Reach::Everyone,
        })
    }
}

/// Keeps in memory what is pushed.
#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) sinks: Mutex<HashMap<(Username, ContentId), MemorySink>>,
}

#[async_trait]
impl PushReceiver for Inbox {
    fn check_length(&self, _: u64) -> Result<(), TransferError> {
        Ok(())
    }

    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError> {
        let key = (offer.from.clone(), offer.manifest.id());
        let mut sinks = self.sinks.lock().unwrap();
        let sink = sinks.entry(key).or_insert_with(|| MemorySink::new(offer.manifest.clone()));
        Ok(PushTarget {
            name: format!("from-{}/{}", offer.from, offer.name).parse().unwrap(),
            sink: Arc::new(sink.clone()),
        })
    }
}

/// A server with such an inbox, and a client of it.
pub(crate) async fn receiver(tls: bool) -> (Server, Arc<Inbox>, RemotePeer) {
    let inbox = Arc::new(Inbox::default());
    let memory = MemorySource::new();
    let mut setup = if tls { Setup::tls(&memory) } else { Setup::plain(&memory) };
    setup.receiver = Some(inbox.clone());
    let server = setup.start().await;
    let peer = if tls { server.tls() } else { server.plain() };
    (server, inbox, peer)
}

/// A server to be started.
pub(crate) struct Setup {
    pub(crate) source: Arc<dyn PieceSource>,
    pub(crate) receiver: Option<Arc<dyn PushReceiver>>,
    /// Who decides; `None`: a [`Guard`].
    pub(crate) guard: Option<Arc<dyn TransferGuard>>,
    pub(crate) slots: usize,
    pub(crate) limits: ServerLimits,
    pub(crate) key: Option<PeerKey>,
}

impl Setup {
    pub(crate) fn plain(source: &MemorySource) -> Self {
        Self {
            source: Arc::new(source.clone()),
            receiver: None,
            guard: None,
            slots: 8,
            limits: ServerLimits::default(),
            key: None,
        }
    }

    pub(crate) fn tls(source: &MemorySource) -> Self {
        Self { key: Some(PeerKey::generate().unwrap()), ..Self::plain(source) }
    }

    pub(crate) async fn start(self) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let guard = Arc::new(Guard::default());
        let slots = UploadSlots::new(NonZeroUsize::new(self.slots).unwrap(), 256);
        let services = ServerServices {
            source: Arc::new(OpenSource::new(self.source)),
            guard: self.guard.unwrap_or_else(|| guard.clone()),
            receiver: self.receiver,
            slots: slots.clone(),
            upload_rate: RateLimit::unlimited(),
            uploads: Uploads::default(),
        };
        let security = match &self.key {
            None => ServerSecurity::Plain,
            Some(key) => ServerSecurity::Tls(PeerTls::new(key).unwrap()),
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            serve(listener, services, security, self.limits, stopped).await.unwrap();
        });
        // A plain server has no key; its id is only a name for it.
        let key = self.key.unwrap_or_else(|| PeerKey::generate().unwrap());
        Server { addr, guard, slots, stop, task, key }
    }
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) guard: Arc<Guard>,
    pub(crate) slots: UploadSlots,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    pub(crate) key: PeerKey,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) fn peer_addr(&self) -> PeerAddr {
        PeerAddr::from_socket(self.addr).unwrap()
    }

    /// A client in plain text.
    pub(crate) fn plain(&self) -> RemotePeer {
        self.client(ClientSecurity::Plain)
    }

    /// A client with a new key of its own.
    pub(crate) fn tls(&self) -> RemotePeer {
        self.client(client_tls(&PeerKey::generate().unwrap()))
    }

    pub(crate) fn client(&self, security: ClientSecurity) -> RemotePeer {
        PeerConnector::new(security, ClientLimits::default())
            .peer(self.key.peer_id(), vec![self.peer_addr()])
    }
}

pub(crate) fn client_tls(key: &PeerKey) -> ClientSecurity {
    ClientSecurity::Tls(PeerTls::new(key).unwrap())
}

/// Gives these grants one after the other as they are refused; the last one forever.
pub(crate) struct Grants(Mutex<Vec<String>>);

impl Grants {
    pub(crate) fn of(user: &str) -> Arc<Self> {
        Self::these(&[&format!("{}{user}", Guard::GRANT)])
    }

    pub(crate) fn these(grants: &[&str]) -> Arc<Self> {
        let grants = grants.iter().rev().map(|&grant| grant.to_owned());
        Arc::new(Self(Mutex::new(grants.collect())))
    }
}

#[async_trait]
impl GrantProvider for Grants {
    async fn grant(&self, _request: &GrantRequest) -> Result<String, TransferError> {
        Ok(self.0.lock().unwrap().last().cloned().unwrap())
    }

    fn refused(&self, _request: &GrantRequest, grant: &str) {
        let mut grants = self.0.lock().unwrap();
        if grants.len() > 1 && grants.last().unwrap() == grant {
            grants.pop();
        }
    }
}

pub(crate) fn source_of(peer: &RemotePeer, user: &str) -> RemoteSource {
    peer.source(Grants::of(user))
}

/// Bytes that do not repeat from piece to piece.
pub(crate) fn bytes(len: usize) -> Bytes {
    let numbers = (0_u32..).flat_map(|number| blake3_like(number).to_le_bytes());
    numbers.take(len).collect()
}

fn blake3_like(number: u32) -> u32 {
    number.wrapping_mul(0x9e37_79b9) ^ (number >> 7)
}

pub(crate) const PIECE: usize = PIECE_LEN as usize;

pub(crate) fn name(text: &str) -> SharePath {
    text.parse().unwrap()
}

/// All segments of a fetch.
pub(crate) async fn segments(stream: SegmentStream) -> Result<Vec<Segment>, TransferError> {
    let mut segments = Vec::new();
    let mut stream = stream;
    while let Some(event) = within(stream.next()).await {
        if let FetchEvent::Segment(segment) = event? {
            segments.push(segment);
        }
    }
    Ok(segments)
}

/// The bytes of a whole content.
pub(crate) async fn whole(
    source: &dyn PieceSource,
    content: &ContentId,
) -> Result<Vec<u8>, TransferError> {
    let segments = segments(source.fetch(content, &[]).await?).await?;
    Ok(segments.iter().flat_map(|segment| segment.data.iter().copied()).collect())
}

/// The answer, unless it takes so long that it will never come.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("something hangs")
}

/// Waits until the condition holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    within(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A source whose fetches give one segment, then nothing, and never end.
pub(crate) struct Hanging(pub(crate) MemorySource);

#[async_trait]
impl PieceSource for Hanging {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.0.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.0.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let first = self.0.fetch(content, runs).await?.take(1);
        Ok(first.chain(futures::stream::pending()).boxed())
    }
}

/// A source that fails with this error in everything.
pub(crate) struct Failing(pub(crate) TransferError);

#[async_trait]
impl PieceSource for Failing {
    async fn manifest(&self, _content: &ContentId) -> Result<Manifest, TransferError> {
        Err(self.0.clone())
    }

    async fn have(&self, _content: &ContentId) -> Result<HaveStream, TransferError> {
        Err(self.0.clone())
    }

    async fn fetch(
        &self,
        _content: &ContentId,
        _runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        Err(self.0.clone())
    }
}
