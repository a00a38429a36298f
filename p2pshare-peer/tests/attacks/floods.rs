//! Clients that take what they can get: connections, streams, memory, time. Beside them an honest one is served.
//!
//! The attackers come from `127.0.0.2` and beyond, which only Linux has without being asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::join_all;
use futures::{StreamExt, stream};
use http_body_util::StreamBody;
use p2pshare_core::content::ContentId;
use p2pshare_core::identity::PeerKey;
use p2pshare_core::transfer::{MemorySource, PieceSource};
use p2pshare_peer::net::PeerTls;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::ServiceExt;

use crate::stranger::{NoCertificate, config_of, stranger};
use crate::support::{Guard, Inbox, PIECE, Server, Setup, bytes, source_of, until, whole, within};

/// How long the server waits for what attackers keep back. An honest client on a busy machine must be done by then.
const SHORT: Duration = Duration::from_secs(2);

/// How long the server may take to read what it is sent.
const READING: Duration = Duration::from_secs(6);

/// Bytes of a content that goes into one frame.
const SHORT_LEN: usize = 9000;

/// A server with a long content, whose id it gives, and a short one, that waits for nobody long.
async fn server(change: impl FnOnce(&mut Setup)) -> (Server, ContentId) {
    let memory = MemorySource::new();
    let id = memory.insert(bytes(32 * PIECE)).id();
    memory.insert(bytes(SHORT_LEN));
    let mut setup = Setup::tls(&memory);
    setup.receiver = Some(Arc::new(Inbox::default()));
    setup.limits.handshake_timeout = SHORT;
    setup.limits.answer_timeout = SHORT;
    change(&mut setup);
    (setup.start().await, id)
}

/// An honest client is served: a new connection, a manifest, all bytes.
async fn honest_is_served(server: &Server, id: &ContentId) {
    let remote = source_of(&server.tls(), "honest");
    within(remote.manifest(id)).await.expect("the manifest");
    let got = whole(&remote, id).await.expect("the bytes");
    assert!(got == bytes(32 * PIECE));
}

/// A connection from an address of an attacker's.
async fn connect_from(last: u8, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    socket.connect(to).await
}

/// Memory of this process in bytes: that of the server, and of all its clients.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes << 10
}

#[track_caller]
fn assert_bounded(before: u64, most: u64) {
    let grown = resident().saturating_sub(before) >> 20;
    assert!(grown < most, "{grown} MiB more than before");
}

/// HTTP/2 as written by hand, without any rules.
struct Raw {
    reader: ReadHalf<TlsStream<TcpStream>>,
    writer: WriteHalf<TlsStream<TcpStream>>,
}

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_uint(payload.len() as u64, 3);
    frame.put_u8(kind);
    frame.put_u8(flags);
    frame.put_u32(stream);
    frame.put_slice(payload);
    frame.freeze()
}

/// The headers of a gRPC call, not compressed.
fn call(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    // From the static table: POST, https.
    let mut block = vec![0x83, 0x87];
    let mut put = |name: &str, value: &str| {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    };
    put(":path", path);
    put(":authority", "peer");
    put("content-type", "application/grpc");
    put("te", "trailers");
    for (name, value) in more {
        put(name, value);
    }
    block
}

const PUSH: &str = "/p2pshare.v1.Transfer/Push";
const FETCH: &str = "/p2pshare.v1.Transfer/Fetch";
const MANIFEST: &str = "/p2pshare.v1.Transfer/Manifest";

impl Raw {
    /// With the largest windows that there are.
    async fn open(server: &Server) -> Self {
        Self::with_window(server, 0x7fff_ffff).await
    }

    /// Whatever is sent on these streams, the server may send so many bytes more on each.
    async fn allow(&mut self, streams: impl Iterator<Item = u32>, bytes: u32) -> bool {
        let update = |stream| frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes());
        let updates: Vec<_> = streams.map(update).collect();
        self.write(&updates.concat()).await
    }

    async fn with_window(server: &Server, window: u32) -> Self {
        let tls = PeerTls::new(&PeerKey::generate().unwrap()).unwrap();
        let config = tls.for_peer(server.key.peer_id()).unwrap();
        let stream = connect_from(2, server.addr).await.unwrap();
        let name = ServerName::try_from("peer").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (reader, writer) = tokio::io::split(stream);
        let mut raw = Self { reader, writer };
        raw.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let window = [&[0, 4][..], &window.to_be_bytes()].concat();
        raw.write(&frame(SETTINGS, 0, 0, &window)).await;
        raw.write(&frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes())).await;
        // The server's own windows hold once it knows that they are known.
        raw.until(SETTINGS).await;
        raw.write(&frame(SETTINGS, 1, 0, &[])).await;
        raw
    }

    /// False when the server takes no more: it has closed the connection, or waits for its answers to be read.
    async fn write(&mut self, bytes: &[u8]) -> bool {
        let write = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        matches!(timeout(READING, write).await, Ok(Ok(())))
    }

    /// Reads until a frame of this kind comes, or the end.
    async fn until(&mut self, kind: u8) {
        while self.next().await.is_some_and(|found| found != kind) {}
    }

    /// The kind of the next frame.
    async fn next(&mut self) -> Option<u8> {
        let mut head = [0; 9];
        within(self.reader.read_exact(&mut head)).await.ok()?;
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        within(self.reader.read_exact(&mut payload)).await.ok()?;
        Some(head[3])
    }

    /// What the server closes the connection with, once it does.
    async fn closed(&mut self) -> Vec<u8> {
        let mut kinds = Vec::new();
        while let Some(kind) = self.next().await {
            kinds.push(kind);
        }
        kinds
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_never_end() {
    let (server, id) = server(|_| {}).await;
    let before = resident();
    // The beginning of a ClientHello, of the preface, and nothing.
    let first: [&[u8]; 3] = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTT", b""];
    let slow = (0..150).map(|number| async move {
        let mut stream = connect_from(2, server.addr).await.ok()?;
        for byte in first[number % 3] {
            stream.write_all(&[*byte]).await.ok()?;
            tokio::time::sleep(SHORT / 15).await;
        }
        let mut rest = Vec::new();
        // Until it is closed.
        within(stream.read_to_end(&mut rest)).await.ok()
    });
    let (_, ()) = tokio::join!(join_all(slow), honest_is_served(&server, &id));
    assert_bounded(before, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preface_that_comes_a_byte_at_a_time() {
    let (server, id) = server(|_| {}).await;
    let tls = PeerTls::new(&PeerKey::generate().unwrap()).unwrap();
    let config = Arc::new(tls.for_peer(server.key.peer_id()).unwrap());
    let slow = (0..20).map(|_| async {
        let stream = connect_from(2, server.addr).await.unwrap();
        let name = ServerName::try_from("peer").unwrap();
        // It may be too late for the handshake already: the machine is busy.
        let mut stream = TlsConnector::from(config.clone()).connect(name, stream).await.ok()?;
        for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r" {
            stream.write_all(&[*byte]).await.ok()?;
            tokio::time::sleep(SHORT / 10).await;
        }
        Some(())
    });
    let (finished, ()) = tokio::join!(join_all(slow), honest_is_served(&server, &id));
    assert!(finished.iter().all(Option::is_none), "somebody was waited for");
}

/// As many as this process may have: each has two ends here, and each end is a file descriptor.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections() {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let count = most.map_or(10_000, |most| (most.saturating_sub(500) / 2).min(10_000));
    println!("{count} connections: the limit of open files is {most:?}");
    let (server, id) = server(|setup| {
        setup.limits.connections = 20_000;
        setup.limits.connections_per_address = 100;
        setup.limits.handshake_timeout = Duration::from_secs(600);
    })
    .await;
    let before = resident();
    let mut idle = Vec::new();
    for number in 0..count {
        // A hundred from each address.
        let address = u8::try_from(2 + number / 100).unwrap();
        idle.push(within(connect_from(address, server.addr)).await.unwrap());
    }
    honest_is_served(&server, &id).await;
    // Content that was fetched is in memory too: 32 MiB, and what its pieces passed through.
    assert_bounded(before, 100 + count / 50);
    // They are there still.
    for stream in idle.iter().step_by(997) {
        let error = stream.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_from_one_address_than_it_may_have() {
    let (server, id) = server(|setup| {
        setup.limits.handshake_timeout = Duration::from_secs(600);
    })
    .await;
    let mut all = Vec::new();
    for _ in 0..1000 {
        // Those beyond the limit are closed, some before connecting has ended.
        all.extend(within(connect_from(2, server.addr)).await);
    }
    honest_is_served(&server, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_streams_on_one_connection() {
    let (server, id) = server(|_| {}).await;
    let before = resident();
    let mut raw = Raw::open(&server).await;
    for number in 0..5000 {
        if !raw.write(&frame(HEADERS, END_HEADERS, 2 * number + 1, &call(PUSH, &[]))).await {
            break;
        }
    }
    honest_is_served(&server, &id).await;
    assert_bounded(before, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_as_soon_as_they_are_opened() {
    let (server, id) = server(|_| {}).await;
    let before = resident();
    let mut raw = Raw::open(&server).await;
    let block = call(FETCH, &[]);
    for number in 0..50_000 {
        let stream = 2 * number + 1;
        let opened = frame(HEADERS, END_HEADERS, stream, &block);
        let reset = frame(RESET, 0, stream, &8_u32.to_be_bytes());
        if !raw.write(&[opened, reset].concat()).await {
            break;
        }
    }
    honest_is_served(&server, &id).await;
    assert_bounded(before, 300);
    let kinds = raw.closed().await;
    assert!(kinds.contains(&GO_AWAY), "it was let go on: {kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_never_end() {
    let (server, id) = server(|_| {}).await;
    let before = resident();
    let mut raw = Raw::open(&server).await;
    raw.write(&frame(HEADERS, 0, 1, &call(PUSH, &[]))).await;
    // A header of 200 bytes, again and again.
    let more = [&[0, 1, b'x', 127, 73][..], &[b'y'; 200]].concat().repeat(80);
    let mut sent = 0;
    while sent < 16 << 20 && raw.write(&frame(CONTINUATION, 0, 1, &more)).await {
        sent += more.len();
    }
    // A server that waited for the end of the headers would not close.
    raw.closed().await;
    honest_is_served(&server, &id).await;
    assert_bounded(before, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_whose_answers_are_not_read() {
    let (server, id) = server(|_| {}).await;
    let before = resident();
    let mut raw = Raw::open(&server).await;
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(1000);
    for _ in 0..2000 {
        if !raw.write(&pings).await {
            break;
        }
    }
    honest_is_served(&server, &id).await;
    assert_bounded(before, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_nobody_reads() {
    let (server, id) = server(|setup| {
        setup.limits.stall_timeout = SHORT;
        setup.limits.answer_timeout = Duration::from_secs(60);
    })
    .await;
    let before = resident();
    let mut raw = Raw::open(&server).await;
    let grant = format!("Bearer {}mallory", Guard::GRANT);
    let mut message = vec![0, 0, 0, 0, 34, 0x0a, 32];
    message.extend_from_slice(id.as_bytes());
    for number in 0..100 {
        let stream = 2 * number + 1;
        let opened =
            frame(HEADERS, END_HEADERS, stream, &call(FETCH, &[("authorization", &grant)]));
        let asked = frame(0, 1, stream, &message);
        if !raw.write(&[opened, asked].concat()).await {
            break;
        }
    }
    until(|| server.slots.usage().0 > 0).await;
    honest_is_served(&server, &id).await;
    assert_bounded(before, 600);
    // Whoever reads nothing of what he asks for loses the connection, and with it the queue.
    until(|| server.slots.usage() == (0, 0)).await;
}

/// Calls with a body made by hand; gives the status.
async fn raw_call(server: &Server, path: &str, headers: &[(&str, &str)], body: Bytes) -> Status {
    let config = config_of(server, Arc::new(NoCertificate));
    let channel = stranger(server, config).await.unwrap();
    let frames = stream::iter([Ok::<_, Status>(http_body::Frame::data(body))]);
    // The request never ends.
    let body = Body::new(StreamBody::new(frames.chain(stream::pending())));
    let mut request = http::Request::post(format!("http://peer{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}mallory", Guard::GRANT));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = within(channel.oneshot(request.body(body).unwrap())).await.unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    let mut body = answer.into_body();
    while let Some(frame) = within(http_body_util::BodyExt::frame(&mut body)).await {
        match frame {
            Ok(frame) if frame.is_trailers() => {
                return Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
            }
            Ok(_) => {}
            Err(status) => return status,
        }
    }
    panic!("no status")
}

const CALLS: [&str; 4] = ["Manifest", "Have", "Fetch", "Push"];

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_too_large_are_refused_by_their_head() {
    let (server, id) = server(|setup| setup.limits.answer_timeout = Duration::from_secs(60)).await;
    let before = resident();
    for method in CALLS {
        for len in [100 << 10, 1 << 20, 16 << 20, u32::MAX] {
            let path = format!("/p2pshare.v1.Transfer/{method}");
            let head = [&[0][..], &len.to_be_bytes(), b"\x0a"].concat();
            let status = raw_call(&server, &path, &[], head.into()).await;
            assert!(
                matches!(status.code(), Code::OutOfRange | Code::InvalidArgument),
                "{method}, {len}: {status:?}"
            );
        }
    }
    honest_is_served(&server, &id).await;
    assert_bounded(before, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_messages_are_refused_unread() {
    let (server, id) = server(|setup| setup.limits.answer_timeout = Duration::from_secs(60)).await;
    let before = resident();
    for method in CALLS {
        for headers in [&[][..], &[("grpc-encoding", "gzip")], &[("grpc-encoding", "zstd")]] {
            let path = format!("/p2pshare.v1.Transfer/{method}");
            // Marked as compressed, 1,000 bytes long; not one of them follows.
            let body = Bytes::from_static(&[1, 0, 0, 3, 232]);
            let status = raw_call(&server, &path, headers, body).await;
            let refused = [Code::Internal, Code::Unimplemented, Code::InvalidArgument];
            assert!(refused.contains(&status.code()), "{method}, {headers:?}: {status:?}");
        }
    }
    honest_is_served(&server, &id).await;
    assert_bounded(before, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_sends_before_the_grant_is_checked_is_not_kept() {
    let (server, id) = server(|setup| setup.limits.answer_timeout = Duration::from_secs(60)).await;
    let before = resident();
    // An offer of a megabyte, nearly all of it, on every stream that there is, without a grant.
    let head = [&[0][..], &(1_u32 << 20).to_be_bytes()].concat();
    let more = frame(0, 0, 0, &[0x0a; 16 << 10]);
    let mut raws = Vec::new();
    for _ in 0..8 {
        let mut raw = Raw::open(&server).await;
        for number in 0..128_u32 {
            let stream = 2 * number + 1;
            let opened = frame(HEADERS, END_HEADERS, stream, &call(PUSH, &[]));
            let mut more = more.to_vec();
            more[5..9].copy_from_slice(&stream.to_be_bytes());
            let begun = [opened, frame(0, 0, stream, &head), more.repeat(14).into()].concat();
            if !raw.write(&begun).await {
                break;
            }
        }
        raws.push(raw);
    }
    // All of it was taken, or the server said that it is too much.
    for raw in &mut raws {
        raw.write(&frame(PING, 0, 0, &[0; 8])).await;
        raw.until(PING).await;
    }
    assert_bounded(before, 100);
    honest_is_served(&server, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_of_a_stranger_that_reads_no_answers_are_not_kept() {
    let (server, id) = server(|setup| setup.limits.answer_timeout = Duration::from_secs(60)).await;
    let before = resident();
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    // Which services there are, 2,000 times a frame, as many as the windows of a connection let through.
    let questions = [0, 0, 0, 0, 3, 0x3a, 1, b'*'].repeat(2000);
    let mut raws = Vec::new();
    for _ in 0..16 {
        let mut raw = Raw::open(&server).await;
        let opened = frame(HEADERS, END_HEADERS, 1, &call(path, &[]));
        assert!(raw.write(&opened).await);
        for _ in 0..400 {
            if !raw.write(&frame(0, 0, 1, &questions)).await {
                break;
            }
        }
        raws.push(raw);
    }
    for raw in &mut raws {
        raw.write(&frame(PING, 0, 0, &[0; 8])).await;
        raw.until(PING).await;
    }
    assert_bounded(before, 50);
    honest_is_served(&server, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn short_answers_that_nobody_reads() {
    let (server, id) =
        server(|setup| setup.limits.stall_timeout = Duration::from_millis(500)).await;
    // One piece, which the server has handed on before anybody reads of it.
    let fetch = [&[0, 0, 0, 0, 38, 0x0a, 32], id.as_bytes().as_slice(), &[0x12, 2, 0x10, 1]];
    let short = ContentId::of(&bytes(SHORT_LEN));
    let small = [&[0, 0, 0, 0, 34, 0x0a, 32], short.as_bytes().as_slice()];
    let manifest = [&[0, 0, 0, 0, 34, 0x0a, 32], id.as_bytes().as_slice()];
    let calls = [(FETCH, fetch.concat()), (FETCH, small.concat()), (MANIFEST, manifest.concat())];
    // It takes part in the connection, and has room for no byte of an answer, or for so few that HTTP/2 takes in all.
    for ((path, message), window) in
        calls.iter().flat_map(|call| [0, 1, 64].map(|window| (call, window)))
    {
        let mut raw = Raw::with_window(&server, window).await;
        let grant = format!("Bearer {}mallory", Guard::GRANT);
        for number in 0..20 {
            let stream = 2 * number + 1;
            let headers = call(path, &[("authorization", &grant)]);
            let opened = frame(HEADERS, END_HEADERS, stream, &headers);
            assert!(raw.write(&[opened, frame(0, 1, stream, message)].concat()).await);
        }
        // Long before an idle connection is.
        timeout(Duration::from_secs(60), raw.closed()).await.expect("nobody reads of it");
    }
    honest_is_served(&server, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_which_a_little_is_read_now_and_then() {
    const STREAMS: u32 = 20;
    let (server, id) = server(|setup| {
        setup.slots = STREAMS as usize;
        setup.limits.stall_timeout = SHORT;
    })
    .await;
    let mut raw = Raw::with_window(&server, 1).await;
    let grant = format!("Bearer {}mallory", Guard::GRANT);
    let message = [&[0, 0, 0, 0, 34, 0x0a, 32], id.as_bytes().as_slice()].concat();
    let streams = || (0..STREAMS).map(|number| 2 * number + 1);
    for stream in streams() {
        let headers = call(FETCH, &[("authorization", &grant)]);
        let opened = frame(HEADERS, END_HEADERS, stream, &headers);
        assert!(raw.write(&[opened, frame(0, 1, stream, &message)].concat()).await);
    }
    until(|| server.slots.usage().0 > 0).await;
    // A slice's worth in half the time in which something must be read: without an end if that were something.
    let begun = std::time::Instant::now();
    while raw.allow(streams(), 8 << 10).await && begun.elapsed() < 20 * SHORT {
        tokio::time::sleep(SHORT / 2).await;
    }
    raw.closed().await;
    assert!(begun.elapsed() < 20 * SHORT, "it was let go on");
    until(|| server.slots.usage() == (0, 0)).await;
    honest_is_served(&server, &id).await;
}
