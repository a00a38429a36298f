//! What passes between two peers: what one wants of the other, and what their connection proves.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::PeerId;

/// What a peer wants to do with a content at another peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Read its manifest, have-set and bytes.
    Fetch,
    /// Send it there.
    Push,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fetch => "fetch",
            Self::Push => "push",
        })
    }
}

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
