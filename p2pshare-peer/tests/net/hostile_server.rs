//! A server that does not keep to the protocol, and a client that must not fall for it.

use std::io;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use p2pshare_core::content::{ContentId, hash_bytes};
use p2pshare_core::identity::PeerKey;
use p2pshare_core::transfer::{MemorySource, PieceSource, SmallContent, TransferError};
use p2pshare_peer::net::{ClientLimits, ClientSecurity, PeerConnector, PushProposal};
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_response::Event as Answer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::script::{Script, part};
use crate::support::{Grants, PIECE, bytes, name, segments, source_of, within};

#[tokio::test]
async fn wrong_manifests_are_refused() {
    let manifest = hash_bytes(&bytes(2 * PIECE));
    let values = manifest.chaining_values().as_flattened();
    let mut forged = values.to_vec();
    forged[0] ^= 1;
    let too_long = v1::ManifestHead { length: u64::MAX, tail: Bytes::new() };
    let scripts = [
        vec![part(&manifest, &forged)],
        vec![part(&manifest, &[values, values].concat())],
        vec![part(&manifest, &values[1..])],
        // Empty parts, heads, and what is too much, without end.
        vec![part(&manifest, &[]), v1::ManifestPart::default()],
        vec![part(&manifest, &[])],
        vec![part(&manifest, values), v1::ManifestPart::default()],
        vec![v1::ManifestPart::default()],
        vec![v1::ManifestPart { head: Some(too_long), chaining_values: Bytes::new() }],
        // More than fits into a message of this kind.
        vec![part(&manifest, &vec![0; 300 << 10])],
        vec![],
    ];
    for manifest_parts in scripts {
        let script = Script { manifest: manifest_parts, ..Script::default() };
        let remote = source_of(&script.start_plain().await, "anna");
        let error = within(remote.manifest(&manifest.id())).await.unwrap_err();
        assert!(error.is_lie(), "{error:?}");
    }
}

#[tokio::test]
async fn updates_without_end_are_refused() {
    let run = v1::PieceRun { start: 0, count: 1 };
    let growing = v1::HaveUpdate { gained: vec![run; 4096], continues: true, complete: false };
    let empty = v1::HaveUpdate { continues: true, ..v1::HaveUpdate::default() };
    let long = v1::HaveUpdate { gained: vec![run; 5000], ..v1::HaveUpdate::default() };
    for update in [growing, empty, long] {
        let script = Script { have: vec![update], ..Script::default() };
        let remote = source_of(&script.start_plain().await, "anna");
        let mut have = within(remote.have(&ContentId::of(b""))).await.unwrap();
        let error = within(have.next()).await.unwrap().unwrap_err();
        assert!(matches!(error, TransferError::Protocol(_)), "{error:?}");
        assert!(within(have.next()).await.is_none());
    }
}

#[tokio::test]
async fn what_is_no_answer_to_a_fetch_is_refused() {
    let nothing = v1::FetchResponse { event: None };
    let huge = v1::FetchResponse {
        event: Some(v1::fetch_response::Event::Segment(v1::Segment {
            offset: 0,
            data: bytes(2 * PIECE),
        })),
    };
    for response in [nothing, huge] {
        let script = Script { fetch: vec![response], ..Script::default() };
        let remote = source_of(&script.start_plain().await, "anna");
        let stream = remote.fetch(&ContentId::of(b""), &[]).await.unwrap();
        let error = segments(stream).await.unwrap_err();
        assert!(matches!(error, TransferError::Protocol(_)), "{error:?}");
        let small = SmallContent { content: ContentId::of(b"a"), len: 1 };
        let stream = remote.fetch_many(&[small, small]).await.unwrap();
        let error = segments(stream).await.unwrap_err();
        assert!(matches!(error, TransferError::Protocol(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_plays_tricks_gets_no_more_than_the_content() {
    let memory = MemorySource::new();
    let manifest = memory.insert(bytes(3 * PIECE));
    let wanted = |start, count| {
        let runs = vec![v1::PieceRun { start, count }];
        Answer::Wanted(v1::PushWanted { runs })
    };
    let receipt =
        Answer::Receipt(v1::PushReceipt { name: "../../etc/passwd".to_owned(), more: false });
    let nothing = Answer::Wanted(v1::PushWanted::default());
    // The same piece forever, pieces that are not there, nothing, a name that leads elsewhere.
    for answer in [wanted(0, 1), wanted(2, 2), wanted(0, 0), nothing, receipt] {
        let script =
            Script { push: vec![v1::PushResponse { event: Some(answer) }], ..Script::default() };
        let peer = script.start_plain().await;
        let proposal = PushProposal { name: name("a"), manifest: manifest.clone() };
        let grants = Grants::of("anna");
        let push = peer.push(&proposal, &memory, &*grants, &|_| {});
        let error = within(push.boxed()).await.unwrap_err();
        assert!(matches!(error, TransferError::Protocol(_)), "{error:?}");
    }
}

/// Takes a connection and its first call, and then sends informational answers until the client has enough, or this many
/// bytes are sent.
async fn inform(listener: TcpListener, most: usize) -> io::Result<()> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const SETTINGS_KNOWN: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];
    // Status 103, whole, on stream 1.
    const INFORMATION: [u8; 14] = [0, 0, 5, 1, 4, 0, 0, 0, 1, 0x08, 3, b'1', b'0', b'3'];

    let mut client: TcpStream = listener.accept().await?.0;
    client.write_all(&[SETTINGS, SETTINGS_KNOWN].concat()).await?;
    client.read_exact(&mut [0; 24]).await?;
    let mut head = [0; 9];
    while head[3] != 1 {
        client.read_exact(&mut head).await?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        client.read_exact(&mut vec![0; len as usize]).await?;
    }
    let (mut reader, mut writer) = client.split();
    let many = INFORMATION.repeat(10_000);
    let reading = async { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await.map(drop) };
    let writing = async {
        for _ in 0..most / many.len() {
            writer.write_all(&many).await?;
        }
        Ok(())
    };
    let (read, written) = tokio::join!(reading, writing);
    read.and(written)
}

#[tokio::test]
async fn informational_answers_without_end_break_the_connection() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("tcp://{}", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(inform(listener, 256 << 20));
    let connector = PeerConnector::new(ClientSecurity::Plain, ClientLimits::default());
    let peer = PeerKey::generate().unwrap().peer_id();
    let remote = source_of(&connector.peer(peer, vec![address]), "anna");
    let error = within(remote.manifest(&ContentId::of(b""))).await.unwrap_err();
    assert!(matches!(error, TransferError::Unavailable(_)), "{error:?}");
    drop(remote);
    within(server).await.unwrap().unwrap_err();
}
