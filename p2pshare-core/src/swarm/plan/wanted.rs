//! What somebody is about to read, before everything else.

use std::time::Duration;

use super::{
    Next, Planner,
    assign::{Loot, assignment},
    source::Source,
};
use crate::{
    content::{PieceIndex, PieceRun},
    swarm::SourceId,
};

/// More readers than this are not looked at.
const MAX_WINDOWS: usize = 32;

/// A window is looked at up to this length.
const MAX_WINDOW: u32 = 256;

/// So many pieces at the beginning of a window are needed at once: for them others are given up, taken from slow
/// sources, or fetched twice.
const URGENT: u32 = 4;

/// What a source delivers so soon is not taken from it for the sake of a reader.
const SOON: Duration = Duration::from_millis(250);

/// What a source can do for somebody who reads.
enum Deed {
    /// Fetch these, which are free.
    Take(Vec<PieceIndex>),
    /// Fetch what another source would deliver too late.
    Rob(Loot),
    /// Fetch what another source has begun to deliver as well.
    Copy(PieceIndex),
}

impl Planner {
    /// From now on the pieces of these windows are to come before the rest, those at the beginning of each first; no
    /// windows: all are equal again.
    ///
    /// Sources that are busy for long with other pieces lose those that have not begun to come when what is wanted at
    /// once is not on its way. They learn of it as of pieces that were stolen, and should be asked for again soon.
    pub fn want(&mut self, windows: &[PieceRun], now: Duration) {
        let count = self.layout.piece_count();
        let clipped =
            windows.iter().filter(|run| run.start.0 < count).take(MAX_WINDOWS).map(|run| {
                let most = MAX_WINDOW.min(count - run.start.0);
                PieceRun::new(run.start, run.count.min(most))
            });
        self.wanted = clipped.collect();
        let urgent: Vec<_> = self
            .in_windows()
            .take_while(|(distance, _)| *distance < URGENT)
            .map(|(_, piece)| piece)
            .filter(|piece| self.rarity.is_free(*piece))
            .collect();
        if !urgent.is_empty() {
            self.make_room(&urgent, now);
        }
    }

    /// What a source is to do next for those who read, if it is of use to them.
    pub(super) fn next_wanted(
        &mut self,
        id: SourceId,
        budget: u32,
        now: Duration,
        typical: f64,
    ) -> Option<Next> {
        match self.deed(id, budget, now, typical)? {
            Deed::Take(run) => {
                for piece in &run {
                    self.rarity.take(*piece);
                    self.assign(id, *piece, now, false);
                }
                Some(Next::Fetch(assignment(run)))
            }
            Deed::Rob(loot) => Some(self.rob(id, loot, now)),
            Deed::Copy(piece) => {
                self.assign(id, piece, now, false);
                Some(Next::Fetch(assignment([piece])))
            }
        }
    }

    /// What a source should do first for those who read.
    fn deed(&self, id: SourceId, budget: u32, now: Duration, typical: f64) -> Option<Deed> {
        let source = self.sources.get(&id)?;
        let missing = self.in_windows().filter(|(_, piece)| !self.verified.contains(*piece));
        let mut usable = missing.filter(|(_, piece)| source.has(*piece));
        usable.find_map(|(distance, piece)| {
            let is_urgent = distance < URGENT;
            if !self.rarity.is_free(piece) {
                return is_urgent.then(|| self.hasten(id, source, piece, now, typical)).flatten();
            }
            if is_urgent && self.is_for_a_faster_one(id, source, piece, now, typical) {
                return None;
            }
            Some(Deed::Take(self.wanted_run(source, piece, distance, budget)))
        })
    }

    /// The wanted pieces with their distance from where somebody reads, the nearest first.
    fn in_windows(&self) -> impl Iterator<Item = (u32, PieceIndex)> + '_ {
        let longest = self.wanted.iter().map(|run| run.count).max().unwrap_or(0);
        (0..longest).flat_map(|distance| {
            let long = self.wanted.iter().filter(move |run| distance < run.count);
            long.map(move |run| (distance, PieceIndex(run.start.0 + distance)))
        })
    }

    fn is_wanted(&self, piece: PieceIndex) -> bool {
        let inside =
            |run: &PieceRun| piece.0.checked_sub(run.start.0).is_some_and(|d| d < run.count);
        self.wanted.iter().any(inside)
    }

    /// Whether another source would deliver the piece so much sooner that it should be left to it.
    fn is_for_a_faster_one(
        &self,
        id: SourceId,
        source: &Source,
        piece: PieceIndex,
        now: Duration,
        typical: f64,
    ) -> bool {
        let mine = source.eta(source.queue.len(), now, typical);
        self.sources.iter().any(|(other, rival)| {
            let theirs = rival.eta(rival.queue.len(), now, typical);
            *other != id
                && rival.retry_at <= now
                && rival.meter.is_measured()
                && rival.has(piece)
                && theirs * self.config.steal_factor < mine
        })
    }

    /// Free pieces from this one on. Near the reader they are few, unless nobody else could fetch them at the same time,
    /// so that several sources work on what is needed next.
    fn wanted_run(
        &self,
        source: &Source,
        from: PieceIndex,
        distance: u32,
        budget: u32,
    ) -> Vec<PieceIndex> {
        let few = (1 + distance / 2).max(budget / 8);
        let most = if self.sources.len() > 1 { few.min(budget) } else { budget };
        let run = PieceRun::new(from, most.max(1)).iter();
        run.take_while(|piece| {
            self.is_wanted(*piece) && self.rarity.is_free(*piece) && source.has(*piece)
        })
        .collect()
    }

    /// Whether a piece should be taken from a source that would deliver it too late, or fetched twice if it has begun to
    /// come.
    fn hasten(
        &self,
        id: SourceId,
        source: &Source,
        piece: PieceIndex,
        now: Duration,
        typical: f64,
    ) -> Option<Deed> {
        let holders = self.assigned.get(&piece)?;
        if holders.contains(&id) || source.waiting {
            return None;
        }
        let mine = source.eta(source.queue.len(), now, typical);
        let worth = (mine * 2.0).max(mine + self.config.min_gain.as_secs_f64());
        if worth.is_infinite() || !self.is_latest(piece, worth, now, typical) {
            return None;
        }
        if let [victim] = holders[..]
            && let Some(other) = self.sources.get(&victim)
            && self.loose_pieces(source, other, now).any(|(_, loose)| loose == piece)
        {
            return Some(Deed::Rob(Loot { victim, pieces: vec![piece] }));
        }
        (self.copies(piece) < self.config.max_copies).then_some(Deed::Copy(piece))
    }

    /// Has sources that could fetch one of these pieces, and are busy for long, give up others that nobody reads. What
    /// has begun to come is left to them.
    fn make_room(&mut self, urgent: &[PieceIndex], now: Duration) {
        let typical = self.typical_speed(now);
        let mut freed = Vec::new();
        for (id, source) in &self.sources {
            let last = source.queue.len().saturating_sub(1);
            if source.eta(last, now, typical) <= SOON.as_secs_f64()
                || !urgent.iter().any(|piece| source.has(*piece))
            {
                continue;
            }
            let orders = source.queue.iter().skip(source.begun());
            let others = orders.filter(|order| !self.is_wanted(order.piece));
            freed.extend(others.map(|order| (*id, order.piece)));
        }
        for (id, piece) in freed {
            self.give_up(id, piece, now);
        }
    }

    fn give_up(&mut self, id: SourceId, piece: PieceIndex, now: Duration) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.remove(piece, now);
        }
        let Some(holders) = self.assigned.get_mut(&piece) else {
            return;
        };
        holders.retain(|holder| *holder != id);
        if holders.is_empty() {
            self.assigned.remove(&piece);
            self.rarity.put(piece);
        }
    }
}
