//! A slow, obvious reference for what the content module computes: the tree, split from the root down to the chunks.

use blake3::{
    CHUNK_LEN, Hasher,
    hazmat::{
        ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root,
        merge_subtrees_root,
    },
};
use p2pshare_core::content::{ContentId, PIECE_LEN};

/// Content lengths worth testing: around the borders of a chunk and of a piece, with last pieces whose last chunk has
/// none, one and several subtrees to its left.
pub(crate) const LENGTHS: [u64; 18] = [
    0,
    1,
    1023,
    1024,
    1025,
    PIECE_LEN - 1,
    PIECE_LEN,
    PIECE_LEN + 1,
    PIECE_LEN + 1024,
    PIECE_LEN + 1025,
    2 * PIECE_LEN - 1,
    2 * PIECE_LEN,
    2 * PIECE_LEN + 1,
    3 * PIECE_LEN,
    3 * PIECE_LEN + 1,
    4 * PIECE_LEN,
    5 * PIECE_LEN + 1025,
    7 * PIECE_LEN + 7 * 1024 + 7,
];

/// Bytes in which every piece, every chunk and nearly every word differs.
pub(crate) fn content(len: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(len).unwrap()];
    Hasher::new().update(b"content").finalize_xof().fill(&mut bytes);
    bytes
}

/// What the reference finds out about a content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) id: ContentId,
    pub(crate) values: Vec<ChainingValue>,
    pub(crate) tail: Vec<u8>,
}

pub(crate) fn reference(content: &[u8]) -> Reference {
    let len = content.len() as u64;
    if len <= PIECE_LEN {
        return Reference { id: root(content).into(), values: vec![], tail: vec![] };
    }
    let mut values = vec![];
    piece_values(content, 0, &mut values);
    let last_piece = (len - 1) / PIECE_LEN * PIECE_LEN;
    let mut tail = vec![];
    way_to_last_chunk(&content[usize::try_from(last_piece).unwrap()..], last_piece, &mut tail);
    Reference { id: root(content).into(), values, tail }
}

fn root(content: &[u8]) -> blake3::Hash {
    if content.len() <= CHUNK_LEN {
        return blake3::hash(content);
    }
    let (left, right, middle) = split(content, 0);
    merge_subtrees_root(&subtree(left, 0), &subtree(right, middle), Mode::Hash)
}

fn subtree(bytes: &[u8], offset: u64) -> ChainingValue {
    if bytes.len() <= CHUNK_LEN {
        return Hasher::new().set_input_offset(offset).update(bytes).finalize_non_root();
    }
    let (left, right, middle) = split(bytes, offset);
    merge_subtrees_non_root(&subtree(left, offset), &subtree(right, middle), Mode::Hash)
}

fn piece_values(bytes: &[u8], offset: u64, values: &mut Vec<ChainingValue>) {
    if bytes.len() as u64 <= PIECE_LEN {
        values.push(subtree(bytes, offset));
        return;
    }
    let (left, right, middle) = split(bytes, offset);
    piece_values(left, offset, values);
    piece_values(right, middle, values);
}

fn way_to_last_chunk(bytes: &[u8], offset: u64, tail: &mut Vec<u8>) {
    if bytes.len() <= CHUNK_LEN {
        tail.extend_from_slice(bytes);
        return;
    }
    let (left, right, middle) = split(bytes, offset);
    tail.extend_from_slice(&subtree(left, offset));
    way_to_last_chunk(right, middle, tail);
}

fn split(bytes: &[u8], offset: u64) -> (&[u8], &[u8], u64) {
    let left_len = left_subtree_len(bytes.len() as u64);
    let (left, right) = bytes.split_at(usize::try_from(left_len).unwrap());
    (left, right, offset + left_len)
}
