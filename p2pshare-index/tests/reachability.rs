//! Who may have what tried, and that dashboards ask for what is there.
#![allow(clippy::unwrap_used)]

mod common;

use common::{TestIndex, assert_problem, start, start_with};
use p2pshare_core::{
    api::{ProblemKind, Reachability, Reached},
    identity::PeerKey,
    testing::programs::assert_dashboard,
};
use p2pshare_index::{HttpOptions, RateLimits, ServerOptions};
use reqwest::{Method, Response};
use serde_json::json;

async fn announced(index: &TestIndex, login: &common::Login) -> PeerKey {
    let key = PeerKey::generate().unwrap();
    let peer = format!("/v1/peers/{}", key.peer_id());
    let announce = index.call(Method::PUT, &peer).bearer_auth(&login.token);
    let answer = announce.json(&login.announce(&key)).send().await.unwrap();
    assert!(answer.status().is_success());
    key
}

async fn ask(index: &TestIndex, token: &str, key: &PeerKey) -> Response {
    let path = format!("/v1/peers/{}/reachability", key.peer_id());
    index.post(&path, &json!({})).bearer_auth(token).send().await.unwrap()
}

#[tokio::test]
async fn only_ones_own_peer_at_ones_own_address_is_tried() {
    let index = start().await;
    let (alice, bob) = (index.user("alice").await, index.user("bob").await);
    let key = announced(&index, &alice).await;
    let answer: Reachability = ask(&index, &alice.token, &key).await.json().await.unwrap();
    assert_eq!(answer.seen_from.as_deref(), Some("127.0.0.1"));
    assert_eq!(answer.addresses.len(), 1);
    // It announced another address than it comes from.
    assert_eq!(answer.addresses[0].reached, Reached::NotTried);
    assert!(answer.addresses[0].reason.as_ref().unwrap().contains("127.0.0.1"));

    assert_problem(ask(&index, &bob.token, &key).await, ProblemKind::NotFound).await;
    assert_problem(ask(&index, "none", &key).await, ProblemKind::NotLoggedIn).await;
}

#[tokio::test]
async fn it_has_a_limit_and_can_be_turned_off() {
    let rates = RateLimits { reachability_per_user: 2, ..RateLimits::default() };
    let options = HttpOptions { rates, ..HttpOptions::default() };
    let index = start_with(options, ServerOptions::default()).await;
    let alice = index.user("alice").await;
    let key = announced(&index, &alice).await;
    for _ in 0..2 {
        assert!(ask(&index, &alice.token, &key).await.status().is_success());
    }
    assert_problem(ask(&index, &alice.token, &key).await, ProblemKind::TooManyRequests).await;

    let options = HttpOptions { reachability: false, ..HttpOptions::default() };
    let index = start_with(options, ServerOptions::default()).await;
    let alice = index.user("alice").await;
    let key = announced(&index, &alice).await;
    assert_problem(ask(&index, &alice.token, &key).await, ProblemKind::Forbidden).await;
}

#[tokio::test]
async fn every_metric_of_the_dashboard_is_there() {
    let index = start().await;
    index.user("alice").await;
    let text = index.get("/metrics").send().await.unwrap().text().await.unwrap();
    assert_dashboard(include_str!("../../scripts/packaging/grafana/index.json"), &text);
}
