//! What came of a download.

use std::time::Duration;

use super::SourceId;
use crate::transfer::TransferError;

/// A download that is complete.
#[derive(Clone, Debug)]
pub struct Report {
    /// How long it took.
    pub elapsed: Duration,
    /// Pieces that were held from the start.
    pub resumed: u32,
    /// Pieces that were fetched and verified.
    pub fetched: u32,
    /// Whole pieces that came and were of no use: wrong, or there already.
    pub refetched: u32,
    /// Who took part, or was asked to.
    pub sources: Vec<SourceReport>,
}

/// What one source did.
#[derive(Clone, Debug)]
pub struct SourceReport {
    /// Which one.
    pub id: SourceId,
    /// What people call it.
    pub label: String,
    /// Bytes that it sent, of use or not.
    pub bytes: u64,
    /// Pieces of it that were verified.
    pub pieces: u32,
    /// How it failed last, if it did.
    pub failure: Option<TransferError>,
}
