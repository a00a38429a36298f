//! The invariant of the planner, as code.

use std::collections::BTreeMap;

use super::Planner;
use crate::content::PieceIndex;

impl Planner {
    /// Checks the invariant of the [module](super), slowly. For tests.
    ///
    /// # Errors
    ///
    /// What does not hold.
    pub fn check_invariant(&self) -> Result<(), String> {
        let mut free = 0;
        for piece in self.layout.all().iter() {
            let states = [
                self.rarity.is_free(piece),
                self.assigned.contains_key(&piece),
                self.verified.contains(piece),
            ];
            if states.iter().filter(|state| **state).count() != 1 {
                return Err(format!("piece {piece} is free, assigned, verified: {states:?}"));
            }
            free += u32::from(states[0]);
            let partial = self.sources.values().filter_map(|source| source.have.as_ref());
            let count = partial.filter(|have| have.contains(piece)).count();
            if count != self.rarity.count(piece) {
                return Err(format!(
                    "{count} sources have piece {piece}, not {}",
                    self.rarity.count(piece)
                ));
            }
        }
        if free != self.rarity.free() {
            return Err(format!("{free} pieces are free, not {}", self.rarity.free()));
        }
        self.check_assigned()
    }

    fn check_assigned(&self) -> Result<(), String> {
        let mut queued: BTreeMap<PieceIndex, Vec<_>> = BTreeMap::new();
        for (id, source) in &self.sources {
            if self.struck.contains_key(id) {
                return Err(format!("{id} is struck off and still there"));
            }
            for order in &source.queue {
                queued.entry(order.piece).or_default().push(*id);
            }
        }
        if queued.len() != self.assigned.len() {
            return Err("assigned pieces are not those in the queues".into());
        }
        for (piece, holders) in &self.assigned {
            let mut holders = holders.clone();
            holders.sort_unstable();
            if queued.get(piece) != Some(&holders) {
                return Err(format!("piece {piece} is in other queues than it is assigned to"));
            }
            if holders.len() > self.config.max_copies
                || holders.windows(2).any(|pair| pair[0] == pair[1])
            {
                return Err(format!("piece {piece} is assigned to {holders:?}"));
            }
        }
        Ok(())
    }
}
