//! Finding out where this peer can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use p2pshare_core::{api::Announced, identity::PeerAddr};

use crate::{
    index_client::IndexUrl,
    publish::{AnnounceFailure, OwnPeer},
};

/// Announces a peer that listens on `listen`: at `advertise`, or, if that is empty, where it seems to be reached. Gives
/// what was told.
pub(super) async fn announce(
    peer: &OwnPeer,
    listen: SocketAddr,
    advertise: &[PeerAddr],
) -> Result<(Announced, Vec<PeerAddr>), AnnounceFailure> {
    if !advertise.is_empty() {
        return Ok((peer.announce(advertise.to_vec()).await?, advertise.to_vec()));
    }
    let guessed = guess(listen, peer.client().url());
    let announced = peer.announce(guessed.clone()).await?;
    let better = with_seen(guessed.clone(), announced.seen_from.as_deref(), listen);
    if better == guessed {
        return Ok((announced, guessed));
    }
    Ok((peer.announce(better.clone()).await?, better))
}

/// A free port where those can reach this machine who can reach the index: on loopback if the index is there.
pub(super) fn any_port(index: &IndexUrl) -> SocketAddr {
    match towards(index) {
        Some(own) if own.is_loopback() => (own, 0).into(),
        Some(IpAddr::V6(_)) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
    }
}

/// Where others may reach a peer that listens on `listen`: that address if it is one, else that of the network
/// interface that leads to the index.
pub(super) fn guess(listen: SocketAddr, index: &IndexUrl) -> Vec<PeerAddr> {
    if !listen.ip().is_unspecified() {
        return PeerAddr::from_socket(listen).into_iter().collect();
    }
    let own = towards(index).unwrap_or(if listen.is_ipv4() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        Ipv6Addr::LOCALHOST.into()
    });
    PeerAddr::from_socket(SocketAddr::new(own, listen.port())).into_iter().collect()
}

/// Adds the address that the index saw this peer come from, in front: what the index sees, others may reach.
pub(super) fn with_seen(
    mut addresses: Vec<PeerAddr>,
    seen_from: Option<&str>,
    listen: SocketAddr,
) -> Vec<PeerAddr> {
    if !listen.ip().is_unspecified() {
        return addresses;
    }
    let seen = seen_from.and_then(|text| text.parse::<IpAddr>().ok());
    if let Some(seen) =
        seen.and_then(|ip| PeerAddr::from_socket(SocketAddr::new(ip, listen.port())))
        && !addresses.contains(&seen)
    {
        addresses.insert(0, seen);
    }
    addresses
}

/// The address of this machine on the way to the index. Connecting a datagram socket sends nothing.
fn towards(index: &IndexUrl) -> Option<IpAddr> {
    let to = index.socket_addr()?;
    let any: SocketAddr = if to.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(addresses: &[PeerAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_address_that_is_one_is_told_as_it_is() {
        let index = "http://127.0.0.1:7400".parse().unwrap();
        let listen = "127.0.0.1:7401".parse().unwrap();
        let told = guess(listen, &index);
        assert_eq!(texts(&told), ["tcp://127.0.0.1:7401"]);
        assert_eq!(texts(&with_seen(told, Some("10.0.0.9"), listen)), ["tcp://127.0.0.1:7401"]);
    }

    #[test]
    fn with_an_index_on_this_machine_nobody_else_is_let_in() {
        let local = any_port(&"http://127.0.0.1:7400".parse().unwrap());
        assert!(local.ip().is_loopback() && local.port() == 0, "{local}");
    }

    #[test]
    fn any_address_becomes_one_that_others_can_use() {
        let index = "http://127.0.0.1:7400".parse().unwrap();
        let listen = "0.0.0.0:7401".parse().unwrap();
        let told = guess(listen, &index);
        assert_eq!(texts(&told), ["tcp://127.0.0.1:7401"]);
        let seen = with_seen(told, Some("192.0.2.7"), listen);
        assert_eq!(texts(&seen), ["tcp://192.0.2.7:7401", "tcp://127.0.0.1:7401"]);
        assert_eq!(with_seen(seen.clone(), Some("not an address"), listen), seen);
        assert_eq!(with_seen(seen.clone(), Some("192.0.2.7"), listen), seen);
    }
}
