//! For whom a content is: what a grant says and what the peer that serves compares it with.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use crate::text::serde_as_text;
use data_encoding::HEXLOWER;

/// For whom a content is, as an index found it and as a peer shares it. Text form: `everyone`, or 32 hex digits.
///
/// Groups are told by an id that only the index makes and that those learn who are in them: who reads it without
/// knowing it learns nothing, and a group that gets the name of another one does not get its id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Everybody who has an account at the index: what is public, and what is unlisted for who knows its id.
    #[default]
    Everyone,
    /// Those who are in all groups of a set, most often of one.
    Groups(GroupsId),
}

impl Reach {
    /// Whether what is shared for `shared` is for somebody who was granted this: what is for everyone always, what is
    /// for groups only if just these were granted.
    pub fn opens(self, shared: Self) -> bool {
        shared == Self::Everyone || shared == self
    }
}

impl Display for Reach {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::Groups(id) => Display::fmt(id, f),
        }
    }
}

impl FromStr for Reach {
    type Err = ReachError;

    fn from_str(text: &str) -> Result<Self, ReachError> {
        match text {
            "everyone" => Ok(Self::Everyone),
            _ => text.parse().map(Self::Groups),
        }
    }
}

serde_as_text!(Reach);

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    Reach,
    GroupsId::TEXT_LEN,
    "^(everyone|[0-9a-f]{32})$",
    "For whom a content is: everyone with an account, or members of groups, which are told by an id of the index",
    "everyone"
);

/// Names a set of groups: 16 bytes, written in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupsId([u8; 16]);

impl GroupsId {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 32;

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl Display for GroupsId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&HEXLOWER.encode_display(&self.0), f)
    }
}

impl Debug for GroupsId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "GroupsId({self})")
    }
}

impl FromStr for GroupsId {
    type Err = ReachError;

    fn from_str(text: &str) -> Result<Self, ReachError> {
        let mut bytes = [0; 16];
        if text.len() != Self::TEXT_LEN {
            return Err(ReachError);
        }
        match HEXLOWER.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            _ => Err(ReachError),
        }
    }
}

serde_as_text!(GroupsId);

/// A text is not a [`Reach`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this does not say for whom a content is: it must be `everyone` or 32 hex digits in lower case"
)]
pub struct ReachError;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(byte: u8) -> Reach {
        Reach::Groups(GroupsId::from_bytes([byte; 16]))
    }

    #[test]
    fn what_is_granted_opens_just_that_and_what_is_for_everyone() {
        for granted in [Reach::Everyone, of(1), of(2)] {
            assert!(granted.opens(Reach::Everyone));
            assert_eq!(granted.opens(of(1)), granted == of(1), "{granted}");
        }
    }

    #[test]
    fn it_has_one_text() {
        for reach in [Reach::Everyone, of(0), of(0xa7)] {
            assert_eq!(reach.to_string().parse(), Ok(reach));
        }
        for text in ["", "Everyone", "everyone ", &"A".repeat(32), &"0".repeat(31), &"g".repeat(32)]
        {
            assert_eq!(text.parse::<Reach>(), Err(ReachError), "{text:?}");
        }
    }
}
