//! Making a manifest from bytes in memory or from a stream.

use super::{
    ChainingValue, ContentTooLong, Layout, Manifest, PIECE_LEN,
    tree::{Merger, chaining_value},
};

const PIECE: usize = PIECE_LEN as usize;

/// The manifest of a content that is in memory. One thread.
///
/// # Panics
///
/// When the content is longer than [`MAX_CONTENT_LEN`](super::MAX_CONTENT_LEN), 2 TiB.
#[must_use]
pub fn hash_bytes(content: &[u8]) -> Manifest {
    let mut hasher = ManifestHasher::new();
    hasher.update(content).expect("a content in memory has at most 2 TiB");
    hasher.finish()
}

/// Makes the manifest of a content whose bytes come in order, in slices of any size. One thread.
///
/// Memory: one piece, and 32 bytes for each one before it.
#[derive(Default)]
pub struct ManifestHasher {
    /// The piece that the next bytes belong to, or a full one while no byte after it has come: the last piece is
    /// needed whole for the proof of the length.
    piece: Vec<u8>,
    /// Length in bytes of the pieces before it.
    before: u64,
    values: Vec<ChainingValue>,
    merger: Merger,
}

impl ManifestHasher {
    /// A hasher that has seen no byte.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// [`ContentTooLong`] when the content is longer than [`MAX_CONTENT_LEN`](super::MAX_CONTENT_LEN) with them; none
    /// of them is taken then.
    pub fn update(&mut self, mut bytes: &[u8]) -> Result<(), ContentTooLong> {
        Layout::new(self.len().saturating_add(bytes.len() as u64))?;
        while !bytes.is_empty() {
            if self.piece.len() == PIECE {
                self.push_value(chaining_value(self.before, &self.piece));
                self.piece.clear();
            }
            if self.piece.is_empty() && bytes.len() > PIECE {
                // More bytes follow this piece, so it need not be kept.
                let (piece, rest) = bytes.split_at(PIECE);
                self.push_value(chaining_value(self.before, piece));
                bytes = rest;
            } else {
                let (part, rest) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
                self.piece.extend_from_slice(part);
                bytes = rest;
            }
        }
        Ok(())
    }

    /// How many bytes were taken.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.before + self.piece.len() as u64
    }

    /// Whether no byte was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The manifest of all the bytes taken.
    #[must_use]
    pub fn finish(mut self) -> Manifest {
        let layout = Layout::new(self.len()).expect("checked with every update");
        if layout.piece_count() > 1 {
            let value = chaining_value(self.before, &self.piece);
            self.values.push(value);
            self.merger.push(value);
        }
        Manifest::from_hashed(layout, &self.piece, self.values, self.merger)
    }

    fn push_value(&mut self, value: ChainingValue) {
        self.values.push(value);
        self.merger.push(value);
        self.before += PIECE_LEN;
    }
}
