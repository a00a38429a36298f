//! Sources that lie: whatever they send, the receiver gets exactly what was asked or an error.

#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::StreamExt;
use p2pshare_core::{
    content::{ContentId, Layout, PIECE_LEN, PieceIndex, PieceMismatch, PieceRun, hash_bytes},
    testing::{Fault, FaultySource, SIZES, sample, source::collect},
    transfer::{
        MemorySource, PieceAssembler, PieceSource, Segment, SmallFetch, TransferError, fetch_small,
        wanted_runs,
    },
};
use proptest::prelude::*;

/// A source of these contents that lies.
fn faulty(contents: &[&Bytes], faults: impl IntoIterator<Item = Fault>) -> FaultySource {
    let source = MemorySource::new();
    for content in contents {
        source.insert(Bytes::clone(content));
    }
    FaultySource::new(Arc::new(source), faults)
}

async fn fetch_all(source: &FaultySource, content: &Bytes) -> Result<Bytes, TransferError> {
    let layout = Layout::new(content.len() as u64).unwrap();
    let stream = source.fetch(&ContentId::of(content), &[]).await?;
    let pieces = collect(layout, &[], stream).await?;
    let slices: Vec<Bytes> = pieces.into_iter().flat_map(|(_, data)| data).collect();
    Ok(slices.concat().into())
}

#[tokio::test]
async fn every_broken_stream_is_refused() {
    let content = sample(2 * PIECE_LEN + 5, 1);
    let refused = [
        Fault::WrongOffset(1),
        Fault::WrongOffset(PIECE_LEN),
        Fault::WrongOffset(u64::MAX),
        Fault::TooMuch,
        Fault::TooLittle(0),
        Fault::TooLittle(content.len() - 1),
        Fault::TooLittle(PIECE_LEN as usize),
        Fault::EmptySegments,
        Fault::JoinedSegments,
    ];
    for fault in refused {
        let source = faulty(&[&content], [fault.clone()]);
        let result = fetch_all(&source, &content).await;
        let broken = matches!(result, Err(TransferError::Protocol(_)));
        assert!(broken, "{fault:?}");
        assert!(result.unwrap_err().is_lie());
    }
}

#[tokio::test]
async fn failures_come_through() {
    let content = sample(2 * PIECE_LEN, 1);
    let gone = TransferError::Unavailable("it has left".to_owned());
    let source = faulty(&[&content], [Fault::Fail(5, gone)]);
    let error = fetch_all(&source, &content).await.unwrap_err();
    assert!(matches!(error, TransferError::Unavailable(_)));
    assert!(error.is_passing());
}

#[tokio::test(start_paused = true)]
async fn a_stalled_source_sends_nothing_more() {
    let content = sample(2 * PIECE_LEN, 1);
    let source = faulty(&[&content], [Fault::Stall(PIECE_LEN as usize)]);
    let mut stream = source.fetch(&ContentId::of(&content), &[]).await.unwrap();
    let wait = Duration::from_secs(3_600);
    let mut events = 0;
    while tokio::time::timeout(wait, stream.next()).await.is_ok() {
        events += 1;
    }
    assert_eq!(events, 4);
}

#[tokio::test]
async fn small_contents_come_without_a_manifest() {
    for len in SIZES {
        let content = sample(len, len);
        let source = faulty(&[&content], []);
        let id = ContentId::of(&content);
        let result = fetch_small(&source, &id, u64::MAX, |_| {}).await.unwrap();
        match result {
            SmallFetch::Content { manifest, data } if len <= PIECE_LEN => {
                assert_eq!(manifest, hash_bytes(&content));
                assert!(data.concat() == content);
            }
            SmallFetch::NeedsManifest if len > PIECE_LEN => {}
            other => panic!("{len}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn small_fetches_believe_nobody() {
    let content = sample(300_000, 1);
    let id = ContentId::of(&content);
    let fetch = async |faults: &[Fault]| {
        let source = faulty(&[&content], faults.iter().cloned());
        fetch_small(&source, &id, u64::MAX, |_| {}).await
    };
    for fault in
        [Fault::CorruptByte(299_999), Fault::TooMuch, Fault::TooLittle(100), Fault::TooLittle(0)]
    {
        let result = fetch(&[fault]).await;
        let mismatch = matches!(result, Err(TransferError::Mismatch(PieceMismatch::Hash { .. })));
        assert!(mismatch, "{result:?}");
    }
    for fault in [Fault::WrongOffset(1), Fault::EmptySegments, Fault::LateQueue] {
        let result = fetch(&[fault]).await;
        assert!(matches!(result, Err(TransferError::Protocol(_))), "{result:?}");
    }
    // Whoever seems to send without end is not listened to for longer than the limit.
    let source = faulty(&[&content], []);
    let result = fetch_small(&source, &id, 299_999, |_| {}).await;
    assert!(matches!(result, Ok(SmallFetch::NeedsManifest)));
}

#[tokio::test]
async fn what_is_held_in_part_needs_a_manifest() {
    let content = sample(PIECE_LEN + 5, 1);
    let source = MemorySource::new();
    let manifest = hash_bytes(&content);
    source.insert_empty(manifest.clone());
    let result = fetch_small(&source, &manifest.id(), u64::MAX, |_| {}).await;
    assert!(matches!(result, Ok(SmallFetch::NeedsManifest)));
}

#[test]
fn tiny_segments_cost_little_memory() {
    let layout = Layout::new(PIECE_LEN).unwrap();
    let mut assembler = PieceAssembler::new(layout, &[]).unwrap();
    let data = sample(PIECE_LEN, 1);
    let mut piece = None;
    for offset in 0..data.len() {
        let segment = Segment { offset: offset as u64, data: data.slice(offset..=offset) };
        assert!(piece.is_none());
        piece = assembler.push(segment).unwrap();
    }
    let (_, slices) = piece.unwrap();
    assert!(slices.concat() == data);
    assert!(slices.len() <= 512, "{} slices", slices.len());
}

#[test]
fn usual_segments_are_not_copied() {
    let layout = Layout::new(PIECE_LEN).unwrap();
    let mut assembler = PieceAssembler::new(layout, &[]).unwrap();
    let data = sample(PIECE_LEN, 1);
    let mut segments = data.chunks(100_000).map(|slice| Segment {
        offset: slice.as_ptr() as u64 - data.as_ptr() as u64,
        data: data.slice_ref(slice),
    });
    let (_, slices) = segments.find_map(|segment| assembler.push(segment).unwrap()).unwrap();
    let places: Vec<_> = slices.iter().map(|slice| slice.as_ptr()).collect();
    let expected: Vec<_> = data.chunks(100_000).map(<[u8]>::as_ptr).collect();
    assert_eq!(places, expected);
}

/// A content of up to three and a half pieces, and runs of it.
fn request() -> impl Strategy<Value = (Layout, Vec<PieceRun>)> {
    let run = (0..5_u32, 0..4_u32);
    let runs = prop::collection::vec(run, 0..4);
    (0..7 * PIECE_LEN / 2, runs).prop_map(|(len, runs)| {
        let runs = runs.into_iter();
        let runs = runs.map(|(start, count)| PieceRun::new(PieceIndex(start), count));
        (Layout::new(len).unwrap(), runs.collect())
    })
}

/// How an honest stream of segments is spoilt.
#[derive(Debug, Clone)]
enum Spoil {
    Drop(prop::sample::Index),
    Repeat(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Move(prop::sample::Index, u64),
    Resize(prop::sample::Index, usize),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Spoil::Drop),
        index().prop_map(Spoil::Repeat),
        (index(), index()).prop_map(|(a, b)| Spoil::Swap(a, b)),
        (index(), any::<u64>()).prop_map(|(at, by)| Spoil::Move(at, by)),
        (index(), 0..3 * PIECE_LEN as usize).prop_map(|(at, len)| Spoil::Resize(at, len)),
    ]
}

fn apply(segments: &mut Vec<(u64, usize)>, spoil: &Spoil) {
    let count = segments.len();
    if count == 0 {
        return;
    }
    match spoil {
        Spoil::Drop(at) => drop(segments.remove(at.index(count))),
        Spoil::Repeat(at) => {
            let at = at.index(count);
            segments.insert(at, segments[at]);
        }
        Spoil::Swap(a, b) => segments.swap(a.index(count), b.index(count)),
        Spoil::Move(at, by) => {
            let segment = &mut segments[at.index(count)];
            segment.0 = segment.0.wrapping_add(*by);
        }
        Spoil::Resize(at, len) => segments[at.index(count)].1 = *len,
    }
}

/// The segments of an honest answer: where they begin and how long they are.
fn honest(layout: &Layout, runs: &[PieceRun], segment_len: usize) -> Vec<(u64, usize)> {
    let mut segments = Vec::new();
    for piece in runs.iter().flat_map(PieceRun::iter) {
        let len = layout.piece_len(piece);
        let offset = layout.piece_offset(piece);
        let starts = (0..len.max(1)).step_by(segment_len);
        segments.extend(starts.map(|at| (offset + at as u64, segment_len.min(len - at))));
    }
    segments
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Accepted exactly when, by the obvious rule, it is an honest answer.
    #[test]
    fn only_honest_streams_are_taken(
        (layout, runs) in request(),
        segment_len in 50_000..2_000_000_usize,
        spoils in prop::collection::vec(spoil(), 0..3),
    ) {
        let Ok(wanted) = wanted_runs(&layout, &runs) else {
            prop_assert!(PieceAssembler::new(layout, &runs).is_err());
            return Ok(());
        };
        let zeros = Bytes::from(vec![0; 3 * PIECE_LEN as usize]);
        let mut segments = honest(&layout, &wanted, segment_len);
        for spoil in &spoils {
            apply(&mut segments, spoil);
        }
        let expected = is_honest(&layout, &wanted, &segments);

        let mut assembler = PieceAssembler::new(layout, &runs).unwrap();
        let mut pieces = Vec::new();
        let mut result = Ok(());
        for (offset, len) in segments {
            let segment = Segment { offset, data: zeros.slice(..len) };
            match assembler.push(segment) {
                Ok(piece) => pieces.extend(piece),
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let result = result.and_then(|()| assembler.finish());
        prop_assert_eq!(result.is_ok(), expected, "{:?}", result);
        // Whatever happened, what came out are the first pieces asked for, whole.
        let mut due = wanted.iter().flat_map(PieceRun::iter);
        for (piece, data) in pieces {
            prop_assert_eq!(Some(piece), due.next());
            let len: usize = data.iter().map(Bytes::len).sum();
            prop_assert_eq!(len, layout.piece_len(piece));
        }
        if let Err(error) = result {
            prop_assert!(matches!(error, TransferError::Protocol(_)));
        } else {
            prop_assert_eq!(due.next(), None);
        }
    }
}

/// Whether the segments are all the bytes of the runs, once, in order, none empty, none over a border.
fn is_honest(layout: &Layout, runs: &[PieceRun], segments: &[(u64, usize)]) -> bool {
    if layout.is_empty() {
        return segments == [(0, 0)];
    }
    let mut segments = segments.iter();
    for piece in runs.iter().flat_map(PieceRun::iter) {
        let start = layout.piece_offset(piece);
        let end = start + layout.piece_len(piece) as u64;
        let mut at = start;
        while at < end {
            match segments.next() {
                Some(&(offset, len)) if offset == at && len > 0 && at + len as u64 <= end => {
                    at += len as u64;
                }
                _ => return false,
            }
        }
    }
    segments.next().is_none()
}
