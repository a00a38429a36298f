//! Who is said to be where, for a while.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use p2pshare_core::identity::PeerId;
use tokio::time::Instant;

/// Most peers that are remembered. When there are more, those that come later are not: who floods the network cannot
/// push out who was there before.
pub(super) const MAX_PEERS: usize = 1024;

/// Most addresses of one peer.
pub(super) const MAX_ADDRESSES: usize = 4;

/// How long an address is remembered. Peers that are there are told anew several times within it.
pub(super) const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Addresses by peer. Its size is bounded, whatever others say.
#[derive(Debug, Default)]
pub(super) struct Table {
    peers: HashMap<PeerId, Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    address: SocketAddr,
    /// The name under which it was told.
    service: String,
    until: Instant,
}

impl Table {
    /// The service of this name says that the peer is at these addresses, and no longer where it said before.
    pub(super) fn insert(
        &mut self,
        peer: PeerId,
        service: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
        now: Instant,
    ) {
        self.expire(now);
        if !self.peers.contains_key(&peer) && self.peers.len() >= MAX_PEERS {
            return;
        }
        let known = self.peers.entry(peer).or_default();
        let mut told: Vec<Known> = Vec::new();
        for address in addresses {
            if told.len() < MAX_ADDRESSES && told.iter().all(|it| it.address != address) {
                told.push(Known { address, service: service.to_owned(), until: now + LIFETIME });
            }
        }
        known.retain(|old| {
            old.service != service && told.iter().all(|new| new.address != old.address)
        });
        // The news first.
        known.splice(..0, told);
        known.truncate(MAX_ADDRESSES);
        if known.is_empty() {
            self.peers.remove(&peer);
        }
    }

    /// The service of this name has gone.
    pub(super) fn remove_service(&mut self, service: &str) {
        self.keep(|known| known.service != service);
    }

    /// These addresses did not lead to the peer.
    pub(super) fn remove(&mut self, peer: &PeerId, addresses: &[SocketAddr]) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.retain(|it| !addresses.contains(&it.address));
            if known.is_empty() {
                self.peers.remove(peer);
            }
        }
    }

    /// Where the peer is said to be, what was told last first.
    pub(super) fn addresses(&self, peer: &PeerId, now: Instant) -> Vec<SocketAddr> {
        let known = self.peers.get(peer).into_iter().flatten();
        known.filter(|it| it.until > now).map(|it| it.address).collect()
    }

    /// How many peers are known.
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    fn expire(&mut self, now: Instant) {
        self.keep(|known| known.until > now);
    }

    fn keep(&mut self, keep: impl Fn(&Known) -> bool) {
        self.peers.retain(|_, known| {
            known.retain(&keep);
            !known.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u16) -> PeerId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        PeerId::from_bytes(bytes)
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 168, 1, 2], port))
    }

    #[test]
    fn what_a_service_says_replaces_what_it_said() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.insert(peer(1), "a", [at(1), at(2), at(1)], now);
        assert_eq!(table.addresses(&peer(1), now), [at(1), at(2)]);
        table.insert(peer(1), "b", [at(3)], now);
        assert_eq!(table.addresses(&peer(1), now), [at(3), at(1), at(2)]);
        table.insert(peer(1), "a", [at(4)], now);
        assert_eq!(table.addresses(&peer(1), now), [at(4), at(3)]);
        table.remove(&peer(1), &[at(4)]);
        table.remove_service("b");
        assert_eq!((table.addresses(&peer(1), now), table.len()), (vec![], 0));
    }

    #[test]
    fn it_forgets_after_its_time() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.insert(peer(1), "a", [at(1)], now);
        let later = now + LIFETIME;
        assert_eq!(table.addresses(&peer(1), later), []);
        table.insert(peer(2), "b", [at(2)], later);
        assert_eq!(table.len(), 1, "what is over takes no place");
    }

    #[test]
    fn whatever_others_say_it_stays_small_and_keeps_whom_it_knew() {
        let (mut table, now) = (Table::default(), Instant::now());
        table.insert(peer(0), "first", [at(1)], now);
        for number in 1..3000 {
            table.insert(peer(number), &format!("{number}"), (1..100).map(at), now);
        }
        assert_eq!(table.len(), MAX_PEERS);
        assert!(table.peers.values().all(|known| known.len() <= MAX_ADDRESSES));
        assert_eq!(table.addresses(&peer(0), now), [at(1)]);
        assert_eq!(table.addresses(&peer(2999), now), []);
    }
}
