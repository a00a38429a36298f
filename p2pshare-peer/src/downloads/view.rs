//! What a download looks like from outside, as the local API shows it.

use std::{fmt, str::FromStr};

use p2pshare_core::{content::ContentId, time::Timestamp};
use serde::{Deserialize, Serialize};

use crate::download::Cause;

/// Which download. Numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DownloadId(pub i64);

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DownloadState {
    /// It waits for its turn.
    Queued,
    /// The index is asked what is meant.
    Resolving,
    /// It goes on by itself; without a source at the moment it waits for one, and
    /// [`DownloadView::error`] says why.
    Running,
    /// It was stopped and can be resumed.
    Paused,
    /// All its files are there.
    Done,
    /// Some of its files could not be fetched. They can be retried.
    Failed,
    /// It was given up; files that were complete by then stay.
    Cancelled,
}

impl DownloadState {
    /// Whether nothing more happens to it by itself, nor after a resume.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// Which downloads are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DownloadFilter {
    /// Those that are not settled.
    Active,
    /// Those that are.
    Settled,
    /// All.
    #[default]
    All,
}

/// A download.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DownloadView {
    /// Which one.
    pub id: DownloadId,
    /// How far it is.
    pub state: DownloadState,
    /// What it is called: the name of the one file, or what was asked for.
    pub title: String,
    /// The folder that the files go to.
    pub folder: String,
    /// How many files it has; 0 while that is not known.
    pub files: u64,
    /// How many of them are complete.
    pub files_done: u64,
    /// How many could not be fetched.
    pub files_failed: u64,
    /// Bytes of all files, as far as the index was told.
    pub bytes: u64,
    /// Bytes that are verified.
    pub bytes_done: u64,
    /// Bytes that come in a second, over the last seconds.
    pub rate: u64,
    /// Seconds until it is done at this rate; `None` if that cannot be told.
    pub eta_seconds: Option<u64>,
    /// Seconds in which nothing has come though it runs; `None` while something comes.
    pub stalled_seconds: Option<u64>,
    /// Sources that take part at the moment.
    pub sources: u32,
    /// While all sources keep it waiting: the best place in their queues.
    pub queued_at: Option<u32>,
    /// Why it failed, or why it waits.
    pub error: Option<String>,
    /// The same in a word, where there is one for it.
    pub cause: Option<Cause>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was settled.
    pub finished_at: Option<Timestamp>,
}

/// How far a file of a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileState {
    /// Its turn is still to come, or it waits for a source.
    Waiting,
    /// It is fetched at the moment.
    Running,
    /// It is complete and in its place.
    Done,
    /// It could not be fetched.
    Failed,
}

/// Which files of a download are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileFilter {
    /// All.
    #[default]
    All,
    /// Those that could not be fetched.
    Failed,
}

/// A file of a download.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DownloadFile {
    /// Its number in the download, from 1 on.
    pub number: u64,
    /// Its name, relative to the folder of the download.
    pub name: String,
    /// Where it is, or will be.
    pub path: String,
    /// Its content.
    pub content: ContentId,
    /// How many bytes it has, as the index was told.
    pub size: u64,
    /// How many of them are verified.
    pub done: u64,
    /// How far it is.
    pub state: FileState,
    /// Why it failed, or why it waits.
    pub error: Option<String>,
    /// The same in a word, where there is one for it.
    pub cause: Option<Cause>,
    /// Whether it was complete before it was asked for.
    pub there: bool,
}

/// Some of a list, and where the next ones begin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T, C> {
    /// In order.
    pub items: Vec<T>,
    /// To be named as `after` for the next page; `None` at the end.
    pub next: Option<C>,
}

/// How many downloads there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DownloadTotals {
    /// Running, resolving, or waiting for a source.
    pub active: u64,
    /// Paused.
    pub paused: u64,
    /// Waiting for their turn.
    pub queued: u64,
    /// Done.
    pub done: u64,
    /// Failed.
    pub failed: u64,
    /// Bytes that come in a second, of all together.
    pub rate: u64,
}

/// Which pieces of a file are there, and who gives what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PieceMap {
    /// How many pieces the file has.
    pub pieces: u64,
    /// The file from its beginning to its end in parts of the same length: of each the percentage that is verified.
    pub cells: Vec<u8>,
    /// Who takes part, or has.
    pub sources: Vec<SourceView>,
}

/// What one source gives to a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceView {
    /// What people call it.
    pub source: String,
    /// Bytes that it has sent.
    pub bytes: u64,
    /// Bytes that it sends in a second, over the last seconds.
    pub rate: u64,
    /// Its place in the source's queue, while it waits there.
    pub queued_at: Option<u32>,
    /// How it failed last.
    pub failure: Option<String>,
}

impl fmt::Display for DownloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DownloadId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for DownloadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queued => "queued",
            Self::Resolving => "resolving",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}
