//! What others can do to a user by taking them into groups, for which nobody asks.

use std::sync::Arc;

use p2pshare_core::{api::ProblemKind, backend::sqlite::SqliteStore, index::IndexConfig};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::common::{Login, assert_problem, cheap_passwords, index_over, start_router};

#[tokio::test]
async fn nobody_is_kept_from_making_groups_by_being_put_into_others() {
    // A store that answers later, so that calls meet.
    let store = Arc::new(SqliteStore::open_in_memory().unwrap());
    let config = IndexConfig { groups_per_user: 6, ..IndexConfig::default() };
    let index = index_over(store, cheap_passwords(), config);
    let api = router(index.clone(), HttpOptions::default());
    let index = start_router(index, api, ServerOptions::default()).await;
    let alice = index.user("alice").await;
    let eves = [index.user("eve").await, index.user("eva").await];
    let create = async |who: &Login, name: &str| {
        let call = index.post("/v1/groups", &json!({ "name": name })).bearer_auth(&who.token);
        call.send().await.unwrap()
    };
    let take_in = async |who: &Login, group: &str| {
        let call =
            index.post(&format!("/v1/groups/{group}/members"), &json!({ "username": "alice" }));
        call.bearer_auth(&who.token).send().await.unwrap()
    };
    let mut groups = Vec::new();
    for (eve, letter) in eves.iter().zip(["a", "b"]) {
        for number in 0..3 {
            let group = format!("{letter}{number}");
            assert_eq!(create(eve, &group).await.status(), StatusCode::CREATED);
            groups.push((eve, group));
        }
    }
    // All at once, so that each could see that there is room.
    let answers = groups.iter().map(|(eve, group)| take_in(eve, group));
    let answers = futures::future::join_all(answers).await;
    let (mut into, mut over) = (Vec::new(), Vec::new());
    for ((eve, group), answer) in groups.iter().zip(answers) {
        if answer.status().is_success() { into.push((eve, group)) } else { over.push((eve, group)) }
    }
    assert_eq!((into.len(), over.len()), (3, 3));
    for (eve, group) in &over {
        let problem = assert_problem(take_in(eve, group).await, ProblemKind::QuotaExceeded).await;
        assert_eq!(problem.hint.as_deref(), Some("the user has to leave or delete some first"));
    }
    // Nor by being made their owner.
    for (eve, group) in &into {
        let call = index.call(Method::PUT, &format!("/v1/groups/{group}/owner"));
        let call = call.json(&json!({ "owner": "alice" })).bearer_auth(&eve.token);
        assert!(call.send().await.unwrap().status().is_success());
    }
    for number in 0..3 {
        assert_eq!(create(&alice, &format!("own{number}")).await.status(), StatusCode::CREATED);
    }
    assert_problem(create(&alice, "own3").await, ProblemKind::QuotaExceeded).await;
    // Who leaves can be taken in again.
    let leave = index.call(Method::DELETE, "/v1/groups/own0").bearer_auth(&alice.token);
    assert!(leave.send().await.unwrap().status().is_success());
    assert_problem(take_in(over[0].0, over[0].1).await, ProblemKind::QuotaExceeded).await;
    assert_eq!(create(&alice, "own3").await.status(), StatusCode::CREATED);
}
