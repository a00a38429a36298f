//! gRPC clients that are not of this project.

// Each program of tests uses a part of it.
#![allow(dead_code)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use p2pshare_core::identity::PeerKey;
use p2pshare_peer::net::PeerTls;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::support::Server;

/// A gRPC client that is not of this project, with TLS settings of its own.
pub(crate) async fn stranger(
    server: &Server,
    config: ClientConfig,
) -> Result<Channel, tonic::transport::Error> {
    stranger_at(server.addr, config).await
}

/// The same, to a server at this address.
pub(crate) async fn stranger_at(
    addr: SocketAddr,
    config: ClientConfig,
) -> Result<Channel, tonic::transport::Error> {
    let config = Arc::new(config);
    let connect = tower::service_fn(move |_| {
        let connector = TlsConnector::from(Arc::clone(&config));
        async move {
            let stream = TcpStream::connect(addr).await?;
            let name = "peer".try_into().map_err(io::Error::other)?;
            io::Result::Ok(TokioIo::new(connector.connect(name, stream).await?))
        }
    });
    Endpoint::from_static("http://peer").connect_with_connector(connect).await
}

pub(crate) fn config_of(server: &Server, resolver: Arc<dyn ResolvesClientCert>) -> ClientConfig {
    let tls = PeerTls::new(&PeerKey::generate().unwrap()).unwrap();
    let mut config = tls.for_peer(server.key.peer_id()).unwrap();
    config.client_auth_cert_resolver = resolver;
    config
}

#[derive(Debug)]
pub(crate) struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}
