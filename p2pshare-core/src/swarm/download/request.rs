//! One request to a source.

use std::{collections::VecDeque, future, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use tokio::time::Instant;

use crate::{
    content::{ContentId, Layout, PIECE_LEN, PieceIndex, PieceRun},
    transfer::{FetchEvent, PieceAssembler, PieceSource, QueueNews, SegmentStream, TransferError},
};

/// Pieces that were asked for, and the stream that they come in.
pub(super) struct Request {
    /// What is still to come and wanted, in order.
    pub(super) pieces: VecDeque<PieceIndex>,
    pub(super) assembler: PieceAssembler,
    /// How many pieces were asked for.
    size: usize,
    first: Option<PieceIndex>,
    /// Bytes of the current piece that have come.
    pub(super) partial: u64,
    /// The places in the source's queue that it was told.
    pub(super) queue: QueueNews,
    /// When the source counts as stalled.
    pub(super) deadline: Instant,
    /// How long it had until then.
    pub(super) patience: Duration,
    /// How long it has for the first segment once it has answered.
    stall: Duration,
    state: State,
}

enum State {
    Opening(BoxFuture<'static, Result<SegmentStream, TransferError>>),
    Open(SegmentStream),
}

impl Request {
    pub(super) fn new(
        source: Arc<dyn PieceSource>,
        content: ContentId,
        layout: Layout,
        runs: Vec<PieceRun>,
        stall: Duration,
    ) -> Result<Self, TransferError> {
        let pieces: VecDeque<_> = runs.iter().flat_map(PieceRun::iter).collect();
        Ok(Self {
            size: pieces.len(),
            first: pieces.front().copied(),
            pieces,
            assembler: PieceAssembler::new(layout, &runs)?,
            partial: 0,
            queue: QueueNews::default(),
            deadline: Instant::now(),
            patience: Duration::ZERO,
            stall,
            state: State::Opening(async move { source.fetch(&content, &runs).await }.boxed()),
        })
    }

    /// The source has shown a sign of life: it has so long for the next.
    pub(super) fn alive(&mut self, patience: Duration) {
        self.deadline = Instant::now() + patience;
        self.patience = patience;
    }

    /// Whether the source has answered.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whether half of what was asked for has come.
    pub(super) fn is_half_done(&self) -> bool {
        let left =
            (self.pieces.len() as u64).saturating_mul(PIECE_LEN).saturating_sub(self.partial);
        left.saturating_mul(2) <= (self.size as u64).saturating_mul(PIECE_LEN)
    }

    /// Whether bytes of it have come.
    pub(super) fn has_begun(&self) -> bool {
        self.partial > 0 || self.assembler.current() != self.first
    }

    /// The stream, to be ended.
    pub(super) fn into_stream(self) -> Option<SegmentStream> {
        match self.state {
            State::Opening(_) => None,
            State::Open(stream) => Some(stream),
        }
    }

    /// Sends the request, and once it is answered and `read` is set gives the next event, `None` at the end of the
    /// stream. May be dropped and called again: nothing is lost.
    pub(super) async fn advance(
        &mut self,
        read: bool,
    ) -> Option<Result<FetchEvent, TransferError>> {
        if let State::Opening(opening) = &mut self.state {
            match opening.await {
                Ok(stream) => {
                    self.state = State::Open(stream);
                    self.alive(self.stall);
                }
                Err(error) => {
                    self.state = State::Open(futures::stream::empty().boxed());
                    return Some(Err(error));
                }
            }
        }
        match &mut self.state {
            State::Open(stream) if read => stream.next().await,
            _ => future::pending().await,
        }
    }
}
