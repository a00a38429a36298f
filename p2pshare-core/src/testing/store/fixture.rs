//! Small worlds for the laws to be tried in.

use std::sync::Arc;

use crate::{
    api::{CatalogChange, Entry, Hit, Published, Sort, Visibility},
    auth::{TokenHash, Verifier},
    content::ContentId,
    identity::{GroupName, PeerAddr, PeerId, Username},
    index::{
        model::{
            AnnounceOutcome, GroupRecord, InviteHash, InviteRecord, PartialSource, Peer, Session,
            User, Viewer,
        },
        search::{Filter, Query, Search},
        store::{IndexStore, StoreResult},
    },
    path::SharePath,
    time::Timestamp,
};

pub(super) type Store = Arc<dyn IndexStore>;

/// What the store answered.
#[track_caller]
pub(super) fn ok<T>(answer: StoreResult<T>) -> T {
    match answer {
        Ok(answer) => answer,
        Err(error) => panic!("the store failed where it must answer: {error}"),
    }
}

/// Runs all of them at once and gives what they answered.
pub(super) async fn at_once<F, T>(futures: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let running: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for task in running {
        answers.push(task.await.expect("the store does not panic"));
    }
    answers
}

/// Every sort.
pub(super) const SORTS: [Sort; 6] =
    [Sort::Relevance, Sort::Largest, Sort::Smallest, Sort::Newest, Sort::Oldest, Sort::Sources];

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

pub(super) fn user(name: &str) -> Username {
    Username::parse(name).expect("a name in a law is valid")
}

pub(super) fn group(name: &str) -> GroupName {
    GroupName::parse(name).expect("a name in a law is valid")
}

pub(super) fn path(text: &str) -> SharePath {
    SharePath::parse(text).expect("a path in a law is valid")
}

pub(super) fn paths(texts: &[&str]) -> Vec<SharePath> {
    texts.iter().map(|text| path(text)).collect()
}

pub(super) fn verifier(of: &str) -> Verifier {
    Verifier::parse(format!("$plain$v=1$c2FsdA${of}")).expect("a verifier in a law is valid")
}

pub(super) const fn content(number: u8) -> ContentId {
    ContentId::from_bytes([number; 32])
}

pub(super) const fn peer_id(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

pub(super) fn token(number: u8) -> TokenHash {
    TokenHash::from_bytes([number; 32])
}

pub(super) const fn invite_hash(number: u8) -> InviteHash {
    InviteHash([number; 32])
}

pub(super) fn account(name: &str) -> User {
    User {
        name: user(name),
        verifier: verifier(name),
        operator: false,
        disabled: false,
        created_at: at(1),
    }
}

pub(super) fn session(number: u8, name: &str, created: i64) -> Session {
    Session {
        token: token(number),
        user: user(name),
        created_at: at(created),
        expires_at: at(created + 1000),
    }
}

pub(super) fn address(number: u8) -> PeerAddr {
    format!("tcp://192.0.2.{number}:7401").parse().expect("an address in a law is valid")
}

/// A peer that announced itself, and was last seen, at 100 seconds.
pub(super) fn peer(number: u8, owner: &str) -> Peer {
    Peer {
        id: peer_id(number),
        owner: user(owner),
        addresses: vec![address(number)],
        announced_at: at(100),
        last_seen: Some(at(100)),
    }
}

/// A public entry of 10 bytes.
pub(super) fn entry(text: &str, number: u8) -> Entry {
    Entry { path: path(text), content: content(number), size: 10, visibility: Visibility::Public }
}

pub(super) fn entry_for(text: &str, number: u8, visibility: &Visibility) -> Entry {
    Entry { visibility: visibility.clone(), ..entry(text, number) }
}

pub(super) fn shared_with(name: &str) -> Visibility {
    Visibility::Group(group(name))
}

/// That part of a content is held until a time in seconds, for all these groups.
pub(super) fn part(number: u8, until: i64, groups: &[&str]) -> PartialSource {
    let groups = groups.iter().map(|name| group(name)).collect();
    PartialSource { content: content(number), until: at(until), groups }
}

/// Notes a partial source for everybody. `false`: it was not noted.
pub(super) async fn holds_part(
    store: &Store,
    owner: &str,
    peer: u8,
    number: u8,
    until: i64,
) -> bool {
    noted(store, owner, peer, &part(number, until, &[])).await.is_some()
}

/// Notes a partial source; gives the groups that it is noted for.
pub(super) async fn noted(
    store: &Store,
    owner: &str,
    peer: u8,
    partial: &PartialSource,
) -> Option<Vec<String>> {
    let noted = ok(store.add_partial_source(&user(owner), &peer_id(peer), partial).await);
    noted.map(|groups| groups.iter().map(ToString::to_string).collect())
}

/// Good for three accounts until 1,000 seconds.
pub(super) fn invite(number: u8, by: &str, into: Option<&str>) -> InviteRecord {
    InviteRecord {
        hash: invite_hash(number),
        created_by: user(by),
        group: into.map(group),
        uses_left: 3,
        created_at: at(100),
        expires_at: at(1000),
    }
}

pub(super) async fn add_users(store: &Store, names: &[&str]) {
    for name in names {
        assert!(ok(store.insert_user(&account(name), false).await), "{name} is added");
    }
}

pub(super) async fn add_peer(store: &Store, number: u8, owner: &str) {
    add_this_peer(store, &peer(number, owner)).await;
}

pub(super) async fn add_this_peer(store: &Store, peer: &Peer) {
    let outcome = ok(store.announce(peer).await);
    assert!(matches!(outcome, AnnounceOutcome::Stored { .. }), "{peer:?}: {outcome:?}");
}

/// A group with its owner and members, who all exist.
pub(super) async fn add_group(store: &Store, name: &str, owner: &str, members: &[&str]) {
    let record = GroupRecord { name: group(name), owner: user(owner), created_at: at(1) };
    assert!(ok(store.insert_group(&record).await), "{name} is added");
    for member in members {
        assert!(ok(store.add_member(&group(name), &user(member)).await), "{member} joins {name}");
    }
}

/// Users with one peer each, in this order from number 1 on.
pub(super) async fn add_users_with_peers(store: &Store, names: &[&str]) {
    add_users(store, names).await;
    for (number, name) in (1..).zip(names) {
        add_peer(store, number, name).await;
    }
}

/// Publishes at a time, in seconds.
pub(super) async fn publish(
    store: &Store,
    owner: &str,
    peer: u8,
    changes: &[CatalogChange],
    seconds: i64,
) -> Published {
    let published = store.publish(&user(owner), &peer_id(peer), changes, at(seconds)).await;
    ok(published).expect("the peer is the owner's")
}

/// Publishes entries at 100 seconds.
pub(super) async fn share(store: &Store, owner: &str, peer: u8, entries: &[Entry]) {
    let changes: Vec<_> = entries.iter().cloned().map(CatalogChange::Publish).collect();
    publish(store, owner, peer, &changes, 100).await;
}

pub(super) fn viewer(name: &str, groups: &[&str]) -> Viewer {
    Viewer { user: user(name), groups: groups.iter().map(|name| group(name)).collect() }
}

/// All hits of these words. Who was seen at 100 seconds is online.
pub(super) fn search(words: &str) -> Search {
    Search {
        query: Query::parse(words).expect("a query in a law is valid"),
        filter: Filter::default(),
        sort: Sort::Relevance,
        after: None,
        limit: 1000,
        online_since: at(100),
    }
}

pub(super) async fn hits(store: &Store, viewer: &Viewer, search: &Search) -> Vec<Hit> {
    ok(store.search(viewer, search).await).hits
}

/// The numbers of the contents that are found, in the order of the hits.
pub(super) async fn found(store: &Store, viewer: &Viewer, search: &Search) -> Vec<u8> {
    let hits = hits(store, viewer, search).await;
    hits.iter().map(|hit| hit.content.as_bytes()[0]).collect()
}

/// The paths of a peer's entries.
pub(super) async fn entry_paths(store: &Store, peer: u8) -> Vec<SharePath> {
    let entries = ok(store.entries(&peer_id(peer), None, 1000).await);
    entries.into_iter().map(|entry| entry.path).collect()
}

/// One peer of alice that shares these paths, the first with content 1 and so on.
pub(super) async fn alice_shares(store: &Store, texts: &[&str]) {
    add_users(store, &["alice"]).await;
    add_peer(store, 1, "alice").await;
    let entries: Vec<_> = (1..).zip(texts).map(|(number, text)| entry(text, number)).collect();
    share(store, "alice", 1, &entries).await;
}
