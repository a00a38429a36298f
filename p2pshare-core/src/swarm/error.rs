//! How a download fails.

use std::fmt;

use super::DiscoveryError;
use crate::transfer::{SinkError, TransferError};

/// Why a download ended without the content. The sink keeps what it has, and a later download goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// Nobody has the content.
    #[error("{}", no_sources(discovery.as_ref()))]
    NoSources {
        /// Why the last look for sources failed, if it did.
        #[source]
        discovery: Option<DiscoveryError>,
    },
    /// Every source failed.
    #[error("every source failed:{}", Listed(causes))]
    AllFailed {
        /// What people call the source, and how it failed last.
        causes: Vec<(String, TransferError)>,
    },
    /// The pieces could not be kept.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// It was told to stop.
    #[error("the download was stopped: run it again to go on from where it is")]
    Cancelled,
}

fn no_sources(discovery: Option<&DiscoveryError>) -> String {
    match discovery {
        Some(error) => format!("no source was found: {error}"),
        None => "no source is online: try again later".into(),
    }
}

struct Listed<'a>(&'a [(String, TransferError)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut causes = self.0.iter();
        causes.try_for_each(|(label, error)| write!(f, "\n  {label}: {error}"))
    }
}
