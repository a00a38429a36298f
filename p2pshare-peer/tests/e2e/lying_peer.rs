//! Peers that lie: made of this library, known to the index as any other.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use bytes::Bytes;
use p2pshare_core::{
    api::{CatalogChange, Entry, Login, PublishRequest, Register, Visibility},
    auth::Password,
    content::{ContentId, hash_bytes},
    identity::{PeerAddr, PeerKey, Username},
    testing::{Fault, FaultySource},
    time::SystemClock,
    transfer::{MemorySource, OpenSource, PieceSource, RateLimit, UploadSlots},
};
use p2pshare_peer::{
    account::SavedSession,
    guard::GrantGuard,
    index_client::{IndexClient, IndexUrl},
    index_keys::IndexKeys,
    net::{PeerTls, ServerLimits, ServerSecurity, ServerServices, Uploads, serve},
    publish::OwnPeer,
};
use tokio::net::TcpListener;

use crate::support::{Index, MIB, PASSWORD, Peer, assert_bytes, noise, tree};

/// A peer of a new user `liar`, who offers `content` as `film` of this size and serves `source`, while the runtime lives.
async fn liar(index: &Index, content: ContentId, size: usize, source: Arc<dyn PieceSource>) {
    let url: IndexUrl = index.url().parse().unwrap();
    let client = IndexClient::new(std::slice::from_ref(&url), Duration::from_secs(60)).unwrap();
    let username: Username = "liar".parse().unwrap();
    let password = || Password::new(PASSWORD.to_owned()).unwrap();
    let register = Register { username: username.clone(), password: password(), invite: None };
    client.register(&register).await.unwrap();
    let opened = client.log_in(&Login { username, password: password() }).await.unwrap();
    let keys = opened.index.public_keys.clone();
    let session = SavedSession::new(&[url], opened, keys);
    let client = client.with_session(session.token.clone());

    let key = PeerKey::generate().unwrap();
    let tls = PeerTls::new(&key).unwrap();
    let peer = OwnPeer::new(
        client.clone(),
        session.username.clone(),
        IndexKeys::new(&session, None),
        Arc::new(key),
    );
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = PeerAddr::from_socket(listener.local_addr().unwrap()).unwrap();
    let clock = Arc::new(SystemClock);
    let services = ServerServices {
        source: Arc::new(OpenSource::new(source)),
        guard: Arc::new(GrantGuard::new(session.public_keys, peer.id(), clock)),
        receiver: None,
        slots: UploadSlots::new(NonZeroUsize::MIN, 16),
        upload_rate: RateLimit::unlimited(),
        uploads: Uploads::default(),
    };
    let (security, limits) = (ServerSecurity::Tls(tls), ServerLimits::default());
    tokio::spawn(serve(listener, services, security, limits, std::future::pending()));

    peer.announce(vec![address]).await.unwrap();
    let entry = Entry {
        path: "film".parse().unwrap(),
        content,
        size: size as u64,
        visibility: Visibility::Public,
    };
    let request = PublishRequest::new(vec![CatalogChange::Publish(entry)]);
    client.publish(&peer.id(), &request).await.unwrap();
}

fn lying(bytes: &[u8], fault: Fault) -> Arc<dyn PieceSource> {
    let honest = MemorySource::new();
    honest.insert(Bytes::copy_from_slice(bytes));
    Arc::new(FaultySource::new(Arc::new(honest), [fault]))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn what_a_liar_sends_is_refused() {
    let large = noise(3 * MIB + 9, 101);
    let small = noise(5000, 102);
    let wrong = hash_bytes(&noise(3 * MIB + 9, 103));
    for (bytes, fault) in [
        (&large, Fault::CorruptByte(2 * MIB as u64 + 7)),
        (&large, Fault::LyingManifest(wrong)),
        (&large, Fault::WrongOffset(1)),
        (&small, Fault::CorruptByte(17)),
        (&small, Fault::TooMuch),
    ] {
        let index = Index::start();
        let bob = Peer::registered(&index, "bob");
        let runtime = runtime();
        let told = format!("{fault:?}").chars().take(40).collect::<String>();
        runtime.block_on(liar(&index, ContentId::of(bytes), bytes.len(), lying(bytes, fault)));

        let ended = bob.run(["get", "liar:/film"]);
        assert_eq!(ended.code, Some(6), "{told}\n{}", ended.story());
        let (message, _) = ended.error();
        assert!(message.contains("liar"), "{told}: it does not say who lied: {message}");
        assert!(!bob.path("film").exists(), "{told}");
    }
}

#[test]
fn what_a_liar_sends_the_running_peer_is_refused() {
    let index = Index::start();
    let bob = Peer::registered(&index, "bob");
    let _node = bob.serve(&["--ui", "127.0.0.1:0"]);
    let bytes = noise(3 * MIB + 9, 108);
    let runtime = runtime();
    let source = lying(&bytes, Fault::CorruptByte(MIB as u64 + 7));
    runtime.block_on(liar(&index, ContentId::of(&bytes), bytes.len(), source));

    let ended = bob.run(["get", "liar:/film"]);
    assert_eq!(ended.code, Some(6), "{}", ended.story());
    assert!(ended.error().0.contains("liar"), "it does not say who lied: {}", ended.story());
    let download = bob.ok(["downloads", "--all"]).one("download");
    assert_eq!(
        (&download["state"], &download["cause"]),
        (&"failed".into(), &"verification".into())
    );
    assert!(!bob.path("film").exists());
}

#[test]
fn one_honest_source_is_enough_and_the_liar_is_named() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(8 * MIB, 104);
    let id = alice.share_file("film", &bytes);
    let _serving = alice.serve(&["--upload-limit", "4MiB"]);
    let runtime = runtime();
    let source = lying(&bytes, Fault::CorruptByte(5));
    runtime.block_on(liar(&index, ContentId::of(&bytes), bytes.len(), source));
    bob.ok(["get", &id]);
    assert_bytes(&bob.path("film"), &bytes);
    assert_eq!(tree(&bob.home()).len(), 1);
}

#[test]
fn a_wrong_size_at_the_index_makes_nothing_wrong() {
    for (len, told) in
        [(3 * MIB, 5), (3 * MIB, 3 * MIB - 1), (3 * MIB, 30 * MIB), (5, 3 * MIB), (5, 0), (0, 5)]
    {
        let index = Index::start();
        let bob = Peer::registered(&index, "bob");
        let bytes = noise(len, 105);
        let runtime = runtime();
        let source = MemorySource::new();
        source.insert(Bytes::copy_from_slice(&bytes));
        runtime.block_on(liar(&index, ContentId::of(&bytes), told, Arc::new(source)));
        let ended = bob.run(["get", "liar:/film"]);
        assert_eq!(ended.code, Some(0), "{len} told as {told}\n{}", ended.story());
        assert_bytes(&bob.path("film"), &bytes);
        assert_eq!(tree(&bob.home()).len(), 1, "{:?}", tree(&bob.home()));
    }
}

#[test]
fn who_has_not_what_it_offers_is_no_source() {
    for (seed, told) in [(106, 5), (107, 5 * MIB)] {
        let index = Index::start();
        let bob = Peer::registered(&index, "bob");
        let runtime = runtime();
        let nothing = Arc::new(MemorySource::new());
        runtime.block_on(liar(&index, ContentId::of(&noise(10, seed)), told, nothing));
        let said = bob.fails(5, ["get", "liar:/film"]);
        assert!(said.contains("liar") && said.contains("does not have"), "{said}");
        assert!(tree(&bob.home()).is_empty());
    }
}
