//! Reading a content while it is downloaded.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use p2pshare_core::{
    content::{ContentId, Layout, PieceIndex, PieceRun},
    swarm::ReadCursor,
    transfer::{FetchEvent, SegmentStream, TransferError},
};

use super::{
    engine::Engine,
    reading::{Gone, Origin},
};

/// So many pieces from where somebody reads are wanted before the rest.
const READ_AHEAD: u32 = 16;

/// So many pieces are read from a file at once while more of them come.
const READ_RUN: u32 = 8;

/// So often the content is looked for elsewhere before a byte more was read.
const ATTEMPTS: u32 = 4;

/// Why a content cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Nobody is logged in, and it is not on this machine.
    #[error("nobody is logged in, and content {0} is not on this machine: log in first")]
    LoggedOut(ContentId),
    /// It does not exist, or not for this user.
    #[error("content {0} is not shared by anybody you can see: search again for what is there now")]
    NotFound(ContentId),
    /// Nobody gives it at the moment.
    #[error("nothing of the content comes at the moment: {0}")]
    NoSource(String),
    /// It could not be fetched.
    #[error("the content could not be fetched: {0}")]
    Failed(String),
    /// The disk has no room for what is read.
    #[error("there is no room for the content: {0}")]
    NoRoom(String),
    /// The file that it was read from is not there any more, or has changed.
    #[error("the file with the content has changed while it was read: ask for it again")]
    Changed,
    /// The range is not in the content.
    #[error("the content has {len} bytes, so there is nothing at {start}")]
    Range {
        /// Where the range begins.
        start: u64,
        /// How long the content is.
        len: u64,
    },
}

/// Bytes of a content in order.
pub type ByteStream = BoxStream<'static, Result<Bytes, ReadError>>;

/// Reads any part of a content, verified, while it may still be on its way. A clone is another reader of the same.
///
/// What is read next is fetched before the rest. As long as a reader or one of its streams lives the content is kept.
#[derive(Clone)]
pub struct ContentReader {
    engine: Arc<Engine>,
    content: ContentId,
    origin: Origin,
}

impl ContentReader {
    pub(super) fn new(engine: Arc<Engine>, content: ContentId, origin: Origin) -> Self {
        Self { engine, content, origin }
    }

    /// What is read.
    pub fn content(&self) -> ContentId {
        self.content
    }

    /// How many bytes the content has: proven, not told.
    pub fn len(&self) -> u64 {
        self.origin.layout().len()
    }

    /// Whether the content has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a range, which is cut to the content. Nothing is fetched before the stream is polled; memory is that
    /// of two pieces, however slowly it is read.
    ///
    /// Cancellation: dropping the stream ends it, and what it wanted first is wanted no more than the rest.
    ///
    /// # Errors
    ///
    /// [`ReadError::Range`] when the range begins behind the end. The stream ends after its first error.
    pub fn read(&self, range: Range<u64>) -> Result<ByteStream, ReadError> {
        let len = self.len();
        if range.start > len {
            return Err(ReadError::Range { start: range.start, len });
        }
        let reading = Reading {
            engine: self.engine.clone(),
            content: self.content,
            layout: self.origin.layout(),
            origin: self.origin.clone(),
            cursor: None,
            segments: None,
            position: range.start,
            end: range.end.min(len),
            attempts: 0,
        };
        let stream = stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await? {
                Ok(bytes) => Some((Ok(bytes), Some(reading))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(stream.boxed())
    }
}

impl fmt::Debug for ContentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentReader").field("content", &self.content).finish_non_exhaustive()
    }
}

/// A range that is read.
struct Reading {
    engine: Arc<Engine>,
    content: ContentId,
    layout: Layout,
    origin: Origin,
    /// Tells the download where it is read.
    cursor: Option<ReadCursor>,
    /// What is read from the file at the moment.
    segments: Option<SegmentStream>,
    position: u64,
    end: u64,
    /// How often the content was looked for since the last byte.
    attempts: u32,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Bytes, ReadError>> {
        loop {
            if self.position >= self.end {
                return None;
            }
            let result = match &mut self.segments {
                None => self.open().await,
                Some(segments) => match segments.next().await {
                    None => {
                        self.segments = None;
                        Ok(())
                    }
                    Some(Ok(FetchEvent::Segment(segment))) => {
                        match self.take(segment.offset, &segment.data) {
                            Some(bytes) => return Some(Ok(bytes)),
                            None => Ok(()),
                        }
                    }
                    Some(Ok(_)) => Ok(()),
                    Some(Err(error)) => self.elsewhere(Some(error)).await,
                },
            };
            if let Err(error) = result {
                return Some(Err(error));
            }
        }
    }

    /// The part of the segment that comes next, if any of it does.
    fn take(&mut self, offset: u64, data: &Bytes) -> Option<Bytes> {
        let skip = usize::try_from(self.position.checked_sub(offset)?).ok()?;
        let wanted = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let upto = skip.saturating_add(wanted).min(data.len());
        if skip >= upto {
            return None;
        }
        let bytes = data.slice(skip..upto);
        self.position += bytes.len() as u64;
        self.attempts = 0;
        Some(bytes)
    }

    /// Begins to read the next pieces, once the first of them is there.
    async fn open(&mut self) -> Result<(), ReadError> {
        let (Some(first), Some(last)) =
            (self.layout.piece_at(self.position), self.layout.piece_at(self.end - 1))
        else {
            return Err(ReadError::Changed);
        };
        self.want(first);
        match self.origin.wait_for(first, self.engine.options.read_patience).await {
            Ok(()) => {}
            Err(Gone::Ended) => return self.elsewhere(None).await,
            Err(Gone::Silent(why)) => return Err(ReadError::NoSource(why)),
            Err(Gone::Full(error)) => return Err(error),
        }
        let left = last.0 - first.0 + 1;
        let most = if self.cursor.is_some() { left.min(READ_RUN) } else { left };
        let run = PieceRun::new(first, self.origin.ready(first, most).max(1));
        match self.origin.fetch(&self.content, run).await {
            Ok(segments) => {
                self.segments = Some(segments);
                Ok(())
            }
            Err(error) => self.elsewhere(Some(error)).await,
        }
    }

    /// Has what comes next fetched before the rest.
    fn want(&mut self, first: PieceIndex) {
        if self.cursor.is_none() {
            self.cursor = self.origin.cursor();
        }
        if let Some(cursor) = &self.cursor {
            let left = self.layout.piece_count() - first.0;
            cursor.want(PieceRun::new(first, left.min(READ_AHEAD)));
        }
    }

    /// Looks where the content is now: the download may have ended, the file may have been moved.
    async fn elsewhere(&mut self, error: Option<TransferError>) -> Result<(), ReadError> {
        self.segments = None;
        self.cursor = None;
        if self.attempts >= ATTEMPTS {
            return Err(match error {
                None | Some(TransferError::Changed) => ReadError::Changed,
                Some(error) => ReadError::Failed(error.to_string()),
            });
        }
        self.attempts += 1;
        self.origin = self.engine.origin(self.content, Some(self.layout.len())).await?;
        Ok(())
    }
}
