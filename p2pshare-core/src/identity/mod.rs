//! Who is who: names of users and groups, keys and addresses of peers, and what a peer signs.

mod addr;
mod announce;
#[cfg(feature = "tls")]
mod certificate;
mod connection;
mod index_key;
mod key;
mod name;
mod peer_id;
mod reach;

pub use addr::{AddrError, DnsName, Host, PeerAddr};
pub use announce::{AnnounceError, AnnounceStatement};
#[cfg(feature = "tls")]
pub use certificate::{CertificateRule, certificate_peer};
pub use connection::{Access, PeerConnection};
pub use index_key::{IndexKeyId, IndexKeyIdError};
pub use key::{KeyError, PeerKey, verify_peer_signature};
pub use name::{GroupName, NameError, NameProblem, Username};
pub use peer_id::{PeerId, PeerIdError};
pub use reach::{GroupsId, Reach, ReachError};
