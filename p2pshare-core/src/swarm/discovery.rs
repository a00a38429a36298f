//! Where sources come from.

use std::{error::Error, fmt, sync::Arc};

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
#[derive(Clone, Debug)]
pub struct DiscoveryError {
    reason: String,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl DiscoveryError {
    /// A failure for a reason that is told as it is.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), cause: None }
    }

    /// A failure that came of another, told in the other's words.
    #[must_use]
    pub fn caused_by(cause: impl Error + Send + Sync + 'static) -> Self {
        Self { reason: cause.to_string(), cause: Some(Arc::new(cause)) }
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "looking for sources failed: {}", self.reason)
    }
}

// By hand: a derived one would give the `Arc`, which is of no use to whoever looks for a certain type.
impl Error for DiscoveryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let cause = self.cause.as_deref()?;
        Some(cause)
    }
}

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

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_cause_is_told_and_given() {
        let error = DiscoveryError::caused_by(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(error.to_string(), "looking for sources failed: timed out");
        let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
        assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::TimedOut));
        assert!(DiscoveryError::new("no").source().is_none());
    }
}
