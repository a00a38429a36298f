//! The key of an index, as others know it.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::identity::IndexKeyId;
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
        IndexKeyId::of_public_key(&self.0)
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
    type Err = IndexPublicKeyError;

    fn from_str(text: &str) -> Result<Self, IndexPublicKeyError> {
        let mut bytes = [0; 32];
        if text.len() != Self::TEXT_LEN {
            return Err(IndexPublicKeyError);
        }
        match BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(IndexPublicKeyError),
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

/// A text is not an [`IndexPublicKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not the public key of an index: it must be 32 bytes in base64url, 43 characters without padding"
)]
pub struct IndexPublicKeyError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_in_one_spelling() {
        for bytes in [[0; 32], [0xff; 32], [0x3e; 32]] {
            let key = IndexPublicKey::from_bytes(bytes);
            assert_eq!(key.to_string().parse(), Ok(key));
            let json = serde_json::to_string(&key).unwrap();
            assert_eq!(serde_json::from_str::<IndexPublicKey>(&json).unwrap(), key);
        }
        let text = IndexPublicKey::from_bytes([0; 32]).to_string();
        for other in
            [format!("{text}="), text[1..].to_owned(), "A".repeat(42) + "B", "é".repeat(21) + "A"]
        {
            assert_eq!(other.parse::<IndexPublicKey>(), Err(IndexPublicKeyError), "{other}");
        }
    }
}
