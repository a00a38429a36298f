//! How many connections there may be, in all and from one address.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::net::limits::ServerLimits;

/// Counts the connections that are open.
pub(super) struct Gate {
    total: usize,
    per_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one open connection; dropping it frees it.
pub(super) struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are too many in all.
    Total,
    /// There are too many from this address.
    Address,
}

impl Gate {
    pub(super) fn new(limits: &ServerLimits) -> Self {
        Self {
            total: limits.connections,
            per_address: limits.connections_per_address,
            open: Mutex::default(),
        }
    }

    /// Takes a place for a connection from this address.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Refusal> {
        let address = network(address);
        let mut open = self.open();
        if open.total >= self.total {
            return Err(Refusal::Total);
        }
        let here = open.by_address.get(&address).copied().unwrap_or(0);
        if here >= self.per_address {
            return Err(Refusal::Address);
        }
        open.total += 1;
        open.by_address.insert(address, here + 1);
        Ok(Place { gate: Arc::clone(self), address })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.gate.open();
        open.total = open.total.saturating_sub(1);
        match open.by_address.get_mut(&self.address) {
            Some(here) if *here > 1 => *here -= 1,
            _ => {
                open.by_address.remove(&self.address);
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "there are too many connections",
            Self::Address => "there are too many connections from this address",
        })
    }
}

/// One machine commonly has a whole IPv6 network of 64 bits to itself; an IPv4 address may come as an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: usize, connections_per_address: usize) -> Arc<Gate> {
        Arc::new(Gate::new(&ServerLimits {
            connections,
            connections_per_address,
            ..ServerLimits::default()
        }))
    }

    #[test]
    fn a_place_is_free_again_when_it_is_dropped() {
        let gate = gate(3, 2);
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap());
        let first = gate.enter(a).ok().unwrap();
        let _second = gate.enter(a).ok().unwrap();
        assert_eq!(gate.enter(a).err(), Some(Refusal::Address));
        let _third = gate.enter(b).ok().unwrap();
        assert_eq!(gate.enter(b).err(), Some(Refusal::Total));
        drop(first);
        assert!(gate.enter(a).is_ok());
        assert_eq!(gate.open().by_address.len(), 2);
    }

    #[test]
    fn neighbours_in_ipv6_and_mapped_addresses_count_as_one() {
        let gate = gate(9, 1);
        let enter = |text: &str| gate.enter(text.parse().unwrap());
        let _here = enter("2001:db8::1").ok().unwrap();
        assert_eq!(enter("2001:db8::ffff:2").err(), Some(Refusal::Address));
        assert!(enter("2001:db8:0:1::1").is_ok());
        let _v4 = enter("192.0.2.1").ok().unwrap();
        assert_eq!(enter("::ffff:192.0.2.1").err(), Some(Refusal::Address));
    }
}
