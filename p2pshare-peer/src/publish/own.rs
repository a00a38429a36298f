//! This peer, as its index knows it.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use p2pshare_core::{
    api::{Announced, CatalogQuery, Heartbeat, ProblemKind},
    identity::{PeerAddr, PeerId, PeerKey, Username},
    time::SystemClock,
};

use tokio::sync::Mutex;

use super::{AnnounceFailure, CatalogIndex, PeerAtIndex, PublishAccount, Publisher, announce};
use crate::{
    catalog::Catalog,
    index_client::{ClientError, IndexClient},
    index_keys::IndexKeys,
};

/// This peer at the index where its user is logged in. Cheap to clone.
#[derive(Clone)]
pub struct OwnPeer {
    client: IndexClient,
    index: Arc<dyn CatalogIndex>,
    user: Username,
    keys: IndexKeys,
    key: Arc<PeerKey>,
    /// Those who make the peer known take turns: of two announces at once the index takes the later one, and calls the
    /// other stale.
    making_known: Arc<Mutex<()>>,
    /// The time in the newest announce of this process, in milliseconds since 1970; `i64::MAX` before the first.
    announced_at: Arc<AtomicI64>,
}

impl OwnPeer {
    /// The peer of `user` with the key `key`, at the index with the keys `keys`. `client` has the session.
    pub fn new(client: IndexClient, user: Username, keys: IndexKeys, key: Arc<PeerKey>) -> Self {
        let index = Arc::new(PeerAtIndex::new(client.clone(), key.peer_id()));
        let announced_at = Arc::new(AtomicI64::new(i64::MAX));
        Self { client, index, user, keys, key, making_known: Arc::default(), announced_at }
    }

    /// Another peer of the same user, with this key.
    pub fn with_key(&self, key: Arc<PeerKey>) -> Self {
        Self::new(self.client.clone(), self.user.clone(), self.keys.clone(), key)
    }

    /// The peer's id.
    pub fn id(&self) -> PeerId {
        self.key.peer_id()
    }

    /// The peer's key.
    pub fn key(&self) -> &PeerKey {
        &self.key
    }

    /// The user whose peer it is.
    pub fn user(&self) -> &Username {
        &self.user
    }

    /// The client of the index, with the session.
    pub fn client(&self) -> &IndexClient {
        &self.client
    }

    /// The keys of the index.
    pub fn index_keys(&self) -> &IndexKeys {
        &self.keys
    }

    /// What the index does for the peer.
    pub(crate) fn index(&self) -> &dyn CatalogIndex {
        &*self.index
    }

    /// Publishes this peer's catalog.
    pub fn publisher(&self, catalog: Catalog) -> Publisher {
        Publisher::new(catalog, self.index.clone(), self.account())
    }

    /// Tells the index where the peer can be reached; it is online from now on.
    ///
    /// An index that does not take the announce is asked for its keys: it may have others by now.
    pub async fn announce(&self, addresses: Vec<PeerAddr>) -> Result<Announced, AnnounceFailure> {
        let send = async |addresses| {
            announce(&*self.index, &self.account(), &self.key, addresses, &SystemClock).await
        };
        let sent = match send(addresses.clone()).await {
            Err(AnnounceFailure::Index(error))
                if error.kind() == Some(ProblemKind::InvalidRequest)
                    && self.keys.refresh(&self.client).await? =>
            {
                send(addresses).await
            }
            answer => answer,
        };
        let (announced, at) = sent?;
        self.announced_at.store(at.as_millis(), Relaxed);
        Ok(announced)
    }

    /// Whether, as a heartbeat tells, the peer was announced after this process has done so: by another one that has the
    /// same key. `false` before the first announce.
    pub fn is_announced_elsewhere(&self, answer: &Heartbeat) -> bool {
        let own = self.announced_at.load(Relaxed);
        answer.announced_at.is_some_and(|newest| newest.as_millis() > own)
    }

    fn account(&self) -> PublishAccount {
        let (user, peer) = (self.user.clone(), self.id());
        PublishAccount { index_keys: self.keys.ids(), user, peer }
    }

    /// Sees to it that the index knows the peer, without making it online: enough to publish, and to get grants that
    /// are bound to its key. A peer that serves at the moment goes on serving.
    pub async fn make_known(&self) -> Result<(), AnnounceFailure> {
        let _turn = self.making_known.lock().await;
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
        f.debug_struct("OwnPeer")
            .field("user", &self.user)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
