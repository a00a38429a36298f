//! The server itself: limits, time limits, shutdown.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use p2pshare_core::transfer::{MemorySource, PieceSource, TransferError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Hanging, PIECE, Server, Setup, bytes, segments, source_of, until, within};

const SHORT: Duration = Duration::from_millis(100);

/// Reads until the server closes; an error is a way to close, too.
async fn closed(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    while within(stream.read(&mut buffer)).await.is_ok_and(|len| len > 0) {}
}

/// A connection that is refused at once; the reset may come before connecting has ended.
async fn refused(server: &Server) {
    if let Ok(mut stream) = TcpStream::connect(server.addr).await {
        closed(&mut stream).await;
    }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.addr).await.unwrap()
}

#[tokio::test]
async fn who_says_nothing_is_cut_off() {
    let memory = MemorySource::new();
    for mut setup in [Setup::plain(&memory), Setup::tls(&memory)] {
        setup.limits.handshake_timeout = SHORT;
        let server = setup.start().await;
        closed(&mut connect(&server).await).await;
        // A few bytes do not help.
        let mut slow = connect(&server).await;
        slow.write_all(b"PRI * HT").await.unwrap();
        closed(&mut slow).await;
    }
}

#[tokio::test]
async fn who_does_not_speak_http2_is_cut_off_at_once() {
    let server = Setup::plain(&MemorySource::new()).start().await;
    let mut stream = connect(&server).await;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: peer\r\n\r\n").await.unwrap();
    closed(&mut stream).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_made_anew() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(1)).id();
    let mut setup = Setup::plain(&memory);
    // Longer than a client may take from connecting to asking.
    setup.limits.idle_timeout = Duration::from_secs(2);
    setup.limits.shutdown_grace = SHORT;
    let server = setup.start().await;
    let mut idle = connect(&server).await;
    idle.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let remote = source_of(&server.plain(), "anna");
    within(remote.manifest(&id)).await.unwrap();
    closed(&mut idle).await;
    within(remote.manifest(&id)).await.unwrap();
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let mut setup = Setup::plain(&MemorySource::new());
    setup.limits.connections_per_address = 2;
    let server = setup.start().await;
    let (first, _second) = (connect(&server).await, connect(&server).await);
    refused(&server).await;
    drop(first);
    // The server notices sooner or later; then there is a place again.
    within(async {
        while server.plain().check_health().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn there_are_only_so_many_connections_in_all() {
    let mut setup = Setup::plain(&MemorySource::new());
    setup.limits.connections = 1;
    let server = setup.start().await;
    let _first = connect(&server).await;
    refused(&server).await;
}

#[tokio::test]
async fn who_reads_nothing_loses_the_slot() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(64 * PIECE)).id();
    let mut setup = Setup::plain(&memory);
    // Longer than it may take until the first bytes are here and the slot is seen to be taken.
    setup.limits.stall_timeout = Duration::from_secs(2);
    let server = setup.start().await;
    let remote = source_of(&server.plain(), "anna");
    let mut stream = remote.fetch(&id, &[]).await.unwrap();
    within(stream.next()).await.unwrap().unwrap();
    assert_eq!(server.slots.usage().0, 1);
    until(|| server.slots.usage().0 == 0).await;
    let error = segments(stream).await.unwrap_err();
    assert!(matches!(error, TransferError::Unavailable(_)), "{error:?}");
    // The connection is still good.
    within(remote.manifest(&id)).await.unwrap();
}

#[tokio::test]
async fn who_does_that_again_and_again_loses_the_connection() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(32 * PIECE)).id();
    let mut setup = Setup::plain(&memory);
    setup.limits.stall_timeout = SHORT;
    setup.limits.unread_answers = 1;
    let server = setup.start().await;
    let remote = source_of(&server.plain(), "anna");
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(remote.fetch(&id, &[]).await.unwrap());
    }
    until(|| server.slots.usage().0 == 0).await;
    for stream in streams {
        assert!(segments(stream).await.is_err());
    }
}

#[tokio::test]
async fn shutdown_lets_calls_end_and_takes_no_new_ones() {
    let memory = MemorySource::new();
    let data = bytes(48 * PIECE);
    let id = memory.insert(data.clone()).id();
    let mut setup = Setup::tls(&memory);
    // However slow the machine is: what is cut off here would be cut off for no reason.
    setup.limits.shutdown_grace = Duration::from_secs(120);
    let mut server = setup.start().await;
    let remote = source_of(&server.tls(), "anna");
    let mut stream = remote.fetch(&id, &[]).await.unwrap();
    within(stream.next()).await.unwrap().unwrap();
    server.stop.cancel();
    // The listener closes first.
    within(async {
        while TcpStream::connect(server.addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let rest = segments(stream).await.unwrap();
    let last = rest.last().unwrap();
    assert_eq!(last.offset + last.data.len() as u64, data.len() as u64);
    within(&mut server.task).await.unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_forever() {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(PIECE)).id();
    let mut setup = Setup::plain(&memory);
    setup.limits.shutdown_grace = SHORT;
    setup.source = Arc::new(Hanging(memory));
    let mut server = setup.start().await;
    let remote = source_of(&server.plain(), "anna");
    let mut stream = remote.fetch(&id, &[]).await.unwrap();
    within(stream.next()).await.unwrap().unwrap();
    server.stop.cancel();
    within(&mut server.task).await.unwrap();
    assert!(segments(stream).await.is_err());
    until(|| server.slots.usage() == (0, 0)).await;
}
