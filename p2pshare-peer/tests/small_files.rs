//! Downloading very many small files.
#![allow(missing_docs, clippy::unwrap_used)]

#[allow(dead_code, reason = "each program of tests uses a part of it")]
mod with_index;

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    num::{NonZeroU64, NonZeroUsize},
    ops::Bound,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use p2pshare_core::{
    api::{Entry, Visibility},
    content::{ContentId, Manifest, PieceRun},
    path::SharePath,
    testing::SimpleSource,
    transfer::{
        Durability, HaveStream, MemorySource, OpenSource, PieceSource, RateLimit, SegmentStream,
        SmallContent, TransferError,
    },
};
use p2pshare_peer::{
    catalog::PartialSources,
    daemon::{CollectionShares, DaemonEvent, upload_slots},
    download::{DownloadOptions, JobProgress, JobReport, Locator, SMALL_GROUP, Wanted, run},
    index_client::IndexUrl,
    net::{ClientLimits, ClientSecurity, PeerConnector, PeerPool, PeerTls, PoolLimits},
    publish::{Collection, CollectionError},
};
use tempfile::TempDir;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
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

/// A text that is shared.
struct Text {
    entry: Entry,
    text: String,
}

fn texts(count: usize, source: &MemorySource) -> Vec<Text> {
    long_texts(count, 0, source)
}

/// The same, each about so many bytes long.
fn long_texts(count: usize, len: usize, source: &MemorySource) -> Vec<Text> {
    let text = |number| {
        let text = format!("the text of number {number}{}", ".".repeat(len));
        let entry = Entry {
            path: format!("{number:05}").parse().unwrap(),
            content: source.insert(text.clone()).id(),
            size: text.len() as u64,
            visibility: Visibility::Public,
        };
        Text { entry, text }
    };
    (0..count).map(text).collect()
}

/// An index, somebody who shares texts, and somebody who downloads them.
struct World {
    index: IndexUrl,
    texts: Vec<Text>,
    folder: TempDir,
    stop: CancellationToken,
}

impl World {
    async fn new(texts: Vec<Text>, source: impl PieceSource + 'static) -> Self {
        let index = start_index().await;
        let world = Self {
            index,
            texts,
            folder: tempfile::tempdir().unwrap(),
            stop: CancellationToken::new(),
        };
        world.share("alice", source).await;
        world
    }

    /// Shares all of the texts, as this user has them.
    async fn share(&self, user: &str, source: impl PieceSource + 'static) {
        let entry = |text: &Text| (text.entry.path.clone(), text.entry.clone());
        let list = self.texts.iter().map(entry).collect();
        let source = Arc::new(OpenSource::new(Arc::new(source)));
        let shared = Arc::new(CollectionShares::new(source, Arc::new(Files(list))));
        let (ready, is_ready) = oneshot::channel();
        let ready = Mutex::new(Some(ready));
        let events = Arc::new(move |event: DaemonEvent| {
            if matches!(event, DaemonEvent::Ready { .. }) {
                let _ = ready.lock().unwrap().take().unwrap().send(());
            }
        });
        let user = join(user, &self.index).await;
        let none = PartialSources::new();
        start_sharing(&user, shared, &none, &self.stop, events, |options| {
            options.upload_slots = upload_slots(NonZeroUsize::new(8).unwrap());
        });
        is_ready.await.unwrap();
    }

    fn target(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn wanted(&self) -> Vec<Wanted> {
        let wanted = |Text { entry: Entry { content, size, path, .. }, .. }: &Text| Wanted {
            content: *content,
            size: *size,
            target: self.target(path.as_str()),
        };
        self.texts.iter().map(wanted).collect()
    }

    async fn download(&self, wanted: Vec<Wanted>) -> JobReport {
        self.download_at(RateLimit::unlimited(), wanted).await
    }

    async fn download_at(&self, limit: RateLimit, wanted: Vec<Wanted>) -> JobReport {
        let bob = join("bob", &self.index).await;
        let tls = PeerTls::new(bob.key()).unwrap();
        let connector = PeerConnector::new(ClientSecurity::Tls(tls), ClientLimits::default());
        let pool = Arc::new(PeerPool::new(connector, PoolLimits::default()));
        let locator = Locator::new(bob, pool, limit);
        let options = DownloadOptions { durability: Durability::None, ..Default::default() };
        let (progress, never) = (JobProgress::default(), CancellationToken::new());
        run(locator, wanted, options, &progress, &|_| (), &never).await
    }

    fn check_all(&self, report: &JobReport) {
        assert!(report.failed.is_empty(), "{:?}", report.failed);
        assert_eq!(report.fetched, self.texts.len() as u64);
        for Text { entry, text } in &self.texts {
            assert_eq!(fs::read_to_string(self.target(entry.path.as_str())).unwrap(), *text);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
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
    let inner = MemorySource::new();
    let texts = texts(FILES, &inner);
    let first = texts[0].entry.content;
    let source = FirstComesLast { inner, first, asked: watch::Sender::new(0) };
    let world = World::new(texts, source).await;
    world.check_all(&world.download(world.wanted()).await);
}

/// Counts what it is asked for, and gives some things only in calls for one.
#[derive(Clone)]
struct Counted {
    inner: MemorySource,
    /// What it leaves out.
    left_out: Arc<HashSet<ContentId>>,
    /// After so many contents of a call it fails, or else falls silent.
    ends_after: usize,
    fails: bool,
    one: watch::Sender<usize>,
    together: watch::Sender<usize>,
    /// Contents that calls for many gave, at the most.
    given: watch::Sender<usize>,
}

impl Counted {
    fn new(inner: MemorySource) -> Self {
        Self {
            inner,
            left_out: Arc::default(),
            ends_after: usize::MAX,
            fails: false,
            one: watch::Sender::new(0),
            together: watch::Sender::new(0),
            given: watch::Sender::new(0),
        }
    }

    /// Calls for one, and for many.
    fn calls(&self) -> (usize, usize) {
        (*self.one.borrow(), *self.together.borrow())
    }
}

#[async_trait]
impl PieceSource for Counted {
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
        self.one.send_modify(|calls| *calls += 1);
        self.inner.fetch(content, runs).await
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        self.together.send_modify(|calls| *calls += 1);
        self.given.send_modify(|given| *given += contents.len().min(self.ends_after));
        let unknown = ContentId::of(b"unknown");
        let contents: Vec<_> = contents
            .iter()
            .map(|one| match self.left_out.contains(&one.content) {
                true => SmallContent { content: unknown, ..*one },
                false => *one,
            })
            .collect();
        let stream = self.inner.fetch_many(&contents).await?;
        Ok(match (self.ends_after, self.fails) {
            (usize::MAX, _) => stream,
            (after, false) => stream.take(after).chain(stream::pending()).boxed(),
            (after, true) => {
                let failure = stream::iter([Err(TransferError::Changed)]);
                stream.take(after).chain(failure).boxed()
            }
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_of_one_source_come_in_a_few_calls() {
    let inner = MemorySource::new();
    let texts = texts(FILES, &inner);
    let mut source = Counted::new(inner);
    let left_out = [0, 5, FILES - 1].map(|number| texts[number].entry.content);
    source.left_out = Arc::new(left_out.into());
    let world = World::new(texts, source.clone()).await;
    let once = world.wanted();
    let mut wanted = once.clone();
    // The same once more, beside it and far from it, and one that is there.
    for (number, name) in [(1, "twice"), (2, "far")] {
        let again = Wanted { target: world.target(name), ..once[number].clone() };
        wanted.insert(if name == "far" { FILES } else { 2 }, again);
    }
    fs::write(world.target("00003"), &world.texts[3].text).unwrap();
    let report = world.download(wanted).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert_eq!((report.fetched, report.there), (FILES as u64 + 1, 1));
    for (name, text) in [("twice", 1), ("far", 2), ("00000", 0), ("00005", 5)] {
        assert_eq!(fs::read_to_string(world.target(name)).unwrap(), world.texts[text].text);
    }
    // A request has room for a hundred or so, and there are two groups of files.
    let (one, together) = source.calls();
    assert!((2..=6).contains(&together), "{together} calls for {FILES} files");
    // Those alone that were left out, and the one of the last group that is not in a share.
    assert_eq!(one, left_out.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_falls_silent_keeps_nothing_from_coming() {
    let inner = MemorySource::new();
    let texts = texts(50, &inner);
    let mut silent = Counted::new(inner.clone());
    silent.ends_after = 3;
    let world = World::new(texts, silent).await;
    world.share("anna", inner).await;
    world.check_all(&world.download(world.wanted()).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_call_for_many_breaks_off_with_is_made_good() {
    let inner = MemorySource::new();
    let texts = texts(FILES, &inner);
    let mut source = Counted::new(inner);
    (source.ends_after, source.fails) = (10, true);
    let world = World::new(texts, source.clone()).await;
    world.check_all(&world.download(world.wanted()).await);
    assert_eq!(source.calls().0, FILES - *source.given.borrow(), "each once");
}

/// Calls for many wait for the limit while all places are taken by files that come one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_for_many_and_for_one_share_a_limit() {
    let inner = MemorySource::new();
    let texts = long_texts(2 * FILES, 10_000, &inner);
    let world = World::new(texts, SimpleSource(inner.clone())).await;
    world.share("anna", inner).await;
    let limit = RateLimit::new(NonZeroU64::new(1_000_000));
    let download = world.download_at(limit, world.wanted());
    let report =
        timeout(Duration::from_secs(60), download).await.expect("nothing waits for itself");
    world.check_all(&report);
}
