//! Telling others what has changed.

use super::DownloadId;

/// What has changed since it was asked last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Downloads that have come, or look different now, in order of their number.
    pub changed: Vec<DownloadId>,
    /// Downloads that are gone.
    pub removed: Vec<DownloadId>,
    /// So much has changed, the account for one, that everything should be read anew.
    pub all: bool,
}

/// Follows the changes of downloads from when it was made. What is not asked for is joined, never lost.
#[derive(Debug)]
pub struct Changes {}

impl Changes {
    /// Waits for the next change, but answers no more than four times a second. `None` once the manager is gone.
    ///
    /// Cancellation: nothing is lost.
    pub async fn next(&mut self) -> Option<Changed> {
        None
    }
}
