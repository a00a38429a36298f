//! What a peer signs to be listed by an index.

use super::addr::PeerAddr;
use super::index_key::IndexKeyId;
use super::key::{KeyError, PeerKey, verify_peer_signature};
use super::name::Username;
use super::peer_id::PeerId;
use crate::time::Timestamp;

/// A peer's word that it serves a user at some addresses, for one index.
///
/// Its signature shows that whoever announces the peer has its key. The index's key id is in it so that an index
/// cannot use an announce at another one, the time so that an old announce can be told from a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnounceStatement {
    /// Id of the key of the index that the announce is for.
    pub index_key_id: IndexKeyId,
    /// The user that the peer serves.
    pub user: Username,
    /// The peer.
    pub peer: PeerId,
    /// Where it is reached, the best first.
    pub addresses: Vec<PeerAddr>,
    /// When the peer said so, by its own clock.
    pub issued_at: Timestamp,
}

impl AnnounceStatement {
    /// The bytes that are signed.
    ///
    /// `p2pshare announce v1` and a zero byte, so that no other signature of the key can be taken for this one; then
    /// the fields in the order of this type: the index's key id as 16 bytes, the user as a text, the peer as 32
    /// bytes, the number of addresses and each of them as a text, the time in milliseconds. A number is 8 bytes, big
    /// endian; a text is its length in bytes as a number, and its UTF-8. Two different statements never have the
    /// same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = b"p2pshare announce v1\0".to_vec();
        bytes.extend_from_slice(self.index_key_id.as_bytes());
        push_text(&mut bytes, self.user.as_str());
        bytes.extend_from_slice(self.peer.as_bytes());
        bytes.extend_from_slice(&(self.addresses.len() as u64).to_be_bytes());
        for address in &self.addresses {
            push_text(&mut bytes, &address.to_string());
        }
        bytes.extend_from_slice(&self.issued_at.as_millis().to_be_bytes());
        bytes
    }

    /// Signs it with the peer's key.
    ///
    /// # Errors
    /// [`AnnounceError::OtherPeer`] if `key` is not the key of [`peer`](Self::peer); [`AnnounceError::Key`] if the
    /// system has no randomness.
    pub fn sign(&self, key: &PeerKey) -> Result<Vec<u8>, AnnounceError> {
        self.check_peer(key.peer_id())?;
        Ok(key.sign(&self.to_bytes())?)
    }

    /// Checks that the peer itself signed it. Whether it is for this index, for this user and new enough is for the
    /// caller to compare.
    ///
    /// # Errors
    /// [`AnnounceError::Key`] if the key or signature is not valid, [`AnnounceError::OtherPeer`] if the key is valid
    /// but another peer's.
    pub fn verify(&self, public_key_der: &[u8], signature: &[u8]) -> Result<(), AnnounceError> {
        self.check_peer(verify_peer_signature(public_key_der, &self.to_bytes(), signature)?)
    }

    fn check_peer(&self, key: PeerId) -> Result<(), AnnounceError> {
        if key == self.peer {
            return Ok(());
        }
        Err(AnnounceError::OtherPeer { announced: self.peer, key })
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Why an announce was not signed, or its signature not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// The key is of another peer than the one announced.
    #[error(
        "the announce is of peer {announced} but the key is of peer {key}: sign it with the announced peer's key"
    )]
    OtherPeer {
        /// The peer in the statement.
        announced: PeerId,
        /// The peer whose key it is.
        key: PeerId,
    },
    /// The key or the signature is not valid.
    #[error(transparent)]
    Key(#[from] KeyError),
}
