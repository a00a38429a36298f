//! Many who download from one seed at the same time, and from each other.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod swarm_sources;

use std::{
    num::{NonZeroU64, NonZeroUsize},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, future::join_all};
use p2pshare_core::{
    content::{ContentId, Manifest, PIECE_LEN, PieceRun, hash_bytes},
    identity::Username,
    swarm::{Candidate, Discovery, DiscoveryError, DownloadOptions},
    transfer::{
        FetchEvent, HaveStream, MemorySink, MemorySource, PieceSource, RateLimit, SegmentStream,
        Spread, TransferError, UploadSlots,
    },
};
use swarm_sources::{candidate, content, download, full, id};
use tokio::time::Instant;

/// A peer with a line of its own: eight upload slots and a rate for all that it sends.
#[derive(Clone)]
struct Peer {
    source: MemorySource,
    slots: UploadSlots,
    spread: Spread,
    rate: RateLimit,
    sent: Arc<AtomicU64>,
}

/// A peer as one of the others sees it.
struct Seen {
    peer: Peer,
    by: Username,
}

impl Peer {
    fn new(source: MemorySource, bytes_per_second: u64) -> Self {
        Self {
            source,
            slots: UploadSlots::new(NonZeroUsize::new(8).unwrap(), 4096),
            spread: Spread::default(),
            rate: RateLimit::new(NonZeroU64::new(bytes_per_second)),
            sent: Arc::default(),
        }
    }

    fn candidate(&self, number: u8, by: u8) -> Candidate {
        candidate(number, Seen { peer: self.clone(), by: format!("user{by}").parse().unwrap() })
    }
}

#[async_trait]
impl PieceSource for Seen {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.peer.source.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.peer.source.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        self.fetch_any(content, runs, &[]).await
    }

    async fn fetch_any(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let Peer { source, slots, spread, .. } = &self.peer;
        let (source, wish) = (Arc::new(source.clone()), (runs.to_vec(), others.to_vec()));
        let stream = spread.serve(slots, self.by.clone(), source, *content, wish)?;
        let sent = self.peer.sent.clone();
        let counted = self.peer.rate.throttle(stream).inspect(move |event| {
            if let Ok(FetchEvent::Segment(segment)) = event {
                sent.fetch_add(segment.data.len() as u64, Relaxed);
            }
        });
        Ok(counted.boxed())
    }
}

/// Tells of the seed at once and of the others a little later, as an index does that they have to tell first.
struct Told {
    seed: Candidate,
    others: Vec<Candidate>,
    since: Instant,
}

#[async_trait]
impl Discovery for Told {
    async fn sources(&self, _: &ContentId) -> Result<Vec<Candidate>, DiscoveryError> {
        let mut sources = vec![self.seed.clone()];
        if self.since.elapsed() > Duration::from_millis(300) {
            sources.extend(self.others.iter().cloned());
        }
        Ok(sources)
    }
}

/// How long it took all, and how many copies the seed has sent.
async fn race(pieces: u64, downloaders: u8, rate: u64, seed: u64) -> (Duration, f64) {
    let data = content(pieces);
    let manifest = hash_bytes(&data);
    let origin = Peer::new(full(&data), rate);
    let sinks: Vec<_> = (0..downloaders).map(|_| MemorySink::new(manifest.clone())).collect();
    let peers: Vec<_> = sinks
        .iter()
        .map(|sink| {
            let source = MemorySource::new();
            source.insert_sink(sink);
            Peer::new(source, rate)
        })
        .collect();
    let started = Instant::now();
    let downloads = (0_u8..).zip(&sinks).map(|(me, sink)| {
        let others = (0_u8..).zip(&peers).filter(|(other, _)| *other != me);
        let told = Told {
            seed: origin.candidate(200, me),
            others: others.map(|(number, peer)| peer.candidate(number, me)).collect(),
            since: started,
        };
        let seed = Some(seed + u64::from(me));
        download(sink, told, DownloadOptions { seed, ..DownloadOptions::default() })
    });
    let reports = join_all(downloads).await;
    let took = started.elapsed();
    let mut refetched = 0;
    for (report, sink) in reports.into_iter().zip(&sinks) {
        let report = report.unwrap();
        refetched += report.refetched;
        let of_seed = report.sources.iter().find(|source| source.id == id(200)).unwrap();
        println!("{:?}: {} of {} from the seed", report.elapsed, of_seed.pieces, report.fetched);
        assert!(sink.finished().is_some_and(|got| got == data));
    }
    let copies = origin.sent.load(Relaxed) as f64 / data.len() as f64;
    println!("{downloaders}: {took:?}, {copies:.2} copies, {refetched} pieces in vain");
    (took, copies)
}

#[tokio::test(start_paused = true)]
async fn eight_take_hardly_longer_than_one() {
    let rate = 40_000_000;
    let (alone, _) = race(200, 1, rate, 1).await;
    assert!(alone > Duration::from_secs_f64(200.0 * PIECE_LEN as f64 / rate as f64 * 0.8));
    let (together, copies) = race(200, 8, rate, 2).await;
    assert!(together < alone.mul_f64(1.5), "{together:?}, one alone {alone:?}");
    assert!(copies < 1.5, "{copies}");
}
