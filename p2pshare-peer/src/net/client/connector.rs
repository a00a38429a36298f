//! Making connections to peers.

use std::fmt::Display;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use p2pshare_core::identity::{Host, PeerAddr, PeerId};
use p2pshare_core::transfer::TransferError;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::channel::Channel;
use super::dial::first_to_connect;
use super::nearby::Nearby;
use super::remote::RemotePeer;
use crate::net::io::{BoxIo, Counted, HeadLimit, Prompt, ReadAhead, TLS_BUFFER, Traffic};
use crate::net::limits::ClientLimits;
use crate::net::tls::{PeerTls, server_name};

/// Most addresses of one peer that are tried.
const MAX_ADDRS: usize = 16;

/// Most addresses from the local network that are tried.
const MAX_NEARBY: usize = 4;

/// How long one address from the local network has to itself before the next is tried beside it.
const NEARBY_STAGGER: Duration = Duration::from_millis(50);

/// Beside the error of a connection in plain text.
const PLAIN_HINT: &str =
    "it was asked without encryption, which works only if it serves with --insecure";

/// Instead of the error of a handshake that nobody understood.
const NO_TLS: &str =
    "whoever answers there does not speak TLS (a peer that serves with --insecure does not)";

/// How a client connects to peers.
#[derive(Clone, Debug)]
pub enum ClientSecurity {
    /// Plain text: nothing proves who answers. For loopback, or where somebody chose to be insecure.
    Plain,
    /// TLS 1.3: the client shows its own certificate and accepts only the key of the peer that it wants.
    Tls(PeerTls),
}

/// Connects to peers, all in the same way. A clone is cheap.
#[derive(Clone, Debug)]
pub struct PeerConnector {
    security: ClientSecurity,
    limits: Arc<ClientLimits>,
    nearby: Option<Arc<dyn Nearby>>,
}

/// One way to a peer.
enum Way {
    /// Addresses from the local network.
    Nearby(Vec<SocketAddr>),
    /// An address that the index tells.
    Announced(PeerAddr),
}

impl PeerConnector {
    /// A connector with this security and these limits.
    pub fn new(security: ClientSecurity, limits: ClientLimits) -> Self {
        Self { security, limits: Arc::new(limits), nearby: None }
    }

    /// One that tries addresses from the local network first, and those that are announced a moment later.
    ///
    /// Without TLS nothing would prove who answers there, so then they are not used.
    #[must_use]
    pub fn with_nearby(mut self, nearby: Arc<dyn Nearby>) -> Self {
        self.nearby = matches!(self.security, ClientSecurity::Tls(_)).then_some(nearby);
        self
    }

    /// The peer with this id, reached at one of these addresses, best first. Connects when it is first called.
    pub fn peer(&self, id: PeerId, addrs: Vec<PeerAddr>) -> RemotePeer {
        RemotePeer::new(self.clone(), id, addrs)
    }

    pub(super) fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// Connects to the peer at the first of its addresses where it answers and proves to be who it is.
    pub(super) async fn connect(
        &self,
        id: PeerId,
        addrs: &[PeerAddr],
    ) -> Result<Channel, TransferError> {
        let tls = match &self.security {
            ClientSecurity::Plain => None,
            ClientSecurity::Tls(tls) => Some(Arc::new(tls.for_peer(id).map_err(io::Error::other)?)),
        };
        let known = self.nearby.as_ref().map(|nearby| nearby.addresses(&id)).unwrap_or_default();
        let is_known_nearby = !known.is_empty();
        // Owned: a borrow that lives so long keeps futures from being sent to other threads.
        let mut ways = Vec::with_capacity(addrs.len().min(MAX_ADDRS) + 1);
        if is_known_nearby {
            ways.push(Way::Nearby(known));
        }
        ways.extend(addrs.iter().take(MAX_ADDRS).cloned().map(Way::Announced));
        let connected = first_to_connect(ways, self.limits.connect_stagger, |way| {
            let tls = tls.clone();
            async move {
                match way {
                    Way::Nearby(addresses) => self.connect_nearby(id, addresses, tls).await,
                    Way::Announced(addr) => self.connect_to(id, &addr, tls).await,
                }
            }
        });
        let mut errors = match connected.await {
            Ok(channel) => return Ok(channel),
            Err(errors) => errors,
        };
        // Those who are near may only just be answering.
        if let Some(nearby) = self.nearby.as_ref().filter(|_| !is_known_nearby) {
            let found = nearby.look(&id).await;
            if !found.is_empty() {
                match self.connect_nearby(id, found, tls).await {
                    Ok(channel) => return Ok(channel),
                    Err(error) => errors.push(error),
                }
            }
        }
        let peer = id.short();
        Err(TransferError::Unavailable(match errors.is_empty() {
            true => format!("no address of peer {peer} is known"),
            false => format!("peer {peer}: {}", errors.join("; ")),
        }))
    }

    /// What a connection that broke before it was answered most likely means.
    pub(super) fn explain_broken(&self, error: TransferError) -> TransferError {
        match (&self.security, error) {
            (ClientSecurity::Plain, TransferError::Unavailable(reason)) => {
                TransferError::Unavailable(format!("{reason} ({PLAIN_HINT})"))
            }
            (_, error) => error,
        }
    }

    async fn connect_to(
        &self,
        id: PeerId,
        addr: &PeerAddr,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Channel, String> {
        let tcp = async {
            match addr {
                PeerAddr::Tcp { host, port } => connect_tcp(host, port.get()).await,
                _ => {
                    let error = "this version does not know this kind of address";
                    Err(io::Error::new(io::ErrorKind::Unsupported, error))
                }
            }
        };
        self.connect_over(id, addr, tcp, tls, self.limits.connect_timeout).await
    }

    /// Connects to the first of these addresses that proves to be the peer. A liar among them costs a moment.
    async fn connect_nearby(
        &self,
        id: PeerId,
        addresses: Vec<SocketAddr>,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Channel, String> {
        let time = self.limits.nearby_timeout;
        let tries: Vec<_> = addresses.iter().take(MAX_NEARBY).copied().collect();
        let connected = first_to_connect(tries, NEARBY_STAGGER, |address| {
            self.connect_over(id, address, TcpStream::connect(address), tls.clone(), time)
        });
        connected.await.map_err(|errors| {
            if let Some(nearby) = &self.nearby {
                nearby.failed(&id, &addresses);
            }
            format!("in this network: {}", errors.join("; "))
        })
    }

    async fn connect_over(
        &self,
        id: PeerId,
        place: impl Display,
        tcp: impl Future<Output = io::Result<TcpStream>>,
        tls: Option<Arc<ClientConfig>>,
        time: Duration,
    ) -> Result<Channel, String> {
        let connect = async {
            let (io, traffic) = secure(id, tcp.await?, tls).await?;
            Channel::open(io, traffic, id, &self.limits.http2).await
        };
        match timeout(time, connect).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(format!("{place}: {error}")),
            Err(_) => Err(format!("{place}: no answer in {time:?}")),
        }
    }
}

async fn secure(
    id: PeerId,
    stream: TcpStream,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<(BoxIo, Traffic)> {
    stream.set_nodelay(true)?;
    let (stream, traffic) = Counted::new(stream);
    let Some(config) = tls else {
        return Ok((Box::new(HeadLimit::new(stream)), traffic));
    };
    let connector = TlsConnector::from(config);
    let connect = connector.connect_with(server_name(id), ReadAhead::new(stream), |tls| {
        tls.set_buffer_limit(Some(TLS_BUFFER));
    });
    let stream = Prompt::new(connect.await.map_err(explain)?);
    Ok((Box::new(HeadLimit::new(stream)), traffic))
}

async fn connect_tcp(host: &Host, port: u16) -> io::Result<TcpStream> {
    match host {
        Host::V4(ip) => TcpStream::connect((*ip, port)).await,
        Host::V6(ip) => TcpStream::connect((*ip, port)).await,
        Host::Dns(name) => TcpStream::connect((name.as_str(), port)).await,
    }
}

/// The library's sentence for a wrong key says nothing to people.
fn explain(error: io::Error) -> io::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_)) => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "whoever answers there is not this peer: its key is another",
        ),
        Some(rustls::Error::InvalidMessage(_)) => io::Error::new(error.kind(), NO_TLS),
        None if matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
        ) =>
        {
            io::Error::new(error.kind(), format!("the connection was closed, or {NO_TLS}"))
        }
        _ => error,
    }
}
