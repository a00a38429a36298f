//! What publishing needs of an index.

use async_trait::async_trait;
use p2pshare_core::{
    api::{
        Announce, Announced, CatalogPage, CatalogQuery, ProblemKind, PublishAnswer, PublishRequest,
    },
    identity::PeerId,
    path::SharePath,
};

use super::PublishError;
use crate::index_client::{ClientError, IndexClient};

/// The calls of an index that are about the catalog of one peer.
#[async_trait]
pub trait CatalogIndex: Send + Sync {
    /// Publishes and withdraws files, all or none. Doing it again changes nothing.
    async fn publish(&self, request: &PublishRequest) -> Result<PublishAnswer, ClientError>;

    /// A page of what the peer has published, in order of path.
    async fn entries(&self, query: &CatalogQuery) -> Result<CatalogPage, ClientError>;

    /// Announces the peer.
    async fn announce(&self, request: &Announce) -> Result<Announced, ClientError>;
}

/// A peer at its index, over the network.
#[derive(Clone, Debug)]
pub struct PeerAtIndex {
    client: IndexClient,
    peer: PeerId,
}

impl PeerAtIndex {
    /// The peer `peer` at the index of `client`, which must have a session of the peer's user.
    pub fn new(client: IndexClient, peer: PeerId) -> Self {
        Self { client, peer }
    }
}

#[async_trait]
impl CatalogIndex for PeerAtIndex {
    async fn publish(&self, request: &PublishRequest) -> Result<PublishAnswer, ClientError> {
        self.client.publish(&self.peer, request).await
    }

    async fn entries(&self, query: &CatalogQuery) -> Result<CatalogPage, ClientError> {
        self.client.entries(&self.peer, query).await
    }

    async fn announce(&self, request: &Announce) -> Result<Announced, ClientError> {
        self.client.announce(&self.peer, request).await
    }
}

/// A page of what a peer has published, in order of path.
pub(super) async fn entries(
    index: &dyn CatalogIndex,
    after: Option<SharePath>,
    limit: u32,
) -> Result<CatalogPage, PublishError> {
    let query = CatalogQuery { after, limit: Some(limit) };
    index.entries(&query).await.map_err(|error| match error.kind() {
        Some(ProblemKind::NotFound) => PublishError::NotAnnounced,
        _ => PublishError::Index(error),
    })
}
