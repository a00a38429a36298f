//! A daemon that serves downloads: the index knows of each for as long as it runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod with_index;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use p2pshare_core::{
    api::{CatalogChange, Entry, GrantRequest, PublishRequest, SourceKind, Visibility},
    content::{PIECE_LEN, PieceIndex, PieceRun, hash_bytes},
    testing::sample,
    transfer::{FetchEvent, MemorySource, RateLimit, TransferError},
};
use p2pshare_peer::{
    catalog::PartialSources,
    data_dir::DataDir,
    download::{Age, Locator},
    net::{ClientLimits, ClientSecurity, PeerConnector, PeerPool, PeerTls, PoolLimits},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use with_index::{join, serve, start_index};

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
    let publish = PublishRequest::new(vec![CatalogChange::Publish(entry)]);
    alice.client().publish(&alice.id(), &publish).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let (partial, stop) = (PartialSources::new(), CancellationToken::new());
    serve(&bob, &DataDir::open(folder.path()).unwrap(), &partial, &stop, |_| ()).await;
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
            if let [source] = &sources().await[..]
                && !partial.is_untold(&id)
            {
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
