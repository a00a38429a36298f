//! Several small contents in one call.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use p2pshare_core::{
    content::{ContentId, Manifest, PIECE_LEN, PieceRun},
    swarm::download_many,
    testing::{Fault, FaultySource, SimpleSource, sample},
    transfer::{
        FetchEvent, HaveStream, ManyEvent, MemorySource, PieceSource, Segment, SegmentStream,
        SmallContent, TransferError, receive_many,
    },
};
use proptest::prelude::*;
use tokio::time::{Instant, sleep};

fn small(content: &Bytes) -> SmallContent {
    SmallContent { content: ContentId::of(content), len: content.len() as u64 }
}

/// Three contents of 1,000, 300,000 and 20 bytes.
fn three() -> (MemorySource, Vec<SmallContent>) {
    let source = MemorySource::new();
    let contents: Vec<_> = [1000, 300_000, 20].map(|len| sample(len, len)).into();
    contents.iter().for_each(|content| drop(source.insert(content.clone())));
    (source, contents.iter().map(small).collect())
}

/// The numbers of those that came, and why no more did.
async fn received(
    stream: SegmentStream,
    wanted: &[SmallContent],
) -> (Vec<usize>, Option<TransferError>) {
    let mut events = pin!(receive_many(stream, wanted.to_vec()));
    let mut came = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(ManyEvent::Content(arrival)) => {
                let bytes = arrival.data.concat();
                assert_eq!(ContentId::of(&bytes), wanted[arrival.number].content);
                came.push(arrival.number);
            }
            Ok(ManyEvent::Queued(_)) => {}
            Err(error) => {
                assert!(events.next().await.is_none(), "it goes on after an error");
                return (came, Some(error));
            }
        }
    }
    (came, None)
}

async fn with_fault(fault: Fault) -> (Vec<usize>, Option<TransferError>) {
    let (source, wanted) = three();
    let faulty = FaultySource::new(Arc::new(source), [fault]);
    received(faulty.fetch_many(&wanted).await.unwrap(), &wanted).await
}

#[tokio::test]
async fn what_is_wrong_is_never_taken() {
    let (came, error) = with_fault(Fault::CorruptByte(5_000)).await;
    assert!(matches!(error, Some(TransferError::Mismatch(_))), "{error:?}");
    assert_eq!(came, [0]);
    for (fault, before) in [
        (Fault::WrongOffset(1), vec![]),
        (Fault::WrongOffset(400_000), vec![]),
        (Fault::WrongOffset(u64::MAX), vec![]),
        (Fault::EmptySegments, vec![]),
        (Fault::JoinedSegments, vec![]),
        (Fault::TooMuch, vec![0, 1, 2]),
        (Fault::LateQueue, vec![0, 1, 2]),
        (Fault::Chooses(Vec::new()), vec![]),
    ] {
        let (came, error) = with_fault(fault.clone()).await;
        assert!(matches!(error, Some(TransferError::Protocol(_))), "{fault:?}: {error:?}");
        assert_eq!(came, before, "{fault:?}");
    }
}

#[tokio::test]
async fn what_has_come_before_a_failure_stays() {
    let (came, error) = with_fault(Fault::Fail(290_000, TransferError::Changed)).await;
    assert!(matches!(error, Some(TransferError::Changed)), "{error:?}");
    assert_eq!(came, [0]);
    let (came, error) = with_fault(Fault::TooLittle(301_000)).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(came, [0, 1]);
}

/// How long it takes until a source that gives the first of three contents, and then this, is left.
async fn left_after(then: SegmentStream) -> Duration {
    let (source, wanted) = three();
    let first = source.fetch_many(&wanted[..1]).await.unwrap();
    let source = Scripted(Mutex::new(Some(first.chain(then).boxed())));
    let begun = Instant::now();
    let mut arrivals = download_many(Arc::new(source), wanted);
    assert_eq!(arrivals.next().await.unwrap().unwrap().number, 0);
    let error = arrivals.next().await.unwrap().unwrap_err();
    assert!(matches!(error, TransferError::Stalled(_)), "{error}");
    assert!(arrivals.next().await.is_none());
    begun.elapsed()
}

/// Answers one call for many in this way.
struct Scripted(Mutex<Option<SegmentStream>>);

#[async_trait]
impl PieceSource for Scripted {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        Err(TransferError::NotFound(*content))
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        Err(TransferError::NotFound(*content))
    }

    async fn fetch(
        &self,
        content: &ContentId,
        _: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        Err(TransferError::NotFound(*content))
    }

    async fn fetch_many(&self, _: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        Ok(self.0.lock().unwrap().take().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_gives_nothing_or_next_to_nothing_is_left() {
    assert_eq!(left_after(stream::pending().boxed()).await, Duration::from_secs(5));
    let byte = |offset| async move {
        sleep(Duration::from_secs(4)).await;
        Ok(FetchEvent::Segment(Segment { offset, data: Bytes::from_static(b"x") }))
    };
    let dripping = stream::iter(1000..).then(byte).boxed();
    assert_eq!(left_after(dripping).await, Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_source_is_waited_for_while_its_queue_moves_but_not_for_ever() {
    for (seconds, expected) in [(6, 3), (8, 0)] {
        let (source, wanted) = three();
        let all = source.fetch_many(&wanted).await.unwrap();
        let queued = move |position| async move {
            sleep(Duration::from_secs(seconds)).await;
            Ok(FetchEvent::Queued { position })
        };
        let first = stream::iter([Ok(FetchEvent::Queued { position: 9 })]);
        let queue = first.chain(stream::iter([8, 7, 6, 5]).then(queued));
        let source = Scripted(Mutex::new(Some(queue.chain(all).boxed())));
        let events: Vec<_> = download_many(Arc::new(source), wanted).collect().await;
        let came = events.iter().filter(|event| event.is_ok()).count();
        assert_eq!(came, expected, "{events:?}");
        assert_eq!(events.len() - came, usize::from(expected == 0));
    }
}

#[tokio::test]
async fn a_source_that_gives_one_at_a_time_says_so() {
    let (source, wanted) = three();
    let arrivals = download_many(Arc::new(SimpleSource(source)), wanted);
    let error = arrivals.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, TransferError::Unsupported), "{error}");
}

proptest! {
    /// However a source cuts what it has, and whatever it leaves out or breaks off, what comes is right and complete.
    #[test]
    fn all_that_is_sent_whole_arrives(
        plan in prop::collection::vec((1..5_000_u64, 0..4_u8, 1..3_000_usize), 1..30),
    ) {
        let contents: Vec<_> =
            (0..).zip(&plan).map(|(seed, (len, ..))| sample(*len, seed)).collect();
        let wanted: Vec<_> = contents.iter().map(small).collect();
        let (mut events, mut expected, mut begin) = (Vec::new(), Vec::new(), 0);
        for (number, (content, (len, fate, cut))) in contents.iter().zip(&plan).enumerate() {
            let sent = match fate {
                0 => 0,
                1 => content.len() / 2,
                _ => content.len(),
            };
            let mut offset = begin;
            for part in content[..sent].chunks(*cut) {
                let data = content.slice_ref(part);
                events.push(Ok(FetchEvent::Segment(Segment { offset, data })));
                offset += part.len() as u64;
            }
            if sent == content.len() {
                expected.push(number);
            }
            begin += len;
        }
        let stream = stream::iter(events).boxed();
        let (came, error) = received(stream, &wanted).now_or_never().unwrap();
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(came, expected);
    }

    /// Whatever comes, it is judged without a panic.
    #[test]
    fn nonsense_does_no_harm(
        lens in prop::collection::vec(0..=PIECE_LEN + 1, 0..5),
        segments in prop::collection::vec((any::<u64>(), 0..100_usize), 0..20),
    ) {
        let content = ContentId::of(b"content");
        let wanted: Vec<_> = lens.iter().map(|len| SmallContent { content, len: *len }).collect();
        let event = |(offset, len)| {
            Ok(FetchEvent::Segment(Segment { offset, data: vec![0; len].into() }))
        };
        let events: Vec<_> = segments.into_iter().map(event).collect();
        let (came, _) = received(stream::iter(events).boxed(), &wanted).now_or_never().unwrap();
        prop_assert!(came.is_empty());
    }
}
