//! Accounts: whether one exists, and what its password is.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use p2pshare_core::{
    api::{InviteCreated, ProblemKind, Registration},
    auth::{Argon2Authenticator, Argon2Params, Password},
    backend::memory::MemoryStore,
    identity::Username,
    index::{Index, IndexConfig, model::KeptSessions, store::UserStore},
};
use p2pshare_index::{HttpOptions, RateLimits, ServerOptions, router};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::common::{
    PASSWORD, TestIndex, assert_problem, cheap_passwords, index, index_over, index_with,
    meanwhile::Meanwhile, start_router,
};

async fn serve(index: Index, rates: RateLimits) -> TestIndex {
    let options = HttpOptions { rates, ..HttpOptions::default() };
    start_router(index.clone(), router(index, options), ServerOptions::default()).await
}

/// Everything of an answer but its id and its time.
async fn seen(answer: Response, kind: ProblemKind) -> String {
    let status = answer.status();
    let mut headers = answer.headers().clone();
    let (id, _) = (headers.remove("x-request-id"), headers.remove("date"));
    let mut body: Value = answer.json().await.unwrap();
    assert_eq!(body["type"], format!("urn:p2pshare:problem:{}", kind.name()));
    assert_eq!(body["request_id"], id.unwrap().to_str().unwrap());
    body["request_id"] = Value::Null;
    format!("{status} {headers:?} {body}")
}

#[tokio::test]
async fn a_login_does_not_tell_who_exists() {
    let cheap = Argon2Params::new(8, 1, 1).unwrap();
    let passwords = Arc::new(Argon2Authenticator::new(cheap));
    let index = serve(
        index_with(Arc::clone(&passwords) as _, IndexConfig::default()),
        RateLimits::default(),
    )
    .await;
    for user in ["alice", "disabled"] {
        index.register(user).await;
    }
    index.index.set_disabled(&"disabled".parse().unwrap(), true).await.unwrap();

    let mut told = BTreeSet::new();
    for user in ["alice", "disabled", "nobody"] {
        let before = passwords.hashes();
        let body = json!({ "username": user, "password": "wrong password" });
        let answer = index.post("/v1/sessions", &body).send().await.unwrap();
        told.insert(seen(answer, ProblemKind::WrongCredentials).await);
        assert_eq!(passwords.hashes(), before + 1, "{user}: the same work for each");
    }
    assert_eq!(told.len(), 1, "{told:#?}");
    // Only who knows its password learns that an account is disabled.
    let body = json!({ "username": "disabled", "password": PASSWORD });
    let answer = index.post("/v1/sessions", &body).send().await.unwrap();
    assert_problem(answer, ProblemKind::AccountDisabled).await;
}

/// Where a stranger cannot make an account, registering does not tell who has one. Where anybody can, it must: a name
/// is had once.
#[tokio::test]
async fn a_registration_does_not_tell_who_exists() {
    for registration in [Registration::Invite, Registration::Closed] {
        let config = IndexConfig { registration, ..IndexConfig::default() };
        let index = serve(index(config), RateLimits::default()).await;
        let password = Password::new(PASSWORD.to_owned()).unwrap();
        index.index.create_account(&"alice".parse().unwrap(), password, true).await.unwrap();
        for invite in [None, Some("abandon-ability-able-about")] {
            let mut told = BTreeSet::new();
            for user in ["alice", "nobody"] {
                let mut body = json!({ "username": user, "password": PASSWORD });
                if let Some(invite) = invite {
                    body["invite"] = json!(invite);
                }
                let answer = index.post("/v1/users", &body).send().await.unwrap();
                told.insert(seen(answer, ProblemKind::RegistrationRefused).await);
            }
            assert_eq!(told.len(), 1, "{registration:?} {invite:?}: {told:#?}");
        }
    }
}

/// A client at another address of this machine.
fn at(address: &str) -> Client {
    Client::builder().local_address(address.parse::<IpAddr>().unwrap()).build().unwrap()
}

async fn log_in(index: &TestIndex, from: &Client, user: &str, password: &str) -> Response {
    let body = json!({ "username": user, "password": password });
    let url = format!("http://{}/v1/sessions", index.address);
    from.post(url).json(&body).send().await.unwrap()
}

async fn must_wait(answer: Response) {
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_problem(answer, ProblemKind::TooManyRequests).await;
}

#[tokio::test]
async fn one_account_is_guessed_at_slowly() {
    let rates = RateLimits { logins_per_account_and_address: 5, ..RateLimits::default() };
    let index = serve(index(IndexConfig::default()), rates).await;
    let session = index.user("alice").await;
    let (stranger, owner) = (at("127.0.0.66"), at("127.0.0.2"));

    for _ in 0..5 {
        let answer = log_in(&index, &stranger, "alice", "wrong password").await;
        assert_problem(answer, ProblemKind::WrongCredentials).await;
    }
    must_wait(log_in(&index, &stranger, "alice", "wrong password").await).await;
    must_wait(log_in(&index, &stranger, "ALICE", PASSWORD).await).await;
    // A header that nobody asked for makes no other address.
    let body = json!({ "username": "alice", "password": PASSWORD });
    let url = format!("http://{}/v1/sessions", index.address);
    let forged = stranger.post(url).header("x-forwarded-for", "198.51.100.9").json(&body);
    must_wait(forged.send().await.unwrap()).await;

    // The account is not locked: its owner logs in from elsewhere, and an open session stays.
    let answer = log_in(&index, &owner, "alice", PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
    let me = index.get("/v1/me").bearer_auth(&session.token).send().await.unwrap();
    assert_eq!(me.status(), StatusCode::OK);
}

#[tokio::test]
async fn many_accounts_are_guessed_at_slowly() {
    let rates = RateLimits { logins_per_address: 8, ..RateLimits::default() };
    let index = serve(index(IndexConfig::default()), rates).await;
    index.register("alice").await;
    let stranger = at("127.0.0.66");
    // One password for many names.
    for n in 0..8 {
        let answer = log_in(&index, &stranger, &format!("user{n}"), "password1").await;
        assert_problem(answer, ProblemKind::WrongCredentials).await;
    }
    must_wait(log_in(&index, &stranger, "alice", PASSWORD).await).await;
    let answer = log_in(&index, &at("127.0.0.2"), "alice", PASSWORD).await;
    assert_eq!(answer.status(), StatusCode::CREATED);
}

/// Who has got hold of a session does not get the password by it.
#[tokio::test]
async fn a_stolen_token_does_not_help_to_guess() {
    let rates = RateLimits { logins_per_account_and_address: 4, ..RateLimits::default() };
    let index = serve(index(IndexConfig::default()), rates).await;
    let alice = index.user("alice").await;
    let wrong = "wrong password";
    let calls = [
        (Method::PUT, "/v1/me/password", json!({ "current": wrong, "new": "mine from now on" })),
        (Method::DELETE, "/v1/me", json!({ "password": wrong })),
    ];
    let call = async |(method, path, body): &(Method, &str, Value)| {
        let call = index.call(method.clone(), path).bearer_auth(&alice.token).json(body);
        call.send().await.unwrap()
    };
    // The login was the first.
    for n in 0..3 {
        assert_problem(call(&calls[n % 2]).await, ProblemKind::WrongCredentials).await;
    }
    for one in &calls {
        must_wait(call(one).await).await;
    }
}

/// Who knows the old password does not keep the account by changing it while an operator sets another.
#[tokio::test]
async fn a_change_of_password_does_not_undo_a_reset() {
    let store = Arc::new(MemoryStore::new());
    let passwords = Meanwhile::new();
    let inner =
        index_over(Arc::clone(&store) as _, Arc::clone(&passwords) as _, IndexConfig::default());
    let index = serve(inner, RateLimits::default()).await;
    let alice = index.user("alice").await;
    let (of_operator, of_thief) = ("set by the operator", "mine from now on");

    passwords.happens(async move {
        let user = "alice".parse().unwrap();
        let password = Password::new(of_operator.to_owned()).unwrap();
        let verifier = cheap_passwords().enroll(&user, password).await.unwrap();
        assert!(store.set_verifier(&user, &verifier, None, KeptSessions::All).await.unwrap());
    });
    let change = json!({ "current": PASSWORD, "new": of_thief });
    let call = index.call(Method::PUT, "/v1/me/password").bearer_auth(&alice.token).json(&change);
    assert_problem(call.send().await.unwrap(), ProblemKind::WrongCredentials).await;
    for (password, status) in
        [(of_thief, StatusCode::UNAUTHORIZED), (of_operator, StatusCode::CREATED)]
    {
        let body = json!({ "username": "alice", "password": password });
        let answer = index.post("/v1/sessions", &body).send().await.unwrap();
        assert_eq!(answer.status(), status, "{password}");
    }
}

/// Who deletes their account twice at once does not delete that of whoever takes the name in between.
#[tokio::test]
async fn only_the_account_that_was_confirmed_is_deleted() {
    let store = Arc::new(MemoryStore::new());
    let passwords = Meanwhile::new();
    let inner =
        index_over(Arc::clone(&store) as _, Arc::clone(&passwords) as _, IndexConfig::default());
    let index = serve(inner, RateLimits::default()).await;
    let alice = index.user("alice").await;
    let delete = async || {
        let call = index.call(Method::DELETE, "/v1/me").bearer_auth(&alice.token);
        call.json(&json!({ "password": PASSWORD })).send().await.unwrap().status()
    };
    let name: Username = "alice".parse().unwrap();
    let before = store.user(&name).await.unwrap().unwrap();
    let mut after = before.clone();
    after.created_at = after.created_at.saturating_add(Duration::from_secs(1));
    let (of_other, kept) = (after.clone(), Arc::clone(&store));
    passwords.happens(async move {
        assert!(kept.delete_user(&of_other.name).await.unwrap());
        assert!(kept.insert_user(&of_other, false).await.unwrap());
    });
    assert_eq!(delete().await, StatusCode::NO_CONTENT);
    assert_eq!(store.user(&name).await.unwrap(), Some(after));
}

#[tokio::test]
async fn invite_codes_are_guessed_at_slowly() {
    let config = IndexConfig { registration: Registration::Invite, ..IndexConfig::default() };
    let rates = RateLimits { registrations_per_address: 7, ..RateLimits::default() };
    let index = serve(index(config), rates).await;
    // The first of all needs no invite.
    let alice = index.user("alice").await;
    let made = index.post("/v1/invites", &json!({})).bearer_auth(&alice.token).send().await;
    let code = made.unwrap().json::<InviteCreated>().await.unwrap().code;
    assert_eq!(code.split('-').count(), 4, "four of 2,048 words are 44 bits");

    let register = async |from: &Client, code: &str| {
        let body = json!({ "username": "mallory", "password": PASSWORD, "invite": code });
        let url = format!("http://{}/v1/users", index.address);
        from.post(url).json(&body).send().await.unwrap()
    };
    let (stranger, friend) = (at("127.0.0.66"), at("127.0.0.2"));
    for n in 0..7 {
        let answer = register(&stranger, &format!("zoo-zoo-zoo-{n}")).await;
        assert_problem(answer, ProblemKind::RegistrationRefused).await;
    }
    must_wait(register(&stranger, &code).await).await;
    assert_eq!(register(&friend, &code).await.status(), StatusCode::CREATED);
}

/// They would tell how much a private group shares.
#[tokio::test]
async fn strangers_do_not_read_the_metrics() {
    let inner = index(IndexConfig::default());
    let options = HttpOptions {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        metrics_from: vec!["203.0.113.5".parse().unwrap()],
        ..HttpOptions::default()
    };
    let api = router(inner.clone(), options);
    let index = start_router(inner, api, ServerOptions::default()).await;
    let read = async |from: &[u8]| {
        index.get("/metrics").header("x-forwarded-for", from).send().await.unwrap()
    };
    for from in [&b"198.51.100.9"[..], b"198.51.100.9:4711", b"\xff", b"::1, \xff", b"unknown"] {
        assert_problem(read(from).await, ProblemKind::Forbidden).await;
    }
    for from in [&b"203.0.113.5"[..], b"203.0.113.5:4711", b"\xff, 203.0.113.5", b"::1", b"[::1]:1"]
    {
        assert_eq!(read(from).await.status(), StatusCode::OK);
    }
}

/// A proxy on the index's own machine connects from there, whoever is behind it. One that says so opens nothing.
#[tokio::test]
async fn a_proxy_that_is_not_named_opens_the_metrics_to_nobody() {
    let index = serve(index(IndexConfig::default()), RateLimits::default()).await;
    let url = format!("http://{}/metrics", index.address);
    assert_eq!(at("127.0.0.1").get(&url).send().await.unwrap().status(), StatusCode::OK);
    for (name, value) in [
        ("x-forwarded-for", "198.51.100.9"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
    ] {
        let answer = at("127.0.0.1").get(&url).header(name, value).send().await.unwrap();
        let problem = assert_problem(answer, ProblemKind::Forbidden).await;
        assert!(problem.hint.unwrap().contains("--trusted-proxies"), "{name}: {value}");
    }
}
