//! Clients and servers that do not keep to the protocol.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use p2pshare_core::content::{Manifest, hash_bytes};
use p2pshare_core::transfer::{MemorySource, PushOffer, PushReceiver, PushTarget, TransferError};
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_request::Event;
use p2pshare_proto::v1::transfer_client::TransferClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_response};

use crate::support::{Guard, Inbox, PIECE, Server, Setup, bytes, within};

async fn receiver() -> (Server, Arc<Inbox>) {
    let inbox = Arc::new(Inbox::default());
    let mut setup = Setup::plain(&MemorySource::new());
    setup.receiver = Some(inbox.clone());
    (setup.start().await, inbox)
}

async fn channel(server: &Server) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", server.addr)).unwrap();
    endpoint.connect().await.unwrap()
}

fn granted<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {}mallory", Guard::GRANT);
    request.metadata_mut().insert("authorization", value.parse().unwrap());
    request
}

/// Pushes these messages and gives the status that ends it.
async fn push(server: &Server, events: Vec<Event>) -> Status {
    let messages = events.into_iter().map(|event| v1::PushRequest { event: Some(event) });
    // The stream stays open, so that the server cannot say that it ended.
    let messages = stream::iter(messages.collect::<Vec<_>>());
    let messages = futures::StreamExt::chain(messages, stream::pending());
    let mut client = TransferClient::new(channel(server).await);
    let answers = within(client.push(granted(messages))).await;
    let mut answers = match answers {
        Ok(answers) => answers.into_inner(),
        Err(status) => return status,
    };
    loop {
        match within(answers.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the push was taken"),
            Err(status) => return status,
        }
    }
}

fn offer(manifest: &Manifest, name: &str) -> Event {
    Event::Offer(v1::PushOffer {
        content_id: Bytes::copy_from_slice(manifest.id().as_bytes()),
        name: name.to_owned(),
        length: manifest.len(),
        ..Default::default()
    })
}

fn part(manifest: &Manifest, values: &[u8]) -> Event {
    let head =
        v1::ManifestHead { length: manifest.len(), tail: Bytes::copy_from_slice(manifest.tail()) };
    Event::Manifest(v1::ManifestPart {
        head: Some(head),
        chaining_values: Bytes::copy_from_slice(values),
    })
}

fn segment(offset: u64, data: &Bytes) -> Event {
    let data = data.clone();
    Event::Segment(v1::Segment { offset, data })
}

fn kind(status: &Status) -> &str {
    status.metadata().get("p2pshare-error").unwrap().to_str().unwrap()
}

#[tokio::test]
async fn too_much_of_a_manifest_is_refused() {
    let (server, inbox) = receiver().await;
    let manifest = hash_bytes(&bytes(2 * PIECE));
    let values = manifest.chaining_values().as_flattened();
    let too_many = [values, values].concat();
    let status = push(&server, vec![offer(&manifest, "a"), part(&manifest, &too_many)]).await;
    assert!(kind(&status).starts_with("manifest count"), "{status:?}");
    let ragged = push(&server, vec![offer(&manifest, "a"), part(&manifest, &values[1..])]).await;
    assert_eq!(kind(&ragged), "manifest ragged 63");
    let mut forged = values.to_vec();
    forged[0] ^= 1;
    let forged = push(&server, vec![offer(&manifest, "a"), part(&manifest, &forged)]).await;
    assert_eq!(kind(&forged), "manifest id");
    assert!(inbox.sinks.lock().unwrap().is_empty());
}

/// Takes nothing that is longer than a piece.
struct Narrow;

#[async_trait]
impl PushReceiver for Narrow {
    fn check_length(&self, length: u64) -> Result<(), TransferError> {
        match length > PIECE as u64 {
            true => Err(TransferError::Refused("it is too long".to_owned())),
            false => Ok(()),
        }
    }

    async fn accept(&self, _: &PushOffer) -> Result<PushTarget, TransferError> {
        Err(TransferError::Refused("it is not wanted".to_owned()))
    }
}

/// The manifest of a long one is long, and not waited for.
#[tokio::test]
async fn what_is_too_long_is_refused_before_its_manifest() {
    let mut setup = Setup::plain(&MemorySource::new());
    setup.receiver = Some(Arc::new(Narrow));
    let server = setup.start().await;
    let long = hash_bytes(&bytes(2 * PIECE));
    let status = push(&server, vec![offer(&long, "a")]).await;
    assert_eq!((kind(&status), status.message()), ("refused", "it is too long"));
    let short = hash_bytes(&bytes(PIECE));
    let status = push(&server, vec![offer(&short, "a"), part(&short, &[])]).await;
    assert_eq!((kind(&status), status.message()), ("refused", "it is not wanted"));
}

#[tokio::test]
async fn empty_parts_without_end_are_refused() {
    let (server, _inbox) = receiver().await;
    let manifest = hash_bytes(&bytes(2 * PIECE));
    let empty = || Event::Manifest(v1::ManifestPart::default());
    let messages = vec![offer(&manifest, "a"), part(&manifest, &[]), empty(), empty()];
    assert_eq!(kind(&push(&server, messages).await), "protocol");
}

/// Between two contents of one call may come what is left of the first, no more, and nothing else.
#[tokio::test]
async fn what_is_passed_over_has_an_end() {
    let (server, inbox) = receiver().await;
    let (data, none) = (bytes(1000), hash_bytes(b""));
    let first = hash_bytes(&data);
    let several = |manifest: &Manifest| match offer(manifest, "a") {
        Event::Offer(offer) => {
            let grant = format!("{}mallory", Guard::GRANT);
            Event::Offer(v1::PushOffer { several: true, grant, ..offer })
        }
        other => other,
    };
    let taken = || vec![several(&first), part(&first, &[]), segment(0, &data)];
    let too_much = [vec![segment(0, &data)], vec![segment(0, &data.slice(..1))]].concat();
    let no_grant = match several(&none) {
        Event::Offer(offer) => Event::Offer(v1::PushOffer { grant: String::new(), ..offer }),
        other => other,
    };
    let no_name = match several(&none) {
        Event::Offer(offer) => Event::Offer(v1::PushOffer { name: "../a".to_owned(), ..offer }),
        other => other,
    };
    // From now on the first is there already, so all of its bytes are passed over.
    push_once(&server, taken()).await;
    for (bad, told) in [
        (too_much, "protocol"),
        (vec![part(&none, &[])], "protocol"),
        (vec![segment(0, &Bytes::new())], "protocol"),
        (vec![several(&none), several(&none)], "protocol"),
        (vec![no_grant], "unauthenticated"),
        (vec![no_name], "refused"),
    ] {
        let events = [taken(), bad].concat();
        assert_eq!(kind(&push(&server, events).await), told);
    }
    assert!(inbox.sinks.lock().unwrap().values().any(|sink| sink.finished().is_some()));
}

/// Pushes these messages and waits for one receipt.
async fn push_once(server: &Server, events: Vec<Event>) {
    let messages = events.into_iter().map(|event| v1::PushRequest { event: Some(event) });
    let messages = stream::iter(messages.collect::<Vec<_>>());
    let messages = futures::StreamExt::chain(messages, stream::pending());
    let mut client = TransferClient::new(channel(server).await);
    let mut answers = within(client.push(granted(messages))).await.unwrap().into_inner();
    loop {
        let answer = within(answers.message()).await.unwrap().unwrap();
        if let Some(v1::push_response::Event::Receipt(receipt)) = answer.event {
            assert!(receipt.more);
            return;
        }
    }
}

#[tokio::test]
async fn a_length_that_no_content_has_is_refused() {
    let (server, _inbox) = receiver().await;
    let id = Bytes::copy_from_slice(hash_bytes(b"").id().as_bytes());
    let length = u64::MAX;
    let offer = Event::Offer(v1::PushOffer {
        content_id: id,
        name: "a".to_owned(),
        length,
        ..Default::default()
    });
    let head = Some(v1::ManifestHead { length, tail: Bytes::new() });
    let part = Event::Manifest(v1::ManifestPart { head, chaining_values: Bytes::new() });
    let status = push(&server, vec![offer, part]).await;
    assert!(kind(&status).starts_with("manifest too-long"), "{status:?}");
}

#[tokio::test]
async fn segments_that_were_not_asked_for_are_refused() {
    let (server, _inbox) = receiver().await;
    let data = bytes(2 * PIECE);
    let manifest = hash_bytes(&data);
    let first = data.slice(..1000);
    let bad = [
        // Out of order, beyond a piece, empty, beyond the content, twice.
        vec![segment(PIECE as u64, &first)],
        vec![segment(0, &data.slice(..PIECE)), segment(PIECE as u64 + 1, &first)],
        vec![segment(0, &first), segment(900, &data.slice(900..PIECE + 1))],
        vec![segment(0, &Bytes::new())],
        vec![segment(u64::MAX, &first)],
        vec![segment(0, &first), segment(0, &first)],
    ];
    for segments in bad {
        let values = manifest.chaining_values().as_flattened();
        let mut messages = vec![offer(&manifest, "a"), part(&manifest, values)];
        messages.extend(segments);
        let status = push(&server, messages).await;
        assert_eq!(kind(&status), "protocol", "{status:?}");
    }
}

#[tokio::test]
async fn a_push_must_begin_at_the_beginning() {
    let (server, inbox) = receiver().await;
    let manifest = hash_bytes(&bytes(10));
    let messages = [
        vec![part(&manifest, &[])],
        vec![segment(0, &bytes(10))],
        vec![offer(&manifest, "a"), offer(&manifest, "a")],
        vec![offer(&manifest, "a"), segment(0, &bytes(10))],
    ];
    for messages in messages {
        assert_eq!(kind(&push(&server, messages).await), "protocol");
    }
    assert!(inbox.sinks.lock().unwrap().is_empty());
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused() {
    let (server, inbox) = receiver().await;
    let manifest = hash_bytes(&bytes(10));
    for name in ["../a", "/etc/passwd", "a/../../b", "", "a\0b", "C:\\a", "nul", "a//b"] {
        let status = push(&server, vec![offer(&manifest, name), part(&manifest, &[])]).await;
        assert_eq!((status.code(), kind(&status)), (Code::PermissionDenied, "refused"), "{name}");
    }
    assert!(inbox.sinks.lock().unwrap().is_empty());
}

#[tokio::test]
async fn long_requests_and_bad_ids_are_refused() {
    let memory = MemorySource::new();
    let server = Setup::plain(&memory).start().await;
    let mut client = TransferClient::new(channel(&server).await);
    let content_id = Bytes::from(vec![0; 31]);
    let status = client.manifest(granted(v1::ManifestRequest { content_id })).await;
    assert_eq!(kind(&status.unwrap_err()), "protocol");
    let content_id = Bytes::from(vec![0; 300 << 10]);
    let status = within(client.manifest(granted(v1::ManifestRequest { content_id }))).await;
    assert_eq!(status.unwrap_err().code(), Code::OutOfRange);
    let runs = vec![v1::PieceRun { start: 0, count: 1 }; 5000];
    let content_id = Bytes::from(vec![0; 32]);
    let status =
        within(client.fetch(granted(v1::FetchRequest { content_id, runs, ..Default::default() })))
            .await;
    assert_eq!(kind(&status.unwrap_err()), "protocol");
    let content_id = Bytes::from(vec![0; 32]);
    let runs = vec![v1::PieceRun { start: 0, count: 1 }; 2500];
    let request = v1::FetchRequest { content_id, runs: runs.clone(), others: runs };
    let status = within(client.fetch(granted(request))).await;
    assert_eq!(kind(&status.unwrap_err()), "protocol");
    // Without a credential nobody is told more than that.
    let content_id = Bytes::from(vec![0; 32]);
    let status = within(client.manifest(v1::ManifestRequest { content_id })).await;
    assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn any_grpc_client_can_ask_for_health_and_for_the_protocol() {
    let server = Setup::plain(&MemorySource::new()).start().await;
    within(server.plain().check_health()).await.unwrap();
    let mut client = ServerReflectionClient::new(channel(&server).await);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = client.server_reflection_info(stream::iter([request])).await.unwrap();
    let answer = within(answers.into_inner().message()).await.unwrap().unwrap();
    let Some(server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("a list of services was asked for");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert!(names.contains(&p2pshare_proto::SERVICE_NAME.to_owned()), "{names:?}");
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
}
