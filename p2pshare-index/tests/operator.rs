//! What operators see and do, over real sockets.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{
    Login, PASSWORD, TestIndex, assert_problem, cheap_passwords, index_over, publish, start,
    start_router,
};
use p2pshare_core::{
    api::{
        AuditEvent, AuditOutcome, AuditPage, IndexLoad, InviteCreated, InvitePage, ProblemKind,
        UserOverview, UserOverviews,
    },
    auth::Verifier,
    backend::memory::MemoryStore,
    content::ContentId,
    identity::{PeerKey, Username},
    index::{
        Index, IndexConfig,
        model::KeptSessions,
        store::{CatalogStore, UserStore},
    },
};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

async fn get<T: serde::de::DeserializeOwned>(index: &TestIndex, who: &Login, path: &str) -> T {
    let answer = index.get(path).bearer_auth(&who.token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

async fn change(index: &TestIndex, who: &Login, user: &str, body: Value) -> reqwest::Response {
    let path = format!("/v1/operator/users/{user}");
    index.call(Method::PATCH, &path).bearer_auth(&who.token).json(&body).send().await.unwrap()
}

/// The first user of an index is its operator.
async fn with_operator() -> (TestIndex, Login) {
    let index = start().await;
    let root = index.user("root").await;
    (index, root)
}

async fn announced(index: &TestIndex, who: &Login, files: u8) -> PeerKey {
    let key = PeerKey::generate().unwrap();
    let peer = format!("/v1/peers/{}", key.peer_id());
    let announce = index.call(Method::PUT, &peer).bearer_auth(&who.token).json(&who.announce(&key));
    assert_eq!(announce.send().await.unwrap().status(), StatusCode::OK);
    for number in 0..files {
        let batch = publish(&format!("file {number}"), ContentId::from_bytes([number; 32]), 1000);
        let send = index.post(&format!("{peer}/files"), &json!(batch)).bearer_auth(&who.token);
        assert_eq!(send.send().await.unwrap().status(), StatusCode::OK);
    }
    key
}

#[tokio::test]
async fn users_are_seen_with_what_is_theirs() {
    let (index, root) = with_operator().await;
    for name in ["alice", "al", "bob"] {
        index.register(name).await;
    }
    let alice = index.log_in("alice").await;
    announced(&index, &alice, 3).await;

    let all: UserOverviews = get(&index, &root, "/v1/operator/users").await;
    let names: Vec<_> = all.users.iter().map(|user| user.username.as_str()).collect();
    assert_eq!(names, ["al", "alice", "bob", "root"]);
    assert_eq!(all.next, None);
    let told = &all.users[1];
    assert_eq!((told.sessions, told.peers, told.online), (1, 1, 1));
    assert_eq!((told.files, told.bytes), (3, 3000));
    assert!(told.last_seen.is_some() && !told.operator && !told.disabled);
    assert!(all.users[3].operator);

    let page: UserOverviews = get(&index, &root, "/v1/operator/users?prefix=AL&limit=1").await;
    assert_eq!((page.users.len(), page.next.as_ref().unwrap().as_str()), (1, "al"));
    let path = "/v1/operator/users?prefix=al&limit=1&after=al";
    let page: UserOverviews = get(&index, &root, path).await;
    assert_eq!((page.users[0].username.as_str(), page.next), ("alice", None));
    let none: UserOverviews = get(&index, &root, "/v1/operator/users?prefix=zz").await;
    assert_eq!(none.users, []);
    for wrong in ["prefix=%C3%A9", "prefix=a%20b", "limit=0", "limit=201", "after=-", "x=1"] {
        let path = format!("/v1/operator/users?{wrong}");
        let answer = index.get(&path).bearer_auth(&root.token).send().await.unwrap();
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
}

/// An operator who shares two files, and alice, who shares three.
struct Shared {
    store: Arc<MemoryStore>,
    inner: Index,
    index: TestIndex,
    alice: Login,
    peers: [PeerKey; 2],
}

impl Shared {
    async fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let inner = index_over(store.clone(), cheap_passwords(), IndexConfig::default());
        let api = router(inner.clone(), HttpOptions::default());
        let index = start_router(inner.clone(), api, ServerOptions::default()).await;
        let [root, alice] = [index.user("root").await, index.user("alice").await];
        let peers = [announced(&index, &root, 2).await, announced(&index, &alice, 3).await];
        Self { store, inner, index, alice, peers }
    }
}

/// As when whoever disabled the account did not wait for its end.
#[tokio::test]
async fn what_was_left_of_a_disabled_account_is_withdrawn_later() {
    let Shared { store, inner, peers, .. } = Shared::new().await;
    let left = async || {
        let mut left = Vec::new();
        for peer in &peers {
            left.push(store.count_entries(&peer.peer_id()).await.unwrap());
        }
        left
    };
    assert!(store.set_disabled(&"alice".parse().unwrap(), true).await.unwrap());
    assert_eq!(left().await, [2, 3]);
    inner.purge().await.unwrap();
    assert_eq!(left().await, [2, 0]);
}

/// As when the index ended while it deleted the account.
#[tokio::test]
async fn an_account_that_was_to_be_deleted_is_deleted_later() {
    let Shared { store, inner, index, alice, peers } = Shared::new().await;
    let name: Username = "alice".parse().unwrap();
    let gone = store.set_verifier(&name, &Verifier::gone(), None, KeptSessions::None).await;
    assert!(gone.unwrap());
    // Until then it is nobody's.
    let account = json!({ "username": "alice", "password": PASSWORD });
    let refused = index.get("/v1/me").bearer_auth(&alice.token).send().await.unwrap();
    assert_problem(refused, ProblemKind::NotLoggedIn).await;
    let refused = index.post("/v1/sessions", &account).send().await.unwrap();
    assert_problem(refused, ProblemKind::WrongCredentials).await;
    let taken = index.post("/v1/users", &account).send().await.unwrap();
    assert_eq!(taken.status(), StatusCode::CONFLICT);

    inner.purge().await.unwrap();
    assert_eq!(store.user(&name).await.unwrap(), None);
    for (peer, left) in peers.iter().zip([2, 0]) {
        assert_eq!(store.count_entries(&peer.peer_id()).await.unwrap(), left);
    }
    index.user("alice").await;
    inner.purge().await.unwrap();
    assert!(store.user(&name).await.unwrap().is_some());
}

#[tokio::test]
async fn disabling_ends_what_a_user_does() {
    let (index, root) = with_operator().await;
    let alice = index.user("alice").await;
    announced(&index, &alice, 1).await;

    let disabled = change(&index, &root, "alice", json!({ "disabled": true })).await;
    let disabled: UserOverview = disabled.json().await.unwrap();
    assert!(disabled.disabled);
    assert_eq!((disabled.sessions, disabled.online, disabled.files), (0, 0, 0));
    let refused = index.get("/v1/me").bearer_auth(&alice.token).send().await.unwrap();
    assert_problem(refused, ProblemKind::NotLoggedIn).await;
    let body = json!({ "username": "alice", "password": PASSWORD });
    let refused = index.post("/v1/sessions", &body).send().await.unwrap();
    assert_problem(refused, ProblemKind::AccountDisabled).await;

    let enabled = change(&index, &root, "ALICE", json!({ "disabled": false })).await;
    assert!(!enabled.json::<UserOverview>().await.unwrap().disabled);
    index.log_in("alice").await;
    let missing = change(&index, &root, "nobody", json!({ "disabled": true })).await;
    assert_problem(missing, ProblemKind::NotFound).await;
    let own = change(&index, &root, "root", json!({ "disabled": true })).await;
    let own = assert_problem(own, ProblemKind::Conflict).await;
    assert!(own.detail.contains("own account"));
    let own = change(&index, &root, "root", json!({ "disabled": false })).await;
    assert_eq!(own.status(), StatusCode::OK);
    for wrong in
        [json!({}), json!({ "disabled": 1 }), json!({ "disabled": true, "operator": true })]
    {
        let answer = change(&index, &root, "alice", wrong).await;
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
}

#[tokio::test]
async fn invites_of_all_are_seen_and_revoked() {
    let (index, root) = with_operator().await;
    let alice = index.user("alice").await;
    let mut codes = Vec::new();
    for (who, days) in [(&root, 1), (&alice, 3), (&alice, 2)] {
        let body = json!({ "valid_seconds": days * 86400, "uses": 2 });
        let made = index.post("/v1/invites", &body).bearer_auth(&who.token).send().await.unwrap();
        codes.push(made.json::<InviteCreated>().await.unwrap());
    }
    let all: InvitePage = get(&index, &root, "/v1/operator/invites").await;
    let makers: Vec<_> = all.invites.iter().map(|invite| invite.created_by.as_str()).collect();
    assert_eq!((makers, all.next), (vec!["alice", "alice", "root"], None));
    let mut seen = Vec::new();
    let mut path = "/v1/operator/invites?limit=1".to_owned();
    loop {
        let page: InvitePage = get(&index, &root, &path).await;
        seen.extend(page.invites);
        let Some(next) = page.next else { break };
        path = format!("/v1/operator/invites?limit=1&cursor={next}");
    }
    assert_eq!(seen, all.invites);
    let text = serde_json::to_string(&all.invites).unwrap();
    assert!(codes.iter().all(|made| !text.contains(&made.code)), "codes are told once");

    let path = format!("/v1/invites/{}", seen[0].id);
    let revoked = index.call(Method::DELETE, &path).bearer_auth(&root.token).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    let left: InvitePage = get(&index, &root, "/v1/operator/invites").await;
    assert_eq!(left.invites, &seen[1..]);
    for wrong in ["cursor=", "cursor=zz", "cursor=00", "limit=0"] {
        let path = format!("/v1/operator/invites?{wrong}");
        let answer = index.get(&path).bearer_auth(&root.token).send().await.unwrap();
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
}

#[tokio::test]
async fn load_counts_what_happened() {
    let (index, root) = with_operator().await;
    let alice = index.user("alice").await;
    let key = announced(&index, &alice, 2).await;
    let first: IndexLoad = get(&index, &root, "/v1/operator/load").await;
    let beat = format!("/v1/peers/{}/heartbeat", key.peer_id());
    for _ in 0..3 {
        let sent = index.post(&beat, &json!({})).bearer_auth(&alice.token).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    }
    let second: IndexLoad = get(&index, &root, "/v1/operator/load").await;
    assert_eq!(second.requests - first.requests, 4, "the first look and three heartbeats");
    assert_eq!(second.heartbeats - first.heartbeats, 3);
    assert!(second.request_micros > first.request_micros);
    assert_eq!((second.failed, second.in_flight), (0, 1));
    assert_eq!(second.process, first.process);
    assert_eq!(second.store.kind, "memory");
    assert!(second.store.answer_micros.is_some());
    let counts = second.counts.unwrap();
    assert_eq!((counts.users, counts.online, counts.files, counts.bytes), (2, 1, 2, 2000));
}

#[tokio::test]
async fn the_audit_log_says_who_was_let_into_which_group() {
    let (index, root) = with_operator().await;
    let alice = index.user("alice").await;
    index.register("bob").await;
    let post = |path: &str, body| index.post(path, &body).bearer_auth(&alice.token).send();
    post("/v1/groups", json!({ "name": "lab" })).await.unwrap().error_for_status().unwrap();
    let members = "/v1/groups/lab/members";
    post(members, json!({ "username": "bob" })).await.unwrap().error_for_status().unwrap();
    let remove = index.call(Method::DELETE, &format!("{members}/bob")).bearer_auth(&alice.token);
    remove.send().await.unwrap().error_for_status().unwrap();
    let page: AuditPage = get(&index, &root, "/v1/operator/audit?limit=3").await;
    let told = |event: &AuditEvent| (event.event.clone(), event.subject.clone().unwrap());
    let told: Vec<_> = page.events.iter().map(told).collect();
    let expected = [
        ("group-remove-member", "lab/bob"),
        ("group-add-member", "lab/bob"),
        ("group-create", "lab"),
    ];
    assert_eq!(told, expected.map(|(event, about)| (event.to_owned(), about.to_owned())));
}

#[tokio::test]
async fn the_audit_log_tells_the_newest_first_and_no_secret() {
    let (index, root) = with_operator().await;
    let alice = index.user("alice").await;
    let wrong = json!({ "username": "alice", "password": "a wrong password" });
    let refused = index.post("/v1/sessions", &wrong).send().await.unwrap();
    let id = refused.headers()["x-request-id"].to_str().unwrap().to_owned();
    let made =
        index.post("/v1/invites", &json!({})).bearer_auth(&alice.token).send().await.unwrap();
    let made: InviteCreated = made.json().await.unwrap();
    change(&index, &root, "alice", json!({ "disabled": true })).await;

    let page: AuditPage = get(&index, &root, "/v1/operator/audit").await;
    let events: Vec<_> = page.events.iter().map(|event| event.event.as_str()).collect();
    let expected =
        ["operator-disable", "invite-create", "login", "login", "register", "login", "register"];
    assert_eq!(events, expected);
    let numbers: Vec<_> = page.events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, [7, 6, 5, 4, 3, 2, 1]);
    let disabled = &page.events[0];
    assert_eq!((disabled.user.as_str(), disabled.subject.as_deref()), ("root", Some("alice")));
    let refused = &page.events[2];
    assert_eq!(refused.outcome, AuditOutcome::Refused);
    assert_eq!(refused.reason.as_deref(), Some("wrong-credentials"));
    assert_eq!((refused.client.as_str(), refused.request.as_str()), ("127.0.0.1", id.as_str()));
    let text = serde_json::to_string(&page).unwrap();
    for secret in [PASSWORD, "a wrong password", &alice.token, &root.token, &made.code] {
        assert!(!text.contains(secret));
    }

    let page: AuditPage = get(&index, &root, "/v1/operator/audit?limit=3").await;
    assert_eq!((page.events.len(), page.next), (3, Some(5)));
    let page: AuditPage = get(&index, &root, "/v1/operator/audit?limit=4&before=5").await;
    assert_eq!((page.events[0].number, page.events.len(), page.next), (4, 4, None));
    let page: AuditPage = get(&index, &root, "/v1/operator/audit?after=5").await;
    assert_eq!(page.events.len(), 2);
    let page: AuditPage = get(&index, &root, "/v1/operator/audit?after=7").await;
    assert_eq!((page.events.len(), page.next), (0, None));
    for wrong in ["limit=0", "limit=1001", "before=-1", "after=x"] {
        let path = format!("/v1/operator/audit?{wrong}");
        let answer = index.get(&path).bearer_auth(&root.token).send().await.unwrap();
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
}

/// Memory is bounded: the newest thousand are kept.
#[tokio::test]
async fn old_audit_events_give_way() {
    let (index, root) = with_operator().await;
    let gone = format!("/v1/invites/{}", "0".repeat(64));
    let revoke = || index.call(Method::DELETE, &gone).bearer_auth(&root.token).send();
    for _ in 0..11 {
        let hundred = futures::future::join_all((0..100).map(|_| revoke())).await;
        for answer in hundred {
            assert_eq!(answer.unwrap().status(), StatusCode::NOT_FOUND);
        }
    }
    let page: AuditPage = get(&index, &root, "/v1/operator/audit?limit=1000").await;
    assert_eq!((page.events.len(), page.next), (1000, None));
    assert_eq!(page.events[0].number, 1102);
    assert_eq!(page.events[999].number, 103);
}
