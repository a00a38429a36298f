//! What the workers of a download share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

use crate::{
    content::{ContentId, Layout, PieceIndex, PieceRun},
    swarm::{
        DownloadOptions, Next, Planner, SourceId, SwarmEvent, SwarmEvents, SwarmLimits,
        options::pieces,
    },
    transfer::PieceSink,
};

/// The planner of a download, who takes part, and what everyone has delivered.
pub(super) struct Board {
    pub(super) content: ContentId,
    pub(super) layout: Layout,
    pub(super) sink: Arc<dyn PieceSink>,
    pub(super) options: DownloadOptions,
    pub(super) limits: SwarmLimits,
    /// Whole pieces of this download in memory.
    pub(super) pieces: Arc<Semaphore>,
    pub(super) events: SwarmEvents,
    pub(super) started: Instant,
    pub(super) resumed: u32,
    /// Something changed that the coordinator should look at.
    pub(super) changed: Notify,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) planner: Planner,
    pub(super) parts: BTreeMap<SourceId, Part>,
    pub(super) refetched: u32,
    /// When a byte came last, or the place in a queue, or a new source; not from those who have failed in vain too often.
    pub(super) last_sign: Duration,
    /// When a source last had something that is missing; not from those who have failed in vain too often.
    pub(super) last_useful: Duration,
}

/// What a source does and has done.
#[derive(Default)]
pub(super) struct Part {
    pub(super) standing: Standing,
    pub(super) wake: Arc<Notify>,
    pub(super) bytes: u64,
    pub(super) pieces: u32,
    /// Failures since its last piece.
    pub(super) fruitless: u32,
    /// It has said what it has, and has not failed since.
    pub(super) there: bool,
    /// Its request waits in its queue, and it is hopeful.
    pub(super) queued: bool,
    /// Since when it has had nothing that is missing.
    pub(super) idle_since: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does nothing.
    #[default]
    Out,
    /// It is connected to or delivers, and has not failed since its last piece.
    Good,
    /// It is there, and has nothing that is missing.
    Idle,
    /// It has failed and is tried again.
    Doubtful,
}

impl Board {
    pub(super) fn new(
        sink: Arc<dyn PieceSink>,
        options: DownloadOptions,
        limits: SwarmLimits,
        events: SwarmEvents,
    ) -> Self {
        let (content, layout, held) = {
            let manifest = sink.manifest();
            (manifest.id(), manifest.layout(), sink.held())
        };
        let seed = options.seed.unwrap_or_else(rand::random);
        let planner = Planner::new(layout, &held, seed, options.planner.clone());
        events.begin(planner.progress().verified_bytes, layout.len());
        Self {
            content,
            layout,
            sink,
            pieces: Arc::new(Semaphore::new(pieces(options.max_buffered))),
            options,
            limits,
            events,
            started: Instant::now(),
            resumed: held.len(),
            changed: Notify::new(),
            state: Mutex::new(State {
                planner,
                parts: BTreeMap::new(),
                refetched: 0,
                last_sign: Duration::ZERO,
                last_useful: Duration::ZERO,
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The planner's time.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn is_done(&self) -> bool {
        self.state().planner.is_done()
    }

    /// What tells this source's worker that its orders have changed.
    pub(super) fn wake(&self, id: SourceId) -> Arc<Notify> {
        self.state().part(id).wake.clone()
    }

    pub(super) fn set_standing(&self, id: SourceId, standing: Standing) {
        let now = self.now();
        let mut state = self.state();
        let part = state.part(id);
        part.standing = standing;
        part.idle_since = match standing {
            Standing::Idle => part.idle_since.or(Some(now)),
            _ => None,
        };
        if standing == Standing::Good {
            state.last_useful = now;
        }
        let taking_part = |part: &&Part| part.standing != Standing::Out;
        let sources = state.parts.values().filter(taking_part).count();
        self.events.sources(sources);
        drop(state);
        self.changed.notify_one();
    }

    /// A source that was there has failed, for the first time since its last piece: patience begins now, and not when it
    /// last had something to say.
    pub(super) fn lost(&self, id: SourceId) {
        let now = self.now();
        let mut state = self.state();
        let part = state.part(id);
        part.queued = false;
        let was_there = std::mem::take(&mut part.there);
        let useful = part.standing != Standing::Idle;
        if !was_there || part.fruitless > 1 {
            return;
        }
        state.last_sign = now;
        if useful {
            state.last_useful = now;
        }
    }

    /// Takes a source out.
    pub(super) fn leave(&self, id: SourceId) {
        let now = self.now();
        let mut state = self.state();
        state.planner.leave(id, now);
        state.part(id).queued = false;
        state.wake_all();
        drop(state);
        self.set_standing(id, Standing::Out);
        self.events.send(SwarmEvent::Left { source: id });
    }

    /// Asks the planner what a source is to do next; those that lose pieces to it learn of it.
    pub(super) fn next(&self, id: SourceId) -> Next {
        let now = self.now();
        let mut state = self.state();
        // Who asks anew has nothing in a queue, or has half of it already.
        state.part(id).queued = false;
        let next = state.planner.next(id, now);
        if let Next::Fetch(assignment) = &next {
            for (victim, _) in &assignment.steals {
                state.wake(*victim);
            }
        }
        next
    }

    /// Whether something may still come of a source. Without this, sources that break off again and again before a piece
    /// is whole would keep a download alive for ever.
    fn is_hopeful(&self, part: &Part) -> bool {
        part.fruitless < self.options.max_failures.saturating_mul(2).max(1)
    }

    /// Bytes have come.
    pub(super) fn received(&self, id: SourceId, bytes: u64) {
        let now = self.now();
        self.events.received(id, bytes);
        let mut state = self.state();
        for loser in state.planner.received(id, bytes, now) {
            state.wake(loser);
        }
        state.part(id).bytes += bytes;
        if self.is_hopeful(state.part(id)) {
            state.last_sign = now;
            state.last_useful = now;
        }
    }

    /// Somebody reads here: that is to come before the rest.
    pub(super) fn want(&self, windows: &[PieceRun]) {
        let now = self.now();
        let mut state = self.state();
        state.planner.want(windows, now);
        state.wake_all();
    }

    /// The request is in the source's queue.
    pub(super) fn queued(&self, id: SourceId, position: u32) {
        let now = self.now();
        let mut state = self.state();
        state.planner.queued(id, now);
        if self.is_hopeful(state.part(id)) {
            state.part(id).queued = true;
            state.last_sign = now;
        }
        drop(state);
        let source = id;
        self.events.send(SwarmEvent::Queued { source, position });
    }

    /// A source has chosen what it gives of what was left to it.
    pub(super) fn chosen(&self, id: SourceId, asked: &[PieceIndex], chosen: &[PieceIndex]) {
        let now = self.now();
        let mut state = self.state();
        let result = state.planner.chosen(id, asked, chosen, now);
        match result.freed {
            true => state.wake_all(),
            false => result.victims.into_iter().for_each(|victim| state.wake(victim)),
        }
    }

    /// A piece is in the sink.
    pub(super) fn verified(&self, id: SourceId, piece: PieceIndex) {
        let now = self.now();
        let mut state = self.state();
        let verified = state.planner.piece_verified(id, piece, now);
        if !verified.new {
            state.refetched += 1;
            return;
        }
        let part = state.part(id);
        part.pieces += 1;
        part.fruitless = 0;
        for other in verified.others {
            state.wake(other);
        }
        if state.planner.is_done() {
            state.wake_all();
            self.changed.notify_one();
        }
        drop(state);
        self.events.verified(self.layout.piece_len(piece) as u64);
        self.events.send(SwarmEvent::Piece { source: id, piece });
    }
}

impl State {
    pub(super) fn part(&mut self, id: SourceId) -> &mut Part {
        self.parts.entry(id).or_default()
    }

    pub(super) fn wake(&self, id: SourceId) {
        if let Some(part) = self.parts.get(&id) {
            part.wake.notify_one();
        }
    }

    /// Pieces are free again, or all is done: everyone should ask.
    pub(super) fn wake_all(&self) {
        self.parts.values().for_each(|part| part.wake.notify_one());
    }
}
