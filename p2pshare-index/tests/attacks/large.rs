//! Requests that are too large, too deep or too many in one.

use std::io;

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use p2pshare_core::{api::ProblemKind, content::ContentId, identity::PeerKey};
use reqwest::{Body, Client, Method, Response, StatusCode, Version};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::common::{
    Login, PASSWORD, assert_problem,
    process::{LONG, Running, started, text},
};

const GIB: usize = 1 << 30;

/// An index in a process of its own, and a user with a peer that tries things.
struct Scene {
    index: Running,
    client: Client,
    base: String,
    eve: Login,
    peer: String,
}

async fn scene(options: &[&str]) -> Scene {
    let common = ["--store", "memory:", "--log", "error"];
    let index = started(&[&common[..], options].concat()).await;
    // Over HTTP/1 an answer that comes before all of the body was sent can be lost.
    let client = Client::builder().http2_prior_knowledge().tls_danger_accept_invalid_certs(true);
    let client = client.build().unwrap();
    let base = index.url.split('#').next().unwrap().to_owned();
    let body = json!({ "username": "eve", "password": PASSWORD });
    let made = client.post(format!("{base}/v1/users")).json(&body).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let login = client.post(format!("{base}/v1/sessions")).json(&body).send().await.unwrap();
    let eve = Login::opened(login).await;
    let key = PeerKey::generate().unwrap();
    let peer = format!("/v1/peers/{}", key.peer_id());
    let scene = Scene { index, client, base, eve, peer };
    let announce = serde_json::to_vec(&scene.eve.announce(&key)).unwrap();
    let announced = scene.json(Method::PUT, &scene.peer, announce).await;
    assert_eq!(announced.status(), StatusCode::OK);
    scene
}

impl Scene {
    fn call(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let call = self.client.request(method, format!("{}{path}", self.base));
        call.bearer_auth(&self.eve.token)
    }

    async fn json(&self, method: Method, path: &str, body: impl Into<Body>) -> Response {
        let call = self.call(method, path).header("content-type", "application/json");
        call.body(body).send().await.unwrap()
    }

    /// The index lives, has not grown beyond `mib`, and stops as it should.
    async fn stays_lean(self, mib: u64) {
        let answer = self.call(Method::GET, "/v1/me").send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let metrics = self.call(Method::GET, "/metrics").send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        assert!(!metrics.contains("status=\"5"), "{metrics}");
        let peak = self.index.peak_kib() >> 10;
        assert!(peak < mib, "{peak} MiB");
        assert_eq!(self.index.stop().await.0, Some(0));
    }

    /// The calls that take a body.
    fn with_body(&self) -> Vec<(Method, String)> {
        let call = |method, path: &str| (method, path.to_owned());
        vec![
            call(Method::POST, "/v1/users"),
            call(Method::POST, "/v1/sessions"),
            call(Method::PUT, "/v1/me/password"),
            call(Method::DELETE, "/v1/me"),
            call(Method::PUT, &self.peer),
            call(Method::POST, &format!("{}/files", self.peer)),
            call(Method::POST, "/v1/grants"),
            call(Method::POST, "/v1/push-grants"),
            call(Method::POST, "/v1/groups"),
            call(Method::POST, "/v1/groups/friends/members"),
            call(Method::PUT, "/v1/groups/friends/owner"),
            call(Method::POST, "/v1/invites"),
        ]
    }
}

/// Sends `head`, then what `first` says, hears the answer, and then sends on until the index has had enough. Gives the
/// answer, and how many bytes of the body could be sent.
async fn pour(scene: &Scene, head: &str, first: usize) -> (String, usize) {
    let mut socket = TcpStream::connect(scene.index.address()).await.unwrap();
    let token = &scene.eve.token;
    let head = format!("{head}\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunked = head.contains("chunked");
    let mut part = if chunked { b"10000\r\n".to_vec() } else { Vec::new() };
    part.extend([b' '; 0x10000]);
    if chunked {
        part.extend(b"\r\n");
    }
    let mut sent = 0;
    // It may have had enough, answered and closed before that.
    while sent < first && socket.write_all(&part).await.is_ok() {
        sent += 0x10000;
    }
    let mut answer = [0; 12];
    timeout(LONG, socket.read_exact(&mut answer)).await.expect("it is answered").unwrap();
    while sent < GIB && timeout(LONG, socket.write_all(&part)).await.is_ok_and(|sent| sent.is_ok())
    {
        sent += 0x10000;
    }
    (String::from_utf8_lossy(&answer).into_owned(), sent)
}

#[tokio::test]
async fn a_gibibyte_is_not_taken() {
    let scene = scene(&[]).await;
    let json = "HTTP/1.1\r\ncontent-type: application/json\r\n";
    for (method, path) in scene.with_body() {
        // Told by the length alone.
        let head = format!("{method} {path} {json}content-length: {GIB}");
        let (answer, sent) = pour(&scene, &head, 0).await;
        assert_eq!(answer, "HTTP/1.1 413", "{method} {path}");
        assert!(sent < 64 << 20, "{method} {path}: {sent}");
        // Told when it becomes too long.
        let head = format!("{method} {path} {json}transfer-encoding: chunked");
        let most = if path.ends_with("/files") { 6 << 20 } else { 192 << 10 };
        let (answer, sent) = pour(&scene, &head, most).await;
        assert_eq!(answer, "HTTP/1.1 413", "{method} {path}");
        assert!(sent < 64 << 20, "{method} {path}: {sent}");
    }
    // Calls that take no body do not read one either.
    for path in ["/healthz", "/v1/index", "/v1/me", "/v1/nothing"] {
        let head = format!("GET {path} HTTP/1.1\r\ncontent-length: {GIB}");
        let (answer, sent) = pour(&scene, &head, 0).await;
        assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 404"));
        assert!(sent < 64 << 20, "{path}: {sent}");
    }
    scene.stays_lean(160).await;
}

#[tokio::test]
async fn a_gibibyte_over_tls_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let scene = scene(&["--tls-self-signed", "--data-dir", text(dir.path())]).await;
    for path in ["/v1/users", "/v1/grants", &format!("{}/files", scene.peer)] {
        let part = Bytes::from(vec![b' '; 1 << 16]);
        let (counter, counted) = tokio::sync::watch::channel(0_usize);
        let parts = stream::iter(0..GIB >> 16).map_taken(part, counter);
        let body = Body::wrap(http_body_util::StreamBody::new(parts));
        let answer = scene.json(Method::POST, path, body).await;
        assert_eq!(answer.version(), Version::HTTP_2);
        assert_problem(answer, ProblemKind::TooLarge).await;
        assert!(*counted.borrow() < 64 << 20, "{path}: {}", *counted.borrow());
    }
    scene.stays_lean(160).await;
}

/// Counts the parts of a body that were taken.
trait MapTaken: futures::Stream<Item = usize> + Sized {
    fn map_taken(
        self,
        part: Bytes,
        counter: tokio::sync::watch::Sender<usize>,
    ) -> impl futures::Stream<Item = io::Result<Frame<Bytes>>> {
        use futures::StreamExt;
        self.map(move |n| {
            counter.send_replace(n << 16);
            Ok(Frame::data(part.clone()))
        })
    }
}

impl<S: futures::Stream<Item = usize>> MapTaken for S {}

/// A gzip stream of zeros, about 158 times as large as it says.
fn bomb(bytes: usize) -> Vec<u8> {
    let mut bits = Vec::new();
    let mut push = |code: &str| bits.extend(code.bytes().map(|bit| bit == b'1'));
    // The last block, with the fixed codes; one zero; then again and again: 258 bytes as the one before.
    push("110");
    push("00110000");
    while bits.len() < (bytes - 20) * 8 {
        let mut push = |code: &str| bits.extend(code.bytes().map(|bit| bit == b'1'));
        push("11000101");
        push("00000");
    }
    bits.extend([false; 7]);
    let mut packed = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let byte = |bits: &[bool]| (0..8).map(|n| u8::from(bits.get(n) == Some(&true)) << n).sum();
    packed.extend(bits.chunks(8).map(|bits| -> u8 { byte(bits) }));
    packed
}

#[tokio::test]
async fn packed_bodies_are_not_unpacked() {
    let scene = scene(&[]).await;
    for (method, path) in scene.with_body() {
        let bomb = bomb(if path.ends_with("/files") { 4 << 20 } else { 60_000 });
        for coding in ["gzip", "GZIP", "x-gzip", "deflate", "br", "zstd", "identity, gzip", ""] {
            let call = scene.call(method.clone(), &path).header("content-encoding", coding);
            let call = call.header("content-type", "application/json").body(bomb.clone());
            let answer = call.send().await.unwrap();
            assert_problem(answer, ProblemKind::UnsupportedMediaType).await;
        }
        // Nor is it guessed what it is.
        let answer = scene.json(method, &path, bomb).await;
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
    scene.stays_lean(160).await;
}

#[tokio::test]
async fn deep_json_is_refused() {
    let scene = scene(&[]).await;
    for (method, path) in scene.with_body() {
        let depth = if path.ends_with("/files") { 2_000_000 } else { 30_000 };
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let objects = "{\"changes\":".repeat(depth / 10);
        let inside = format!("{{\"changes\":{arrays},\"contents\":{arrays}}}");
        let unknown = format!("{{\"password\":\"longenough\",\"x\":{}", "[".repeat(depth));
        for body in [arrays, objects, inside, unknown] {
            let answer = scene.json(method.clone(), &path, body).await;
            assert!(matches!(answer.status().as_u16(), 400 | 413), "{method} {path}");
            let status = answer.status();
            let kind = ProblemKind::ALL.iter().find(|kind| kind.status() == status.as_u16());
            assert_problem(answer, *kind.unwrap()).await;
        }
    }
    scene.stays_lean(160).await;
}

#[tokio::test]
async fn a_hundred_thousand_in_one_batch_are_refused() {
    const MANY: usize = 100_000;
    let scene = scene(&[]).await;
    let files = format!("{}/files", scene.peer);
    let entry = |n: usize| {
        let content = ContentId::from_bytes([7; 32]);
        json!({ "publish": { "path": format!("{n}"), "content": content, "size": 1 } })
    };
    let publish = json!({ "changes": (0..MANY).map(entry).collect::<Vec<_>>() });
    // This one is small enough to be read.
    let withdraw = json!({ "changes": vec![json!({ "withdraw": "a" }); MANY] });
    let contents = json!({ "contents": vec![ContentId::from_bytes([7; 32]); MANY] });
    let mut announce = serde_json::to_value(scene.eve.announce(&PeerKey::generate().unwrap()));
    announce.as_mut().unwrap()["addresses"] = json!(vec!["tcp://192.0.2.7:1"; MANY]);
    let cases: [(Method, &str, Value, ProblemKind); 4] = [
        (Method::POST, &files, publish, ProblemKind::TooLarge),
        (Method::POST, &files, withdraw, ProblemKind::InvalidRequest),
        (Method::POST, "/v1/grants", contents, ProblemKind::TooLarge),
        (Method::PUT, &scene.peer, announce.unwrap(), ProblemKind::TooLarge),
    ];
    for (method, path, body, kind) in cases {
        let answer = scene.json(method, path, body.to_string()).await;
        assert_problem(answer, kind).await;
    }
    let page = scene.call(Method::GET, &files).send().await.unwrap();
    assert_eq!(page.json::<Value>().await.unwrap()["entries"], json!([]));
    scene.stays_lean(160).await;
}

#[tokio::test]
async fn long_queries_are_refused() {
    let scene = scene(&[]).await;
    let words: Vec<String> = (0..5000).map(|n| format!("w{n}")).collect();
    let letters: Vec<_> = (b'a'..=b'z').map(|c| (c as char).to_string()).collect();
    let extensions: Vec<_> = (0..10_000).map(|n| format!("e{n}")).collect();
    let queries = [
        format!("q={}", words.join("+")),
        format!("q=-{}", words.join("+-")),
        format!("q={}", letters.join("+")),
        format!("q={}", "a".repeat(60_000)),
        // Each of these folds to many characters.
        format!("q={}", "%EF%B7%BA".repeat(5_000)),
        format!("ext={}", extensions.join(",")),
        format!("cursor={}", "A".repeat(60_000)),
        format!("owner={}", "a".repeat(60_000)),
        format!("{}=1", "x".repeat(60_000)),
        "q=a&".repeat(15_000),
        format!("limit={}", "9".repeat(60_000)),
    ];
    for query in queries {
        let answer = scene.call(Method::GET, &format!("/v1/search?{query}")).send().await.unwrap();
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
    let long = "a/".repeat(30_000);
    for query in [format!("path={long}b"), format!("cursor={}", "A".repeat(60_000))] {
        let path = format!("/v1/users/eve/files?{query}");
        let answer = scene.call(Method::GET, &path).send().await.unwrap();
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
    for path in [format!("/v1/users/{}/files", "a".repeat(60_000)), format!("/v1/{long}")] {
        let answer = scene.call(Method::GET, &path).send().await.unwrap();
        assert!(matches!(answer.status().as_u16(), 400 | 404), "{}", answer.status());
    }
    scene.stays_lean(160).await;
}

#[tokio::test]
async fn large_heads_are_refused_again_and_again() {
    let scene = scene(&[]).await;
    let many: String = (0..10_000).map(|n| format!("x-{n}: y\r\n")).collect();
    let heads = [
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20)),
        format!("GET /v1/search?q={} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(1 << 20)),
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(1 << 20)),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{}: x\r\n\r\n", "a".repeat(1 << 20)),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"),
        "A".repeat(1 << 20),
        "\r\n".repeat(1 << 19),
    ];
    for head in heads.iter().cycle().take(heads.len() * 20) {
        let mut socket = TcpStream::connect(scene.index.address()).await.unwrap();
        let _ = socket.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = timeout(LONG, socket.read_to_end(&mut answer)).await.expect("it is closed");
        let answer = String::from_utf8_lossy(&answer);
        let first = answer.split("\r\n").next().unwrap();
        let known = ["HTTP/1.1 400 ", "HTTP/1.1 414 ", "HTTP/1.1 431 "];
        assert!(first.is_empty() || known.iter().any(|one| first.starts_with(one)), "{first}");
    }
    // Over HTTP/2 the limit is one for all headers together.
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let call = client.get(format!("{}/v1/index", scene.base));
    let answer = call.header("x-large", "a".repeat(100_000)).send().await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 431));
    scene.stays_lean(160).await;
}
