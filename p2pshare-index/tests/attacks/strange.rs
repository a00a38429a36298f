//! Bytes where none should be: NUL and what is no UTF-8, in bodies, paths, names, queries and heads.

use p2pshare_core::{api::ProblemKind, content::ContentId, identity::PeerKey};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::common::{Login, TestIndex, assert_problem, process::LONG, start};

/// No UTF-8: bytes that never occur, a cut sequence, an overlong slash and NUL, a surrogate, beyond the last character.
const NO_UTF_8: [&[u8]; 6] =
    [b"\xff\xfe", b"\xe2\x82", b"\xc0\xaf", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"];

struct Scene {
    index: TestIndex,
    eve: Login,
    peer: String,
}

async fn scene() -> Scene {
    let index = start().await;
    let eve = index.user("eve").await;
    let key = PeerKey::generate().unwrap();
    let peer = format!("/v1/peers/{}", key.peer_id());
    let announce = index.call(Method::PUT, &peer).bearer_auth(&eve.token);
    let announced = announce.json(&eve.announce(&key)).send().await.unwrap();
    assert_eq!(announced.status(), StatusCode::OK);
    Scene { index, eve, peer }
}

impl Scene {
    async fn get(&self, path: &str) -> reqwest::Response {
        self.index.get(path).bearer_auth(&self.eve.token).send().await.unwrap()
    }

    /// Sends a body as it is, and asserts that it is told to be wrong.
    async fn body_is_refused(&self, method: Method, path: &str, body: Vec<u8>) {
        let call = self.index.call(method, path).bearer_auth(&self.eve.token);
        let call = call.header("content-type", "application/json").body(body);
        assert_problem(call.send().await.unwrap(), ProblemKind::InvalidRequest).await;
    }

    /// The index serves on, and nothing strange has got in.
    async fn is_untouched(&self) {
        let page: Value = self.get(&format!("{}/files", self.peer)).await.json().await.unwrap();
        assert_eq!(page["entries"], json!([]));
        let groups: Value = self.get("/v1/groups").await.json().await.unwrap();
        assert_eq!(groups["groups"], json!([]));
        let metrics = self.get("/metrics").await.text().await.unwrap();
        assert!(!metrics.contains("status=\"5"), "{metrics}");
    }
}

/// `template` with each strange text in the place of `@`, as JSON takes it.
fn bodies(template: &Value) -> Vec<Vec<u8>> {
    let template = template.to_string();
    let (before, after) = template.split_once('@').unwrap();
    let mut inside: Vec<Vec<u8>> = NO_UTF_8.iter().map(|bytes| bytes.to_vec()).collect();
    // As they are, and as escapes: NUL, other control characters, half a surrogate pair.
    for text in ["\0", "\n", "\u{7f}"] {
        inside.push(text.into());
    }
    for escape in ["\\u0000", "\\u001b[31m", "\\ud800", "\\udc00\\ud800", "\\x00", "\\u12"] {
        inside.push(escape.into());
    }
    let whole = |middle: Vec<u8>| [before.as_bytes(), &middle, after.as_bytes()].concat();
    inside.into_iter().map(whole).collect()
}

#[tokio::test]
async fn strange_bodies_are_refused() {
    let scene = scene().await;
    let content = ContentId::from_bytes([7; 32]);
    let files = format!("{}/files", scene.peer);
    let publish = |path: &str, visibility: &str| {
        let entry =
            json!({ "path": path, "content": content, "size": 1, "visibility": visibility });
        json!({ "changes": [{ "publish": entry }] })
    };
    let fields = [
        (Method::POST, "/v1/users", json!({ "username": "a@b", "password": "long enough" })),
        (Method::POST, "/v1/sessions", json!({ "username": "eve@", "password": "long enough" })),
        (Method::POST, "/v1/groups", json!({ "name": "a@b" })),
        (Method::POST, "/v1/groups/friends/members", json!({ "username": "eve@" })),
        (Method::PUT, "/v1/groups/friends/owner", json!({ "owner": "eve@" })),
        (Method::POST, "/v1/invites", json!({ "group": "a@b" })),
        (Method::POST, "/v1/push-grants", json!({ "user": "eve@", "content": content })),
        (Method::POST, "/v1/push-grants", json!({ "user": "eve", "content": "@" })),
        (Method::POST, "/v1/grants", json!({ "contents": ["@"] })),
        (Method::POST, "/v1/grants", json!({ "contents": [content], "peer": "@" })),
        (Method::POST, &files, publish("music/so@ng.flac", "public")),
        (Method::POST, &files, publish("@", "public")),
        (Method::POST, &files, publish("fine.txt", "group:a@")),
        (Method::POST, &files, json!({ "changes": [{ "withdraw": "a@b" }] })),
        (Method::POST, &files, json!({ "changes": [{ "@": "a" }] })),
    ];
    for (method, path, template) in &fields {
        for body in bodies(template) {
            scene.body_is_refused(method.clone(), path, body).await;
        }
        // All of it in another encoding, or nothing but NUL.
        let text = template.to_string();
        let utf_16 = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        scene.body_is_refused(method.clone(), path, utf_16).await;
        scene.body_is_refused(method.clone(), path, vec![0; 1000]).await;
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        scene.body_is_refused(method.clone(), path, marked).await;
    }
    scene.is_untouched().await;
}

/// A password is what its owner types: characters that names cannot have are no fault, bytes that are no text are.
#[tokio::test]
async fn strange_passwords_are_text() {
    let index = start().await;
    let user = json!({ "username": "alice", "password": "nul \0 and escape \u{1b}" });
    let made = index.post("/v1/users", &user).send().await.unwrap();
    assert!(matches!(made.status().as_u16(), 201 | 400), "{}", made.status());
    for bytes in NO_UTF_8 {
        let body = [b"{\"username\":\"bob\",\"password\":\"long enough ", bytes, b"\"}"].concat();
        let call = index.call(Method::POST, "/v1/users").header("content-type", "application/json");
        assert_problem(call.body(body).send().await.unwrap(), ProblemKind::InvalidRequest).await;
    }
}

#[tokio::test]
async fn strange_paths_and_queries_are_refused() {
    let scene = scene().await;
    let content = ContentId::from_bytes([7; 32]);
    let strange =
        ["%00", "a%00b", "%ff%fe", "%c0%af", "%ed%a0%80", "%e2%82", "%1b%5b31m", "%0d%0a"];
    for part in strange {
        let paths = [
            format!("/v1/users/{part}/files"),
            format!("/v1/groups/{part}/members"),
            format!("/v1/contents/{part}"),
            format!("/v1/peers/{part}/files"),
            format!("/v1/users/eve/files?path={part}"),
            format!("/v1/users/eve/files?path=music%2F{part}"),
            format!("/v1/users/eve/files?cursor={part}"),
            format!("{}/files?after={part}", scene.peer),
            format!("{}/files?limit={part}", scene.peer),
            format!("/v1/search?cursor={part}"),
            format!("/v1/search?owner={part}"),
            format!("/v1/search?kind={part}"),
            format!("/v1/search?{part}=1"),
        ];
        for path in paths {
            assert_problem(scene.get(&path).await, ProblemKind::InvalidRequest).await;
        }
        let text = ["%00", "a%00b", "%1b%5b31m", "%0d%0a"].contains(&part);
        for path in [format!("/v1/search?q=x{part}"), format!("/v1/search?ext=x{part}")] {
            let found = scene.get(&path).await;
            if !text {
                assert_problem(found, ProblemKind::InvalidRequest).await;
                continue;
            }
            // Whatever is text can be searched for; nothing has these.
            assert_eq!(found.status(), StatusCode::OK, "{path}");
            let found: Value = found.json().await.unwrap();
            assert_eq!((&found["hits"], found.get("next")), (&json!([]), None), "{path}");
        }
        let source = format!("/v1/contents/{content}/sources/{part}");
        let calls = [
            (Method::DELETE, format!("/v1/invites/{part}")),
            (Method::PUT, source),
            (Method::POST, format!("/v1/peers/{part}/heartbeat")),
            (Method::DELETE, format!("/v1/groups/friends/members/{part}")),
        ];
        for (method, path) in calls {
            let answer = scene.index.call(method, &path).bearer_auth(&scene.eve.token);
            let answer = answer.send().await.unwrap();
            let told = answer.status();
            assert!(matches!(told.as_u16(), 400 | 404), "{path}: {told}");
        }
    }
    scene.is_untouched().await;
}

#[tokio::test]
async fn strange_heads_are_refused() {
    let scene = scene().await;
    let get = |line: &[u8]| [b"GET ", line, b" HTTP/1.1\r\nhost: x\r\n\r\n"].concat();
    let header = |line: &[u8]| [b"GET /v1/me HTTP/1.1\r\nhost: x\r\n", line, b"\r\n\r\n"].concat();
    let mut heads = vec![
        get(b"/\0"),
        get(b"/v1/search?q=\0"),
        get(b"/a b"),
        header(b"authorization: Bearer \0"),
        header(b"x\0y: z"),
        header(b"x y: z"),
        header(b": z"),
        header(b"authorization: Bearer \xff\xfe"),
        header(b"x-request-id: \xff\xfe\x01"),
        // Two lengths, or a length that is none: nobody shall disagree on where a request ends.
        header(b"content-length: 1\r\ncontent-length: 2"),
        header(b"content-length: -1"),
        header(b"content-length: 1e9"),
        header(b"content-length: 99999999999999999999999"),
        header(b"transfer-encoding: chunked, gzip"),
        header(b"transfer-encoding: xchunked"),
        b"GET /v1/me HTTP/9.9\r\nhost: x\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        vec![0; 1000],
        vec![0xff; 1000],
    ];
    for bytes in NO_UTF_8 {
        heads.push(get(&[b"/v1/users/", bytes, b"/files"].concat()));
        heads.push(get(&[b"/v1/search?q=", bytes].concat()));
    }
    for head in heads {
        let mut socket = TcpStream::connect(scene.index.address).await.unwrap();
        socket.write_all(&head).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(LONG, socket.read_to_end(&mut answer)).await.expect("it is closed");
        let answer = String::from_utf8_lossy(&answer);
        let first = answer.split("\r\n").next().unwrap();
        let known = ["HTTP/1.1 400 ", "HTTP/1.1 401 "].iter().any(|one| first.starts_with(one));
        assert!(known || first.is_empty(), "{:?}: {first}", String::from_utf8_lossy(&head));
        assert!(!answer.contains('\0'), "{answer}");
    }
    scene.is_untouched().await;
}

/// The fields of an object without their names, as a list: only what is documented is taken.
#[tokio::test]
async fn lists_are_no_objects() {
    let index = start().await;
    for body in ["[\"alice\",\"correct horse battery\",null]", " \n[]", "[[]]"] {
        let call = index.call(Method::POST, "/v1/users").header("content-type", "application/json");
        let answer = call.body(body).send().await.unwrap();
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
}
