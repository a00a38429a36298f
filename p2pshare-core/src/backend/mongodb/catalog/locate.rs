//! Where contents are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
};

use mongodb::bson::doc;

use super::{hits::each_entry, sight::Sight};
use crate::{
    api::{SourceKind, Visibility},
    backend::mongodb::{
        by,
        database::{MongoError, MongoResult, Reading},
        documents::{Bytes32, PartialKey, PeerDoc, size},
    },
    content::ContentId,
    identity::GroupName,
    index::model::{FoundSource, LocateRequest, Location, Peer, Viewer},
};

/// Peers in one question to the server.
const PEERS: usize = 2000;

pub(super) async fn locate(
    reading: &mut Reading<'_>,
    viewer: &Viewer,
    request: &LocateRequest,
) -> MongoResult<Vec<Location>> {
    let mut asked = HashSet::new();
    let contents: Vec<ContentId> =
        request.contents.iter().copied().filter(|content| asked.insert(*content)).collect();
    let keys: Vec<Bytes32> = contents.iter().map(Bytes32::from).collect();

    let sight = Sight::of(viewer);
    let mut found: HashMap<Bytes32, Claims> = HashMap::new();
    each_entry(reading, &keys, &sight.reached(), |entry| {
        let group = match entry.v.parse().map_err(MongoError::corrupt)? {
            Visibility::Public | Visibility::Unlisted => None,
            Visibility::Group(group) => Some(group),
        };
        let claims = found.entry(entry.c).or_default();
        claims.sizes.entry(entry.s).or_default().insert(entry.key.p);
        claims.full.entry(entry.key.p).or_default().insert(group);
        Ok(())
    })
    .await?;
    add_partials(reading, &sight, &mut found, request).await?;

    let mut locating = Locating { request, peers: HashMap::new() };
    // What most answers need, in one question.
    let first = |claims: &Claims| claims.circle(request).into_iter().take(request.limit as usize);
    let likely: BTreeSet<Bytes32> =
        found.values().flat_map(|claims| first(claims).map(|(peer, ..)| peer)).collect();
    locating.look_up(reading, likely).await?;
    let mut locations = Vec::new();
    for content in contents {
        if let Some(claims) = found.get(&(&content).into()) {
            locations.push(locating.location(reading, content, claims).await?);
        }
    }
    Ok(locations)
}

/// Notes who holds part of a content of which anything is reached, and may be told of.
async fn add_partials(
    reading: &mut Reading<'_>,
    sight: &Sight,
    found: &mut HashMap<Bytes32, Claims>,
    request: &LocateRequest,
) -> MongoResult<()> {
    if found.is_empty() {
        return Ok(());
    }
    let contents: Vec<Bytes32> = found.keys().copied().collect();
    let running = doc! {
        "_id.c": { "$in": contents },
        "until": { "$gt": request.now.as_millis() },
        "groups": { "$exists": true },
    };
    let find = reading.database.partials.find(running).hint(by("content"));
    let mut partials = find.session(&mut reading.session).await?;
    while partials.advance(&mut reading.session).await? {
        let partial = partials.deserialize_current()?;
        let PartialKey { c, p } = partial.key;
        let groups = partial.into_model()?.groups;
        if let Some(claims) = found.get_mut(&c)
            && sight.is_in_all(&groups)
        {
            claims.partial.insert(p, groups);
        }
    }
    Ok(())
}

/// Who has a content.
#[derive(Default)]
struct Claims {
    /// For each size that is claimed, the peers that claim it.
    sizes: BTreeMap<i64, BTreeSet<Bytes32>>,
    /// For each peer that shares it the groups that it shares it with; `None`, which comes first: with everybody.
    full: BTreeMap<Bytes32, BTreeSet<Option<GroupName>>>,
    /// For each peer that holds part of it, the groups that it is noted for.
    partial: BTreeMap<Bytes32, Vec<GroupName>>,
}

/// A peer, how much it has, and the groups that the viewer is told so for.
type Held = (Bytes32, SourceKind, Vec<GroupName>);

impl Claims {
    fn groups(&self) -> Vec<GroupName> {
        let groups: BTreeSet<&GroupName> = self.full.values().flatten().flatten().collect();
        groups.into_iter().cloned().collect()
    }

    /// All that may be sources, around the circle of ids from the pivot on. A peer that is both is a full source.
    fn circle(&self, request: &LocateRequest) -> Vec<Held> {
        let pivot = Bytes32::from(&request.pivot);
        let partial = self.partial.iter().filter(|(peer, _)| !self.full.contains_key(*peer));
        let mut all: Vec<Held> =
            partial.map(|(peer, groups)| (*peer, SourceKind::Partial, groups.clone())).collect();
        all.extend(self.full.iter().map(|(peer, groups)| {
            let first = groups.first().cloned().flatten();
            (*peer, SourceKind::Full, Vec::from_iter(first))
        }));
        all.sort_unstable_by_key(|(peer, ..)| (*peer < pivot, *peer));
        all
    }
}

struct Locating<'a> {
    request: &'a LocateRequest,
    /// Peers that were looked up: each that can be reached.
    peers: HashMap<Bytes32, Option<Peer>>,
}

impl Locating<'_> {
    async fn location(
        &mut self,
        reading: &mut Reading<'_>,
        content: ContentId,
        claims: &Claims,
    ) -> MongoResult<Location> {
        let largest =
            claims.sizes.iter().max_by_key(|(size, peers)| (peers.len(), Reverse(**size)));
        let bytes = largest.map_or(0, |(size, _)| *size);
        let wanted = self.request.limit as usize;
        let mut sources = Vec::new();
        for some in claims.circle(self.request).chunks(wanted.clamp(64, PEERS)) {
            if sources.len() >= wanted {
                break;
            }
            self.look_up(reading, some.iter().map(|(peer, ..)| *peer)).await?;
            let reached = some.iter().filter_map(|held| self.source(held));
            sources.extend(reached.take(wanted - sources.len()));
        }
        let total = u32::try_from(claims.full.len()).unwrap_or(u32::MAX);
        Ok(Location { content, size: size(bytes)?, total, groups: claims.groups(), sources })
    }

    fn source(&self, (peer, kind, groups): &Held) -> Option<FoundSource> {
        let peer = self.peers.get(peer)?.as_ref()?;
        Some(FoundSource {
            peer: peer.id,
            owner: peer.owner.clone(),
            addresses: peer.addresses.clone(),
            kind: *kind,
            groups: groups.clone(),
        })
    }

    /// Looks up those of these peers that are not known yet.
    async fn look_up(
        &mut self,
        reading: &mut Reading<'_>,
        peers: impl IntoIterator<Item = Bytes32>,
    ) -> MongoResult<()> {
        let mut unknown = Vec::new();
        for peer in peers {
            self.peers.entry(peer).or_insert_with(|| {
                unknown.push(peer);
                None
            });
        }
        for some in unknown.chunks(PEERS) {
            let reachable = doc! {
                "_id": { "$in": some },
                "last_seen": { "$gte": self.request.online_since.as_millis() },
                "addresses.0": { "$exists": true },
            };
            let find = reading.database.peers.find(reachable).batch_size(1000);
            let mut found = find.session(&mut reading.session).await?;
            while found.advance(&mut reading.session).await? {
                let peer: PeerDoc = found.deserialize_current()?;
                self.peers.insert(peer.id, Some(peer.into_model()?));
            }
        }
        Ok(())
    }
}
