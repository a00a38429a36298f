//! What a database can fail with.

use std::{io, path::PathBuf, sync::Arc};

use rusqlite::ErrorCode;

/// What a [`Database`](super::Database) answers with.
pub type DatabaseResult<T> = Result<T, DatabaseError>;

/// What a [`Database`](super::Database) can fail with.
///
/// Clones cheaply: when the commit of several jobs fails, each of them is told why.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// SQLite failed.
    #[error("SQLite: {0}")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// The disk is full. What was to be written is undone.
    #[error("no space left on the disk of the database: make room there and try again")]
    Full,
    /// The file or its folder could not be made.
    #[error(
        "the database {} cannot be opened: {source}; check the path and its permissions",
        path.display()
    )]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// What was committed could not be synced.
    #[error(
        "the log of the database {} cannot be synced: {source}; what was changed may be lost if the machine stops now",
        path.display()
    )]
    Sync {
        /// The database file.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The file was written by a newer version of the program.
    #[error(
        "the database has schema version {found}, this program knows {known}: run the version that wrote it, or a \
         newer one"
    )]
    NewerSchema {
        /// Version in the file.
        found: u32,
        /// Newest version that this program knows.
        known: u32,
    },
    /// The file is a database of another program.
    #[error(
        "the file is a database of another program (application id {found:#010x}, not {expected:#010x}): give another \
         path"
    )]
    Foreign {
        /// Application id in the file.
        found: i32,
        /// The one that it should have.
        expected: i32,
    },
    /// A value in the database is none that this program writes.
    #[error("the database holds what it must not: {0}; restore it from a backup")]
    Corrupt(String),
    /// A job panicked; what it had done was undone.
    #[error("a database job panicked: {0}")]
    Panicked(String),
    /// The job was undone because another one, committed together with it, ended the transaction.
    #[error(
        "the write was undone, since another one at the same time made SQLite give up; try again"
    )]
    Undone,
    /// The threads of the database have ended.
    #[error("the database is closed")]
    Closed,
}

impl DatabaseError {
    /// A value in the database that does not parse.
    pub fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }

    /// Whether the same call may succeed later without anybody changing the program or the data: the database is
    /// locked, its disk is full or does not answer.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::CannotOpen
                        | ErrorCode::OutOfMemory
                        | ErrorCode::OperationInterrupted
                )
            ),
            Self::Full | Self::Open { .. } | Self::Undone | Self::Closed => true,
            _ => false,
        }
    }

    /// Whether another connection held a lock for longer than this one would wait.
    pub(super) fn is_busy(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            _ => Self::Sqlite(Arc::new(error)),
        }
    }
}
