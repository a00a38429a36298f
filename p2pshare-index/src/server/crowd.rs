//! How many connections there may be.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::http::ClientAddr;

/// Counts open connections, in all and of each address.
pub(super) struct Crowd {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A connection is counted as long as this lives.
pub(super) struct Place {
    crowd: Arc<Crowd>,
    network: IpAddr,
}

impl Crowd {
    pub(super) fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_address, open: Mutex::default() })
    }

    /// A place for a connection from `address`, if there is one.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = ClientAddr(Some(address)).network();
        let mut open = self.open();
        let of_network = open.by_network.get(&network).copied().unwrap_or(0);
        if open.total >= self.max || of_network >= self.max_per_address {
            return None;
        }
        open.total += 1;
        open.by_network.insert(network, of_network + 1);
        Some(Place { crowd: Arc::clone(self), network })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing that holds the lock can panic half way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.open();
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_network.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_come_back() {
        let crowd = Crowd::new(3, 2);
        let enter = |text: &str| crowd.enter(text.parse().unwrap());
        let one = enter("192.0.2.1").unwrap();
        let _two = enter("192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none(), "two of one address");
        let _three = enter("2001:db8::1").unwrap();
        assert!(enter("198.51.100.1").is_none(), "three in all");
        drop(one);
        drop(enter("2001:db8::2").unwrap());
        assert!(enter("192.0.2.1").is_some());
        assert_eq!(crowd.open().by_network.len(), 2);
    }
}
