//! The proof of a content's length.
//!
//! The chaining values of the pieces prove how many pieces there are, not how long the last one is. But the node of
//! the last BLAKE3 chunk (1 KiB) says which chunk it is and how many bytes it has, so a way from that chunk's bytes up
//! to the last piece's chaining value proves the length: for another length the way has other turns, or another chunk
//! number, or another number of bytes at its end, and each of them changes the hash.

use blake3::CHUNK_LEN;

use super::{
    ChainingValue, Layout,
    tree::{chaining_value, parent},
};

const VALUE_LEN: usize = size_of::<ChainingValue>();

/// Length in bytes of the tail of a content, at most 1,344.
pub(super) fn tail_len(layout: &Layout) -> usize {
    if layout.piece_count() < 2 {
        return 0;
    }
    let end = LastChunk::of(layout);
    end.siblings() * VALUE_LEN + end.len
}

/// The tail of a content of more than one piece, from the bytes of its last piece.
///
/// Chaining values of the subtrees to the left of the last chunk inside the last piece, from the largest to the
/// smallest, then the chunk's bytes.
pub(super) fn prove(layout: &Layout, mut last_piece: &[u8]) -> Vec<u8> {
    let mut tail = Vec::with_capacity(tail_len(layout));
    let mut offset = layout.piece_offset(layout.last_piece());
    while last_piece.len() > CHUNK_LEN {
        let chunks = last_piece.len().div_ceil(CHUNK_LEN);
        // The left subtree is the largest complete one that leaves something to its right.
        let left_len = chunks.next_power_of_two() / 2 * CHUNK_LEN;
        let (left, right) = last_piece.split_at(left_len);
        tail.extend_from_slice(&chaining_value(offset, left));
        offset += left_len as u64;
        last_piece = right;
    }
    tail.extend_from_slice(last_piece);
    tail
}

/// The chaining value that the last piece must have for the tail to prove the layout's length; `None` when the tail
/// has not the length that goes with it.
pub(super) fn last_piece_value(layout: &Layout, tail: &[u8]) -> Option<ChainingValue> {
    let end = LastChunk::of(layout);
    if tail.len() != end.siblings() * VALUE_LEN + end.len {
        return None;
    }
    let (siblings, chunk) = tail.split_at(end.siblings() * VALUE_LEN);
    let (siblings, _) = siblings.as_chunks::<VALUE_LEN>();
    let last = chaining_value(end.offset, chunk);
    Some(siblings.iter().rfold(last, |right, left| parent(left, &right)))
}

/// Where the last chunk of a content that is not empty lies.
struct LastChunk {
    /// Its number within the last piece.
    index: usize,
    /// Where it starts in the content.
    offset: u64,
    /// Its length in bytes, 1 to 1,024.
    len: usize,
}

impl LastChunk {
    fn of(layout: &Layout) -> Self {
        let piece_len = layout.piece_len(layout.last_piece());
        let index = piece_len.saturating_sub(1) / CHUNK_LEN;
        let start = index * CHUNK_LEN;
        let offset = layout.piece_offset(layout.last_piece()) + start as u64;
        Self { index, offset, len: piece_len - start }
    }

    /// How many subtrees stand to its left inside the piece: complete ones of different sizes, largest first, so one
    /// for each 1 bit of its number.
    fn siblings(&self) -> usize {
        self.index.count_ones() as usize
    }
}
