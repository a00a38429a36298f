//! Sources and sinks in memory: for small contents, for examples, and for tests without a disk or a socket.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{
    FetchEvent, HaveStream, PieceSink, PieceSource, Segment, SegmentStream, SinkError,
    SmallContent, TransferError,
    held::Holdings,
    many::many_offsets,
    runs::{Pieces, wanted_runs},
};
use crate::content::{
    ContentId, Manifest, PieceIndex, PieceRun, PieceSet, hash_bytes, verify_piece,
};

/// Default length of a segment in bytes.
const SEGMENT_LEN: usize = 256 << 10;

/// A source of contents that are in memory, whole or in part. A clone is another handle on the same contents.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    contents: Arc<Mutex<HashMap<ContentId, Arc<Content>>>>,
}

/// A sink that keeps a content in memory. A clone is another handle on the same content.
#[derive(Clone, Debug)]
pub struct MemorySink {
    content: Arc<Content>,
}

#[derive(Debug)]
struct Content {
    manifest: Manifest,
    held: Holdings,
    pieces: Mutex<Pile>,
}

#[derive(Debug, Default)]
struct Pile {
    pieces: HashMap<PieceIndex, Vec<Bytes>>,
    finished: bool,
}

impl MemorySource {
    /// A source without contents.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a whole content, in place of what was there of it, and gives its manifest.
    ///
    /// # Panics
    ///
    /// When it is longer than 2 TiB.
    pub fn insert(&self, data: impl Into<Bytes>) -> Manifest {
        let data = data.into();
        let manifest = hash_bytes(&data);
        let content = Content::empty(manifest.clone());
        content.add(&data, manifest.layout().all());
        self.put(content.into());
        manifest
    }

    /// Adds a content that this source holds nothing of yet: pieces come with [`gain`](Self::gain).
    pub fn insert_empty(&self, manifest: Manifest) {
        self.put(Content::empty(manifest).into());
    }

    /// Gains the pieces of a run from the bytes of the whole content, which are not checked. False when the source does
    /// not know the content, or the content has no such run or more bytes than `data`.
    pub fn gain(&self, content: &ContentId, data: &Bytes, run: PieceRun) -> bool {
        let Ok(content) = self.find(content) else {
            return false;
        };
        let layout = content.manifest.layout();
        if layout.check_run(run).is_err() || layout.len() > data.len() as u64 {
            return false;
        }
        content.add(data, run);
        true
    }

    /// Adds what a sink holds and gains: what is downloaded is shared on while it comes.
    pub fn insert_sink(&self, sink: &MemorySink) {
        self.put(sink.content.clone());
    }

    /// Takes a content away. Fetches that have begun go on. False when it was not there.
    pub fn remove(&self, content: &ContentId) -> bool {
        self.contents().remove(content).is_some()
    }

    fn put(&self, content: Arc<Content>) {
        self.contents().insert(content.manifest.id(), content);
    }

    fn find(&self, content: &ContentId) -> Result<Arc<Content>, TransferError> {
        let contents = self.contents();
        let found = contents.get(content).cloned();
        found.ok_or(TransferError::NotFound(*content))
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<ContentId, Arc<Content>>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PieceSource for MemorySource {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        Ok(self.find(content)?.manifest.clone())
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        Ok(self.find(content)?.held.view().stream())
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let content = self.find(content)?;
        let runs = wanted_runs(&content.manifest.layout(), runs)?;
        content.held.view().check(&runs)?;
        let pieces = Pieces::new(runs).flat_map(move |piece| content.segments(piece));
        Ok(stream::iter(pieces).map(Ok).boxed())
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        let (offsets, source) = (many_offsets(contents)?, self.clone());
        let begins: Vec<_> = contents.iter().copied().zip(offsets).collect();
        let events = begins.into_iter().flat_map(move |(SmallContent { content, len }, begin)| {
            let found = source.find(&content).ok();
            let found = found.filter(|content| {
                content.manifest.len() == len && content.held.view().missing() == 0
            });
            let segments = found.into_iter().flat_map(|content| content.segments(PieceIndex(0)));
            segments.map(move |event| event.later_by(begin))
        });
        Ok(stream::iter(events).map(Ok).boxed())
    }
}

impl MemorySink {
    /// A sink that holds nothing yet, but for the one piece of an empty content.
    #[must_use]
    pub fn new(manifest: Manifest) -> Self {
        Self { content: Content::empty(manifest).into() }
    }

    /// The content, once it is finished. Copies it.
    #[must_use]
    pub fn finished(&self) -> Option<Bytes> {
        let pile = self.content.pile();
        if !pile.finished {
            return None;
        }
        let mut whole = Vec::new();
        for piece in self.content.manifest.layout().all().iter() {
            let slices = pile.pieces.get(&piece).into_iter().flatten();
            slices.for_each(|slice| whole.extend_from_slice(slice));
        }
        Some(whole.into())
    }
}

#[async_trait]
impl PieceSink for MemorySink {
    fn manifest(&self) -> &Manifest {
        &self.content.manifest
    }

    fn held(&self) -> PieceSet {
        self.content.held.view().snapshot()
    }

    async fn put(&self, piece: PieceIndex, data: Vec<Bytes>) -> Result<(), SinkError> {
        if self.content.held.view().contains(piece) {
            return Ok(());
        }
        verify_piece(&self.content.manifest, piece, data.iter().map(|slice| &slice[..]))?;
        self.content.put(piece, data);
        Ok(())
    }

    async fn finish(&self) -> Result<(), SinkError> {
        match self.content.held.view().missing() {
            0 => self.content.pile().finished = true,
            missing => return Err(SinkError::Incomplete { missing }),
        }
        Ok(())
    }
}

impl Content {
    fn empty(manifest: Manifest) -> Self {
        let content = Self {
            held: Holdings::new(PieceSet::empty(manifest.layout().piece_count())),
            manifest,
            pieces: Mutex::default(),
        };
        if verify_piece(&content.manifest, PieceIndex(0), []).is_ok() {
            content.put(PieceIndex(0), Vec::new());
        }
        content
    }

    /// Adds the pieces of a run from the bytes of the whole content.
    fn add(&self, data: &Bytes, run: PieceRun) {
        let layout = self.manifest.layout();
        for piece in run.iter() {
            let Ok(start) = usize::try_from(layout.piece_offset(piece)) else {
                return;
            };
            let bytes = data.slice(start..start + layout.piece_len(piece));
            let mut slices = Vec::new();
            for slice in bytes.chunks(SEGMENT_LEN) {
                slices.push(bytes.slice_ref(slice));
            }
            self.put(piece, slices);
        }
    }

    fn put(&self, piece: PieceIndex, slices: Vec<Bytes>) {
        self.pile().pieces.insert(piece, slices);
        // After the bytes are there: who sees that it is held may fetch it.
        self.held.insert(piece);
    }

    /// A piece that is held, as segments.
    fn segments(&self, piece: PieceIndex) -> Vec<FetchEvent> {
        let mut offset = self.manifest.layout().piece_offset(piece);
        let slices = self.pile().pieces.get(&piece).cloned().unwrap_or_default();
        let mut segments = Vec::new();
        for data in slices.into_iter().filter(|slice| !slice.is_empty()) {
            let len = data.len() as u64;
            segments.push(FetchEvent::Segment(Segment { offset, data }));
            offset += len;
        }
        if self.manifest.is_empty() {
            let data = Bytes::new();
            segments.push(FetchEvent::Segment(Segment { offset, data }));
        }
        segments
    }

    fn pile(&self) -> MutexGuard<'_, Pile> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
