//! Something of which there is so much for all clients, and less for each: connections, requests, memory.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::client::ClientAddr;

/// Counts what is taken, in all and by each network.
pub(crate) struct Shared {
    max: usize,
    max_per_network: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A part that is taken for as long as this lives.
pub(crate) struct Share {
    of: Arc<Shared>,
    network: IpAddr,
    amount: usize,
}

/// There is not enough left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// For anybody.
    ForAll,
    /// For this client's network.
    ForNetwork,
}

/// Memory is lent in units of so many bytes.
pub(crate) const UNIT: usize = 1024;

/// One network has at most this part of it.
const NETWORK_PART: usize = 4;

impl Shared {
    /// Memory, in units of [`UNIT`] bytes.
    pub(crate) fn of_memory(bytes: usize) -> Arc<Self> {
        let units = bytes / UNIT;
        Self::new(units.max(1), (units / NETWORK_PART).max(1))
    }

    pub(crate) fn new(max: usize, max_per_network: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_network, taken: Mutex::default() })
    }

    /// So much for this client, if there is.
    pub(crate) fn take(
        self: &Arc<Self>,
        client: ClientAddr,
        amount: usize,
    ) -> Result<Share, Exhausted> {
        let mut share = Share { of: Arc::clone(self), network: client.network(), amount: 0 };
        share.grow_to(amount)?;
        Ok(share)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing that holds the lock can panic half way.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more, up to `amount` in all. What was taken before stays if there is not enough.
    pub(crate) fn grow_to(&mut self, amount: usize) -> Result<(), Exhausted> {
        let more = amount.saturating_sub(self.amount);
        if more == 0 {
            return Ok(());
        }
        let mut taken = self.of.taken();
        let total = taken.total.saturating_add(more);
        if total > self.of.max {
            return Err(Exhausted::ForAll);
        }
        let of_network = taken.by_network.get(&self.network).map_or(more, |had| had + more);
        if of_network > self.of.max_per_network {
            return Err(Exhausted::ForNetwork);
        }
        taken.total = total;
        taken.by_network.insert(self.network, of_network);
        self.amount = amount;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        let mut taken = self.of.taken();
        taken.total = taken.total.saturating_sub(self.amount);
        if let Some(of_network) = taken.by_network.get_mut(&self.network) {
            *of_network = of_network.saturating_sub(self.amount);
            if *of_network == 0 {
                taken.by_network.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddr {
        ClientAddr(Some(text.parse().unwrap()))
    }

    #[test]
    fn there_is_so_much_and_it_comes_back() {
        let shared = Shared::new(3, 2);
        let take = |text: &str| shared.take(client(text), 1);
        let one = take("192.0.2.1").ok().unwrap();
        let _two = take("192.0.2.1").ok().unwrap();
        assert_eq!(take("192.0.2.1").err(), Some(Exhausted::ForNetwork));
        let _three = take("2001:db8::1").ok().unwrap();
        assert_eq!(take("198.51.100.1").err(), Some(Exhausted::ForAll));
        drop(one);
        drop(take("2001:db8::2").ok().unwrap());
        assert!(take("192.0.2.1").is_ok());
        assert_eq!(shared.taken().by_network.len(), 2);
    }

    #[test]
    fn a_share_grows_as_far_as_there_is() {
        let shared = Shared::new(10, 8);
        let mut share = shared.take(client("192.0.2.1"), 0).ok().unwrap();
        assert_eq!(share.grow_to(5), Ok(()));
        assert_eq!(share.grow_to(3), Ok(()));
        assert_eq!(share.grow_to(9), Err(Exhausted::ForNetwork));
        assert_eq!(share.grow_to(8), Ok(()));
        assert_eq!(shared.take(client("198.51.100.1"), 3).err(), Some(Exhausted::ForAll));
        drop(share);
        let left = shared.taken();
        assert_eq!((left.total, left.by_network.len()), (0, 0));
    }
}
