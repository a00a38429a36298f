//! How a content is cut into pieces.

use super::piece::{PieceIndex, PieceRun, PieceRunError};

/// Length of a piece in bytes; only the last piece of a content is shorter.
pub const PIECE_LEN: u64 = 1 << 20;

/// The largest number of pieces of a content: their chaining values take 64 MiB.
pub const MAX_PIECE_COUNT: u32 = 1 << 21;

/// The largest length of a content in bytes, 2 TiB.
pub const MAX_CONTENT_LEN: u64 = MAX_PIECE_COUNT as u64 * PIECE_LEN;

/// How a content of a known length is cut into pieces.
///
/// An empty content has one piece of length 0, so every content has a last piece whose verification completes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    len: u64,
    piece_count: u32,
}

/// The content is longer than [`MAX_CONTENT_LEN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a content has at most {MAX_CONTENT_LEN} bytes (2 TiB), this one has {len} or more; split it"
)]
pub struct ContentTooLong {
    /// The length refused, in bytes.
    pub len: u64,
}

impl Layout {
    /// The layout of a content of `len` bytes.
    ///
    /// # Errors
    ///
    /// [`ContentTooLong`] above [`MAX_CONTENT_LEN`].
    pub fn new(len: u64) -> Result<Self, ContentTooLong> {
        if len > MAX_CONTENT_LEN {
            return Err(ContentTooLong { len });
        }
        let piece_count = u32::try_from(len.div_ceil(PIECE_LEN).max(1))
            .expect("a length within MAX_CONTENT_LEN has at most MAX_PIECE_COUNT pieces");
        Ok(Self { len, piece_count })
    }

    /// Length of the content in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether the content has no bytes. It has a piece even then.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many pieces the content has, 1 to [`MAX_PIECE_COUNT`].
    #[must_use]
    pub const fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// The last piece: the only one that may be shorter than [`PIECE_LEN`].
    #[must_use]
    pub const fn last_piece(&self) -> PieceIndex {
        PieceIndex(self.piece_count - 1)
    }

    /// All the pieces.
    #[must_use]
    pub const fn all(&self) -> PieceRun {
        PieceRun::new(PieceIndex(0), self.piece_count)
    }

    /// Whether the content has this piece.
    #[must_use]
    pub const fn contains(&self, piece: PieceIndex) -> bool {
        piece.0 < self.piece_count
    }

    /// Length of a piece in bytes, 0 for one that the content does not have.
    #[must_use]
    pub fn piece_len(&self, piece: PieceIndex) -> usize {
        let len = self.len.saturating_sub(self.piece_offset(piece)).min(PIECE_LEN);
        usize::try_from(len).expect("at most PIECE_LEN")
    }

    /// Where a piece starts, in bytes from the start of the content.
    #[must_use]
    pub const fn piece_offset(&self, piece: PieceIndex) -> u64 {
        piece.0 as u64 * PIECE_LEN
    }

    /// The piece that has the byte at `offset`, `None` when the content has no such byte.
    #[must_use]
    pub fn piece_at(&self, offset: u64) -> Option<PieceIndex> {
        if offset >= self.len {
            return None;
        }
        u32::try_from(offset / PIECE_LEN).ok().map(PieceIndex)
    }

    /// Checks a run from outside: it has a piece, and all of them are of this content.
    ///
    /// # Errors
    ///
    /// [`PieceRunError`] says which of the two does not hold.
    pub fn check_run(&self, run: PieceRun) -> Result<(), PieceRunError> {
        run.check(self.piece_count)
    }

    /// Length in bytes of a run that [`check_run`](Self::check_run) accepts.
    #[must_use]
    pub fn run_len(&self, run: PieceRun) -> u64 {
        let start = self.piece_offset(run.start);
        (start + u64::from(run.count) * PIECE_LEN).min(self.len).saturating_sub(start)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_content_has_one_empty_piece() {
        let layout = Layout::new(0).unwrap();
        assert_eq!((layout.piece_count(), layout.piece_len(PieceIndex(0))), (1, 0));
        assert_eq!(layout.piece_at(0), None);
        assert_eq!(layout.check_run(layout.all()), Ok(()));
    }

    #[test]
    fn borders() {
        let counts = [(1, 1), (PIECE_LEN - 1, 1), (PIECE_LEN, 1), (PIECE_LEN + 1, 2)];
        for (len, count) in counts {
            assert_eq!(Layout::new(len).unwrap().piece_count(), count, "{len}");
        }
        assert_eq!(Layout::new(MAX_CONTENT_LEN).unwrap().piece_count(), MAX_PIECE_COUNT);
        for len in [MAX_CONTENT_LEN + 1, u64::MAX] {
            assert_eq!(Layout::new(len), Err(ContentTooLong { len }));
        }
    }

    #[test]
    fn a_piece_beyond_the_end_is_empty() {
        let layout = Layout::new(PIECE_LEN).unwrap();
        assert_eq!(layout.piece_len(PieceIndex(1)), 0);
        assert_eq!(layout.piece_len(PieceIndex(u32::MAX)), 0);
    }

    #[test]
    fn runs_are_checked() {
        let layout = Layout::new(3 * PIECE_LEN).unwrap();
        let run = |start, count| PieceRun::new(PieceIndex(start), count);
        for good in [run(0, 3), run(2, 1)] {
            assert_eq!(layout.check_run(good), Ok(()));
        }
        assert_eq!(layout.check_run(run(1, 0)), Err(PieceRunError::Empty { start: PieceIndex(1) }));
        for run in [run(0, 4), run(3, 1), run(2, u32::MAX), run(u32::MAX, u32::MAX)] {
            assert_eq!(
                layout.check_run(run),
                Err(PieceRunError::OutOfRange { run, piece_count: 3 })
            );
        }
    }

    proptest! {
        #[test]
        fn pieces_cover_the_content(len in 0..=64 * PIECE_LEN) {
            let layout = Layout::new(len).unwrap();
            let mut end = 0;
            for piece in layout.all().iter() {
                prop_assert_eq!(layout.piece_offset(piece), end);
                let piece_len = layout.piece_len(piece) as u64;
                prop_assert_eq!(layout.run_len(piece.into()), piece_len);
                end += piece_len;
                if piece_len > 0 {
                    prop_assert_eq!(layout.piece_at(end - 1), Some(piece));
                }
            }
            prop_assert_eq!(end, len);
            prop_assert_eq!(layout.run_len(layout.all()), len);
            prop_assert_eq!(layout.piece_at(end), None);
        }
    }
}
