//! Checking a piece while its bytes arrive.

use blake3::{Hasher, hazmat::HasherExt};

use super::{ContentId, Manifest, PieceIndex, manifest::Expected, tree::subtree_hasher};

/// Checks the bytes of one piece, given in order in slices of any size, against a manifest.
///
/// Slices of 64 KiB or more are hashed fastest. Holds no bytes of the piece.
pub struct PieceVerifier {
    piece: PieceIndex,
    expected: Expected,
    hasher: Hasher,
    len: usize,
    missing: usize,
}

/// Why a piece is refused. Its bytes must be dropped and fetched from another source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PieceMismatch {
    /// The content has no such piece.
    #[error("the content has no piece {piece}, its last is {last}")]
    NoSuchPiece {
        /// The piece asked for.
        piece: PieceIndex,
        /// The last piece of the content.
        last: PieceIndex,
    },
    /// There are more bytes than the piece has.
    #[error("piece {piece} has {len} bytes and more were sent; fetch it from another source")]
    TooLong {
        /// The piece.
        piece: PieceIndex,
        /// Its length in bytes.
        len: usize,
    },
    /// The bytes ended too early.
    #[error("piece {piece} ended {missing} bytes too early; fetch it again")]
    TooShort {
        /// The piece.
        piece: PieceIndex,
        /// How many bytes did not come.
        missing: usize,
    },
    /// The bytes are not those of the content.
    #[error(
        "the bytes of piece {piece} are not those of the content; fetch it from another source"
    )]
    Hash {
        /// The piece.
        piece: PieceIndex,
    },
}

impl PieceVerifier {
    /// Starts to check a piece of the manifest's content.
    ///
    /// # Errors
    ///
    /// [`PieceMismatch::NoSuchPiece`].
    pub fn new(manifest: &Manifest, piece: PieceIndex) -> Result<Self, PieceMismatch> {
        let layout = manifest.layout();
        let no_such_piece = PieceMismatch::NoSuchPiece { piece, last: layout.last_piece() };
        let expected = manifest.expected(piece).ok_or(no_such_piece)?;
        let len = layout.piece_len(piece);
        let hasher = subtree_hasher(layout.piece_offset(piece));
        Ok(Self { piece, expected, hasher, len, missing: len })
    }

    /// The piece that is checked.
    #[must_use]
    pub fn piece(&self) -> PieceIndex {
        self.piece
    }

    /// How many bytes of the piece are still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// [`PieceMismatch::TooLong`] when these are more than are missing; none of them is taken then.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), PieceMismatch> {
        let Some(missing) = self.missing.checked_sub(bytes.len()) else {
            return Err(PieceMismatch::TooLong { piece: self.piece, len: self.len });
        };
        self.hasher.update(bytes);
        self.missing = missing;
        Ok(())
    }

    /// Says whether the piece is right.
    ///
    /// # Errors
    ///
    /// [`PieceMismatch::TooShort`] or [`PieceMismatch::Hash`].
    pub fn finish(self) -> Result<(), PieceMismatch> {
        let Self { piece, expected, hasher, missing, .. } = self;
        if missing > 0 {
            return Err(PieceMismatch::TooShort { piece, missing });
        }
        let right = match expected {
            Expected::Whole(id) => ContentId::from(hasher.finalize()) == id,
            Expected::Subtree(value) => hasher.finalize_non_root() == value,
        };
        if right { Ok(()) } else { Err(PieceMismatch::Hash { piece }) }
    }
}

/// Checks a piece whose bytes are all there, in any number of slices.
///
/// # Errors
///
/// [`PieceMismatch`].
pub fn verify_piece<'a>(
    manifest: &Manifest,
    piece: PieceIndex,
    slices: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), PieceMismatch> {
    let mut verifier = PieceVerifier::new(manifest, piece)?;
    slices.into_iter().try_for_each(|slice| verifier.update(slice))?;
    verifier.finish()
}
