//! Tokens after the end of their session, through every call.

use std::{process::Stdio, sync::Arc, time::Duration};

use p2pshare_core::{
    api::ProblemKind,
    auth::{GrantSigner, SigningKeys},
    backend::memory::MemoryStore,
    content::ContentId,
    identity::{PeerKey, Username},
    index::{Index, IndexConfig, store::SessionStore},
    time::{Clock, ManualClock, Timestamp},
};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::common::{
    Login, PASSWORD, TestIndex, assert_problem, cheap_passwords, process, process::text, publish,
    start, start_router,
};

const NEW: &str = "another fine password";

/// The calls that need a session, with whatever in the place of their parameters.
fn calls() -> Vec<(Method, String)> {
    let document = serde_json::to_value(p2pshare_index::document()).unwrap();
    let mut calls = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            // Calls that anybody may make say so.
            if operation.get("security").is_none() {
                let method = method.to_uppercase().parse().unwrap();
                calls.push((method, path.replace(['{', '}'], "x")));
            }
        }
    }
    assert!(calls.len() > 20, "{calls:?}");
    calls
}

async fn call(base: &str, token: &str, method: Method, path: &str) -> Response {
    let request = Client::new().request(method, format!("{base}{path}"));
    request.bearer_auth(token).send().await.unwrap()
}

/// The token is good for nothing, whichever call it is sent with, and told from one that never was by nothing.
async fn is_over(base: &str, token: &str) {
    // Another token in its form.
    let never = "A".repeat(token.len());
    for (method, path) in calls() {
        let mut told = Vec::new();
        for token in [token, never.as_str()] {
            let answer = call(base, token, method.clone(), &path).await;
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            let mut problem = assert_problem(answer, ProblemKind::NotLoggedIn).await;
            problem.request_id = None;
            told.push(problem);
        }
        assert_eq!(told[0], told[1], "{method} {path}");
    }
    let ask = json!({ "contents": [ContentId::from_bytes([7; 32])] });
    let push = json!({ "user": "alice", "content": ContentId::from_bytes([7; 32]) });
    for (path, body) in [("/v1/grants", ask), ("/v1/push-grants", push)] {
        let request = Client::new().post(format!("{base}{path}")).bearer_auth(token);
        let answer = request.json(&body).send().await.unwrap();
        assert_problem(answer, ProblemKind::NotLoggedIn).await;
    }
}

async fn is_good(base: &str, token: &str) {
    let answer = call(base, token, Method::GET, "/v1/me").await;
    assert_eq!(answer.status(), StatusCode::OK);
    let ask = json!({ "contents": [ContentId::from_bytes([7; 32])] });
    let request = Client::new().post(format!("{base}/v1/grants")).bearer_auth(token);
    assert_eq!(request.json(&ask).send().await.unwrap().status(), StatusCode::OK);
}

fn base(index: &TestIndex) -> String {
    format!("http://{}", index.address)
}

#[tokio::test]
async fn a_token_ends_with_its_session() {
    let index = start().await;
    let base = base(&index);
    let bob = index.user("bob").await;
    index.register("alice").await;

    let [one, two] = [index.log_in("alice").await, index.log_in("alice").await];
    let out = call(&base, &one.token, Method::DELETE, "/v1/sessions/current").await;
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    is_over(&base, &one.token).await;
    is_good(&base, &two.token).await;

    let three = index.log_in("alice").await;
    let out = call(&base, &three.token, Method::DELETE, "/v1/sessions").await;
    assert_eq!(out.status(), StatusCode::OK);
    is_over(&base, &two.token).await;
    is_over(&base, &three.token).await;
    is_good(&base, &bob.token).await;
}

#[tokio::test]
async fn a_token_that_is_used_stays_good_and_one_that_is_not_ends() {
    const DAY: Duration = Duration::from_secs(86_400);
    let store = Arc::new(MemoryStore::new());
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let config =
        IndexConfig { session_lifetime: 30 * DAY, sessions_per_user: 2, ..IndexConfig::default() };
    let keys = SigningKeys::new(GrantSigner::generate().unwrap());
    let index = Index::new(store.clone(), cheap_passwords(), keys, clock.clone(), config);
    let routes = router(index.clone(), HttpOptions::default());
    let index = start_router(index, routes, ServerOptions::default()).await;
    let base = base(&index);
    index.register("alice").await;
    let [used, idle] = [index.log_in("alice").await, index.log_in("alice").await];
    let alice = Username::parse("alice").unwrap();
    let ends = async || {
        let sessions = store.sessions_of(&alice).await.unwrap();
        let mut ends: Vec<_> = sessions.iter().map(|it| it.expires_at.since(clock.now())).collect();
        ends.sort_unstable();
        ends
    };

    // Not every use is written.
    clock.advance(DAY / 2);
    is_good(&base, &used.token).await;
    assert_eq!(ends().await, [29 * DAY + DAY / 2; 2]);
    clock.advance(DAY);
    is_good(&base, &used.token).await;
    assert_eq!(ends().await, [28 * DAY + DAY / 2, 30 * DAY]);
    for _ in 0..20 {
        clock.advance(28 * DAY);
        is_good(&base, &used.token).await;
    }
    is_over(&base, &idle.token).await;

    // Of more than there may be, the one goes that was not used for the longest time.
    let newer = index.log_in("alice").await;
    clock.advance(2 * DAY);
    is_good(&base, &used.token).await;
    let newest = index.log_in("alice").await;
    is_over(&base, &newer.token).await;
    is_good(&base, &used.token).await;
    is_good(&base, &newest.token).await;

    // It ends all the same with a logout.
    clock.advance(10 * DAY);
    let out = call(&base, &used.token, Method::DELETE, "/v1/sessions/current").await;
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    is_over(&base, &used.token).await;
}

#[tokio::test]
async fn a_new_password_ends_the_tokens_of_the_old_one() {
    let index = start().await;
    let base = base(&index);
    let stolen = index.user("alice").await;
    let own = index.log_in("alice").await;

    let change = json!({ "current": PASSWORD, "new": NEW });
    let change = index.call(Method::PUT, "/v1/me/password").bearer_auth(&own.token).json(&change);
    assert_eq!(change.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    is_over(&base, &stolen.token).await;
    is_good(&base, &own.token).await;

    let delete = index.call(Method::DELETE, "/v1/me").bearer_auth(&own.token);
    let delete = delete.json(&json!({ "password": NEW })).send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    is_over(&base, &own.token).await;
    // Who takes the name is somebody else.
    index.register("alice").await;
    is_over(&base, &own.token).await;
}

/// The operator works beside the running index, on the same store.
#[tokio::test]
async fn an_operator_ends_tokens_and_grants() {
    let dir = tempfile::tempdir().unwrap();
    let data = ["--data-dir", text(dir.path())];
    let running = process::started(&data).await;
    let index = TestClient { base: running.url.clone() };
    let mut alice = index.user("alice").await;
    let bob = index.user("bob").await;
    // Alice's peer is a source for what bob looks for.
    let key = PeerKey::generate().unwrap();
    let peer = format!("/v1/peers/{}", key.peer_id());
    index.put(&peer, &alice, &json!(alice.announce(&key))).await;
    let batch = publish("music/song.flac", ContentId::from_bytes([7; 32]), 4711);
    let path = format!("{}{peer}/files", index.base);
    let published = Client::new().post(path).bearer_auth(&alice.token).json(&batch).send().await;
    assert_eq!(published.unwrap().status(), StatusCode::OK);
    assert_eq!(index.sources(&bob).await, 1);

    operator(&data, "disable", None).await;
    is_over(&index.base, &alice.token).await;
    assert_eq!(index.sources(&bob).await, 0, "nobody is sent to a disabled user's peers");
    let push = json!({ "user": "alice", "content": ContentId::from_bytes([7; 32]) });
    let push = Client::new().post(format!("{}/v1/push-grants", index.base)).json(&push);
    let push = push.bearer_auth(&bob.token).send().await.unwrap();
    assert_problem(push, ProblemKind::NotFound).await;

    operator(&data, "enable", None).await;
    is_over(&index.base, &alice.token).await;
    alice = index.log_in("alice", PASSWORD).await;
    is_good(&index.base, &alice.token).await;
    operator(&data, "reset-password", Some(NEW)).await;
    is_over(&index.base, &alice.token).await;
    alice = index.log_in("alice", NEW).await;
    is_good(&index.base, &alice.token).await;
    is_good(&index.base, &bob.token).await;
    assert_eq!(running.stop().await, (Some(0), String::new()));
}

/// `p2pshare-index user COMMAND alice`.
async fn operator(data: &[&str], command: &str, password: Option<&str>) {
    let mut arguments = vec!["user", command, "alice"];
    arguments.extend(data);
    if password.is_some() {
        arguments.push("--password-stdin");
    }
    let mut child = process::program(&arguments);
    let mut child = child.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{}\n", password.unwrap_or_default()).as_bytes()).await.unwrap();
    drop(input);
    assert!(child.wait_with_output().await.unwrap().status.success());
}

struct TestClient {
    base: String,
}

impl TestClient {
    async fn user(&self, name: &str) -> Login {
        let body = json!({ "username": name, "password": PASSWORD });
        let made = Client::new().post(format!("{}/v1/users", self.base)).json(&body).send().await;
        assert_eq!(made.unwrap().status(), StatusCode::CREATED);
        self.log_in(name, PASSWORD).await
    }

    async fn log_in(&self, name: &str, password: &str) -> Login {
        let body = json!({ "username": name, "password": password });
        let path = format!("{}/v1/sessions", self.base);
        Login::opened(Client::new().post(path).json(&body).send().await.unwrap()).await
    }

    async fn put(&self, path: &str, who: &Login, body: &Value) {
        let call = Client::new().put(format!("{}{path}", self.base)).bearer_auth(&who.token);
        assert_eq!(call.json(body).send().await.unwrap().status(), StatusCode::OK);
    }

    /// How many sources of the one file `who` is told.
    async fn sources(&self, who: &Login) -> usize {
        let ask = json!({ "contents": [ContentId::from_bytes([7; 32])] });
        let call = Client::new().post(format!("{}/v1/grants", self.base)).bearer_auth(&who.token);
        let grants: Value = call.json(&ask).send().await.unwrap().json().await.unwrap();
        grants["contents"][0]["sources"].as_array().map_or(0, Vec::len)
    }
}

/// A call whose head the index has taken, and whose body is held back.
struct HeldBack {
    socket: TcpStream,
    body: String,
}

impl HeldBack {
    async fn call(index: &TestIndex, method: &str, path: &str, token: &str, body: &Value) -> Self {
        let body = body.to_string();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: index\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
            body.len()
        );
        let mut socket = TcpStream::connect(index.address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        // It says so once it reads the body: whose call it is has been looked at by then.
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            said.push(socket.read_u8().await.unwrap());
        }
        assert!(said.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&said));
        Self { socket, body }
    }

    async fn finish(mut self) -> u16 {
        self.socket.write_all(self.body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.socket.read_to_string(&mut answer).await.unwrap();
        answer["HTTP/1.1 ".len()..][..3].parse().unwrap()
    }
}

#[tokio::test]
async fn a_call_that_is_held_back_ends_with_its_session() {
    let index = start().await;
    let (root, eve) = (index.user("root").await, index.user("eve").await);
    index.index.set_operator(&eve.user, true).await.unwrap();
    let enable = json!({ "disabled": false });
    let disable = json!({ "disabled": true });
    let operator = "/v1/operator/users";
    let held = |path: String, body: Value| {
        let (index, token) = (&index, eve.token.clone());
        async move { HeldBack::call(index, "PATCH", &path, &token, &body).await }
    };
    // One that goes on.
    let good = held(format!("{operator}/root"), enable.clone()).await;
    assert_eq!(good.finish().await, 200);

    // Who is no operator any more.
    let late = held(format!("{operator}/root"), disable.clone()).await;
    index.index.set_operator(&eve.user, false).await.unwrap();
    assert_eq!(late.finish().await, 403);
    index.index.set_operator(&eve.user, true).await.unwrap();

    // Who is disabled.
    let late = held(format!("{operator}/root"), disable.clone()).await;
    index.index.set_disabled(&eve.user, true).await.unwrap();
    assert_eq!(late.finish().await, 401);
    let status = call(&base(&index), &root.token, Method::GET, "/v1/me").await.status();
    assert_eq!(status, StatusCode::OK);

    // Whose session has ended, and who has another one.
    let group = json!({ "name": "club" });
    let late = HeldBack::call(&index, "POST", "/v1/groups", &root.token, &group).await;
    let ended = call(&base(&index), &root.token, Method::DELETE, "/v1/sessions").await;
    assert!(ended.status().is_success());
    let again = index.log_in("root").await;
    assert_eq!(late.finish().await, 401);
    let groups = call(&base(&index), &again.token, Method::GET, "/v1/groups").await;
    assert!(!groups.text().await.unwrap().contains("club"));
}
