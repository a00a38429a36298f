//! One request to a source.

use std::{
    collections::{HashSet, VecDeque},
    future,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use tokio::time::Instant;

use crate::{
    content::{ContentId, Layout, PIECE_LEN, PieceIndex, PieceRun},
    swarm::Assignment,
    time::later,
    transfer::{FetchEvent, PieceAssembler, PieceSource, QueueNews, SegmentStream, TransferError},
};

type Event = Option<Result<FetchEvent, TransferError>>;

/// Pieces that were asked for, and the stream that they come in.
pub(super) struct Request {
    /// What is still to come and wanted, in order.
    pub(super) pieces: VecDeque<PieceIndex>,
    pub(super) assembler: PieceAssembler,
    layout: Layout,
    /// What was asked for.
    asked: Vec<PieceIndex>,
    /// What the source may give instead, until it has chosen.
    others: Vec<PieceRun>,
    chosen: bool,
    first: Option<PieceIndex>,
    /// Bytes of the current piece that have come.
    pub(super) partial: u64,
    /// The places in the source's queue that it was told, and the last one until it has its turn.
    pub(super) queue: QueueNews,
    pub(super) position: Option<u32>,
    /// What has come while only the source's choice was waited for.
    kept: Option<Event>,
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
        Assignment { runs, others, .. }: Assignment,
        stall: Duration,
    ) -> Result<Self, TransferError> {
        let asked: Vec<_> = runs.iter().flat_map(PieceRun::iter).collect();
        let left = others.clone();
        Ok(Self {
            first: asked.first().copied(),
            pieces: asked.iter().copied().collect(),
            assembler: PieceAssembler::new(layout, &runs)?,
            layout,
            asked,
            others: left,
            chosen: false,
            partial: 0,
            queue: QueueNews::default(),
            position: None,
            kept: None,
            deadline: Instant::now(),
            patience: Duration::ZERO,
            stall,
            state: State::Opening(
                async move {
                    match others.is_empty() {
                        true => source.fetch(&content, &runs).await,
                        false => source.fetch_any(&content, &runs, &others).await,
                    }
                }
                .boxed(),
            ),
        })
    }

    /// Takes what the source has chosen to give. Gives what was asked for and what comes instead.
    ///
    /// # Errors
    ///
    /// [`TransferError::Protocol`] when it was not left to it.
    pub(super) fn choose(
        &mut self,
        runs: &[PieceRun],
    ) -> Result<(Vec<PieceIndex>, Vec<PieceIndex>), TransferError> {
        let lie = |what: &str| TransferError::Protocol(what.to_owned());
        if self.others.is_empty() || self.has_begun() {
            return Err(lie("the source chose what it gives, which was not left to it"));
        }
        // Checks the runs and that they have no more pieces than the content before they are written out.
        let assembler = PieceAssembler::new(self.layout, runs)?;
        let others = std::mem::take(&mut self.others);
        let chosen: Vec<_> = runs.iter().flat_map(PieceRun::iter).collect();
        let different: HashSet<_> = chosen.iter().copied().collect();
        if chosen.len() != self.asked.len() || different.len() != chosen.len() {
            return Err(lie("the source chose more or fewer pieces than it was asked for"));
        }
        let named = |piece: &PieceIndex| {
            self.asked.contains(piece) || others.iter().any(|run| run.contains(*piece))
        };
        if !chosen.iter().all(named) {
            return Err(lie("the source chose a piece that was not wanted"));
        }
        self.assembler = assembler;
        self.first = chosen.first().copied();
        self.pieces = chosen.iter().copied().collect();
        self.position = None;
        self.chosen = true;
        Ok((std::mem::replace(&mut self.asked, chosen.clone()), chosen))
    }

    /// The source has shown a sign of life: it has so long for the next.
    pub(super) fn alive(&mut self, patience: Duration) {
        self.deadline = later(Instant::now(), patience);
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
        left.saturating_mul(2) <= (self.asked.len() as u64).saturating_mul(PIECE_LEN)
    }

    /// Whether the source has said what it gives.
    pub(super) fn has_chosen(&self) -> bool {
        self.chosen
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
    /// stream. Without `read` it gives failures, and what the source tells until it has chosen what it gives: the sooner
    /// that is known, the less of it is asked of others. May be dropped and called again: nothing is lost.
    pub(super) async fn advance(&mut self, read: bool) -> Event {
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
        let State::Open(stream) = &mut self.state else {
            return future::pending().await;
        };
        if read {
            return match self.kept.take() {
                Some(event) => event,
                None => stream.next().await,
            };
        }
        if self.kept.is_none() && !self.others.is_empty() {
            match stream.next().await {
                Some(Ok(news @ (FetchEvent::Queued { .. } | FetchEvent::Chosen { .. }))) => {
                    return Some(Ok(news));
                }
                // It does not choose.
                event => self.kept = Some(event),
            }
        }
        future::pending().await
    }
}
