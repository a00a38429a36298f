//! The swarm: one content from many sources at once.
//!
//! - [`Planner`] decides who fetches which piece. It is pure.

mod plan;

pub use plan::{Assignment, Failure, Next, Planner, PlannerConfig, Progress, Verified};

/// Which source: the peer behind it.
pub type SourceId = crate::identity::PeerId;
