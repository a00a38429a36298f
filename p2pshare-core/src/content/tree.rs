//! BLAKE3's tree above the pieces.
//!
//! A piece is a subtree because its length is a power of two, its offset a multiple of it, and only the last is
//! shorter (section 2.1 of the BLAKE3 paper). `blake3::hazmat` gives the nodes.

use blake3::{
    Hasher,
    hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root},
};

use super::{ChainingValue, ContentId};

/// Merges the chaining values of a content's pieces, given in order, into its id. Memory: one value for each level of
/// the tree.
///
/// The algorithm is the lazy one of section 5.1.2 of the BLAKE3 paper: after n values the stack has one entry for each
/// 1 bit of n, and a merge waits until the next value comes, because the last merge is the root and differs.
#[derive(Clone, Default)]
pub(super) struct Merger {
    stack: Vec<ChainingValue>,
    pushed: u32,
}

impl Merger {
    /// Adds the chaining value of the next piece.
    pub(super) fn push(&mut self, value: ChainingValue) {
        while self.stack.len() > self.pushed.count_ones() as usize {
            let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) else {
                break;
            };
            self.stack.push(parent(&left, &right));
        }
        self.stack.push(value);
        self.pushed += 1;
    }

    /// The content id, `None` for less than two pieces: those have no node above them.
    pub(super) fn id(mut self) -> Option<ContentId> {
        let mut right = self.stack.pop()?;
        loop {
            let left = self.stack.pop()?;
            if self.stack.is_empty() {
                return Some(merge_subtrees_root(&left, &right, Mode::Hash).into());
            }
            right = parent(&left, &right);
        }
    }
}

/// Chaining value of the node above two subtrees.
pub(super) fn parent(left: &ChainingValue, right: &ChainingValue) -> ChainingValue {
    merge_subtrees_non_root(left, right, Mode::Hash)
}

/// Chaining value of the subtree that starts at `offset` in the content, a multiple of a power of two that is at least
/// the subtree's length, and has these bytes, at least one.
pub(super) fn chaining_value(offset: u64, bytes: &[u8]) -> ChainingValue {
    subtree_hasher(offset).update(bytes).finalize_non_root()
}

/// A hasher for the subtree that starts at `offset`.
pub(super) fn subtree_hasher(offset: u64) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(offset);
    hasher
}
