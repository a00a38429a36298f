//! Trying whether a peer can be reached.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use p2pshare_core::{
    api::{AddressCheck, Reached},
    identity::{CertificateRule, Host, PeerAddr, PeerId, certificate_peer},
};
use rustls::{ClientConfig, Error, client::Resumption, crypto::aws_lc_rs, pki_types::ServerName};
use tokio::{net::TcpStream, sync::Semaphore, time::timeout};
use tokio_rustls::TlsConnector;

/// How long a peer may take to answer, by a line that is full of what it sends to others.
const PATIENCE: Duration = Duration::from_secs(8);

/// Most connections that are tried at a time, for all who ask.
const AT_ONCE: usize = 64;

/// Most ports of one peer that are tried.
const PORTS: usize = 4;

const ALPN_HTTP2: &[u8] = b"h2";

/// Tries addresses, a bounded number at a time.
pub(super) struct Prober {
    places: Semaphore,
}

impl Default for Prober {
    fn default() -> Self {
        Self { places: Semaphore::new(AT_ONCE) }
    }
}

impl Prober {
    /// Whether the peer is at those of its addresses that are `from`, where its request came from; the others are not
    /// tried. Cancelling it closes what is open.
    pub(super) async fn check(
        &self,
        peer: PeerId,
        addresses: Vec<PeerAddr>,
        from: Option<IpAddr>,
    ) -> Vec<AddressCheck> {
        let sockets: Vec<_> = addresses.iter().map(|address| allowed(address, from)).collect();
        let mut tried = Vec::new();
        for socket in sockets.iter().flatten() {
            if tried.len() < PORTS && !tried.contains(socket) {
                tried.push(*socket);
            }
        }
        let results = join_all(tried.iter().map(|socket| self.probe(peer, *socket))).await;
        let results: BTreeMap<_, _> = tried.into_iter().zip(results).collect();
        let judged = addresses.into_iter().zip(sockets).map(|(address, socket)| {
            let (reached, reason) = match socket.map(|socket| results.get(&socket)) {
                Ok(Some(Ok(()))) => (Reached::Yes, None),
                Ok(Some(Err(reason))) => (Reached::No, Some(reason.clone())),
                Ok(None) => (Reached::NotTried, Some(format!("only {PORTS} ports are tried"))),
                Err(reason) => (Reached::NotTried, Some(reason)),
            };
            AddressCheck { address, reached, reason }
        });
        judged.collect()
    }

    async fn probe(&self, peer: PeerId, socket: SocketAddr) -> Result<(), String> {
        let tried = async {
            // It is never closed.
            let _place = self.places.acquire().await.map_err(|error| error.to_string())?;
            say_hello(peer, socket).await
        };
        let late = || format!("nothing answers there within {} s", PATIENCE.as_secs());
        timeout(PATIENCE, tried).await.unwrap_or_else(|_| Err(late()))
    }
}

/// The socket of an address, if it is the client's own.
fn allowed(address: &PeerAddr, from: Option<IpAddr>) -> Result<SocketAddr, String> {
    let Some(from) = from else {
        return Err("the index does not see which address you come from".to_owned());
    };
    let ip = match address {
        PeerAddr::Tcp { host: Host::V4(ip), .. } => Some(IpAddr::V4(*ip)),
        PeerAddr::Tcp { host: Host::V6(ip), .. } => Some(IpAddr::V6(*ip)),
        _ => None,
    };
    match (address, ip) {
        (PeerAddr::Tcp { port, .. }, Some(ip)) if ip.to_canonical() == from => {
            Ok(SocketAddr::new(from, port.get()))
        }
        _ => Err(format!("the index tries only the address that you come from, {from}")),
    }
}

/// Connects, and has whoever is there prove that it is the peer.
async fn say_hello(peer: PeerId, socket: SocketAddr) -> Result<(), String> {
    let stream = TcpStream::connect(socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
        _ => error.to_string(),
    })?;
    let config = client_config().map_err(|error| error.to_string())?;
    let name = ServerName::from(socket.ip());
    let tls = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|_| "something answers there, but not with TLS as a peer does".to_owned())?;
    let (_, session) = tls.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    match certificate.and_then(|certificate| certificate_peer(certificate).ok()) {
        Some(found) if found == peer => Ok(()),
        _ => Err("somebody else answers there: its key is not this peer's".to_owned()),
    }
}

fn client_config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    // Whose it is is looked at afterwards.
    let verifier = Arc::new(CertificateRule::new(&provider, |_| true));
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn only_the_address_of_the_request_is_allowed() {
        let allowed = |address: &str, from| allowed(&address.parse().unwrap(), from);
        let own = "203.0.113.7:7401".parse().unwrap();
        assert_eq!(allowed("tcp://203.0.113.7:7401", ip("203.0.113.7")), Ok(own));
        assert!(allowed("tcp://[2001:db8::7]:7401", ip("2001:db8::7")).is_ok());
        for other in [
            "tcp://203.0.113.8:7401",
            "tcp://127.0.0.1:7400",
            "tcp://169.254.169.254:80",
            "tcp://localhost:7401",
            "tcp://[::1]:7401",
        ] {
            assert!(allowed(other, ip("203.0.113.7")).is_err(), "{other}");
        }
        assert!(allowed("tcp://203.0.113.7:7401", None).is_err());
    }

    #[tokio::test]
    async fn each_address_is_judged_and_only_few_ports_are_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(stream);
            }
        });
        let mut addresses = vec![format!("tcp://127.0.0.1:{open}"), "tcp://10.0.0.1:1".to_owned()];
        addresses.extend((1..=6).map(|port| format!("tcp://127.0.0.1:{port}")));
        let addresses: Vec<PeerAddr> = addresses.iter().map(|it| it.parse().unwrap()).collect();
        let peer = PeerId::from_bytes([7; 32]);
        let checks = Prober::default().check(peer, addresses.clone(), ip("127.0.0.1")).await;
        assert!(checks.iter().map(|check| &check.address).eq(&addresses));
        let tried = checks.iter().filter(|check| check.reached == Reached::No).count();
        assert_eq!(tried, PORTS);
        assert!(checks.iter().all(|check| check.reached != Reached::Yes && check.reason.is_some()));
        assert_eq!((checks[0].reached, checks[1].reached), (Reached::No, Reached::NotTried));
    }
}
