//! Piece maps: which parts of a file are there.

use p2pshare_core::content::PieceSet;

/// So many parts of a file that stopped are kept.
pub(super) const KEPT_CELLS: usize = 200;

/// The pieces in up to `most` parts of the same length: of each the percentage that is held.
pub(super) fn cells_of(held: &PieceSet, most: usize) -> Vec<u8> {
    let count = held.piece_count() as usize;
    let parts = most.clamp(1, count.max(1));
    let mut sums = vec![(0_u64, 0_u64); parts];
    for piece in 0..held.piece_count() {
        let (there, all) = &mut sums[piece as usize * parts / count.max(1)];
        *there += u64::from(held.contains(p2pshare_core::content::PieceIndex(piece)));
        *all += 1;
    }
    sums.into_iter()
        .map(|(there, all)| u8::try_from(there * 100 / all.max(1)).unwrap_or(100))
        .collect()
}

/// Parts that were kept, as up to `most` parts.
pub(super) fn resample(kept: &[u8], most: usize) -> Vec<u8> {
    let parts = most.max(1);
    if kept.is_empty() {
        return vec![0; parts];
    }
    (0..parts).map(|part| kept[(part * kept.len() / parts).min(kept.len() - 1)]).collect()
}

#[cfg(test)]
mod tests {
    use p2pshare_core::content::PieceIndex;

    use super::*;

    #[test]
    fn parts_are_even_and_whole() {
        let mut held = PieceSet::empty(10);
        for piece in [0, 1, 2, 9] {
            held.insert(PieceIndex(piece));
        }
        assert_eq!(cells_of(&held, 5), [100, 50, 0, 0, 50]);
        assert_eq!(cells_of(&held, 100).len(), 10);
        assert_eq!(cells_of(&PieceSet::full(1), 0), [100]);
        assert_eq!(resample(&[100, 0], 4), [100, 100, 0, 0]);
        assert_eq!(resample(&[], 2), [0, 0]);
    }
}
