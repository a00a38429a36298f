//! Downloading very many small files.
#![allow(missing_docs, clippy::unwrap_used)]

#[allow(dead_code, reason = "each program of tests uses a part of it")]
mod with_index;

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    ops::Bound,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use p2pshare_core::{
    api::{Entry, Visibility},
    content::{ContentId, Manifest, PieceRun},
    path::SharePath,
    transfer::{
        Durability, HaveStream, MemorySource, OpenSource, PieceSource, RateLimit, SegmentStream,
        TransferError,
    },
};
use p2pshare_peer::{
    catalog::PartialSources,
    daemon::{CollectionShares, DaemonEvent, upload_slots},
    download::{DownloadOptions, JobProgress, Locator, SMALL_GROUP, Wanted, run},
    net::{ClientLimits, ClientSecurity, PeerConnector, PeerPool, PeerTls, PoolLimits},
    publish::{Collection, CollectionError},
};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use with_index::{join, start_index, start_sharing};

const FILES: usize = SMALL_GROUP + 100;

struct Files(BTreeMap<SharePath, Entry>);

#[async_trait]
impl Collection for Files {
    async fn entries(
        &self,
        after: Option<&SharePath>,
        limit: u16,
    ) -> Result<Vec<Entry>, CollectionError> {
        let after = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let page = self.0.range((after, Bound::Unbounded)).take(limit.into());
        Ok(page.map(|(_, entry)| entry.clone()).collect())
    }
}

/// Gives one content only when all others were asked for.
struct FirstComesLast {
    inner: MemorySource,
    first: ContentId,
    asked: watch::Sender<usize>,
}

#[async_trait]
impl PieceSource for FirstComesLast {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.inner.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.inner.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        if *content == self.first {
            self.asked.subscribe().wait_for(|asked| *asked == FILES - 1).await.unwrap();
        } else {
            self.asked.send_modify(|asked| *asked += 1);
        }
        self.inner.fetch(content, runs).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_file_that_takes_long_keeps_no_other_from_coming() {
    let index = start_index().await;
    let (alice, bob) = (join("alice", &index).await, join("bob", &index).await);
    let inner = MemorySource::new();
    let files: Vec<_> = (0..FILES)
        .map(|number| {
            let text = format!("the text of number {number}");
            let entry = Entry {
                path: format!("{number:05}").parse().unwrap(),
                content: inner.insert(text.clone()).id(),
                size: text.len() as u64,
                visibility: Visibility::Public,
            };
            (entry, text)
        })
        .collect();
    let first = files[0].0.content;
    let source = FirstComesLast { inner, first, asked: watch::Sender::new(0) };
    let list = files.iter().map(|(entry, _)| (entry.path.clone(), entry.clone())).collect();
    let source = Arc::new(OpenSource::new(Arc::new(source)));
    let shared = Arc::new(CollectionShares::new(source, Arc::new(Files(list))));

    let (ready, is_ready) = oneshot::channel();
    let ready = Mutex::new(Some(ready));
    let events = Arc::new(move |event: DaemonEvent| {
        if matches!(event, DaemonEvent::Ready { .. }) {
            let _ = ready.lock().unwrap().take().unwrap().send(());
        }
    });
    let stop = CancellationToken::new();
    start_sharing(&alice, shared, &PartialSources::new(), &stop, events, |options| {
        options.upload_slots = upload_slots(NonZeroUsize::new(8).unwrap());
    });
    is_ready.await.unwrap();

    let tls = PeerTls::new(bob.key()).unwrap();
    let connector = PeerConnector::new(ClientSecurity::Tls(tls), ClientLimits::default());
    let pool = Arc::new(PeerPool::new(connector, PoolLimits::default()));
    let locator = Locator::new(bob, pool, RateLimit::unlimited());
    let folder = tempfile::tempdir().unwrap();
    let target = |entry: &Entry| folder.path().join(entry.path.as_str());
    let wanted = files.iter().map(|(entry, _)| Wanted {
        content: entry.content,
        size: entry.size,
        target: target(entry),
    });
    let options = DownloadOptions { durability: Durability::None, ..DownloadOptions::default() };
    let (progress, never) = (JobProgress::default(), CancellationToken::new());
    let report = run(locator, wanted.collect(), options, &progress, &|_| (), &never).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!(report.fetched, FILES as u64);
    for (entry, text) in &files {
        assert_eq!(fs::read_to_string(target(entry)).unwrap(), *text);
    }
    stop.cancel();
}
