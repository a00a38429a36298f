//! Where a content is, and permission to fetch or push it.

use serde::{Deserialize, Serialize};

use crate::{
    api::Hit,
    content::ContentId,
    identity::{PeerAddr, PeerId, Reach, Username},
    time::Timestamp,
};

/// Most contents in one [`GrantRequest`].
pub const MAX_GRANT_BATCH: usize = 1000;

/// Most sources in the answer to one [`GrantRequest`]: as many as [`MAX_GRANT_BATCH`] contents have if no other number is
/// asked for.
pub const MAX_GRANT_SOURCES: usize = 20_000;

/// Asks for sources of contents and permission to fetch from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// At most [`MAX_GRANT_BATCH`].
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub contents: Vec<ContentId>,
    /// The peer whose key may use the grants. Without it a grant is bound to no key, which the index's operator may
    /// forbid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
    /// Most sources for each content: 1 to 100, 20 unless told. No content gets more than 20,000 divided by the number of
    /// contents asked for: all 100 are for at most 200 contents at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
    pub max_sources: Option<u32>,
}

/// How much of a content a source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// It shares the whole content.
    Full,
    /// It is downloading the content and serves what it has.
    Partial,
}

/// A peer that has a content, or part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Source {
    /// The peer.
    pub peer: PeerId,
    /// Whose peer.
    pub owner: Username,
    /// Where it can be reached, best first.
    pub addresses: Vec<PeerAddr>,
    /// How much it has.
    pub kind: SourceKind,
    /// The grant to be shown to this source, where it is another than that of the content: the source has the content
    /// for a group only, and to nobody else it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// Sources of one content and the grant to fetch it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Located {
    /// The content.
    pub content: ContentId,
    /// Its length in bytes, as most of its sources published it. A hint: the content's own manifest decides.
    pub size: u64,
    /// The grant to be shown to each source that comes with none of its own.
    pub grant: String,
    /// Online sources, in no order that means anything.
    pub sources: Vec<Source>,
    /// How many peers share the whole of it, online or not.
    pub total: u32,
}

/// The answer to a [`GrantRequest`]. A content that is not in it does not exist for this user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Grants {
    /// The contents that were found, in the order asked.
    pub contents: Vec<Located>,
    /// When the grants end.
    pub expires_at: Timestamp,
}

/// The answer to a peer that said it holds part of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PartialNoted {
    /// To whom the peer is named, and for whom it may serve what it has of the content: others show grants that say the
    /// same.
    pub reach: Reach,
}

/// Everything the index knows of a content. Most often one hit; several if sources disagree on its size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContentDetails {
    /// The one with most sources first.
    pub hits: Vec<Hit>,
}

/// Asks for permission to push a file to a user's peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PushGrantRequest {
    /// To whom.
    pub user: Username,
    /// What.
    pub content: ContentId,
    /// The peer whose key may use the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerId>,
}

/// One online peer of the receiving user, and the grant to push to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushGrant {
    /// The receiving peer.
    pub peer: PeerId,
    /// Where it can be reached, best first.
    pub addresses: Vec<PeerAddr>,
    /// The grant, for this peer only.
    pub grant: String,
}

/// The answer to a [`PushGrantRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PushGrants {
    /// The user's peers that are online and can be reached; none if there are none.
    pub peers: Vec<PushGrant>,
    /// When the grants end.
    pub expires_at: Timestamp,
}
