//! Addresses from the local network: they are tried first, and believed no more than any other.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use async_trait::async_trait;
use p2pshare_core::identity::{PeerAddr, PeerId, PeerKey};
use p2pshare_core::transfer::MemorySource;
use p2pshare_peer::net::{ClientLimits, ClientSecurity, Nearby, PeerConnector, RemotePeer};
use tokio::net::TcpListener;

use crate::support::{Server, Setup, client_tls, within};

/// Says that every peer is at these addresses.
#[derive(Debug, Default)]
struct Hearsay {
    known: Vec<SocketAddr>,
    /// What it says only when somebody looks.
    later: Vec<SocketAddr>,
    failed: Mutex<Vec<SocketAddr>>,
}

#[async_trait]
impl Nearby for Hearsay {
    fn addresses(&self, _peer: &PeerId) -> Vec<SocketAddr> {
        self.known.clone()
    }

    async fn look(&self, _peer: &PeerId) -> Vec<SocketAddr> {
        self.later.clone()
    }

    fn failed(&self, _peer: &PeerId, addresses: &[SocketAddr]) {
        self.failed.lock().unwrap().extend(addresses);
    }
}

fn client(server: &Server, hearsay: &Arc<Hearsay>, announced: &[SocketAddr]) -> RemotePeer {
    let security = client_tls(&PeerKey::generate().unwrap());
    connector(security, hearsay).peer(
        server.key.peer_id(),
        announced.iter().filter_map(|at| PeerAddr::from_socket(*at)).collect(),
    )
}

fn connector(security: ClientSecurity, hearsay: &Arc<Hearsay>) -> PeerConnector {
    PeerConnector::new(security, ClientLimits::default()).with_nearby(hearsay.clone())
}

/// An address where connections are taken and nothing is ever said.
async fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn a_peer_nearby_is_reached_where_nothing_else_leads() {
    let server = Setup::tls(&MemorySource::new()).start().await;
    let (_listener, dead) = silent().await;
    let hearsay = Arc::new(Hearsay { known: vec![server.addr], ..Hearsay::default() });
    within(client(&server, &hearsay, &[dead]).check_health()).await.unwrap();
    within(client(&server, &hearsay, &[]).check_health()).await.unwrap();

    // One that is heard of only when all else has failed.
    let late = Arc::new(Hearsay { later: vec![server.addr], ..Hearsay::default() });
    within(client(&server, &late, &[]).check_health()).await.unwrap();
}

#[tokio::test]
async fn liars_nearby_cost_a_moment_and_are_not_believed() {
    let server = Setup::tls(&MemorySource::new()).start().await;
    let impostor = Setup::tls(&MemorySource::new()).start().await;
    let (_listener, mute) = silent().await;
    let known = vec![impostor.addr, mute, mute, mute, impostor.addr];
    let hearsay = Arc::new(Hearsay { known: known.clone(), ..Hearsay::default() });
    let begun = Instant::now();
    within(client(&server, &hearsay, &[server.addr]).check_health()).await.unwrap();
    assert!(begun.elapsed() < ClientLimits::default().connect_timeout, "{:?}", begun.elapsed());

    let error = within(client(&server, &hearsay, &[]).check_health()).await.unwrap_err();
    assert!(error.to_string().contains("in this network"), "{error}");
    assert_eq!(*hearsay.failed.lock().unwrap(), known, "they are not tried again");
}

#[tokio::test]
async fn without_tls_nobody_nearby_is_asked() {
    let server = Setup::plain(&MemorySource::new()).start().await;
    let hearsay = Arc::new(Hearsay { known: vec![server.addr], ..Hearsay::default() });
    let peer = connector(ClientSecurity::Plain, &hearsay).peer(server.key.peer_id(), Vec::new());
    within(peer.check_health()).await.unwrap_err();
}
