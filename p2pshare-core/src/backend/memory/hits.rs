//! Hits: of a search, and of one content.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{State, at_most, count, entries::Shared};
use crate::{
    api::{Hit, HitName},
    content::ContentId,
    index::{
        model::Viewer,
        search::{
            NAMES_PER_HIT, Position, Rank, Search, SearchSlice, by_sources, relevance, sort_key,
        },
    },
    time::Timestamp,
};

impl State {
    pub(super) fn search(&self, viewer: &Viewer, search: &Search) -> SearchSlice {
        let mut contents: BTreeMap<(ContentId, u64), Vec<Named<'_>>> = BTreeMap::new();
        for shared in self.entries.matching(&search.query) {
            let entry = &shared.entry;
            if shared.seen_by(viewer)
                && search.filter.accepts(
                    &entry.path,
                    entry.size,
                    &shared.owner,
                    shared.published_at,
                )
            {
                let relevance = relevance(&search.query, &shared.words, &shared.name_words);
                let names = contents.entry((entry.content, entry.size)).or_default();
                names.push(Named { relevance, shared });
            }
        }

        let mut hits = Vec::new();
        for ((content, size), names) in &contents {
            let seen = |shared: &Shared| shared.entry.size == *size && shared.seen_by(viewer);
            let (online, sources) = self.presence(content, search.online_since, seen);
            let best = names.iter().map(|name| name.relevance).max();
            let rank = Rank {
                relevance: best.unwrap_or_default(),
                size: *size,
                published_at: newest(names),
                online,
                sources,
            };
            let position =
                Position { key: sort_key(search.sort, &rank), content: *content, size: *size };
            if search.after.is_none_or(|after| position > after) {
                hits.push((position, names, rank));
            }
        }
        hits.sort_unstable_by_key(|(position, ..)| *position);
        let more = hits.len() > at_most(search.limit);
        hits.truncate(at_most(search.limit));
        let last = hits.last().map(|(position, ..)| *position);
        let hit = |(position, names, rank): &(Position, &Vec<Named<'_>>, Rank)| Hit {
            content: position.content,
            size: position.size,
            names: best_names(names),
            published_at: rank.published_at,
            online: rank.online,
            sources: rank.sources,
        };
        SearchSlice { hits: hits.iter().map(hit).collect(), next: last.filter(|_| more) }
    }

    /// All hits of a content, in order of size.
    pub(super) fn content(
        &self,
        viewer: &Viewer,
        content: &ContentId,
        online_since: Timestamp,
    ) -> Vec<Hit> {
        let mut sizes: BTreeMap<u64, Vec<Named<'_>>> = BTreeMap::new();
        for shared in self.entries.of_content(content) {
            if shared.reached_by(viewer) {
                let names = sizes.entry(shared.entry.size).or_default();
                names.push(Named { relevance: 0, shared });
            }
        }
        let hit = |(size, names): (u64, Vec<Named<'_>>)| {
            let reached = |shared: &Shared| shared.entry.size == size && shared.reached_by(viewer);
            let (online, sources) = self.presence(content, online_since, reached);
            Hit {
                content: *content,
                size,
                names: best_names(&names),
                published_at: newest(&names),
                online,
                sources,
            }
        };
        let mut hits: Vec<_> = sizes.into_iter().map(hit).collect();
        hits.sort_by_key(by_sources);
        hits
    }

    /// How many peers have an entry of the content for which `counts` is true: those online, and all.
    fn presence(
        &self,
        content: &ContentId,
        online_since: Timestamp,
        counts: impl Fn(&Shared) -> bool,
    ) -> (u32, u32) {
        let entries = self.entries.of_content(content).filter(|shared| counts(shared));
        let ids: BTreeSet<_> = entries.map(|shared| shared.peer).collect();
        let peers = ids.iter().filter_map(|id| self.peers.get(id));
        let online = peers.filter(|peer| peer.online_since(online_since)).count();
        (count(online), count(ids.len()))
    }
}

/// An entry that makes a hit, and how well it suits the query.
struct Named<'a> {
    relevance: u32,
    shared: &'a Shared,
}

fn newest(names: &[Named<'_>]) -> Timestamp {
    let times = names.iter().map(|name| name.shared.published_at);
    times.max().unwrap_or_default()
}

/// Most relevant first, then in order of path and owner; each once.
fn best_names(names: &[Named<'_>]) -> Vec<HitName> {
    let order = |name: &Named<'_>| {
        let path = name.shared.entry.path.clone();
        let owner = name.shared.owner.clone();
        (Reverse(name.relevance), HitName { path, owner })
    };
    let sorted: BTreeSet<_> = names.iter().map(order).collect();
    sorted.into_iter().map(|(_, name)| name).take(NAMES_PER_HIT).collect()
}
