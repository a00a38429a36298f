use std::{collections::BTreeMap, num::NonZeroUsize};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    content::Manifest,
    transfer::{HaveStream, MemorySource},
};

fn run(start: u32, count: u32) -> PieceRun {
    PieceRun::new(PieceIndex(start), count)
}

fn pieces(runs: &[PieceRun]) -> Vec<u32> {
    runs.iter().flat_map(PieceRun::iter).map(|piece| piece.0).collect()
}

fn content() -> ContentId {
    ContentId::of(b"wanted")
}

#[test]
fn one_alone_gets_what_he_asks_for() {
    let spread = Spread::default();
    let mut fetch = spread.begin(content());
    assert_eq!(
        fetch.choose(&[run(7, 2), run(1, 1)], &[run(0, 1), run(2, 5)]),
        [run(7, 2), run(1, 1)]
    );
    let mut next = spread.begin(content());
    assert_eq!(next.choose(&[run(2, 3)], &[run(5, 2)]), [run(2, 3)]);
}

#[test]
fn those_who_ask_for_the_same_get_each_something_else() {
    let spread = Spread::default();
    let mut fetches: Vec<_> = (0..4).map(|_| spread.begin(content())).collect();
    let given: Vec<_> =
        fetches.iter_mut().map(|fetch| fetch.choose(&[run(0, 2)], &[run(2, 6)])).collect();
    assert_eq!(given, [[run(0, 2)], [run(2, 2)], [run(4, 2)], [run(6, 2)]]);
    // All were given once: the wish counts again.
    let mut late = spread.begin(content());
    assert_eq!(late.choose(&[run(5, 2)], &[run(0, 5)]), [run(5, 2)]);
}

#[test]
fn who_names_no_others_gets_what_he_asks_for_and_it_counts() {
    let spread = Spread::default();
    let mut old = spread.begin(content());
    assert_eq!(old.choose(&[run(0, 2)], &[]), [run(0, 2)]);
    let mut again = spread.begin(content());
    assert_eq!(again.choose(&[run(0, 2)], &[]), [run(0, 2)]);
    let mut new = spread.begin(content());
    assert_eq!(new.choose(&[run(0, 2)], &[run(8, 1), run(1, 1)]), [run(8, 1), run(0, 1)]);
}

#[test]
fn what_was_not_given_does_not_count() {
    let spread = Spread::default();
    let _stays = spread.begin(content());
    let mut broken = spread.begin(content());
    broken.choose(&[run(0, 4)], &[]);
    broken.gave_piece();
    drop(broken);
    let mut next = spread.begin(content());
    assert_eq!(next.choose(&[run(0, 3)], &[run(3, 1)]), [run(1, 3)]);
}

#[test]
fn nothing_is_kept_of_what_nobody_fetches() {
    let spread = Spread::default();
    let [mut one, mut other] = [spread.begin(content()), spread.begin(content())];
    one.choose(&[run(0, 4)], &[]);
    other.choose(&[run(2, 4)], &[]);
    drop(one);
    assert_eq!(spread.len(), 1);
    drop(other);
    assert!(spread.is_empty());
}

#[test]
fn hostile_wishes_are_bounded() {
    let spread = Spread::default();
    let mut fetch = spread.begin(content());
    let endless = [run(0, u32::MAX), run(5, u32::MAX)];
    assert_eq!(fetch.choose(&endless, &endless), endless);
    assert_eq!(pieces(&fetch.choose(&[run(3, 1)], &endless)), [3]);
    assert_eq!(pieces(&fetch.choose(&[run(3, 1), run(3, 1)], &[run(3, 1)])), [3]);
    assert!(fetch.due.len() < 10 && spread.contents()[&content()].counts.len() < 10);
}

#[test]
fn wishes_that_no_content_can_fulfil_are_left_to_the_source() {
    let spread = Spread::default();
    let mut fetch = spread.begin(content());
    // Changed to no runs at all, these would mean the whole content.
    for wish in [vec![run(0, 0)], vec![run(0, 0), run(3, 1)], vec![]] {
        assert_eq!(fetch.choose(&wish, &[]), wish);
    }
    assert_eq!(fetch.choose(&[run(0, 0)], &[run(1, 1)]), [run(0, 0)]);
    assert!(fetch.choose(&[], &[run(1, 1)]).is_empty());
}

#[tokio::test]
async fn the_stream_says_what_was_chosen_when_the_slot_is_there() {
    let data: Bytes = vec![7; 4 * PIECE_LEN as usize].into();
    let source = MemorySource::new();
    let id = source.insert(data).id();
    let source: Arc<dyn PieceSource> = Arc::new(source);
    let slots = UploadSlots::new(NonZeroUsize::MIN, 8);
    let spread = Spread::default();
    let fetch = |user: &str| {
        let wish = (vec![run(0, 1)], vec![run(1, 3)]);
        spread.serve(&slots, user.parse().unwrap(), source.clone(), id, wish).unwrap()
    };
    let [mut first, mut second] = [fetch("a"), fetch("b")];
    let chosen = |event| match event {
        Some(Ok(FetchEvent::Chosen { runs })) => pieces(&runs),
        other => panic!("{other:?}"),
    };
    assert_eq!(chosen(first.next().await), [0]);
    let queued = second.next().await.unwrap().unwrap();
    assert_eq!(queued, FetchEvent::Queued { position: 1 });
    assert!(second.next().now_or_never().is_none());
    let segments: Vec<_> = first.collect().await;
    assert!(!segments.is_empty());
    // What it gives was chosen only now.
    assert_eq!(chosen(second.next().await), [1]);
    drop(second);
    assert!(spread.is_empty());
}

/// A source with a queue of its own, which then gives these.
struct Queueing(Vec<Result<FetchEvent, TransferError>>);

#[async_trait]
impl PieceSource for Queueing {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        Err(TransferError::NotFound(*content))
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        Err(TransferError::NotFound(*content))
    }

    async fn fetch(&self, _: &ContentId, _: &[PieceRun]) -> Result<SegmentStream, TransferError> {
        let queue = [2, 1].map(|position| Ok(FetchEvent::Queued { position }));
        Ok(stream::iter(queue.into_iter().chain(self.0.clone())).boxed())
    }
}

#[tokio::test]
async fn what_was_chosen_comes_after_the_places_in_the_queue_of_the_source() {
    let segment = || Ok(FetchEvent::Segment(Segment { offset: 0, data: Bytes::from_static(b"x") }));
    let what = |event: &Result<FetchEvent, TransferError>| match event {
        Ok(FetchEvent::Queued { .. }) => "queued",
        Ok(FetchEvent::Chosen { .. }) => "chosen",
        Ok(FetchEvent::Segment(_)) => "segment",
        Err(_) => "error",
    };
    let rests: [(Vec<_>, &[&str]); 4] = [
        (vec![segment(), segment()], &["chosen", "segment", "segment"]),
        (vec![segment(), Err(TransferError::Changed)], &["chosen", "segment", "error"]),
        (vec![Err(TransferError::Changed)], &["chosen", "error"]),
        (vec![], &["chosen"]),
    ];
    for (rest, told) in rests {
        for others in [vec![run(1, 3)], vec![]] {
            let chooses = !others.is_empty();
            let told = told.iter().filter(|told| **told != "chosen" || chooses);
            let slots = UploadSlots::new(NonZeroUsize::MIN, 8);
            let source = Arc::new(Queueing(rest.clone()));
            let wish = (vec![run(0, 1)], others);
            let user = "a".parse().unwrap();
            let stream = Spread::default().serve(&slots, user, source, content(), wish).unwrap();
            let events: Vec<_> = stream.map(|event| what(&event)).collect().await;
            assert!(events.iter().eq(["queued", "queued"].iter().chain(told)), "{events:?}");
        }
    }
}

proptest! {
    /// Always as many different pieces as were asked for, out of those that were named, and none that was given more often
    /// than one that is left.
    #[test]
    fn the_least_given_are_chosen(
        wishes in vec((vec((0_u32..40, 1_u32..5), 1..4), vec((0_u32..40, 1_u32..9), 0..6)), 1..30),
    ) {
        let runs = |all: &[(u32, u32)]| -> Vec<PieceRun> {
            all.iter().map(|(start, count)| run(*start, *count)).collect()
        };
        let spread = Spread::default();
        let mut fetches = Vec::new();
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for (asked, others) in wishes {
            let (mut asked, others) = (pieces(&runs(&asked)), runs(&others));
            asked.sort_unstable();
            asked.dedup();
            let asked_runs = PieceRun::join(asked.iter().copied().map(PieceIndex));
            let mut fetch = spread.begin(content());
            let chosen = pieces(&fetch.choose(&asked_runs, &others));
            fetches.push(fetch);
            let named: std::collections::BTreeSet<u32> =
                asked.iter().copied().chain(pieces(&others)).collect();
            let different: std::collections::BTreeSet<u32> = chosen.iter().copied().collect();
            prop_assert_eq!(chosen.len(), asked.len());
            prop_assert_eq!(different.len(), asked.len());
            prop_assert!(different.is_subset(&named));
            let count = |piece: &u32| counts.get(piece).copied().unwrap_or(0);
            let most = different.iter().map(count).max();
            let left = named.difference(&different).map(count).min();
            prop_assert!(left.is_none() || most <= left || others.is_empty());
            for piece in chosen {
                *counts.entry(piece).or_default() += 1;
            }
        }
        drop(fetches);
        prop_assert!(spread.is_empty());
    }
}
