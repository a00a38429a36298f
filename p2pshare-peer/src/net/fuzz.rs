//! The parsers of the wire, fed with any bytes.

use bytes::Bytes;
use p2pshare_core::content::ContentId;
use p2pshare_proto::v1;
use prost::Message;

use super::grpc::{Parser, Part, SegmentField};
use super::limits::MAX_RUNS;
use super::wire;

const MAX: usize = 4 << 10;

/// What a peer answers to a fetch: however it is cut, the same comes out.
///
/// The first byte says where it is cut.
///
/// # Panics
/// When a law is broken.
pub fn fetch_stream(data: &[u8]) {
    for part in stream::<v1::FetchResponse>(data, SegmentField::FETCH) {
        // An error, or an event; never a panic.
        let _ = wire::fetch_event_in(part);
    }
}

/// What a peer sends in a push: however it is cut, the same comes out.
///
/// # Panics
/// When a law is broken.
pub fn push_stream(data: &[u8]) {
    for part in stream::<v1::PushRequest>(data, SegmentField::PUSH) {
        let Part::Message(message) = part else { continue };
        if let Some(v1::push_request::Event::Offer(offer)) = message.event
            && let Ok(content) = wire::content_id(&offer.content_id)
        {
            assert_eq!(ContentId::from_bytes(*content.as_bytes()), content);
        }
    }
    if let Ok(wanted) = v1::PushWanted::decode(data)
        && let Ok(runs) = wire::runs_in(&wanted.runs)
    {
        assert!(runs.len() <= MAX_RUNS);
        assert_eq!(wire::runs_out(runs), wanted.runs);
    }
}

/// The messages and slices, whole and cut; they must be the same.
fn stream<M>(data: &[u8], field: SegmentField) -> Vec<Part<M>>
where
    M: Message + Default + Clone + PartialEq,
{
    let Some((&cut, data)) = data.split_first() else { return Vec::new() };
    let (whole, end) = parse::<M>(data, data.len(), field);
    let (cut, cut_end) = parse::<M>(data, usize::from(cut) + 1, field);
    assert_eq!(end, cut_end, "it ends in two ways");
    assert!(joined(whole.clone()) == joined(cut), "cut, it is something else");
    let collected: usize = whole.iter().map(len).sum();
    assert!(collected <= data.len(), "more came out than went in");
    whole
}

fn len<M: Message>(part: &Part<M>) -> usize {
    match part {
        Part::Message(_) => 0,
        Part::Slice(slice) => slice.data.len(),
    }
}

/// All parts, and whether the stream ended well.
fn parse<M: Message + Default>(
    data: &[u8],
    step: usize,
    field: SegmentField,
) -> (Vec<Part<M>>, bool) {
    let mut parser = Parser::<M>::new(Some(field), MAX);
    let mut parts = Vec::new();
    for chunk in data.chunks(step.max(1)) {
        parser.push(Bytes::copy_from_slice(chunk));
        loop {
            match parser.next() {
                Ok(Some(part)) => {
                    if let Part::Slice(slice) = &part {
                        assert!(!slice.data.is_empty(), "an empty slice");
                    }
                    parts.push(part);
                }
                Ok(None) => break,
                Err(_) => return (parts, false),
            }
        }
    }
    let ended = parser.finish().is_ok();
    (parts, ended)
}

/// The same with slices that follow each other as one.
fn joined<M>(parts: Vec<Part<M>>) -> Vec<Part<M>> {
    let mut joined: Vec<Part<M>> = Vec::new();
    for part in parts {
        if let (Some(Part::Slice(last)), Part::Slice(next)) = (joined.last_mut(), &part)
            && last.offset.saturating_add(last.data.len() as u64) == next.offset
        {
            last.data = [&last.data[..], &next.data[..]].concat().into();
            continue;
        }
        joined.push(part);
    }
    joined
}
