//! What the catalog holds.

use std::path::PathBuf;

use p2pshare_core::{
    api::Visibility,
    content::{ContentId, Manifest},
    identity::Reach,
    path::SharePath,
    transfer::FileStamp,
};

use super::RootId;

/// Names a share. Never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareId(pub(super) i64);

impl ShareId {
    /// The share with this number.
    pub fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Its number, which no other share has had or will have.
    pub fn number(self) -> i64 {
        self.0
    }
}

/// Names a shared file. Never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub(super) i64);

/// A file or folder that the user shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The share.
    pub id: ShareId,
    /// Where it is: absolute, and no link.
    pub root: PathBuf,
    /// What the share paths of its files start with: one part, which no other share has.
    pub name: SharePath,
    /// Who can find and fetch its files.
    pub visibility: Visibility,
    /// Whether hidden files are shared too.
    pub hidden: bool,
    /// Whether symbolic links are followed wherever they lead.
    pub follow_links: bool,
    /// Whether its root was there when it was last looked at. Of a share that is not, because its disk is not mounted
    /// or it was moved away, the hashes are kept but nothing is published.
    pub online: bool,
    /// Whether the running peer follows what changes in it; else it is looked at only when that is asked for.
    pub watched: bool,
    /// Which group it is for, if it is for one: what the grants of its members say. `None` until the index has told it.
    /// Another group that gets the name is not meant.
    pub reach: Option<Reach>,
    /// There was no group of the name when it was to be published for the first time: nothing is published until it is
    /// shared with the group again, whoever has the name by then.
    pub lost: bool,
    /// Why the index did not take some of its files when they were published the last time.
    pub refused: Option<String>,
    /// Whether a single file was shared, or a folder; `None`: that is not known. What takes the place of the one is not
    /// shared for the other.
    pub is_file: Option<bool>,
}

/// What to share, and how. What is `None` stays as it is when the root is shared already.
#[derive(Clone, Debug)]
pub(crate) struct NewShare {
    pub(crate) root: PathBuf,
    /// The name, unless another share has it.
    pub(crate) name: SharePath,
    pub(crate) visibility: Option<Visibility>,
    /// As in [`ShareOptions`](crate::share::ShareOptions).
    pub(crate) reach: Option<Reach>,
    pub(crate) other_group: bool,
    pub(crate) hidden: Option<bool>,
    pub(crate) follow_links: Option<bool>,
    pub(crate) watched: Option<bool>,
    pub(crate) is_file: Option<bool>,
    /// What lay there when that was said; `None`: nothing is said of it.
    pub(crate) meant: Option<RootId>,
}

/// How much a share holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareTotals {
    /// Files.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Files and folders below the root that are not shared.
    pub excluded: u64,
    /// Files that the index has not yet as they are.
    pub pending: u64,
}

/// A shared file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogFile {
    /// The file.
    pub id: FileId,
    /// The share it belongs to.
    pub share: ShareId,
    /// Where it is.
    pub local: PathBuf,
    /// Its name at the index.
    pub path: SharePath,
    /// What was in it when it was hashed.
    pub content: ContentId,
    /// Its state at that time.
    pub stamp: FileStamp,
}

/// What a scan compares with the files that it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownFile {
    pub(crate) id: FileId,
    /// As [`to_key`](super::local::to_key) makes it.
    pub(crate) key: Vec<u8>,
    pub(crate) stamp: FileStamp,
    pub(crate) content: ContentId,
}

/// Where a page of known files begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownFrom {
    /// Which of the places.
    pub(crate) place: usize,
    /// After the file with this key; `None`: with the first one.
    pub(crate) after: Option<Vec<u8>>,
}

/// A file to be put into the catalog.
#[derive(Clone, Debug)]
pub(crate) struct NewFile {
    pub(crate) key: Vec<u8>,
    /// Its share path, unless another file has it.
    pub(crate) path: SharePath,
    pub(crate) content: NewContent,
    pub(crate) stamp: FileStamp,
    /// The file was this one, and has been moved or renamed.
    pub(crate) moved_from: Option<FileId>,
}

/// What is in a [`NewFile`].
#[derive(Clone, Debug)]
pub(crate) enum NewContent {
    /// It was hashed.
    Hashed(Manifest),
    /// It is the same as that of another file, whose stamp it has.
    Known(ContentId),
}

impl NewContent {
    pub(crate) fn id(&self) -> ContentId {
        match self {
            Self::Hashed(manifest) => manifest.id(),
            Self::Known(id) => *id,
        }
    }
}

/// What became of a [`NewFile`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PutOutcome {
    /// It is in the catalog under this path.
    Stored(SharePath),
    /// The content that was known is known no more: the file must be hashed.
    HashNeeded,
    /// No free path was found.
    NoName,
    /// The share was removed meanwhile.
    NoShare,
    /// It is not to be shared any more.
    Excluded,
    /// Something else has come to lie in the place of its share.
    Usurped,
    /// Another file is there now.
    Replaced,
    /// It is not there any more.
    Gone,
}
