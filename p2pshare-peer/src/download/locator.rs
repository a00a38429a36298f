//! Where contents are and permission to fetch them, asked of the index in batches and kept while it is good.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use p2pshare_core::{
    api::{GrantRequest, Located, MAX_GRANT_BATCH, ProblemKind},
    content::ContentId,
    identity::PeerId,
    swarm::{Candidate, Discovery, DiscoveryError},
    time::{Clock, SystemClock},
    transfer::TransferError,
};
use tokio::time::Instant;

use crate::{
    index_client::{ClientError, IndexClient},
    net::{GrantProvider, GrantRequest as GrantNeeded, PeerPool},
    publish::Announcer,
};

/// A grant is used this long at the least, whatever the clocks say: an index that gives shorter ones is refused by the
/// serving peer, and asked again then.
const SHORTEST_USE: Duration = Duration::from_secs(30);

/// And this long at the most: sources come and go.
const LONGEST_USE: Duration = Duration::from_secs(8 * 60);

/// Sources are asked for again after this long.
const SOURCES_FRESH: Duration = Duration::from_secs(10);

/// Finds sources of contents through the index, with the grants that they ask for.
///
/// A peer that the index does not know yet is announced, without addresses, the first time a grant is bound to its key.
pub struct Locator {
    client: IndexClient,
    announcer: Announcer,
    pool: Arc<PeerPool>,
    known: Mutex<HashMap<ContentId, Known>>,
}

#[derive(Clone)]
struct Known {
    located: Arc<Located>,
    asked_at: Instant,
    use_until: Instant,
}

impl Locator {
    /// A locator for one user at one index. Sources are reached through `pool`.
    pub fn new(client: IndexClient, announcer: Announcer, pool: Arc<PeerPool>) -> Arc<Self> {
        Arc::new(Self { client, announcer, pool, known: Mutex::default() })
    }

    /// Asks for all these contents, in as few calls as can be.
    pub async fn prime(&self, contents: &[ContentId]) -> Result<(), ClientError> {
        for batch in contents.chunks(MAX_GRANT_BATCH) {
            self.ask(batch).await?;
        }
        Ok(())
    }

    /// Where a content is; `None`: nowhere that this user can see.
    pub async fn locate(&self, content: &ContentId) -> Result<Option<Arc<Located>>, ClientError> {
        let now = Instant::now();
        let known = self.known().get(content).cloned();
        match known {
            Some(known) if known.asked_at + SOURCES_FRESH > now && known.use_until > now => Ok(Some(known.located)),
            _ => {
                self.ask(&[*content]).await?;
                Ok(self.known().get(content).map(|known| known.located.clone()))
            }
        }
    }

    /// The sources of a content, ready to be fetched from.
    pub async fn candidates(self: &Arc<Self>, content: &ContentId) -> Result<Vec<Candidate>, ClientError> {
        let Some(located) = self.locate(content).await? else { return Ok(Vec::new()) };
        let candidates = located.sources.iter().map(|source| {
            let peer = self.pool.peer(source.peer, source.addresses.clone());
            Candidate {
                id: source.peer,
                label: format!("{} ({})", source.owner, source.peer.short()),
                source: Arc::new(peer.source(self.clone())),
            }
        });
        Ok(candidates.collect())
    }

    async fn ask(&self, contents: &[ContentId]) -> Result<(), ClientError> {
        let request =
            GrantRequest { contents: contents.to_vec(), peer: Some(self.announcer.peer_id()), max_sources: None };
        let grants = match self.client.grants(&request).await {
            Err(error) if error.kind() == Some(ProblemKind::NotFound) => {
                self.announcer.announce(&self.client, Vec::new()).await?;
                self.client.grants(&request).await?
            }
            other => other?,
        };
        let now = Instant::now();
        let lifetime = grants.expires_at.since(SystemClock.now()).mul_f64(0.8);
        let use_until = now + lifetime.clamp(SHORTEST_USE, LONGEST_USE);
        let mut known = self.known();
        for content in contents {
            known.remove(content);
        }
        for located in grants.contents {
            known.insert(located.content, Known { located: Arc::new(located), asked_at: now, use_until });
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ContentId, Known>> {
        // A panic elsewhere leaves a map of answers: as good as before.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl GrantProvider for Locator {
    async fn grant(&self, request: &GrantNeeded) -> Result<String, TransferError> {
        let known = self.known().get(&request.content).cloned();
        if let Some(known) = known.filter(|known| known.use_until > Instant::now()) {
            return Ok(known.located.grant.clone());
        }
        self.ask(&[request.content]).await.map_err(|error| TransferError::Unavailable(error.to_string()))?;
        match self.known().get(&request.content) {
            Some(known) => Ok(known.located.grant.clone()),
            None => Err(TransferError::NotFound(request.content)),
        }
    }

    fn refused(&self, request: &GrantNeeded, grant: &str) {
        let mut known = self.known();
        if known.get(&request.content).is_some_and(|known| known.located.grant == grant) {
            known.remove(&request.content);
        }
    }
}

/// Sources of one content as the index tells them from time to time.
pub(super) struct IndexDiscovery(pub(super) Arc<Locator>);

#[async_trait]
impl Discovery for IndexDiscovery {
    async fn sources(&self, content: &ContentId) -> Result<Vec<Candidate>, DiscoveryError> {
        self.0.candidates(content).await.map_err(|error| DiscoveryError::new(error.to_string()))
    }
}

impl std::fmt::Debug for Locator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let peer: PeerId = self.announcer.peer_id();
        f.debug_struct("Locator").field("peer", &peer).finish_non_exhaustive()
    }
}
