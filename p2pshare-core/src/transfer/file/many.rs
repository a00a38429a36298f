//! Reading several small files for one call.

use bytes::Bytes;

use super::{
    ReadOptions,
    read::{Batch, Read, Reading},
};
use crate::transfer::{Segment, SegmentStream, SmallContent, TransferError, many_offsets};

/// What a source answers that is asked for `contents` together
/// ([`fetch_many`](crate::transfer::PieceSource::fetch_many)): `read` gives the bytes of the content of this number, each
/// once and in order; one that it gives nothing of, or not so many bytes as were asked for, is left out.
///
/// `read` runs in the blocking pool, and not before the stream is first polled. So much is read at a time, and cut into
/// such segments, as `options` say; `options.check` is for `read` to call.
///
/// Cancellation: dropping the stream stops reading after at most one more [`ReadOptions::read_ahead`].
///
/// # Errors
///
/// As [`many_offsets`].
pub fn give_many(
    contents: &[SmallContent],
    options: &ReadOptions,
    read: impl FnMut(usize) -> Option<Bytes> + Send + 'static,
) -> Result<SegmentStream, TransferError> {
    let giving = Giving {
        offsets: many_offsets(contents)?,
        next: 0,
        read,
        segment_len: options.segment_len.max(1),
        read_ahead: options.read_ahead.max(1),
    };
    Ok(Reading::from((Vec::new(), Some(giving))).stream())
}

struct Giving<F> {
    /// Where each begins, and at last where the last one ends.
    offsets: Vec<u64>,
    /// The next content.
    next: usize,
    read: F,
    segment_len: usize,
    read_ahead: usize,
}

impl<F: FnMut(usize) -> Option<Bytes> + Send + 'static> Read for Giving<F> {
    fn read_batch(mut self) -> Result<Batch<Self>, TransferError> {
        let (mut segments, mut len) = (Vec::new(), 0);
        while len < self.read_ahead {
            let Some(&[begin, end]) = self.offsets.get(self.next..=self.next + 1) else {
                return Ok((segments, None));
            };
            let data = (self.read)(self.next);
            self.next += 1;
            let Some(mut data) = data.filter(|data| data.len() as u64 == end - begin) else {
                continue;
            };
            len += data.len();
            let mut offset = begin;
            while !data.is_empty() {
                let part = data.split_to(data.len().min(self.segment_len));
                let after = offset + part.len() as u64;
                segments.push(Segment { offset, data: part });
                offset = after;
            }
        }
        Ok((segments, Some(self)))
    }
}
