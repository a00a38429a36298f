//! Several small contents in one call.

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use super::{FetchEvent, Segment, SegmentStream, TransferError, slices::Slices};
use crate::content::{ContentId, Manifest, PIECE_LEN, PieceIndex, verify_piece};

/// A content of at most one piece, as far as is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmallContent {
    /// The content.
    pub content: ContentId,
    /// Its length in bytes, 1 to [`PIECE_LEN`].
    pub len: u64,
}

/// What happens while several contents come in one call.
#[derive(Clone, Debug)]
pub enum ManyEvent {
    /// The request waits in the source's queue, at this place: 1 is next.
    Queued(u32),
    /// One of them is there.
    Content(Arrival),
}

/// One of several contents, verified.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Which of them, counted from 0.
    pub number: usize,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its bytes in order, as a sink takes them for piece 0.
    pub data: Vec<Bytes>,
}

/// Where each of several contents begins that come one after the other, and at last where they end: the offsets of
/// [`fetch_many`](super::PieceSource::fetch_many).
///
/// # Errors
///
/// [`TransferError::Protocol`] for a length that no small content has.
pub fn many_offsets(contents: &[SmallContent]) -> Result<Vec<u64>, TransferError> {
    let mut end = 0_u64;
    let mut offsets = vec![end];
    for SmallContent { content, len } in contents {
        if !(1..=PIECE_LEN).contains(len) {
            let error = format!("{len} bytes of {content} were asked for in a call for small ones");
            return Err(TransferError::Protocol(error));
        }
        // Not even as many as memory could hold are 2^64 bytes.
        end = end.saturating_add(*len);
        offsets.push(end);
    }
    Ok(offsets)
}

/// What comes of `stream`, the answer to a call of [`fetch_many`](super::PieceSource::fetch_many) for `wanted`: each
/// content as soon as it is whole and its hash is right. Those that the source leaves out do not come.
///
/// Memory: that of one content. After an error the stream ends: [`TransferError::Protocol`] for segments out of order,
/// [`TransferError::Mismatch`] for bytes that are not the content, and those of the source.
pub fn receive_many(
    stream: SegmentStream,
    wanted: Vec<SmallContent>,
) -> impl Stream<Item = Result<ManyEvent, TransferError>> + Send {
    let receiving = many_offsets(&wanted).map(|offsets| Receiving {
        stream,
        wanted,
        offsets,
        number: 0,
        slices: Slices::default(),
        begun: false,
    });
    stream::unfold(Some(receiving), |receiving| async move {
        let mut receiving = match receiving? {
            Ok(receiving) => receiving,
            Err(error) => return Some((Err(error), None)),
        };
        match receiving.next().await {
            Ok(event) => Some((Ok(event?), Some(Ok(receiving)))),
            Err(error) => Some((Err(error), None)),
        }
    })
}

struct Receiving {
    stream: SegmentStream,
    wanted: Vec<SmallContent>,
    offsets: Vec<u64>,
    /// The content that comes.
    number: usize,
    /// What has come of it.
    slices: Slices,
    begun: bool,
}

impl Receiving {
    async fn next(&mut self) -> Result<Option<ManyEvent>, TransferError> {
        while let Some(event) = self.stream.next().await {
            match event? {
                FetchEvent::Queued { position } if !self.begun => {
                    return Ok(Some(ManyEvent::Queued(position)));
                }
                FetchEvent::Queued { .. } => {
                    return broken("the source queued a fetch that had begun".to_owned());
                }
                FetchEvent::Chosen { .. } => {
                    return broken("the source chose what it was not left".to_owned());
                }
                FetchEvent::Segment(segment) => {
                    self.begun = true;
                    if let Some(arrival) = self.take(segment)? {
                        return Ok(Some(ManyEvent::Content(arrival)));
                    }
                }
            }
        }
        Ok(None)
    }

    fn take(
        &mut self,
        Segment { offset, data }: Segment,
    ) -> Result<Option<Arrival>, TransferError> {
        // The content's end is one further than its beginning, and there is one more of them than contents.
        while self.offsets.get(self.number + 1).is_some_and(|end| *end <= offset) {
            self.number += 1;
            // The rest of it was left out.
            self.slices.take();
        }
        let (Some(wanted), Some(begin)) =
            (self.wanted.get(self.number), self.offsets.get(self.number))
        else {
            return broken(format!(
                "a segment came at byte {offset}, behind all that was asked for"
            ));
        };
        let due = begin + self.slices.len() as u64;
        if offset != due {
            return broken(format!("a segment came at byte {offset} where byte {due} was due"));
        }
        let room = wanted.len - self.slices.len() as u64;
        if data.is_empty() || data.len() as u64 > room {
            let len = data.len();
            return broken(format!("a segment of {len} bytes came where 1 to {room} were due"));
        }
        self.slices.push(data);
        if (self.slices.len() as u64) < wanted.len {
            return Ok(None);
        }
        let data = self.slices.take();
        let manifest = Manifest::single(wanted.content, wanted.len)?;
        verify_piece(&manifest, PieceIndex(0), data.iter().map(|slice| &slice[..]))?;
        let number = self.number;
        self.number += 1;
        Ok(Some(Arrival { number, manifest, data }))
    }
}

fn broken<T>(what: String) -> Result<T, TransferError> {
    Err(TransferError::Protocol(what))
}
