//! Where sources come from.

use std::{fmt, sync::Arc};

use async_trait::async_trait;

use super::SourceId;
use crate::{content::ContentId, transfer::PieceSource};

/// Finds sources of contents. A plain `Vec` of candidates is one.
#[async_trait]
pub trait Discovery: Send + Sync {
    /// Who has the content, wholly or in part, as far as is known now. It is asked again and again during a download.
    ///
    /// Cancellation: the future may be dropped at any time.
    async fn sources(&self, content: &ContentId) -> Result<Vec<Candidate>, DiscoveryError>;
}

/// Somebody who may have a content.
#[derive(Clone)]
pub struct Candidate {
    /// Which peer it is. One that lies is recognised by it.
    pub id: SourceId,
    /// What people call it, for events and errors.
    pub label: String,
    /// How it is reached. Connecting is up to it, when it is first asked for something.
    pub source: Arc<dyn PieceSource>,
}

/// Why sources could not be looked up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("looking for sources failed: {0}")]
pub struct DiscoveryError(pub String);

#[async_trait]
impl Discovery for Vec<Candidate> {
    async fn sources(&self, _: &ContentId) -> Result<Self, DiscoveryError> {
        Ok(self.clone())
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("id", &self.id)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}
