//! Sending contents to another peer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use p2pshare_core::content::{Manifest, PieceIndex, PieceMismatch, hash_bytes};
use p2pshare_core::identity::Access;
use p2pshare_core::path::SharePath;
use p2pshare_core::transfer::{
    MemorySink, MemorySource, PieceSink, PieceSource, PushOffer, PushReceiver, PushTarget,
    TransferError,
};
use p2pshare_peer::net::{PushProgress, PushProposal, RemotePeer};
use tokio::sync::Notify;

use crate::support::{Failing, Grants, Inbox, PIECE, Setup, bytes, name, receiver, within};

/// Pushes and says how many bytes were sent.
async fn push(
    peer: &RemotePeer,
    manifest: &Manifest,
    source: &dyn PieceSource,
) -> (Result<SharePath, TransferError>, u64) {
    let sent = Mutex::new(0);
    let progress = |progress| {
        if let PushProgress::Sent { bytes } = progress {
            *sent.lock().unwrap() += bytes;
        }
    };
    let proposal = PushProposal { name: name("photos/cat.jpg"), manifest: manifest.clone() };
    let grants = Grants::of("anna");
    let receipt = within(peer.push(&proposal, source, &*grants, &progress)).await;
    (receipt, sent.into_inner().unwrap())
}

#[tokio::test]
async fn a_push_arrives_and_is_confirmed() {
    for tls in [false, true] {
        let (server, inbox, peer) = receiver(tls).await;
        for len in [0, 1, PIECE, 9 * PIECE + 5] {
            let memory = MemorySource::new();
            let manifest = memory.insert(bytes(len));
            let (receipt, sent) = push(&peer, &manifest, &memory).await;
            assert_eq!(receipt.unwrap(), name("from-anna/photos/cat.jpg"));
            assert_eq!(sent, len as u64);
            let key = ("anna".parse().unwrap(), manifest.id());
            let sink = inbox.sinks.lock().unwrap()[&key].clone();
            assert!(sink.finished().unwrap() == bytes(len), "{len} bytes");
            let seen = server.guard.seen.lock().unwrap().pop().unwrap();
            assert_eq!((seen.access, seen.content), (Access::Push, manifest.id()));
        }
    }
}

/// Accepts only once the sender has heard that it has to wait.
struct Pondering {
    inbox: Inbox,
    heard: Arc<Notify>,
}

#[async_trait]
impl PushReceiver for Pondering {
    fn check_length(&self, length: u64) -> Result<(), TransferError> {
        self.inbox.check_length(length)
    }

    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError> {
        self.heard.notified().await;
        self.inbox.accept(offer).await
    }
}

#[tokio::test]
async fn who_pushes_hears_that_the_receiver_is_busy() {
    let heard = Arc::new(Notify::new());
    let mut setup = Setup::plain(&MemorySource::new());
    setup.receiver =
        Some(Arc::new(Pondering { inbox: Inbox::default(), heard: Arc::clone(&heard) }));
    setup.limits.answer_timeout = Duration::from_secs(1);
    let server = setup.start().await;
    let memory = MemorySource::new();
    let manifest = memory.insert(bytes(PIECE));
    let places = Mutex::new(Vec::new());
    let progress = |progress| {
        if let PushProgress::Queued { position } = progress {
            places.lock().unwrap().push(position);
            if places.lock().unwrap().len() == 3 {
                heard.notify_one();
            }
        }
    };
    let proposal = PushProposal { name: name("photos/cat.jpg"), manifest };
    let (peer, grants) = (server.plain(), Grants::of("anna"));
    let receipt = within(peer.push(&proposal, &memory, &*grants, &progress)).await;
    assert_eq!(receipt.unwrap(), name("from-anna/photos/cat.jpg"));
    let places = places.into_inner().unwrap();
    assert!(places.len() >= 3 && places.iter().all(|place| *place == 1), "{places:?}");
}

#[tokio::test]
async fn a_second_push_sends_only_what_is_missing() {
    let (_server, inbox, peer) = receiver(false).await;
    let memory = MemorySource::new();
    let data = bytes(5 * PIECE);
    let manifest = memory.insert(data.clone());
    let sink = MemorySink::new(manifest.clone());
    for piece in [0, 3] {
        let start = piece as usize * PIECE;
        let slice = data.slice(start..start + PIECE);
        sink.put(PieceIndex(piece), vec![slice]).await.unwrap();
    }
    let key = ("anna".parse().unwrap(), manifest.id());
    inbox.sinks.lock().unwrap().insert(key, sink.clone());
    let (receipt, sent) = push(&peer, &manifest, &memory).await;
    receipt.unwrap();
    assert_eq!(sent, 3 * PIECE as u64);
    assert!(sink.finished().unwrap() == data);
    let (again, sent) = push(&peer, &manifest, &memory).await;
    again.unwrap();
    assert_eq!(sent, 0);
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_not_kept() {
    let (_server, inbox, peer) = receiver(false).await;
    let manifest = hash_bytes(&bytes(3 * PIECE));
    let memory = MemorySource::new();
    memory.insert_empty(manifest.clone());
    let wrong = Bytes::from(vec![0; 3 * PIECE]);
    assert!(memory.gain(&manifest.id(), &wrong, manifest.layout().all()));
    let (receipt, _) = push(&peer, &manifest, &memory).await;
    let error = receipt.unwrap_err();
    assert!(matches!(error, TransferError::Mismatch(PieceMismatch::Hash { .. })), "{error:?}");
    let sinks = inbox.sinks.lock().unwrap();
    assert!(sinks.values().all(|sink| sink.held().is_empty()));
}

#[tokio::test]
async fn without_a_receiver_and_without_permission_it_is_refused() {
    let memory = MemorySource::new();
    let manifest = memory.insert(bytes(10));
    let server = Setup::plain(&MemorySource::new()).start().await;
    let (receipt, sent) = push(&server.plain(), &manifest, &memory).await;
    assert!(matches!(receipt, Err(TransferError::Refused(_))), "{receipt:?}");
    assert_eq!(sent, 0);

    let (_server, inbox, peer) = receiver(false).await;
    let proposal = PushProposal { name: name("a"), manifest };
    let grants = Grants::these(&["forged"]);
    let receipt = within(peer.push(&proposal, &memory, &*grants, &|_| {})).await;
    assert!(matches!(receipt, Err(TransferError::Refused(_))), "{receipt:?}");
    assert!(inbox.sinks.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_error_of_the_own_source_is_told() {
    let (_server, _inbox, peer) = receiver(false).await;
    let manifest = hash_bytes(&bytes(PIECE + 1));
    let (receipt, _) = push(&peer, &manifest, &Failing(TransferError::Changed)).await;
    assert!(matches!(receipt, Err(TransferError::Changed)), "{receipt:?}");
}
