//! Whatever is wrong with a request, the answer is a problem document that says so.

mod common;

use std::{collections::BTreeSet, sync::Arc};

use common::{PASSWORD, assert_problem, start, start_router};
use p2pshare_core::{
    api::ProblemKind,
    auth::{AuthError, Authenticator, Password, Verdict, Verifier},
    identity::Username,
    index::IndexConfig,
};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn bad_bodies() {
    let index = start().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies: &[&[u8]] = &[
        b"",
        b"{",
        b"null",
        b"[]",
        b"{\"username\":\"alice\"}",
        b"{\"username\":\"alice\",\"password\":12345678}",
        b"{\"username\":\"alice\",\"password\":\"longenough\",\"admin\":true}",
        b"{\"username\":\"alice\",\"username\":\"bob\",\"password\":\"longenough\"}",
        b"{\"username\":\"../alice\",\"password\":\"longenough\"}",
        b"{\"username\":\"al\\u0000ice\",\"password\":\"longenough\"}",
        b"{\"username\":\"alice\",\"password\":\"short\"}",
        b"{\"username\":\"alice\",\"password\":\"longenough\"} trailing",
        b"{\"username\":\"\xff\xfe\",\"password\":\"longenough\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let request = index.call(Method::POST, "/v1/users").body(body.to_vec());
        let answer = request.header("content-type", "application/json").send().await.unwrap();
        let problem = assert_problem(answer, ProblemKind::InvalidRequest).await;
        assert!(problem.hint.is_some());
        assert!(problem.detail.len() < 2000, "{}", problem.detail.len());
    }
}

#[tokio::test]
async fn bad_media_types() {
    let index = start().await;
    let body = json!({ "username": "alice", "password": PASSWORD }).to_string();
    for media in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = index.call(Method::POST, "/v1/users").body(body.clone());
        if let Some(media) = media {
            request = request.header("content-type", media);
        }
        let answer = request.send().await.unwrap();
        assert_problem(answer, ProblemKind::UnsupportedMediaType).await;
    }
    let request = index.call(Method::POST, "/v1/users").body(body.clone());
    let request = request.header("content-type", "application/json");
    let answer = request.header("content-encoding", "gzip").send().await.unwrap();
    assert_problem(answer, ProblemKind::UnsupportedMediaType).await;

    let request = index.call(Method::POST, "/v1/users").body(body);
    let request = request.header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test]
async fn bad_paths_queries_and_methods() {
    let index = start().await;
    let alice = index.user("alice").await;
    let calls = [
        (Method::GET, "/v1/contents/xyz", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/contents/%00", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/contents/%ff%fe", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/users/..%2f..%2fetc/files", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/users/alice/files?path=..%2Fetc", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/users/nobody/files", ProblemKind::NotFound),
        (Method::GET, "/v1/search?limit=0", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/search?limit=-1", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/search?unknown=1", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/search?q=a&q=b", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/search?cursor=%F0%9F%98%80", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/search?sort=fastest", ProblemKind::InvalidRequest),
        (Method::GET, "/v1/nothing", ProblemKind::NotFound),
        (Method::GET, "/", ProblemKind::NotFound),
        (Method::GET, "/v1/../healthz/x", ProblemKind::NotFound),
        (Method::DELETE, "/v1/invites/00", ProblemKind::NotFound),
        (Method::PATCH, "/v1/me", ProblemKind::MethodNotAllowed),
        (Method::POST, "/v1/search", ProblemKind::MethodNotAllowed),
        (Method::DELETE, "/healthz", ProblemKind::MethodNotAllowed),
    ];
    for (method, path, kind) in calls {
        let request = index.call(method.clone(), path).bearer_auth(&alice.token);
        let answer = request.send().await.unwrap();
        let allow = answer.headers().contains_key("allow");
        assert_eq!(allow, kind == ProblemKind::MethodNotAllowed, "{method} {path}");
        assert_problem(answer, kind).await;
    }
}

#[tokio::test]
async fn bad_tokens() {
    let index = start().await;
    let alice = index.user("alice").await;
    let mut other = alice.token.clone().into_bytes();
    other[10] = if other[10] == b'A' { b'B' } else { b'A' };
    let other = String::from_utf8(other).unwrap();
    let headers = [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        format!("Basic {}", alice.token),
        alice.token.clone(),
        format!("Bearer {}x", alice.token),
        format!("Bearer {other}"),
        format!("Bearer {}", "a".repeat(10_000)),
    ];
    for header in &headers {
        let answer = index.get("/v1/me").header("authorization", header).send().await.unwrap();
        assert_problem(answer, ProblemKind::NotLoggedIn).await;
    }
    let twice = index.get("/v1/me").bearer_auth(&alice.token).bearer_auth(&alice.token);
    assert_problem(twice.send().await.unwrap(), ProblemKind::NotLoggedIn).await;
    let sloppy = index.get("/v1/me").header("authorization", format!("bearer  {}", alice.token));
    assert_eq!(sloppy.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn nobody_learns_which_users_exist_by_logging_in() {
    let index = start().await;
    index.register("alice").await;
    let mut answers = BTreeSet::new();
    for user in ["alice", "nobody"] {
        let body = json!({ "username": user, "password": "wrong password" });
        let answer = index.post("/v1/sessions", &body).send().await.unwrap();
        let mut problem = assert_problem(answer, ProblemKind::WrongCredentials).await;
        problem.request_id = None;
        answers.insert(serde_json::to_string(&problem).unwrap());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}

/// Breaks when it is used.
struct Broken;

#[async_trait::async_trait]
impl Authenticator for Broken {
    async fn enroll(&self, _: &Username, _: Password) -> Result<Verifier, AuthError> {
        Err(AuthError::Backend("the secret place is on fire".into()))
    }

    async fn verify(
        &self,
        _: &Username,
        _: Password,
        _: Option<&Verifier>,
    ) -> Result<Verdict, AuthError> {
        panic!("as the test wants it");
    }
}

#[tokio::test]
async fn faults_and_panics_are_answered() {
    let inner = common::index_with(Arc::new(Broken), IndexConfig::default());
    let api = router(inner.clone(), HttpOptions::default());
    let index = start_router(inner, api, ServerOptions::default()).await;
    let body = json!({ "username": "alice", "password": PASSWORD });
    let fault = index.post("/v1/users", &body).send().await.unwrap();
    let fault = assert_problem(fault, ProblemKind::Internal).await;
    assert!(!fault.detail.contains("secret place"), "{}", fault.detail);
    let panicked = index.post("/v1/sessions", &body).send().await.unwrap();
    assert_problem(panicked, ProblemKind::Internal).await;
    assert_eq!(index.get("/v1/index").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn request_ids_come_back() {
    let index = start().await;
    let answer = index.get("/v1/index").header("x-request-id", "abc-1.2_3").send().await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "abc-1.2_3");
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let answer = index.get("/v1/me").header("x-request-id", "a b\"").send().await.unwrap();
    assert_ne!(answer.headers()["x-request-id"], "a b\"");
    assert_problem(answer, ProblemKind::NotLoggedIn).await;
}

#[tokio::test]
async fn the_calls_are_those_of_the_document() {
    let index = start().await;
    let served: serde_json::Value =
        index.get("/openapi.json").send().await.unwrap().json().await.unwrap();
    let made = serde_json::to_value(p2pshare_index::document()).unwrap();
    assert_eq!(served, made);

    let mut calls = BTreeSet::new();
    for (path, item) in made["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let concrete = path.replace(['{', '}'], "x");
            let answer = index.call(method.parse().unwrap(), &concrete).send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            assert!(!text.contains("no such call") && status != 405, "{method} {path}: {text}");
            calls.insert(format!("{method} {path}"));
        }
    }
    let expected: BTreeSet<String> = CALLS.lines().map(str::to_owned).collect();
    assert_eq!(calls, expected);
}

const CALLS: &str = "\
DELETE /v1/contents/{id}/sources/{peer}
DELETE /v1/groups/{name}
DELETE /v1/groups/{name}/members/{user}
DELETE /v1/invites/{id}
DELETE /v1/me
DELETE /v1/me/peers/{id}
DELETE /v1/peers/{id}
DELETE /v1/sessions
DELETE /v1/sessions/current
GET /healthz
GET /metrics
GET /openapi.json
GET /readyz
GET /v1/contents/{id}
GET /v1/groups
GET /v1/groups/{name}/members
GET /v1/index
GET /v1/invites
GET /v1/me
GET /v1/me/peers
GET /v1/operator/audit
GET /v1/operator/invites
GET /v1/operator/load
GET /v1/operator/users
GET /v1/peers/{id}/files
GET /v1/search
GET /v1/users/{name}/files
PATCH /v1/operator/users/{name}
POST /v1/grants
POST /v1/groups
POST /v1/groups/{name}/members
POST /v1/invites
POST /v1/peers/{id}/files
POST /v1/peers/{id}/heartbeat
POST /v1/peers/{id}/reachability
POST /v1/push-grants
POST /v1/sessions
POST /v1/users
PUT /v1/contents/{id}/sources/{peer}
PUT /v1/groups/{name}/owner
PUT /v1/me/password
PUT /v1/peers/{id}";
