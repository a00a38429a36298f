//! The best hits seen so far.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{content::ContentId, index::search::Position};

/// Most hits that are remembered as settled.
const MOST_SETTLED: usize = 100_000;

/// A hit, without its place.
type Name = (ContentId, u64);

/// The best hits seen so far, as many as are asked for, whatever the number that is offered.
pub(crate) struct Candidates {
    capacity: usize,
    best: BTreeSet<Position>,
    keys: HashMap<Name, i64>,
    /// Hits whose place is known exactly and need not be offered again. Forgetting some costs time alone.
    settled: HashSet<Name>,
}

impl Candidates {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            best: BTreeSet::new(),
            keys: HashMap::new(),
            settled: HashSet::new(),
        }
    }

    /// The last place, once all are taken: what is not before it cannot become one of the best.
    pub(crate) fn bar(&self) -> Option<&Position> {
        self.best.last().filter(|_| self.best.len() >= self.capacity)
    }

    /// Whether a hit in this place would not be one of the best.
    pub(crate) fn is_too_late(&self, position: &Position) -> bool {
        self.bar().is_some_and(|bar| position >= bar)
    }

    /// Adds a hit, or moves it forward; the last one gives way.
    pub(crate) fn offer(&mut self, position: Position) {
        let name = (position.content, position.size);
        if let Some(key) = self.keys.get_mut(&name) {
            if position.key < *key {
                self.best.remove(&Position { key: *key, ..position });
                self.best.insert(position);
                *key = position.key;
            }
            return;
        }
        if self.is_too_late(&position) {
            return;
        }
        self.best.insert(position);
        self.keys.insert(name, position.key);
        if self.best.len() > self.capacity
            && let Some(last) = self.best.pop_last()
        {
            self.keys.remove(&(last.content, last.size));
        }
    }

    pub(crate) fn is_settled(&self, content: &ContentId, size: u64) -> bool {
        self.settled.contains(&(*content, size))
    }

    /// Notes that a hit's exact place has been offered, or that it has none.
    pub(crate) fn settle(&mut self, content: ContentId, size: u64) {
        if self.settled.len() >= MOST_SETTLED {
            self.settled.clear();
        }
        self.settled.insert((content, size));
    }

    /// The best, in order.
    pub(crate) fn into_positions(self) -> Vec<Position> {
        self.best.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_best_remain(
            capacity in 1_usize..6,
            offers in prop::collection::vec((0_i64..20, 0_u8..12), 0..60),
        ) {
            let mut candidates = Candidates::new(capacity);
            let mut keys: BTreeMap<u8, i64> = BTreeMap::new();
            for (key, name) in offers {
                let content = ContentId::from_bytes([name; 32]);
                candidates.offer(Position { key, content, size: 1 });
                let best = keys.entry(name).or_insert(key);
                *best = key.min(*best);
            }
            let mut expected: Vec<_> = keys.into_iter().map(|(name, key)| (key, name)).collect();
            expected.sort_unstable();
            expected.truncate(capacity);
            let best = candidates.into_positions();
            let found: Vec<_> = best.iter().map(|p| (p.key, p.content.as_bytes()[0])).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
