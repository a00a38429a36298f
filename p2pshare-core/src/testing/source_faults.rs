//! Sources that lie and break.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, future, stream};

use crate::{
    content::{ContentId, Manifest, PieceRun},
    transfer::{
        FetchEvent, HaveStream, HaveUpdate, PieceSource, Segment, SegmentStream, SmallContent,
        TransferError,
    },
};

/// What a [`FaultySource`] does wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Flips a bit of the byte at this offset of the content.
    CorruptByte(u64),
    /// Says that segments begin so many bytes later than they do.
    WrongOffset(u64),
    /// Sends one byte after the last.
    TooMuch,
    /// Ends each stream after so many bytes.
    TooLittle(usize),
    /// Puts an empty segment before each.
    EmptySegments,
    /// Joins segments, also over the borders of pieces.
    JoinedSegments,
    /// Says that a fetch is queued after its first segment.
    LateQueue,
    /// Sends nothing more after so many bytes, and never ends.
    Stall(usize),
    /// Fails after so many bytes.
    Fail(usize, TransferError),
    /// Gives this manifest for every content.
    LyingManifest(Manifest),
    /// Says that it has everything.
    LyingHave,
    /// Says first that it has chosen to give these pieces.
    Chooses(Vec<PieceRun>),
}

/// Another source, and what it does wrong. The faults are applied to every stream in order, and can be changed any time.
///
/// A clone is another handle on the same source.
#[derive(Clone)]
pub struct FaultySource {
    inner: Arc<dyn PieceSource>,
    faults: Arc<Mutex<Vec<Fault>>>,
}

impl FaultySource {
    /// Wraps a source.
    pub fn new(inner: Arc<dyn PieceSource>, faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { inner, faults: Arc::new(Mutex::new(faults.into_iter().collect())) }
    }

    /// Replaces the faults, for calls from now on.
    pub fn set(&self, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().collect();
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    fn faults(&self) -> Vec<Fault> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.clone()
    }
}

#[async_trait]
impl PieceSource for FaultySource {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        let lie = self.faults().into_iter().find_map(|fault| match fault {
            Fault::LyingManifest(manifest) => Some(manifest),
            _ => None,
        });
        match lie {
            Some(manifest) => Ok(manifest),
            None => self.inner.manifest(content).await,
        }
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        let mut faults = self.faults().into_iter();
        if !faults.any(|fault| matches!(fault, Fault::LyingHave)) {
            return self.inner.have(content).await;
        }
        let manifest = self.inner.manifest(content).await?;
        let all = HaveUpdate { gained: vec![manifest.layout().all()], complete: true };
        Ok(stream::iter([Ok(all)]).boxed())
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let honest = self.inner.fetch(content, runs).await?;
        Ok(self.faults().into_iter().fold(honest, apply))
    }

    async fn fetch_any(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
        others: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let honest = self.inner.fetch_any(content, runs, others).await?;
        Ok(self.faults().into_iter().fold(honest, apply))
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        let honest = self.inner.fetch_many(contents).await?;
        Ok(self.faults().into_iter().fold(honest, apply))
    }
}

fn apply(stream: SegmentStream, fault: Fault) -> SegmentStream {
    match fault {
        Fault::CorruptByte(at) => map_segments(stream, move |segment| vec![corrupt(segment, at)]),
        Fault::WrongOffset(by) => map_segments(stream, move |segment| {
            vec![Segment { offset: segment.offset.wrapping_add(by), ..segment }]
        }),
        Fault::EmptySegments => map_segments(stream, |segment| {
            let empty = Segment { offset: segment.offset, data: Bytes::new() };
            vec![empty, segment]
        }),
        Fault::TooMuch => too_much(stream),
        Fault::JoinedSegments => joined(stream),
        Fault::LateQueue => {
            let late = Ok(FetchEvent::Queued { position: 1 });
            stream.chain(stream::iter([late])).boxed()
        }
        Fault::TooLittle(bytes) => first(stream, bytes),
        Fault::Stall(bytes) => first(stream, bytes).chain(stream::pending()).boxed(),
        Fault::Fail(bytes, error) => {
            let failure = stream::iter([Err(error)]);
            first(stream, bytes).chain(failure).boxed()
        }
        Fault::Chooses(runs) => {
            stream::iter([Ok(FetchEvent::Chosen { runs })]).chain(stream).boxed()
        }
        Fault::LyingManifest(_) | Fault::LyingHave => stream,
    }
}

fn map_segments(
    stream: SegmentStream,
    change: impl Fn(Segment) -> Vec<Segment> + Send + 'static,
) -> SegmentStream {
    let change = move |event| match event {
        Ok(FetchEvent::Segment(segment)) => {
            let segments = change(segment).into_iter();
            segments.map(|segment| Ok(FetchEvent::Segment(segment))).collect()
        }
        other => vec![other],
    };
    stream.flat_map(move |event| stream::iter(change(event))).boxed()
}

fn corrupt(mut segment: Segment, at: u64) -> Segment {
    let index = at.checked_sub(segment.offset);
    let index = index.and_then(|index| usize::try_from(index).ok());
    let mut data = segment.data.to_vec();
    if let Some(byte) = index.and_then(|index| data.get_mut(index)) {
        *byte ^= 1;
        segment.data = data.into();
    }
    segment
}

/// The events up to so many bytes; the last segment is cut.
fn first(stream: SegmentStream, bytes: usize) -> SegmentStream {
    let cut = stream.scan(bytes, |left, mut event| {
        if *left == 0 {
            return future::ready(None);
        }
        if let Ok(FetchEvent::Segment(segment)) = &mut event {
            segment.data.truncate(*left);
            *left -= segment.data.len();
        }
        future::ready(Some(event))
    });
    cut.boxed()
}

fn too_much(stream: SegmentStream) -> SegmentStream {
    let end = Arc::new(Mutex::new(0));
    let seen = end.clone();
    let watched = stream.inspect(move |event| {
        if let Ok(FetchEvent::Segment(segment)) = event {
            let end = segment.offset.saturating_add(segment.data.len() as u64);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = end;
        }
    });
    let more = stream::once(async move {
        let offset = *end.lock().unwrap_or_else(PoisonError::into_inner);
        let data = Bytes::from_static(b"x");
        Ok(FetchEvent::Segment(Segment { offset, data }))
    });
    watched.chain(more).boxed()
}

fn joined(stream: SegmentStream) -> SegmentStream {
    // Five segments of the usual length are longer than a piece.
    let groups = stream.chunks(5).map(|events| {
        let mut joined: Vec<Result<FetchEvent, TransferError>> = Vec::new();
        for event in events {
            match (joined.last_mut(), event) {
                (Some(Ok(FetchEvent::Segment(last))), Ok(FetchEvent::Segment(next))) => {
                    last.data = [&last.data[..], &next.data].concat().into();
                }
                (_, event) => joined.push(event),
            }
        }
        stream::iter(joined)
    });
    groups.flatten().boxed()
}
