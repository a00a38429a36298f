//! A server that does not keep to the protocol, and a client that must not fall for it.

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use p2pshare_core::content::{ContentId, Manifest, hash_bytes};
use p2pshare_core::identity::{PeerAddr, PeerKey};
use p2pshare_core::transfer::{MemorySource, PieceSource, TransferError};
use p2pshare_peer::net::{ClientLimits, ClientSecurity, PeerConnector, PushProposal, RemotePeer};
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_response::Event as Answer;
use p2pshare_proto::v1::transfer_server::{Transfer, TransferServer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use crate::support::{Grants, PIECE, bytes, name, segments, source_of, within};

/// Answers every call with the same messages, again and again.
#[derive(Clone, Default)]
struct Script {
    manifest: Vec<v1::ManifestPart>,
    have: Vec<v1::HaveUpdate>,
    fetch: Vec<v1::FetchResponse>,
    push: Vec<v1::PushResponse>,
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

/// The messages, the last of them forever.
fn forever<T: Clone + Send + 'static>(messages: &[T]) -> Result<Response<Answers<T>>, Status> {
    let last = messages.last().cloned();
    let last = stream::iter(last).flat_map(stream::repeat);
    let messages = stream::iter(messages.to_vec()).chain(last);
    Ok(Response::new(messages.map(Ok).boxed()))
}

#[tonic::async_trait]
impl Transfer for Script {
    type ManifestStream = Answers<v1::ManifestPart>;
    type HaveStream = Answers<v1::HaveUpdate>;
    type FetchStream = Answers<v1::FetchResponse>;
    type PushStream = Answers<v1::PushResponse>;

    async fn manifest(
        &self,
        _request: Request<v1::ManifestRequest>,
    ) -> Result<Response<Self::ManifestStream>, Status> {
        forever(&self.manifest)
    }

    async fn have(
        &self,
        _request: Request<v1::HaveRequest>,
    ) -> Result<Response<Self::HaveStream>, Status> {
        forever(&self.have)
    }

    async fn fetch(
        &self,
        _request: Request<v1::FetchRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        forever(&self.fetch)
    }

    async fn push(
        &self,
        request: Request<Streaming<v1::PushRequest>>,
    ) -> Result<Response<Self::PushStream>, Status> {
        // Takes whatever comes.
        tokio::spawn(request.into_inner().for_each(|_| async {}));
        forever(&self.push)
    }
}

async fn peer(script: Script) -> RemotePeer {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = PeerAddr::from_socket(listener.local_addr().unwrap()).unwrap();
    let server = tonic::transport::Server::builder().add_service(TransferServer::new(script));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let id = PeerKey::generate().unwrap().peer_id();
    PeerConnector::new(ClientSecurity::Plain, ClientLimits::default()).peer(id, vec![addr])
}

fn part(manifest: &Manifest, values: &[u8]) -> v1::ManifestPart {
    v1::ManifestPart {
        head: Some(v1::ManifestHead {
            length: manifest.len(),
            tail: Bytes::copy_from_slice(manifest.tail()),
        }),
        chaining_values: Bytes::copy_from_slice(values),
    }
}

#[tokio::test]
async fn wrong_manifests_are_refused() {
    let manifest = hash_bytes(&bytes(2 * PIECE));
    let values = manifest.chaining_values().as_flattened();
    let mut forged = values.to_vec();
    forged[0] ^= 1;
    let too_long = v1::ManifestHead { length: u64::MAX, tail: Bytes::new() };
    let scripts = [
        vec![part(&manifest, &forged)],
        vec![part(&manifest, &[values, values].concat())],
        vec![part(&manifest, &values[1..])],
        // Empty parts, heads, and what is too much, without end.
        vec![part(&manifest, &[]), v1::ManifestPart::default()],
        vec![part(&manifest, &[])],
        vec![part(&manifest, values), v1::ManifestPart::default()],
        vec![v1::ManifestPart::default()],
        vec![v1::ManifestPart { head: Some(too_long), chaining_values: Bytes::new() }],
        // More than fits into a message of this kind.
        vec![part(&manifest, &vec![0; 300 << 10])],
        vec![],
    ];
    for manifest_parts in scripts {
        let script = Script { manifest: manifest_parts, ..Script::default() };
        let remote = source_of(&peer(script).await, "anna");
        let error = within(remote.manifest(&manifest.id())).await.unwrap_err();
        assert!(error.is_lie(), "{error:?}");
    }
}

#[tokio::test]
async fn updates_without_end_are_refused() {
    let run = v1::PieceRun { start: 0, count: 1 };
    let growing = v1::HaveUpdate { gained: vec![run; 4096], continues: true, complete: false };
    let empty = v1::HaveUpdate { continues: true, ..v1::HaveUpdate::default() };
    let long = v1::HaveUpdate { gained: vec![run; 5000], ..v1::HaveUpdate::default() };
    for update in [growing, empty, long] {
        let script = Script { have: vec![update], ..Script::default() };
        let remote = source_of(&peer(script).await, "anna");
        let mut have = within(remote.have(&ContentId::of(b""))).await.unwrap();
        let error = within(have.next()).await.unwrap().unwrap_err();
        assert!(matches!(error, TransferError::Protocol(_)), "{error:?}");
        assert!(within(have.next()).await.is_none());
    }
}

#[tokio::test]
async fn what_is_no_answer_to_a_fetch_is_refused() {
    let nothing = v1::FetchResponse { event: None };
    let huge = v1::FetchResponse {
        event: Some(v1::fetch_response::Event::Segment(v1::Segment {
            offset: 0,
            data: bytes(2 * PIECE),
        })),
    };
    for response in [nothing, huge] {
        let script = Script { fetch: vec![response], ..Script::default() };
        let remote = source_of(&peer(script).await, "anna");
        let stream = remote.fetch(&ContentId::of(b""), &[]).await.unwrap();
        let error = segments(stream).await.unwrap_err();
        assert!(matches!(error, TransferError::Protocol(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_plays_tricks_gets_no_more_than_the_content() {
    let memory = MemorySource::new();
    let manifest = memory.insert(bytes(3 * PIECE));
    let wanted = |start, count| {
        let runs = vec![v1::PieceRun { start, count }];
        Answer::Wanted(v1::PushWanted { runs })
    };
    let receipt = Answer::Receipt(v1::PushReceipt { name: "../../etc/passwd".to_owned() });
    let nothing = Answer::Wanted(v1::PushWanted::default());
    // The same piece forever, pieces that are not there, nothing, a name that leads elsewhere.
    for answer in [wanted(0, 1), wanted(2, 2), wanted(0, 0), nothing, receipt] {
        let script =
            Script { push: vec![v1::PushResponse { event: Some(answer) }], ..Script::default() };
        let peer = peer(script).await;
        let proposal = PushProposal { name: name("a"), manifest: manifest.clone() };
        let grants = Grants::of("anna");
        let push = peer.push(&proposal, &memory, &*grants, &|_| {});
        let error = within(push.boxed()).await.unwrap_err();
        assert!(matches!(error, TransferError::Protocol(_)), "{error:?}");
    }
}
