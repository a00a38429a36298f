//! Fetching a small content in one call.

use bytes::Bytes;
use futures::StreamExt;

use super::{FetchEvent, PieceSource, Segment, SegmentStream, TransferError, slices::Slices};
use crate::content::{ContentId, Manifest, PIECE_LEN, PieceIndex, verify_piece};

/// What [`fetch_small`] found.
#[derive(Debug, Clone)]
pub enum SmallFetch {
    /// The whole content, verified against its id.
    Content {
        /// Its manifest, made from the bytes that came.
        manifest: Manifest,
        /// Its bytes in order, as they are given to a sink's [`put`](super::PieceSink::put) for piece 0.
        data: Vec<Bytes>,
    },
    /// The content is longer than was hoped, or the source holds only some of its pieces: ask for the manifest.
    NeedsManifest,
}

/// What happens while a content comes in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmallNews {
    /// The request waits in the source's queue, at this place: 1 is next.
    Queued(u32),
    /// So many bytes more have come. They are not verified yet.
    Received(u64),
}

/// Fetches a content that has, as it seems, at most `max` bytes, without asking for its manifest first.
///
/// No length that anybody claims is trusted: at most `max` bytes (never more than [`PIECE_LEN`]) are taken, and the hash
/// of what came until the end of the stream decides. `news` is told what happens meanwhile.
///
/// Cancellation: dropping the future ends the fetch.
///
/// # Errors
///
/// Those of the source, [`TransferError::Protocol`] for segments out of order, [`TransferError::Mismatch`] for bytes
/// that are not the content.
pub async fn fetch_small(
    source: &dyn PieceSource,
    content: &ContentId,
    max: u64,
    news: impl FnMut(SmallNews) + Send,
) -> Result<SmallFetch, TransferError> {
    let max = max.min(PIECE_LEN);
    let taken = match source.fetch(content, &[]).await {
        Ok(stream) => take_all(stream, max, news).await,
        Err(error) => Err(error),
    };
    let Some(data) = (match taken {
        Err(TransferError::NotHeld(_)) => None,
        other => other?,
    }) else {
        return Ok(SmallFetch::NeedsManifest);
    };
    let len = data.iter().map(|slice| slice.len() as u64).sum();
    let manifest = Manifest::single(*content, len)?;
    verify_piece(&manifest, PieceIndex(0), data.iter().map(|slice| &slice[..]))?;
    Ok(SmallFetch::Content { manifest, data })
}

/// All bytes of the stream, `None` when there are more than `max`.
async fn take_all(
    mut stream: SegmentStream,
    max: u64,
    mut news: impl FnMut(SmallNews) + Send,
) -> Result<Option<Vec<Bytes>>, TransferError> {
    let mut slices = Slices::default();
    let mut ended = false;
    let mut begun = false;
    while let Some(event) = stream.next().await {
        let Segment { offset, data } = match event? {
            FetchEvent::Queued { position } if !begun => {
                news(SmallNews::Queued(position));
                continue;
            }
            FetchEvent::Queued { .. } => {
                return broken("the source queued a fetch that had begun");
            }
            FetchEvent::Chosen { .. } => return broken("the source chose what it was not left"),
            FetchEvent::Segment(segment) => segment,
        };
        let expected = slices.len() as u64;
        if offset != expected {
            return broken(&format!(
                "a segment came at byte {offset} where byte {expected} was due"
            ));
        }
        // Only an empty content has an empty segment, and no other.
        if ended || (begun && data.is_empty()) {
            return broken(&format!("an empty segment came at byte {expected}"));
        }
        if data.len() as u64 > max - expected {
            return Ok(None);
        }
        begun = true;
        ended = data.is_empty();
        news(SmallNews::Received(data.len() as u64));
        slices.push(data);
    }
    Ok(Some(slices.take()))
}

fn broken<T>(what: &str) -> Result<T, TransferError> {
    Err(TransferError::Protocol(what.to_owned()))
}
