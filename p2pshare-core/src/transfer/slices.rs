//! The slices of a piece that is still growing.

use bytes::{Bytes, BytesMut};

/// Slices shorter than this, in bytes, are copied together.
const SMALL: usize = 4 << 10;

/// Collects bytes in order, without copying them as long as they come in slices of a useful length.
///
/// Slices shorter than [`SMALL`] are copied together: else one byte at a time would cost a sender nothing and the
/// receiver a whole [`Bytes`] for each.
#[derive(Debug, Default)]
pub(super) struct Slices {
    done: Vec<Bytes>,
    small: BytesMut,
    len: usize,
}

impl Slices {
    /// Number of bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, data: Bytes) {
        self.len += data.len();
        if data.len() < SMALL {
            self.small.extend_from_slice(&data);
            return;
        }
        self.end_small();
        self.done.push(data);
    }

    /// The slices collected, none of them empty. Starts anew.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.end_small();
        self.len = 0;
        std::mem::take(&mut self.done)
    }

    fn end_small(&mut self) {
        if !self.small.is_empty() {
            self.done.push(self.small.split().freeze());
        }
    }
}
