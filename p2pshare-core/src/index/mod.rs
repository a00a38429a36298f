//! The index: its model, the traits of its store, what a search means, and [`Index`], the one place of its rules.

mod accounts;
mod browse;
mod catalog;
mod config;
mod error;
mod grants;
mod groups;
mod invites;
mod maintenance;
mod operator;
mod peers;
mod reach;
mod registration;
mod session_cache;
mod sessions;
mod turns;

pub mod copy;
pub mod model;
pub mod search;
pub mod store;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use config::IndexConfig;
pub use error::{IndexError, Thing};
pub use maintenance::FLUSH_EVERY;
pub use operator::Operator;
pub use sessions::Caller;

use peers::Presence;
use session_cache::SessionCache;
use store::IndexStore;
use turns::Turns;

use crate::{
    api::{IndexInfo, Registration},
    auth::{Authenticator, IndexPublicKey, SigningKeys},
    index::{
        model::{StoreCounts, Viewer},
        store::StoreResult,
    },
    time::{Clock, Timestamp},
};

/// An index: every rule of who may do what, over any store and any way to check passwords.
///
/// Methods take what has been parsed and a [`Caller`] that [`Index::caller`] made from a session token; they know
/// nothing of how a request came. A clone shares everything.
///
/// Somebody must run [`Index::maintain`], or heartbeats are never written.
#[derive(Clone)]
pub struct Index {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn IndexStore>,
    authenticator: Arc<dyn Authenticator>,
    keys: RwLock<Arc<SigningKeys>>,
    clock: Arc<dyn Clock>,
    config: IndexConfig,
    presence: Mutex<Presence>,
    sessions: SessionCache,
    searches: Turns,
    /// Held from a look at how many groups a user is in until there is one more: of many at once each would see room.
    joining: tokio::sync::Mutex<()>,
    forgettings: Turns,
    /// What this process is called where several share a store.
    holder: String,
}

/// Searches of one user that may wait for each other.
const SEARCHES: usize = 256;

/// Peers that one user has forgotten at a time, one after the other.
const FORGETTINGS: usize = 4;

impl Index {
    /// An index over these parts.
    pub fn new(
        store: Arc<dyn IndexStore>,
        authenticator: Arc<dyn Authenticator>,
        keys: SigningKeys,
        clock: Arc<dyn Clock>,
        config: IndexConfig,
    ) -> Self {
        let config = config.in_range();
        let inner = Inner {
            store,
            authenticator,
            keys: RwLock::new(Arc::new(keys)),
            clock,
            presence: Mutex::default(),
            sessions: SessionCache::new(config.session_cache),
            searches: Turns::new(SEARCHES),
            joining: tokio::sync::Mutex::default(),
            forgettings: Turns::new(FORGETTINGS),
            holder: format!("{:032x}", rand::random::<u128>()),
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What the index says of itself, to anybody.
    pub fn info(&self) -> IndexInfo {
        let config = self.config();
        IndexInfo {
            name: config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            public_keys: self.public_keys(),
            successions: self.keys().successions().to_vec(),
            registration: config.registration,
            time: self.now(),
        }
    }

    /// From now on grants are signed with these keys. Peers with keys that are no longer among them are told by their
    /// next heartbeat.
    pub fn replace_keys(&self, keys: SigningKeys) {
        *self.inner.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// The rules' settings.
    pub fn config(&self) -> &IndexConfig {
        &self.inner.config
    }

    /// Fails if the store cannot answer now.
    pub async fn check(&self) -> StoreResult<()> {
        self.store().check().await
    }

    /// How much is in the store, private groups included: for the operator.
    pub async fn counts(&self) -> StoreResult<StoreCounts> {
        self.store().counts(self.now(), self.online_since()).await
    }

    /// Who may register, told from the configuration alone.
    pub fn registration(&self) -> Registration {
        self.config().registration
    }

    /// The store. Going around the rules is for operators' tools.
    pub fn store(&self) -> &dyn IndexStore {
        &*self.inner.store
    }

    fn authenticator(&self) -> &dyn Authenticator {
        &*self.inner.authenticator
    }

    fn keys(&self) -> Arc<SigningKeys> {
        self.inner.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The keys that others are told of now.
    fn public_keys(&self) -> Vec<IndexPublicKey> {
        self.keys().published(self.now(), self.config().grant_lifetime)
    }

    /// What time it is for the index.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Peers heard of at this time or later are online.
    fn online_since(&self) -> Timestamp {
        self.now().saturating_sub(model::ONLINE_FOR)
    }

    /// The caller with the groups that they are in at this moment.
    async fn viewer(&self, caller: &Caller) -> StoreResult<Viewer> {
        Ok(self.sight(caller).await?.viewer)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("store", &self.store().kind()).finish_non_exhaustive()
    }
}
