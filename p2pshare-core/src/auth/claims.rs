//! What a grant says, and what it permits.

use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use super::random::random;
use crate::content::ContentId;
use crate::identity::{Access, IndexKeyId, PeerConnection, PeerId, Reach, Username};
use crate::text::serde_as_text;
use crate::time::Timestamp;
use data_encoding::HEXLOWER;

/// What an index grants: that a user may do one thing with one content for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantClaims {
    /// The key of the index that grants it.
    pub issuer: IndexKeyId,
    /// Who may.
    pub user: Username,
    /// What may be done.
    pub action: Access,
    /// With which content.
    pub content: ContentId,
    /// The peer that may use the grant; `None` if any peer that has it may.
    pub holder: Option<PeerId>,
    /// The peer at which it may be used; `None` if at any. A push always names one.
    pub audience: Option<PeerId>,
    /// Under which reach the index found the content for the user. Whether the peer that serves it shares it so is
    /// looked up there ([`Reach::opens`]).
    pub reach: Reach,
    /// Since when, in whole seconds once signed.
    pub issued_at: Timestamp,
    /// Until when, in whole seconds once signed.
    pub expires_at: Timestamp,
    /// What this one grant is called, in logs.
    pub id: GrantId,
}

impl GrantClaims {
    /// A name for a new grant that no other has.
    pub fn new_id() -> GrantId {
        GrantId(*random())
    }

    /// Says whether the grant permits `action` with `content` at the peer `me`, when it is shown over `connection`.
    /// This is the one place of the rule:
    ///
    /// - action and content are those of the grant;
    /// - a grant that names its holder is accepted from the holder alone: over TLS the other end has shown the
    ///   holder's key; a plain connection has no keys to compare, so there the grant counts as it is;
    /// - a grant that names the peer at which it is used is accepted by that peer alone, and a push must name it.
    ///
    /// The grant itself was checked, its time included, when it was
    /// [verified](super::GrantVerifier::verify).
    ///
    /// # Errors
    /// [`NotPermitted`] says which part of the rule refuses it.
    pub fn permits(
        &self,
        action: Access,
        content: ContentId,
        connection: PeerConnection,
        me: PeerId,
    ) -> Result<(), NotPermitted> {
        if self.action != action {
            return Err(NotPermitted::Action { granted: self.action, asked: action });
        }
        if self.content != content {
            return Err(NotPermitted::Content { granted: self.content, asked: content });
        }
        if let (Some(holder), PeerConnection::Tls { key }) = (self.holder, connection)
            && key != Some(holder)
        {
            return Err(NotPermitted::Holder { granted: holder });
        }
        match self.audience {
            Some(audience) if audience != me => Err(NotPermitted::Audience { granted: audience }),
            None if action == Access::Push => Err(NotPermitted::NoAudience),
            _ => Ok(()),
        }
    }
}

/// Why a valid grant does not permit what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPermitted {
    /// Something else is granted.
    #[error("the grant is for a {granted}, not for a {asked}: ask the index for a {asked} grant")]
    Action {
        /// What is granted.
        granted: Access,
        /// What was asked.
        asked: Access,
    },
    /// It is about another content.
    #[error(
        "the grant is for the content {granted}, not for {asked}: ask the index for a grant for that one"
    )]
    Content {
        /// The content of the grant.
        granted: ContentId,
        /// The content that was asked for.
        asked: ContentId,
    },
    /// It belongs to another peer.
    #[error(
        "the grant belongs to peer {granted}, whose key this connection has not shown: connect with that key"
    )]
    Holder {
        /// The peer it belongs to.
        granted: PeerId,
    },
    /// It is for use at another peer.
    #[error(
        "the grant is for use at peer {granted}, not here: use it there or ask the index for another"
    )]
    Audience {
        /// The peer at which it may be used.
        granted: PeerId,
    },
    /// It is for a push but does not say to whom.
    #[error("the grant is for a push but names no receiving peer: ask the index for a push grant")]
    NoAudience,
}

/// The name of one grant: 16 random bytes, written in hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct GrantId([u8; 16]);

impl GrantId {
    /// Length of the text form.
    pub const TEXT_LEN: usize = 32;

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl Display for GrantId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(&HEXLOWER.encode_display(&self.0), f)
    }
}

impl Debug for GrantId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "GrantId({self})")
    }
}

impl FromStr for GrantId {
    type Err = GrantIdError;

    fn from_str(text: &str) -> Result<Self, GrantIdError> {
        let mut bytes = [0; 16];
        if text.len() != Self::TEXT_LEN {
            return Err(GrantIdError);
        }
        match HEXLOWER.decode_mut(text.as_bytes(), &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            _ => Err(GrantIdError),
        }
    }
}

serde_as_text!(GrantId);

/// A text is not a [`GrantId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of a grant: it must be 32 hex digits in lower case")]
pub struct GrantIdError;
