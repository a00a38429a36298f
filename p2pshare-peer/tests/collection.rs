//! A peer that shares what is in no catalog, at an index.
#![allow(missing_docs, clippy::unwrap_used)]

#[allow(dead_code, reason = "each program of tests uses a part of it")]
mod with_index;

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Json, Router,
    body::to_bytes,
    extract::Request,
    middleware::{Next, from_fn},
    response::IntoResponse,
};
use p2pshare_core::{
    api::{CatalogChange, CatalogQuery, CreateGroup, Entry, Heartbeat, PublishRequest, Visibility},
    content::ContentId,
    identity::GroupName,
    index::IndexConfig,
    path::SharePath,
    transfer::{MemorySource, OpenSource},
};
use p2pshare_peer::{
    catalog::PartialSources,
    daemon::{CollectionShares, DaemonEvent},
    publish::{Collection, CollectionError, OwnPeer},
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use with_index::{join, start_index_with, start_sharing};

/// Entries that can be listed, or not.
#[derive(Default)]
struct List {
    entries: Mutex<BTreeMap<SharePath, Entry>>,
    listed: AtomicU64,
    is_broken: AtomicBool,
    is_disordered: AtomicBool,
}

impl List {
    fn put(&self, entry: &Entry) {
        self.entries.lock().unwrap().insert(entry.path.clone(), entry.clone());
    }

    fn take(&self, path: &str) -> CatalogChange {
        let path: SharePath = path.parse().unwrap();
        self.entries.lock().unwrap().remove(&path).unwrap();
        CatalogChange::Withdraw(path)
    }

    fn all(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().values().cloned().collect()
    }
}

#[async_trait]
impl Collection for List {
    async fn entries(
        &self,
        after: Option<&SharePath>,
        limit: u16,
    ) -> Result<Vec<Entry>, CollectionError> {
        self.listed.fetch_add(1, SeqCst);
        if self.is_broken.load(SeqCst) {
            return Err("the list is on fire".into());
        }
        let after = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        let entries = self.entries.lock().unwrap();
        let page = entries.range((after, Bound::Unbounded)).take(limit.into());
        let mut page: Vec<_> = page.map(|(_, entry)| entry.clone()).collect();
        if self.is_disordered.load(SeqCst) {
            page.reverse();
        }
        Ok(page)
    }
}

fn entry(path: &str, visibility: Visibility) -> Entry {
    let content = ContentId::of(path.as_bytes());
    Entry { path: path.parse().unwrap(), content, size: path.len() as u64, visibility }
}

fn public(path: &str) -> Entry {
    entry(path, Visibility::Public)
}

struct Peer {
    me: OwnPeer,
    list: Arc<List>,
    shares: CollectionShares,
    events: mpsc::UnboundedReceiver<DaemonEvent>,
    _stop: DropGuard,
}

impl Peer {
    /// A peer at an index, with this list; heartbeats come each second.
    async fn start(config: IndexConfig, list: List) -> Self {
        Self::start_with(config, list, |routes| routes).await
    }

    /// The same at an index whose answers are changed on the way.
    async fn start_with(
        config: IndexConfig,
        list: List,
        change: impl FnOnce(Router) -> Router,
    ) -> Self {
        let config = IndexConfig { heartbeat_every: Duration::from_secs(1), ..config };
        let me = join("alice", &start_index_with(config, change).await).await;
        Self::serve(me, list)
    }

    fn serve(me: OwnPeer, list: List) -> Self {
        let list = Arc::new(list);
        let source = Arc::new(OpenSource::new(Arc::new(MemorySource::new())));
        let shares = CollectionShares::new(source, list.clone());
        let stop = CancellationToken::new();
        let (told, events) = mpsc::unbounded_channel();
        let tell = Arc::new(move |event| drop(told.send(event)));
        let shared = Arc::new(shares.clone());
        start_sharing(&me, shared, &PartialSources::new(), &stop, tell, |_| ());
        Self { me, list, shares, events, _stop: stop.drop_guard() }
    }

    /// Waits until something is told.
    async fn told<T>(&mut self, what: impl Fn(DaemonEvent) -> Option<T>) -> T {
        let told = async {
            loop {
                if let Some(found) = what(self.events.recv().await.unwrap()) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), told).await.unwrap()
    }

    async fn ready(&mut self) -> u64 {
        self.told(|event| match event {
            DaemonEvent::Ready { published, .. } => Some(published),
            _ => None,
        })
        .await
    }

    /// Waits until so many files are published.
    async fn published(&mut self, files: u64) {
        self.told(|event| match event {
            DaemonEvent::Published { total } => (total == files).then_some(()),
            _ => None,
        })
        .await;
    }

    async fn trouble(&mut self, with: &str) {
        self.told(|event| match event {
            DaemonEvent::Trouble(what) => what.contains(with).then_some(()),
            _ => None,
        })
        .await;
    }

    /// What the index has of the peer.
    async fn at_index(&self) -> Vec<Entry> {
        let mut all: Vec<Entry> = Vec::new();
        loop {
            let after = all.last().map(|last| last.path.clone());
            let query = CatalogQuery { after, limit: None };
            let page = self.me.client().entries(&self.me.id(), &query).await.unwrap();
            all.extend(page.entries);
            if !page.more {
                return all;
            }
        }
    }

    /// Publishes around the peer, as one that was restored from a copy.
    async fn publish(&self, changes: Vec<CatalogChange>) {
        let request = PublishRequest::new(changes);
        self.me.client().publish(&self.me.id(), &request).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_listed_and_what_changes_is_published() {
    let list = List::default();
    // More than a page, and than a batch.
    (0..1300).for_each(|number| list.put(&public(&format!("Bucket/{number}"))));
    let mut peer = Peer::start(IndexConfig::default(), list).await;
    assert_eq!(peer.ready().await, 1300);
    assert_eq!(peer.at_index().await, peer.list.all());

    let listed = peer.list.listed.load(SeqCst);
    let new = public("Bucket/new");
    peer.list.put(&new);
    let changes = [peer.list.take("Bucket/7"), peer.list.take("Bucket/8")];
    peer.shares.changed(changes.into_iter().chain([CatalogChange::Publish(new)]));
    peer.published(1299).await;
    assert_eq!(peer.at_index().await, peer.list.all());
    // What is told is enough.
    assert_eq!(peer.list.listed.load(SeqCst), listed);
}

#[tokio::test]
async fn an_index_that_has_something_else_is_put_right() {
    let list = List::default();
    (0..10).for_each(|number| list.put(&public(&format!("Bucket/{number}"))));
    let mut peer = Peer::start(IndexConfig::default(), list).await;
    assert_eq!(peer.ready().await, 10);
    let gone = ["Bucket/0", "Bucket/9"].map(|path| CatalogChange::Withdraw(path.parse().unwrap()));
    let other = Entry { content: ContentId::of(b"other"), ..public("Bucket/5") };
    let strange = public("Nobody knows it");
    let changes = [other, strange].map(CatalogChange::Publish);
    peer.publish(gone.into_iter().chain(changes).collect()).await;
    // The next heartbeat tells of another number.
    peer.published(10).await;
    assert_eq!(peer.at_index().await, peer.list.all());
}

#[tokio::test]
async fn an_index_that_began_anew_is_looked_at() {
    let process = Arc::new(Mutex::new("one".to_owned()));
    let named = process.clone();
    let name = move |request: Request, next: Next| {
        let process = named.clone();
        async move {
            let is_beat = request.uri().path().ends_with("/heartbeat");
            let answer = next.run(request).await;
            if !is_beat || !answer.status().is_success() {
                return answer;
            }
            let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            let mut beat: Heartbeat = serde_json::from_slice(&body).unwrap();
            assert!(beat.process.is_some_and(|process| process.len() == 32));
            beat.process = Some(process.lock().unwrap().clone());
            Json(beat).into_response()
        }
    };
    let list = List::default();
    list.put(&public("Bucket/a"));
    let change = |routes: Router| routes.layer(from_fn(name));
    let mut peer = Peer::start_with(IndexConfig::default(), list, change).await;
    assert_eq!(peer.ready().await, 1);
    // As many as before: it was restored from a copy, so quickly that nobody saw it away.
    let gone = CatalogChange::Withdraw("Bucket/a".parse().unwrap());
    peer.publish(vec![gone, CatalogChange::Publish(public("Bucket/old"))]).await;
    "two".clone_into(&mut process.lock().unwrap());
    peer.published(1).await;
    assert_eq!(peer.at_index().await, peer.list.all());
}

#[tokio::test]
async fn a_list_that_cannot_be_had_withdraws_nothing() {
    let list = List::default();
    list.put(&public("Bucket/a"));
    list.put(&public("Bucket/b"));
    let mut peer = Peer::start(IndexConfig::default(), list).await;
    assert_eq!(peer.ready().await, 2);
    for broken in [&peer.list.is_broken, &peer.list.is_disordered] {
        broken.store(true, SeqCst);
    }
    peer.publish(vec![CatalogChange::Publish(public("Bucket/c"))]).await;
    peer.trouble("the list is on fire").await;
    peer.list.is_broken.store(false, SeqCst);
    peer.trouble("out of order").await;
    assert_eq!(peer.at_index().await.len(), 3);
    peer.list.is_disordered.store(false, SeqCst);
    peer.published(2).await;
    assert_eq!(peer.at_index().await, peer.list.all());
}

#[tokio::test]
async fn a_list_that_cannot_be_had_at_the_start_is_asked_for_again() {
    let list = List::default();
    list.put(&public("Bucket/a"));
    list.is_broken.store(true, SeqCst);
    let mut peer = Peer::start(IndexConfig::default(), list).await;
    peer.trouble("the list is on fire").await;
    peer.list.is_broken.store(false, SeqCst);
    assert_eq!(peer.ready().await, 1);
    assert_eq!(peer.at_index().await, peer.list.all());
}

#[tokio::test]
async fn what_is_for_a_group_is_for_the_very_one_that_is_stated() {
    let list = List::default();
    list.put(&public("Bucket/a"));
    let mut peer = Peer::start(IndexConfig::default(), list).await;
    assert_eq!(peer.ready().await, 1);
    let lab: GroupName = "lab".parse().unwrap();
    let client = peer.me.client().clone();
    let create = CreateGroup { name: lab.clone() };
    client.create_group(&create).await.unwrap();
    // It was for all, and is for a group: which one was not said.
    let group = entry("Bucket/a", Visibility::Group(lab.clone()));
    let new = public("Bucket/b");
    peer.list.put(&group);
    peer.list.put(&new);
    peer.shares.changed([group.clone(), new.clone()].map(CatalogChange::Publish));
    peer.trouble("1 file for group:lab not published: it is not stated").await;
    assert_eq!(peer.at_index().await, std::slice::from_ref(&new));
    let reach = client.reach_of(&lab).await.unwrap().unwrap();
    peer.shares.share_with(lab.clone(), reach);
    peer.published(2).await;
    assert_eq!(peer.at_index().await, peer.list.all());

    // A later group of the name is another.
    client.delete_group(&lab).await.unwrap();
    client.create_group(&create).await.unwrap();
    peer.trouble("1 file for group:lab not published").await;
    assert_eq!(peer.at_index().await, std::slice::from_ref(&new));
    // Also for a program that has begun anew and says what it said before.
    let list =
        List { entries: Mutex::new(peer.list.entries.lock().unwrap().clone()), ..List::default() };
    let mut again = Peer::serve(peer.me.clone(), list);
    again.shares.share_with(lab, reach);
    again.trouble("1 file for group:lab not published").await;
    assert_eq!(again.at_index().await, std::slice::from_ref(&new));
}

#[tokio::test]
async fn what_is_more_than_may_be_is_told_and_the_rest_published() {
    let list = List::default();
    (0..300).for_each(|number| list.put(&public(&format!("Bucket/{number:03}"))));
    let config = IndexConfig { entries_per_user: 260, ..IndexConfig::default() };
    let mut peer = Peer::start(config, list).await;
    peer.trouble("40 files not published").await;
    peer.ready().await;
    assert_eq!(peer.at_index().await, peer.list.all()[..260]);

    // What takes the place of something fits all the same, and keeps its place.
    let other = Entry { content: ContentId::of(b"other"), ..public("Bucket/005") };
    peer.list.put(&other);
    peer.shares.changed([CatalogChange::Publish(other)]);
    peer.published(260).await;
    assert_eq!(peer.at_index().await, peer.list.all()[..260]);

    let gone: Vec<_> =
        (0..100).map(|number| peer.list.take(&format!("Bucket/{number:03}"))).collect();
    peer.shares.changed(gone);
    peer.published(200).await;
    assert_eq!(peer.at_index().await, peer.list.all());
}
