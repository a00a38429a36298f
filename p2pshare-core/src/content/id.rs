//! The name of a content.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The plain BLAKE3 hash of a content: 32 bytes, shown as 64 lower case hex digits, as `b3sum FILE` prints it.
///
/// In serde it is the hex string, in every format.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 32]);

/// Why something is not a content id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentIdError {
    /// The text has the wrong length.
    #[error(
        "a content id has 64 hex digits, this text has {found} bytes; copy the id again, whole"
    )]
    TextLength {
        /// Length of the text in bytes.
        found: usize,
    },
    /// The text has the right length and something else than hex digits in it.
    #[error("a content id has only the digits 0-9 and a-f; copy the id again")]
    NotHex,
    /// The binary form has the wrong length.
    #[error("a content id is 32 bytes, these are {found}")]
    ByteLength {
        /// Number of bytes given.
        found: usize,
    },
}

impl ContentId {
    /// The content id that these 32 bytes are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The content id in its binary form, as it is sent between peers.
    ///
    /// # Errors
    ///
    /// [`ContentIdError::ByteLength`] when these are not 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ContentIdError> {
        let array = bytes.try_into();
        array.map(Self).map_err(|_| ContentIdError::ByteLength { found: bytes.len() })
    }

    /// The id of the content that has these bytes.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        blake3::hash(content).into()
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for ContentId {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.into())
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ContentId {
    /// Shows the first 12 digits: enough to tell contents apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentId({self:.12}…)")
    }
}

impl FromStr for ContentId {
    type Err = ContentIdError;

    fn from_str(text: &str) -> Result<Self, ContentIdError> {
        if text.len() != 64 {
            return Err(ContentIdError::TextLength { found: text.len() });
        }
        blake3::Hash::from_hex(text).map(Self::from).map_err(|_| ContentIdError::NotHex)
    }
}

impl Serialize for ContentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HexVisitor)
    }
}

struct HexVisitor;

impl de::Visitor<'_> for HexVisitor {
    type Value = ContentId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a content id of 64 hex digits")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ContentId, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `b3sum` prints for an empty file.
    const EMPTY: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

    #[test]
    fn shows_what_b3sum_prints() {
        assert_eq!(ContentId::of(b"").to_string(), EMPTY);
        assert_eq!(format!("{:?}", ContentId::of(b"")), "ContentId(af1349b9f5f9…)");
    }

    #[test]
    fn reads_upper_case() {
        assert_eq!(EMPTY.to_uppercase().parse(), Ok(ContentId::of(b"")));
    }

    #[test]
    fn refuses_what_is_not_an_id() {
        let of_length = |found| Err::<ContentId, _>(ContentIdError::TextLength { found });
        assert_eq!("".parse(), of_length(0));
        assert_eq!(EMPTY[1..].parse(), of_length(63));
        assert_eq!(format!("{EMPTY}0").parse(), of_length(65));
        assert_eq!(EMPTY.replace('a', "g").parse::<ContentId>(), Err(ContentIdError::NotHex));
        // 64 bytes of text, but not 64 characters.
        assert_eq!("é".repeat(32).parse::<ContentId>(), Err(ContentIdError::NotHex));
        assert_eq!(ContentId::from_slice(&[0; 31]), Err(ContentIdError::ByteLength { found: 31 }));
    }

    #[test]
    fn is_a_string_in_json() {
        let json = serde_json::to_string(&ContentId::of(b"")).unwrap();
        assert_eq!(json, format!("\"{EMPTY}\""));
        assert_eq!(serde_json::from_str::<ContentId>(&json).unwrap(), ContentId::of(b""));
        // An escape makes the deserializer hand over an owned string.
        let escaped = json.replacen('a', "\\u0061", 1);
        assert_eq!(serde_json::from_str::<ContentId>(&escaped).unwrap(), ContentId::of(b""));
        assert!(serde_json::from_str::<ContentId>("\"af13\"").is_err());
        assert!(serde_json::from_str::<ContentId>("7").is_err());
    }

    proptest! {
        #[test]
        fn survives_its_text_and_its_bytes(bytes: [u8; 32]) {
            let id = ContentId::from_bytes(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert_eq!(ContentId::from_slice(id.as_bytes()), Ok(id));
        }
    }
}
