//! The local network, as long as it is wanted.

use std::net::SocketAddr;

use async_trait::async_trait;
use p2pshare_core::identity::PeerId;
use tokio::sync::watch;

use super::{Announcement, Lan};
use crate::net::Nearby;

/// The local network, which can be turned on and off while it is used. A clone is the same switch.
#[derive(Clone, Debug, Default)]
pub struct LanSwitch(watch::Sender<Option<Lan>>);

impl LanSwitch {
    /// From now on the local network is what this gives; `None`: there is none. One at a time decides.
    pub fn turn(&self, lan: impl FnOnce() -> Option<Lan>) {
        self.0.send_modify(|now| *now = lan());
    }

    /// Says in the local network, whenever there is one, that the peer is reached at this socket. Never ends;
    /// cancelling it takes back what was said.
    pub(crate) async fn announce(&self, peer: PeerId, listen: SocketAddr) {
        let mut changed = self.0.subscribe();
        loop {
            let lan = changed.borrow_and_update().clone();
            let _said = lan.and_then(|lan| announce(&lan, peer, listen));
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    fn now(&self) -> Option<Lan> {
        self.0.borrow().clone()
    }
}

/// Without it the index is the only one who tells.
fn announce(lan: &Lan, peer: PeerId, listen: SocketAddr) -> Option<Announcement> {
    lan.announce(peer, listen).unwrap_or_else(|error| {
        tracing::warn!(%error, "the peer is not announced in the local network");
        None
    })
}

#[async_trait]
impl Nearby for LanSwitch {
    fn addresses(&self, peer: &PeerId) -> Vec<SocketAddr> {
        self.now().map(|lan| lan.addresses(peer)).unwrap_or_default()
    }

    async fn look(&self, peer: &PeerId) -> Vec<SocketAddr> {
        match self.now() {
            Some(lan) => lan.look(peer).await,
            None => Vec::new(),
        }
    }

    fn failed(&self, peer: &PeerId, addresses: &[SocketAddr]) {
        if let Some(lan) = self.now() {
            lan.failed(peer, addresses);
        }
    }
}
