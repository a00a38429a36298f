//! An index on a free port, and clients of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod meanwhile;
#[cfg(unix)]
pub mod process;

use std::{net::SocketAddr, sync::Arc};

use data_encoding::BASE64URL_NOPAD;
use p2pshare_core::{
    api::{
        Announce, CatalogChange, Entry, IndexInfo, Problem, ProblemKind, PublishRequest,
        SessionOpened, Visibility,
    },
    auth::{Argon2Authenticator, Argon2Params, Authenticator, GrantSigner, SigningKeys},
    backend::memory::MemoryStore,
    content::ContentId,
    identity::{AnnounceStatement, PeerKey, Username},
    index::{Index, IndexConfig, store::IndexStore},
    time::{Clock, SystemClock},
};
use p2pshare_index::{HttpOptions, ServerOptions, router, serve};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub const PASSWORD: &str = "correct horse battery";

pub struct TestIndex {
    pub index: Index,
    pub address: SocketAddr,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
    pub client: Client,
}

/// An index with these limits, over HTTP.
pub async fn limited(config: IndexConfig) -> TestIndex {
    let inner = index(config);
    let api = router(inner.clone(), HttpOptions::default());
    start_router(inner, api, ServerOptions::default()).await
}

/// An index over a memory store.
pub fn index(config: IndexConfig) -> Index {
    index_with(cheap_passwords(), config)
}

/// The same with other passwords.
pub fn index_with(authenticator: Arc<dyn Authenticator>, config: IndexConfig) -> Index {
    index_over(Arc::new(MemoryStore::new()), authenticator, config)
}

/// The same over another store.
pub fn index_over(
    store: Arc<dyn IndexStore>,
    authenticator: Arc<dyn Authenticator>,
    config: IndexConfig,
) -> Index {
    let keys = SigningKeys::new(GrantSigner::generate().unwrap());
    Index::new(store, authenticator, keys, Arc::new(SystemClock), config)
}

/// Passwords that cost next to nothing to check.
pub fn cheap_passwords() -> Arc<dyn Authenticator> {
    Arc::new(Argon2Authenticator::new(Argon2Params::new(8, 1, 1).unwrap()))
}

pub async fn start() -> TestIndex {
    start_with(HttpOptions::default(), ServerOptions::default()).await
}

pub async fn start_with(http: HttpOptions, server: ServerOptions) -> TestIndex {
    let index = index(IndexConfig::default());
    start_router(index.clone(), router(index, http), server).await
}

pub async fn start_router(index: Index, router: axum::Router, server: ServerOptions) -> TestIndex {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let task = tokio::spawn(serve(listener, router, server, stopped));
    TestIndex { index, address, stop, task, client: Client::new() }
}

impl TestIndex {
    pub fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.call(Method::POST, path).json(body)
    }

    pub async fn register(&self, user: &str) {
        let body = json!({ "username": user, "password": PASSWORD });
        let answer = self.post("/v1/users", &body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
    }

    pub async fn log_in(&self, user: &str) -> Login {
        let body = json!({ "username": user, "password": PASSWORD });
        let answer = self.post("/v1/sessions", &body).send().await.unwrap();
        Login::opened(answer).await
    }

    /// A new user with a session.
    pub async fn user(&self, name: &str) -> Login {
        self.register(name).await;
        self.log_in(name).await
    }
}

pub struct Login {
    pub token: String,
    pub user: Username,
    pub index: IndexInfo,
}

impl Login {
    /// From the answer to a login.
    pub async fn opened(answer: Response) -> Self {
        assert_eq!(answer.status(), StatusCode::CREATED);
        let opened: SessionOpened = answer.json().await.unwrap();
        Self {
            token: opened.token.reveal().to_string(),
            user: opened.account.username,
            index: opened.index,
        }
    }

    /// What a peer of this user sends to announce itself.
    pub fn announce(&self, key: &PeerKey) -> Announce {
        let addresses = vec!["tcp://192.0.2.7:7411".parse().unwrap()];
        let issued_at = SystemClock.now();
        let statement = AnnounceStatement {
            index_key_id: self.index.public_keys[0].key_id(),
            user: self.user.clone(),
            peer: key.peer_id(),
            addresses: addresses.clone(),
            issued_at,
        };
        Announce {
            public_key: BASE64URL_NOPAD.encode(key.public_key_der()),
            addresses,
            issued_at,
            signature: BASE64URL_NOPAD.encode(&statement.sign(key).unwrap()),
        }
    }
}

pub fn publish(path: &str, content: ContentId, size: u64) -> PublishRequest {
    PublishRequest::new(vec![CatalogChange::Publish(Entry {
        path: path.parse().unwrap(),
        content,
        size,
        visibility: Visibility::Public,
    })])
}

/// Asserts that an answer is a whole problem document of this kind.
pub async fn assert_problem(answer: Response, kind: ProblemKind) -> Problem {
    let status = answer.status().as_u16();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    let media = answer.headers()["content-type"].clone();
    let text = answer.text().await.unwrap();
    let problem: Problem =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {text:?}: {error}"));
    assert_eq!(problem.kind(), Some(kind), "{text}");
    assert_eq!(media, "application/problem+json");
    assert_eq!(status, kind.status());
    assert_eq!(problem.status, status);
    assert_eq!(problem.request_id.as_deref(), Some(id.as_str()));
    assert!(!problem.detail.is_empty());
    problem
}
