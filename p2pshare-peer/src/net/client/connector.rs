//! Making connections to peers.

use std::io;
use std::sync::Arc;

use p2pshare_core::identity::{Host, PeerAddr, PeerId};
use p2pshare_core::transfer::TransferError;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::channel::Channel;
use super::dial::first_to_connect;
use super::remote::RemotePeer;
use crate::net::io::{BoxIo, Counted, ReadAhead, Received, TLS_BUFFER};
use crate::net::limits::ClientLimits;
use crate::net::tls::{PeerTls, server_name};

/// Most addresses of one peer that are tried.
const MAX_ADDRS: usize = 16;

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
}

impl PeerConnector {
    /// A connector with this security and these limits.
    pub fn new(security: ClientSecurity, limits: ClientLimits) -> Self {
        Self { security, limits: Arc::new(limits) }
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
        if addrs.is_empty() {
            let error = format!("no address of peer {} is known", id.short());
            return Err(TransferError::Unavailable(error));
        }
        let tls = match &self.security {
            ClientSecurity::Plain => None,
            ClientSecurity::Tls(tls) => Some(Arc::new(tls.for_peer(id).map_err(io::Error::other)?)),
        };
        let targets = addrs.iter().take(MAX_ADDRS);
        let connected = first_to_connect(targets, self.limits.connect_stagger, |addr| {
            self.connect_to(id, addr, tls.clone())
        });
        connected.await.map_err(|errors| {
            let reasons = errors.join("; ");
            TransferError::Unavailable(format!("peer {}: {reasons}", id.short()))
        })
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
        let limits = &self.limits;
        let connect = async {
            let (io, received) = connect_io(id, addr, tls).await?;
            Channel::open(io, received, id, &limits.http2).await
        };
        match timeout(limits.connect_timeout, connect).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(format!("{addr}: {error}")),
            Err(_) => Err(format!("{addr}: no answer in {:?}", limits.connect_timeout)),
        }
    }
}

async fn connect_io(
    id: PeerId,
    addr: &PeerAddr,
    tls: Option<Arc<ClientConfig>>,
) -> io::Result<(BoxIo, Received)> {
    let stream = match addr {
        PeerAddr::Tcp { host, port } => connect_tcp(host, port.get()).await?,
        _ => {
            let error = "this version does not know this kind of address";
            return Err(io::Error::new(io::ErrorKind::Unsupported, error));
        }
    };
    stream.set_nodelay(true)?;
    let (stream, received) = Counted::new(stream);
    let Some(config) = tls else {
        return Ok((Box::new(stream), received));
    };
    let connector = TlsConnector::from(config);
    let connect = connector.connect_with(server_name(id), ReadAhead::new(stream), |tls| {
        tls.set_buffer_limit(Some(TLS_BUFFER));
    });
    Ok((Box::new(connect.await.map_err(explain)?), received))
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
