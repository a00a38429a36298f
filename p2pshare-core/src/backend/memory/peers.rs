//! Peers and their presence.

use async_trait::async_trait;

use super::{MemoryStore, State, at_most};
use crate::{
    identity::{PeerId, Username},
    index::{
        model::{AnnounceOutcome, Peer},
        store::{PeerStore, StoreResult},
    },
    time::Timestamp,
};

#[async_trait]
impl PeerStore for MemoryStore {
    async fn announce(&self, peer: &Peer) -> StoreResult<AnnounceOutcome> {
        Ok(self.lock()?.announce(peer))
    }

    async fn peer(&self, id: &PeerId) -> StoreResult<Option<Peer>> {
        Ok(self.lock()?.peers.get(id).cloned())
    }

    async fn peers_of(&self, owner: &Username) -> StoreResult<Vec<Peer>> {
        let state = self.lock()?;
        let peers = state.peers.values();
        Ok(peers.filter(|peer| peer.owner == *owner).cloned().collect())
    }

    async fn touch_peers(&self, seen: &[(PeerId, Timestamp)]) -> StoreResult<()> {
        let mut state = self.lock()?;
        for (id, at) in seen {
            if let Some(last) = state.peers.get_mut(id).and_then(|peer| peer.last_seen.as_mut()) {
                *last = (*last).max(*at);
                let last = *last;
                state.heard.insert(*id, last);
            }
        }
        Ok(())
    }

    async fn peer_leaves(&self, id: &PeerId) -> StoreResult<bool> {
        Ok(self.lock()?.peer_leaves(id))
    }

    async fn delete_peer(&self, id: &PeerId) -> StoreResult<bool> {
        Ok(self.lock()?.delete_peer(id))
    }

    async fn purge_peers(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        let mut state = self.lock()?;
        state.partial_sources.retain(|_, partial| partial.until >= before);
        let heard = state.heard.iter().map(|(id, last)| (*last, *id));
        let mut gone: Vec<_> = heard.filter(|(last, _)| *last < before).collect();
        gone.sort_unstable();
        gone.truncate(at_most(limit));
        for (_, id) in &gone {
            state.delete_peer(id);
        }
        Ok(gone.len() as u64)
    }
}

impl State {
    fn announce(&mut self, peer: &Peer) -> AnnounceOutcome {
        if self.users.get(&peer.owner).is_none_or(|owner| owner.disabled) {
            return AnnounceOutcome::NoOwner;
        }
        if let Some(known) = self.peers.get(&peer.id) {
            if known.owner != peer.owner {
                return AnnounceOutcome::OwnedByAnother;
            }
            if known.announced_at >= peer.announced_at {
                return AnnounceOutcome::Stale;
            }
        }
        self.peers.insert(peer.id, peer.clone());
        self.heard.insert(peer.id, peer.last_seen.unwrap_or(peer.announced_at));
        AnnounceOutcome::Stored { entries: self.entries.count_of_peer(&peer.id) }
    }

    pub(super) fn peer_leaves(&mut self, id: &PeerId) -> bool {
        let Some(peer) = self.peers.get_mut(id) else {
            return false;
        };
        peer.last_seen = None;
        self.partial_sources.retain(|(_, peer), _| peer != id);
        true
    }

    pub(super) fn delete_peer(&mut self, id: &PeerId) -> bool {
        self.entries.remove_peer(id);
        self.partial_sources.retain(|(_, peer), _| peer != id);
        self.heard.remove(id);
        self.peers.remove(id).is_some()
    }

    pub(super) fn peer_ids_of(&self, owner: &Username) -> Vec<PeerId> {
        let own = self.peers.values().filter(|peer| peer.owner == *owner);
        own.map(|peer| peer.id).collect()
    }

    pub(super) fn owns_peer(&self, owner: &Username, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.owner == *owner)
    }
}
