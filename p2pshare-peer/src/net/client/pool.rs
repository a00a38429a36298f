//! Peers that are called often, kept by id so that all calls to one share its connections.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use p2pshare_core::identity::{PeerAddr, PeerId};
use tokio::time::Instant;

use super::connector::PeerConnector;
use super::remote::RemotePeer;

/// What a pool keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Most peers that are kept. When all are in use, more are made but not kept.
    pub peers: usize,
    /// How long a peer that nobody uses is kept.
    pub idle_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { peers: 256, idle_timeout: Duration::from_secs(60) }
    }
}

/// Peers by id.
pub struct PeerPool {
    connector: PeerConnector,
    limits: PoolLimits,
    peers: Mutex<HashMap<PeerId, Kept>>,
}

struct Kept {
    peer: RemotePeer,
    last_use: Instant,
}

impl PeerPool {
    /// An empty pool.
    pub fn new(connector: PeerConnector, limits: PoolLimits) -> Self {
        Self { connector, limits, peers: Mutex::default() }
    }

    /// The peer with this id; `addrs` replace the addresses that were known of it, unless there are none.
    pub fn peer(&self, id: PeerId, addrs: Vec<PeerAddr>) -> RemotePeer {
        let mut peers = self.peers();
        self.evict(&mut peers);
        if let Some(kept) = peers.get_mut(&id) {
            kept.last_use = Instant::now();
            if !addrs.is_empty() {
                kept.peer.set_addrs(addrs);
            }
            return kept.peer.clone();
        }
        let peer = self.connector.peer(id, addrs);
        if self.make_room(&mut peers) {
            let kept = Kept { peer: peer.clone(), last_use: Instant::now() };
            peers.insert(id, kept);
        }
        peer
    }

    /// Lets go of peers that nobody has used for a while; their connections close. Each call of [`peer`](Self::peer)
    /// does so too; a program that runs for long calls this now and then.
    pub fn evict_idle(&self) {
        self.evict(&mut self.peers());
    }

    /// How many peers are kept.
    pub fn len(&self) -> usize {
        self.peers().len()
    }

    /// Whether no peer is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn evict(&self, peers: &mut HashMap<PeerId, Kept>) {
        let now = Instant::now();
        peers.retain(|_, kept| {
            if !kept.peer.is_unused() {
                kept.last_use = now;
            }
            now.duration_since(kept.last_use) < self.limits.idle_timeout
        });
    }

    /// Lets the peer go that has been unused for longest, if there are too many. False if all are in use.
    fn make_room(&self, peers: &mut HashMap<PeerId, Kept>) -> bool {
        if peers.len() < self.limits.peers {
            return true;
        }
        let unused = peers.iter().filter(|(_, kept)| kept.peer.is_unused());
        let oldest = unused.min_by_key(|(_, kept)| kept.last_use).map(|(id, _)| *id);
        oldest.and_then(|id| peers.remove(&id)).is_some()
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<PeerId, Kept>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PeerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerPool").field("peers", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::connector::ClientSecurity;
    use super::*;
    use crate::net::limits::ClientLimits;

    fn pool(peers: usize) -> PeerPool {
        let connector = PeerConnector::new(ClientSecurity::Plain, ClientLimits::default());
        let idle_timeout = Duration::from_secs(60);
        PeerPool::new(connector, PoolLimits { peers, idle_timeout })
    }

    fn id(number: u8) -> PeerId {
        PeerId::from_bytes([number; 32])
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_kept_while_it_is_used_and_a_while_after() {
        let pool = pool(8);
        let in_use = pool.peer(id(1), Vec::new());
        drop(pool.peer(id(2), Vec::new()));
        tokio::time::advance(Duration::from_secs(61)).await;
        pool.evict_idle();
        assert_eq!(pool.len(), 1);
        drop(in_use);
        tokio::time::advance(Duration::from_secs(59)).await;
        pool.evict_idle();
        assert_eq!(pool.len(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        pool.evict_idle();
        assert!(pool.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_pool_lets_the_longest_unused_go_and_never_one_in_use() {
        let pool = pool(2);
        let first = pool.peer(id(1), Vec::new());
        drop(pool.peer(id(2), Vec::new()));
        let third = pool.peer(id(3), Vec::new());
        let fourth = pool.peer(id(4), Vec::new());
        assert_eq!(pool.len(), 2);
        assert!(!first.is_unused() && !third.is_unused() && fourth.is_unused());
    }
}
