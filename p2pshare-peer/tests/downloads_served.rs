//! A daemon that serves downloads: the index knows of each for as long as it runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use p2pshare_core::{
    api::{
        CatalogChange, Entry, GrantRequest, Login, PublishRequest, Register, SourceKind, Visibility,
    },
    auth::{Argon2Authenticator, Argon2Params, GrantSigner, Password, SigningKeys},
    backend::memory::MemoryStore,
    content::{PIECE_LEN, PieceIndex, PieceRun, hash_bytes},
    identity::PeerKey,
    index::{Index, IndexConfig},
    testing::sample,
    time::SystemClock,
    transfer::{FetchEvent, MemorySource, RateLimit, TransferError},
};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use p2pshare_peer::{
    account::SavedSession,
    catalog::{Catalog, PartialSources},
    daemon::{Daemon, DaemonEvent, ServeOptions, upload_slots},
    data_dir::DataDir,
    download::{Age, Locator},
    index_client::{IndexClient, IndexUrl},
    index_keys::IndexKeys,
    net::{
        ClientLimits, ClientSecurity, PeerConnector, PeerPool, PeerTls, PoolLimits, ServerLimits,
        Uploads,
    },
    publish::OwnPeer,
    share::Sharer,
};
use tokio::{net::TcpListener, sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;

/// An index in this process, for as long as the test runs.
async fn start_index() -> IndexUrl {
    let index = Index::new(
        Arc::new(MemoryStore::new()),
        Arc::new(Argon2Authenticator::new(Argon2Params::new(8, 1, 1).unwrap())),
        SigningKeys::new(GrantSigner::generate().unwrap()),
        Arc::new(SystemClock),
        IndexConfig::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let routes = router(index, HttpOptions::default());
    tokio::spawn(p2pshare_index::serve(
        listener,
        routes,
        ServerOptions::default(),
        std::future::pending(),
    ));
    url
}

/// A peer of a new user.
async fn join(name: &str, index: &IndexUrl) -> OwnPeer {
    let urls = [index.clone()];
    let client = IndexClient::new(&urls, Duration::from_secs(10)).unwrap();
    let password = || Password::new("correct horse battery staple".to_owned()).unwrap();
    let username = || name.parse().unwrap();
    let register = Register { username: username(), password: password(), invite: None };
    client.register(&register).await.unwrap();
    let login = Login { username: username(), password: password() };
    let opened = client.log_in(&login).await.unwrap();
    let keys = opened.index.public_keys.clone();
    let session = SavedSession::new(&urls, opened, keys);
    let client = client.with_session(session.token.clone());
    let key = Arc::new(PeerKey::generate().unwrap());
    OwnPeer::new(client, username(), IndexKeys::new(&session, None), key)
}

/// Serves in the background until `stop`; returns once the peer is announced.
async fn serve(me: &OwnPeer, folder: &Path, partial: &PartialSources, stop: &CancellationToken) {
    let dir = DataDir::open(folder).unwrap();
    let catalog = Catalog::open(&dir.catalog()).unwrap();
    let daemon = Daemon {
        peer: me.clone(),
        sharer: Sharer::new(catalog.clone(), &dir),
        catalog,
        partial: partial.clone(),
    };
    let options = ServeOptions {
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: Vec::new(),
        receiver: None,
        upload_slots: upload_slots(NonZeroUsize::MIN),
        upload_limit: RateLimit::unlimited(),
        insecure: false,
        limits: ServerLimits::default(),
        uploads: Uploads::default(),
    };
    let (ready, is_ready) = oneshot::channel();
    let ready = Mutex::new(Some(ready));
    let events = Arc::new(move |event: DaemonEvent| {
        if let DaemonEvent::Ready { .. } = event {
            let _ = ready.lock().unwrap().take().unwrap().send(());
        }
    });
    tokio::spawn(daemon.run(options, events, stop.clone()));
    is_ready.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_in_a_daemon_is_told_of_and_served_while_it_runs() {
    let data: Bytes = sample(3 * PIECE_LEN, 1);
    let manifest = hash_bytes(&data);
    let id = manifest.id();
    let index = start_index().await;
    let (alice, bob) = (join("alice", &index).await, join("bob", &index).await);
    // Alice shares it and is away.
    alice.make_known().await.unwrap();
    let entry = Entry {
        path: "film".parse().unwrap(),
        content: id,
        size: data.len() as u64,
        visibility: Visibility::Public,
    };
    let publish = PublishRequest { changes: vec![CatalogChange::Publish(entry)] };
    alice.client().publish(&alice.id(), &publish).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (partial, stop) = (PartialSources::new(), CancellationToken::new());
    serve(&bob, folder.path(), &partial, &stop).await;
    let sources = async || {
        let request = GrantRequest { contents: vec![id], peer: None, max_sources: None };
        alice.client().grants(&request).await.unwrap().contents.remove(0).sources
    };
    assert!(sources().await.is_empty());

    let download = MemorySource::new();
    download.insert_empty(manifest);
    assert!(download.gain(&id, &data, PieceRun::new(PieceIndex(1), 1)));
    let registration = partial.insert(id, Arc::new(download));
    let told = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if let [source] = &sources().await[..] {
                return (source.peer, source.kind);
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(told.await.unwrap(), (bob.id(), SourceKind::Partial));

    // As any downloader finds it.
    let tls = PeerTls::new(alice.key()).unwrap();
    let connector = PeerConnector::new(ClientSecurity::Tls(tls), ClientLimits::default());
    let pool = Arc::new(PeerPool::new(connector, PoolLimits::default()));
    let locator = Locator::new(alice.clone(), pool, RateLimit::unlimited());
    let own = locator.candidates(&id, Age::Fresh, Some(bob.id())).await.unwrap().unwrap();
    assert!(own.is_empty(), "a download is no source of itself");
    let found = locator.candidates(&id, Age::Fresh, None).await.unwrap().unwrap();
    let source = &found[0].source;
    let mut had = source.have(&id).await.unwrap();
    let first = had.next().await.unwrap().unwrap();
    assert_eq!(first.gained, [PieceRun::new(PieceIndex(1), 1)]);
    let mut segments = source.fetch(&id, &first.gained).await.unwrap();
    let mut got = Vec::new();
    while let Some(event) = segments.next().await {
        if let FetchEvent::Segment(segment) = event.unwrap() {
            got.extend_from_slice(&segment.data);
        }
    }
    let piece = PIECE_LEN as usize;
    assert!(got == data[piece..2 * piece]);
    let mut missing = source.fetch(&id, &[PieceRun::new(PieceIndex(2), 1)]).await.unwrap();
    let missing = missing.next().await.unwrap().unwrap_err();
    assert!(matches!(missing, TransferError::NotHeld(PieceIndex(2))), "{missing:?}");

    drop(registration);
    let gone = tokio::time::timeout(Duration::from_secs(60), async {
        while !sources().await.is_empty() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    gone.await.unwrap();
    stop.cancel();
}
