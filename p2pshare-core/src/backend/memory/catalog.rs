//! What is shared: publishing here, the questions in their own files.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{MemoryStore, State, at_most, entries::Shared};
use crate::{
    api::{CatalogChange, Entry, FileListing, Hit, Published, UserFile, Visibility},
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::{
        model::{LocateRequest, Location, PartialSource, Viewer},
        search::{Search, SearchSlice},
        store::{CatalogStore, StoreResult},
    },
    path::SharePath,
    time::Timestamp,
};

#[async_trait]
impl CatalogStore for MemoryStore {
    async fn publish(
        &self,
        owner: &Username,
        peer: &PeerId,
        changes: &[CatalogChange],
        now: Timestamp,
    ) -> StoreResult<Option<Published>> {
        let mut state = self.lock()?;
        if !state.owns_peer(owner, peer) || !state.may_publish(owner, changes) {
            return Ok(None);
        }
        let mut published = Published::default();
        for change in changes {
            *state.apply(owner, peer, change, now, &mut published) += 1;
        }
        published.total = state.entries.count_of_peer(peer);
        Ok(Some(published))
    }

    async fn entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<Entry>> {
        let state = self.lock()?;
        let entries = state.entries.of_peer(peer).map(|shared| &shared.entry);
        let wanted = entries.filter(|entry| after.is_none_or(|after| entry.path > *after));
        Ok(wanted.take(at_most(limit)).cloned().collect())
    }

    async fn dated_entries(
        &self,
        peer: &PeerId,
        after: Option<&SharePath>,
        limit: u32,
    ) -> StoreResult<Vec<(Entry, Timestamp)>> {
        let state = self.lock()?;
        let entries = state.entries.of_peer(peer);
        let wanted = entries.filter(|shared| after.is_none_or(|after| shared.entry.path > *after));
        let dated = wanted.map(|shared| (shared.entry.clone(), shared.published_at));
        Ok(dated.take(at_most(limit)).collect())
    }

    async fn partial_sources_of(&self, peer: &PeerId) -> StoreResult<Vec<PartialSource>> {
        let state = self.lock()?;
        let of_peer = state.partial_sources.iter().filter(|((_, of), _)| of == peer);
        Ok(of_peer.map(|(_, partial)| partial.clone()).collect())
    }

    async fn count_entries(&self, peer: &PeerId) -> StoreResult<u64> {
        Ok(self.lock()?.entries.count_of_peer(peer))
    }

    async fn count_user_entries(&self, owner: &Username) -> StoreResult<u64> {
        let state = self.lock()?;
        let peers = state.peer_ids_of(owner);
        Ok(peers.iter().map(|peer| state.entries.count_of_peer(peer)).sum())
    }

    async fn count_known_paths(
        &self,
        owner: &Username,
        peer: &PeerId,
        paths: &BTreeSet<SharePath>,
    ) -> StoreResult<u64> {
        let state = self.lock()?;
        if !state.owns_peer(owner, peer) {
            return Ok(0);
        }
        Ok(paths.iter().filter(|path| state.entries.find(peer, path).is_some()).count() as u64)
    }

    async fn search(&self, viewer: &Viewer, search: &Search) -> StoreResult<SearchSlice> {
        Ok(self.lock()?.search(viewer, search))
    }

    async fn content(
        &self,
        viewer: &Viewer,
        content: &ContentId,
        online_since: Timestamp,
        limit: u32,
    ) -> StoreResult<Vec<Hit>> {
        let mut hits = self.lock()?.content(viewer, content, online_since);
        hits.truncate(at_most(limit));
        Ok(hits)
    }

    async fn locate(&self, viewer: &Viewer, request: &LocateRequest) -> StoreResult<Vec<Location>> {
        Ok(self.lock()?.locate(viewer, request))
    }

    async fn user_files(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&UserFile>,
        limit: u32,
    ) -> StoreResult<Vec<UserFile>> {
        let files = self.lock()?.user_files(viewer, owner, folder);
        let wanted = files.into_iter().filter(|file| after.is_none_or(|after| file > after));
        Ok(wanted.take(at_most(limit)).collect())
    }

    async fn user_folder(
        &self,
        viewer: &Viewer,
        owner: &Username,
        folder: Option<&SharePath>,
        after: Option<&FileListing>,
        limit: u32,
    ) -> StoreResult<Vec<FileListing>> {
        let mut listing = self.lock()?.user_folder(viewer, owner, folder, after);
        listing.truncate(at_most(limit));
        Ok(listing)
    }

    async fn add_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        partial: &PartialSource,
    ) -> StoreResult<Option<Vec<GroupName>>> {
        let mut state = self.lock()?;
        let known = state.peers.get(peer);
        if !known.is_some_and(|peer| peer.owner == *owner && peer.last_seen.is_some())
            || !partial.groups.iter().all(|group| state.is_member(group, owner))
        {
            return Ok(None);
        }
        let key = (partial.content, *peer);
        let before = state.partial_sources.get(&key).map(|before| before.groups.clone());
        let groups: BTreeSet<_> =
            before.into_iter().flatten().chain(partial.groups.iter().cloned()).collect();
        let groups = Vec::from_iter(groups);
        state
            .partial_sources
            .insert(key, PartialSource { groups: groups.clone(), ..partial.clone() });
        Ok(Some(groups))
    }

    async fn remove_partial_source(
        &self,
        owner: &Username,
        peer: &PeerId,
        content: &ContentId,
    ) -> StoreResult<bool> {
        let mut state = self.lock()?;
        Ok(state.owns_peer(owner, peer)
            && state.partial_sources.remove(&(*content, *peer)).is_some())
    }
}

impl State {
    /// Whether the owner is in every group that the changes publish to.
    fn may_publish(&self, owner: &Username, changes: &[CatalogChange]) -> bool {
        changes.iter().all(|change| match change {
            CatalogChange::Publish(entry) => match &entry.visibility {
                Visibility::Public | Visibility::Unlisted => true,
                Visibility::Group(group) => self.is_member(group, owner),
            },
            CatalogChange::Withdraw(_) => true,
        })
    }

    /// Applies one change; gives the number that counts changes of its sort.
    fn apply<'a>(
        &mut self,
        owner: &Username,
        peer: &PeerId,
        change: &CatalogChange,
        now: Timestamp,
        published: &'a mut Published,
    ) -> &'a mut u64 {
        let entry = match change {
            CatalogChange::Publish(entry) => entry,
            CatalogChange::Withdraw(path) if self.entries.remove(peer, path) => {
                return &mut published.withdrawn;
            }
            CatalogChange::Withdraw(_) => return &mut published.unchanged,
        };
        let counter = match self.entries.find(peer, &entry.path) {
            Some(before) if before.entry == *entry => return &mut published.unchanged,
            Some(_) => &mut published.replaced,
            None => &mut published.added,
        };
        self.entries.insert(Shared::new(*peer, owner.clone(), entry.clone(), now));
        counter
    }
}
