//! The tables of the queue.

use p2pshare_core::backend::sqlite::{DatabaseOptions, Migration};

/// `p2pd`, as a number: marks the file as a queue of downloads.
const APPLICATION_ID: i32 = 0x7032_7064;

/// How the queue is opened. What was answered outlives a crash of the machine.
pub(super) fn options() -> DatabaseOptions {
    DatabaseOptions::new(APPLICATION_ID, MIGRATIONS)
}

const MIGRATIONS: &[Migration] = &[VERSION_1, VERSION_2, VERSION_3];

/// - `downloads.targets` is what was asked for, a JSON list of texts; `folder` a path as bytes; `state` a
///   [`Saved`](super::Saved).
/// - What a download is made of is known once it is `resolved`. The counts are those of its files: `bytes_held` is the
///   sum of `held` of those that are not complete.
/// - `files.state` is a [`SavedFile`](super::SavedFile), `held` and `cells` what was there when it stopped the last time,
///   `length`, `mtime_ns` and `inode` the stamp of the complete file.
/// - `there` says that a file was complete before it was asked for.
/// - `cause` says in a word what `error` says to people.
const VERSION_1: Migration = "
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    index_key TEXT NOT NULL,
    username TEXT NOT NULL
) STRICT;
CREATE INDEX accounts_user ON accounts (username);

CREATE TABLE downloads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts(id),
    state INTEGER NOT NULL,
    title TEXT NOT NULL,
    folder BLOB NOT NULL,
    overwrite INTEGER NOT NULL,
    targets TEXT NOT NULL,
    resolved INTEGER NOT NULL DEFAULT 0,
    files INTEGER NOT NULL DEFAULT 0,
    files_done INTEGER NOT NULL DEFAULT 0,
    files_failed INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    bytes_done INTEGER NOT NULL DEFAULT 0,
    bytes_held INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    cause TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;
CREATE INDEX downloads_state ON downloads (account, state, id);

CREATE TABLE files (
    download INTEGER NOT NULL REFERENCES downloads(id),
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    content BLOB NOT NULL,
    size INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    held INTEGER NOT NULL DEFAULT 0,
    cells BLOB,
    error TEXT,
    cause TEXT,
    there INTEGER NOT NULL DEFAULT 0,
    length INTEGER,
    mtime_ns INTEGER,
    inode INTEGER,
    PRIMARY KEY (download, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX files_name ON files (download, name);
CREATE INDEX files_state ON files (download, state, number);
CREATE INDEX files_content ON files (content, state);
";

/// What is asked for a second time is looked for among the downloads that are not settled.
const VERSION_2: Migration = "
CREATE INDEX downloads_targets ON downloads (account, targets) WHERE state < 3;
";

/// A content that many files of a download have is looked for by a name too.
const VERSION_3: Migration = "
DROP INDEX files_content;
CREATE INDEX files_content ON files (content, state, name);
";
