//! One connection's worth of work with a source.

mod choice;
mod gains;
mod wait;

use std::sync::Arc;

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{sync::Notify, time::Instant};

use self::wait::{advance, next, until, wait};
use super::{
    board::{Board, Standing},
    put::Admitted,
    request::Request,
};
use crate::{
    content::{PieceIndex, PieceSet},
    swarm::{Candidate, Next, SourceId, SwarmEvent, small::within},
    time::later,
    transfer::{
        FetchEvent, HaveStream, PieceSource, Segment, SegmentStream, SinkError, TransferError,
    },
};

/// Why a session ended before all was done.
pub(super) enum Broken {
    Source(TransferError),
    Sink(SinkError),
}

type Put = BoxFuture<'static, (PieceIndex, Result<(), SinkError>)>;

pub(super) struct Session<'a> {
    board: &'a Arc<Board>,
    id: SourceId,
    source: Arc<dyn PieceSource>,
    wake: Arc<Notify>,
    /// What it gains, until it has everything.
    have: Option<HaveStream>,
    /// The stream ended although the source had not everything.
    have_broke: bool,
    /// How many pieces it may still say that it has gained.
    room: u32,
    /// The request whose bytes are read.
    current: Option<Request>,
    /// The request that was sent ahead, so that the line does not idle.
    upcoming: Option<Request>,
    /// A stream that has given everything and only has to end.
    ending: Option<SegmentStream>,
    /// The planner has nothing before then.
    ask_at: Option<Instant>,
    /// A whole piece that waits for its place in memory. Nothing is read before it has one.
    admission: Option<BoxFuture<'static, Admitted>>,
    puts: FuturesUnordered<Put>,
}

impl<'a> Session<'a> {
    /// Asks the source what it has and lets it join.
    pub(super) async fn open(
        board: &'a Arc<Board>,
        candidate: &Candidate,
    ) -> Result<Self, TransferError> {
        let source = candidate.source.clone();
        let patience = board.options.answer;
        let mut have = within(patience, source.have(&board.content)).await?;
        let first = within(patience, async {
            let ended = || TransferError::Unavailable("it does not say what it has".into());
            have.next().await.ok_or_else(ended)?
        })
        .await?;
        let count = board.layout.piece_count();
        let broken =
            |error: crate::content::PieceSetError| TransferError::Protocol(error.to_string());
        let set = PieceSet::from_runs(count, first.gained).map_err(broken)?;
        if first.complete && !set.is_full() {
            let lie = "it says that it has everything and does not name all pieces";
            return Err(TransferError::Protocol(lie.into()));
        }
        let now = board.now();
        let mut state = board.state();
        state.planner.join(candidate.id, &set, now);
        state.part(candidate.id).there = true;
        state.wake_all();
        drop(state);
        board
            .events
            .send(SwarmEvent::Joined { source: candidate.id, label: candidate.label.clone() });
        Ok(Self {
            board,
            id: candidate.id,
            source,
            wake: board.wake(candidate.id),
            have: (!set.is_full()).then_some(have),
            have_broke: false,
            room: count,
            current: None,
            upcoming: None,
            ending: None,
            ask_at: None,
            admission: None,
            puts: FuturesUnordered::new(),
        })
    }

    /// Fetches what the planner says, until all is done.
    pub(super) async fn run(&mut self) -> Result<(), Broken> {
        while !self.board.is_done() {
            self.top_up().map_err(Broken::Source)?;
            self.step().await?;
        }
        Ok(())
    }

    /// Puts away what has come whole.
    pub(super) async fn drain(&mut self) -> Result<(), Broken> {
        self.current = None;
        self.upcoming = None;
        loop {
            // Both at once: the place that a piece waits for may be that of one which is written.
            tokio::select! {
                admitted = wait(&mut self.admission), if self.admission.is_some() => {
                    self.admission = None;
                    self.puts.push(admitted.put().boxed());
                }
                Some((piece, result)) = self.puts.next(), if !self.puts.is_empty() => {
                    self.take_put(piece, result)?;
                }
                else => return Ok(()),
            }
        }
    }

    /// Makes sure that there is a request, and another one behind it before it ends.
    fn top_up(&mut self) -> Result<(), TransferError> {
        let (answer, stall) = (self.board.options.answer, self.board.options.stall);
        self.ask_at.take_if(|at| *at <= Instant::now());
        while self.upcoming.is_none() || self.current.is_none() {
            if self.current.is_none() && self.upcoming.is_some() {
                self.current = self.upcoming.take();
                if let Some(request) = &mut self.current {
                    let patience = match (request.is_open(), request.position) {
                        (false, _) => answer,
                        (true, None) => stall,
                        (true, Some(_)) => self.board.options.queue_stall,
                    };
                    request.alive(patience);
                    if let Some(position) = request.position {
                        self.board.queued(self.id, position);
                    }
                }
                continue;
            }
            let busy = self.current.as_ref().is_some_and(|request| !request.is_half_done());
            if busy || self.ask_at.is_some() {
                return Ok(());
            }
            match self.board.next(self.id) {
                Next::Fetch(assignment) => {
                    let (content, layout) = (self.board.content, self.board.layout);
                    let source = self.source.clone();
                    let request = Request::new(source, content, layout, assignment, stall)?;
                    self.upcoming = Some(request);
                    self.note_standing(true);
                }
                Next::Wait { until } => {
                    self.ask_at = Some(later(self.board.started, until));
                    let useful =
                        self.current.is_some() || self.board.state().planner.is_useful(self.id);
                    if !useful && self.have_broke {
                        let gone = "it has nothing that is missing and does not say what it gains";
                        return Err(TransferError::Unavailable(gone.into()));
                    }
                    self.note_standing(useful);
                    return Ok(());
                }
                Next::Done => return Ok(()),
                Next::Gone => return Err(TransferError::Unavailable("it was struck off".into())),
            }
        }
        Ok(())
    }

    fn note_standing(&self, useful: bool) {
        let fruitless = self.board.state().part(self.id).fruitless;
        let standing = match (useful, fruitless) {
            (false, _) => Standing::Idle,
            (true, 0) => Standing::Good,
            (true, _) => Standing::Doubtful,
        };
        if self.board.state().part(self.id).standing != standing {
            self.board.set_standing(self.id, standing);
        }
    }

    /// Waits for the next thing that happens.
    async fn step(&mut self) -> Result<(), Broken> {
        let reads = self.admission.is_none();
        // It may have moved since this was said.
        let deadline = self.current.as_ref().map(|request| request.deadline);
        let ask_at = self.ask_at;
        tokio::select! {
            event = advance(&mut self.current, reads), if self.current.is_some() => self.take_event(event),
            event = advance(&mut self.upcoming, false), if self.upcoming.is_some() => {
                self.take_early(event).map_err(Broken::Source)
            }
            update = next(&mut self.have), if self.have.is_some() => {
                self.take_update(update).map_err(Broken::Source)
            }
            admitted = wait(&mut self.admission), if self.admission.is_some() => {
                self.admission = None;
                self.puts.push(admitted.put().boxed());
                // The time in which nothing was read is not the source's.
                self.current.iter_mut().for_each(|request| request.alive(request.patience));
                Ok(())
            }
            Some((piece, result)) = self.puts.next(), if !self.puts.is_empty() => self.take_put(piece, result),
            _ = next(&mut self.ending), if self.ending.is_some() => {
                self.ending = None;
                Ok(())
            }
            () = self.wake.notified() => {
                self.ask_at = None;
                self.give_up_lost();
                Ok(())
            }
            () = until(ask_at), if ask_at.is_some() => Ok(()),
            () = until(deadline), if reads && deadline.is_some() => self.take_deadline(),
        }
    }

    /// The time is over that the source had, unless it has shown a sign of life since.
    fn take_deadline(&self) -> Result<(), Broken> {
        let request = self.current.as_ref().filter(|request| request.deadline <= Instant::now());
        request
            .map_or(Ok(()), |request| Err(Broken::Source(TransferError::Stalled(request.patience))))
    }

    fn take_event(
        &mut self,
        event: Option<Result<FetchEvent, TransferError>>,
    ) -> Result<(), Broken> {
        let segment = match event {
            None => {
                let ended = "it ended the stream before all had come".into();
                return Err(Broken::Source(TransferError::Unavailable(ended)));
            }
            Some(Err(error)) => return Err(Broken::Source(error)),
            Some(Ok(FetchEvent::Queued { position })) => return self.take_queued(position),
            Some(Ok(FetchEvent::Chosen { runs })) => {
                return self.take_chosen(&runs).map_err(Broken::Source);
            }
            Some(Ok(FetchEvent::Segment(segment))) => segment,
        };
        self.take_segment(segment).map_err(Broken::Source)
    }

    fn take_queued(&mut self, position: u32) -> Result<(), Broken> {
        let patience = self.board.options.queue_stall;
        if let Some(request) = &mut self.current {
            if request.has_begun() || request.has_chosen() {
                let lie = "the source queued a fetch that had begun".into();
                return Err(Broken::Source(TransferError::Protocol(lie)));
            }
            // News that bring it no nearer are no reason to wait longer.
            if request.queue.take(position).map_err(Broken::Source)? {
                request.alive(patience);
            }
            self.board.queued(self.id, position);
        }
        Ok(())
    }

    fn take_segment(&mut self, segment: Segment) -> Result<(), TransferError> {
        let Some(request) = &mut self.current else {
            return Ok(());
        };
        let len = segment.data.len() as u64;
        request.alive(self.board.options.stall);
        self.board.received(self.id, len);
        request.partial += len;
        let Some((piece, data)) = request.assembler.push(segment)? else {
            return Ok(());
        };
        request.partial = 0;
        request.pieces.pop_front();
        let admission = Admitted::wait(self.board.clone(), piece, data);
        self.admission = Some(admission.boxed());
        self.end_current();
        Ok(())
    }

    /// Goes on to the next request once the current one has given all that is wanted of it.
    fn end_current(&mut self) {
        if self.current.as_ref().is_none_or(|request| !request.pieces.is_empty()) {
            return;
        }
        let Some(request) = self.current.take() else {
            return;
        };
        self.ask_at = None;
        if request.partial > 0 {
            self.board.state().planner.discarded(self.id, request.partial);
        }
        // Let it end by itself when everything has come: else it is cut off, which is right too.
        self.ending = match request.assembler.current() {
            None => request.into_stream(),
            Some(_) => None,
        };
    }

    /// Gives up what others were given instead: from the end of the requests, since what comes before it must be
    /// read anyway.
    fn give_up_lost(&mut self) {
        let state = self.board.state();
        let lost = |piece: &PieceIndex| !state.planner.is_assigned(self.id, *piece);
        for request in self.current.iter_mut().chain(&mut self.upcoming) {
            while request.pieces.back().is_some_and(lost) {
                request.pieces.pop_back();
            }
        }
        drop(state);
        self.upcoming.take_if(|request| request.pieces.is_empty());
        self.end_current();
    }

    fn take_put(&mut self, piece: PieceIndex, result: Result<(), SinkError>) -> Result<(), Broken> {
        match result {
            Ok(()) => {
                self.board.verified(self.id, piece);
                if self.current.is_none() {
                    self.ask_at = None;
                }
                Ok(())
            }
            Err(SinkError::Mismatch(mismatch)) => {
                self.board.state().refetched += 1;
                Err(Broken::Source(mismatch.into()))
            }
            Err(error) => Err(Broken::Sink(error)),
        }
    }
}
