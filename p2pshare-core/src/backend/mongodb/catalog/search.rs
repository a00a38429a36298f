//! Searching.
//!
//! Entries that may match are read one stream after another, in the order of their hits where there is an index for it,
//! and the best hits are kept: memory depends on the limit, not on how many there are.

use std::collections::{BTreeSet, HashMap};

use mongodb::bson::{Document, doc};

use super::{
    hits::{Name, contents_of, each_entry, gather},
    online::Online,
    plan::{Plan, Stream},
    sight::Sight,
};
use crate::{
    api::Sort,
    backend::mongodb::{
        by,
        database::{MongoResult, Reading},
        documents::{Bytes32, EntryDoc},
    },
    index::{
        model::Viewer,
        search::{
            Position, Rank, Search, SearchSlice,
            scan::{Candidates, Judge, NO_RANK, Says, rank_of},
            sort_key,
        },
    },
};

/// Entries of a stream that is in order are judged and asked for so many at a time, those of one that is not so many.
const FEW: u32 = 200;
const MANY: u32 = 2000;

/// The hits of a search.
pub(super) async fn search(
    reading: &mut Reading<'_>,
    viewer: &Viewer,
    search: &Search,
) -> MongoResult<SearchSlice> {
    let sight = Sight::of(viewer);
    let limit = search.limit as usize;
    let mut plan = Plan::new(reading.database, search, &sight).await?;
    let mut searching = Searching {
        reading,
        search,
        matcher: Matcher { judge: Judge::new(search), sight: &sight, search },
        online: Online::new(search.online_since),
        // One more tells whether others follow.
        candidates: Candidates::new(limit.saturating_add(1)),
    };
    while let Some(stream) = plan.next() {
        searching.read(&stream).await?;
        if searching.candidates.bar().is_some_and(|bar| stream.is_enough(bar)) {
            break;
        }
    }
    searching.finish(limit).await
}

struct Searching<'a, 'r, 'd> {
    reading: &'r mut Reading<'d>,
    search: &'a Search,
    matcher: Matcher<'a>,
    online: Online,
    candidates: Candidates,
}

impl Searching<'_, '_, '_> {
    async fn read(&mut self, stream: &Stream) -> MongoResult<()> {
        let at_once = if stream.sort.is_some() { FEW } else { MANY };
        let find = self.reading.database.entries.find(stream.filter.clone());
        let find = find.hint(by(stream.index)).projection(doc! { "w": 0 }).batch_size(at_once);
        let find = match &stream.sort {
            Some(sort) => find.sort(sort.clone()),
            None => find,
        };
        let mut found = find.session(&mut self.reading.session).await?;
        let mut unknown: BTreeSet<Name> = BTreeSet::new();
        let mut is_past = false;
        while !is_past && found.advance(&mut self.reading.session).await? {
            let entry = found.deserialize_current()?;
            is_past = self.candidates.bar().is_some_and(|bar| stream.is_past(&entry, bar));
            if !is_past && let Some(name) = self.consider(&entry)? {
                unknown.insert(name);
                if unknown.len() >= at_once as usize {
                    self.offer_exactly(std::mem::take(&mut unknown)).await?;
                }
            }
        }
        self.offer_exactly(unknown).await
    }

    /// Offers the hit of an entry, or gives its name if more must be read to know its place.
    fn consider(&mut self, entry: &EntryDoc) -> MongoResult<Option<Name>> {
        let candidate = entry.candidate()?;
        let (content, size) = (candidate.content, candidate.size);
        if self.candidates.is_settled(&content, size) {
            return Ok(None);
        }
        let judge = &self.matcher.judge;
        let says = Says::of(self.search.sort);
        if says != Says::Nothing {
            let best = judge.place(&candidate, judge.most_relevant(&candidate));
            if self.candidates.is_too_late(&best) {
                return Ok(None);
            }
        }
        let Some(relevance) = self.matcher.relevance(entry)? else {
            return Ok(None);
        };
        let judge = &self.matcher.judge;
        let own = judge.place(&candidate, relevance);
        let is_exact = match says {
            Says::Exactly => true,
            // Of all its entries the one that gives the hit its place comes sooner or later.
            Says::First if judge.is_passed(&own) || self.candidates.is_too_late(&own) => {
                return Ok(None);
            }
            Says::First => self.search.after.is_none(),
            Says::Last | Says::Nothing => false,
        };
        if is_exact {
            self.offer(own);
            return Ok(None);
        }
        self.candidates.settle(content, size);
        Ok(Some((content, size)))
    }

    fn offer(&mut self, place: Position) {
        if !self.matcher.judge.is_passed(&place) {
            self.candidates.offer(place);
        }
    }

    /// Offers hits after all that makes them was read.
    async fn offer_exactly(&mut self, names: BTreeSet<Name>) -> MongoResult<()> {
        let ranks = if self.search.sort == Sort::Sources {
            self.tally(&names).await?
        } else {
            self.ranks(&names).await?
        };
        for ((content, size), rank) in ranks {
            let key = sort_key(self.search.sort, &rank);
            self.offer(Position { key, content, size });
        }
        Ok(())
    }

    /// The ranks of hits, from their entries that match.
    async fn ranks(&mut self, names: &BTreeSet<Name>) -> MongoResult<HashMap<Name, Rank>> {
        let mut ranks: HashMap<Name, Rank> = HashMap::new();
        let matcher = &mut self.matcher;
        each_entry(self.reading, &contents_of(names), &matcher.sight.seen(), |entry| {
            let name = entry.name()?;
            if names.contains(&name)
                && let Some(relevance) = matcher.relevance(&entry)?
            {
                let own = rank_of(&entry.candidate()?, relevance);
                let rank = ranks.entry(name).or_insert(Rank { size: name.1, ..NO_RANK });
                rank.relevance = rank.relevance.max(own.relevance);
                rank.published_at = rank.published_at.max(own.published_at);
            }
            Ok(())
        })
        .await?;
        Ok(ranks)
    }

    /// The numbers of sources of hits.
    async fn tally(&mut self, names: &BTreeSet<Name>) -> MongoResult<HashMap<Name, Rank>> {
        let mut peers: HashMap<Name, BTreeSet<Bytes32>> = HashMap::new();
        each_entry(self.reading, &contents_of(names), &self.matcher.sight.seen(), |entry| {
            let name = entry.name()?;
            if names.contains(&name) {
                peers.entry(name).or_default().insert(entry.key.p);
            }
            Ok(())
        })
        .await?;
        self.online.look_up(self.reading, peers.values().flatten().copied()).await?;
        let count = |peers: usize| u32::try_from(peers).unwrap_or(u32::MAX);
        let rank = |(name, peers): (Name, BTreeSet<Bytes32>)| {
            let online = peers.iter().filter(|peer| self.online.is_online(peer)).count();
            let (online, sources) = (count(online), count(peers.len()));
            (name, Rank { online, sources, size: name.1, ..NO_RANK })
        };
        Ok(peers.into_iter().map(rank).collect())
    }

    async fn finish(mut self, limit: usize) -> MongoResult<SearchSlice> {
        let mut positions = self.candidates.into_positions();
        let more = positions.len() > limit;
        positions.truncate(limit);
        let names: Vec<Name> = positions.iter().map(|place| (place.content, place.size)).collect();
        let seen: Document = self.matcher.sight.seen();
        let matcher = &mut self.matcher;
        let relevance = |entry: &EntryDoc| matcher.relevance(entry);
        let hits = gather(self.reading, &mut self.online, &names, &seen, relevance).await?;
        Ok(SearchSlice { hits, next: positions.last().copied().filter(|_| more) })
    }
}

/// Tells whether an entry matches.
struct Matcher<'a> {
    judge: Judge<'a>,
    sight: &'a Sight,
    search: &'a Search,
}

impl Matcher<'_> {
    /// How well an entry suits the search; `None` if the viewer does not see it or it does not match.
    fn relevance(&mut self, entry: &EntryDoc) -> MongoResult<Option<u32>> {
        let owner = self.search.filter.owner.as_ref();
        if !self.sight.sees(&entry.o, &entry.v)
            || owner.is_some_and(|owner| owner.as_str() != entry.o)
        {
            return Ok(None);
        }
        Ok(self.judge.relevance(&entry.candidate()?))
    }
}
