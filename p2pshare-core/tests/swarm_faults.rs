//! Random faults, again and again: never wrong bytes, never a hang.

#![allow(clippy::unwrap_used)]

mod swarm_sources;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use p2pshare_core::{
    content::{ContentId, Manifest, PIECE_LEN, PieceIndex, PieceRun, hash_bytes},
    swarm::{Candidate, DownloadError, DownloadOptions},
    testing::{Fault, FaultySource, sample},
    transfer::{
        FetchEvent, FileSink, HaveStream, HaveUpdate, MemorySink, MemorySource, PieceSink,
        PieceSource, SegmentStream, SinkError, SinkOptions, TransferError,
    },
};
use proptest::prelude::*;
use swarm_sources::{
    Capricious, Throttled, before, candidate, content, download, download_to, full, options,
    partial,
};
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep, timeout},
};

#[derive(Clone, Debug)]
struct Peer {
    fault: Option<Fault>,
    speed: f64,
    queue: u32,
    latency: u64,
    holds: u32,
    capricious: bool,
}

fn fault(len: u64) -> impl Strategy<Value = Fault> {
    let bytes = 0..3_000_000_usize;
    prop_oneof![
        (0..len).prop_map(Fault::CorruptByte),
        (1..9_u64).prop_map(Fault::WrongOffset),
        Just(Fault::TooMuch),
        bytes.clone().prop_map(Fault::TooLittle),
        Just(Fault::EmptySegments),
        Just(Fault::JoinedSegments),
        Just(Fault::LateQueue),
        bytes.clone().prop_map(Fault::Stall),
        bytes.prop_map(|at| Fault::Fail(at, TransferError::Unavailable("cut".into()))),
        Just(Fault::LyingHave),
        prop::collection::vec((0..14_u32, 0..3_u32), 0..3).prop_map(|runs| {
            let run = |(start, count)| PieceRun::new(PieceIndex(start), count);
            Fault::Chooses(runs.into_iter().map(run).collect())
        }),
    ]
}

fn peer(len: u64, faulty: bool) -> impl Strategy<Value = Peer> {
    let fault = match faulty {
        true => fault(len).prop_map(Some).boxed(),
        false => Just(None).boxed(),
    };
    let speed = prop::sample::select(vec![30_000.0, 300_000.0, 5e6, 1e9]);
    (fault, speed, 0..4_u32, 0..300_u64, 0..14_u32, any::<bool>()).prop_map(
        |(fault, speed, queue, latency, holds, capricious)| Peer {
            fault,
            speed,
            queue,
            latency,
            holds,
            capricious,
        },
    )
}

const LEN: u64 = 12 * PIECE_LEN + 3;

/// The first pieces from a source with these qualities.
fn make(number: u8, peer: &Peer, data: &Bytes, manifest: &Manifest, holds: u32) -> Candidate {
    let runs = [PieceRun::new(PieceIndex(0), holds)];
    let runs = if holds == 0 { &[][..] } else { &runs };
    let honest = partial(data, manifest, runs);
    let honest: Arc<dyn PieceSource> = match peer.capricious {
        true => Arc::new(Capricious(honest)),
        false => Arc::new(honest),
    };
    let source = FaultySource::new(honest, peer.fault.clone());
    let source = Throttled::new(source, peer.speed)
        .queued(peer.queue)
        .latency(Duration::from_millis(peer.latency));
    candidate(number, source)
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A sink on a slow disk, which writes two pieces at a time: each takes so many milliseconds, in turn.
fn slow(inner: &MemorySink, millis: Vec<u64>) -> Arc<dyn PieceSink> {
    let (begun, turns) = (AtomicUsize::new(0), Arc::new(Semaphore::new(2)));
    before(inner, move || {
        let number = begun.fetch_add(1, Relaxed) % millis.len().max(1);
        let (millis, turns) = (millis.get(number).copied().unwrap_or(0), turns.clone());
        async move {
            let _turn = turns.acquire().await.unwrap();
            sleep(Duration::from_millis(millis)).await;
            Ok(())
        }
    })
}

fn slowness() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![Just(0), 0..3_000_u64], 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn with_an_honest_source_the_bytes_are_right(
        peers in prop::collection::vec(peer(LEN, true), 0..5),
        honest in peer(LEN, false),
        slowness in slowness(),
        buffered in 1..4_u64,
        seed: u64,
    ) {
        let data = sample(LEN, 4);
        let manifest = hash_bytes(&data);
        let mut sources = vec![make(99, &honest, &data, &manifest, 13)];
        for (number, peer) in (0_u8..).zip(&peers) {
            sources.push(make(number, peer, &data, &manifest, peer.holds.min(13)));
        }
        let max_buffered = buffered * PIECE_LEN;
        let options = DownloadOptions { seed: Some(seed), max_buffered, ..options() };
        paused().block_on(async {
            let sink = MemorySink::new(manifest);
            let slow = slow(&sink, slowness);
            // The slowest honest one needs 7 minutes alone.
            let limit = Duration::from_secs(3600);
            let report = timeout(limit, download_to(slow, sources, options)).await.expect("a hang").unwrap();
            assert!(report.sources.iter().find(|source| source.id == swarm_sources::id(99)).unwrap().failure.is_none());
            assert_eq!(sink.finished(), Some(data));
        });
    }

    #[test]
    fn without_one_it_ends_in_right_bytes_or_causes(
        peers in prop::collection::vec(peer(LEN, true), 0..5),
        slowness in slowness(),
        buffered in 1..4_u64,
        seed: u64,
    ) {
        let data = sample(LEN, 4);
        let manifest = hash_bytes(&data);
        let numbered = (0_u8..).zip(&peers);
        let sources: Vec<_> = numbered
            .map(|(number, peer)| make(number, peer, &data, &manifest, peer.holds.min(13)))
            .collect();
        let max_buffered = buffered * PIECE_LEN;
        let options = DownloadOptions { seed: Some(seed), max_buffered, ..options() };
        paused().block_on(async {
            let sink = MemorySink::new(manifest);
            let slow = slow(&sink, slowness);
            let limit = Duration::from_secs(48 * 3600);
            match timeout(limit, download_to(slow, sources, options)).await.expect("a hang") {
                Ok(_) => assert_eq!(sink.finished(), Some(data)),
                Err(DownloadError::AllFailed { causes }) => assert!(!causes.is_empty()),
                Err(DownloadError::NoSources { .. }) => assert!(peers.is_empty()),
                Err(other) => panic!("{other}"),
            }
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_ends_the_download_at_once() {
    let data = content(20);
    let inner = MemorySink::new(hash_bytes(&data));
    let disk = inner.clone();
    let sink = before(&inner, move || {
        let room = disk.held().len() < 7;
        let full = SinkError::NoSpace(PathBuf::from("film.mkv"));
        async move { if room { Ok(()) } else { Err(full) } }
    });
    let started = Instant::now();
    let sources = [1_u8, 2].map(|number| candidate(number, full(&data)));
    let result = download_to(sink, sources.to_vec(), options()).await;
    assert!(matches!(result, Err(DownloadError::Sink(SinkError::NoSpace(_)))));
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(inner.held().len(), 7);
}

/// Holds a sink's first write until a source has lied.
#[derive(Default)]
struct Scene {
    /// The sink has begun to write.
    writes: Notify,
    /// Two pieces have come whole.
    two_came: Notify,
    /// The sink goes on.
    may_write: Notify,
}

struct LateLiar {
    inner: MemorySource,
    scene: Arc<Scene>,
}

#[async_trait]
impl PieceSource for LateLiar {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.inner.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        let first = self.inner.have(content).await?.take(1);
        let scene = self.scene.clone();
        let lie = stream::once(async move {
            scene.writes.notified().await;
            scene.two_came.notified().await;
            scene.may_write.notify_one();
            Ok(HaveUpdate { gained: Vec::new(), complete: false })
        });
        Ok(first.chain(lie).boxed())
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let (scene, mut came) = (self.scene.clone(), 0);
        let counted = self.inner.fetch(content, runs).await?.inspect_ok(move |event| {
            if let FetchEvent::Segment(segment) = event {
                came += segment.data.len() as u64;
                if came == 2 * PIECE_LEN {
                    scene.two_came.notify_one();
                }
            }
        });
        Ok(counted.boxed())
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_whole_of_a_source_that_broke_is_kept_though_memory_is_full() {
    let data = content(20);
    let (manifest, scene) = (hash_bytes(&data), Arc::new(Scene::default()));
    let inner = MemorySink::new(manifest.clone());
    let stage = scene.clone();
    let sink = before(&inner, move || {
        let scene = stage.clone();
        async move {
            scene.writes.notify_one();
            scene.may_write.notified().await;
            scene.may_write.notify_one();
            Ok(())
        }
    });
    let held = partial(&data, &manifest, &[PieceRun::new(PieceIndex(0), 19)]);
    let source = candidate(1, LateLiar { inner: held, scene });
    let options =
        DownloadOptions { max_buffered: PIECE_LEN, patience: Duration::ZERO, ..options() };
    let download = download_to(sink, vec![source], options);
    let result = timeout(Duration::from_secs(3600), download).await.expect("a hang");
    let Err(DownloadError::AllFailed { causes }) = result else { panic!("{result:?}") };
    assert!(matches!(&causes[..], [(_, TransferError::Protocol(_))]), "{causes:?}");
    assert_eq!(inner.held().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_from_several_sources_on_several_threads() {
    let folder = tempfile::tempdir().unwrap();
    let data = content(100);
    let target = folder.path().join("film.mkv");
    let sink = FileSink::open(&target, hash_bytes(&data), SinkOptions::default()).await;
    let sources = [1_u8, 2, 3, 4].map(|number| candidate(number, full(&data)));
    let sources = sources.to_vec();
    let report = download_to(Arc::new(sink.unwrap()), sources, options()).await.unwrap();
    assert_eq!(report.fetched, 100);
    assert!(std::fs::read(&target).unwrap() == data);
}

/// Found by chance: one source waited in a queue, the other was slow, and they took a piece from each other without end.
#[test]
fn sources_do_not_take_a_piece_from_each_other_for_ever() {
    let p = |fault, speed, queue, latency, holds| Peer {
        fault,
        speed,
        queue,
        latency,
        holds,
        capricious: false,
    };
    let peers = [
        p(Some(Fault::Stall(1725775)), 300000.0, 3, 90, 7),
        p(Some(Fault::TooLittle(1182168)), 1000000000.0, 2, 23, 8),
        p(Some(Fault::EmptySegments), 300000.0, 1, 132, 11),
    ];
    let honest = p(None, 1e9, 3, 61, 4);
    let data = sample(LEN, 4);
    let manifest = hash_bytes(&data);
    let mut sources = vec![make(99, &honest, &data, &manifest, 13)];
    for (number, peer) in (0_u8..).zip(&peers) {
        sources.push(make(number, peer, &data, &manifest, peer.holds.min(13)));
    }
    let options = DownloadOptions { seed: Some(8320299385968557261), ..options() };
    paused().block_on(async {
        let sink = MemorySink::new(manifest);
        download(&sink, sources, options).await.unwrap();
    });
}
