//! Several indexes over one MongoDB behave as one, and know when it is away.
#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use p2pshare_core::{
    auth::{Argon2Authenticator, Argon2Params, GrantSigner, SigningKeys},
    backend::mongodb::MongoStore,
    index::{Index, IndexConfig, store::IndexStore},
    testing::mongod::ReplicaSet,
    time::{ManualClock, Timestamp},
};
use p2pshare_index::{HttpOptions, PageOptions, ServerOptions, router};
use reqwest::StatusCode;
use serde_json::json;

use common::{PASSWORD, TestIndex, start_router};

const CACHED: Duration = Duration::from_secs(2);

/// An index with a clock of its own over a store that others use too.
async fn index(set: &ReplicaSet, options: &str) -> (TestIndex, Arc<ManualClock>) {
    let uri = format!("{}{options}", set.database("indexes"));
    let store = MongoStore::open(&uri.parse().unwrap()).await.unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_000_000)));
    let config = IndexConfig { session_cache: CACHED, ..IndexConfig::default() };
    let index = Index::new(
        Arc::new(store),
        Arc::new(Argon2Authenticator::new(Argon2Params::new(8, 1, 1).unwrap())),
        SigningKeys::new(GrantSigner::generate().unwrap()),
        clock.clone(),
        config,
    );
    let http = HttpOptions { pages: Some(PageOptions::default()), ..HttpOptions::default() };
    let routes = router(index.clone(), http);
    (start_router(index, routes, ServerOptions::default()).await, clock)
}

async fn token(index: &TestIndex, user: &str) -> String {
    let body = json!({ "username": user, "password": PASSWORD });
    let answer = index.post("/v1/sessions", &body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let opened: serde_json::Value = answer.json().await.unwrap();
    opened["token"].as_str().unwrap().to_owned()
}

async fn me(index: &TestIndex, token: &str) -> StatusCode {
    index.get("/v1/me").bearer_auth(token).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_one_at_all_indexes_and_ends_within_its_bound() {
    let Some(set) = ReplicaSet::start(1, 1000) else { return };
    let ((one, _), (two, clock)) = (index(&set, "").await, index(&set, "").await);
    one.register("alice").await;

    let session = token(&one, "alice").await;
    assert_eq!(me(&two, &session).await, StatusCode::OK);
    let ended = one.call(reqwest::Method::DELETE, "/v1/sessions/current").bearer_auth(&session);
    assert!(ended.send().await.unwrap().status().is_success());
    assert_eq!(me(&one, &session).await, StatusCode::UNAUTHORIZED, "seen at once by who did it");
    clock.advance(CACHED);
    assert_eq!(me(&two, &session).await, StatusCode::UNAUTHORIZED, "seen in time by others");

    let session = token(&two, "alice").await;
    assert_eq!(me(&one, &session).await, StatusCode::OK);
    let alice = "alice".parse().unwrap();
    two.index.set_disabled(&alice, true).await.unwrap();
    assert_ne!(me(&two, &session).await, StatusCode::OK, "seen at once by who did it");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_has_a_lease() {
    let Some(set) = ReplicaSet::start(1, 1000) else { return };
    let uri = set.database("leases").parse().unwrap();
    let (one, two) = (MongoStore::open(&uri).await.unwrap(), MongoStore::open(&uri).await.unwrap());
    let long = Duration::from_secs(600);
    assert!(one.lease("purge", "$one", long).await.unwrap());
    assert!(!two.lease("purge", "two", long).await.unwrap());
    assert!(two.lease("other", "two", long).await.unwrap());
    // Who has it keeps it, here until now.
    assert!(one.lease("purge", "$one", Duration::ZERO).await.unwrap());
    let taken = async { while !two.lease("purge", "two", long).await.unwrap() {} };
    tokio::time::timeout(Duration::from_secs(60), taken).await.expect("a lease that ended is free");
    assert!(!one.lease("purge", "$one", long).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_ready_while_its_store_is_there() {
    let Some(mut set) = ReplicaSet::start(1, 1000) else { return };
    let (one, _) = index(&set, "&serverSelectionTimeoutMS=2000&heartbeatFrequencyMS=500").await;
    let ready = async || one.get("/readyz").send().await.unwrap().status();
    assert_eq!(ready().await, StatusCode::OK);
    set.kill(0);
    assert_eq!(ready().await, StatusCode::SERVICE_UNAVAILABLE);
    // The page is there all the same, and says so.
    let page = one.get("/").send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().contains("Not ready"));
    let set = tokio::task::spawn_blocking(move || {
        set.restart(0);
        set.wait_for_primary();
        set
    });
    let _set = set.await.unwrap();
    let is_back = async { while ready().await != StatusCode::OK {} };
    tokio::time::timeout(Duration::from_secs(60), is_back).await.expect("it is ready again");
}
