//! Sets of pieces.

use std::fmt;

use fixedbitset::FixedBitSet;

use super::{
    layout::MAX_PIECE_COUNT,
    piece::{PieceIndex, PieceRun, PieceRunError},
};

/// A set of pieces of one content: those that somebody holds, lacks or wants. One bit for each piece of the content.
#[derive(Clone, PartialEq, Eq)]
pub struct PieceSet {
    bits: FixedBitSet,
    piece_count: u32,
    len: u32,
}

/// Why a set of pieces from outside is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PieceSetError {
    /// No content has so many pieces.
    #[error("a content has at most {MAX_PIECE_COUNT} pieces, not {piece_count}")]
    TooManyPieces {
        /// The number given.
        piece_count: u32,
    },
    /// A run is not of this content.
    #[error(transparent)]
    Run(#[from] PieceRunError),
    /// The runs together have more pieces than the content, so some come more than once.
    #[error(
        "the runs have more pieces than the content, which has {piece_count}; name each piece once"
    )]
    Repeated {
        /// How many pieces the content has.
        piece_count: u32,
    },
}

impl PieceSet {
    /// No piece of a content of `piece_count` pieces, a number from its [`Layout`](super::Layout).
    #[must_use]
    pub fn empty(piece_count: u32) -> Self {
        Self { bits: FixedBitSet::with_capacity(to_usize(piece_count)), piece_count, len: 0 }
    }

    /// All pieces of a content of `piece_count` pieces, a number from its [`Layout`](super::Layout).
    #[must_use]
    pub fn full(piece_count: u32) -> Self {
        let mut set = Self::empty(piece_count);
        set.bits.insert_range(..);
        set.len = piece_count;
        set
    }

    /// The pieces of the runs, which may come from outside and be in any order.
    ///
    /// Takes time in proportion to `piece_count` and the number of runs read; stops reading at the first bad one.
    ///
    /// # Errors
    ///
    /// [`PieceSetError`].
    pub fn from_runs(
        piece_count: u32,
        runs: impl IntoIterator<Item = PieceRun>,
    ) -> Result<Self, PieceSetError> {
        if piece_count > MAX_PIECE_COUNT {
            return Err(PieceSetError::TooManyPieces { piece_count });
        }
        let mut set = Self::empty(piece_count);
        let mut room = piece_count;
        for run in runs {
            run.check(piece_count)?;
            // Without this a short message could make a lot of work: the whole content, a million times.
            room = room.checked_sub(run.count).ok_or(PieceSetError::Repeated { piece_count })?;
            set.insert_run(run)?;
        }
        Ok(set)
    }

    /// How many pieces the content has.
    #[must_use]
    pub fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// How many pieces are in the set. Takes no time.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no piece is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether all pieces of the content are in the set.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len == self.piece_count
    }

    /// Whether the piece is in the set.
    #[must_use]
    pub fn contains(&self, piece: PieceIndex) -> bool {
        self.bits.contains(piece.as_usize())
    }

    /// Adds a piece. False when it was there already, or when the content has no such piece.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        if piece.0 >= self.piece_count || self.bits.put(piece.as_usize()) {
            return false;
        }
        self.len += 1;
        true
    }

    /// Adds the pieces of a run and says how many of them were new.
    ///
    /// # Errors
    ///
    /// [`PieceRunError`] when the run is empty or goes beyond the content.
    pub fn insert_run(&mut self, run: PieceRun) -> Result<u32, PieceRunError> {
        run.check(self.piece_count)?;
        let range = to_usize(run.start.0)..to_usize(run.start.0) + to_usize(run.count);
        let new = to_u32(self.bits.count_zeroes(range.clone()));
        self.bits.insert_range(range);
        self.len += new;
        Ok(new)
    }

    /// Takes a piece out. False when it was not in.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.contains(piece) {
            return false;
        }
        self.bits.remove(piece.as_usize());
        self.len -= 1;
        true
    }

    /// The pieces of this set and of the other. Pieces that this set's content does not have are left out.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.union_with(other);
        set
    }

    /// Adds the pieces of the other set. Pieces that this set's content does not have are left out.
    pub fn union_with(&mut self, other: &Self) {
        if other.piece_count > self.piece_count {
            other.iter().for_each(|piece| {
                self.insert(piece);
            });
            return;
        }
        self.bits.union_with(&other.bits);
        self.len = to_u32(self.bits.count_ones(..));
    }

    /// The pieces of this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut set = self.clone();
        set.bits.difference_with(&other.bits);
        set.len = to_u32(set.bits.count_ones(..));
        set
    }

    /// The pieces in order.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.bits.ones().map(to_piece)
    }

    /// The pieces of the content that are not in the set, in order.
    pub fn missing(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.bits.zeroes().map(to_piece)
    }

    /// The set as runs, in order and as long as they can be.
    pub fn runs(&self) -> impl Iterator<Item = PieceRun> + '_ {
        Runs { pieces: self.iter(), current: None }
    }

    /// What is not in the set as runs, in order and as long as they can be.
    pub fn missing_runs(&self) -> impl Iterator<Item = PieceRun> + '_ {
        Runs { pieces: self.missing(), current: None }
    }
}

impl fmt::Debug for PieceSet {
    /// Without the pieces, of which there may be millions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PieceSet({} of {})", self.len, self.piece_count)
    }
}

/// Joins pieces that come in order into runs.
struct Runs<I> {
    pieces: I,
    current: Option<PieceRun>,
}

impl<I: Iterator<Item = PieceIndex>> Iterator for Runs<I> {
    type Item = PieceRun;

    fn next(&mut self) -> Option<PieceRun> {
        for piece in self.pieces.by_ref() {
            match &mut self.current {
                Some(run) if run.end() == Some(piece) => run.count += 1,
                current => {
                    if let Some(done) = current.replace(piece.into()) {
                        return Some(done);
                    }
                }
            }
        }
        self.current.take()
    }
}

fn to_usize(number: u32) -> usize {
    PieceIndex(number).as_usize()
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).expect("a set has at most u32::MAX pieces")
}

fn to_piece(bit: usize) -> PieceIndex {
    PieceIndex(to_u32(bit))
}
