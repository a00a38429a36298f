//! Manifests, have-sets and bytes from one peer to another.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use p2pshare_core::content::{ContentId, Manifest, PieceIndex, PieceRun};
use p2pshare_core::transfer::{
    AccessDenied, FetchEvent, HaveStream, HaveUpdate, MemorySource, PieceSource, Segment,
    SegmentStream, TransferError,
};

use crate::support::{
    Failing, Grants, Guard, Hanging, PIECE, Setup, bytes, segments, source_of, until, whole, within,
};

fn run(start: u32, count: u32) -> PieceRun {
    PieceRun::new(PieceIndex(start), count)
}

#[tokio::test]
async fn more_runs_than_fit_into_a_message_are_told_and_fetched() {
    let mut setup = Setup::plain(&MemorySource::new());
    setup.source = Arc::new(Scattered);
    let server = setup.start().await;
    let remote = source_of(&server.plain(), "anna");
    let id = ContentId::of(b"");
    let have = within(remote.have(&id)).await.unwrap();
    let updates: Vec<_> = within(have.map(Result::unwrap).collect()).await;
    let gained = Scattered::runs();
    let complete = true;
    assert_eq!(updates, [HaveUpdate { gained, complete }]);
    let stream = remote.fetch(&id, &Scattered::runs()).await.unwrap();
    let got = segments(stream).await.unwrap();
    let offsets = got.iter().map(|segment| segment.offset);
    let expected = Scattered::runs();
    let expected = expected.iter().map(|run| u64::from(run.start.0));
    assert!(offsets.eq(expected));
}

/// Has many runs, and gives a single byte for each.
struct Scattered;

impl Scattered {
    fn runs() -> Vec<PieceRun> {
        (0..10_000).map(|number| run(2 * number, 1)).collect()
    }
}

#[async_trait]
impl PieceSource for Scattered {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        Err(TransferError::NotFound(*content))
    }

    async fn have(&self, _content: &ContentId) -> Result<HaveStream, TransferError> {
        let gained = Self::runs();
        let complete = true;
        Ok(stream::iter([Ok(HaveUpdate { gained, complete })]).boxed())
    }

    async fn fetch(
        &self,
        _content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        let segment = |run: &PieceRun| {
            let offset = u64::from(run.start.0);
            let data = Bytes::from_static(b"x");
            Ok(FetchEvent::Segment(Segment { offset, data }))
        };
        let segments: Vec<_> = runs.iter().map(segment).collect();
        Ok(stream::iter(segments).boxed())
    }
}

#[tokio::test]
async fn errors_arrive_as_they_were() {
    let errors = [
        TransferError::Changed,
        TransferError::NotHeld(PieceIndex(7)),
        TransferError::Refused("no".to_owned()),
        TransferError::Unavailable("busy".to_owned()),
    ];
    for error in errors {
        let mut setup = Setup::plain(&MemorySource::new());
        setup.source = Arc::new(Failing(error.clone()));
        let server = setup.start().await;
        let remote = source_of(&server.plain(), "anna");
        let id = ContentId::of(b"");
        let expected = format!("{error:?}");
        let manifest = within(remote.manifest(&id)).await.unwrap_err();
        let have = within(remote.have(&id)).await.err().unwrap();
        let fetch = whole(&remote, &id).await.unwrap_err();
        for got in [manifest, have, fetch] {
            assert_eq!(format!("{got:?}"), expected);
        }
    }
}

#[tokio::test]
async fn an_unknown_content_is_not_found_and_a_bad_run_is_a_fault() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(10)).id();
    let server = Setup::plain(&memory).start().await;
    let remote = source_of(&server.plain(), "anna");
    let unknown = ContentId::of(b"unknown");
    let error = whole(&remote, &unknown).await.unwrap_err();
    assert!(matches!(error, TransferError::NotFound(id) if id == unknown));
    for bad in [run(1, 1), run(0, 0), run(u32::MAX, u32::MAX)] {
        let stream = remote.fetch(&id, &[bad]).await.unwrap();
        assert!(matches!(segments(stream).await, Err(TransferError::Protocol(_))));
    }
}

#[tokio::test]
async fn who_is_not_let_in_gets_a_refusal_and_nothing_else() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(10)).id();
    let server = Setup::plain(&memory).start().await;
    let remote = server.plain().source(Grants::these(&["forged"]));
    let error = within(remote.manifest(&id)).await.unwrap_err();
    assert!(matches!(&error, TransferError::Refused(text) if text == "the grant is not valid"));
    // A content that is not there is refused in the same words.
    let error = within(remote.manifest(&ContentId::of(b"unknown"))).await.unwrap_err();
    assert!(matches!(&error, TransferError::Refused(text) if text == "the grant is not valid"));
    *server.guard.denial.lock().unwrap() = Some(AccessDenied::Forbidden("not this".to_owned()));
    let remote = source_of(&server.plain(), "anna");
    let error = whole(&remote, &id).await.unwrap_err();
    assert!(matches!(&error, TransferError::Refused(text) if text == "not this"));
    assert!(within(remote.have(&id)).await.is_err());
}

#[tokio::test]
async fn a_grant_that_ran_out_is_renewed_once() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(10)).id();
    let server = Setup::plain(&memory).start().await;
    let valid = format!("{}anna", Guard::GRANT);
    let remote = server.plain().source(Grants::these(&["expired", &valid]));
    assert_eq!(whole(&remote, &id).await.unwrap(), bytes(10));
    let shown: Vec<_> = {
        let seen = server.guard.seen.lock().unwrap();
        seen.iter().map(|seen| seen.credential.clone().unwrap()).collect()
    };
    assert_eq!(shown, ["expired".to_owned(), valid]);
}

#[tokio::test]
async fn waiting_for_a_slot_tells_the_place_and_ends_when_it_is_free() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(PIECE)).id();
    let mut setup = Setup::plain(&memory);
    setup.slots = 1;
    setup.source = Arc::new(Hanging(memory));
    let server = setup.start().await;
    let remote = source_of(&server.plain(), "anna");
    let mut first = remote.fetch(&id, &[]).await.unwrap();
    assert!(matches!(within(first.next()).await, Some(Ok(FetchEvent::Segment(_)))));
    let mut second = remote.fetch(&id, &[]).await.unwrap();
    let mut place = async || match within(second.next()).await {
        Some(Ok(FetchEvent::Queued { position })) => Some(position),
        Some(Ok(FetchEvent::Segment(_))) => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(place().await, Some(1));
    // The one who leaves frees its slot at once.
    drop(first);
    assert_eq!(place().await, None);
    drop(second);
    until(|| server.slots.usage() == (0, 0)).await;
}

#[tokio::test]
async fn who_leaves_a_choice_gets_what_others_were_not_given() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(4 * PIECE)).id();
    let mut setup = Setup::plain(&memory);
    setup.source = Arc::new(Hanging(memory));
    let server = setup.start().await;
    let peer = server.plain();
    let fetch = async |user: &str, others: &[PieceRun]| {
        let stream = source_of(&peer, user).fetch_any(&id, &[run(0, 1)], others).await;
        within(stream.unwrap().take(2).map(Result::unwrap).boxed().into_future()).await
    };
    let segment_of = |event: Option<FetchEvent>, piece: u32| {
        let start = u64::from(piece) * PIECE as u64;
        assert!(
            matches!(event, Some(FetchEvent::Segment(Segment { offset, .. })) if offset == start)
        );
    };
    // Who leaves no choice hears of none.
    let (first, _open) = fetch("dora", &[]).await;
    segment_of(first, 0);
    let others = [run(1, 1), run(3, 1)];
    let mut open = Vec::new();
    for (user, piece) in [("anna", 1), ("bert", 3), ("carl", 0)] {
        let (event, mut stream) = fetch(user, &others).await;
        assert_eq!(event, Some(FetchEvent::Chosen { runs: vec![run(piece, 1)] }), "{user}");
        segment_of(within(stream.next()).await, piece);
        open.push(stream);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_makes_the_source_unavailable_and_is_made_anew() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(PIECE)).id();
    let mut setup = Setup::plain(&memory);
    setup.source = Arc::new(Hanging(memory.clone()));
    let server = setup.start().await;
    let peer = server.plain();
    let remote = source_of(&peer, "anna");
    let mut stream = remote.fetch(&id, &[]).await.unwrap();
    within(stream.next()).await.unwrap().unwrap();
    server.task.abort();
    let error = loop {
        match within(stream.next()).await.expect("an error comes before the end") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TransferError::Unavailable(_)), "{error:?}");
    assert!(within(stream.next()).await.is_none());
    assert!(matches!(within(remote.manifest(&id)).await, Err(TransferError::Unavailable(_))));
    let other = Setup::plain(&memory).start().await;
    peer.set_addrs(vec![server.peer_addr(), other.peer_addr()]);
    assert_eq!(whole(&remote, &id).await.unwrap(), bytes(PIECE));
}

#[tokio::test]
async fn fetches_share_two_connections() {
    let memory = MemorySource::new();
    let ids: Vec<_> = (1..50).map(|len| memory.insert(bytes(len)).id()).collect();
    let mut setup = Setup::tls(&memory);
    setup.limits.connections_per_address = 2;
    let server = setup.start().await;
    let remote = source_of(&server.tls(), "anna");
    let fetches = ids.iter().map(async |id| {
        within(remote.manifest(id)).await.unwrap();
        whole(&remote, id).await.unwrap()
    });
    let all = futures::future::join_all(fetches).await;
    assert!(all.iter().zip(1..).all(|(data, len)| *data == bytes(len)));
    within(remote.peer().check_health()).await.unwrap();
}

#[tokio::test]
async fn fetches_that_nobody_reads_yet_do_not_hold_up_one_that_is_read() {
    let memory = MemorySource::new();
    // More than the window of a stream.
    let data = bytes(12 * PIECE);
    let id = memory.insert(data.clone()).id();
    let server = Setup { slots: 9, ..Setup::plain(&memory) }.start().await;
    let remote = source_of(&server.plain(), "anna");
    let mut unread = Vec::new();
    for _ in 0..8 {
        let mut stream = remote.fetch(&id, &[]).await.unwrap();
        within(stream.next()).await.unwrap().unwrap();
        unread.push(stream);
    }
    let got = within(whole(&remote, &id)).await.unwrap();
    assert!(got[..] == data[..]);
}
