//! The key of an index, as others know it.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use crate::text::serde_as_text;

/// The public key of an index: Ed25519, 32 bytes. A peer keeps the one it saw when it logged in, and accepts grants
/// that were signed with it.
///
/// Its text form is base64url without padding, 43 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexPublicKey([u8; 32]);

impl IndexPublicKey {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 43;

    /// The key with these bytes. If they are no point of the curve, no signature fits the key.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The short name of the key.
    pub fn key_id(&self) -> IndexKeyId {
        let mut id = [0; 16];
        id.copy_from_slice(&digest(&SHA256, &self.0).as_ref()[..16]);
        IndexKeyId(id)
    }
}

impl Display for IndexPublicKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&BASE64URL_NOPAD.encode_display(&self.0), f)
    }
}

impl Debug for IndexPublicKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "IndexPublicKey({self})")
    }
}

impl FromStr for IndexPublicKey {
    type Err = IndexKeyError;

    fn from_str(text: &str) -> Result<Self, IndexKeyError> {
        let mut bytes = [0; 32];
        if text.len() != Self::TEXT_LEN {
            return Err(IndexKeyError::PublicKey);
        }
        match BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(IndexKeyError::PublicKey),
        }
    }
}

serde_as_text!(IndexPublicKey);

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    IndexPublicKey,
    IndexPublicKey::TEXT_LEN,
    "^[A-Za-z0-9_-]{43}$",
    "Public key of an index: Ed25519, base64url without padding.",
    "1QGpckHYxLL1VKRQBUPH3cgdNdBJzaj5iCLJL9hDkAc"
);

/// The short name of an index's key: the first 16 bytes of the SHA-256 hash of its 32 bytes, written in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKeyId([u8; 16]);

impl IndexKeyId {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 32;

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Display for IndexKeyId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&HEXLOWER.encode_display(&self.0), f)
    }
}

impl Debug for IndexKeyId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "IndexKeyId({self})")
    }
}

impl FromStr for IndexKeyId {
    type Err = IndexKeyError;

    fn from_str(text: &str) -> Result<Self, IndexKeyError> {
        let mut bytes = [0; 16];
        if text.len() != Self::TEXT_LEN {
            return Err(IndexKeyError::KeyId);
        }
        match HEXLOWER.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            _ => Err(IndexKeyError::KeyId),
        }
    }
}

serde_as_text!(IndexKeyId);

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    IndexKeyId,
    IndexKeyId::TEXT_LEN,
    "^[0-9a-f]{32}$",
    "Id of an index's key: the first half of the SHA-256 hash of the key, in hex.",
    "2b8b5c1f0e9d7a6655443322110099aa"
);

/// A text is not the key of an index, or not the id of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexKeyError {
    /// It is not a public key.
    #[error(
        "this is not the public key of an index: it must be 32 bytes in base64url, 43 characters without padding"
    )]
    PublicKey,
    /// It is not the id of a key.
    #[error("this is not the id of an index's key: it must be 32 hex digits in lower case")]
    KeyId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_round_trip_in_one_spelling() {
        for bytes in [[0; 32], [0xff; 32], [0x3e; 32]] {
            let key = IndexPublicKey::from_bytes(bytes);
            assert_eq!(key.to_string().parse(), Ok(key));
            assert_eq!(key.key_id().to_string().parse(), Ok(key.key_id()));
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<IndexPublicKey>(&json).unwrap(), key);
        }
        let text = IndexPublicKey::from_bytes([0; 32]).to_string();
        for other in
            [format!("{text}="), text[1..].to_owned(), "A".repeat(42) + "B", "é".repeat(21) + "A"]
        {
            assert_eq!(other.parse::<IndexPublicKey>(), Err(IndexKeyError::PublicKey), "{other}");
        }
        assert_eq!("A".repeat(32).parse::<IndexKeyId>(), Err(IndexKeyError::KeyId));
    }

    #[test]
    fn a_key_id_is_the_start_of_the_hash_of_the_key() {
        let id = IndexPublicKey::from_bytes([0; 32]).key_id();
        assert_eq!(id.to_string(), "66687aadf862bd776c8fc18b8e9f8e20");
    }
}
