//! Deciding who fetches which piece.
//!
//! Pure: no I/O, no task, and time is a parameter, counted from any fixed moment on.
//!
//! # Invariant
//!
//! - Every piece is in exactly one state: *free* (nobody fetches it), *assigned* (to one source or more) or *verified*.
//! - A piece is assigned only to sources that have joined, are not struck off, and had it when it was assigned. It is in
//!   the queue of exactly those sources, once in each.
//! - A piece gets a second source only while it does nothing but *wait* in the queues of those who are to deliver it, or
//!   in the *endgame*, when no piece of the content is free, or while somebody is about to read it
//!   ([`Planner::want`]): so the download never hangs on one busy source, and at the
//!   end on no slow one. Once one begins to deliver it, those in whose queues it waits lose it. Pieces that have a second
//!   source may keep it when others become free again because a source failed. There are never more than
//!   [`PlannerConfig::max_copies`].
//! - What a source may give instead of what it is asked for is not assigned. What it then chooses is: if it is free, or
//!   only assigned to somebody who has not begun to deliver it. Nobody else loses anything by a choice.
//! - Whoever has stolen a piece is not robbed of it before [`PlannerConfig::recheck`] has passed. When it becomes free
//!   again meanwhile, because the thief failed, left or gives something else, it is like any other free piece.
//! - A verified piece stays verified.
//! - The rarity of a piece is the number of joined partial sources that have it.

mod assign;
mod bitmap;
#[cfg(any(test, feature = "testing"))]
mod check;
mod choice;
mod config;
mod rarity;
mod source;
pub(super) mod speed;
mod wanted;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use self::{
    bitmap::Bitmap,
    rarity::Rarity,
    source::{Order, Source},
};
pub use self::{choice::Chosen, config::PlannerConfig};
use super::SourceId;
use crate::content::{Layout, PieceIndex, PieceRun, PieceSet};

/// Owns the state of every piece of one download and decides who fetches what.
///
/// Rarest first with random ties; runs of neighbouring pieces sized to about a second of the source's measured speed,
/// and smaller towards the end, so that all sources finish together; stealing from slow sources; endgame; backoff for
/// failures; a source that lies is struck off.
///
/// One call of [`next`](Self::next) takes time in proportion to the number of sources and the length of their queues,
/// not to that of the content. Joining, gaining and leaving take time in proportion to the pieces that they are about.
/// Memory: about 2 bytes for each piece, and a bit for each piece and partial source.
#[derive(Debug)]
pub struct Planner {
    layout: Layout,
    config: PlannerConfig,
    rng: Xoshiro256PlusPlus,
    verified: PieceSet,
    verified_bytes: u64,
    rarity: Rarity,
    /// Who fetches each assigned piece, in the order in which they were asked.
    assigned: HashMap<PieceIndex, Vec<SourceId>>,
    sources: BTreeMap<SourceId, Source>,
    struck: BTreeMap<SourceId, String>,
    /// What is to come before the rest.
    wanted: Vec<PieceRun>,
}

/// What a source is to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Fetch this.
    Fetch(Assignment),
    /// There is nothing for it now: ask again at this time, or when something changes.
    Wait {
        /// Not before this time.
        until: Duration,
    },
    /// The source has not joined, or was struck off.
    Gone,
    /// Every piece is verified.
    Done,
}

/// Pieces for one source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assignment {
    /// What to fetch, in this order. Never empty.
    pub runs: Vec<PieceRun>,
    /// What would do as well: the source may give any of it instead, and then [`Planner::chosen`] is to be told.
    pub others: Vec<PieceRun>,
    /// What was taken from others for it: they need not deliver it any more.
    pub steals: Vec<(SourceId, PieceRun)>,
}

/// What came of a verified piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// It is the first time that this piece is verified.
    pub new: bool,
    /// Who else was to fetch it and need not any more.
    pub others: Vec<SourceId>,
}

/// Why a source did not deliver, as far as the planner cares. For a lie there is [`Planner::lied`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may be better in a moment.
    Passing,
    /// It does not have this piece, whatever it said.
    NotHeld(PieceIndex),
    /// Trying again soon makes no sense: it gets the longest pause.
    Lasting,
}

/// How far the download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pieces that are verified.
    pub verified: u32,
    /// Their length in bytes.
    pub verified_bytes: u64,
    /// Pieces that are being fetched.
    pub assigned: u32,
    /// Pieces that nobody fetches.
    pub free: u32,
    /// Sources that have joined.
    pub sources: usize,
}

impl Planner {
    /// Starts to plan a content of which the pieces in `held` are verified already. The same seed and the same calls
    /// give the same answers.
    #[must_use]
    pub fn new(layout: Layout, held: &PieceSet, seed: u64, config: PlannerConfig) -> Self {
        let mut planner = Self {
            layout,
            config,
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            verified: PieceSet::empty(layout.piece_count()),
            verified_bytes: 0,
            rarity: Rarity::new(layout.piece_count()),
            assigned: HashMap::new(),
            sources: BTreeMap::new(),
            struck: BTreeMap::new(),
            wanted: Vec::new(),
        };
        for piece in layout.all().iter() {
            if held.contains(piece) {
                planner.verified.insert(piece);
                planner.verified_bytes += layout.piece_len(piece) as u64;
            } else {
                planner.rarity.put(piece);
            }
        }
        planner
    }

    /// A source has come, with what it has. A source that is there already starts anew with this have-set; its speed
    /// and its pause after failures are kept. False when the source was struck off: it stays out.
    pub fn join(&mut self, id: SourceId, have: &PieceSet, now: Duration) -> bool {
        if self.struck.contains_key(&id) {
            return false;
        }
        let mut old = self.take_out(id, now);
        let bitmap = (!have.is_full()).then(|| self.bitmap(have));
        let source = match old.take() {
            None => Source::new(bitmap),
            Some(old) => Source { have: bitmap, ..old },
        };
        self.sources.insert(id, source);
        true
    }

    /// A source has gained pieces. Those that the content does not have are left out.
    pub fn gained(&mut self, id: SourceId, runs: &[PieceRun]) {
        let Some(have) = self.sources.get_mut(&id).and_then(|source| source.have.as_mut()) else {
            return;
        };
        let count = self.layout.piece_count();
        for piece in runs.iter().flat_map(|run| {
            let end = run.start.0.saturating_add(run.count).min(count);
            (run.start.0..end).map(PieceIndex)
        }) {
            if have.insert(piece) {
                self.rarity.seen(piece);
            }
        }
    }

    /// A source has gone. What it was to fetch is free again. A strike stays.
    pub fn leave(&mut self, id: SourceId, now: Duration) {
        self.take_out(id, now);
    }

    /// A source has delivered bytes, not verified yet. Gives those in whose queues the same piece waited: they need not
    /// deliver it any more.
    pub fn received(&mut self, id: SourceId, bytes: u64, now: Duration) -> Vec<SourceId> {
        let Some(source) = self.sources.get_mut(&id) else {
            return Vec::new();
        };
        if source.waiting {
            source.waiting = false;
            source.meter.restart(now);
        }
        let piece = source.queue.get(source.begun() - 1).map(|order| order.piece);
        source.receive(bytes, now);
        piece.map_or_else(Vec::new, |piece| self.take_from_queues(id, piece, now))
    }

    /// Bytes that a source has delivered were dropped: their piece was given up.
    pub fn discarded(&mut self, id: SourceId, bytes: u64) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.settle(bytes);
        }
    }

    /// A source has put the request into its queue: that says nothing about its speed, but it delivers nothing for now.
    pub fn queued(&mut self, id: SourceId, now: Duration) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.wait(now);
        }
    }

    /// A piece from a source was verified, and is kept. It counts even when the source was not asked for it any more.
    pub fn piece_verified(&mut self, id: SourceId, piece: PieceIndex, now: Duration) -> Verified {
        if !self.layout.contains(piece) {
            return Verified::default();
        }
        let len = self.layout.piece_len(piece) as u64;
        if let Some(source) = self.sources.get_mut(&id) {
            source.failures = 0;
            source.settle(len);
        }
        if !self.verified.insert(piece) {
            return Verified::default();
        }
        self.verified_bytes += len;
        self.rarity.take(piece);
        let mut others = self.assigned.remove(&piece).unwrap_or_default();
        for holder in &others {
            if let Some(source) = self.sources.get_mut(holder) {
                source.remove(piece, now);
            }
        }
        others.retain(|holder| *holder != id);
        Verified { new: true, others }
    }

    /// A source has failed: what it was to fetch is free again, and it is left alone for a while, for longer with every
    /// failure in a row. Gives the time of the next attempt.
    pub fn failed(&mut self, id: SourceId, failure: Failure, now: Duration) -> Duration {
        self.release_all(id, now);
        let jitter = self.rng.random_range(0.75..1.25);
        let Some(source) = self.sources.get_mut(&id) else {
            return now;
        };
        source.failures = source.failures.saturating_add(1);
        let pause = match failure {
            Failure::Lasting => self.config.longest_backoff(),
            Failure::Passing | Failure::NotHeld(_) => self.config.backoff(source.failures),
        };
        source.retry_at = now.saturating_add(pause.mul_f64(jitter));
        let retry_at = source.retry_at;
        if let Failure::NotHeld(piece) = failure {
            self.forget(id, piece);
        }
        retry_at
    }

    /// A source has lied: it is struck off, and what it was to fetch is free again. What it delivered before is
    /// verified and stays.
    pub fn lied(&mut self, id: SourceId, reason: impl Into<String>, now: Duration) {
        self.take_out(id, now);
        self.struck.entry(id).or_insert_with(|| reason.into());
    }

    /// The sources that were struck off, and why.
    pub fn struck(&self) -> impl Iterator<Item = (SourceId, &str)> {
        self.struck.iter().map(|(id, reason)| (*id, reason.as_str()))
    }

    /// How many times in a row a source has failed since its last piece.
    #[must_use]
    pub fn failures(&self, id: SourceId) -> u32 {
        self.sources.get(&id).map_or(0, |source| source.failures)
    }

    /// Whether this source is to deliver this piece.
    #[must_use]
    pub fn is_assigned(&self, id: SourceId, piece: PieceIndex) -> bool {
        let holders = self.assigned.get(&piece);
        holders.is_some_and(|holders| holders.contains(&id))
    }

    /// Whether a source has any piece that is not verified. Takes time in proportion to the number of sources and
    /// a 64th of that of the pieces at most.
    #[must_use]
    pub fn is_useful(&self, id: SourceId) -> bool {
        let Some(source) = self.sources.get(&id) else {
            return false;
        };
        !source.queue.is_empty()
            || self.rarity.rarest(source.have.as_ref(), PieceIndex(0)).is_some()
            || self.assigned.keys().any(|piece| source.has(*piece))
    }

    /// Whether every piece is verified.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.verified.is_full()
    }

    /// The first piece that is not verified, for messages.
    #[must_use]
    pub fn first_missing(&self) -> Option<PieceIndex> {
        self.verified.missing().next()
    }

    /// How far the download is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let free = self.rarity.free();
        Progress {
            verified: self.verified.len(),
            verified_bytes: self.verified_bytes,
            assigned: self.layout.piece_count() - self.verified.len() - free,
            free,
            sources: self.sources.len(),
        }
    }

    /// Takes a source out with all that it was to fetch and all that it has.
    fn take_out(&mut self, id: SourceId, now: Duration) -> Option<Source> {
        self.release_all(id, now);
        let source = self.sources.remove(&id)?;
        for piece in source.have.iter().flat_map(Bitmap::iter) {
            self.rarity.unseen(piece);
        }
        Some(source)
    }

    /// Makes free what a source was to fetch, unless somebody else fetches it too.
    fn release_all(&mut self, id: SourceId, now: Duration) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        let queue = std::mem::take(&mut source.queue);
        source.idle(now);
        for Order { piece, .. } in queue {
            let Some(holders) = self.assigned.get_mut(&piece) else {
                continue;
            };
            holders.retain(|holder| *holder != id);
            if holders.is_empty() {
                self.assigned.remove(&piece);
                self.rarity.put(piece);
            }
        }
    }

    fn forget(&mut self, id: SourceId, piece: PieceIndex) {
        let Some(source) = self.sources.get_mut(&id) else {
            return;
        };
        match &mut source.have {
            Some(have) => {
                if have.remove(piece) {
                    self.rarity.unseen(piece);
                }
            }
            None => {
                let mut have = PieceSet::full(self.layout.piece_count());
                have.remove(piece);
                let bitmap = self.bitmap(&have);
                if let Some(source) = self.sources.get_mut(&id) {
                    source.have = Some(bitmap);
                }
            }
        }
    }

    /// What a partial source has, counted.
    fn bitmap(&mut self, have: &PieceSet) -> Bitmap {
        let mut bitmap = Bitmap::empty(self.layout.piece_count());
        for piece in have.iter().take_while(|piece| self.layout.contains(*piece)) {
            bitmap.insert(piece);
            self.rarity.seen(piece);
        }
        bitmap
    }
}
