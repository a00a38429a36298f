//! The token that stands for a login.

use std::fmt::{self, Debug, Formatter};
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::random::random;

/// What a logged in user shows with each request: 256 random bits that mean nothing to anybody but the index.
///
/// Its text form is `p2ps_` and base64url without padding, 48 characters: the prefix lets scanners of leaked secrets
/// find one. Whoever has the text is the user, so it is shown only by [`reveal`](Self::reveal) and where it is
/// serialized, and wiped from memory when dropped.
#[derive(Clone)]
pub struct SessionToken(Zeroizing<[u8; 32]>);

impl SessionToken {
    /// How the text form starts.
    pub const PREFIX: &'static str = "p2ps_";
    /// Length of the text form.
    pub const TEXT_LEN: usize = Self::PREFIX.len() + 43;

    /// Makes a new token from the system's randomness.
    pub fn generate() -> Self {
        Self(random())
    }

    /// The text form: to be handed to its user and to nobody else, never logged.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(Self::TEXT_LEN));
        text.push_str(Self::PREFIX);
        BASE64URL_NOPAD.encode_append(&*self.0, &mut text);
        text
    }

    /// What a store keeps in its place. Looking a token up by its hash needs no comparison in constant time: what
    /// the timing could tell is about hashes, which cannot be chosen.
    pub fn hash(&self) -> TokenHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &*self.0).as_ref());
        TokenHash(hash)
    }
}

impl Debug for SessionToken {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(redacted)")
    }
}

impl FromStr for SessionToken {
    type Err = SessionTokenError;

    fn from_str(text: &str) -> Result<Self, SessionTokenError> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(SessionTokenError)?;
        if text.len() != Self::TEXT_LEN {
            return Err(SessionTokenError);
        }
        let mut bytes = Zeroizing::new([0; 32]);
        match BASE64URL_NOPAD.decode_mut(encoded.as_bytes(), &mut *bytes) {
            Ok(32) => Ok(Self(bytes)),
            _ => Err(SessionTokenError),
        }
    }
}

impl Serialize for SessionToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.reveal())
    }
}

impl<'de> Deserialize<'de> for SessionToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    SessionToken,
    SessionToken::TEXT_LEN,
    "^p2ps_[A-Za-z0-9_-]{43}$",
    "Bearer token of a session: keep it secret.",
    "p2ps_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
);

/// SHA-256 of a [`SessionToken`]'s bytes: whoever steals the store has no token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash with these bytes, as a store kept it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Debug for TokenHash {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "TokenHash({}…)", HEXLOWER.encode(&self.0[..4]))
    }
}

/// A text is not a [`SessionToken`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not a session token: it must be `p2ps_` and 43 characters, as a login gives it")]
pub struct SessionTokenError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_in_one_spelling() {
        let token = SessionToken::generate();
        let text = token.reveal();
        assert_eq!(text.len(), SessionToken::TEXT_LEN);
        assert_eq!(text.parse::<SessionToken>().unwrap().hash(), token.hash());
        let json = serde_json::to_string(&token).unwrap();
        assert_eq!(serde_json::from_str::<SessionToken>(&json).unwrap().hash(), token.hash());
        let (without_prefix, short) = (&text[5..], &text[..47]);
        let (long, stray_bits) = (format!("{}A", *text), format!("p2ps_{}B", "A".repeat(42)));
        for other in [without_prefix, short, &long, &stray_bits, "", "p2ps_", "p2ps_éé"] {
            assert_eq!(other.parse::<SessionToken>().unwrap_err(), SessionTokenError, "{other}");
        }
    }

    #[test]
    fn tokens_differ_and_do_not_show() {
        let (one, two) = (SessionToken::generate(), SessionToken::generate());
        assert_ne!(one.hash(), two.hash());
        assert_eq!(format!("{one:?}"), "SessionToken(redacted)");
        assert_ne!(one.hash().as_bytes(), &*one.0);
        assert_eq!(TokenHash::from_bytes(*one.hash().as_bytes()), one.hash());
    }
}
