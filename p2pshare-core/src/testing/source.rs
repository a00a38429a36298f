//! The laws of [`PieceSource`], for whole contents.
//!
//! `make` is an async function that gives a source of the contents it is given. A test file is one line,
//! `source_conformance!(make)`, or calls [`source_conformance`] in a test of its own.

use std::{any::Any, collections::BTreeSet, pin::pin, sync::Arc};

use bytes::Bytes;
use futures::{StreamExt, future::join_all, stream};

use super::{SIZES, sample};
use crate::{
    content::{ContentId, Layout, PIECE_LEN, PieceIndex, PieceRun, hash_bytes},
    transfer::{
        FetchEvent, HaveUpdate, ManyEvent, PieceAssembler, PieceSource, SegmentStream,
        SmallContent, TransferError, receive_many,
    },
};

/// A source under test.
pub struct SourceFixture {
    /// The source.
    pub source: Arc<dyn PieceSource>,
    /// What must live as long as it does, such as its folder.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// Declares a test for each law of a source of whole contents; takes the name of the function that makes one.
#[macro_export]
macro_rules! source_conformance {
    ($make:path) => {
        $crate::source_conformance!(@laws $make:
            manifests_are_right,
            whole_contents_are_had,
            whole_contents_are_fetched,
            runs_come_in_the_order_asked,
            a_choice_is_out_of_what_was_named,
            unknown_contents_are_not_found,
            runs_outside_are_refused,
            a_dropped_fetch_harms_no_other,
            fetches_run_side_by_side,
            small_contents_come_together);
    };
    (@laws $make:path: $($law:ident),*) => {
        $(#[tokio::test]
        async fn $law() {
            $crate::testing::source::$law(&$make).await;
        })*
    };
}

/// All laws, one after the other.
pub async fn source_conformance(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    manifests_are_right(make).await;
    whole_contents_are_had(make).await;
    whole_contents_are_fetched(make).await;
    runs_come_in_the_order_asked(make).await;
    a_choice_is_out_of_what_was_named(make).await;
    unknown_contents_are_not_found(make).await;
    runs_outside_are_refused(make).await;
    a_dropped_fetch_harms_no_other(make).await;
    fetches_run_side_by_side(make).await;
    small_contents_come_together(make).await;
}

/// A manifest is that of the content, its length included.
pub async fn manifests_are_right(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let contents = samples();
    let fixture = make(contents.clone()).await;
    for content in contents {
        let expected = hash_bytes(&content);
        let manifest = fixture.source.manifest(&expected.id()).await;
        let manifest = manifest.expect("a source has the manifest of its content");
        assert_eq!(manifest, expected);
        assert_eq!(manifest.chaining_values(), expected.chaining_values());
        assert_eq!(manifest.tail(), expected.tail());
    }
}

/// A whole content is announced in one update that completes it.
pub async fn whole_contents_are_had(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let contents = samples();
    let fixture = make(contents.clone()).await;
    for content in contents {
        let have = fixture.source.have(&ContentId::of(&content)).await;
        let mut have = have.expect("a source says what it has of its content");
        let update = have.next().await.expect("the first update always comes");
        let whole = HaveUpdate { gained: vec![layout(&content).all()], complete: true };
        assert_eq!(update.expect("nothing fails"), whole);
        assert!(have.next().await.is_none(), "an update after the last");
    }
}

/// A fetch without runs gives every byte once, in segments that are not empty and stay inside their pieces, and ends.
pub async fn whole_contents_are_fetched(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let contents = samples();
    let fixture = make(contents.clone()).await;
    for content in contents {
        let got = fetch(&*fixture.source, &content, &[]).await;
        assert!(got == content, "a content of {} bytes", content.len());
    }
}

/// Runs come in the order asked, whatever that is.
pub async fn runs_come_in_the_order_asked(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let content = sample(6 * PIECE_LEN + 17, 1);
    let fixture = make(vec![content.clone()]).await;
    let runs = [run(5, 2), run(0, 1), run(2, 2)];
    let got = fetch(&*fixture.source, &content, &runs).await;
    let piece = |start: u64, end: u64| {
        let index = |piece: u64| usize::try_from(piece * PIECE_LEN).expect("a small content");
        content.slice(index(start)..index(end).min(content.len()))
    };
    let expected = [piece(5, 7), piece(0, 1), piece(2, 4)].concat();
    assert!(got == expected);
}

/// Of what is left to it a source gives as many pieces as were asked for, each once, out of those that were named. It says
/// which before the first byte and after the last place in its queue, or gives what was asked for.
pub async fn a_choice_is_out_of_what_was_named(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let content = sample(6 * PIECE_LEN + 17, 1);
    let fixture = make(vec![content.clone()]).await;
    let (asked, others) = ([run(5, 2), run(0, 1)], [run(1, 2), run(4, 1)]);
    // Those who ask at the same time may each get something else.
    let fetches = (0..4).map(|_| check_choice(&*fixture.source, &content, &asked, &others));
    join_all(fetches).await;
    let stream = fixture.source.fetch_any(&ContentId::of(&content), &asked, &[]).await;
    let stream = stream.expect("a source serves its content");
    let pieces = collect(layout(&content), &asked, stream).await;
    assert_eq!(pieces.expect("an honest fetch").len(), 3);
}

/// What the source does not have is not found.
pub async fn unknown_contents_are_not_found(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let SourceFixture { source, keep: _keep } = make(vec![sample(5, 1)]).await;
    let unknown = ContentId::of(b"unknown");
    let not_found = |error: Option<TransferError>| {
        let found = matches!(&error, Some(TransferError::NotFound(id)) if *id == unknown);
        assert!(found, "{error:?}");
    };
    not_found(source.manifest(&unknown).await.err());
    not_found(match source.have(&unknown).await {
        Ok(mut have) => have.next().await.and_then(Result::err),
        Err(error) => Some(error),
    });
    not_found(fetch_error(&*source, &unknown, &[]).await);
}

/// Runs that the content does not have, or more than it has, break the protocol.
pub async fn runs_outside_are_refused(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let content = sample(3 * PIECE_LEN, 1);
    let fixture = make(vec![content.clone()]).await;
    let id = ContentId::of(&content);
    let hostile: [&[PieceRun]; 5] = [
        &[run(3, 1)],
        &[run(0, 4)],
        &[run(1, 0)],
        &[run(u32::MAX, u32::MAX)],
        &[run(0, 3), run(1, 1)],
    ];
    for runs in hostile {
        let error = fetch_error(&*fixture.source, &id, runs).await;
        assert!(matches!(error, Some(TransferError::Protocol(_))), "{runs:?}: {error:?}");
    }
}

/// Dropping fetches in the middle frees what they held: the source goes on serving, however often that happens.
pub async fn a_dropped_fetch_harms_no_other(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let content = sample(4 * PIECE_LEN, 1);
    let fixture = make(vec![content.clone()]).await;
    let id = ContentId::of(&content);
    for _ in 0..50 {
        let stream = fixture.source.fetch(&id, &[]).await;
        let mut stream = stream.expect("a source serves its content");
        let first = stream.next().await.expect("there are bytes");
        first.expect("nothing fails");
    }
    assert!(fetch(&*fixture.source, &content, &[]).await == content);
}

/// Several fetches at once do not disturb each other.
pub async fn fetches_run_side_by_side(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let contents = [sample(3 * PIECE_LEN, 1), sample(2 * PIECE_LEN + 5, 2)];
    let fixture = make(contents.to_vec()).await;
    let fetches = (0..6).map(|number| {
        let content = &contents[number % 2];
        let fixture = &fixture;
        async move { fetch(&*fixture.source, content, &[]).await == *content }
    });
    let right = join_all(fetches).await;
    assert!(right.into_iter().all(|right| right));
}

/// A source that gives several small contents in one call gives each that it has, in the order asked, and leaves the others
/// out: those that it does not have, and those of another length.
pub async fn small_contents_come_together(make: &impl AsyncFn(Vec<Bytes>) -> SourceFixture) {
    let lengths = [1, 1024, 1025, PIECE_LEN - 1, PIECE_LEN, 300_000, 7];
    let contents: Vec<_> = (1..).zip(lengths).map(|(seed, len)| sample(len, seed)).collect();
    let SourceFixture { source, keep: _keep } = make(contents.clone()).await;
    let mut wanted: Vec<_> = contents.iter().map(small).collect();
    // A content that nobody has, another length, the same one again, and one that is asked for at last.
    wanted.insert(2, small(&Bytes::from_static(b"unknown")));
    wanted.insert(4, SmallContent { len: 1026, ..small(&contents[2]) });
    wanted.insert(5, small(&contents[0]));
    let left_out = [2, 4];
    let stream = match source.fetch_many(&wanted).await {
        // Nobody has to.
        Err(TransferError::Unsupported) => return,
        stream => stream.expect("a source gives its contents"),
    };
    let mut arrivals = pin!(receive_many(stream, wanted.clone()));
    let mut came = Vec::new();
    while let Some(event) = arrivals.next().await {
        match event {
            // A wrapper learns of it with the answer.
            Err(TransferError::Unsupported) if came.is_empty() => return,
            event => match event.expect("nothing fails") {
                ManyEvent::Queued(place) => assert!(place > 0 && came.is_empty()),
                ManyEvent::Content(arrival) => {
                    assert_eq!(arrival.manifest.id(), wanted[arrival.number].content);
                    came.push(arrival.number);
                }
            },
        }
    }
    let expected: Vec<_> = (0..wanted.len()).filter(|one| !left_out.contains(one)).collect();
    assert_eq!(came, expected);
    for len in [0, PIECE_LEN + 1, u64::MAX] {
        let wrong = SmallContent { len, ..wanted[0] };
        let error = match source.fetch_many(&[wanted[1], wrong]).await {
            Ok(mut stream) => stream.next().await.and_then(Result::err),
            Err(error) => Some(error),
        };
        assert!(matches!(error, Some(TransferError::Protocol(_))), "{len}: {error:?}");
    }
}

fn small(content: &Bytes) -> SmallContent {
    SmallContent { content: ContentId::of(content), len: content.len() as u64 }
}

/// All bytes of a fetch, through a [`PieceAssembler`]; pieces in the order in which they came.
///
/// # Errors
///
/// The first of the stream, and [`TransferError::Protocol`] when it is not what was asked.
pub async fn collect(
    layout: Layout,
    runs: &[PieceRun],
    mut stream: SegmentStream,
) -> Result<Vec<(PieceIndex, Vec<Bytes>)>, TransferError> {
    let mut assembler = PieceAssembler::new(layout, runs)?;
    let mut pieces = Vec::new();
    let mut begun = false;
    while let Some(event) = stream.next().await {
        match event? {
            FetchEvent::Queued { position } => {
                assert!(!begun, "queued after the first segment");
                assert!(position > 0, "place 0 in the queue");
            }
            FetchEvent::Chosen { .. } => panic!("the source chose what it was not left"),
            FetchEvent::Segment(segment) => {
                begun = true;
                pieces.extend(assembler.push(segment)?);
            }
        }
    }
    assembler.finish()?;
    Ok(pieces)
}

/// The bytes of a fetch that must succeed.
pub(super) async fn fetch(source: &dyn PieceSource, content: &Bytes, runs: &[PieceRun]) -> Bytes {
    let stream = source.fetch(&ContentId::of(content), runs).await;
    let stream = stream.expect("a source serves its content");
    let pieces = collect(layout(content), runs, stream).await;
    let slices = pieces.expect("an honest fetch").into_iter();
    slices.flat_map(|(_, data)| data).collect::<Vec<_>>().concat().into()
}

/// The error of a fetch that must fail, and ends with it.
pub(super) async fn fetch_error(
    source: &dyn PieceSource,
    content: &ContentId,
    runs: &[PieceRun],
) -> Option<TransferError> {
    let mut stream = match source.fetch(content, runs).await {
        Ok(stream) => stream,
        Err(error) => return Some(error),
    };
    let error = stream.next().await?.err()?;
    assert!(stream.next().await.is_none(), "the stream goes on after an error");
    Some(error)
}

/// Fetches with others named, and checks what is said to be chosen and what comes.
async fn check_choice(
    source: &dyn PieceSource,
    content: &Bytes,
    asked: &[PieceRun],
    others: &[PieceRun],
) {
    let stream = source.fetch_any(&ContentId::of(content), asked, others).await;
    let mut stream = stream.expect("a source serves its content");
    let (mut chosen, mut segments) = (None, Vec::new());
    while let Some(event) = stream.next().await {
        match event.expect("nothing fails") {
            FetchEvent::Queued { .. } => {
                assert!(chosen.is_none() && segments.is_empty(), "queued after it had chosen");
            }
            FetchEvent::Chosen { runs } => {
                assert!(segments.is_empty(), "chosen after the first segment");
                assert!(chosen.replace(runs).is_none(), "chosen twice");
            }
            FetchEvent::Segment(segment) => segments.push(Ok(FetchEvent::Segment(segment))),
        }
    }
    let gives = chosen.unwrap_or_else(|| asked.to_vec());
    let pieces = |runs: &[PieceRun]| -> Vec<_> { runs.iter().flat_map(PieceRun::iter).collect() };
    let (given, asked) = (pieces(&gives), pieces(asked));
    let named: BTreeSet<_> = asked.iter().copied().chain(pieces(others)).collect();
    let different: BTreeSet<_> = given.iter().copied().collect();
    assert_eq!(given.len(), asked.len(), "more or fewer than were asked for: {gives:?}");
    assert_eq!(different.len(), given.len(), "a piece twice: {gives:?}");
    assert!(different.is_subset(&named), "a piece that was not named: {gives:?}");
    let layout = layout(content);
    let came = collect(layout, &gives, stream::iter(segments).boxed()).await;
    for (piece, data) in came.expect("what was chosen comes") {
        let start = usize::try_from(layout.piece_offset(piece)).expect("a small content");
        assert!(data.concat() == content[start..start + layout.piece_len(piece)], "{piece}");
    }
}

pub(super) fn layout(content: &Bytes) -> Layout {
    Layout::new(content.len() as u64).expect("a content in memory is short enough")
}

pub(super) fn run(start: u32, count: u32) -> PieceRun {
    PieceRun::new(PieceIndex(start), count)
}

fn samples() -> Vec<Bytes> {
    SIZES.iter().map(|len| sample(*len, *len)).collect()
}
