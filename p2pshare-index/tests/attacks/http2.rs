//! What HTTP/2 lets a client ask for without end: streams that are reset at once, headers that go on, pings.

use std::time::Duration;

use p2pshare_index::{HttpOptions, ServerOptions};
use reqwest::{Client, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
    time::timeout,
};

use crate::common::{
    TestIndex,
    process::{LONG, Running, started},
    start_with,
};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET /` over http, by the fields of the static table.
const GET: &[u8] = &[0x82, 0x86, 0x84];

/// More than anybody has reason to send.
const MANY: u32 = 100_000;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection over which somebody says what they like, and hears nothing.
struct Flood {
    out: OwnedWriteHalf,
    heard: JoinHandle<usize>,
}

impl Flood {
    async fn open(index: &Running) -> Self {
        let socket = TcpStream::connect(index.address()).await.unwrap();
        let (from, mut out) = socket.into_split();
        out.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        out.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Self { out, heard: tokio::spawn(Self::hear(from)) }
    }

    /// Reads until the index closes; gives how many bytes it sent.
    async fn hear(mut from: OwnedReadHalf) -> usize {
        let (mut all, mut part) = (0, vec![0; 1 << 16]);
        while let Ok(read @ 1..) = from.read(&mut part).await {
            all += read;
        }
        all
    }

    /// Sends the frames that `next` makes, until there are many or the index has had enough; tells which.
    async fn send(&mut self, mut next: impl FnMut(u32) -> Vec<u8>) -> bool {
        for n in 0..MANY {
            let sent = timeout(LONG, self.out.write_all(&next(n))).await;
            if sent.expect("it is read, or the connection is closed").is_err() {
                return false;
            }
        }
        true
    }
}

async fn index() -> Running {
    started(&["--store", "memory:", "--log", "error", "--header-timeout", "3s"]).await
}

async fn is_well(index: Running) {
    let answer = Client::new().get(format!("{}/v1/index", index.url)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(index.peak_kib() < 160 << 10, "{} KiB", index.peak_kib());
    assert_eq!(index.stop().await.0, Some(0));
}

#[tokio::test]
async fn streams_that_are_reset_at_once_end_the_connection() {
    let index = index().await;
    let mut flood = Flood::open(&index).await;
    let ended = flood.send(|n| {
        let stream = 2 * n + 1;
        let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream, GET);
        both.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        both
    });
    assert!(!ended.await, "the index took {MANY} of them");
    timeout(LONG, flood.heard).await.expect("it is closed").unwrap();
    is_well(index).await;
}

#[tokio::test]
async fn headers_that_go_on_end_the_connection() {
    let index = index().await;
    // A literal field of some kilobytes, again and again; and empty parts, which cost their sender next to nothing.
    let mut field = vec![0x00, 0x01, b'x', 0x7f, 0xa1, 0x1e];
    field.extend([b'a'; 4000]);
    for part in [field, Vec::new()] {
        let mut flood = Flood::open(&index).await;
        let all = flood.send(|n| match n {
            0 => frame(HEADERS, END_STREAM, 1, GET),
            _ => frame(CONTINUATION, 0, 1, &part),
        });
        let all = all.await;
        assert!(!all || part.is_empty(), "the index took {MANY} of them");
        // What costs nothing may be sent, but not for ever.
        timeout(LONG, flood.heard).await.expect("it is closed").unwrap();
    }
    is_well(index).await;
}

#[tokio::test]
async fn pings_and_settings_that_nobody_reads_the_answers_of_are_held_back() {
    let index = index().await;
    for ask in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[])] {
        // Nobody reads here, so that the answers pile up.
        let socket = TcpStream::connect(index.address()).await.unwrap();
        let (_unread, mut out) = socket.into_split();
        out.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        out.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        let flood = async {
            loop {
                if out.write_all(&ask.repeat(1000)).await.is_err() {
                    break;
                }
            }
        };
        // Either end may stop first: the index takes no more, or it closes.
        let _ = timeout(Duration::from_secs(3), flood).await;
    }
    is_well(index).await;
}

/// `SETTINGS_INITIAL_WINDOW_SIZE` of 0: nothing of an answer's body may be sent.
const NO_WINDOW: &[u8] = &[0, 4, 0, 0, 0, 0];

#[tokio::test]
async fn answers_that_nobody_reads_are_held_up_to_a_limit() {
    // A quarter of it for one network: 16 answers, however small.
    let options = HttpOptions { answer_memory: 64 << 10, ..HttpOptions::default() };
    let index = start_with(options, ServerOptions::default()).await;
    // What was asked for, and that it is not for everybody.
    for path in ["/v1/index", "/v1/me"] {
        unread_answers_are_held_up_to_a_limit(&index, path).await;
    }
}

async fn unread_answers_are_held_up_to_a_limit(index: &TestIndex, path: &str) {
    let status = async || index.get("/v1/index").send().await.unwrap().status();
    assert_eq!(status().await, StatusCode::OK);
    let mut socket = TcpStream::connect(index.address).await.unwrap();
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    socket.write_all(&frame(SETTINGS, 0, 0, NO_WINDOW)).await.unwrap();
    let path = [&[0x82, 0x86, 0x04, path.len() as u8][..], path.as_bytes()].concat();
    for n in 0..32 {
        let asked = frame(HEADERS, END_STREAM | END_HEADERS, 2 * n + 1, &path);
        socket.write_all(&asked).await.unwrap();
    }
    let until = async |wanted: StatusCode| {
        while status().await != wanted {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, until(StatusCode::SERVICE_UNAVAILABLE)).await.expect("they are too many");
    // Those of other networks are answered, and all once they are gone.
    let other = Client::builder().local_address("127.0.0.2".parse().ok()).build().unwrap();
    let answer = other.get(format!("http://{}/v1/index", index.address)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    drop(socket);
    timeout(LONG, until(StatusCode::OK)).await.expect("nothing is held any more");
}
