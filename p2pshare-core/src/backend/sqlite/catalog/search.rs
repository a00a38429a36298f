//! Searching.

use rusqlite::{Connection, params_from_iter};

use super::{
    candidates::Candidates,
    hits::{self, EntryRow, each_entry},
    sight::Sight,
    sources::Sources,
    streams::{Stream, streams},
    words::{PathWords, relevance_without_words},
};
use crate::{
    api::{Kind, Sort},
    backend::sqlite::{database::DatabaseResult, rows},
    content::ContentId,
    index::{
        model::Viewer,
        search::{Position, Rank, Search, SearchSlice, sort_key},
    },
    time::Timestamp,
};

/// The hits of a search.
///
/// Entries that may match are read one after another, and the best hits are kept: memory depends on the limit, not on
/// how many there are.
pub(super) fn search(
    connection: &Connection,
    viewer: &Viewer,
    search: &Search,
) -> DatabaseResult<SearchSlice> {
    let sight = Sight::of(connection, viewer)?;
    let owner = match &search.filter.owner {
        None => None,
        Some(name) => match rows::user_id(connection, name)? {
            None => return Ok(SearchSlice::default()),
            found => found,
        },
    };
    let limit = search.limit as usize;
    let mut searching = Searching {
        connection,
        search,
        matcher: Matcher::new(search, &sight, owner),
        sources: Sources::new(connection, search.online_since),
        // One more tells whether others follow.
        candidates: Candidates::new(limit.saturating_add(1)),
    };
    for stream in streams(&search.query, &search.filter, owner, search.sort) {
        searching.read(&stream)?;
        if searching.rest_is_too_late(&stream) {
            break;
        }
    }
    searching.finish(limit)
}

struct Searching<'a> {
    connection: &'a Connection,
    search: &'a Search,
    matcher: Matcher<'a>,
    sources: Sources<'a>,
    candidates: Candidates,
}

/// What the key of one entry says of that of its hit.
enum Says {
    /// They are equal.
    Exactly,
    /// The hit's is the smallest of its entries.
    AtMost,
    /// Nothing that would be of use.
    Nothing,
}

impl Searching<'_> {
    fn read(&mut self, stream: &Stream) -> DatabaseResult<()> {
        let mut statement = self.connection.prepare_cached(stream.sql)?;
        let mut rows = statement.query(params_from_iter(&stream.parameters))?;
        while let Some(row) = rows.next()? {
            let entry = EntryRow::read(row)?;
            if stream.in_order
                && let Some(bar) = self.candidates.bar()
                && self.key_without_words(&entry) > bar.key
            {
                break;
            }
            self.consider(&entry)?;
        }
        Ok(())
    }

    fn consider(&mut self, entry: &EntryRow<'_>) -> DatabaseResult<()> {
        let Some(relevance) = self.matcher.relevance(entry) else {
            return Ok(());
        };
        let (content, size) = (entry.content, entry.size);
        let place = |key| Position { key, content, size };
        let own = place(sort_key(self.search.sort, &rank_of(entry, relevance)));
        let passed = |position| self.search.after.is_some_and(|after| position <= after);
        let says = match self.search.sort {
            Sort::Largest | Sort::Smallest => Says::Exactly,
            Sort::Relevance | Sort::Newest => Says::AtMost,
            Sort::Oldest | Sort::Sources => Says::Nothing,
        };
        match says {
            Says::Exactly if passed(own) => return Ok(()),
            Says::AtMost if passed(own) || self.candidates.is_too_late(&own) => return Ok(()),
            // The entry that gives the hit its place comes sooner or later.
            Says::AtMost if self.search.after.is_none() => self.candidates.offer(own),
            Says::Exactly => self.candidates.offer(own),
            Says::AtMost | Says::Nothing if self.candidates.is_settled(&content, size) => {}
            Says::AtMost | Says::Nothing => {
                let exact = place(self.exact_key(&content, size)?);
                if self.search.after.is_none_or(|after| exact > after) {
                    self.candidates.offer(exact);
                }
                self.candidates.settle(content, size);
            }
        }
        Ok(())
    }

    /// The key of a hit, from all that makes it.
    fn exact_key(&mut self, content: &ContentId, size: u64) -> DatabaseResult<i64> {
        let mut rank = Rank {
            relevance: 0,
            size,
            published_at: Timestamp::from_millis(i64::MIN),
            online: 0,
            sources: 0,
        };
        if self.search.sort == Sort::Sources {
            let sight = self.matcher.sight;
            let seen = |owner, scope| sight.sees(owner, scope);
            (rank.online, rank.sources) = self.sources.count(content, size, seen)?;
        } else {
            each_entry(self.connection, content, size, |entry| {
                if let Some(relevance) = self.matcher.relevance(entry) {
                    let own = rank_of(entry, relevance);
                    rank.relevance = rank.relevance.max(own.relevance);
                    rank.published_at = rank.published_at.max(own.published_at);
                }
                Ok(())
            })?;
        }
        Ok(sort_key(self.search.sort, &rank))
    }

    /// The key of an entry in a stream that is in order: those do not depend on words.
    fn key_without_words(&self, entry: &EntryRow<'_>) -> i64 {
        let relevance = relevance_without_words(entry.words);
        sort_key(self.search.sort, &rank_of(entry, relevance))
    }

    fn rest_is_too_late(&self, stream: &Stream) -> bool {
        let (Some(best), Some(bar)) = (stream.best_of_rest, self.candidates.bar()) else {
            return false;
        };
        -i64::from(best) > bar.key
    }

    fn finish(mut self, limit: usize) -> DatabaseResult<SearchSlice> {
        let mut positions = self.candidates.into_positions();
        let more = positions.len() > limit;
        positions.truncate(limit);
        let mut hits = Vec::with_capacity(positions.len());
        let sight = self.matcher.sight;
        for place in &positions {
            let hit = hits::hit(
                self.connection,
                &mut self.sources,
                &place.content,
                place.size,
                |entry| self.matcher.relevance(entry),
                |owner, scope| sight.sees(owner, scope),
            )?;
            hits.extend(hit);
        }
        Ok(SearchSlice { hits, next: positions.last().copied().filter(|_| more) })
    }
}

/// The rank of a hit that has this entry alone, as far as the entry tells.
fn rank_of(entry: &EntryRow<'_>, relevance: u32) -> Rank {
    Rank {
        relevance,
        size: entry.size,
        published_at: Timestamp::from_millis(entry.published_at),
        online: 0,
        sources: 0,
    }
}

/// Tells whether an entry matches.
struct Matcher<'a> {
    search: &'a Search,
    sight: &'a Sight,
    owner: Option<i64>,
    words: PathWords,
}

impl<'a> Matcher<'a> {
    fn new(search: &'a Search, sight: &'a Sight, owner: Option<i64>) -> Self {
        Self { search, sight, owner, words: PathWords::default() }
    }

    /// How well an entry suits the search; `None` if the viewer does not see it or it does not match.
    fn relevance(&mut self, entry: &EntryRow<'_>) -> Option<u32> {
        let query = &self.search.query;
        if !self.sight.sees(entry.owner, entry.scope) || !self.passes_filter(entry) {
            return None;
        }
        if query.include.is_empty() && query.exclude.is_empty() {
            return Some(relevance_without_words(entry.words));
        }
        self.words.cut(entry.path);
        self.words.match_query(query).then(|| self.words.relevance(query))
    }

    /// As [`Filter::accepts`](crate::index::search::Filter::accepts).
    fn passes_filter(&self, entry: &EntryRow<'_>) -> bool {
        let filter = &self.search.filter;
        let size = entry.size;
        if self.owner.is_some_and(|owner| owner != entry.owner)
            || filter.min_size.is_some_and(|min| size < min)
            || filter.max_size.is_some_and(|max| size > max)
        {
            return false;
        }
        if filter.extensions.is_empty() && filter.kind.is_none() {
            return true;
        }
        let extension = extension(entry.path);
        let extension = extension.as_deref();
        (filter.extensions.is_empty()
            || extension.is_some_and(|own| filter.extensions.iter().any(|wanted| wanted == own)))
            && filter.kind.is_none_or(|kind| kind == Kind::of(extension))
    }
}

/// As [`SharePath::extension`](crate::path::SharePath::extension), of a path that need not be parsed for it.
fn extension(path: &str) -> Option<String> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty()).then(|| extension.to_lowercase())
}
