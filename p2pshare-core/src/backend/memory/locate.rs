//! Where contents are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{State, at_most, count};
use crate::{
    api::{SourceKind, Visibility},
    content::ContentId,
    identity::{GroupName, PeerId},
    index::model::{FoundSource, LocateRequest, Location, Viewer},
};

/// How much a peer has, and the groups that the viewer is told so for.
type Held = (SourceKind, Vec<GroupName>);

impl State {
    pub(super) fn locate(&self, viewer: &Viewer, request: &LocateRequest) -> Vec<Location> {
        let mut asked = BTreeSet::new();
        let contents = request.contents.iter().filter(|content| asked.insert(**content));
        contents.filter_map(|content| self.locate_one(viewer, request, content)).collect()
    }

    fn locate_one(
        &self,
        viewer: &Viewer,
        request: &LocateRequest,
        content: &ContentId,
    ) -> Option<Location> {
        // For each peer the groups that it shares the content with; `None`, which comes first: with everybody.
        let mut full: BTreeMap<PeerId, BTreeSet<Option<&GroupName>>> = BTreeMap::new();
        let mut claims: BTreeMap<u64, BTreeSet<PeerId>> = BTreeMap::new();
        for shared in self.entries.of_content(content) {
            if shared.reached_by(viewer) {
                let group = match &shared.entry.visibility {
                    Visibility::Public | Visibility::Unlisted => None,
                    Visibility::Group(group) => Some(group),
                };
                full.entry(shared.peer).or_default().insert(group);
                claims.entry(shared.entry.size).or_default().insert(shared.peer);
            }
        }
        let (size, _) = claims.iter().max_by_key(|(size, peers)| (peers.len(), Reverse(**size)))?;
        let groups: BTreeSet<&GroupName> = full.values().flatten().copied().flatten().collect();

        // A peer that is both is a full source.
        let mut sources = self.partial_sources_of(content, viewer, request);
        sources.extend(full.iter().map(|(peer, groups)| {
            let first = groups.first().copied().flatten();
            (*peer, (SourceKind::Full, first.cloned().into_iter().collect()))
        }));
        Some(Location {
            content: *content,
            size: *size,
            total: count(full.len()),
            groups: groups.into_iter().cloned().collect(),
            sources: self.reachable_from_pivot(&sources, request),
        })
    }

    fn partial_sources_of(
        &self,
        content: &ContentId,
        viewer: &Viewer,
        request: &LocateRequest,
    ) -> BTreeMap<PeerId, Held> {
        let first = (*content, PeerId::from_bytes([0; 32]));
        let last = (*content, PeerId::from_bytes([0xff; 32]));
        self.partial_sources
            .range(first..=last)
            .filter(|(_, partial)| partial.until > request.now)
            .filter(|(_, partial)| partial.groups.iter().all(|group| viewer.groups.contains(group)))
            .map(|((_, peer), partial)| (*peer, (SourceKind::Partial, partial.groups.clone())))
            .collect()
    }

    /// Those that can be reached, around the circle of ids.
    fn reachable_from_pivot(
        &self,
        sources: &BTreeMap<PeerId, Held>,
        request: &LocateRequest,
    ) -> Vec<FoundSource> {
        let from_pivot = sources.range((Bound::Included(request.pivot), Bound::Unbounded));
        let before_pivot = sources.range((Bound::Unbounded, Bound::Excluded(request.pivot)));
        from_pivot
            .chain(before_pivot)
            .filter_map(|(id, held)| Some((self.peers.get(id)?, held)))
            .filter(|(peer, _)| peer.online_since(request.online_since))
            .filter(|(peer, _)| !peer.addresses.is_empty())
            .take(at_most(request.limit))
            .map(|(peer, (kind, groups))| FoundSource {
                peer: peer.id,
                owner: peer.owner.clone(),
                addresses: peer.addresses.clone(),
                kind: *kind,
                groups: groups.clone(),
            })
            .collect()
    }
}
