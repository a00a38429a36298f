//! Which addresses are near: private ones of a network that this machine is in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use if_addrs::{IfAddr, Interface};
use mdns_sd::ScopedIp;

/// The networks that this machine is in.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks {
    v4: Vec<(Ipv4Addr, u8)>,
    v6: Vec<(Ipv6Addr, u8)>,
    /// Interfaces that have a link-local address.
    links: Vec<u32>,
    with_loopback: bool,
}

impl Networks {
    /// The networks that this machine is in now; of none if the system does not tell. Those of its loopback interface
    /// only `with_loopback`.
    pub(super) fn now(with_loopback: bool) -> Self {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
            tracing::debug!(%error, "the system does not tell its networks");
            Vec::new()
        });
        Self::of(&interfaces, with_loopback)
    }

    fn of(interfaces: &[Interface], with_loopback: bool) -> Self {
        let mut networks = Self { with_loopback, ..Self::default() };
        for interface in interfaces.iter().filter(|it| with_loopback || !it.is_loopback()) {
            match &interface.addr {
                IfAddr::V4(own) => networks.v4.push((own.ip, own.prefixlen)),
                IfAddr::V6(own) if own.is_link_local() => networks.links.extend(interface.index),
                IfAddr::V6(own) => networks.v6.push((own.ip, own.prefixlen)),
            }
        }
        networks
    }

    /// The address with this port, if a peer may be there: a private or link-local one of a network that this machine is
    /// in. Anything else somebody may name to make this peer call strangers.
    pub(super) fn accept(&self, ip: &ScopedIp, port: u16) -> Option<SocketAddr> {
        if port == 0 {
            return None;
        }
        match ip.to_ip_addr() {
            IpAddr::V4(v4) => {
                let is_private = v4.is_private()
                    || v4.is_link_local()
                    || (self.with_loopback && v4.is_loopback());
                let is_near = self.v4.iter().any(|(own, prefix)| is_within_v4(v4, *own, *prefix));
                (is_private && is_near).then(|| SocketAddr::from((v4, port)))
            }
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                let ScopedIp::V6(scoped) = ip else { return None };
                let link = scoped.scope_id().index;
                self.links.contains(&link).then(|| SocketAddrV6::new(v6, port, 0, link).into())
            }
            IpAddr::V6(v6) => {
                let is_near = self.v6.iter().any(|(own, prefix)| {
                    *prefix > 0 && shifted(v6.to_bits() ^ own.to_bits(), 128 - u32::from(*prefix))
                });
                (v6.is_unique_local() && is_near).then(|| SocketAddr::from((v6, port)))
            }
        }
    }
}

/// Whether an address is one of a machine in the network of another: neither the network's own nor its broadcast.
fn is_within_v4(ip: Ipv4Addr, own: Ipv4Addr, prefix: u8) -> bool {
    if prefix == 0 || prefix > 32 {
        return false;
    }
    let host_bits = 32 - u32::from(prefix);
    let same = shifted(u128::from(ip.to_bits() ^ own.to_bits()), host_bits);
    let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
    let host = ip.to_bits() & hosts;
    // Networks of one or two addresses have neither.
    same && (host_bits < 2 || (host != 0 && host != hosts))
}

/// Whether nothing is left of a number without its last bits.
fn shifted(number: u128, bits: u32) -> bool {
    number.checked_shr(bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use if_addrs::{IfOperStatus, Ifv4Addr, Ifv6Addr};

    use super::*;

    fn interface(addr: IfAddr, index: u32) -> Interface {
        Interface {
            name: format!("eth{index}"),
            addr,
            index: Some(index),
            oper_status: IfOperStatus::Up,
            is_p2p: false,
        }
    }

    fn v4(ip: &str, prefixlen: u8) -> IfAddr {
        let any = Ipv4Addr::UNSPECIFIED;
        IfAddr::V4(Ifv4Addr { ip: ip.parse().unwrap(), netmask: any, prefixlen, broadcast: None })
    }

    fn v6(ip: &str, prefixlen: u8) -> IfAddr {
        let any = Ipv6Addr::UNSPECIFIED;
        IfAddr::V6(Ifv6Addr { ip: ip.parse().unwrap(), netmask: any, prefixlen, broadcast: None })
    }

    fn networks(with_loopback: bool) -> Networks {
        let all = [
            interface(v4("127.0.0.1", 8), 1),
            interface(v4("192.168.7.5", 24), 2),
            interface(v4("203.0.113.9", 24), 3),
            interface(v6("fd00:1::5", 64), 2),
            interface(v6("fe80::5", 64), 2),
            interface(v6("2001:db8::5", 64), 3),
        ];
        Networks::of(&all, with_loopback)
    }

    fn accepts(networks: &Networks, ip: &str) -> bool {
        networks.accept(&ip.parse::<IpAddr>().unwrap().into(), 7401).is_some()
    }

    #[test]
    fn only_private_addresses_of_own_networks_are_near() {
        let networks = networks(false);
        for near in ["192.168.7.1", "192.168.7.254", "fd00:1::77"] {
            assert!(accepts(&networks, near), "{near}");
        }
        for far in [
            "192.168.8.1",
            "192.168.7.0",
            "192.168.7.255",
            "10.0.0.1",
            "203.0.113.7",
            "8.8.8.8",
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.251",
            "169.254.1.1",
            "fd00:2::1",
            "2001:db8::7",
            "::1",
            "::",
            "ff02::fb",
            "::ffff:192.168.7.1",
            // It names no interface.
            "fe80::1",
        ] {
            assert!(!accepts(&networks, far), "{far}");
        }
        assert_eq!(networks.accept(&IpAddr::from([192, 168, 7, 1]).into(), 0), None);
    }

    #[test]
    fn a_link_local_address_is_near_on_its_own_link() {
        let networks = networks(false);
        let on = |index| ScopedIp::from(&interface(v6("fe80::99", 64), index));
        let accepted = networks.accept(&on(2), 7401).unwrap();
        assert_eq!(accepted.to_string(), "[fe80::99%2]:7401");
        assert_eq!(networks.accept(&on(3), 7401), None);
    }

    #[test]
    fn loopback_is_near_only_where_it_is_wanted() {
        assert!(!accepts(&networks(false), "127.0.0.1") && accepts(&networks(true), "127.0.0.1"));
    }
}
