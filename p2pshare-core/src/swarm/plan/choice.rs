//! What a source may give instead of what it is asked for, and what becomes of its choice.

use std::{collections::HashMap, time::Duration};

use rand::RngExt;

use super::{Planner, source::Order};
use crate::{
    content::{PieceIndex, PieceRun},
    swarm::SourceId,
};

/// Most runs of pieces that are named as doing as well: it bounds the length of a request.
const MAX_OTHER_RUNS: usize = 64;

/// What came of a source's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Pieces that it was asked for and does not give are free again: others may want them.
    pub freed: bool,
    /// Who need not deliver any more what it gives now.
    pub victims: Vec<SourceId>,
}

impl Planner {
    /// A source has chosen what it gives: of all that a request for `asked` has left to it, these pieces in this order.
    ///
    /// What nobody else has begun to deliver is assigned to it, at the place of the request in its queue; the rest is not
    /// wanted, as [`is_assigned`](Self::is_assigned) tells. What it was asked for and does not give is free again.
    pub fn chosen(
        &mut self,
        id: SourceId,
        asked: &[PieceIndex],
        chosen: &[PieceIndex],
        now: Duration,
    ) -> Chosen {
        let mut result = Chosen::default();
        let Some(source) = self.sources.get_mut(&id) else {
            return result;
        };
        let is_asked = |order: &Order| asked.contains(&order.piece);
        if source.queue.front().is_some_and(is_asked) && source.waiting {
            source.waiting = false;
            source.meter.restart(now);
        }
        let place = source.queue.iter().position(is_asked).unwrap_or(source.queue.len());
        let (old, mut queue): (Vec<_>, Vec<_>) = source.queue.drain(..).partition(is_asked);
        let mut old: HashMap<_, _> = old.into_iter().map(|order| (order.piece, order)).collect();
        let mut orders = Vec::new();
        for piece in chosen {
            let order = old.remove(piece);
            if order.is_some() {
                result.victims.extend(self.take_from_queues(id, *piece, now));
            }
            orders.extend(order.or_else(|| self.choose_piece(id, *piece, now, &mut result)));
        }
        for piece in old.into_keys() {
            result.freed = true;
            if let Some(holders) = self.assigned.get_mut(&piece) {
                holders.retain(|holder| *holder != id);
                if holders.is_empty() {
                    self.assigned.remove(&piece);
                    self.rarity.put(piece);
                }
            }
        }
        queue.splice(place..place, orders);
        if let Some(source) = self.sources.get_mut(&id) {
            source.queue = queue.into();
            if source.queue.is_empty() {
                source.idle(now);
            }
        }
        result
    }

    /// Assigns a piece that a source has chosen, if it is free or can be taken from somebody.
    fn choose_piece(
        &mut self,
        id: SourceId,
        piece: PieceIndex,
        now: Duration,
        result: &mut Chosen,
    ) -> Option<Order> {
        let free = self.rarity.is_free(piece);
        if free {
            self.rarity.take(piece);
        } else {
            let holders = self.assigned.get(&piece)?.clone();
            if !holders.iter().all(|holder| *holder != id && self.is_loose(*holder, piece, now)) {
                return None;
            }
            for holder in &holders {
                if let Some(other) = self.sources.get_mut(holder) {
                    other.remove(piece, now);
                }
            }
            result.victims.extend(holders);
        }
        self.assigned.insert(piece, vec![id]);
        Some(Order { piece, since: now, stolen: !free })
    }

    /// Whether a piece can be taken from a source: it has not begun to deliver it, and has not just taken it itself.
    fn is_loose(&self, holder: SourceId, piece: PieceIndex, now: Duration) -> bool {
        let Some(source) = self.sources.get(&holder) else {
            return false;
        };
        let mut orders = source.queue.iter().enumerate();
        let order = orders.find(|(_, order)| order.piece == piece);
        order.is_some_and(|(at, order)| {
            let settled = !order.stolen || now.saturating_sub(order.since) >= self.config.recheck;
            settled && (source.waiting || at >= source.begun())
        })
    }

    /// Takes a piece that a source delivers from those in whose queues it waits.
    pub(super) fn take_from_queues(
        &mut self,
        id: SourceId,
        piece: PieceIndex,
        now: Duration,
    ) -> Vec<SourceId> {
        let Some(holders) = self.assigned.get_mut(&piece).filter(|holders| holders.len() > 1)
        else {
            return Vec::new();
        };
        let mut losers = Vec::new();
        for holder in holders.iter().filter(|holder| **holder != id) {
            if let Some(source) = self.sources.get_mut(holder).filter(|source| source.waiting) {
                source.remove(piece, now);
                losers.push(*holder);
            }
        }
        holders.retain(|holder| !losers.contains(holder));
        losers
    }

    /// Free pieces that the source has and that would do as well as those which were just chosen for it, rarest first.
    pub(super) fn others(&mut self, id: SourceId) -> Vec<PieceRun> {
        let from = PieceIndex(self.rng.random_range(0..self.layout.piece_count()));
        let Some(source) = self.sources.get(&id) else {
            return Vec::new();
        };
        let most = self.config.max_others as usize;
        let pieces = self.rarity.rarest_first(source.have.as_ref(), from).take(most);
        let mut others = PieceRun::join(pieces);
        others.truncate(MAX_OTHER_RUNS);
        others
    }
}
