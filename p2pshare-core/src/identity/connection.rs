//! What a connection between two peers proves of its other end.

use super::PeerId;

/// How a call reached a peer, and whose key the other end proved to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerConnection {
    /// Not encrypted: it proves nothing. Only on loopback or where somebody chose to be insecure.
    Plain,
    /// TLS.
    Tls {
        /// The key that the other end proved to hold, if it showed one.
        key: Option<PeerId>,
    },
}
