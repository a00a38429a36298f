//! This peer, as its index knows it.

use std::sync::Arc;

use p2pshare_core::{
    api::{Announced, CatalogQuery, ProblemKind},
    identity::{PeerAddr, PeerId, PeerKey},
    time::SystemClock,
};

use super::{AnnounceFailure, CatalogIndex, PeerAtIndex, PublishAccount, Publisher, announce};
use crate::{
    account::SavedSession,
    catalog::Catalog,
    index_client::{ClientError, IndexClient},
};

/// This peer at the index where its user is logged in. Cheap to clone.
#[derive(Clone)]
pub struct OwnPeer {
    client: IndexClient,
    index: Arc<dyn CatalogIndex>,
    account: PublishAccount,
    key: Arc<PeerKey>,
}

impl OwnPeer {
    /// The peer with this key. `client` has the session.
    pub fn new(client: IndexClient, session: &SavedSession, key: Arc<PeerKey>) -> Self {
        let peer = key.peer_id();
        let account = PublishAccount {
            index_keys: session.public_keys.iter().map(|key| key.key_id()).collect(),
            user: session.username.clone(),
            peer,
        };
        let index = Arc::new(PeerAtIndex::new(client.clone(), peer));
        Self { client, index, account, key }
    }

    /// The peer's id.
    pub fn id(&self) -> PeerId {
        self.account.peer
    }

    /// The peer's key.
    pub fn key(&self) -> &PeerKey {
        &self.key
    }

    /// The client of the index, with the session.
    pub fn client(&self) -> &IndexClient {
        &self.client
    }

    /// Publishes this peer's catalog.
    pub fn publisher(&self, catalog: Catalog) -> Publisher {
        Publisher::new(catalog, self.index.clone(), self.account.clone())
    }

    /// Tells the index where the peer can be reached; it is online from now on.
    pub async fn announce(&self, addresses: Vec<PeerAddr>) -> Result<Announced, AnnounceFailure> {
        announce(&*self.index, &self.account, &self.key, addresses, &SystemClock).await
    }

    /// Sees to it that the index knows the peer, without making it online: enough to publish, and to get grants that
    /// are bound to its key. A peer that serves at the moment goes on serving.
    pub async fn make_known(&self) -> Result<(), AnnounceFailure> {
        let query = CatalogQuery { after: None, limit: Some(1) };
        match self.index.entries(&query).await {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == Some(ProblemKind::NotFound) => {
                self.announce(Vec::new()).await?;
                self.leave().await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells the index that the peer goes offline.
    pub async fn leave(&self) -> Result<(), ClientError> {
        self.client.leave(&self.id()).await
    }
}

impl std::fmt::Debug for OwnPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnPeer").field("account", &self.account).finish_non_exhaustive()
    }
}
