//! The manifest: what verifies the pieces of a content.

use std::{fmt, sync::Arc};

use super::{
    ChainingValue, ContentId, ContentTooLong, Layout, PIECE_LEN, PieceIndex, builder::Claim, tail,
    tree::Merger,
};

/// A content's id, its length and the chaining values of its pieces, in agreement with each other.
///
/// For a content of more than one piece everything in it is proven: no other length and no other values go with the
/// id. A content of at most one piece has no chaining values, and its length is a claim until the piece is verified,
/// which it is only if the length is right too.
///
/// Clones are cheap and share the values. Memory: 32 bytes for each MiB of content.
#[derive(Clone)]
pub struct Manifest {
    inner: Arc<Inner>,
}

struct Inner {
    id: ContentId,
    layout: Layout,
    tail: Box<[u8]>,
    values: Vec<ChainingValue>,
}

/// Why a manifest is refused. The one who sent it sent something wrong; another source may have the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Longer than any content.
    #[error(transparent)]
    TooLong(#[from] ContentTooLong),
    /// [`Manifest::single`] was asked for a content that has more than one piece.
    #[error("a content of {len} bytes has more than one piece and needs chaining values")]
    NotSingle {
        /// The length in bytes.
        len: u64,
    },
    /// The tail does not fit the length.
    #[error(
        "the proof of a length of {len} bytes has {expected} bytes, the manifest's has {found}; ask another source"
    )]
    TailLength {
        /// The length claimed for the content, in bytes.
        len: u64,
        /// The right length of the tail in bytes.
        expected: usize,
        /// The length of the tail in bytes.
        found: usize,
    },
    /// A part is not a whole number of chaining values.
    #[error(
        "a part of {found} bytes is not a whole number of 32 byte chaining values; ask another source"
    )]
    Ragged {
        /// The length of the part in bytes.
        found: usize,
    },
    /// There are too few or too many chaining values.
    #[error(
        "a content of {len} bytes has {expected} chaining values, the manifest has {found}; ask another source"
    )]
    Count {
        /// The length claimed for the content, in bytes.
        len: u64,
        /// How many chaining values belong to it.
        expected: usize,
        /// How many there are, as far as they were taken.
        found: usize,
    },
    /// The tail does not lead to the last chaining value: the length is wrong, or one of the two is.
    #[error("the manifest does not prove a length of {len} bytes; ask another source")]
    Length {
        /// The length claimed for the content, in bytes.
        len: u64,
    },
    /// The chaining values do not merge to the id.
    #[error("the manifest is not that of content {id}; ask another source")]
    Id {
        /// The content that was asked for.
        id: ContentId,
    },
}

impl Manifest {
    /// Takes a manifest from somebody else, if it is right.
    ///
    /// `tail` is the proof of the length and `values` the chaining values in order; both are empty for a content of at
    /// most one piece. Computes about one hash for each piece: 0.2 s for the largest content.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] when the parts do not belong together.
    pub fn verify(
        id: ContentId,
        len: u64,
        tail: &[u8],
        values: Vec<ChainingValue>,
    ) -> Result<Self, ManifestError> {
        let claim = Claim::new(id, len, tail)?;
        claim.check_count(values.len())?;
        let mut merger = Merger::default();
        values.iter().for_each(|value| merger.push(*value));
        claim.conclude(values, merger)
    }

    /// The manifest of a content of at most one piece.
    ///
    /// # Errors
    ///
    /// [`ManifestError::NotSingle`] when `len` is above [`PIECE_LEN`].
    pub fn single(id: ContentId, len: u64) -> Result<Self, ManifestError> {
        if len > PIECE_LEN {
            return Err(ManifestError::NotSingle { len });
        }
        Ok(Self::from_proven(id, Layout::new(len)?, Box::default(), Vec::new()))
    }

    /// The manifest of a content whose last piece and chaining values were computed from its bytes: `values` in order
    /// for two pieces or more.
    pub(super) fn from_hashed(
        layout: Layout,
        last_piece: &[u8],
        values: Vec<ChainingValue>,
        merger: Merger,
    ) -> Self {
        match merger.id() {
            Some(id) => {
                let tail = tail::prove(&layout, last_piece).into_boxed_slice();
                Self::from_proven(id, layout, tail, values)
            }
            None => {
                Self::from_proven(ContentId::of(last_piece), layout, Box::default(), Vec::new())
            }
        }
    }

    /// The caller vouches for the agreement of the parts.
    pub(super) fn from_proven(
        id: ContentId,
        layout: Layout,
        tail: Box<[u8]>,
        values: Vec<ChainingValue>,
    ) -> Self {
        Self { inner: Arc::new(Inner { id, layout, tail, values }) }
    }

    /// The content's id.
    #[must_use]
    pub fn id(&self) -> ContentId {
        self.inner.id
    }

    /// How the content is cut into pieces.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.inner.layout
    }

    /// Length of the content in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.inner.layout.len()
    }

    /// Whether the content has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.layout.is_empty()
    }

    /// The chaining values of the pieces in order, none for a content of at most one piece.
    ///
    /// [`as_flattened`](slice::as_flattened) makes them the bytes that go over the wire.
    #[must_use]
    pub fn chaining_values(&self) -> &[ChainingValue] {
        &self.inner.values
    }

    /// The proof of the length, empty for a content of at most one piece: the chaining values of the subtrees to the
    /// left of the last BLAKE3 chunk inside the last piece, from the largest to the smallest, and that chunk's bytes.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.inner.tail
    }

    /// What a piece must hash to, `None` for a piece that the content does not have.
    pub(super) fn expected(&self, piece: PieceIndex) -> Option<Expected> {
        if !self.inner.layout.contains(piece) {
            return None;
        }
        if self.inner.layout.piece_count() == 1 {
            return Some(Expected::Whole(self.inner.id));
        }
        self.inner.values.get(piece.as_usize()).copied().map(Expected::Subtree)
    }
}

/// What a piece must hash to.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// It is the whole content.
    Whole(ContentId),
    /// It is one of several pieces.
    Subtree(ChainingValue),
}

/// Manifests are equal when their id and length are: the rest follows from them.
impl PartialEq for Manifest {
    fn eq(&self, other: &Self) -> bool {
        self.inner.id == other.inner.id && self.inner.layout == other.inner.layout
    }
}

impl Eq for Manifest {}

impl fmt::Debug for Manifest {
    /// Without the values, of which there may be millions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { id, layout, .. } = &*self.inner;
        f.debug_struct("Manifest")
            .field("id", id)
            .field("len", &layout.len())
            .finish_non_exhaustive()
    }
}
