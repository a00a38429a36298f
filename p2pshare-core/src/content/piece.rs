//! Numbers of pieces and runs of them.

use std::fmt;

/// The number of a piece in its content, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(pub u32);

/// A run of neighbouring pieces. One that came from outside is checked with [`Layout::check_run`].
///
/// [`Layout::check_run`]: super::Layout::check_run
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PieceRun {
    /// The first piece of the run.
    pub start: PieceIndex,
    /// How many pieces it has.
    pub count: u32,
}

/// Why a run of pieces is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PieceRunError {
    /// A run without pieces.
    #[error("the run of pieces at {start} is empty; leave it out")]
    Empty {
        /// Where the run starts.
        start: PieceIndex,
    },
    /// The run ends after the last piece.
    #[error("the run {run} goes beyond the content, which has {piece_count} pieces")]
    OutOfRange {
        /// The run.
        run: PieceRun,
        /// How many pieces the content has.
        piece_count: u32,
    },
}

impl PieceIndex {
    /// As an index into the chaining values of a manifest.
    pub(super) fn as_usize(self) -> usize {
        usize::try_from(self.0).expect("a usize has at least 32 bits where this runs")
    }
}

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PieceRun {
    /// The run of `count` pieces from `start` on.
    #[must_use]
    pub const fn new(start: PieceIndex, count: u32) -> Self {
        Self { start, count }
    }

    /// The piece after the last one, `None` when there is no such number.
    #[must_use]
    pub fn end(&self) -> Option<PieceIndex> {
        self.start.0.checked_add(self.count).map(PieceIndex)
    }

    /// Pieces, in the order given, as runs that are as long as they can be.
    pub fn join(pieces: impl IntoIterator<Item = PieceIndex>) -> Vec<Self> {
        let mut runs: Vec<Self> = Vec::new();
        for piece in pieces {
            match runs.last_mut() {
                Some(run) if run.end() == Some(piece) => run.count += 1,
                _ => runs.push(piece.into()),
            }
        }
        runs
    }

    /// The pieces in order. A run that goes beyond the largest number ends before it.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = PieceIndex> + DoubleEndedIterator + use<> {
        let start = self.start.as_usize();
        let end = PieceIndex(self.start.0.saturating_add(self.count)).as_usize();
        // Ranges of usize know their exact length, ranges of u32 do not.
        (start..end).map(|index| {
            PieceIndex(u32::try_from(index).expect("below an end that is made from a u32"))
        })
    }

    /// Whether the piece is in the run.
    #[must_use]
    pub fn contains(&self, piece: PieceIndex) -> bool {
        piece.0.checked_sub(self.start.0).is_some_and(|distance| distance < self.count)
    }

    /// Checks that the run has a piece and lies within a content of `piece_count` pieces.
    pub(super) fn check(&self, piece_count: u32) -> Result<(), PieceRunError> {
        if self.count == 0 {
            return Err(PieceRunError::Empty { start: self.start });
        }
        match self.end() {
            Some(end) if end.0 <= piece_count => Ok(()),
            _ => Err(PieceRunError::OutOfRange { run: *self, piece_count }),
        }
    }
}

impl From<PieceIndex> for PieceRun {
    fn from(piece: PieceIndex) -> Self {
        Self::new(piece, 1)
    }
}

impl fmt::Display for PieceRun {
    /// First and last piece, as in `3-7`; `3+0` for a run without pieces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            0 => write!(f, "{}+0", self.start),
            1 => self.start.fmt(f),
            // Wide enough for runs that no content has: they are shown in errors.
            count => write!(f, "{}-{}", self.start, u64::from(self.start.0) + u64::from(count) - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_through_its_pieces() {
        let run = PieceRun::new(PieceIndex(3), 2);
        assert!(run.iter().eq([PieceIndex(3), PieceIndex(4)]));
        assert_eq!(run.iter().len(), 2);
        assert_eq!(run.end(), Some(PieceIndex(5)));
        let inside: Vec<_> = (0..8).filter(|&index| run.contains(PieceIndex(index))).collect();
        assert_eq!(inside, [3, 4]);
    }

    #[test]
    fn at_the_largest_numbers_nothing_overflows() {
        let run = PieceRun::new(PieceIndex(u32::MAX), 2);
        assert_eq!(run.end(), None);
        assert_eq!(run.iter().len(), 0);
        assert_eq!(run.to_string(), "4294967295-4294967296");
        assert_eq!(
            run.check(u32::MAX),
            Err(PieceRunError::OutOfRange { run, piece_count: u32::MAX })
        );
    }
}
