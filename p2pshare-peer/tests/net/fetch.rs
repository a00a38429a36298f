//! Manifests, have-sets and bytes from one peer to another.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use p2pshare_core::content::{ContentId, PieceIndex, PieceRun, hash_bytes};
use p2pshare_core::transfer::{
    AccessDenied, FetchEvent, HaveUpdate, MemorySource, PieceSource, TransferError,
};

use crate::support::{
    Failing, Grants, Guard, Hanging, PIECE, Setup, bytes, segments, source_of, until, whole, within,
};

fn run(start: u32, count: u32) -> PieceRun {
    PieceRun::new(PieceIndex(start), count)
}

async fn everything_arrives(setup: Setup, memory: &MemorySource, tls: bool) {
    let server = setup.start().await;
    let peer = if tls { server.tls() } else { server.plain() };
    let remote = source_of(&peer, "anna");
    for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 77] {
        let data = bytes(len);
        let manifest = memory.insert(data.clone());
        let id = manifest.id();
        let received = within(remote.manifest(&id)).await.unwrap();
        assert_eq!(received, manifest);
        assert_eq!(received.chaining_values(), manifest.chaining_values());
        let have: Vec<_> =
            within(within(remote.have(&id)).await.unwrap().collect::<Vec<_>>()).await;
        let all = vec![manifest.layout().all()];
        let complete = HaveUpdate { gained: all, complete: true };
        assert_eq!(have.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [complete]);
        assert!(whole(&remote, &id).await.unwrap() == data, "{len} bytes");
    }
}

#[tokio::test]
async fn everything_arrives_in_plain_text() {
    let memory = MemorySource::new();
    everything_arrives(Setup::plain(&memory), &memory, false).await;
}

#[tokio::test]
async fn everything_arrives_over_tls() {
    let memory = MemorySource::new();
    everything_arrives(Setup::tls(&memory), &memory, true).await;
}

#[tokio::test]
async fn runs_come_in_the_order_asked() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(4 * PIECE)).id();
    let server = Setup::plain(&memory).start().await;
    let remote = source_of(&server.plain(), "anna");
    let stream = remote.fetch(&id, &[run(2, 2), run(0, 1)]).await.unwrap();
    let got = segments(stream).await.unwrap();
    let mut pieces: Vec<_> = got.iter().map(|segment| segment.offset / PIECE as u64).collect();
    pieces.dedup();
    assert_eq!(pieces, [2, 3, 0]);
}

#[tokio::test]
async fn more_runs_than_fit_into_a_message_are_fetched() {
    const PIECES: u32 = 9000;
    let memory = MemorySource::new();
    // Every second piece of a content; the bytes are not looked at here.
    let data = Bytes::from(vec![0; PIECES as usize * PIECE / 16]);
    let small = hash_bytes(&data);
    let pieces = small.layout().piece_count();
    memory.insert_empty(small.clone());
    for piece in (0..pieces).step_by(2) {
        assert!(memory.gain(&small.id(), &data, run(piece, 1)));
    }
    let server = Setup::plain(&memory).start().await;
    let remote = source_of(&server.plain(), "anna");
    let mut have = remote.have(&small.id()).await.unwrap();
    let update = within(have.next()).await.unwrap().unwrap();
    assert_eq!(update.gained.len(), (pieces as usize).div_ceil(2));
    // The same piece again and again makes a long list of runs without much data.
    let runs = vec![run(pieces - 1 - (pieces - 1) % 2, 1); 5000];
    let stream = remote.fetch(&small.id(), &runs[..1]).await.unwrap();
    assert!(!segments(stream).await.unwrap().is_empty());
}

#[tokio::test]
async fn pieces_gained_later_are_told() {
    let memory = MemorySource::new();
    let data = bytes(3 * PIECE);
    let manifest = hash_bytes(&data);
    let id = manifest.id();
    memory.insert_empty(manifest);
    memory.gain(&id, &data, run(1, 1));
    let server = Setup::plain(&memory).start().await;
    let remote = source_of(&server.plain(), "anna");
    let mut have = remote.have(&id).await.unwrap();
    let first = within(have.next()).await.unwrap().unwrap();
    assert_eq!(first, HaveUpdate { gained: vec![run(1, 1)], complete: false });
    let missing = segments(remote.fetch(&id, &[run(0, 1)]).await.unwrap()).await;
    assert!(matches!(missing, Err(TransferError::NotHeld(PieceIndex(0)))));
    memory.gain(&id, &data, run(0, 1));
    memory.gain(&id, &data, run(2, 1));
    let mut complete = false;
    while let Some(update) = within(have.next()).await {
        complete = update.unwrap().complete;
    }
    assert!(complete);
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
    assert!(remote.peer().check_health().now_or_never().is_none());
    within(remote.peer().check_health()).await.unwrap();
}
