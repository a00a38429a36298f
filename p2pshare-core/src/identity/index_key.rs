//! Which key of an index.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use crate::text::serde_as_text;

/// The short name of an index's key: the first 16 bytes of the SHA-256 hash of its 32 bytes, written in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKeyId([u8; 16]);

impl IndexKeyId {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 32;

    /// The id of the Ed25519 public key with these bytes.
    pub fn of_public_key(key: &[u8; 32]) -> Self {
        let mut id = [0; 16];
        id.copy_from_slice(&digest(&SHA256, key).as_ref()[..16]);
        Self(id)
    }

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
    type Err = IndexKeyIdError;

    fn from_str(text: &str) -> Result<Self, IndexKeyIdError> {
        let mut bytes = [0; 16];
        if text.len() != Self::TEXT_LEN {
            return Err(IndexKeyIdError);
        }
        match HEXLOWER.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            _ => Err(IndexKeyIdError),
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

/// A text is not an [`IndexKeyId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of an index's key: it must be 32 hex digits in lower case")]
pub struct IndexKeyIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_start_of_the_hash_of_the_key() {
        let id = IndexKeyId::of_public_key(&[0; 32]);
        assert_eq!(id.to_string(), "66687aadf862bd776c8fc18b8e9f8e20");
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in ["", "A", &"A".repeat(32), &"g".repeat(32), &"a".repeat(31), &"é".repeat(16)]
        {
            assert_eq!(other.parse::<IndexKeyId>(), Err(IndexKeyIdError), "{other}");
        }
    }
}
