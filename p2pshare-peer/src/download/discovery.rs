//! The sources of a content as a swarm asks for them.

use std::sync::Arc;

use async_trait::async_trait;
use p2pshare_core::{
    content::ContentId,
    identity::PeerId,
    swarm::{Candidate, Discovery, DiscoveryError},
};

use super::locator::{Age, Locator};

/// Sources of one content as the index tells them from time to time.
pub(super) struct IndexDiscovery {
    pub(super) locator: Arc<Locator>,
    /// The peer by which the download is served.
    pub(super) own: Option<PeerId>,
}

#[async_trait]
impl Discovery for IndexDiscovery {
    async fn sources(&self, content: &ContentId) -> Result<Vec<Candidate>, DiscoveryError> {
        let found = self.locator.candidates(content, Age::Fresh, self.own).await;
        found.map(Option::unwrap_or_default).map_err(DiscoveryError::caused_by)
    }
}
