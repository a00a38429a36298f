//! Peers: announcing, staying online, leaving.

use serde::{Deserialize, Serialize};

use crate::{
    identity::{IndexKeyId, PeerAddr, PeerId},
    time::Timestamp,
};

/// A peer says where it can be reached, signed with its key.
///
/// What is signed is the [`AnnounceStatement`](crate::identity::AnnounceStatement) for these addresses and this time,
/// the session's user and the index's key. The index refuses a time that is far from its own clock or not later than
/// the peer's announce before, so an announce cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Announce {
    /// The peer's public key, SPKI in DER, base64url without padding.
    #[cfg_attr(feature = "openapi", schema(max_length = 256))]
    pub public_key: String,
    /// Where others can reach it, best first. At most eight; none: it only downloads.
    #[cfg_attr(feature = "openapi", schema(max_items = 8))]
    pub addresses: Vec<PeerAddr>,
    /// The peer's clock when it signed.
    pub issued_at: Timestamp,
    /// ECDSA P-256 SHA-256 signature in ASN.1 DER, base64url without padding.
    #[cfg_attr(feature = "openapi", schema(max_length = 256))]
    pub signature: String,
}

/// The index's answer to an announce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Announced {
    /// The IP address that the index saw the request come from, if it saw one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_from: Option<String>,
    /// Seconds from one heartbeat to the next.
    pub heartbeat_seconds: u32,
    /// How many entries the peer has in the catalog: tells a peer that the two differ.
    pub entries: u64,
}

/// The index's answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Heartbeat {
    /// Seconds from this heartbeat to the next.
    pub heartbeat_seconds: u32,
    /// How many entries the peer has in the catalog.
    pub entries: u64,
    /// The IP address that the index saw the request come from, if it saw one: a peer that came from another before has
    /// moved, and announces itself anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_from: Option<String>,
    /// The index's keys, as in what it says of itself: a peer that knows others asks there.
    #[serde(default)]
    pub keys: Vec<IndexKeyId>,
    /// The time in the newest announce of the peer that the index has taken. Who made none of that time shares the
    /// peer's key with somebody else, as when a data directory was copied. An older index does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_at: Option<Timestamp>,
    /// Which process of the index answers, by a name that is another one after each start: one that a peer has not heard of
    /// may work on a store that was restored from a copy. An older index does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub process: Option<String>,
}

/// The peers of one user, in order of id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeerList {
    /// The peers.
    pub peers: Vec<PeerOverview>,
}

/// A peer, as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PeerOverview {
    /// The peer.
    pub id: PeerId,
    /// Whether it is online.
    pub online: bool,
    /// When it was last heard of; none after it has said goodbye.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Timestamp>,
    /// The time in its newest announce.
    pub announced_at: Timestamp,
    /// Where it announced that it can be reached.
    pub addresses: Vec<PeerAddr>,
    /// How many files it has published.
    pub entries: u64,
}

/// Which of a peer's addresses the index could reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reachability {
    /// The IP address that the request came from, which is the only one that the index tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_from: Option<String>,
    /// What became of each address that the peer announced.
    pub addresses: Vec<AddressCheck>,
}

impl Reachability {
    /// Whether the peer can be reached: one address is enough.
    pub fn verdict(&self) -> Reached {
        let has = |reached| self.addresses.iter().any(|check| check.reached == reached);
        match () {
            () if has(Reached::Yes) => Reached::Yes,
            () if has(Reached::No) => Reached::No,
            () => Reached::NotTried,
        }
    }
}

/// Whether the index could reach a peer at one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddressCheck {
    /// The address.
    pub address: PeerAddr,
    /// Whether it is there.
    pub reached: Reached,
    /// Why not, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What came of trying an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Reached {
    /// The peer answered there and proved its key.
    Yes,
    /// It did not.
    No,
    /// The index does not try this address.
    NotTried,
}
