//! What is told while something is shared.

use std::{fmt, path::PathBuf, sync::Arc};

use p2pshare_core::{content::ContentId, path::SharePath, text::visible};

use crate::catalog::Share;

/// Told what happens, from any thread. It must not block for long.
pub type ShareEvents = Arc<dyn Fn(ShareEvent) + Send + Sync>;

/// A step of sharing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ShareEvent {
    /// Another process looks through the same: it is waited for.
    Waiting,
    /// So many files were found up to now.
    Scanning {
        /// Files.
        files: u64,
    },
    /// All files were found and compared with what is known.
    Scanned {
        /// Files found.
        files: u64,
        /// Of them those that are known and as they were.
        unchanged: u64,
        /// Files that must be hashed.
        to_hash: u64,
        /// Their length in bytes.
        bytes: u64,
    },
    /// The hashing of a file begins.
    Hashing {
        /// The file.
        local: PathBuf,
        /// Its length in bytes.
        bytes: u64,
    },
    /// So many more bytes were hashed.
    Hashed {
        /// Bytes.
        bytes: u64,
    },
    /// A file changed while it was hashed: it is hashed again.
    Retrying {
        /// The file.
        local: PathBuf,
        /// Bytes told as hashed that do not count any more.
        bytes: u64,
    },
    /// A file that is new or has changed is in the catalog.
    Shared {
        /// The file.
        local: PathBuf,
        /// Its name for others.
        path: SharePath,
        /// What is in it.
        content: ContentId,
        /// Its length in bytes.
        bytes: u64,
        /// False if its content was known: it was moved, renamed or linked.
        hashed: bool,
    },
    /// A file that seemed unchanged, by its length, its time and its inode, was hashed again and has other bytes.
    Rewritten {
        /// The file.
        local: PathBuf,
    },
    /// A file's name for others is not its own, because that is not allowed everywhere or another file has it.
    Renamed {
        /// The file.
        local: PathBuf,
        /// Its name for others.
        path: SharePath,
    },
    /// A file or folder is not shared.
    Skipped {
        /// The file or folder.
        local: PathBuf,
        /// Why.
        reason: SkipReason,
    },
}

/// Why a file or folder is not shared though it lies in a shared folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// It cannot be read.
    Unreadable(String),
    /// It cannot be read at the moment, nor what lies below it if it is a folder: what is known of it stays.
    NotNow(String),
    /// It is a pipe, a socket or a device.
    Special,
    /// It is a link that leads out of the shared folder.
    LinkOutside,
    /// It is a link to a folder.
    LinkToFolder,
    /// It is a link that leads nowhere.
    BrokenLink,
    /// It was written to each time that it was hashed.
    Changing,
    /// It was deleted before it was hashed.
    Gone,
    /// It is longer than a content can be.
    TooLong,
    /// No name can be made of its own.
    NoName(String),
    /// It is a download that is not finished.
    Unfinished,
    /// It belongs to the data of a peer or an index, this peer's or another's: its keys, its session or its catalog.
    OwnData,
    /// It is left out of this share: it was unshared, or it is shared for fewer by itself, or was until its folder was
    /// moved.
    Apart,
    /// It was shared for fewer by itself under the name that it had, and is left out of this share for that.
    Moved,
    /// It lies in the place of a share, and was shared for fewer, or lies in what was.
    Usurped,
    /// It was a file when it was shared and is a folder now, or the other way round.
    OtherKind,
    /// It is a `.p2pignore` in which something is wrong: a line that is no pattern, which does not count; or it cannot be
    /// read, and nothing is shared of the folder it lies in.
    BadPatterns(String),
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::NotNow(error) => write!(f, "it cannot be read at the moment: {error}"),
            Self::Special => f.write_str("it is a pipe, a socket or a device"),
            Self::LinkOutside => f.write_str("it is a link that leads out of the shared folder"),
            Self::LinkToFolder => f.write_str("it is a link to a folder"),
            Self::BrokenLink => f.write_str("it is a link that leads nowhere"),
            Self::Changing => f.write_str(
                "it keeps changing while it is hashed: share again when nothing writes to it",
            ),
            Self::Gone => f.write_str("it was deleted meanwhile"),
            Self::TooLong => f.write_str("it is longer than 2 TiB"),
            Self::NoName(error) => write!(f, "it cannot be named for others: {error}"),
            Self::Apart => f.write_str(
                "it is left out of this share: it was unshared, or is shared for fewer; if its folder was moved, \
                 unshare it where it was",
            ),
            Self::Moved => f.write_str(
                "it was shared for fewer before it was moved or renamed: it is left out here; share it as it is called now",
            ),
            Self::Usurped => f.write_str(
                "what lies there now was shared for fewer, or lies in what was: share it anew if that is meant",
            ),
            Self::OtherKind => f.write_str(
                "a file was shared and it is a folder now, or the other way round: share it again if it is meant",
            ),
            Self::Unfinished => f.write_str("it is a download that is not finished"),
            Self::BadPatterns(fault) => f.write_str(fault),
            Self::OwnData => f.write_str("it belongs to the data of a p2pshare peer or index"),
        }
    }
}

/// What to say of a share of which nothing is there.
pub(crate) fn absent(share: &Share, usurped: bool) -> String {
    let why = match usurped {
        true => format!("is not offered: {}", SkipReason::Usurped),
        false => "is not there: its files are offered again once it is back".to_owned(),
    };
    format!("{} {why}", visible(&share.root.display().to_string()))
}
