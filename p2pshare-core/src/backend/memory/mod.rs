//! The reference store: everything in memory, gone with the process.
//!
//! Simple and obviously right before fast: one lock around plain ordered maps. Other stores are held against it.

mod browse;
mod catalog;
mod entries;
mod groups;
mod hits;
mod invites;
mod locate;
mod overview;
mod peers;
mod sessions;
mod users;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;

use crate::{
    api::UserOverview,
    auth::TokenHash,
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::{
        model::{
            InviteHash, InviteRecord, OverviewRequest, PartialSource, Peer, Session, StoreCounts,
            User,
        },
        store::{IndexStore, StoreError, StoreResult},
    },
    time::Timestamp,
};

use entries::Entries;
use groups::Group;

/// A store that keeps everything in memory. A clone shares the same data.
///
/// For tests and for an index that may forget.
#[derive(Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The data, for as long as one method takes.
    fn lock(&self) -> StoreResult<MutexGuard<'_, State>> {
        // A method that panicked may have left half of its work.
        self.state.lock().map_err(|_| {
            StoreError::Failed("a method panicked before: start the index again".into())
        })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl IndexStore for MemoryStore {
    async fn check(&self) -> StoreResult<()> {
        self.lock().map(|_| ())
    }

    async fn counts(&self, now: Timestamp, online_since: Timestamp) -> StoreResult<StoreCounts> {
        Ok(self.lock()?.counts(now, online_since))
    }

    async fn overviews(&self, request: &OverviewRequest) -> StoreResult<Vec<UserOverview>> {
        Ok(self.lock()?.overviews(request))
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}

#[derive(Default)]
struct State {
    users: BTreeMap<Username, User>,
    sessions: BTreeMap<TokenHash, Session>,
    peers: BTreeMap<PeerId, Peer>,
    /// The newest sign of life of each, those too that have said goodbye.
    heard: BTreeMap<PeerId, Timestamp>,
    entries: Entries,
    partial_sources: BTreeMap<(ContentId, PeerId), PartialSource>,
    groups: BTreeMap<GroupName, Group>,
    invites: BTreeMap<InviteHash, InviteRecord>,
}

impl State {
    fn counts(&self, now: Timestamp, online_since: Timestamp) -> StoreCounts {
        let online = |peer: &&Peer| peer.online_since(online_since);
        let sizes = self.entries.all().map(|shared| shared.entry.size);
        StoreCounts {
            users: self.users.len() as u64,
            sessions: self.sessions.values().filter(|one| one.expires_at > now).count() as u64,
            peers: self.peers.len() as u64,
            online: self.peers.values().filter(online).count() as u64,
            entries: self.entries.all().count() as u64,
            bytes: sizes.fold(0, u64::saturating_add),
        }
    }
}

/// A limit as a number of things in memory.
fn at_most(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// A number of things in memory as it is told.
fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}
