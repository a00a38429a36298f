//! A peer that says what a test tells it to.

// Each program of tests uses a part of it.
#![allow(dead_code)]

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use p2pshare_core::content::Manifest;
use p2pshare_core::identity::{PeerAddr, PeerKey};
use p2pshare_peer::net::{ClientLimits, ClientSecurity, PeerConnector, PeerTls, RemotePeer};
use p2pshare_proto::v1;
use p2pshare_proto::v1::transfer_server::{Transfer, TransferServer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use crate::support::client_tls;

/// Answers every call with the same messages.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) manifest: Vec<v1::ManifestPart>,
    pub(crate) have: Vec<v1::HaveUpdate>,
    pub(crate) fetch: Vec<v1::FetchResponse>,
    pub(crate) push: Vec<v1::PushResponse>,
    /// After the last message.
    pub(crate) then: Then,
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// How an answer goes on after its last message.
#[derive(Clone, Copy, Default)]
pub(crate) enum Then {
    /// With the last message, forever.
    #[default]
    Repeat,
    /// It ends well.
    End,
    /// With nothing, forever.
    Hang,
}

impl Script {
    fn answer<T: Clone + Send + 'static>(
        &self,
        messages: &[T],
    ) -> Result<Response<Answers<T>>, Status> {
        let last = stream::iter(messages.last().cloned());
        let rest = match self.then {
            Then::Repeat => last.flat_map(stream::repeat).boxed(),
            Then::End => stream::empty().boxed(),
            Then::Hang => stream::pending().boxed(),
        };
        Ok(Response::new(stream::iter(messages.to_vec()).chain(rest).map(Ok).boxed()))
    }
}

#[tonic::async_trait]
impl Transfer for Script {
    type ManifestStream = Answers<v1::ManifestPart>;
    type HaveStream = Answers<v1::HaveUpdate>;
    type FetchStream = Answers<v1::FetchResponse>;
    type FetchManyStream = Answers<v1::FetchResponse>;
    type PushStream = Answers<v1::PushResponse>;

    async fn manifest(
        &self,
        _request: Request<v1::ManifestRequest>,
    ) -> Result<Response<Self::ManifestStream>, Status> {
        self.answer(&self.manifest)
    }

    async fn have(
        &self,
        _request: Request<v1::HaveRequest>,
    ) -> Result<Response<Self::HaveStream>, Status> {
        self.answer(&self.have)
    }

    async fn fetch(
        &self,
        _request: Request<v1::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        self.answer(&self.fetch)
    }

    async fn fetch_many(
        &self,
        _request: Request<v1::FetchManyRequest>,
    ) -> Result<Response<Self::FetchManyStream>, Status> {
        self.answer(&self.fetch)
    }

    async fn push(
        &self,
        request: Request<Streaming<v1::PushRequest>>,
    ) -> Result<Response<Self::PushStream>, Status> {
        // Takes whatever comes.
        tokio::spawn(request.into_inner().for_each(|_| async {}));
        self.answer(&self.push)
    }
}

impl Script {
    /// Serves it in plain text; gives a client of it.
    pub(crate) async fn start_plain(self) -> RemotePeer {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = PeerAddr::from_socket(listener.local_addr().unwrap()).unwrap();
        let server = tonic::transport::Server::builder().add_service(TransferServer::new(self));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        let id = PeerKey::generate().unwrap().peer_id();
        PeerConnector::new(ClientSecurity::Plain, ClientLimits::default()).peer(id, vec![addr])
    }

    /// Serves it with a key of its own; gives a client of it.
    pub(crate) async fn start_tls(self, limits: ClientLimits) -> RemotePeer {
        let key = PeerKey::generate().unwrap();
        let acceptor = TlsAcceptor::from(PeerTls::new(&key).unwrap().server_config());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = PeerAddr::from_socket(listener.local_addr().unwrap()).unwrap();
        let accepted = TcpListenerStream::new(listener).then(move |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream?).await }
        });
        let server = tonic::transport::Server::builder().add_service(TransferServer::new(self));
        tokio::spawn(server.serve_with_incoming(accepted));
        let own = PeerKey::generate().unwrap();
        PeerConnector::new(client_tls(&own), limits).peer(key.peer_id(), vec![addr])
    }
}

/// A part of a manifest with its head and these values.
pub(crate) fn part(manifest: &Manifest, values: &[u8]) -> v1::ManifestPart {
    v1::ManifestPart {
        head: Some(v1::ManifestHead {
            length: manifest.len(),
            tail: Bytes::copy_from_slice(manifest.tail()),
        }),
        chaining_values: Bytes::copy_from_slice(values),
    }
}
