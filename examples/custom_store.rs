//! A store of one's own: wraps any other and measures what each call takes.
//!
//! A store is whatever keeps the laws of [`IndexStore`]; whether it does is shown by the same suite that the stores of
//! the library pass, here run over this one:
//!
//! ```text
//! cargo run --example custom_store
//! ```

#![allow(clippy::print_stdout, reason = "it is a program that prints")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use p2pshare_core::{
    api::{CatalogChange, Entry, FileListing, Hit, Published, UserFile, UserOverview},
    auth::{TokenHash, Verifier},
    backend::memory::MemoryStore,
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::{
        model::{
            AnnounceOutcome, GroupRecord, InviteHash, InviteRecord, KeptSessions, LocateRequest,
            Location, OpenSession, OverviewRequest, PartialSource, Peer, Session, StoreCounts,
            User, Viewer,
        },
        search::{Search, SearchSlice},
        store::{
            CatalogStore, GroupStore, IndexStore, InviteStore, PeerStore, RedeemOutcome,
            SessionStore, StoreResult, UserStore,
        },
    },
    path::SharePath,
    testing::store::run_all,
    time::Timestamp,
};

#[tokio::main]
async fn main() {
    let measured = Arc::new(Measured::default());
    println!("Trying every law of a store on one that measures its calls …");
    run_all(async || {
        let inner: Arc<dyn IndexStore> = Arc::new(MemoryStore::new());
        let store: Arc<dyn IndexStore> =
            Arc::new(MeteredStore { inner, measured: measured.clone() });
        store
    })
    .await;

    println!("All of them hold. What the suite called:\n");
    println!("{:>24}  {:>8}  {:>12}", "call", "times", "mean");
    let calls = measured.calls.lock().unwrap_or_else(PoisonError::into_inner);
    for (call, (times, total)) in calls.iter() {
        println!("{call:>24}  {times:>8}  {:>12?}", *total / *times);
    }
}

/// How often each call was made, and how long all of them took.
#[derive(Default)]
struct Measured {
    calls: Mutex<BTreeMap<&'static str, (u32, Duration)>>,
}

/// A store that measures another.
struct MeteredStore {
    inner: Arc<dyn IndexStore>,
    measured: Arc<Measured>,
}

impl MeteredStore {
    async fn meter<T>(&self, call: &'static str, work: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = work.await;
        let took = begun.elapsed();
        let mut calls = self.measured.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, total) = calls.entry(call).or_default();
        *times += 1;
        *total += took;
        answer
    }
}

// Each forwards every method, also those that get a default some day: one that was forgotten would lose the inner
// store's own.

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl UserStore for MeteredStore {
    async fn insert_user(&self, user: &User, only_if_first: bool) -> StoreResult<bool> {
        self.meter("insert_user", self.inner.insert_user(user, only_if_first)).await
    }

    async fn user(&self, name: &Username) -> StoreResult<Option<User>> {
        self.meter("user", self.inner.user(name)).await
    }

    async fn set_verifier(
        &self,
        name: &Username,
        verifier: &Verifier,
        expected: Option<&Verifier>,
        kept: KeptSessions,
    ) -> StoreResult<bool> {
        self.meter("set_verifier", self.inner.set_verifier(name, verifier, expected, kept)).await
    }

    async fn set_disabled(&self, name: &Username, disabled: bool) -> StoreResult<bool> {
        self.meter("set_disabled", self.inner.set_disabled(name, disabled)).await
    }

    async fn set_operator(&self, name: &Username, operator: bool) -> StoreResult<bool> {
        self.meter("set_operator", self.inner.set_operator(name, operator)).await
    }

    async fn delete_user(&self, name: &Username) -> StoreResult<bool> {
        self.meter("delete_user", self.inner.delete_user(name)).await
    }

    async fn users(&self, after: Option<&Username>, limit: u32) -> StoreResult<Vec<User>> {
        self.meter("users", self.inner.users(after, limit)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for MeteredStore {
    async fn open_session(
        &self,
        session: &Session,
        verifier: &Verifier,
        keep: u32,
    ) -> StoreResult<bool> {
        self.meter("open_session", self.inner.open_session(session, verifier, keep)).await
    }

    async fn session(&self, token: &TokenHash, now: Timestamp) -> StoreResult<Option<OpenSession>> {
        self.meter("session", self.inner.session(token, now)).await
    }

    async fn extend_session(&self, token: &TokenHash, expires_at: Timestamp) -> StoreResult<bool> {
        self.meter("extend_session", self.inner.extend_session(token, expires_at)).await
    }

    async fn end_session(&self, token: &TokenHash) -> StoreResult<bool> {
        self.meter("end_session", self.inner.end_session(token)).await
    }

    async fn end_sessions(&self, user: &Username, except: Option<&TokenHash>) -> StoreResult<u64> {
        self.meter("end_sessions", self.inner.end_sessions(user, except)).await
    }

    async fn sessions_of(&self, user: &Username) -> StoreResult<Vec<Session>> {
        self.meter("sessions_of", self.inner.sessions_of(user)).await
    }

    async fn purge_sessions(&self, now: Timestamp) -> StoreResult<u64> {
        self.meter("purge_sessions", self.inner.purge_sessions(now)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl PeerStore for MeteredStore {
    async fn announce(&self, peer: &Peer) -> StoreResult<AnnounceOutcome> {
        self.meter("announce", self.inner.announce(peer)).await
    }

    async fn peer(&self, id: &PeerId) -> StoreResult<Option<Peer>> {
        self.meter("peer", self.inner.peer(id)).await
    }

    async fn peers_of(&self, owner: &Username) -> StoreResult<Vec<Peer>> {
        self.meter("peers_of", self.inner.peers_of(owner)).await
    }

    async fn touch_peers(&self, seen: &[(PeerId, Timestamp)]) -> StoreResult<()> {
        self.meter("touch_peers", self.inner.touch_peers(seen)).await
    }

    async fn peer_leaves(&self, id: &PeerId) -> StoreResult<bool> {
        self.meter("peer_leaves", self.inner.peer_leaves(id)).await
    }

    async fn delete_peer(&self, id: &PeerId) -> StoreResult<bool> {
        self.meter("delete_peer", self.inner.delete_peer(id)).await
    }

    async fn purge_peers(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        self.meter("purge_peers", self.inner.purge_peers(before, limit)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl CatalogStore for MeteredStore {
    async fn publish(
        &self,
        owner: &Username,
        peer: &PeerId,
        changes: &[CatalogChange],
        now: Timestamp,
    ) -> StoreResult<Option<Published>> {
        self.meter("publish", self.inner.publish(owner, peer, changes, now)).await
    }

    async fn entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<Entry>> {
        self.meter("entries", self.inner.entries(peer, after, limit)).await
    }

    async fn dated_entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<(Entry, Timestamp)>> {
        self.meter("dated_entries", self.inner.dated_entries(peer, after, limit)).await
    }

    async fn partial_sources_of(&self, peer: &PeerId) -> StoreResult<Vec<PartialSource>> {
        self.meter("partial_sources_of", self.inner.partial_sources_of(peer)).await
    }

    async fn count_entries(&self, peer: &PeerId) -> StoreResult<u64> {
        self.meter("count_entries", self.inner.count_entries(peer)).await
    }

    async fn count_user_entries(&self, owner: &Username) -> StoreResult<u64> {
        self.meter("count_user_entries", self.inner.count_user_entries(owner)).await
    }

    async fn count_known_paths(
        &self,
        owner: &Username,
        peer: &PeerId,
        paths: &BTreeSet<SharePath>,
    ) -> StoreResult<u64> {
        self.meter("count_known_paths", self.inner.count_known_paths(owner, peer, paths)).await
    }

    async fn search(&self, viewer: &Viewer, search: &Search) -> StoreResult<SearchSlice> {
        self.meter("search", self.inner.search(viewer, search)).await
    }

    async fn content(
        &self,
        viewer: &Viewer,
        content: &ContentId,
        online_since: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<Hit>> {
        self.meter("content", self.inner.content(viewer, content, online_since, limit)).await
    }

    async fn locate(&self, viewer: &Viewer, request: &LocateRequest) -> StoreResult<Vec<Location>> {
        self.meter("locate", self.inner.locate(viewer, request)).await
    }

    async fn user_files(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&UserFile>,
        limit: u32,
    ) -> StoreResult<Vec<UserFile>> {
        self.meter("user_files", self.inner.user_files(viewer, owner, folder, after, limit)).await
    }

    async fn user_folder(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&FileListing>,
        limit: u32,
    ) -> StoreResult<Vec<FileListing>> {
        self.meter("user_folder", self.inner.user_folder(viewer, owner, folder, after, limit)).await
    }

    async fn add_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        partial: &PartialSource,
    ) -> StoreResult<Option<Vec<GroupName>>> {
        self.meter("add_partial_source", self.inner.add_partial_source(owner, peer, partial)).await
    }

    async fn remove_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        content: &ContentId,
    ) -> StoreResult<bool> {
        self.meter("remove_partial_source", self.inner.remove_partial_source(owner, peer, content))
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl GroupStore for MeteredStore {
    async fn insert_group(&self, group: &GroupRecord) -> StoreResult<bool> {
        self.meter("insert_group", self.inner.insert_group(group)).await
    }

    async fn group(&self, name: &GroupName) -> StoreResult<Option<GroupRecord>> {
        self.meter("group", self.inner.group(name)).await
    }

    async fn groups_of(&self, user: &Username) -> StoreResult<Vec<GroupRecord>> {
        self.meter("groups_of", self.inner.groups_of(user)).await
    }

    async fn members(&self, name: &GroupName) -> StoreResult<Vec<Username>> {
        self.meter("members", self.inner.members(name)).await
    }

    async fn add_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool> {
        self.meter("add_member", self.inner.add_member(name, user)).await
    }

    async fn withdraw_shared(
        &self,
        name: &GroupName,
        users: &[Username],
        limit: u32,
    ) -> StoreResult<u64> {
        self.meter("withdraw_shared", self.inner.withdraw_shared(name, users, limit)).await
    }

    async fn remove_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool> {
        self.meter("remove_member", self.inner.remove_member(name, user)).await
    }

    async fn set_group_owner(&self, name: &GroupName, owner: &Username) -> StoreResult<bool> {
        self.meter("set_group_owner", self.inner.set_group_owner(name, owner)).await
    }

    async fn delete_group(&self, name: &GroupName) -> StoreResult<bool> {
        self.meter("delete_group", self.inner.delete_group(name)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl InviteStore for MeteredStore {
    async fn insert_invite(&self, invite: &InviteRecord) -> StoreResult<bool> {
        self.meter("insert_invite", self.inner.insert_invite(invite)).await
    }

    async fn invite(&self, hash: &InviteHash) -> StoreResult<Option<InviteRecord>> {
        self.meter("invite", self.inner.invite(hash)).await
    }

    async fn redeem_invite(
        &self,
        hash: &InviteHash,
        user: &User,
        now: Timestamp,
    ) -> StoreResult<RedeemOutcome> {
        self.meter("redeem_invite", self.inner.redeem_invite(hash, user, now)).await
    }

    async fn invites_by(&self, user: &Username) -> StoreResult<Vec<InviteRecord>> {
        self.meter("invites_by", self.inner.invites_by(user)).await
    }

    async fn good_invites(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, InviteHash)>,
        limit: u32,
    ) -> StoreResult<Vec<InviteRecord>> {
        self.meter("good_invites", self.inner.good_invites(now, after, limit)).await
    }

    async fn delete_invite(&self, hash: &InviteHash) -> StoreResult<bool> {
        self.meter("delete_invite", self.inner.delete_invite(hash)).await
    }

    async fn purge_invites(&self, now: Timestamp) -> StoreResult<u64> {
        self.meter("purge_invites", self.inner.purge_invites(now)).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl IndexStore for MeteredStore {
    async fn check(&self) -> StoreResult<()> {
        self.meter("check", self.inner.check()).await
    }

    async fn flaws(&self) -> StoreResult<Vec<String>> {
        self.meter("flaws", self.inner.flaws()).await
    }

    async fn counts(&self, now: Timestamp, online_since: Timestamp) -> StoreResult<StoreCounts> {
        self.meter("counts", self.inner.counts(now, online_since)).await
    }

    async fn overviews(&self, request: &OverviewRequest) -> StoreResult<Vec<UserOverview>> {
        self.meter("overviews", self.inner.overviews(request)).await
    }

    async fn lease(&self, name: &str, holder: &str, lasts: Duration) -> StoreResult<bool> {
        self.meter("lease", self.inner.lease(name, holder, lasts)).await
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}
