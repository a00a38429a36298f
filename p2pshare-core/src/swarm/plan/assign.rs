//! Choosing what a source does next.

use std::time::Duration;

use rand::RngExt;

use super::{
    Assignment, Next, Planner,
    source::{Order, Source},
};
use crate::{
    content::{PIECE_LEN, PieceIndex, PieceRun},
    swarm::SourceId,
};

/// What a source is taken for whose speed is not known, when that of no other is either: bytes per second.
const GUESS: f64 = 1_048_576.0;

/// A victim, and what is taken from it.
pub(super) struct Loot {
    pub(super) victim: SourceId,
    pub(super) pieces: Vec<PieceIndex>,
}

impl Planner {
    /// What a source is to do next. What it was asked for before stays assigned to it: it may ask before it has
    /// delivered that, so that its line never idles.
    pub fn next(&mut self, id: SourceId, now: Duration) -> Next {
        if self.is_done() {
            return Next::Done;
        }
        let Some(source) = self.sources.get(&id) else {
            return Next::Gone;
        };
        if now < source.retry_at {
            return Next::Wait { until: source.retry_at };
        }
        let typical = self.typical_speed(now);
        let budget = self.budget(source, now, typical);
        if let Some(next) = self.next_wanted(id, budget, now, typical) {
            return next;
        }
        let Some(source) = self.sources.get(&id) else {
            return Next::Gone;
        };
        if let Some(loot) = self.early_loot(id, source, budget, now) {
            return self.rob(id, loot, now);
        }
        let free = self.take_free(id, budget, now);
        if !free.is_empty() {
            let others = self.others(id);
            return Next::Fetch(Assignment { others, ..assignment(free) });
        }
        if let Some(piece) = self.waiting_piece(id) {
            self.assign(id, piece, now, false);
            return Next::Fetch(assignment([piece]));
        }
        let Some(source) = self.sources.get(&id) else {
            return Next::Gone;
        };
        if let Some(loot) = self.loot(id, source, budget, now, typical) {
            return self.rob(id, loot, now);
        }
        if let Some(piece) = self.endgame_piece(id, source, now, typical) {
            self.assign(id, piece, now, false);
            return Next::Fetch(assignment([piece]));
        }
        Next::Wait { until: now.saturating_add(self.config.recheck) }
    }

    /// How many pieces to ask a source for at once: about a second of its speed, less of a seed with a crowd at it, but no more than a part of its share of
    /// what is free, so that in the end all sources finish at about the same time: half of it when others do most of the
    /// work, all of it when there are no others.
    fn budget(&self, source: &Source, now: Duration, typical: f64) -> u32 {
        let is_crowded =
            source.have.is_none() && self.sources.values().any(|one| one.have.is_some());
        let run_time = if is_crowded { self.config.swarm_run_time } else { self.config.run_time };
        let by_speed = match source.meter.estimate(now) {
            Some(speed) => speed * run_time.as_secs_f64() / PIECE_LEN as f64,
            None => f64::from(self.config.first_run),
        };
        let speed_of = |source: &Source| source.meter.estimate(now).unwrap_or(typical);
        let total: f64 =
            self.sources.values().filter(|other| other.retry_at <= now).map(speed_of).sum();
        let part = if total > 0.0 { speed_of(source) / total } else { 1.0 };
        let share = (f64::from(self.rarity.free()) * part * (1.0 + part) / 2.0).ceil();
        // A cast from a float saturates, so no speed is too high for it.
        let most = self.config.max_run.max(1);
        (by_speed.min(share) as u32).clamp(1, most)
    }

    /// The mean of the known speeds, in bytes per second.
    pub(super) fn typical_speed(&self, now: Duration) -> f64 {
        let speeds = self.sources.values().filter_map(|source| source.meter.estimate(now));
        let (sum, count) =
            speeds.fold((0.0, 0.0), |(sum, count), speed| (sum + speed, count + 1.0));
        if sum > 0.0 { sum / count } else { GUESS }
    }

    /// Takes up to `budget` free pieces that the source has, rarest first, neighbours together.
    fn take_free(&mut self, id: SourceId, budget: u32, now: Duration) -> Vec<PieceIndex> {
        let mut taken = Vec::new();
        while let Some(room) = budget.checked_sub(taken.len() as u32).filter(|room| *room > 0) {
            let Some(run) = self.rarest_run(id, room) else {
                break;
            };
            for piece in run.iter() {
                self.rarity.take(piece);
                self.assign(id, piece, now, false);
                taken.push(piece);
            }
        }
        taken
    }

    /// One of the rarest free pieces that the source has, with neighbours that are just as rare.
    fn rarest_run(&mut self, id: SourceId, most: u32) -> Option<PieceRun> {
        let from = PieceIndex(self.rng.random_range(0..self.layout.piece_count()));
        let source = self.sources.get(&id)?;
        let (count, found) = self.rarity.rarest(source.have.as_ref(), from)?;
        let fits = |piece: PieceIndex| self.rarity.is_free_with(count, piece) && source.has(piece);
        // Runs begin at multiples of their length where they can, so that few gaps are left that are too short for one.
        let block = 1 << most.ilog2();
        let earliest = found.0 - found.0 % block;
        let mut start = found.0;
        while start > earliest && fits(PieceIndex(start - 1)) {
            start -= 1;
        }
        let mut count = found.0 - start + 1;
        while count < most && fits(PieceIndex(start + count)) {
            count += 1;
        }
        Some(PieceRun::new(PieceIndex(start), count))
    }

    /// The rarest piece that the source has and that only waits in the queues of others: whoever has his turn first is to
    /// deliver it. One at a time: what comes from elsewhere meanwhile could not be taken out of the middle of a request.
    fn waiting_piece(&self, id: SourceId) -> Option<PieceIndex> {
        let source = self.sources.get(&id)?;
        let waits = |holder: &SourceId| {
            *holder != id && self.sources.get(holder).is_some_and(|other| other.waiting)
        };
        let others = self.sources.values().filter(|other| other.waiting);
        let pieces = others.flat_map(|other| other.queue.iter().map(|order| order.piece));
        let waiting = pieces.filter(|piece| {
            source.has(*piece)
                && self.assigned.get(piece).is_some_and(|holders| {
                    holders.len() < self.config.max_copies && holders.iter().all(waits)
                })
        });
        waiting.min_by_key(|piece| (self.rarity.count(*piece), *piece))
    }

    /// While there is still something free: what a source holds that has become ten times slower, after twice the time
    /// that it should have taken. The piece that it is at is left to it. A source that waits itself takes nothing.
    fn early_loot(
        &self,
        id: SourceId,
        source: &Source,
        budget: u32,
        now: Duration,
    ) -> Option<Loot> {
        if source.waiting {
            return None;
        }
        let speed = source.meter.estimate(now)?;
        let overdue = |other: &Source| {
            let oldest = other.queue.front().map(|order| now.saturating_sub(order.since));
            oldest.is_some_and(|age| age > self.config.run_time.saturating_mul(2))
        };
        let slow = |other: &Source| {
            let theirs = other.meter.estimate(now).unwrap_or(speed);
            !other.waiting && theirs * self.config.early_steal_factor <= speed
        };
        let others = self.sources.iter().filter(|(other, _)| **other != id);
        others
            .filter(|(_, other)| other.meter.is_measured() && overdue(other) && slow(other))
            .map(|(victim, other)| Loot {
                victim: *victim,
                pieces: self
                    .loose_pieces(source, other, now)
                    .map(|(_, piece)| piece)
                    .take(budget as usize)
                    .collect(),
            })
            .find(|loot| !loot.pieces.is_empty())
    }

    /// When nothing is free: what another source would deliver so many times later than this one that it is worth
    /// taking, from the end of its queue. The piece that it is at is left to it.
    fn loot(
        &self,
        id: SourceId,
        source: &Source,
        budget: u32,
        now: Duration,
        typical: f64,
    ) -> Option<Loot> {
        let most = budget.max(self.config.first_run.min(self.config.max_run));
        let gain = self.config.min_gain.as_secs_f64();
        let others = self.sources.iter().filter(|(other, _)| **other != id);
        let mut best: Option<(f64, Loot)> = None;
        for (victim, other) in others {
            let mut pieces = Vec::new();
            let mut latest = 0.0_f64;
            for (at, piece) in self.loose_pieces(source, other, now).take(most as usize) {
                let mine = source.eta(source.queue.len() + pieces.len(), now, typical);
                let theirs = other.eta(at, now, typical);
                if theirs < mine * self.config.steal_factor
                    || theirs < mine + gain
                    || mine.is_infinite()
                {
                    break;
                }
                latest = latest.max(theirs);
                pieces.push(piece);
            }
            if !pieces.is_empty() && best.as_ref().is_none_or(|(eta, _)| latest > *eta) {
                best = Some((latest, Loot { victim: *victim, pieces }));
            }
        }
        best.map(|(_, loot)| loot)
    }

    /// What could be taken from another source, the last piece in its queue first, with the place in the queue. A piece
    /// that was taken from somebody stays for a while where it is: else two sources that each seem slow to the other
    /// would take it from each other without end.
    pub(super) fn loose_pieces<'a>(
        &'a self,
        source: &'a Source,
        other: &'a Source,
        now: Duration,
    ) -> impl Iterator<Item = (usize, PieceIndex)> + 'a {
        let queue = other.queue.iter().enumerate().skip(other.begun());
        let settled = move |order: &Order| {
            !order.stolen || now.saturating_sub(order.since) >= self.config.recheck
        };
        let queue = queue.rev().filter(move |(_, order)| settled(order));
        let pieces = queue.map(|(at, order)| (at, order.piece));
        pieces.filter(|(_, piece)| source.has(*piece) && self.copies(*piece) == 1)
    }

    pub(super) fn copies(&self, piece: PieceIndex) -> usize {
        self.assigned.get(&piece).map_or(0, Vec::len)
    }

    /// Moves pieces from one source to another.
    pub(super) fn rob(&mut self, id: SourceId, loot: Loot, now: Duration) -> Next {
        let mut pieces = loot.pieces;
        pieces.sort_unstable();
        for piece in &pieces {
            if let Some(victim) = self.sources.get_mut(&loot.victim) {
                victim.remove(*piece, now);
            }
            self.assigned.remove(piece);
            self.assign(id, *piece, now, true);
        }
        let robbed = assignment(pieces);
        let steals = robbed.runs.iter().map(|run| (loot.victim, *run)).collect();
        Next::Fetch(Assignment { steals, ..robbed })
    }

    /// When nothing is free in the whole content: the piece that would come latest, if this source, which has nothing
    /// else to do, would deliver it in half of the time.
    fn endgame_piece(
        &self,
        id: SourceId,
        source: &Source,
        now: Duration,
        typical: f64,
    ) -> Option<PieceIndex> {
        if self.rarity.free() > 0 || !source.queue.is_empty() {
            return None;
        }
        let mine = source.eta(0, now, typical);
        let worth = (mine * 2.0).max(mine + self.config.min_gain.as_secs_f64());
        if worth.is_infinite() {
            return None;
        }
        let mut latest: Option<(f64, PieceIndex)> = None;
        for other in self.sources.values() {
            for (at, Order { piece, .. }) in other.queue.iter().enumerate() {
                let copied = self.assigned.get(piece).is_none_or(|holders| {
                    holders.len() >= self.config.max_copies.max(1) || holders.contains(&id)
                });
                let theirs = other.eta(at, now, typical);
                let later = latest.is_none_or(|(eta, _)| theirs > eta);
                if !copied
                    && source.has(*piece)
                    && theirs >= worth
                    && later
                    && self.is_latest(*piece, worth, now, typical)
                {
                    latest = Some((theirs, *piece));
                }
            }
        }
        latest.map(|(_, piece)| piece)
    }

    /// Whether none of those who fetch the piece would deliver it before `worth` seconds have passed.
    pub(super) fn is_latest(
        &self,
        piece: PieceIndex,
        worth: f64,
        now: Duration,
        typical: f64,
    ) -> bool {
        let holders = self.assigned.get(&piece).into_iter().flatten();
        holders.filter_map(|holder| self.sources.get(holder)).all(|holder| {
            let at = holder.queue.iter().position(|order| order.piece == piece);
            at.is_none_or(|at| holder.eta(at, now, typical) >= worth)
        })
    }

    pub(super) fn assign(&mut self, id: SourceId, piece: PieceIndex, now: Duration, stolen: bool) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.push(Order { piece, since: now, stolen });
            self.assigned.entry(piece).or_default().push(id);
        }
    }
}

pub(super) fn assignment(pieces: impl IntoIterator<Item = PieceIndex>) -> Assignment {
    Assignment { runs: PieceRun::join(pieces), ..Assignment::default() }
}
