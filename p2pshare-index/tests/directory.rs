//! An index whose users are those of a directory that is kept elsewhere.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use common::{Login, TestIndex, start_router};
use p2pshare_core::{
    api::{Account, ProblemKind, Registration},
    auth::{AuthError, Authenticator, Password, Verdict, Verifier},
    identity::Username,
    index::{Index, IndexConfig},
};
use p2pshare_index::{HttpOptions, ServerOptions, router};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

/// Who works here, and their passwords.
#[derive(Default)]
struct Directory(Mutex<BTreeMap<String, String>>);

impl Directory {
    fn has(&self, user: &str, password: &str) {
        self.0.lock().unwrap().insert(user.to_owned(), password.to_owned());
    }
}

#[async_trait::async_trait]
impl Authenticator for Directory {
    fn is_directory(&self) -> bool {
        true
    }

    async fn enroll(&self, _: &Username, _: Password) -> Result<Verifier, AuthError> {
        Err(AuthError::NotManaged)
    }

    async fn verify(
        &self,
        user: &Username,
        password: Password,
        _: Option<&Verifier>,
    ) -> Result<Verdict, AuthError> {
        let known = self.0.lock().unwrap();
        Ok(match known.get(user.as_str()).is_some_and(|known| known == password.reveal()) {
            // An index asks for no new verifier, whatever the directory says.
            true => Verdict::Accepted { rehash: true },
            false => Verdict::Refused,
        })
    }
}

async fn start(registration: Registration) -> (TestIndex, Arc<Directory>) {
    let directory = Arc::new(Directory::default());
    for user in ["alice", "bob", "carol"] {
        directory.has(user, &password_of(user));
    }
    let config = IndexConfig { registration, ..IndexConfig::default() };
    let index = common::index_with(directory.clone(), config);
    let routes = router(index.clone(), HttpOptions::default());
    (start_router(index, routes, ServerOptions::default()).await, directory)
}

fn password_of(user: &str) -> String {
    format!("{user}'s own password")
}

async fn log_in(index: &TestIndex, user: &str, password: &str) -> Response {
    let body = json!({ "username": user, "password": password });
    index.post("/v1/sessions", &body).send().await.unwrap()
}

async fn register(index: &TestIndex, user: &str, password: &str, invite: Option<&str>) -> Response {
    let body = json!({ "username": user, "password": password, "invite": invite });
    index.post("/v1/users", &body).send().await.unwrap()
}

async fn account(answer: Response) -> Account {
    assert_eq!(answer.status(), StatusCode::CREATED);
    answer.json().await.unwrap()
}

async fn refused(answer: Response, kind: ProblemKind) {
    let problem: p2pshare_core::api::Problem = answer.json().await.unwrap();
    assert_eq!(problem.kind(), Some(kind), "{problem:?}");
}

async fn names(index: &Index) -> Vec<(String, bool)> {
    let accounts = index.accounts(None).await.unwrap();
    accounts.into_iter().map(|account| (account.username.to_string(), account.operator)).collect()
}

#[tokio::test]
async fn who_is_in_the_directory_has_an_account_at_the_first_login() {
    let (index, directory) = start(Registration::Open).await;
    refused(log_in(&index, "alice", "not her password").await, ProblemKind::WrongCredentials).await;
    refused(log_in(&index, "mallory", "what she types").await, ProblemKind::WrongCredentials).await;
    assert_eq!(names(&index.index).await, []);

    for _ in 0..2 {
        Login::opened(log_in(&index, "alice", &password_of("alice")).await).await;
    }
    Login::opened(log_in(&index, "bob", &password_of("bob")).await).await;
    // Who comes first is no operator for that.
    let known = [("alice".to_owned(), false), ("bob".to_owned(), false)];
    assert_eq!(names(&index.index).await, known);

    // A password that is changed there is another one here.
    directory.has("bob", "his new password");
    refused(log_in(&index, "bob", &password_of("bob")).await, ProblemKind::WrongCredentials).await;
    Login::opened(log_in(&index, "bob", "his new password").await).await;
}

#[tokio::test]
async fn registering_shows_the_directorys_password() {
    let (index, _) = start(Registration::Open).await;
    let wrong = register(&index, "alice", "a password of her choice", None).await;
    refused(wrong, ProblemKind::WrongCredentials).await;
    let first = account(register(&index, "alice", &password_of("alice"), None).await).await;
    // As for who logged in before.
    let again = account(register(&index, "alice", &password_of("alice"), None).await).await;
    assert_eq!((first.operator, &again), (false, &first));
    let wrong = register(&index, "alice", "a password of her choice", None).await;
    refused(wrong, ProblemKind::WrongCredentials).await;
}

#[tokio::test]
async fn passwords_cannot_be_tried_by_registering() {
    let (index, _) = start(Registration::Open).await;
    let mut tried = 0;
    loop {
        let answer = register(&index, "alice", &format!("wrong password {tried}"), None).await;
        match answer.status() {
            StatusCode::UNAUTHORIZED => tried += 1,
            status => break assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
        }
        assert!(tried < 100);
    }
    // It is the one limit of an account and an address, whichever way a password is tried.
    let answer = log_in(&index, "alice", &password_of("alice")).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn invites_and_closed_indexes_hold() {
    let (index, _) = start(Registration::Invite).await;
    index.index.admit(&"alice".parse().unwrap(), true).await.unwrap();
    let alice = Login::opened(log_in(&index, "alice", &password_of("alice")).await).await;
    let answer = log_in(&index, "bob", &password_of("bob")).await;
    refused(answer, ProblemKind::RegistrationRefused).await;

    let make = index.post("/v1/invites", &json!({ "uses": 1 })).bearer_auth(&alice.token);
    let made: serde_json::Value = make.send().await.unwrap().json().await.unwrap();
    let code = made["code"].as_str().unwrap();
    // Who does not know the password uses no invite up.
    let wrong = register(&index, "bob", "a password of his choice", Some(code)).await;
    refused(wrong, ProblemKind::WrongCredentials).await;
    account(register(&index, "bob", &password_of("bob"), Some(code)).await).await;
    Login::opened(log_in(&index, "bob", &password_of("bob")).await).await;

    let (index, _) = start(Registration::Closed).await;
    let answer = log_in(&index, "carol", &password_of("carol")).await;
    refused(answer, ProblemKind::RegistrationRefused).await;
    let admitted = index.index.admit(&"carol".parse().unwrap(), true).await.unwrap();
    assert!(admitted.operator);
    Login::opened(log_in(&index, "carol", &password_of("carol")).await).await;
}

#[tokio::test]
async fn passwords_are_set_where_they_are_kept() {
    let (index, _) = start(Registration::Open).await;
    let alice = Login::opened(log_in(&index, "alice", &password_of("alice")).await).await;
    let body = json!({ "current": password_of("alice"), "new": "another password" });
    let change = index.call(Method::PUT, "/v1/me/password").json(&body).bearer_auth(&alice.token);
    refused(change.send().await.unwrap(), ProblemKind::Forbidden).await;
    let (name, password) = ("dave".parse().unwrap(), Password::new("some password".to_owned()));
    let made = index.index.create_account(&name, password.unwrap(), false).await;
    assert_eq!(made.unwrap_err().problem().kind(), Some(ProblemKind::Forbidden));
}

#[tokio::test]
async fn who_is_disabled_stays_so_and_who_left_begins_anew() {
    let (index, _) = start(Registration::Open).await;
    let alice = Login::opened(log_in(&index, "alice", &password_of("alice")).await).await;
    let bob: Username = "bob".parse().unwrap();
    Login::opened(log_in(&index, "bob", &password_of("bob")).await).await;
    index.index.set_disabled(&bob, true).await.unwrap();
    let answer = log_in(&index, "bob", &password_of("bob")).await;
    refused(answer, ProblemKind::AccountDisabled).await;
    let answer = register(&index, "bob", &password_of("bob"), None).await;
    refused(answer, ProblemKind::AccountDisabled).await;

    // While an account is being deleted nobody gets in, nor makes another one.
    let store = index.index.store();
    let gone = Verifier::gone();
    let kept = p2pshare_core::index::model::KeptSessions::None;
    store.set_disabled(&bob, false).await.unwrap();
    let before = store.user(&bob).await.unwrap().unwrap();
    store.set_verifier(&bob, &gone, None, kept).await.unwrap();
    let answer = log_in(&index, "bob", &password_of("bob")).await;
    refused(answer, ProblemKind::WrongCredentials).await;
    index.index.delete_user(&bob).await.unwrap();
    Login::opened(log_in(&index, "bob", &password_of("bob")).await).await;
    // Another account, and known to be another.
    assert_ne!(store.user(&bob).await.unwrap().unwrap().verifier, before.verifier);

    let body = json!({ "password": "not her password" });
    let delete = |body| index.call(Method::DELETE, "/v1/me").json(body).bearer_auth(&alice.token);
    refused(delete(&body).send().await.unwrap(), ProblemKind::WrongCredentials).await;
    let body = json!({ "password": password_of("alice") });
    assert_eq!(delete(&body).send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn one_account_is_made_by_many_first_logins() {
    let (index, _) = start(Registration::Open).await;
    let logins = (0..8).map(|_| async {
        Login::opened(log_in(&index, "alice", &password_of("alice")).await).await;
    });
    futures::future::join_all(logins).await;
    assert_eq!(names(&index.index).await, [("alice".to_owned(), false)]);
}

#[tokio::test]
async fn an_index_that_keeps_its_own_passwords_lets_nobody_in_without_one() {
    let index = common::start().await;
    let name = "alice".parse().unwrap();
    index.index.admit(&name, false).await.unwrap();
    let answer = log_in(&index, "alice", &password_of("alice")).await;
    refused(answer, ProblemKind::WrongCredentials).await;
    let password = Password::new(password_of("alice")).unwrap();
    index.index.reset_password(&name, password).await.unwrap();
    Login::opened(log_in(&index, "alice", &password_of("alice")).await).await;
}
