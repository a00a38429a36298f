//! What strangers can count.

use p2pshare_core::{
    api::{CatalogChange, Entry, PublishRequest},
    content::ContentId,
    identity::PeerKey,
};
use p2pshare_index::PageOptions;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{common::TestIndex, with_pages};

/// Alice and her peer, who shares with everybody, and with her group in one of the worlds.
async fn world(with_group: bool) -> TestIndex {
    let index = with_pages(PageOptions::default()).await;
    let alice = index.user("alice").await;
    let key = PeerKey::generate().unwrap();
    let peer = format!("/v1/peers/{}", key.peer_id());
    let done = async |method: Method, path: &str, body: serde_json::Value| {
        let call = index.call(method, path).bearer_auth(&alice.token).json(&body);
        let status = call.send().await.unwrap().status();
        assert!(status.is_success(), "{path}: {status}");
    };
    done(Method::PUT, &peer, json!(alice.announce(&key))).await;
    let mut visibilities = vec!["public"];
    if with_group {
        done(Method::POST, "/v1/groups", json!({ "name": "secret" })).await;
        visibilities.extend(["group:secret", "unlisted"]);
    }
    for (number, visibility) in (1..).zip(visibilities) {
        let entry = CatalogChange::Publish(Entry {
            path: format!("takeover {number}.pdf").parse().unwrap(),
            content: ContentId::from_bytes([number; 32]),
            size: 1_234_567,
            visibility: visibility.parse().unwrap(),
        });
        let batch = json!(PublishRequest::new(vec![entry]));
        done(Method::POST, &format!("{peer}/files"), batch).await;
    }
    index
}

/// The page without what is another for each index: its keys and its port.
async fn told(index: &TestIndex) -> String {
    let page = index.page("/").await;
    let key = index.index.info().public_keys[0];
    page.replace(&key.to_string(), "KEY")
        .replace(&key.key_id().to_string(), "ID")
        .replace(&index.address.to_string(), "ADDRESS")
}

#[tokio::test]
async fn a_stranger_does_not_learn_what_groups_share() {
    let with = world(true).await;
    let without = world(false).await;
    let page = told(&with).await;
    assert_eq!(page, told(&without).await);
    assert!(page.contains("<dt>person has an account</dt><dd>1</dd>"), "{page}");
    assert!(page.contains("<dt>peer is online</dt><dd>1</dd>"), "{page}");
    for part in ["takeover", "secret", "1,234,567", "3,703,701"] {
        assert!(!page.contains(part), "{part}");
    }
    // Nor by the calls that are for operators.
    for path in ["/v1/operator/load", "/v1/operator/users", "/v1/operator/audit"] {
        let answer = with.get(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn an_operator_can_keep_the_counts_to_themselves() {
    let quiet = with_pages(PageOptions { counts: false, ..PageOptions::default() }).await;
    let before = told(&quiet).await;
    let another = with_pages(PageOptions { counts: false, ..PageOptions::default() }).await;
    another.register("alice").await;
    assert_eq!(told(&another).await, before);
    assert!(!before.contains("account</dt>"));
}

/// However many ask, the store counts once in some seconds.
#[tokio::test]
async fn counting_is_shared() {
    let index = with_pages(PageOptions::default()).await;
    assert!(index.page("/").await.contains("<dt>people have an account</dt><dd>0</dd>"));
    index.register("alice").await;
    assert!(index.page("/").await.contains("<dt>people have an account</dt><dd>0</dd>"));
}
