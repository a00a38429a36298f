//! Peers in the same network, found by multicast DNS (RFC 6762, 6763).
//!
//! A peer that serves says in its network that a peer with its id is at its addresses and port; whoever downloads
//! remembers who said so, and tries these addresses first. What is said proves nothing: the key does, as everywhere. So
//! whoever lies can make others wait for a moment, and no more. What is remembered is bounded, and only private addresses
//! of networks that this machine is in are.
//!
//! The peer's id is told to everybody in the network, whether they have an account or not; no user, no file and no index
//! is.

mod near;
mod switch;
mod table;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use mdns_sd::{IfKind, Receiver, ResolvedService, ServiceDaemon, ServiceEvent, ServiceInfo};
use p2pshare_core::identity::PeerId;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};

pub use self::switch::LanSwitch;
use self::{near::Networks, table::Table};
use crate::net::Nearby;

/// The service as the network knows it.
const SERVICE: &str = "_p2pshare._tcp.local.";

/// The key of the peer's id among the texts beside the service.
const ID: &str = "id";

/// All who are there are asked anew so often.
const ASK_EVERY: Duration = Duration::from_secs(5 * 60);

/// How old the list of own networks may be.
const NETWORKS_FRESH: Duration = Duration::from_secs(5);

/// Those who are there have answered after this long.
const FIRST_ANSWERS: Duration = Duration::from_secs(2);

/// Why the local network is not used.
#[derive(Debug, thiserror::Error)]
#[error("peers in this network cannot be found: {0}")]
pub struct LanError(#[from] mdns_sd::Error);

/// How the local network is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LanOptions {
    /// Another port than that of multicast DNS, 5353.
    pub port: Option<u16>,
    /// Use the loopback interface, and no other: for tests.
    pub only_loopback: bool,
}

/// The peers of the local network. Clones share them; when the last is gone, it is silent.
#[derive(Clone)]
pub struct Lan {
    inner: Arc<Inner>,
}

struct Inner {
    daemon: ServiceDaemon,
    options: LanOptions,
    state: Mutex<State>,
    /// Told whenever the table changes.
    changed: watch::Sender<()>,
    began: Instant,
}

struct State {
    table: Table,
    networks: Networks,
    networks_at: Instant,
    /// Peers of this process.
    own: Vec<PeerId>,
}

/// Says in the local network that a peer is there, until it is dropped.
#[must_use = "the peer is announced only as long as this lives"]
pub struct Announcement {
    inner: Arc<Inner>,
    peer: PeerId,
    name: String,
}

impl Lan {
    /// Begins to listen for peers. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// If no socket for multicast DNS can be opened.
    pub fn start(options: LanOptions) -> Result<Self, LanError> {
        let daemon = match options.port {
            Some(port) => ServiceDaemon::new_with_port(port)?,
            None => ServiceDaemon::new()?,
        };
        if options.only_loopback {
            daemon.disable_interface(IfKind::All)?;
            daemon.enable_interface(IfKind::LoopbackV4)?;
        } else {
            daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        }
        let found = daemon.browse(SERVICE)?;
        let now = Instant::now();
        let inner = Arc::new(Inner {
            daemon,
            options,
            state: Mutex::new(State {
                table: Table::default(),
                networks: Networks::now(options.only_loopback),
                networks_at: now,
                own: Vec::new(),
            }),
            changed: watch::Sender::new(()),
            began: now,
        });
        tokio::spawn(listen(Arc::downgrade(&inner), found));
        Ok(Self { inner })
    }

    /// Says that the peer is reached at this socket, on the interface of its address if it has one. `None` if it listens
    /// on loopback only: nobody else could reach it.
    ///
    /// # Errors
    /// If nothing can be said at the moment.
    pub fn announce(
        &self,
        peer: PeerId,
        listen: SocketAddr,
    ) -> Result<Option<Announcement>, LanError> {
        if listen.ip().is_loopback() && !self.inner.options.only_loopback {
            return Ok(None);
        }
        let id = peer.to_string();
        let host = format!("p2pshare-{}.local.", id.get(..16).unwrap_or(&id));
        let properties = [(ID, id.as_str())];
        let mut service =
            ServiceInfo::new(SERVICE, &id, &host, "", listen.port(), &properties[..])?
                .enable_addr_auto();
        service.set_interfaces(vec![match listen.ip() {
            ip if !ip.is_unspecified() => IfKind::Addr(ip),
            ip if ip.is_ipv4() => IfKind::IPv4,
            _ => IfKind::All,
        }]);
        let name = service.get_fullname().to_owned();
        self.inner.state().own.push(peer);
        let announcement = Announcement { inner: self.inner.clone(), peer, name };
        self.inner.daemon.register(service)?;
        Ok(Some(announcement))
    }

    /// How many peers are known in the network.
    pub fn peers(&self) -> usize {
        self.inner.state().table.len()
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Some(at) = state.own.iter().position(|own| *own == self.peer) {
            state.own.swap_remove(at);
        }
        drop(state);
        if let Err(error) = self.inner.daemon.unregister(&self.name) {
            tracing::debug!(%error, "the network was not told that the peer goes");
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a table of hearsay: as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self, event: ServiceEvent) {
        match event {
            ServiceEvent::ServiceResolved(service) => self.found(&service),
            ServiceEvent::ServiceRemoved(_, name) => {
                self.state().table.remove_service(&name);
                self.changed.send_replace(());
            }
            _ => {}
        }
    }

    fn found(&self, service: &ResolvedService) {
        let id = service.get_property_val_str(ID).and_then(|id| id.parse::<PeerId>().ok());
        let Some(id) = id else { return };
        let now = Instant::now();
        let mut state = self.state();
        if state.own.contains(&id) {
            return;
        }
        if now.duration_since(state.networks_at) > NETWORKS_FRESH {
            state.networks = Networks::now(self.options.only_loopback);
            state.networks_at = now;
        }
        let State { table, networks, .. } = &mut *state;
        let near = service.addresses.iter().filter_map(|ip| networks.accept(ip, service.port));
        table.insert(id, &service.fullname, near, now);
        tracing::debug!(peer = %id.short(), addresses = ?table.addresses(&id, now), "heard in this network");
        drop(state);
        self.changed.send_replace(());
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.daemon.shutdown() {
            tracing::debug!(%error, "multicast DNS was not shut down");
        }
    }
}

/// Hears who is there, as long as somebody wants to know.
async fn listen(inner: Weak<Inner>, mut found: Receiver<ServiceEvent>) {
    let mut ask = Instant::now() + ASK_EVERY;
    loop {
        let heard = timeout_at(ask, found.recv_async()).await;
        let Some(inner) = inner.upgrade() else { return };
        match heard {
            Ok(Ok(event)) => inner.heard(event),
            // Time to ask anew; or more came than could be heard, and the library gave up.
            Err(_) | Ok(Err(_)) => {
                if heard.is_ok() {
                    sleep(FIRST_ANSWERS).await;
                }
                ask = Instant::now() + ASK_EVERY;
                match inner.daemon.browse(SERVICE) {
                    Ok(again) => found = again,
                    Err(mdns_sd::Error::Again) => {}
                    Err(error) => return tracing::debug!(%error, "not looking for peers any more"),
                }
            }
        }
    }
}

#[async_trait]
impl Nearby for Lan {
    fn addresses(&self, peer: &PeerId) -> Vec<SocketAddr> {
        self.inner.state().table.addresses(peer, Instant::now())
    }

    async fn look(&self, peer: &PeerId) -> Vec<SocketAddr> {
        let mut changed = self.inner.changed.subscribe();
        let until = self.inner.began + FIRST_ANSWERS;
        loop {
            let known = self.addresses(peer);
            if !known.is_empty() {
                return known;
            }
            // Nobody else is told when this one goes.
            if !matches!(timeout_at(until, changed.changed()).await, Ok(Ok(()))) {
                return known;
            }
        }
    }

    fn failed(&self, peer: &PeerId, addresses: &[SocketAddr]) {
        self.inner.state().table.remove(peer, addresses);
    }
}

impl fmt::Debug for Lan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lan").field("peers", &self.peers()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Announcement").field("peer", &self.peer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
