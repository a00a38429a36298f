//! Where contents are.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use super::{State, at_most, count};
use crate::{
    api::{Source, SourceKind},
    content::ContentId,
    identity::PeerId,
    index::model::{LocateRequest, Location, Viewer},
};

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
        let mut full: BTreeSet<PeerId> = BTreeSet::new();
        let mut claims: BTreeMap<u64, BTreeSet<PeerId>> = BTreeMap::new();
        for shared in self.entries.of_content(content) {
            if shared.reached_by(viewer) {
                full.insert(shared.peer);
                claims.entry(shared.entry.size).or_default().insert(shared.peer);
            }
        }
        let (size, _) = claims.iter().max_by_key(|(size, peers)| (peers.len(), Reverse(**size)))?;

        // A peer that is both is a full source.
        let mut sources = self.partial_sources_of(content, request);
        sources.extend(full.iter().map(|peer| (*peer, SourceKind::Full)));
        Some(Location {
            content: *content,
            size: *size,
            total: count(full.len()),
            sources: self.reachable_from_pivot(&sources, request),
        })
    }

    fn partial_sources_of(
        &self,
        content: &ContentId,
        request: &LocateRequest,
    ) -> BTreeMap<PeerId, SourceKind> {
        let first = (*content, PeerId::from_bytes([0; 32]));
        let last = (*content, PeerId::from_bytes([0xff; 32]));
        self.partial_sources
            .range(first..=last)
            .filter(|(_, until)| **until > request.now)
            .map(|((_, peer), _)| (*peer, SourceKind::Partial))
            .collect()
    }

    /// Those that can be reached, around the circle of ids.
    fn reachable_from_pivot(
        &self,
        sources: &BTreeMap<PeerId, SourceKind>,
        request: &LocateRequest,
    ) -> Vec<Source> {
        let from_pivot = sources.range((Bound::Included(request.pivot), Bound::Unbounded));
        let before_pivot = sources.range((Bound::Unbounded, Bound::Excluded(request.pivot)));
        from_pivot
            .chain(before_pivot)
            .filter_map(|(id, kind)| Some((self.peers.get(id)?, *kind)))
            .filter(|(peer, _)| peer.online_since(request.online_since))
            .filter(|(peer, _)| !peer.addresses.is_empty())
            .take(at_most(request.limit))
            .map(|(peer, kind)| Source {
                peer: peer.id,
                owner: peer.owner.clone(),
                addresses: peer.addresses.clone(),
                kind,
            })
            .collect()
    }
}
