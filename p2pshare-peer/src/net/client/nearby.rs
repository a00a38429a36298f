//! Addresses of peers in the same network, beside those that an index tells.

use std::{fmt, net::SocketAddr};

use async_trait::async_trait;
use p2pshare_core::identity::PeerId;

/// Knows where peers say in the local network that they can be reached.
///
/// Nothing proves what it says: whoever connects there must let the peer prove its key, and must not wait for long.
#[async_trait]
pub trait Nearby: fmt::Debug + Send + Sync {
    /// Addresses that are known of this peer, at most a few, the best first.
    fn addresses(&self, peer: &PeerId) -> Vec<SocketAddr>;

    /// The same, for somebody who has found no other way to the peer: waits a moment for those who have not answered yet.
    /// Cancelling it does no harm.
    async fn look(&self, peer: &PeerId) -> Vec<SocketAddr>;

    /// None of these addresses led to the peer.
    fn failed(&self, peer: &PeerId, addresses: &[SocketAddr]);
}
