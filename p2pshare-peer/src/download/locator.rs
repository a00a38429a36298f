//! Where contents are and permission to fetch them, asked of the index in batches and kept while it is good.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use p2pshare_core::{
    api::{GrantRequest, Located, MAX_GRANT_BATCH, ProblemKind, SourceKind},
    content::{ContentId, PieceIndex, PieceRun},
    identity::PeerId,
    swarm::Candidate,
    time::{Clock, SystemClock},
    transfer::{PieceSource, RateLimit, Throttled, TransferError},
};
use tokio::time::Instant;

use crate::{
    index_client::ClientError,
    net::{GrantProvider, GrantRequest as GrantNeeded, PeerPool},
    publish::{AnnounceFailure, OwnPeer},
};

/// A grant is used this long at the least, whatever the clocks say: an index that gives shorter ones is refused by the
/// serving peer, and asked again then.
const SHORTEST_USE: Duration = Duration::from_secs(30);

/// And this long at the most: sources come and go.
const LONGEST_USE: Duration = Duration::from_secs(8 * 60);

/// Sources are asked for again after this long.
const SOURCES_FRESH: Duration = Duration::from_millis(500);

/// Finds sources of contents through the index, with the grants that they ask for.
///
/// A peer that the index does not know yet is announced, without addresses, the first time a grant is bound to its key.
pub struct Locator {
    me: OwnPeer,
    pool: Arc<PeerPool>,
    limit: RateLimit,
    /// What this peer shares itself.
    own: Option<Arc<dyn PieceSource>>,
    known: Mutex<HashMap<ContentId, Known>>,
    /// The index did not give a grant to this user while a source was asked.
    logged_out: AtomicBool,
}

/// Why the index does not take this peer's word, as an error of the call that needed it.
fn unknown(failure: AnnounceFailure) -> ClientError {
    match failure {
        AnnounceFailure::Index(error) => error,
        other => ClientError::Announce(other.to_string()),
    }
}

/// How old an answer of the index may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// As old as its grant is good for.
    Granted,
    /// A moment: who is online matters.
    Fresh,
}

#[derive(Clone)]
struct Known {
    located: Arc<Located>,
    asked_at: Instant,
    use_until: Instant,
    /// The grants of those sources that want one of their own, also of those that the newest answer does not name:
    /// downloads go on asking them.
    own: HashMap<PeerId, OwnGrant>,
}

/// A grant for one source alone.
#[derive(Clone)]
struct OwnGrant {
    text: String,
    use_until: Instant,
}

impl Known {
    /// What the index answered at `asked_at`, and what of the grants before is good still.
    fn new(
        located: Located,
        before: HashMap<PeerId, OwnGrant>,
        asked_at: Instant,
        use_until: Instant,
    ) -> Self {
        let mut own = before;
        own.retain(|_, grant| grant.use_until > asked_at);
        for source in &located.sources {
            match &source.grant {
                Some(text) => own.insert(source.peer, OwnGrant { text: text.clone(), use_until }),
                None => own.remove(&source.peer),
            };
        }
        Self { located: Arc::new(located), asked_at, use_until, own }
    }

    fn is_good(&self, age: Age, now: Instant) -> bool {
        self.use_until > now && (age == Age::Granted || self.asked_at + SOURCES_FRESH > now)
    }

    /// The grant to be shown to a source. One that is not known to want its own never sees that of another.
    fn grant_for(&self, peer: &PeerId) -> &str {
        self.own.get(peer).map_or(&self.located.grant, |own| &own.text)
    }
}

impl Locator {
    /// A locator for one user at one index. Sources are reached through `pool`; all of them together give no more than
    /// `limit`.
    pub fn new(me: OwnPeer, pool: Arc<PeerPool>, limit: RateLimit) -> Arc<Self> {
        Self::with_own(me, pool, limit, None)
    }

    /// The same, and what nobody else gives may come from `own`: what this peer shares itself.
    pub fn with_own(
        me: OwnPeer,
        pool: Arc<PeerPool>,
        limit: RateLimit,
        own: Option<Arc<dyn PieceSource>>,
    ) -> Arc<Self> {
        let logged_out = AtomicBool::new(false);
        Arc::new(Self { me, pool, limit, own, known: Mutex::default(), logged_out })
    }

    /// The peer that asks.
    pub(super) fn me(&self) -> PeerId {
        self.me.id()
    }

    /// Asks for all these contents of which nothing is known, in as few calls as can be.
    pub async fn prime(&self, contents: &[ContentId]) -> Result<(), ClientError> {
        let now = Instant::now();
        let unknown: Vec<_> = {
            let known = self.known();
            let good = |content: &ContentId| {
                known.get(content).is_some_and(|known| known.is_good(Age::Granted, now))
            };
            contents.iter().copied().filter(|content| !good(content)).collect()
        };
        for batch in unknown.chunks(MAX_GRANT_BATCH) {
            self.ask(batch).await?;
        }
        Ok(())
    }

    /// Where a content is; `None`: nowhere that this user can see.
    pub async fn locate(
        &self,
        content: &ContentId,
        age: Age,
    ) -> Result<Option<Arc<Located>>, ClientError> {
        let now = Instant::now();
        let known = self.known().get(content).cloned();
        match known {
            Some(known) if known.is_good(age, now) => Ok(Some(known.located)),
            _ => {
                self.ask(&[*content]).await?;
                Ok(self.known().get(content).map(|known| known.located.clone()))
            }
        }
    }

    /// The sources of a content, ready to be fetched from; `None`: it does not exist for this user. The peer `own`, by
    /// which this very download is served, is no source of it, unless it has the whole content.
    pub async fn candidates(
        self: &Arc<Self>,
        content: &ContentId,
        age: Age,
        own: Option<PeerId>,
    ) -> Result<Option<Vec<Candidate>>, ClientError> {
        let Some(located) = self.locate(content, age).await? else { return Ok(None) };
        let mut candidates = self.sources_of(&located, own);
        if candidates.is_empty()
            && let Some(source) = &self.own
            // A file that has changed since, or is gone, is none.
            && source.fetch(content, &[PieceRun::new(PieceIndex(0), 1)]).await.is_ok()
        {
            candidates.push(Candidate {
                id: self.me.id(),
                label: "this machine".to_owned(),
                source: source.clone(),
            });
        }
        Ok(Some(candidates))
    }

    /// The same of what the index has said already; none if that is nothing.
    pub(super) fn known_candidates(
        self: &Arc<Self>,
        content: &ContentId,
        own: Option<PeerId>,
    ) -> Vec<Candidate> {
        let known = self.known().get(content).cloned();
        let known = known.filter(|known| known.is_good(Age::Granted, Instant::now()));
        known.map_or_else(Vec::new, |known| self.sources_of(&known.located, own))
    }

    fn sources_of(self: &Arc<Self>, located: &Located, own: Option<PeerId>) -> Vec<Candidate> {
        let others = located
            .sources
            .iter()
            .filter(|source| source.kind == SourceKind::Full || Some(source.peer) != own);
        let candidates = others.map(|source| {
            let peer = self.pool.peer(source.peer, source.addresses.clone());
            Candidate {
                id: source.peer,
                label: format!("{} ({})", source.owner, source.peer.short()),
                source: Arc::new(Throttled::new(peer.source(self.clone()), self.limit.clone())),
            }
        });
        candidates.collect()
    }

    /// Which of these contents are not hopeless now: somebody gives them, or it turned out that they are nowhere.
    pub async fn with_news(
        &self,
        contents: &[ContentId],
    ) -> Result<HashSet<ContentId>, ClientError> {
        for batch in contents.chunks(MAX_GRANT_BATCH) {
            self.ask(batch).await?;
        }
        let (mut news, hopeless): (HashSet<_>, Vec<_>) = {
            let known = self.known();
            let has_news = |content: &ContentId| {
                known.get(content).is_none_or(|known| !known.located.sources.is_empty())
            };
            let hopeless = contents.iter().copied().filter(|content| !has_news(content)).collect();
            (contents.iter().copied().filter(has_news).collect(), hopeless)
        };
        if let Some(own) = &self.own {
            for content in hopeless {
                if own.manifest(&content).await.is_ok() {
                    news.insert(content);
                }
            }
        }
        Ok(news)
    }

    /// What the index says if it no longer gives grants to this user, which sources cannot be blamed for.
    pub(super) async fn logged_out(&self, content: &ContentId) -> Option<ClientError> {
        if !self.logged_out.swap(false, Ordering::Relaxed) {
            return None;
        }
        self.ask(&[*content]).await.err().filter(ClientError::is_logged_out)
    }

    /// Forgets what is known of a content that nobody fetches any more.
    pub fn forget(&self, content: &ContentId) {
        self.known().remove(content);
    }

    async fn ask(&self, contents: &[ContentId]) -> Result<(), ClientError> {
        let request = GrantRequest {
            contents: contents.to_vec(),
            peer: Some(self.me.id()),
            max_sources: None,
        };
        let grants = match self.me.client().grants(&request).await {
            Err(error) if error.kind() == Some(ProblemKind::NotFound) => {
                self.me.make_known().await.map_err(unknown)?;
                self.me.client().grants(&request).await?
            }
            other => other?,
        };
        let now = Instant::now();
        let lifetime = grants.expires_at.since(SystemClock.now()).mul_f64(0.8);
        let use_until = now + lifetime.clamp(SHORTEST_USE, LONGEST_USE);
        let mut known = self.known();
        let mut before: HashMap<ContentId, Known> = contents
            .iter()
            .filter_map(|content| Some((*content, known.remove(content)?)))
            .collect();
        for located in grants.contents {
            let content = located.content;
            if !contents.contains(&content) {
                // An index may not choose what is kept in mind here.
                continue;
            }
            let before = before.remove(&content).map(|known| known.own).unwrap_or_default();
            known.insert(content, Known::new(located, before, now, use_until));
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
            return Ok(known.grant_for(&request.peer).to_owned());
        }
        self.ask(&[request.content]).await.map_err(|error| {
            if error.is_logged_out() {
                self.logged_out.store(true, Ordering::Relaxed);
            }
            TransferError::Unavailable(error.to_string())
        })?;
        match self.known().get(&request.content) {
            Some(known) => Ok(known.grant_for(&request.peer).to_owned()),
            None => Err(TransferError::NotFound(request.content)),
        }
    }

    fn refused(&self, request: &GrantNeeded, grant: &str) {
        let mut known = self.known();
        if known.get(&request.content).is_some_and(|known| known.grant_for(&request.peer) == grant)
        {
            known.remove(&request.content);
        }
    }
}

impl std::fmt::Debug for Locator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Locator").field("me", &self.me).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use p2pshare_core::api::Source;

    use super::*;

    fn peer(number: u8) -> PeerId {
        PeerId::from_bytes([number; 32])
    }

    fn located(grant: &str, sources: &[(u8, Option<&str>)]) -> Located {
        let source = |&(number, grant): &(u8, Option<&str>)| Source {
            peer: peer(number),
            owner: "alice".parse().unwrap(),
            addresses: Vec::new(),
            kind: SourceKind::Full,
            grant: grant.map(str::to_owned),
        };
        Located {
            content: ContentId::of(b"content"),
            size: 7,
            grant: grant.to_owned(),
            sources: sources.iter().map(source).collect(),
            total: 3,
        }
    }

    #[test]
    fn each_source_sees_its_own_grant_for_as_long_as_it_is_good() {
        let (begun, minute) = (Instant::now(), Duration::from_secs(60));
        let answer = located("open", &[(1, None), (2, Some("club")), (3, Some("team"))]);
        let known = Known::new(answer, HashMap::new(), begun, begun + 2 * minute);
        let shown = |known: &Known| [1, 2, 3, 4].map(|one| known.grant_for(&peer(one)).to_owned());
        assert_eq!(shown(&known), ["open", "club", "team", "open"]);

        // An answer with other sources, and one of the old in another way.
        let answer = located("open 2", &[(4, Some("club 2")), (3, None)]);
        let known = Known::new(answer, known.own, begun + minute, begun + 3 * minute);
        assert_eq!(shown(&known), ["open 2", "club", "open 2", "club 2"]);

        let answer = located("open 3", &[]);
        let known = Known::new(answer, known.own, begun + 2 * minute, begun + 4 * minute);
        assert_eq!(shown(&known), ["open 3", "open 3", "open 3", "club 2"]);
    }
}
