//! Rows of the queue as values.

use std::{fmt::Display, path::PathBuf, str::FromStr};

use p2pshare_core::{
    backend::sqlite::{DatabaseError, DatabaseResult},
    content::ContentId,
    path::SharePath,
    time::Timestamp,
    transfer::FileStamp,
};
use rusqlite::Row;

use crate::{
    catalog::local,
    download::Cause,
    downloads::{DownloadId, DownloadState},
};

/// The state of a download as it is kept: what runs at the moment is not, so that nothing has to be mended after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::downloads) enum Saved {
    /// Its turn has not come yet.
    Queued = 0,
    /// It has begun and goes on by itself.
    Running = 1,
    Paused = 2,
    Done = 3,
    Failed = 4,
    Cancelled = 5,
    /// It was given up, and what it left is still to be removed.
    Cancelling = 6,
}

/// The state of a file as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::downloads) enum SavedFile {
    Waiting = 0,
    Done = 1,
    Failed = 2,
}

/// A download as it is kept.
#[derive(Clone, Debug)]
pub(in crate::downloads) struct DownloadRow {
    pub(in crate::downloads) id: DownloadId,
    pub(in crate::downloads) state: Saved,
    pub(in crate::downloads) title: String,
    pub(in crate::downloads) folder: PathBuf,
    pub(in crate::downloads) overwrite: bool,
    pub(in crate::downloads) targets: Vec<String>,
    pub(in crate::downloads) resolved: bool,
    pub(in crate::downloads) files: u64,
    pub(in crate::downloads) files_done: u64,
    pub(in crate::downloads) files_failed: u64,
    pub(in crate::downloads) bytes: u64,
    pub(in crate::downloads) bytes_done: u64,
    pub(in crate::downloads) bytes_held: u64,
    pub(in crate::downloads) error: Option<String>,
    pub(in crate::downloads) cause: Option<Cause>,
    pub(in crate::downloads) created_at: Timestamp,
    pub(in crate::downloads) finished_at: Option<Timestamp>,
}

/// A file as it is kept.
#[derive(Clone, Debug)]
pub(in crate::downloads) struct FileRow {
    pub(in crate::downloads) number: u64,
    pub(in crate::downloads) name: SharePath,
    pub(in crate::downloads) content: ContentId,
    pub(in crate::downloads) size: u64,
    pub(in crate::downloads) state: SavedFile,
    pub(in crate::downloads) held: u64,
    pub(in crate::downloads) cells: Option<Vec<u8>>,
    pub(in crate::downloads) error: Option<String>,
    pub(in crate::downloads) cause: Option<Cause>,
    pub(in crate::downloads) there: bool,
}

impl Saved {
    pub(in crate::downloads) fn from_number(number: i64) -> DatabaseResult<Self> {
        let all = [
            Self::Queued,
            Self::Running,
            Self::Paused,
            Self::Done,
            Self::Failed,
            Self::Cancelled,
            Self::Cancelling,
        ];
        let found = all.into_iter().find(|state| *state as i64 == number);
        found.ok_or_else(|| DatabaseError::corrupt(format!("a download in state {number}")))
    }

    /// What others see of it while nothing runs.
    pub(in crate::downloads) fn shown(self) -> DownloadState {
        match self {
            Self::Queued => DownloadState::Queued,
            Self::Running => DownloadState::Running,
            Self::Paused => DownloadState::Paused,
            Self::Done => DownloadState::Done,
            Self::Failed => DownloadState::Failed,
            Self::Cancelled | Self::Cancelling => DownloadState::Cancelled,
        }
    }
}

/// The columns of [`download`].
pub(super) const DOWNLOAD: &str = "id, state, title, folder, overwrite, targets, resolved, files, files_done, \
    files_failed, bytes, bytes_done, bytes_held, error, created_at, finished_at, cause";

pub(super) fn download(row: &Row<'_>) -> DatabaseResult<DownloadRow> {
    let folder = row.get_ref(3)?.as_blob().map_err(DatabaseError::corrupt)?;
    let targets: String = row.get(5)?;
    Ok(DownloadRow {
        id: DownloadId(row.get(0)?),
        state: Saved::from_number(row.get(1)?)?,
        title: row.get(2)?,
        folder: local::from_bytes(folder),
        overwrite: row.get(4)?,
        targets: serde_json::from_str(&targets).map_err(DatabaseError::corrupt)?,
        resolved: row.get(6)?,
        files: unsigned(row.get(7)?),
        files_done: unsigned(row.get(8)?),
        files_failed: unsigned(row.get(9)?),
        bytes: unsigned(row.get(10)?),
        bytes_done: unsigned(row.get(11)?),
        bytes_held: unsigned(row.get(12)?),
        error: row.get(13)?,
        created_at: Timestamp::from_millis(row.get(14)?),
        finished_at: row.get::<_, Option<i64>>(15)?.map(Timestamp::from_millis),
        cause: cause(row, 16)?,
    })
}

/// The columns of [`file`].
pub(super) const FILE: &str =
    "number, name, content, size, state, held, cells, error, cause, there";

pub(super) fn file(row: &Row<'_>) -> DatabaseResult<FileRow> {
    let state = match row.get::<_, i64>(4)? {
        0 => SavedFile::Waiting,
        1 => SavedFile::Done,
        2 => SavedFile::Failed,
        other => return Err(DatabaseError::corrupt(format!("a file in state {other}"))),
    };
    Ok(FileRow {
        number: unsigned(row.get(0)?),
        name: text(row, 1)?,
        content: content(row, 2)?,
        size: unsigned(row.get(3)?),
        state,
        held: unsigned(row.get(5)?),
        cells: row.get(6)?,
        error: row.get(7)?,
        cause: cause(row, 8)?,
        there: row.get(9)?,
    })
}

/// A cause as it is kept.
pub(super) fn cause_text(cause: Cause) -> String {
    let text = serde_json::to_value(cause).ok();
    text.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
}

fn cause(row: &Row<'_>, column: usize) -> DatabaseResult<Option<Cause>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.and_then(|text| serde_json::from_value(text.into()).ok()))
}

/// Length, time and inode, from column `first` on; `None` for a file that has none.
pub(super) fn stamp(row: &Row<'_>, first: usize) -> DatabaseResult<Option<FileStamp>> {
    let len: Option<i64> = row.get(first)?;
    let mtime_ns: Option<i64> = row.get(first + 1)?;
    let inode: Option<i64> = row.get(first + 2)?;
    let (Some(len), Some(mtime_ns), Some(inode)) = (len, mtime_ns, inode) else {
        return Ok(None);
    };
    Ok(Some(FileStamp { len: unsigned(len), mtime_ns, inode: inode.cast_unsigned() }))
}

pub(super) fn content(row: &Row<'_>, column: usize) -> DatabaseResult<ContentId> {
    let bytes = row.get_ref(column)?.as_blob().map_err(DatabaseError::corrupt)?;
    ContentId::from_slice(bytes).map_err(DatabaseError::corrupt)
}

pub(super) fn text<T: FromStr<Err: Display>>(row: &Row<'_>, column: usize) -> DatabaseResult<T> {
    let text = row.get_ref(column)?.as_str().map_err(DatabaseError::corrupt)?;
    text.parse().map_err(DatabaseError::corrupt)
}

/// Counts and sizes are never negative in the file; sizes that an index may tell are cut to what it can hold.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
