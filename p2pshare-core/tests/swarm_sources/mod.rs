//! Sources and shortcuts for tests of the downloader.

// Each crate of tests uses a part of it.
#![allow(dead_code)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, future::ready, stream};
use p2pshare_core::{
    content::{ContentId, Manifest, PIECE_LEN, PieceIndex, PieceRun, PieceSet, hash_bytes},
    swarm::{
        Candidate, Discovery, DownloadError, DownloadOptions, Downloader, Report, SourceId,
        SwarmEvents,
    },
    testing::{Fault, FaultySource, sample},
    transfer::{
        FetchEvent, HaveStream, MemorySink, MemorySource, PieceSink, PieceSource, SegmentStream,
        SinkError, TransferError,
    },
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// A source behind a line of a certain speed, that counts what goes over it.
pub(crate) struct Throttled {
    inner: Arc<dyn PieceSource>,
    bytes_per_second: f64,
    queue: u32,
    silence: Duration,
    latency: Duration,
    sent: Arc<AtomicU64>,
}

impl Throttled {
    pub(crate) fn new(inner: impl PieceSource + 'static, bytes_per_second: f64) -> Self {
        Self {
            inner: Arc::new(inner),
            bytes_per_second,
            queue: 0,
            silence: Duration::ZERO,
            latency: Duration::ZERO,
            sent: Arc::default(),
        }
    }

    /// Every request waits for so many seconds in a queue.
    pub(crate) fn queued(mut self, seconds: u32) -> Self {
        self.queue = seconds;
        self
    }

    /// And then so long without any news.
    pub(crate) fn silent(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Every request takes so long to arrive.
    pub(crate) fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    pub(crate) fn sent(&self) -> Arc<AtomicU64> {
        self.sent.clone()
    }
}

#[async_trait]
impl PieceSource for Throttled {
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
        self.fetch_any(content, runs, &[]).await
    }

    async fn fetch_any(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        sleep(self.latency).await;
        let inner = match others.is_empty() {
            true => self.inner.fetch(content, runs).await?,
            false => self.inner.fetch_any(content, runs, others).await?,
        };
        let (rate, sent) = (self.bytes_per_second, self.sent.clone());
        let queue = stream::iter((1..=self.queue).rev()).then(|position| async move {
            sleep(Duration::from_secs(1)).await;
            Ok(FetchEvent::Queued { position })
        });
        let slowed = inner.then(move |event| {
            let sent = sent.clone();
            async move {
                if let Ok(FetchEvent::Segment(segment)) = &event {
                    let len = segment.data.len() as u64;
                    sent.fetch_add(len, Relaxed);
                    sleep(Duration::from_secs_f64(len as f64 / rate)).await;
                }
                event
            }
        });
        let silence = stream::once(sleep(self.silence)).filter_map(|()| ready(None));
        Ok(queue.chain(silence).chain(slowed).boxed())
    }
}

/// A source that gives whatever it likes of what is left to it.
pub(crate) struct Capricious(pub(crate) MemorySource);

#[async_trait]
impl PieceSource for Capricious {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.0.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.0.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        self.0.fetch(content, runs).await
    }

    async fn fetch_any(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let count = runs.iter().map(|run| run.count as usize).sum();
        let mut named: Vec<_> = runs.iter().chain(others).flat_map(PieceRun::iter).collect();
        // In an order that nobody expects, and the same in every run of a test.
        named.sort_by_key(|piece| (piece.0.wrapping_mul(0x9e37_79b9) >> 8, piece.0));
        named.truncate(count);
        let chosen = PieceRun::join(named);
        let stream = self.0.fetch(content, &chosen).await?;
        Ok(stream::iter([Ok(FetchEvent::Chosen { runs: chosen })]).chain(stream).boxed())
    }
}

/// A source that panics.
pub(crate) struct Panicking;

#[async_trait]
impl PieceSource for Panicking {
    async fn manifest(&self, _: &ContentId) -> Result<Manifest, TransferError> {
        panic!("a fault on purpose");
    }

    async fn have(&self, _: &ContentId) -> Result<HaveStream, TransferError> {
        panic!("a fault on purpose");
    }

    async fn fetch(&self, _: &ContentId, _: &[PieceRun]) -> Result<SegmentStream, TransferError> {
        panic!("a fault on purpose");
    }
}

/// A sink that does something before it takes a piece, and refuses the piece when that fails.
struct Before<F> {
    inner: MemorySink,
    before: F,
}

/// A sink into `inner` that does this before it takes a piece.
pub(crate) fn before<F, R>(inner: &MemorySink, before: F) -> Arc<dyn PieceSink>
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), SinkError>> + Send,
{
    Arc::new(Before { inner: inner.clone(), before })
}

#[async_trait]
impl<F, R> PieceSink for Before<F>
where
    F: Fn() -> R + Send + Sync,
    R: Future<Output = Result<(), SinkError>> + Send,
{
    fn manifest(&self) -> &Manifest {
        self.inner.manifest()
    }

    fn held(&self) -> PieceSet {
        self.inner.held()
    }

    async fn put(&self, piece: PieceIndex, data: Vec<Bytes>) -> Result<(), SinkError> {
        (self.before)().await?;
        self.inner.put(piece, data).await
    }

    async fn finish(&self) -> Result<(), SinkError> {
        self.inner.finish().await
    }
}

pub(crate) fn id(number: u8) -> SourceId {
    SourceId::from_bytes([number; 32])
}

pub(crate) fn candidate(number: u8, source: impl PieceSource + 'static) -> Candidate {
    Candidate { id: id(number), label: format!("peer {number}"), source: Arc::new(source) }
}

/// A content of so many whole pieces and a bit.
pub(crate) fn content(pieces: u64) -> Bytes {
    sample(pieces * PIECE_LEN - 1000, pieces)
}

pub(crate) fn full(data: &Bytes) -> MemorySource {
    let source = MemorySource::new();
    source.insert(data.clone());
    source
}

/// A source that has only these pieces.
pub(crate) fn partial(data: &Bytes, manifest: &Manifest, runs: &[PieceRun]) -> MemorySource {
    let source = MemorySource::new();
    source.insert_empty(manifest.clone());
    for run in runs {
        assert!(source.gain(&manifest.id(), data, *run));
    }
    source
}

pub(crate) fn options() -> DownloadOptions {
    DownloadOptions { seed: Some(3), ..DownloadOptions::default() }
}

pub(crate) async fn download(
    sink: &MemorySink,
    discovery: impl Discovery + 'static,
    options: DownloadOptions,
) -> Result<Report, DownloadError> {
    download_to(Arc::new(sink.clone()), discovery, options).await
}

pub(crate) async fn download_to(
    sink: Arc<dyn PieceSink>,
    discovery: impl Discovery + 'static,
    options: DownloadOptions,
) -> Result<Report, DownloadError> {
    let downloader = Downloader::default();
    let (discovery, events) = (Arc::new(discovery), SwarmEvents::default());
    let cancel = CancellationToken::new();
    downloader.download(sink, discovery, options, events, &cancel).await
}

pub(crate) const MIB: f64 = PIECE_LEN as f64;

pub(crate) fn sink(data: &Bytes) -> MemorySink {
    MemorySink::new(hash_bytes(data))
}

pub(crate) fn faulty(data: &Bytes, fault: Fault) -> FaultySource {
    FaultySource::new(Arc::new(full(data)), [fault])
}

pub(crate) fn run(start: u32, count: u32) -> PieceRun {
    PieceRun::new(PieceIndex(start), count)
}

pub(crate) fn share(report: &Report, number: u8) -> f64 {
    let source = report.sources.iter().find(|source| source.id == id(number));
    source.map_or(0.0, |source| source.bytes as f64)
}

pub(crate) fn failure(report: &Report, number: u8) -> Option<&TransferError> {
    let source = report.sources.iter().find(|source| source.id == id(number));
    source.and_then(|source| source.failure.as_ref())
}
