//! The swarm: one content from many sources at once.
//!
//! - [`Downloader`] downloads a content into a sink from all the sources that a [`Discovery`] finds.
//! - [`manifest_from`] gets the manifest that the sink needs; [`download_small`] gets a small content without one,
//!   [`download_many`] several from one source together.
//! - [`Planner`] decides who fetches which piece. It is pure.

mod cursor;
mod discovery;
mod download;
mod error;
mod event;
mod hedge;
mod manifest;
mod many;
mod options;
mod plan;
mod report;
mod small;
mod sources;

pub use cursor::{ReadCursor, ReadCursors};
pub use discovery::{Candidate, Discovery, DiscoveryError};
pub use download::Downloader;
pub use error::DownloadError;
pub use event::{SourceProgress, SwarmEvent, SwarmEvents, SwarmProgress};
pub use manifest::{FoundManifest, ManifestOptions, manifest_from};
pub use many::download_many;
pub use options::{DownloadOptions, SwarmLimits};
pub use plan::{Assignment, Chosen, Failure, Next, Planner, PlannerConfig, Progress, Verified};
pub use report::{Report, SourceReport};
pub use small::{SmallDownload, download_small};

/// Which source: the peer behind it.
pub type SourceId = crate::identity::PeerId;
