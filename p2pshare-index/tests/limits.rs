//! What one client may take: bytes, time, attempts, company.
#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use common::{
    PASSWORD, assert_problem, index, index_with, limited, meanwhile::Meanwhile, publish, start,
    start_router, start_with,
};
use p2pshare_core::{
    api::{CatalogChange, Entry, Grants, InviteCreated, ProblemKind, PublishRequest, Published},
    content::ContentId,
    identity::PeerKey,
    index::IndexConfig,
    path::SharePath,
};
use p2pshare_index::{HttpOptions, RateLimits, ServerOptions, router};
use reqwest::{Body, Method, StatusCode};
use serde_json::json;
use tokio::sync::oneshot;

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn large_bodies_are_refused_and_large_batches_fit() {
    let index = start().await;
    let alice = index.user("alice").await;

    let huge = vec![b' '; 8 << 20];
    let request = index.call(Method::POST, "/v1/users").header("content-type", "application/json");
    // The index answers before it has read all, so the rest may not find a reader.
    if let Ok(answer) = request.body(huge).send().await {
        assert_problem(answer, ProblemKind::TooLarge).await;
    }
    let just_too_large = vec![b' '; (64 << 10) + 1];
    let request = index.call(Method::POST, "/v1/users").header("content-type", "application/json");
    let answer = request.body(just_too_large.clone()).send().await.unwrap();
    assert_problem(answer, ProblemKind::TooLarge).await;
    // The same without a length told beforehand.
    let chunks = just_too_large.chunks(1000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec()));
    let body = Body::wrap(http_body_util::StreamBody::new(futures::stream::iter(
        chunks
            .map(|chunk| chunk.map(|bytes| http_body::Frame::data(bytes::Bytes::from(bytes))))
            .collect::<Vec<_>>(),
    )));
    let request = index.call(Method::POST, "/v1/users").header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    assert_problem(answer, ProblemKind::TooLarge).await;

    let key = PeerKey::generate().unwrap();
    let peer = format!("/v1/peers/{}", key.peer_id());
    let announce = index.call(Method::PUT, &peer).bearer_auth(&alice.token);
    assert!(announce.json(&alice.announce(&key)).send().await.unwrap().status().is_success());
    // Cutting a thousand of the longest paths into words takes code that is not optimised long, so the batch that is
    // sent withdraws them; to publish them takes little more.
    let (publish, withdraw) = largest_batches();
    let length = |batch| serde_json::to_vec(batch).unwrap().len();
    assert!(length(&publish) < HttpOptions::default().max_publish_body);
    assert!(length(&withdraw) > 4_100_000);
    let call = index.call(Method::POST, &format!("{peer}/files")).bearer_auth(&alice.token);
    let answer = call.json(&withdraw).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.json::<Published>().await.unwrap().unchanged, 1000);

    let contents: Vec<_> = (0..1000).map(numbered).collect();
    let ask = json!({ "contents": contents, "peer": key.peer_id(), "max_sources": 100 });
    let grants = index.post("/v1/grants", &ask).bearer_auth(&alice.token).send().await.unwrap();
    assert_eq!(grants.status(), StatusCode::OK);
    let contents: Vec<_> = (0..1001).map(numbered).collect();
    let ask = json!({ "contents": contents });
    let grants = index.post("/v1/grants", &ask).bearer_auth(&alice.token).send().await.unwrap();
    assert_problem(grants, ProblemKind::InvalidRequest).await;
}

/// Who asks for many contents at once gets fewer sources of each.
#[tokio::test]
async fn the_sources_of_a_large_batch_are_bounded() {
    let index = start().await;
    let alice = index.user("alice").await;
    for _ in 0..25 {
        let key = PeerKey::generate().unwrap();
        let peer = format!("/v1/peers/{}", key.peer_id());
        let announce = index.call(Method::PUT, &peer).bearer_auth(&alice.token);
        let announced = announce.json(&alice.announce(&key)).send().await.unwrap();
        assert_eq!(announced.status(), StatusCode::OK);
        let batch = json!(publish("film.mkv", numbered(0), 1));
        let send = index.post(&format!("{peer}/files"), &batch).bearer_auth(&alice.token);
        assert_eq!(send.send().await.unwrap().status(), StatusCode::OK);
    }
    for (contents, sources) in [(1, 25), (200, 25), (1000, 20)] {
        let contents: Vec<_> = (0..contents).map(numbered).collect();
        let ask = json!({ "contents": contents, "max_sources": 100 });
        let answer = index.post("/v1/grants", &ask).bearer_auth(&alice.token).send().await.unwrap();
        let grants: Grants = answer.json().await.unwrap();
        assert_eq!(grants.contents[0].sources.len(), sources, "{}", contents.len());
    }
}

fn numbered(n: u16) -> ContentId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    ContentId::from_bytes(bytes)
}

/// Batches of 1,000 changes whose paths have the largest size.
fn largest_batches() -> (PublishRequest, PublishRequest) {
    let paths = (0..1000).map(|n| {
        let mut path = format!("{n:04}");
        while path.len() < SharePath::MAX_BYTES {
            let part = (SharePath::MAX_BYTES - path.len() - 1).min(SharePath::MAX_PART_BYTES);
            path.push('/');
            path.push_str(&"x".repeat(part.max(1)));
        }
        path.parse().unwrap()
    });
    let paths: Vec<SharePath> = paths.collect();
    let publish = paths.iter().map(|path| {
        CatalogChange::Publish(Entry {
            path: path.clone(),
            content: ContentId::from_bytes([0xff; 32]),
            size: u64::MAX,
            visibility: format!("group:{}", "g".repeat(32)).parse().unwrap(),
        })
    });
    let publish = PublishRequest::new(publish.collect());
    let withdraw = paths.into_iter().map(CatalogChange::Withdraw).collect();
    (publish, PublishRequest::new(withdraw))
}

/// Who has all the files that they may have can still rename, replace and withdraw, and send a batch again.
#[tokio::test]
async fn a_full_catalog_can_change_but_not_grow() {
    let index = limited(IndexConfig { entries_per_user: 2, ..IndexConfig::default() }).await;
    let (alice, key) = (index.user("alice").await, PeerKey::generate().unwrap());
    let peer = format!("/v1/peers/{}", key.peer_id());
    let announce = index.call(Method::PUT, &peer).bearer_auth(&alice.token);
    assert!(announce.json(&alice.announce(&key)).send().await.unwrap().status().is_success());

    let publish = |path: &str, visibility: &str| {
        CatalogChange::Publish(Entry {
            path: path.parse().unwrap(),
            content: numbered(1),
            size: 1,
            visibility: visibility.parse().unwrap(),
        })
    };
    let withdraw = |path: &str| CatalogChange::Withdraw(path.parse().unwrap());
    let files = format!("{peer}/files");
    let send = async |changes: Vec<CatalogChange>| {
        let call = index.call(Method::POST, &files).bearer_auth(&alice.token);
        call.json(&PublishRequest::new(changes)).send().await.unwrap()
    };
    for (changes, total) in [
        (vec![publish("a", "public"), publish("b", "public")], 2),
        (vec![publish("a", "public"), publish("b", "public")], 2),
        (vec![publish("a", "unlisted")], 2),
        (vec![withdraw("a"), publish("c", "public")], 2),
        (vec![publish("d", "public"), withdraw("b")], 2),
        (vec![publish("e", "public"), publish("d", "public"), withdraw("e")], 2),
        (vec![withdraw("d"), publish("d", "unlisted"), publish("d", "public")], 2),
    ] {
        let answer = send(changes.clone()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{changes:?}");
        assert_eq!(answer.json::<Published>().await.unwrap().total, total, "{changes:?}");
    }
    for changes in [
        vec![publish("e", "public")],
        vec![publish("c", "public"), publish("e", "public")],
        vec![withdraw("nothing"), publish("e", "public")],
        vec![withdraw("c"), publish("e", "public"), publish("f", "public")],
        vec![withdraw("c"), publish("c", "public"), publish("e", "public")],
    ] {
        assert_problem(send(changes).await, ProblemKind::QuotaExceeded).await;
    }
    let fewer = send(vec![withdraw("c")]).await;
    assert_eq!(fewer.json::<Published>().await.unwrap().total, 1);
    let room = send(vec![publish("e", "public")]).await;
    assert_eq!(room.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_slow_body_is_answered_in_time() {
    let http = HttpOptions { request_timeout: SHORT, ..HttpOptions::default() };
    let index = start_with(http, ServerOptions::default()).await;
    let never =
        futures::stream::pending::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>();
    let body = Body::wrap(http_body_util::StreamBody::new(never));
    let request = index.call(Method::POST, "/v1/users").header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    assert_problem(answer, ProblemKind::Timeout).await;
}

#[tokio::test]
async fn deleting_an_account_may_take_longer_than_a_request() {
    let passwords = Meanwhile::new();
    let inner = index_with(Arc::clone(&passwords) as _, IndexConfig::default());
    let http = HttpOptions { request_timeout: SHORT, ..HttpOptions::default() };
    // To register and to log in may take longer.
    let patient = router(inner.clone(), HttpOptions::default());
    let patient = start_router(inner.clone(), patient, ServerOptions::default()).await;
    let alice = patient.user("alice").await;
    let index = start_router(inner.clone(), router(inner, http), ServerOptions::default()).await;
    let (go_on, held) = oneshot::channel::<()>();
    passwords.happens(async move { held.await.unwrap() });
    let body = json!({ "password": PASSWORD });
    let delete = index.call(Method::DELETE, "/v1/me").bearer_auth(&alice.token).json(&body);
    assert_problem(delete.send().await.unwrap(), ProblemKind::Timeout).await;
    assert_eq!(index.index.accounts(None).await.unwrap().len(), 1);
    go_on.send(()).unwrap();
    while !index.index.accounts(None).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn too_many_requests_at_once_are_told_to_wait() {
    let http = HttpOptions {
        concurrent_requests: 1,
        // Long enough that all of them are seen to wait at the same time.
        request_timeout: Duration::from_secs(8),
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..HttpOptions::default()
    };
    let index = start_with(http, ServerOptions::default()).await;
    let mut waiting = Vec::new();
    // Five are let in, at most two from one address; none of them ends by itself.
    for n in 0..5 {
        let (sender, receiver) = tokio::sync::mpsc::channel::<()>(1);
        let body = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await;
            None::<(Result<http_body::Frame<bytes::Bytes>, std::io::Error>, _)>
        });
        let body = Body::wrap(http_body_util::StreamBody::new(Box::pin(body)));
        let request = index.call(Method::POST, "/v1/users");
        let request = request.header("x-forwarded-for", format!("203.0.113.{}", n / 2));
        let request = request.header("content-type", "application/json").body(body);
        waiting.push((sender, tokio::spawn(request.send())));
    }
    let refused = loop {
        let metrics = index.get("/metrics").send().await.unwrap().text().await.unwrap();
        // The five, and the request for the metrics itself.
        if metrics.contains("p2pshare_index_in_flight 6") {
            break index.get("/v1/index").send().await.unwrap();
        }
    };
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_problem(refused, ProblemKind::Unavailable).await;
    let healthy = index.get("/healthz").send().await.unwrap();
    assert_eq!(healthy.status(), StatusCode::OK, "machines are told that it lives");
    for (_sender, request) in waiting {
        assert_problem(request.await.unwrap().unwrap(), ProblemKind::Timeout).await;
    }
}

#[tokio::test]
async fn guessing_passwords_is_slow_and_locks_nobody_out() {
    let rates = RateLimits { logins_per_account_and_address: 3, ..RateLimits::default() };
    let http = HttpOptions {
        rates,
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        ..HttpOptions::default()
    };
    let index = start_with(http, ServerOptions::default()).await;
    index.register("alice").await;
    let try_from = |address: &str, password: &str| {
        let body = json!({ "username": "alice", "password": password });
        index.post("/v1/sessions", &body).header("x-forwarded-for", address).send()
    };
    for _ in 0..3 {
        let wrong = try_from("203.0.113.1", "wrong password").await.unwrap();
        assert_problem(wrong, ProblemKind::WrongCredentials).await;
    }
    // Not even the right one, so that guessing does not pay.
    let refused = try_from("203.0.113.1", PASSWORD).await.unwrap();
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_problem(refused, ProblemKind::TooManyRequests).await;
    let owner = try_from("198.51.100.9", PASSWORD).await.unwrap();
    assert_eq!(owner.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn registrations_and_grants_are_limited() {
    let rates =
        RateLimits { registrations_per_address: 2, grants_per_user: 10, ..RateLimits::default() };
    let index =
        start_with(HttpOptions { rates, ..HttpOptions::default() }, ServerOptions::default());
    let index = index.await;
    let alice = index.user("alice").await;
    let bob = index.user("bob").await;
    let body = json!({ "username": "carol", "password": PASSWORD });
    let third = index.post("/v1/users", &body).send().await.unwrap();
    assert!(third.headers().contains_key("retry-after"));
    assert_problem(third, ProblemKind::TooManyRequests).await;

    let ask = json!({ "contents": (0..6).map(numbered).collect::<Vec<_>>() });
    let ask_as =
        |who: &common::Login| index.post("/v1/grants", &ask).bearer_auth(&who.token).send();
    assert_eq!(ask_as(&alice).await.unwrap().status(), StatusCode::OK);
    assert_problem(ask_as(&alice).await.unwrap(), ProblemKind::TooManyRequests).await;
    assert_eq!(ask_as(&bob).await.unwrap().status(), StatusCode::OK, "others are not held up");
}

#[tokio::test]
async fn a_router_without_addresses_still_works() {
    let index = index(IndexConfig::default());
    let answer = tower::ServiceExt::oneshot(
        router(index, HttpOptions::default()),
        http::Request::post("/v1/users")
            .header("content-type", "application/json")
            .body(axum::body::Body::from(
                json!({ "username": "alice", "password": PASSWORD }).to_string(),
            ))
            .unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn a_nested_router_leaves_the_rest_to_its_app() {
    let index = index(IndexConfig::default());
    let nested = axum::Router::new()
        .nest("/p2p", router(index.clone(), HttpOptions::default()))
        .fallback(async || "the app's own");
    let app = start_router(index, nested, ServerOptions::default()).await;
    let me = app.get("/p2p/v1/me").send().await.unwrap();
    assert_problem(me, ProblemKind::NotLoggedIn).await;
    let no_call = app.get("/p2p/nothing").send().await.unwrap();
    assert_problem(no_call, ProblemKind::NotFound).await;
    let elsewhere = app.get("/v1/me").send().await.unwrap();
    assert_eq!(elsewhere.text().await.unwrap(), "the app's own");
}

/// Whichever way they come in.
#[tokio::test]
async fn a_full_group_takes_nobody_more() {
    let index = limited(IndexConfig { members_per_group: 2, ..IndexConfig::default() }).await;
    let alice = index.user("alice").await;
    for name in ["bob", "carol"] {
        index.register(name).await;
    }
    let as_alice = async |path: &str, body| {
        index.post(path, &body).bearer_auth(&alice.token).send().await.unwrap()
    };
    assert_eq!(as_alice("/v1/groups", json!({ "name": "club" })).await.status(), 201);
    let made = as_alice("/v1/invites", json!({ "group": "club" })).await;
    let invite: InviteCreated = made.json().await.unwrap();
    let add =
        async |name: &str| as_alice("/v1/groups/club/members", json!({ "username": name })).await;
    assert!(add("bob").await.status().is_success());
    assert_problem(add("carol").await, ProblemKind::QuotaExceeded).await;
    let dave = json!({ "username": "dave", "password": PASSWORD, "invite": invite.code });
    let register = async || index.post("/v1/users", &dave).send().await.unwrap();
    assert_problem(register().await, ProblemKind::QuotaExceeded).await;
    // Neither the name nor the invite is used up.
    let leave = index.call(Method::DELETE, "/v1/groups/club/members/bob");
    assert!(leave.bearer_auth(&alice.token).send().await.unwrap().status().is_success());
    assert_eq!(register().await.status(), StatusCode::CREATED);
}

/// Who has gone and shares nothing makes room for another.
#[tokio::test]
async fn a_user_has_so_many_peers_that_share_or_are_there() {
    let index = limited(IndexConfig { peers_per_user: 3, ..IndexConfig::default() }).await;
    let alice = index.user("alice").await;
    let path = |key: &PeerKey| format!("/v1/peers/{}", key.peer_id());
    let announce = async || {
        let key = PeerKey::generate().unwrap();
        let call = index.call(Method::PUT, &path(&key)).bearer_auth(&alice.token);
        (call.json(&alice.announce(&key)).send().await.unwrap(), key)
    };
    let known = async |key: &PeerKey| {
        let call = index.get(&format!("{}/files", path(key)));
        call.bearer_auth(&alice.token).send().await.unwrap().status() == StatusCode::OK
    };
    let leaves = async |key: &PeerKey| {
        let call = index.call(Method::DELETE, &path(key)).bearer_auth(&alice.token);
        assert!(call.send().await.unwrap().status().is_success());
    };
    let [shares, ended, there] = [announce().await.1, announce().await.1, announce().await.1];
    let batch = publish("film", numbered(1), 1000);
    let call = index.post(&format!("{}/files", path(&shares)), &json!(batch));
    assert!(call.bearer_auth(&alice.token).send().await.unwrap().status().is_success());
    leaves(&shares).await;
    assert_problem(announce().await.0, ProblemKind::QuotaExceeded).await;

    leaves(&ended).await;
    let (answer, new) = announce().await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!known(&ended).await);
    for key in [&shares, &there, &new] {
        assert!(known(key).await);
    }
    // All share, or are there.
    assert_problem(announce().await.0, ProblemKind::QuotaExceeded).await;
}
