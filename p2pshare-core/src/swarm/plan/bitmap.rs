//! Sets of pieces that are searched quickly.

use crate::content::PieceIndex;

const WORD: usize = u64::BITS as usize;

/// A set of pieces with a summary above it: a bit in a higher level says whether a word below it has any bit.
///
/// Finding the next piece that two sets have in common skips 64 pieces for each word of the first level of summary and
/// 4,096 for each word of the second, so it takes a handful of steps in usual sets and a 64th of the number of pieces
/// in the worst ones.
#[derive(Clone, Debug)]
pub(super) struct Bitmap {
    levels: Vec<Vec<u64>>,
    len: u32,
}

impl Bitmap {
    /// No piece of a content of `piece_count` pieces.
    pub(super) fn empty(piece_count: u32) -> Self {
        let mut levels = Vec::new();
        let mut bits = piece_count as usize;
        loop {
            let words = bits.div_ceil(WORD).max(1);
            levels.push(vec![0; words]);
            if words == 1 {
                return Self { levels, len: 0 };
            }
            bits = words;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn contains(&self, piece: PieceIndex) -> bool {
        let at = piece.0 as usize;
        self.word(0, at / WORD) >> (at % WORD) & 1 == 1
    }

    /// Adds a piece. False when it was there already, or is beyond the content.
    pub(super) fn insert(&mut self, piece: PieceIndex) -> bool {
        let mut at = piece.0 as usize;
        if self.contains(piece) || at / WORD >= self.levels[0].len() {
            return false;
        }
        self.len += 1;
        for level in &mut self.levels {
            let word = &mut level[at / WORD];
            let was_empty = *word == 0;
            *word |= 1 << (at % WORD);
            if !was_empty {
                break;
            }
            at /= WORD;
        }
        true
    }

    /// Takes a piece out. False when it was not in.
    pub(super) fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.contains(piece) {
            return false;
        }
        self.len -= 1;
        let mut at = piece.0 as usize;
        for level in &mut self.levels {
            let word = &mut level[at / WORD];
            *word &= !(1 << (at % WORD));
            if *word != 0 {
                break;
            }
            at /= WORD;
        }
        true
    }

    /// The pieces in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.common(None, PieceIndex(0))
    }

    /// The pieces from `from` on that are in this set and in the other, in order; no other: in this set.
    pub(super) fn common<'a>(
        &'a self,
        other: Option<&'a Self>,
        mut from: PieceIndex,
    ) -> impl Iterator<Item = PieceIndex> + 'a {
        std::iter::from_fn(move || {
            let found = self.next_common(other, from)?;
            from = PieceIndex(found.0 + 1);
            Some(found)
        })
    }

    /// The first piece at `from` or after it that is in this set and in the other; no other: in this set.
    pub(super) fn next_common(&self, other: Option<&Self>, from: PieceIndex) -> Option<PieceIndex> {
        let mut level = 0;
        let mut at = from.0 as usize;
        while level < self.levels.len() {
            let index = at / WORD;
            let theirs = other.map_or(u64::MAX, |other| other.word(level, index));
            let word = self.word(level, index) & theirs & (u64::MAX << (at % WORD));
            if word == 0 {
                // Nothing more in this word: look one level up for the next word that has something.
                level += 1;
                at = index + 1;
                continue;
            }
            let found = index * WORD + word.trailing_zeros() as usize;
            if level == 0 {
                return u32::try_from(found).ok().map(PieceIndex);
            }
            level -= 1;
            at = found * WORD;
        }
        None
    }

    fn word(&self, level: usize, index: usize) -> u64 {
        let words = self.levels.get(level);
        words.and_then(|words| words.get(index)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bitmap(piece_count: u32, pieces: &BTreeSet<u32>) -> Bitmap {
        let mut set = Bitmap::empty(piece_count);
        for piece in pieces {
            assert!(set.insert(PieceIndex(*piece)));
        }
        set
    }

    #[test]
    fn pieces_beyond_the_content_are_not_taken() {
        for count in [1, 64, 65, 4096, 4097] {
            let mut set = Bitmap::empty(count);
            assert!(set.insert(PieceIndex(count - 1)) && !set.insert(PieceIndex(1 << 20)));
            assert_eq!(set.next_common(None, PieceIndex(u32::MAX)), None);
            assert!(set.iter().eq([PieceIndex(count - 1)]));
        }
    }

    proptest! {
        #[test]
        fn behaves_as_an_ordered_set(
            piece_count in prop::sample::select(vec![1_u32, 63, 64, 65, 4095, 4096, 4097, 300_000]),
            ours in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
            theirs in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
            gone in prop::collection::vec(any::<prop::sample::Index>(), 0..50),
            from: prop::sample::Index,
        ) {
            let at = |index: &prop::sample::Index| u32::try_from(index.index(piece_count as usize)).unwrap();
            let mut model: BTreeSet<u32> = ours.iter().map(at).collect();
            let other: BTreeSet<u32> = theirs.iter().map(at).collect();
            let mut set = bitmap(piece_count, &model);
            let other_set = bitmap(piece_count, &other);
            for piece in gone.iter().map(at) {
                prop_assert_eq!(set.remove(PieceIndex(piece)), model.remove(&piece));
            }
            let from = at(&from);
            let common = model.intersection(&other).find(|piece| **piece >= from);
            prop_assert_eq!(set.len as usize, model.len());
            prop_assert_eq!(set.next_common(Some(&other_set), PieceIndex(from)), common.copied().map(PieceIndex));
            prop_assert!(set.iter().map(|piece| piece.0).eq(model));
        }
    }
}
