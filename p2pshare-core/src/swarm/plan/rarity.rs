//! The pieces that nobody fetches yet, by how many have them.

use super::bitmap::Bitmap;
use crate::content::PieceIndex;

/// The free pieces in buckets: a bucket for each number of *partial* sources that have the piece.
///
/// Sources that have everything would add the same number to every piece, so they are not counted and cost nothing.
/// Moving a piece between buckets takes constant time.
#[derive(Debug)]
pub(super) struct Rarity {
    piece_count: u32,
    /// How many partial sources have each piece.
    counts: Vec<u16>,
    /// The free pieces with each count.
    buckets: Vec<Bitmap>,
    free: u32,
}

impl Rarity {
    /// All pieces are taken, and no partial source has any.
    pub(super) fn new(piece_count: u32) -> Self {
        Self {
            piece_count,
            counts: vec![0; piece_count as usize],
            buckets: vec![Bitmap::empty(piece_count)],
            free: 0,
        }
    }

    /// How many pieces are free.
    pub(super) fn free(&self) -> u32 {
        self.free
    }

    pub(super) fn is_free(&self, piece: PieceIndex) -> bool {
        let bucket = self.buckets.get(self.count(piece));
        bucket.is_some_and(|bucket| bucket.contains(piece))
    }

    /// How many partial sources have the piece.
    pub(super) fn count(&self, piece: PieceIndex) -> usize {
        self.counts.get(piece.0 as usize).map_or(0, |count| usize::from(*count))
    }

    /// The piece is free from now on.
    pub(super) fn put(&mut self, piece: PieceIndex) {
        let count = self.count(piece);
        if self.bucket(count).insert(piece) {
            self.free += 1;
        }
    }

    /// The piece is free no longer.
    pub(super) fn take(&mut self, piece: PieceIndex) {
        let count = self.count(piece);
        if self.bucket(count).remove(piece) {
            self.free -= 1;
        }
    }

    /// One more partial source has the piece.
    pub(super) fn seen(&mut self, piece: PieceIndex) {
        self.recount(piece, |count| count.saturating_add(1));
    }

    /// One partial source less has the piece.
    pub(super) fn unseen(&mut self, piece: PieceIndex) {
        self.recount(piece, |count| count.saturating_sub(1));
    }

    /// The rarest free piece among `have` (`None`: among all), and the count it has. Among equals the first one from
    /// `from` on is taken, or else the first one before it.
    pub(super) fn rarest(
        &self,
        have: Option<&Bitmap>,
        from: PieceIndex,
    ) -> Option<(usize, PieceIndex)> {
        // What a partial source has is counted at least once: by that source.
        let lowest = usize::from(have.is_some());
        for (count, bucket) in self.buckets.iter().enumerate().skip(lowest) {
            if bucket.is_empty() {
                continue;
            }
            let found = bucket.next_common(have, from);
            if let Some(piece) = found.or_else(|| bucket.next_common(have, PieceIndex(0))) {
                return Some((count, piece));
            }
        }
        None
    }

    /// The free pieces among `have` (`None`: all), rarest first, and among equals those from `from` on first.
    pub(super) fn rarest_first<'a>(
        &'a self,
        have: Option<&'a Bitmap>,
        from: PieceIndex,
    ) -> impl Iterator<Item = PieceIndex> + 'a {
        let full = self.buckets.iter().filter(|bucket| !bucket.is_empty());
        full.flat_map(move |bucket| {
            let late = bucket.common(have, from);
            late.chain(bucket.common(have, PieceIndex(0)).take_while(move |piece| *piece < from))
        })
    }

    /// Whether the piece is free and exactly `count` partial sources have it.
    pub(super) fn is_free_with(&self, count: usize, piece: PieceIndex) -> bool {
        self.buckets.get(count).is_some_and(|bucket| bucket.contains(piece))
    }

    fn recount(&mut self, piece: PieceIndex, change: impl FnOnce(u16) -> u16) {
        let free = self.is_free(piece);
        if free {
            self.take(piece);
        }
        if let Some(count) = self.counts.get_mut(piece.0 as usize) {
            *count = change(*count);
        }
        if free {
            self.put(piece);
        }
    }

    fn bucket(&mut self, count: usize) -> &mut Bitmap {
        while self.buckets.len() <= count {
            self.buckets.push(Bitmap::empty(self.piece_count));
        }
        &mut self.buckets[count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_pieces_come_first_and_ties_from_the_given_place_on() {
        let mut rarity = Rarity::new(200);
        (0..200).for_each(|piece| rarity.put(PieceIndex(piece)));
        assert_eq!(rarity.rarest(None, PieceIndex(70)), Some((0, PieceIndex(70))));
        for piece in 0..199 {
            rarity.seen(PieceIndex(piece));
        }
        assert_eq!(rarity.rarest(None, PieceIndex(0)), Some((0, PieceIndex(199))));
        rarity.take(PieceIndex(199));
        assert_eq!(rarity.rarest(None, PieceIndex(199)), Some((1, PieceIndex(0))));
        assert_eq!(rarity.free(), 199);
    }

    #[test]
    fn counts_go_on_while_a_piece_is_taken() {
        let mut rarity = Rarity::new(2);
        rarity.put(PieceIndex(0));
        rarity.put(PieceIndex(1));
        rarity.take(PieceIndex(0));
        rarity.seen(PieceIndex(0));
        rarity.seen(PieceIndex(0));
        rarity.unseen(PieceIndex(0));
        rarity.put(PieceIndex(0));
        assert!(rarity.is_free_with(1, PieceIndex(0)) && !rarity.is_free_with(2, PieceIndex(0)));
        let mut have = Bitmap::empty(2);
        have.insert(PieceIndex(0));
        assert_eq!(rarity.rarest(Some(&have), PieceIndex(1)), Some((1, PieceIndex(0))));
    }
}
