//! A private group, as somebody who is not in it sees it: through no call does it exist.
//!
//! There are two worlds. In one, alice and bob have a group and share files with it; in the other they have none.
//! Eve, who knows every name and every content id, makes the same requests in both and must get the same answers.

use std::sync::Arc;

use p2pshare_core::{
    api::{CatalogChange, Entry, ProblemKind, PublishRequest},
    backend::sqlite::SqliteStore,
    content::ContentId,
    identity::{PeerId, PeerKey},
    index::IndexConfig,
};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::common::{Login, TestIndex, assert_problem, cheap_passwords, index_over, start_router};

/// Shared with the group only.
pub(super) const SECRET: ContentId = ContentId::from_bytes([1; 32]);
/// Shared with everybody by alice, and in the group under another name by bob.
pub(super) const KNOWN: ContentId = ContentId::from_bytes([2; 32]);

pub(super) struct Peers {
    pub(super) alice: PeerKey,
    pub(super) bob: PeerKey,
    pub(super) eve: PeerKey,
}

pub(super) struct World {
    index: TestIndex,
    pub(super) alice: Login,
    pub(super) bob: Login,
    pub(super) eve: Login,
}

pub(super) fn entry(path: &str, content: ContentId, size: u64, visibility: &str) -> CatalogChange {
    CatalogChange::Publish(Entry {
        path: path.parse().unwrap(),
        content,
        size,
        visibility: visibility.parse().unwrap(),
    })
}

impl World {
    pub(super) async fn new(peers: &Peers, with_group: bool) -> Self {
        let store = Arc::new(SqliteStore::open_in_memory().unwrap());
        let index = index_over(store, cheap_passwords(), IndexConfig::default());
        let api = router(index.clone(), HttpOptions::default());
        let index = start_router(index, api, ServerOptions::default()).await;
        let alice = index.user("alice").await;
        let bob = index.user("bob").await;
        let eve = index.user("eve").await;
        let world = Self { index, alice, bob, eve };
        for (who, key) in
            [(&world.alice, &peers.alice), (&world.bob, &peers.bob), (&world.eve, &peers.eve)]
        {
            let path = format!("/v1/peers/{}", key.peer_id());
            world.done(who, Method::PUT, &path, Some(json!(who.announce(key)))).await;
        }
        let public = vec![
            entry("music/song.flac", KNOWN, 4711, "public"),
            entry("music/other.flac", ContentId::from_bytes([3; 32]), 1, "public"),
        ];
        world.publish(&world.alice, &peers.alice, public).await;
        if with_group {
            world.share_with_group(peers).await;
        }
        world
    }

    async fn share_with_group(&self, peers: &Peers) {
        let members = "/v1/groups/secret/members";
        self.done(&self.alice, Method::POST, "/v1/groups", Some(json!({ "name": "secret" }))).await;
        self.done(&self.alice, Method::POST, members, Some(json!({ "username": "bob" }))).await;
        let invite = Some(json!({ "group": "secret" }));
        self.done(&self.alice, Method::POST, "/v1/invites", invite).await;
        let shared = vec![
            entry("plans/takeover.pdf", SECRET, 99, "group:secret"),
            entry("music/live/takeover.mp3", ContentId::from_bytes([4; 32]), 5, "group:secret"),
        ];
        self.publish(&self.alice, &peers.alice, shared).await;
        let shared = vec![
            entry("takeover/song by another name.flac", KNOWN, 4711, "group:secret"),
            entry("takeover/song of another size.flac", KNOWN, 4712, "group:secret"),
            entry("plans/takeover.pdf", SECRET, 99, "group:secret"),
        ];
        self.publish(&self.bob, &peers.bob, shared).await;
    }

    pub(super) async fn publish(&self, who: &Login, key: &PeerKey, changes: Vec<CatalogChange>) {
        let path = format!("/v1/peers/{}/files", key.peer_id());
        let body = json!(PublishRequest::new(changes));
        self.done(who, Method::POST, &path, Some(body)).await;
    }

    pub(super) async fn ask(
        &self,
        who: &Login,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Response {
        let mut call = self.index.call(method, path).bearer_auth(&who.token);
        if let Some(body) = body {
            call = call.json(&body);
        }
        call.send().await.unwrap()
    }

    pub(super) async fn done(&self, who: &Login, method: Method, path: &str, body: Option<Value>) {
        let answer = self.ask(who, method, path, body).await;
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }
}

/// Everything of an answer but what is another each time: its id, times, and what is signed or random.
async fn seen(answer: Response) -> String {
    let status = answer.status();
    let mut headers: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let text = answer.text().await.unwrap();
    let mut body: Value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    blur(&mut body);
    format!("{status}\n{headers:#?}\n{body:#}")
}

fn blur(value: &mut Value) {
    const CHANGING: [&str; 7] =
        ["request_id", "published_at", "created_at", "expires_at", "grant", "time", "asked_at"];
    match value {
        Value::Object(map) => {
            // The reach of a group is made of when that was made.
            if map.contains_key("created_at")
                && let Some(reach) = map.get_mut("reach")
            {
                assert_ne!(*reach, "everyone");
                *reach = json!("blurred");
            }
            for (key, value) in map {
                match value {
                    Value::String(_) | Value::Number(_) if CHANGING.contains(&key.as_str()) => {
                        *value = json!("blurred");
                    }
                    other => blur(other),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(blur),
        _ => {}
    }
}

pub(super) type Call = (Method, String, Option<Value>);

/// Calls that tell something to a member, and change nothing.
pub(super) fn looking(eve: PeerId) -> Vec<Call> {
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let both = json!([SECRET, KNOWN]);
    let mut calls = vec![
        get("/v1/search?q=takeover"),
        get("/v1/search?q=take&limit=1"),
        get("/v1/search?q=song"),
        get("/v1/search?q=song&sort=sources"),
        get("/v1/search?q=plans+pdf"),
        get("/v1/search?ext=pdf"),
        get("/v1/search?kind=document"),
        get("/v1/search?owner=alice&limit=1"),
        get("/v1/search?owner=bob"),
        get("/v1/search?min_size=99&max_size=99"),
        get("/v1/search?sort=newest"),
        get("/v1/search"),
        get("/v1/users/alice/files"),
        get("/v1/users/alice/files?limit=1"),
        get("/v1/users/alice/files?recursive=true"),
        get("/v1/users/alice/files?path=music"),
        get("/v1/users/alice/files?path=plans"),
        get("/v1/users/alice/files?path=plans/takeover.pdf"),
        get("/v1/users/alice/files?path=music/live&recursive=true"),
        get("/v1/users/bob/files"),
        get("/v1/users/bob/files?recursive=true"),
        get(&format!("/v1/contents/{SECRET}")),
        get(&format!("/v1/contents/{KNOWN}")),
        get("/v1/groups"),
        get("/v1/groups/secret/members"),
    ];
    for peer in [Some(eve), None] {
        let ask = match peer {
            Some(peer) => json!({ "contents": both, "peer": peer, "max_sources": 100 }),
            None => json!({ "contents": both }),
        };
        calls.push((Method::POST, "/v1/grants".to_owned(), Some(ask)));
    }
    calls
}

/// Calls that would change something if they were let.
fn meddling(eve: PeerId) -> Vec<Call> {
    let call = |method, path: &str, body| (method, path.to_owned(), body);
    let into_group = json!({ "changes": [
        { "publish": { "path": "x.txt", "content": KNOWN, "size": 1, "visibility": "group:secret" } },
    ] });
    let mixed = json!({ "changes": [
        { "publish": { "path": "fine.txt", "content": KNOWN, "size": 1 } },
        { "publish": { "path": "x.txt", "content": KNOWN, "size": 1, "visibility": "group:secret" } },
    ] });
    vec![
        call(Method::POST, &format!("/v1/peers/{eve}/files"), Some(into_group)),
        call(Method::POST, &format!("/v1/peers/{eve}/files"), Some(mixed)),
        call(Method::GET, &format!("/v1/peers/{eve}/files"), None),
        call(Method::PUT, &format!("/v1/contents/{SECRET}/sources/{eve}"), None),
        call(Method::DELETE, &format!("/v1/contents/{SECRET}/sources/{eve}"), None),
        call(Method::POST, "/v1/push-grants", Some(json!({ "user": "bob", "content": SECRET }))),
        call(Method::POST, "/v1/invites", Some(json!({ "group": "secret" }))),
        call(Method::GET, "/v1/invites", None),
        call(Method::POST, "/v1/groups/secret/members", Some(json!({ "username": "eve" }))),
        call(Method::POST, "/v1/groups/secret/members", Some(json!({ "username": "nobody" }))),
        call(Method::DELETE, "/v1/groups/secret/members/eve", None),
        call(Method::DELETE, "/v1/groups/secret/members/bob", None),
        call(Method::DELETE, "/v1/groups/secret/members/alice", None),
        call(Method::DELETE, "/v1/groups/secret/members/nobody", None),
        call(Method::PUT, "/v1/groups/secret/owner", Some(json!({ "owner": "eve" }))),
        call(Method::PUT, "/v1/groups/secret/owner", Some(json!({ "owner": "bob" }))),
        call(Method::DELETE, "/v1/groups/secret", None),
    ]
}

pub(super) fn peers() -> Peers {
    let key = || PeerKey::generate().unwrap();
    Peers { alice: key(), bob: key(), eve: key() }
}

/// Asserts that `left` and `right` answer `call` alike.
pub(super) async fn alike(call: &Call, left: (&World, &Login), right: (&World, &Login)) {
    let (method, path, body) = call;
    let mut told = Vec::new();
    for (world, who) in [left, right] {
        told.push(seen(world.ask(who, method.clone(), path, body.clone()).await).await);
    }
    assert_eq!(told[0], told[1], "{method} {path}");
}

#[tokio::test]
async fn for_others_it_does_not_exist() {
    let peers = peers();
    let with = World::new(&peers, true).await;
    let without = World::new(&peers, false).await;

    let eve = peers.eve.peer_id();
    for call in looking(eve).iter().chain(&meddling(eve)) {
        alike(call, (&with, &with.eve), (&without, &without.eve)).await;
    }
    // All is still there for those who are in it.
    let members = with.ask(&with.bob, Method::GET, "/v1/groups/secret/members", None).await;
    let members: Value = members.json().await.unwrap();
    assert_eq!(members["members"], json!(["alice", "bob"]));
    let found = with.ask(&with.bob, Method::GET, "/v1/search?q=takeover", None).await;
    assert_eq!(found.json::<Value>().await.unwrap()["hits"].as_array().unwrap().len(), 4);
}

/// The test above would see a difference if there were one: a member sees it through each call that tells anything.
#[tokio::test]
async fn for_members_it_does_exist() {
    let peers = peers();
    let with = World::new(&peers, true).await;
    let without = World::new(&peers, false).await;
    let bob = peers.bob.peer_id();
    for (method, path, body) in looking(bob) {
        let there = seen(with.ask(&with.bob, method.clone(), &path, body.clone()).await).await;
        let not_there = seen(without.ask(&without.bob, method.clone(), &path, body).await).await;
        assert_ne!(there, not_there, "{method} {path}");
    }
}

#[tokio::test]
async fn a_claim_of_ones_own_tells_nothing_of_the_others() {
    let peers = peers();
    let with = World::new(&peers, true).await;
    let without = World::new(&peers, false).await;
    for world in [&with, &without] {
        let claim = vec![entry("mine.pdf", SECRET, 99, "public")];
        world.publish(&world.eve, &peers.eve, claim).await;
    }
    for call in looking(peers.eve.peer_id()) {
        alike(&call, (&with, &with.eve), (&without, &without.eve)).await;
    }
}

#[tokio::test]
async fn who_is_removed_sees_nothing_from_the_next_request_on() {
    let peers = peers();
    let with = World::new(&peers, true).await;
    let without = World::new(&peers, false).await;
    let eve = json!({ "username": "eve" });
    let members = "/v1/groups/secret/members";
    with.done(&with.alice, Method::POST, members, Some(eve)).await;
    let ask = Some(json!({ "contents": [SECRET] }));
    let granted = with.ask(&with.eve, Method::POST, "/v1/grants", ask.clone()).await;
    let granted: Value = granted.json().await.unwrap();
    assert_eq!(granted["contents"].as_array().unwrap().len(), 1);
    let page = with.ask(&with.eve, Method::GET, "/v1/search?q=takeover&limit=1", None).await;
    let page: Value = page.json().await.unwrap();
    let cursor = page["next"].as_str().unwrap().to_owned();

    with.done(&with.alice, Method::DELETE, &format!("{members}/eve"), None).await;
    let eve = peers.eve.peer_id();
    let mut calls = looking(eve);
    // The rest of a search that was begun as a member.
    let rest = format!("/v1/search?q=takeover&limit=1&cursor={cursor}");
    calls.push((Method::GET, rest, None));
    for call in calls.iter().chain(&meddling(eve)) {
        alike(call, (&with, &with.eve), (&without, &without.eve)).await;
    }
}

#[tokio::test]
async fn nothing_of_a_deleted_group_comes_back_with_its_name() {
    let peers = peers();
    let with = World::new(&peers, true).await;
    let without = World::new(&peers, false).await;
    with.done(&with.alice, Method::DELETE, "/v1/groups/secret", None).await;
    let group = Some(json!({ "name": "secret" }));
    for world in [&with, &without] {
        world.done(&world.eve, Method::POST, "/v1/groups", group.clone()).await;
    }
    for call in looking(peers.eve.peer_id()) {
        alike(&call, (&with, &with.eve), (&without, &without.eve)).await;
    }
}

/// The one call that cannot keep it: two groups cannot have one name. ARCHITECTURE says so.
#[tokio::test]
async fn that_a_name_is_taken_is_all_that_can_be_found_out() {
    let with = World::new(&peers(), true).await;
    let group = Some(json!({ "name": "secret" }));
    let answer = with.ask(&with.eve, Method::POST, "/v1/groups", group).await;
    let problem = assert_problem(answer, ProblemKind::AlreadyExists).await;
    assert_eq!(problem.detail, "group secret exists already");
    let answer = with.ask(&with.eve, Method::GET, "/v1/groups", None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.json::<Value>().await.unwrap()["groups"], json!([]));
}
