//! Which peer.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;

use crate::text::serde_as_text;

/// The identity of a peer: the SHA-256 hash of its public key's SubjectPublicKeyInfo in DER.
///
/// Its text form is base32 (RFC 4648) in lower case without padding, 52 characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; 32]);

impl PeerId {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 52;

    /// The peer whose key has this hash.
    pub const fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The hash of its key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 characters of the text form: enough for people to tell a few peers apart, never to identify one.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl Display for PeerId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl Debug for PeerId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        let upper_case = || text.bytes().any(|b| b.is_ascii_uppercase());
        if text.len() != Self::TEXT_LEN || upper_case() {
            return Err(PeerIdError);
        }
        let mut hash = [0; 32];
        let text = text.to_ascii_uppercase();
        // The decoder refuses a last character with stray bits, so an id has one spelling.
        match BASE32_NOPAD.decode_mut(text.as_bytes(), &mut hash) {
            Ok(32) => Ok(Self(hash)),
            _ => Err(PeerIdError),
        }
    }
}

serde_as_text!(PeerId);

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    PeerId,
    PeerId::TEXT_LEN,
    "^[a-z2-7]{51}[aq]$",
    "Identity of a peer: SHA-256 of its public key, base32 in lower case.",
    "7o2s4lbqcq6yhd5c3mmd7arjgfbzm4b2xw3uo6nqz6j2p5kgv5wa"
);

/// A text is not a [`PeerId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of a peer: it must be 52 characters of a-z and 2-7")]
pub struct PeerIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips() {
        for bytes in [[0; 32], [0xff; 32], [0x5a; 32]] {
            let id = PeerId::from_bytes(bytes);
            let text = id.to_string();
            assert_eq!(text.len(), PeerId::TEXT_LEN);
            assert_eq!(text.parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<PeerId>(&json).unwrap(), id);
        }
        assert_eq!(PeerId::from_bytes([0; 32]).to_string(), "a".repeat(52));
    }

    #[test]
    fn only_the_one_spelling_is_read() {
        let text = PeerId::from_bytes([7; 32]).to_string();
        assert_eq!(text.to_uppercase().parse::<PeerId>(), Err(PeerIdError));
        assert_eq!(text[1..].parse::<PeerId>(), Err(PeerIdError));
        assert_eq!(format!("{text}=").parse::<PeerId>(), Err(PeerIdError));
        assert_eq!(format!("{}b", "a".repeat(51)).parse::<PeerId>(), Err(PeerIdError));
        assert_eq!("1".repeat(52).parse::<PeerId>(), Err(PeerIdError));
        assert_eq!("é".repeat(26).parse::<PeerId>(), Err(PeerIdError));
    }
}
