//! What is shared: publishing, searching, browsing.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    content::ContentId,
    identity::{GroupName, Reach, Username},
    path::SharePath,
    time::Timestamp,
};

/// Most changes in one [`PublishRequest`].
pub const MAX_PUBLISH_BATCH: usize = 1000;

/// Who can find and fetch a shared file. Text form: `public`, `unlisted` or `group:NAME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Visibility {
    /// Every user.
    #[default]
    Public,
    /// Not in search or browse; whoever has the content id and an account may fetch.
    Unlisted,
    /// Members of the group; for others it does not exist.
    Group(GroupName),
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Unlisted => f.write_str("unlisted"),
            Self::Group(name) => write!(f, "group:{name}"),
        }
    }
}

/// A visibility that is none of `public`, `unlisted`, `group:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a visibility: use `public`, `unlisted` or `group:NAME`")]
pub struct ParseVisibilityError(String);

impl FromStr for Visibility {
    type Err = ParseVisibilityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseVisibilityError(text.chars().take(64).collect());
        match text {
            "public" => Ok(Self::Public),
            "unlisted" => Ok(Self::Unlisted),
            _ => {
                let name = text.strip_prefix("group:").ok_or_else(wrong)?;
                name.parse().map(Self::Group).map_err(|_| wrong())
            }
        }
    }
}

crate::text::serde_as_text!(Visibility);

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(
    Visibility,
    38,
    "^(public|unlisted|group:[a-z0-9]([a-z0-9._-]{0,30}[a-z0-9_-])?)$",
    "Who can find and fetch a shared file",
    "group:friends"
);

/// One shared file of one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its path among the peer's shares.
    pub path: SharePath,
    /// What is in it.
    pub content: ContentId,
    /// Its length in bytes.
    pub size: u64,
    /// Who can find and fetch it.
    #[serde(default)]
    pub visibility: Visibility,
}

/// One change of a peer's catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CatalogChange {
    /// The entry is there from now on, in place of what the peer had under this path.
    Publish(Entry),
    /// Nothing is there from now on.
    Withdraw(SharePath),
}

impl CatalogChange {
    /// The path that changes.
    pub fn path(&self) -> &SharePath {
        match self {
            Self::Publish(entry) => &entry.path,
            Self::Withdraw(path) => path,
        }
    }
}

/// A batch of changes, applied in order, all or none. Sending it again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// At most [`MAX_PUBLISH_BATCH`].
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub changes: Vec<CatalogChange>,
    /// Which groups are meant, for those of which the answer to an earlier batch, or the list of groups, told the reach.
    /// If the index has another group of such a name by now the batch is refused as a conflict: what was shared with one
    /// group is not for those who took its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub groups: Vec<GroupReach>,
}

impl PublishRequest {
    /// These changes, for whichever groups have the names at the moment.
    pub fn new(changes: Vec<CatalogChange>) -> Self {
        Self { changes, groups: Vec::new() }
    }
}

/// What a batch changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Published {
    /// Paths that are new.
    pub added: u64,
    /// Paths whose content, size or visibility is another now.
    pub replaced: u64,
    /// Paths that were the same already, and withdrawals of paths that were not there.
    pub unchanged: u64,
    /// Paths that are gone.
    pub withdrawn: u64,
    /// How many entries the peer has now.
    pub total: u64,
}

/// The answer to a [`PublishRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishAnswer {
    /// What changed.
    #[serde(flatten)]
    pub published: Published,
    /// What the grants of those say who may fetch what the batch shares with groups, for each group once, in order of
    /// name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reaches: Vec<GroupReach>,
}

/// What the grants of a group's members say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct GroupReach {
    /// The group.
    pub group: GroupName,
    /// The reach of what is shared with it.
    pub reach: Reach,
}

/// Asks for a page of a peer's own catalog, in order of path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct CatalogQuery {
    /// Only paths after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SharePath>,
    /// Entries in the answer: 1 to 1,000, 1,000 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000))]
    pub limit: Option<u32>,
}

/// A page of a peer's own catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CatalogPage {
    /// Entries in order of path.
    pub entries: Vec<Entry>,
    /// Whether more follow the last one.
    pub more: bool,
}

/// What sort of file, told from the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Music and speech.
    Audio,
    /// Films.
    Video,
    /// Pictures.
    Image,
    /// Texts, tables, slides.
    Document,
    /// Packed files and disk images.
    Archive,
    /// Everything else.
    Other,
}

/// Order of hits. Equal hits are in order of content id, then size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// Whole words before beginnings of words, words of the file's name before those of its folders, short names
    /// before long ones.
    #[default]
    Relevance,
    /// Largest first.
    Largest,
    /// Smallest first.
    Smallest,
    /// Last published first.
    Newest,
    /// First published first.
    Oldest,
    /// Most online sources first, then most sources.
    Sources,
}

impl Kind {
    /// The text form of every kind.
    pub const NAMES: [&'static str; 6] =
        ["audio", "video", "image", "document", "archive", "other"];
}

impl Sort {
    /// The text form of every order.
    pub const NAMES: [&'static str; 6] =
        ["relevance", "largest", "smallest", "newest", "oldest", "sources"];
}

/// A search, as it stands in the query string.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// Words. Each must be the beginning of a word of the path; `-word` excludes. Without words the filters alone
    /// decide.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub q: String,
    /// File extensions, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ext: Option<String>,
    /// What sort of file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Smallest size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(format = "uint64"))]
    pub min_size: Option<u64>,
    /// Largest size in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(format = "uint64"))]
    pub max_size: Option<u64>,
    /// Only what this user shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Username>,
    /// Only what was published at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Order of the hits.
    #[serde(default)]
    pub sort: Sort,
    /// Hits in the answer: 1 to 100, 25 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 100))]
    pub limit: Option<u32>,
    /// The page after this one: `next` of an answer to the same search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A name under which a content is shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HitName {
    /// The path.
    pub path: SharePath,
    /// Whose path.
    pub owner: Username,
}

/// One content that a search found.
///
/// A content is told by its id and its size, so that somebody who publishes a wrong size makes a hit of their own and
/// cannot spoil an honest one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hit {
    /// The content.
    pub content: ContentId,
    /// Its length in bytes, as its sources published it.
    pub size: u64,
    /// Names that match, the best first, at most eight.
    pub names: Vec<HitName>,
    /// When a matching name was last published.
    pub published_at: Timestamp,
    /// Sources that are online.
    pub online: u32,
    /// All sources.
    pub sources: u32,
}

/// A page of hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SearchPage {
    /// Hits in the order asked for.
    pub hits: Vec<Hit>,
    /// Cursor of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// When this was asked, by the index's clock. Whoever asks again `since` then, or some minutes before because of what
    /// is being published and of clocks that differ, asks for what is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
}

/// Asks for what a user shares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct BrowseQuery {
    /// The folder (or the one file); all shares unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<SharePath>,
    /// True: every file below the folder. False: what is directly in it, folders included.
    #[serde(default)]
    pub recursive: bool,
    /// Items in the answer: 1 to 1,000, 1,000 unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", param(minimum = 1, maximum = 1000))]
    pub limit: Option<u32>,
    /// The page after this one: `next` of an answer to the same question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A file that a user shares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserFile {
    /// Its path among the user's shares.
    pub path: SharePath,
    /// What is in it.
    pub content: ContentId,
    /// Its length in bytes.
    pub size: u64,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileListing {
    /// A folder, by its whole path.
    Folder(SharePath),
    /// A file.
    File(UserFile),
}

/// A page of a user's shares, in order of path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BrowsePage {
    /// Folders and files.
    pub items: Vec<FileListing>,
    /// Cursor of the next page, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
