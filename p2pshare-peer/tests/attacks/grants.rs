//! Grants that permit nothing: each is refused before anything is read or written.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use futures::{StreamExt, stream};
use p2pshare_core::auth::{GrantClaims, GrantSigner};
use p2pshare_core::content::{ContentId, Manifest, PieceRun};
use p2pshare_core::identity::{Access, PeerKey, Reach};
use p2pshare_core::time::{Clock, SystemClock};
use p2pshare_core::transfer::{
    HaveStream, MemorySource, PieceSource, PushOffer, PushReceiver, PushTarget, SegmentStream,
    SmallContent, TransferError,
};
use p2pshare_peer::guard::GrantGuard;
use p2pshare_peer::net::PeerTls;
use p2pshare_proto::v1;
use p2pshare_proto::v1::push_request::Event;
use p2pshare_proto::v1::transfer_client::TransferClient;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::stranger::{NoCertificate, config_of, stranger};
use crate::support::{Inbox, PIECE, Server, Setup, bytes, within};

/// A source and a receiver that count how often they are asked for anything.
#[derive(Clone)]
struct Counted {
    source: MemorySource,
    inbox: Arc<Inbox>,
    asked: Arc<AtomicUsize>,
}

impl Counted {
    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

#[async_trait]
impl PieceSource for Counted {
    async fn manifest(&self, content: &ContentId) -> Result<Manifest, TransferError> {
        self.asked.fetch_add(1, Relaxed);
        self.source.manifest(content).await
    }

    async fn have(&self, content: &ContentId) -> Result<HaveStream, TransferError> {
        self.asked.fetch_add(1, Relaxed);
        self.source.have(content).await
    }

    async fn fetch(
        &self,
        content: &ContentId,
        runs: &[PieceRun],
    ) -> Result<SegmentStream, TransferError> {
        self.asked.fetch_add(1, Relaxed);
        self.source.fetch(content, runs).await
    }

    async fn fetch_many(&self, contents: &[SmallContent]) -> Result<SegmentStream, TransferError> {
        self.asked.fetch_add(1, Relaxed);
        self.source.fetch_many(contents).await
    }
}

#[async_trait]
impl PushReceiver for Counted {
    fn check_length(&self, length: u64) -> Result<(), TransferError> {
        self.inbox.check_length(length)
    }

    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError> {
        self.asked.fetch_add(1, Relaxed);
        self.inbox.accept(offer).await
    }
}

/// A peer that trusts an index, and somebody with a key.
struct World {
    index: GrantSigner,
    counted: Counted,
    server: Server,
    /// A content that the server has, and that may be pushed to it too.
    manifest: Manifest,
    holder: PeerKey,
}

impl World {
    async fn new() -> Self {
        let index = GrantSigner::generate().unwrap();
        let source = MemorySource::new();
        let manifest = source.insert(bytes(2 * PIECE + 5));
        let (inbox, asked) = (Arc::default(), Arc::default());
        let counted = Counted { source: source.clone(), inbox, asked };
        let mut setup = Setup::tls(&source);
        let me = setup.key.as_ref().unwrap().peer_id();
        let guard = GrantGuard::new(vec![index.public_key()], me, Arc::new(SystemClock));
        setup.guard = Some(Arc::new(guard));
        setup.source = Arc::new(counted.clone());
        setup.receiver = Some(Arc::new(counted.clone()));
        let server = setup.start().await;
        Self { index, counted, server, manifest, holder: PeerKey::generate().unwrap() }
    }

    fn claims(&self, action: Access) -> GrantClaims {
        let now = SystemClock.now();
        GrantClaims {
            issuer: self.index.key_id(),
            user: "mallory".parse().unwrap(),
            action,
            content: self.manifest.id(),
            holder: Some(self.holder.peer_id()),
            audience: (action == Access::Push).then(|| self.server.key.peer_id()),
            reach: Reach::Everyone,
            issued_at: now,
            expires_at: now.saturating_add(Duration::from_secs(600)),
            id: GrantClaims::new_id(),
        }
    }

    fn grant(&self, action: Access) -> String {
        self.index.sign(&self.claims(action))
    }

    /// A client that proves this key, or none.
    async fn client(&self, key: Option<&PeerKey>) -> Client {
        let config = match key {
            None => config_of(&self.server, Arc::new(NoCertificate)),
            Some(key) => PeerTls::new(key).unwrap().for_peer(self.server.key.peer_id()).unwrap(),
        };
        let channel = stranger(&self.server, config).await.unwrap();
        Client { calls: TransferClient::new(channel), manifest: self.manifest.clone() }
    }

    /// Every call with this credential is refused like this, and nobody was asked for anything.
    async fn refused(&self, client: &Client, grant: Option<&str>, code: Code, what: &str) {
        for (call, answer) in client.every_call(grant).await {
            let status = answer.expect_err(what);
            assert_eq!(status.code(), code, "{what}: {call}: {status:?}");
        }
        assert_eq!(self.counted.asked(), 0, "{what}: something was read");
    }
}

/// A gRPC client without any rules of its own.
pub(crate) struct Client {
    pub(crate) calls: TransferClient<Channel>,
    pub(crate) manifest: Manifest,
}

impl Client {
    async fn every_call(&self, grant: Option<&str>) -> Vec<(&'static str, Result<(), Status>)> {
        let mut answers = self.every_fetch(grant).await;
        answers.push(("push", self.push(grant).await));
        answers
    }

    pub(crate) async fn every_fetch(
        &self,
        grant: Option<&str>,
    ) -> Vec<(&'static str, Result<(), Status>)> {
        let mut calls = self.calls.clone();
        let content_id = Bytes::copy_from_slice(self.manifest.id().as_bytes());
        let request = v1::ManifestRequest { content_id: content_id.clone() };
        let manifest = within(calls.manifest(with(request, grant))).await.map(drop);
        let request = v1::HaveRequest { content_id: content_id.clone() };
        let have = within(calls.have(with(request, grant))).await.map(drop);
        let many = vec![v1::SmallContent {
            content_id: content_id.clone(),
            length: 1,
            ..Default::default()
        }];
        let fetch_many = self.fetch_many(grant, many).await.map(drop);
        let request = v1::FetchRequest { content_id, ..Default::default() };
        let fetch = match within(calls.fetch(with(request, grant))).await {
            Ok(answers) => within(answers.into_inner().message()).await.map(drop),
            Err(status) => Err(status),
        };
        vec![("manifest", manifest), ("have", have), ("fetch", fetch), ("fetch_many", fetch_many)]
    }

    /// Asks for several contents; how many segments come.
    async fn fetch_many(
        &self,
        grant: Option<&str>,
        contents: Vec<v1::SmallContent>,
    ) -> Result<usize, Status> {
        let request = v1::FetchManyRequest { contents };
        let answers = within(self.calls.clone().fetch_many(with(request, grant))).await?;
        let mut answers = answers.into_inner();
        let mut segments = 0;
        while within(answers.message()).await?.is_some() {
            segments += 1;
        }
        Ok(segments)
    }

    /// Offers the content; `Ok` when it is wanted.
    async fn push(&self, grant: Option<&str>) -> Result<(), Status> {
        let content_id = Bytes::copy_from_slice(self.manifest.id().as_bytes());
        let length = self.manifest.len();
        let offer = Event::Offer(v1::PushOffer {
            content_id,
            name: "a".to_owned(),
            length,
            ..Default::default()
        });
        let tail = Bytes::copy_from_slice(self.manifest.tail());
        let values = self.manifest.chaining_values().as_flattened();
        let part = Event::Manifest(v1::ManifestPart {
            head: Some(v1::ManifestHead { length, tail }),
            chaining_values: Bytes::copy_from_slice(values),
        });
        let messages = [offer, part].map(|event| v1::PushRequest { event: Some(event) });
        let messages = stream::iter(messages).chain(stream::pending());
        let answers = within(self.calls.clone().push(with(messages, grant))).await?;
        within(answers.into_inner().message()).await.map(drop)
    }
}

fn with<T>(message: T, grant: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(grant) = grant {
        let value = format!("Bearer {grant}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

/// What a token says, signed by whoever wants to.
fn token(header: &Value, payload: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(payload));
    let signature = BASE64URL_NOPAD.encode(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// The parts of a token that say something.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| BASE64URL_NOPAD.decode(part.as_bytes()).unwrap());
    let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
    (next(), next())
}

/// So that all the others cannot fail for a reason that has nothing to do with their grants.
#[tokio::test]
async fn a_good_grant_is_good_for_what_it_says() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    for (call, answer) in client.every_fetch(Some(&world.grant(Access::Fetch))).await {
        answer.unwrap_or_else(|status| panic!("{call}: {status:?}"));
    }
    client.push(Some(&world.grant(Access::Push))).await.unwrap();
    assert_eq!(world.counted.asked(), 5);
}

#[tokio::test]
async fn without_a_grant_nothing_is_read() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    world.refused(&client, None, Code::Unauthenticated, "no grant").await;
}

#[tokio::test]
async fn a_stolen_grant_is_of_no_use() {
    let world = World::new().await;
    let thief = world.client(Some(&PeerKey::generate().unwrap())).await;
    let nobody = world.client(None).await;
    // Even the server's own key is not the holder's.
    let server = world.client(Some(&world.server.key)).await;
    for action in [Access::Fetch, Access::Push] {
        let grant = world.grant(action);
        for (who, client) in [("thief", &thief), ("no key", &nobody), ("server", &server)] {
            let what = format!("{who}, {action:?}");
            world.refused(client, Some(&grant), Code::PermissionDenied, &what).await;
        }
    }
}

#[tokio::test]
async fn a_grant_without_a_holder_is_for_whoever_shows_it() {
    let world = World::new().await;
    let unbound = GrantClaims { holder: None, ..world.claims(Access::Fetch) };
    let grant = world.index.sign(&unbound);
    for client in [world.client(None).await, world.client(Some(&world.holder)).await] {
        for (call, answer) in client.every_fetch(Some(&grant)).await {
            answer.unwrap_or_else(|status| panic!("{call}: {status:?}"));
        }
    }
}

#[tokio::test]
async fn a_grant_is_for_one_content_one_action_and_one_receiver() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    let (fetch, push) = (world.claims(Access::Fetch), world.claims(Access::Push));
    let content = ContentId::of(b"another");
    let elsewhere = Some(PeerKey::generate().unwrap().peer_id());
    for (what, claims) in [
        ("fetch of another content", GrantClaims { content, ..fetch.clone() }),
        ("push of another content", GrantClaims { content, ..push.clone() }),
        ("fetch from elsewhere", GrantClaims { audience: elsewhere, ..fetch.clone() }),
        ("push to elsewhere", GrantClaims { audience: elsewhere, ..push.clone() }),
        ("push to anybody", GrantClaims { audience: None, ..push.clone() }),
    ] {
        let grant = world.index.sign(&claims);
        world.refused(&client, Some(&grant), Code::PermissionDenied, what).await;
    }
    // As a grant for the other action.
    let status = client.push(Some(&world.index.sign(&fetch))).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    for (call, answer) in client.every_fetch(Some(&world.index.sign(&push))).await {
        assert_eq!(answer.unwrap_err().code(), Code::PermissionDenied, "{call}");
    }
    assert_eq!(world.counted.asked(), 0);
}

#[tokio::test]
async fn a_grant_has_its_time() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    let hour = Duration::from_secs(3600);
    for action in [Access::Fetch, Access::Push] {
        let claims = world.claims(action);
        let over = GrantClaims {
            issued_at: claims.issued_at.saturating_sub(hour),
            expires_at: claims.expires_at.saturating_sub(hour),
            ..claims.clone()
        };
        let early = GrantClaims {
            issued_at: claims.issued_at.saturating_add(hour),
            expires_at: claims.expires_at.saturating_add(hour),
            ..claims
        };
        for (what, claims) in [("over", over), ("early", early)] {
            let grant = world.index.sign(&claims);
            world.refused(&client, Some(&grant), Code::Unauthenticated, what).await;
        }
    }
}

#[tokio::test]
async fn only_the_index_signs() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    let (header, payload) = parts(&world.grant(Access::Fetch));
    let other = GrantSigner::generate().unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(&other.to_pkcs8_der()).unwrap();
    let by_other = |message: &[u8]| pair.sign(message).as_ref().to_vec();
    let public = world.index.public_key();
    let raw = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
    let text = hmac::Key::new(hmac::HMAC_SHA256, public.to_string().as_bytes());
    let mac = |key: &hmac::Key, message: &[u8]| hmac::sign(key, message).as_ref().to_vec();
    let alg = |name: &str| {
        let mut header = header.clone();
        header["alg"] = json!(name);
        header
    };
    let mut with_key = header.clone();
    with_key["jwk"] = json!({ "kty": "OKP", "crv": "Ed25519", "x": other.public_key() });
    let mine = GrantClaims { issuer: other.key_id(), ..world.claims(Access::Fetch) };
    let good = world.grant(Access::Fetch);
    for (what, grant) in [
        ("another index", other.sign(&mine)),
        ("another key in the index's name", token(&header, &payload, by_other)),
        ("its own key in the header", token(&with_key, &payload, by_other)),
        ("alg none", token(&alg("none"), &payload, |_| Vec::new())),
        ("alg NONE, signed", token(&alg("NONE"), &payload, by_other)),
        ("HS256 with the public key", token(&alg("HS256"), &payload, |m| mac(&raw, m))),
        ("HS256 with the key's text", token(&alg("HS256"), &payload, |m| mac(&text, m))),
        ("no signature", token(&header, &payload, |_| Vec::new())),
        ("cut", good[..good.len() - 4].to_owned()),
        ("garbage", "\u{7e}".repeat(40)),
        ("dots", "..".to_owned()),
        ("nothing", String::new()),
        ("huge", format!("{good}{}", "A".repeat(8 << 10))),
    ] {
        world.refused(&client, Some(&grant), Code::Unauthenticated, what).await;
    }
}

#[tokio::test]
async fn a_grant_larger_than_the_headers_may_be_is_refused() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    let grant = "A".repeat(1 << 20);
    for (call, answer) in client.every_call(Some(&grant)).await {
        assert!(answer.is_err(), "{call}");
    }
    assert_eq!(world.counted.asked(), 0);
    // Whoever does so spoils no one's connection but their own.
    let client = world.client(Some(&world.holder)).await;
    for (call, answer) in client.every_fetch(Some(&world.grant(Access::Fetch))).await {
        answer.unwrap_or_else(|status| panic!("{call}: {status:?}"));
    }
}

#[tokio::test]
async fn a_grant_is_asked_for_in_every_call() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    for (_, answer) in client.every_fetch(Some(&world.grant(Access::Fetch))).await {
        answer.unwrap();
    }
    let asked = world.counted.asked();
    // On the same connection, which was let in a moment ago.
    for (call, answer) in client.every_call(None).await {
        assert_eq!(answer.unwrap_err().code(), Code::Unauthenticated, "{call}");
    }
    assert_eq!(world.counted.asked(), asked);
}

/// One grant for each content, all of them of one user: else nothing is given, and nothing read.
#[tokio::test]
async fn many_contents_want_a_grant_for_each() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    let texts = ["first", "second", "third"];
    let ids = texts.map(|text| world.counted.source.insert(text).id());
    let claims = |content| GrantClaims { content, ..world.claims(Access::Fetch) };
    let grants = ids.map(|id| world.index.sign(&claims(id)));
    let asked = |grants: [&str; 3]| -> Vec<_> {
        let one = |number: usize| v1::SmallContent {
            content_id: Bytes::copy_from_slice(ids[number].as_bytes()),
            length: texts[number].len() as u64,
            grant: grants[number].to_owned(),
        };
        (0..3).map(one).collect()
    };
    let [first, second, third] = [0, 1, 2].map(|number: usize| grants[number].as_str());
    let all = client.fetch_many(Some(first), asked(["", second, third])).await;
    assert_eq!((all.unwrap(), world.counted.asked()), (3, 1));

    let other = GrantClaims { user: "eve".parse().unwrap(), ..claims(ids[2]) };
    let others = world.index.sign(&other);
    let stranger = GrantSigner::generate().unwrap();
    let forged = stranger.sign(&GrantClaims { issuer: world.index.key_id(), ..claims(ids[2]) });
    let over = SystemClock.now().saturating_sub(Duration::from_secs(3600));
    let over = world.index.sign(&GrantClaims { expires_at: over, ..claims(ids[2]) });
    for (grants, code, what) in [
        (["", second, ""], Code::PermissionDenied, "that of the second for the third"),
        (["", "", ""], Code::PermissionDenied, "one for all"),
        ([second, second, third], Code::PermissionDenied, "another one in the message"),
        (["", second, &others], Code::InvalidArgument, "of two users"),
        (["", second, &forged], Code::Unauthenticated, "a forged one"),
        (["", second, &over], Code::Unauthenticated, "one that is over"),
        (["", second, "nonsense"], Code::Unauthenticated, "none at all"),
    ] {
        let status = client.fetch_many(Some(first), asked(grants)).await.expect_err(what);
        assert_eq!(status.code(), code, "{what}: {status:?}");
        assert_eq!(world.counted.asked(), 1, "{what}: something was read");
    }
}

/// What no small content is, and more than may be asked for, is refused before anything is read.
#[tokio::test]
async fn what_is_asked_for_together_is_bounded() {
    let world = World::new().await;
    let client = world.client(Some(&world.holder)).await;
    let grant = world.grant(Access::Fetch);
    let one = |length| v1::SmallContent {
        content_id: Bytes::copy_from_slice(world.manifest.id().as_bytes()),
        length,
        grant: String::new(),
    };
    let short_id = v1::SmallContent { content_id: Bytes::from_static(b"short"), ..one(1) };
    let long_grant = v1::SmallContent { grant: "x".repeat(70_000), ..one(1) };
    for (contents, code) in [
        (vec![], Code::InvalidArgument),
        (vec![one(0)], Code::InvalidArgument),
        (vec![one(1), one(PIECE as u64 + 1)], Code::InvalidArgument),
        (vec![one(u64::MAX)], Code::InvalidArgument),
        (vec![short_id], Code::InvalidArgument),
        (vec![one(1); 129], Code::InvalidArgument),
        (vec![one(1); 2000], Code::OutOfRange),
        (vec![long_grant], Code::OutOfRange),
    ] {
        let status = client.fetch_many(Some(&grant), contents).await.expect_err("refused");
        assert_eq!(status.code(), code, "{status:?}");
        assert_eq!(world.counted.asked(), 0);
    }
    assert_eq!(client.fetch_many(Some(&grant), vec![one(1); 128]).await.unwrap(), 0);
}
