//! Reading runs of pieces from a file, ahead of who takes them.

use std::{collections::VecDeque, fmt, fs::File, io, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::sys;
use crate::{
    content::{Layout, PieceIndex, PieceRun},
    transfer::{
        FetchEvent, Segment, SegmentStream, TransferError,
        runs::{Pieces, wanted_runs},
    },
};

/// Says whether a file is still what it was.
pub type StampCheck = Arc<dyn Fn() -> Result<(), TransferError> + Send + Sync>;

/// How a file is read.
#[derive(Clone)]
pub struct ReadOptions {
    /// Length of a segment in bytes, 256 KiB by default; at least 1. A segment also ends where its piece ends.
    pub segment_len: usize,
    /// So many bytes are read at a time, 1 MiB by default, while those read before are taken: memory is at most twice
    /// that, and a segment.
    pub read_ahead: usize,
    /// Called on a thread that may block: before the first byte is read, and after each reading ahead, before any of
    /// it is handed out. Its error ends the stream.
    pub check: Option<StampCheck>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { segment_len: 256 << 10, read_ahead: 1 << 20, check: None }
    }
}

impl fmt::Debug for ReadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOptions")
            .field("segment_len", &self.segment_len)
            .field("read_ahead", &self.read_ahead)
            .finish_non_exhaustive()
    }
}

/// The bytes of runs of pieces from a file that has a content of this layout; no runs: the whole content.
///
/// Reads in the blocking pool, and nothing before the stream is first polled. No thread waits for whoever takes the
/// stream. Each segment is one allocation. A file that ends too early is [`TransferError::Changed`].
///
/// Cancellation: dropping the stream stops reading after at most one more [`ReadOptions::read_ahead`].
///
/// # Errors
///
/// [`TransferError::Protocol`] when the content has no such runs.
pub fn read_runs(
    file: Arc<File>,
    layout: Layout,
    runs: &[PieceRun],
    options: ReadOptions,
) -> Result<SegmentStream, TransferError> {
    let reader = Reader::new(file, layout, wanted_runs(&layout, runs)?, options);
    Ok(Reading::from((Vec::new(), Some(reader))).stream())
}

/// The same of a file that is yet to be opened, whose first bytes are read as soon as it is: in one turn of the blocking
/// pool, which is most of what a small file takes.
///
/// # Errors
///
/// As [`read_runs`], and what opening and the first reading ahead fail with.
pub(super) async fn open_and_read(
    open: impl FnOnce() -> Result<(Arc<File>, ReadOptions), TransferError> + Send + 'static,
    layout: Layout,
    runs: &[PieceRun],
) -> Result<SegmentStream, TransferError> {
    let runs = wanted_runs(&layout, runs)?;
    let first = blocking(move || {
        let (file, options) = open()?;
        Reader::new(file, layout, runs, options).read_batch()
    });
    Ok(Reading::from(first.await?).stream())
}

/// What comes of work that blocks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    ended(spawn_blocking(work).await)
}

fn ended<T>(result: Result<Result<T, TransferError>, JoinError>) -> Result<T, TransferError> {
    result.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::Interrupted).into()))
}

/// Reads some segments at a time, on a thread that may block.
pub(super) trait Read: Sized + Send + 'static {
    /// The next ones, at least one unless it is at its end.
    fn read_batch(self) -> Result<Batch<Self>, TransferError>;
}

/// What was read, and the reader unless it is at its end.
pub(super) type Batch<R> = (Vec<Segment>, Option<R>);

/// Hands out one batch while the next is read.
pub(super) struct Reading<R> {
    ready: VecDeque<Segment>,
    /// `None` while it reads, and once it has ended.
    reader: Option<R>,
    ahead: Option<JoinHandle<Result<Batch<R>, TransferError>>>,
}

impl<R> From<Batch<R>> for Reading<R> {
    fn from((ready, reader): Batch<R>) -> Self {
        Self { ready: ready.into(), reader, ahead: None }
    }
}

impl<R: Read> Reading<R> {
    pub(super) fn stream(self) -> SegmentStream {
        let stream = stream::unfold(self, |mut reading| async move {
            let event = reading.next().await?;
            Some((event.map(FetchEvent::Segment), reading))
        });
        stream.boxed()
    }

    async fn next(&mut self) -> Option<Result<Segment, TransferError>> {
        loop {
            if let Some(reader) = self.reader.take() {
                self.ahead = Some(spawn_blocking(|| reader.read_batch()));
            }
            if let Some(segment) = self.ready.pop_front() {
                return Some(Ok(segment));
            }
            let batch = self.ahead.as_mut()?.await;
            self.ahead = None;
            match ended(batch) {
                Ok(batch) => *self = batch.into(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

struct Reader {
    file: Arc<File>,
    layout: Layout,
    pieces: Pieces,
    /// A piece that is read, and how many bytes of it were.
    current: Option<(PieceIndex, usize)>,
    begun: bool,
    options: ReadOptions,
}

impl Reader {
    fn new(file: Arc<File>, layout: Layout, runs: Vec<PieceRun>, options: ReadOptions) -> Self {
        Self { file, layout, pieces: Pieces::new(runs), current: None, begun: false, options }
    }

    fn read_segment(&mut self) -> Result<Option<Segment>, TransferError> {
        let current = self.current.take();
        let Some((piece, done)) = current.or_else(|| Some((self.pieces.next()?, 0))) else {
            return Ok(None);
        };
        let piece_len = self.layout.piece_len(piece);
        let len = (piece_len - done).min(self.options.segment_len.max(1));
        let offset = self.layout.piece_offset(piece) + done as u64;
        let mut data = Vec::new();
        if len > 0 {
            sys::read_at(&self.file, &mut data, len, offset)?;
        }
        if data.len() < len {
            return Err(TransferError::Changed);
        }
        if done + len < piece_len {
            self.current = Some((piece, done + len));
        }
        let data = Bytes::from(data);
        Ok(Some(Segment { offset, data }))
    }

    fn check(&self) -> Result<(), TransferError> {
        self.options.check.as_ref().map_or(Ok(()), |check| check())
    }
}

impl Read for Reader {
    fn read_batch(mut self) -> Result<Batch<Self>, TransferError> {
        if !self.begun {
            self.begun = true;
            self.check()?;
        }
        let mut segments = Vec::new();
        let mut len = 0;
        let mut more = true;
        while more && len < self.options.read_ahead.max(1) {
            match self.read_segment()? {
                Some(segment) => {
                    len += segment.data.len();
                    segments.push(segment);
                }
                None => more = false,
            }
        }
        self.check()?;
        Ok((segments, more.then_some(self)))
    }
}
