//! What is for operators, as others see it: one answer, whatever they ask for.

use std::collections::BTreeSet;

use p2pshare_core::{api::ProblemKind, index::IndexConfig};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::common::{Login, TestIndex, assert_problem, start};

type Call = (Method, String, Option<Value>);

/// Every call for operators, about what is there, what is not, and what cannot be.
fn calls() -> Vec<Call> {
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let patch =
        |user: &str, body| (Method::PATCH, format!("/v1/operator/users/{user}"), Some(body));
    vec![
        get("/v1/operator/users"),
        get("/v1/operator/users?prefix=al"),
        get("/v1/operator/users?prefix=nobody"),
        get("/v1/operator/users?prefix=%FF&limit=0"),
        patch("alice", json!({ "disabled": true })),
        patch("root", json!({ "disabled": true })),
        patch("eve", json!({ "disabled": false })),
        patch("nobody", json!({ "disabled": true })),
        patch("%00", json!({ "disabled": true })),
        patch("alice", json!("no object")),
        get("/v1/operator/invites"),
        get("/v1/operator/invites?cursor=zz"),
        get("/v1/operator/load"),
        get("/v1/operator/audit"),
        get("/v1/operator/audit?limit=0"),
    ]
}

async fn make(index: &TestIndex, token: Option<&str>, call: &Call) -> Response {
    let (method, path, body) = call;
    let mut request = index.call(method.clone(), path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await.unwrap()
}

/// Status, headers and body without what is another each time.
async fn seen(answer: Response) -> String {
    let mut headers: Vec<_> = answer
        .headers()
        .iter()
        .filter(|(name, _)| !["x-request-id", "date", "content-length"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let status = answer.status();
    let mut body: Value = answer.json().await.unwrap();
    body["request_id"] = Value::Null;
    format!("{status} {headers:?} {body}")
}

async fn all_alike(index: &TestIndex, token: Option<&str>, kind: ProblemKind) {
    let mut told = BTreeSet::new();
    for call in calls() {
        let problem = assert_problem(make(index, token, &call).await, kind).await;
        assert!(!problem.detail.contains("alice"));
        told.insert(seen(make(index, token, &call).await).await);
    }
    assert_eq!(told.len(), 1, "{told:#?}");
}

async fn world() -> (TestIndex, Login, Login) {
    let index = start().await;
    let root = index.user("root").await;
    index.register("alice").await;
    let eve = index.user("eve").await;
    (index, root, eve)
}

#[tokio::test]
async fn for_others_there_is_one_answer() {
    let (index, root, eve) = world().await;
    all_alike(&index, None, ProblemKind::NotLoggedIn).await;
    all_alike(&index, Some("made-up"), ProblemKind::NotLoggedIn).await;
    all_alike(&index, Some(&eve.token), ProblemKind::Forbidden).await;
    // Nothing was done to anybody, and nothing of it got into the log as done.
    for user in ["alice", "root", "eve"] {
        index.log_in(user).await;
    }
    let audit = index.get("/v1/operator/audit").bearer_auth(&root.token).send().await.unwrap();
    assert!(!audit.text().await.unwrap().contains("operator-disable"));
}

/// The test above would see a difference if there were one: an operator does.
#[tokio::test]
async fn for_operators_there_are_many() {
    let (index, root, _) = world().await;
    let mut told = BTreeSet::new();
    for call in calls() {
        told.insert(make(&index, Some(&root.token), &call).await.text().await.unwrap());
    }
    assert!(told.len() > 10, "{told:#?}");
}

#[tokio::test]
async fn who_is_no_operator_any_more_sees_nothing_from_the_next_request_on() {
    let (index, root, _) = world().await;
    let call = (Method::GET, "/v1/operator/users".to_owned(), None);
    assert!(make(&index, Some(&root.token), &call).await.status().is_success());
    index.index.store().set_operator(&"root".parse().unwrap(), false).await.unwrap();
    all_alike(&index, Some(&root.token), ProblemKind::Forbidden).await;
    index.index.store().set_operator(&"root".parse().unwrap(), true).await.unwrap();
    index.index.set_disabled(&"root".parse().unwrap(), true).await.unwrap();
    all_alike(&index, Some(&root.token), ProblemKind::NotLoggedIn).await;
}

/// Registering as somebody who runs things makes nobody an operator.
#[tokio::test]
async fn only_the_first_account_is_an_operator_by_itself() {
    let index = start().await;
    index.register("root").await;
    for name in ["admin", "operator", "root2"] {
        let login = index.user(name).await;
        all_alike(&index, Some(&login.token), ProblemKind::Forbidden).await;
    }
    assert_eq!(index.index.config().registration, IndexConfig::default().registration);
}
