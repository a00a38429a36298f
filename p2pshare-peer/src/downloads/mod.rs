//! Downloads of the running peer: a queue that survives restarts, and contents that are read while they come.
//!
//! [`DownloadManager`] keeps the queue in a database and works on it over [`download`](crate::download) while somebody
//! is logged in. [`ContentReader`] reads a content before it is complete.

mod actions;
mod cells;
mod changes;
mod clear;
mod engine;
mod error;
mod folder;
mod live;
mod look;
mod manager;
mod options;
mod reader;
mod reading;
mod store;
mod verdict;
mod view;
mod work;

pub use changes::{Changed, Changes};
pub use error::DownloadsError;
pub use manager::DownloadManager;
pub use options::{Added, Connection, ManagerOptions, NewDownload};
pub use reader::{ByteStream, ContentReader, ReadError};
pub use view::{
    DownloadFile, DownloadFilter, DownloadId, DownloadState, DownloadTotals, DownloadView,
    FileFilter, FileState, Page, PieceMap, SourceView,
};
