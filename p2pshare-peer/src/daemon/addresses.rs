//! Finding out where this peer can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, UdpSocket};

use p2pshare_core::{api::Announced, identity::PeerAddr};

use crate::{
    index_client::IndexUrl,
    port_mapping::WayIn,
    publish::{AnnounceFailure, OwnPeer},
};

/// Where an index knows a peer to be.
pub(super) struct Place {
    /// What it answered.
    pub(super) announced: Announced,
    /// What it was told.
    pub(super) addresses: Vec<PeerAddr>,
    /// Where the router lets others in.
    pub(super) let_in: Option<SocketAddrV4>,
    /// What a router would have to let in for others to reach the peer, if one is between.
    pub(super) way: Option<WayIn>,
}

/// Announces a peer that listens on `listen`: at `advertise`, or, if that is empty, where it seems to be reached, which is
/// `outside` if a router lets others in there. From where the index sees the peer is known if it has told it (`seen_from`).
pub(super) async fn announce(
    peer: &OwnPeer,
    listen: SocketAddr,
    advertise: &[PeerAddr],
    outside: Option<SocketAddrV4>,
    seen_from: Option<&str>,
) -> Result<Place, AnnounceFailure> {
    if !advertise.is_empty() {
        let announced = peer.announce(advertise.to_vec()).await?;
        return Ok(Place { announced, addresses: advertise.to_vec(), let_in: None, way: None });
    }
    let own = towards(peer.client().url()).await;
    let seen = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    let place = |seen: Option<IpAddr>| {
        // What the router gave when it had another address is of no use.
        let let_in = outside.filter(|outside| Some(IpAddr::V4(*outside.ip())) == seen);
        (with_seen(guess(listen, own), seen, listen, let_in), let_in)
    };
    let (first, _) = place(seen(seen_from));
    let announced = peer.announce(first.clone()).await?;
    let seen = seen(announced.seen_from.as_deref());
    let way = way_in(listen, own, seen);
    let (addresses, let_in) = place(seen);
    let announced = match addresses == first {
        true => announced,
        false => peer.announce(addresses.clone()).await?,
    };
    Ok(Place { announced, addresses, let_in, way })
}

/// A free port where those can reach this machine who can reach the index: on loopback if the index is there.
pub(super) async fn any_port(index: &IndexUrl) -> SocketAddr {
    match towards(index).await {
        Some(own) if own.is_loopback() => (own, 0).into(),
        Some(IpAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
    }
}

/// Where others may reach a peer that listens on `listen`: that address if it is one, else `own`, that of the network
/// interface that leads to the index.
fn guess(listen: SocketAddr, own: Option<IpAddr>) -> Vec<PeerAddr> {
    if !listen.ip().is_unspecified() {
        return PeerAddr::from_socket(listen).into_iter().collect();
    }
    let own = own.unwrap_or(if listen.is_ipv4() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv6Addr::LOCALHOST.into()
    });
    PeerAddr::from_socket(SocketAddr::new(own, listen.port())).into_iter().collect()
}

/// Adds the address that the index saw this peer come from, in front: what the index sees, others may reach. First with
/// the port that a router lets in, if there is one; but it may let in another one too, which somebody has told it by hand.
fn with_seen(
    mut addresses: Vec<PeerAddr>,
    seen: Option<IpAddr>,
    listen: SocketAddr,
    let_in: Option<SocketAddrV4>,
) -> Vec<PeerAddr> {
    let own = seen.filter(|_| listen.ip().is_unspecified());
    let own = own.map(|seen| SocketAddr::new(seen, listen.port()));
    for from_afar in own.into_iter().chain(let_in.map(SocketAddr::V4)) {
        if let Some(address) = PeerAddr::from_socket(from_afar)
            && !addresses.contains(&address)
        {
            addresses.insert(0, address);
        }
    }
    addresses
}

/// What a router between this machine and its index would have to let in: there is one if a peer in a private network is
/// seen to come from a public address.
fn way_in(listen: SocketAddr, own: Option<IpAddr>, seen: Option<IpAddr>) -> Option<WayIn> {
    let Some(IpAddr::V4(seen)) = seen else { return None };
    let inside = match listen.ip() {
        ip if ip.is_unspecified() => own?,
        ip => ip,
    };
    let IpAddr::V4(inside) = inside.to_canonical() else { return None };
    let is_between = is_private(inside) && !is_private(seen) && !is_of_one_machine(seen);
    is_between.then(|| WayIn { inside: SocketAddrV4::new(inside, listen.port()), seen })
}

/// Whether an address is of a network behind a router: one of RFC 1918, or of a provider's own (RFC 6598).
fn is_private(ip: Ipv4Addr) -> bool {
    ip.is_private() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64)
}

fn is_of_one_machine(ip: Ipv4Addr) -> bool {
    ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()
}

/// The address of this machine on the way to the index. Connecting a datagram socket sends nothing; looking up the index's
/// name may take long.
async fn towards(index: &IndexUrl) -> Option<IpAddr> {
    let index = index.clone();
    let find = move || {
        let to = index.socket_addr()?;
        let any: SocketAddr = if to.is_ipv4() {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    tokio::task::spawn_blocking(find).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(addresses: &[PeerAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_address_that_is_one_is_told_as_it_is() {
        let listen = "127.0.0.1:7401".parse().unwrap();
        let told = guess(listen, ip("127.0.0.1"));
        assert_eq!(texts(&told), ["tcp://127.0.0.1:7401"]);
        assert_eq!(texts(&with_seen(told, ip("10.0.0.9"), listen, None)), ["tcp://127.0.0.1:7401"]);
    }

    #[tokio::test]
    async fn with_an_index_on_this_machine_nobody_else_is_let_in() {
        let local = any_port(&"http://127.0.0.1:7400".parse().unwrap()).await;
        assert!(local.ip().is_loopback() && local.port() == 0, "{local}");
    }

    #[tokio::test]
    async fn any_address_becomes_one_that_others_can_use() {
        let index = "http://127.0.0.1:7400".parse().unwrap();
        let listen = "0.0.0.0:7401".parse().unwrap();
        let told = guess(listen, towards(&index).await);
        assert_eq!(texts(&told), ["tcp://127.0.0.1:7401"]);
        let seen = with_seen(told, ip("192.0.2.7"), listen, None);
        assert_eq!(texts(&seen), ["tcp://192.0.2.7:7401", "tcp://127.0.0.1:7401"]);
        assert_eq!(with_seen(seen.clone(), None, listen, None), seen);
        assert_eq!(with_seen(seen.clone(), ip("192.0.2.7"), listen, None), seen);
    }

    #[test]
    fn what_a_router_lets_in_is_where_others_come() {
        let outside = Some("192.0.2.7:40000".parse().unwrap());
        let (let_in, own) = ("tcp://192.0.2.7:40000", "tcp://192.0.2.7:7401");
        for (listen, expected) in [
            ("0.0.0.0:7401", vec![let_in, own, "tcp://10.0.0.2:7401"]),
            ("10.0.0.3:7401", vec![let_in, "tcp://10.0.0.3:7401"]),
        ] {
            let listen = listen.parse().unwrap();
            let told = guess(listen, ip("10.0.0.2"));
            assert_eq!(texts(&with_seen(told, ip("192.0.2.7"), listen, outside)), expected);
        }
    }

    #[test]
    fn a_router_is_asked_only_where_one_is_between() {
        let way = |listen: &str, own, seen| way_in(listen.parse().unwrap(), ip(own), ip(seen));
        let any = "0.0.0.0:7401";
        let seen = "192.0.2.7";
        let wanted = |inside: &str| {
            Some(WayIn { inside: inside.parse().unwrap(), seen: seen.parse().unwrap() })
        };
        assert_eq!(way(any, "192.168.1.5", seen), wanted("192.168.1.5:7401"));
        assert_eq!(way("[::]:7401", "100.64.0.5", seen), wanted("100.64.0.5:7401"));
        assert_eq!(way("10.0.0.3:7401", "192.168.1.5", seen), wanted("10.0.0.3:7401"));
        for (listen, own, seen) in [
            // The index is in the same network, or on this machine.
            (any, "192.168.1.5", "192.168.1.5"),
            (any, "192.168.1.5", "10.1.1.1"),
            (any, "127.0.0.1", "127.0.0.1"),
            // Nothing is between, or something that is no router of this network.
            (any, "198.51.100.7", "198.51.100.7"),
            (any, "198.51.100.7", seen),
            // Nobody else can reach it anyway, or without a router.
            ("127.0.0.1:7401", "192.168.1.5", seen),
            (any, "2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:7401", "192.168.1.5", seen),
        ] {
            assert_eq!(way(listen, own, seen), None, "{listen} {own} {seen}");
        }
    }
}
