//! Connections: slow ones, many, protected ones, and the end of them all.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use common::{index, start, start_router, start_with};
use p2pshare_core::index::IndexConfig;
use p2pshare_index::{HttpOptions, SelfSigned, ServerOptions, TlsIdentity};
use reqwest::{Certificate, Client, StatusCode, Version};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(60);

fn impatient() -> ServerOptions {
    ServerOptions {
        handshake_timeout: SHORT,
        header_timeout: SHORT,
        idle_timeout: SHORT,
        ..ServerOptions::default()
    }
}

/// Waits until the server closes the connection.
async fn closed(socket: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    match timeout(LONG, socket.read_to_end(&mut received)).await.expect("the server closes it") {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    received
}

#[tokio::test]
async fn slow_heads_are_cut_off() {
    let index = start_with(HttpOptions::default(), impatient()).await;
    let beginnings: [&[u8]; 4] = [
        b"",
        b"G",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ];
    for beginning in beginnings {
        let mut socket = TcpStream::connect(index.address).await.unwrap();
        socket.write_all(beginning).await.unwrap();
        closed(&mut socket).await;
    }
    // One byte at a time does not help either.
    let mut socket = TcpStream::connect(index.address).await.unwrap();
    let trickled = timeout(LONG, async {
        socket.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").await?;
        loop {
            socket.write_all(b"a").await?;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        #[allow(unreachable_code)]
        Ok::<(), io::Error>(())
    });
    assert!(trickled.await.expect("the server closes it").is_err());
}

#[tokio::test]
async fn idle_connections_are_closed_and_used_ones_kept() {
    let idle_timeout = Duration::from_secs(4);
    let server = ServerOptions { idle_timeout, header_timeout: LONG, ..ServerOptions::default() };
    let index = start_with(HttpOptions::default(), server).await;
    // On a slow machine it may have been idle for too long although it was used.
    let mut socket = loop {
        if let Some(socket) = used_for(idle_timeout + SHORT, idle_timeout, index.address).await {
            break socket;
        }
    };
    closed(&mut socket).await;
}

/// A connection that was used for so long; `None` if it was closed after it was not for as long as it may be idle.
async fn used_for(time: Duration, idle: Duration, address: SocketAddr) -> Option<TcpStream> {
    let first = Instant::now();
    let mut last = first;
    let mut socket = kept_alive(address).await;
    while first.elapsed() < time {
        let now = Instant::now();
        if let Err(error) = try_ask(&mut socket).await {
            let unused = last.elapsed();
            assert!(unused >= idle, "closed when it was not used for {unused:?}: {error}");
            return None;
        }
        last = now;
        tokio::time::sleep(SHORT / 10).await;
    }
    Some(socket)
}

#[tokio::test]
async fn large_heads_are_refused() {
    let index = start().await;
    let mut socket = TcpStream::connect(index.address).await.unwrap();
    let head =
        format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx-big: {}\r\n\r\n", "a".repeat(200_000));
    let _ = socket.write_all(head.as_bytes()).await;
    let answer = String::from_utf8_lossy(&closed(&mut socket).await).into_owned();
    assert!(answer.is_empty() || answer.contains(" 431 "), "{answer}");

    let mut socket = TcpStream::connect(index.address).await.unwrap();
    let many = "x: y\r\n".repeat(1000);
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    let _ = socket.write_all(head.as_bytes()).await;
    let answer = String::from_utf8_lossy(&closed(&mut socket).await).into_owned();
    assert!(answer.is_empty() || answer.contains(" 431 "), "{answer}");
    assert_eq!(index.get("/healthz").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let server = ServerOptions { max_connections_per_address: 3, ..ServerOptions::default() };
    let index = start_with(HttpOptions::default(), server).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(kept_alive(index.address).await);
    }
    let mut refused = TcpStream::connect(index.address).await.unwrap();
    assert!(closed(&mut refused).await.is_empty());

    drop(held.pop());
    let deadline = Instant::now() + LONG;
    while index.get("/healthz").send().await.is_err() {
        assert!(Instant::now() < deadline, "a place becomes free");
    }
}

/// A connection that has been answered and stays open.
async fn kept_alive(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    ask(&mut socket).await;
    socket
}

/// One request and the whole of its answer.
async fn ask(socket: &mut TcpStream) {
    try_ask(socket).await.unwrap();
}

/// The same, unless the connection is closed before the answer is whole.
async fn try_ask(socket: &mut TcpStream) -> io::Result<()> {
    socket.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok\n") {
        if socket.read_buf(&mut answer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
    Ok(())
}

struct Held {
    entered: Notify,
    leave: Notify,
}

/// An app whose one call ends when it is told to.
fn holding() -> (Arc<Held>, Router) {
    let held = Arc::new(Held { entered: Notify::new(), leave: Notify::new() });
    let inside = Arc::clone(&held);
    let call = move || async move {
        inside.entered.notify_one();
        inside.leave.notified().await;
        "whole answer"
    };
    (held, Router::new().route("/hold", get(call)))
}

#[tokio::test]
async fn running_requests_end_before_the_server_does() {
    let (held, app) = holding();
    let server = start_router(index(IndexConfig::default()), app, ServerOptions::default()).await;
    let request = tokio::spawn(server.get("/hold").send());
    let idle = kept_alive_anywhere(server.address).await;
    held.entered.notified().await;
    server.stop.cancel();

    // No new connection is taken, the idle one is closed, the running request goes on.
    let mut idle = idle;
    timeout(LONG, idle.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    assert!(!request.is_finished() && !server.task.is_finished());
    held.leave.notify_one();
    let answer = request.await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "whole answer");
    timeout(LONG, server.task).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

async fn kept_alive_anywhere(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(b"GET /none HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
    socket
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_the_server() {
    let (held, app) = holding();
    let options = ServerOptions { shutdown_timeout: SHORT, ..ServerOptions::default() };
    let server = start_router(index(IndexConfig::default()), app, options).await;
    let request = tokio::spawn(server.get("/hold").send());
    held.entered.notified().await;
    server.stop.cancel();
    timeout(LONG, server.task).await.unwrap().unwrap();
    assert!(request.await.unwrap().is_err());
}

#[tokio::test]
async fn tls_speaks_http_2_and_shows_the_certificate() {
    let made = SelfSigned::generate(["127.0.0.1".to_owned()]).unwrap();
    let identity = TlsIdentity::from_one_pem(&"test", made.pem().as_bytes()).unwrap();
    let tls = Some(identity.into_config().unwrap());
    let patient = ServerOptions { tls: tls.clone(), ..ServerOptions::default() };
    let index = start_with(HttpOptions::default(), patient).await;
    let certificate = made.pem().split("-----END PRIVATE KEY-----").nth(1).unwrap();
    let trusted = Certificate::from_pem(certificate.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([trusted]).build().unwrap();
    let url = format!("https://{}/v1/index", index.address);
    let answer = client.get(&url).send().await.unwrap();
    assert_eq!(answer.version(), Version::HTTP_2);
    assert_eq!(answer.status(), StatusCode::OK);

    let stranger = Client::builder().tls_certs_only([]).build().unwrap();
    assert!(stranger.get(&url).send().await.is_err());
    // Somebody who connects and says nothing, or no TLS.
    let index = start_with(HttpOptions::default(), ServerOptions { tls, ..impatient() }).await;
    for said in [&b""[..], b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut socket = TcpStream::connect(index.address).await.unwrap();
        socket.write_all(said).await.unwrap();
        closed(&mut socket).await;
    }
}

#[tokio::test]
async fn plain_http_2_is_spoken_too() {
    let index = start().await;
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}/healthz", index.address);
    assert_eq!(client.get(url).send().await.unwrap().version(), Version::HTTP_2);
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let http = HttpOptions::default();
    let server = ServerOptions { metrics: http.metrics.clone(), ..ServerOptions::default() };
    let index = start_with(http, server).await;
    index.user("alice").await;
    index.get("/v1/me").send().await.unwrap();
    index.get("/v1/unknown/path/of/a/stranger").send().await.unwrap();
    let answer = index.get("/metrics").send().await.unwrap();
    assert!(answer.headers()["content-type"].to_str().unwrap().contains("openmetrics"));
    let text = answer.text().await.unwrap();
    for line in [
        r#"p2pshare_index_requests_total{method="POST",route="/v1/users",status="201"} 1"#,
        r#"p2pshare_index_requests_total{method="GET",route="/v1/me",status="401"} 1"#,
        r#"p2pshare_index_requests_total{method="GET",route="none",status="404"} 1"#,
        r#"p2pshare_index_request_duration_seconds_count{route="/v1/users"} 1"#,
        "p2pshare_index_in_flight 1",
        "p2pshare_index_connections 1",
        "p2pshare_index_users 1",
        "p2pshare_index_sessions 1",
        "p2pshare_index_build_info{version=",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("stranger"));
}
