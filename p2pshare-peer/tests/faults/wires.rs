//! Peers behind faulty wires, and limits so short that no test waits long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use p2pshare_core::identity::{PeerAddr, PeerKey};
use p2pshare_core::testing::proxy::{TcpProxy, WireFault, WireFaults};
use p2pshare_core::transfer::{MemorySource, PushReceiver};
use p2pshare_peer::net::{ClientLimits, ClientSecurity, PeerConnector, RemotePeer};

use crate::support::{Server, Setup, client_tls};

/// How long anything that may be faulty may be silent.
pub(crate) const STALL: Duration = Duration::from_millis(1200);

/// Faults are among so many of the first bytes of a connection.
const REACH: u64 = 4 << 20;

/// A peer, and the wire to it.
pub(crate) struct Wired {
    pub(crate) remote: RemotePeer,
    pub(crate) proxy: TcpProxy,
    slowed: Arc<AtomicBool>,
    _server: Server,
}

impl Wired {
    /// A peer that serves this, and takes pushes if it has a receiver. Neither side waits longer than `stall` for the
    /// other.
    pub(crate) async fn start(
        memory: &MemorySource,
        receiver: Option<Arc<dyn PushReceiver>>,
        tls: bool,
        stall: Duration,
    ) -> Self {
        let mut setup = if tls { Setup::tls(memory) } else { Setup::plain(memory) };
        setup.receiver = receiver;
        setup.limits.handshake_timeout = 2 * stall;
        setup.limits.answer_timeout = stall;
        setup.limits.stall_timeout = stall;
        let server = setup.start().await;
        let proxy = TcpProxy::start(server.addr).await.unwrap();
        let security = match tls {
            true => client_tls(&PeerKey::generate().unwrap()),
            false => ClientSecurity::Plain,
        };
        let limits = ClientLimits {
            connect_timeout: 2 * stall,
            answer_timeout: stall,
            stall_timeout: stall,
            ..ClientLimits::default()
        };
        let addrs = vec![PeerAddr::from_socket(proxy.addr()).unwrap()];
        let remote = PeerConnector::new(security, limits).peer(server.key.peer_id(), addrs);
        Self { remote, proxy, slowed: Arc::default(), _server: server }
    }

    /// From now on things go wrong, as this seed has it.
    pub(crate) fn trouble(&self, seed: u64) {
        let slowed = self.slowed.clone();
        self.proxy.set_faults(move |connection| {
            let faults = WireFaults::seeded(seed, connection, REACH);
            let is_slow = |fault| matches!(fault, Some(WireFault::Slow(_)));
            if is_slow(faults.to_server) || is_slow(faults.to_client) {
                slowed.store(true, Relaxed);
            }
            faults
        });
    }

    /// From now on this goes wrong on every connection.
    pub(crate) fn always(&self, faults: WireFaults) {
        self.proxy.set_faults(move |_| faults);
    }

    /// New connections have no faults. What is open stays as it is.
    pub(crate) fn mend(&self) {
        self.proxy.set_faults(|_| WireFaults::none());
    }

    /// Whether a connection was slow: then a transfer may take its time.
    pub(crate) fn was_slow(&self) -> bool {
        self.slowed.load(Relaxed)
    }
}
