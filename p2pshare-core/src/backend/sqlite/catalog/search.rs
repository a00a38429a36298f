//! Searching.

use rusqlite::{Connection, params_from_iter};

use super::{
    claims::Wanted,
    hits::{self, EntryRow, each_entry},
    sight::Sight,
    sources::{Sources, Tally},
    streams::{Stream, streams},
};
use crate::{
    api::Sort,
    backend::sqlite::{database::DatabaseResult, rows},
    content::ContentId,
    index::{
        model::Viewer,
        search::{
            Position, Rank, Search, SearchSlice,
            scan::{Candidates, Judge, NO_RANK, Says, rank_of, relevance_without_words},
            sort_key,
        },
    },
    time::Timestamp,
};

/// So many entries are read one by one in some milliseconds.
const FEW: i64 = 10_000;

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
    let mut streams = streams(&search.query, &search.filter, owner, search.sort);
    if let Some(since) = search.filter.since
        && let Some(recent) = few_since(connection, since)?
        && !are_fewer(connection, &streams, owner, recent)?
    {
        streams = vec![Stream::recent(since, search.sort)];
    } else if search.sort == Sort::Sources && owner.is_none() && is_broad(connection, &streams)? {
        searching.read_by_content()?;
        return searching.finish(limit);
    }
    for stream in streams {
        searching.read(&stream)?;
        if searching.rest_is_too_late(&stream) {
            break;
        }
    }
    searching.finish(limit)
}

/// How many entries were published since then, if they are so few that it can be less work to read them all than those
/// with a word, which may be common.
fn few_since(connection: &Connection, since: Timestamp) -> DatabaseResult<Option<i64>> {
    let most = eighth(connection)?.min(FEW);
    let sql = "SELECT count(*) FROM (SELECT 1 FROM entries INDEXED BY entries_time \
               WHERE published_at >= ?1 LIMIT ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    let found: i64 = statement.query_row((since.as_millis(), most + 1), |row| row.get(0))?;
    Ok(Some(found).filter(|found| *found <= most))
}

/// Whether there are fewer entries than `number` that have the words, or else are the owner's.
fn are_fewer(
    connection: &Connection,
    streams: &[Stream],
    owner: Option<i64>,
    number: i64,
) -> DatabaseResult<bool> {
    let found: i64 = if let Some(expression) = streams.iter().rev().find_map(Stream::expression) {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ?1 LIMIT ?2)";
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row((expression, number), |row| row.get(0))?
    } else if let Some(owner) = owner {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM entries INDEXED BY entries_owner \
                   WHERE owner = ?1 LIMIT ?2)";
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row((owner, number), |row| row.get(0))?
    } else {
        return Ok(false);
    };
    Ok(found < number)
}

/// About an eighth of the number of all entries.
fn eighth(connection: &Connection) -> DatabaseResult<i64> {
    // Row ids begin at 1 and have few gaps.
    let sql = "SELECT coalesce(max(id), 0) / 8 FROM entries";
    Ok(rows::id_of(connection, sql, [])?.unwrap_or(0))
}

/// Whether so large a part of all entries is in the streams that it is less work to count the sources of every content
/// than to look up those of each that is found.
fn is_broad(connection: &Connection, streams: &[Stream]) -> DatabaseResult<bool> {
    let Some(expression) = streams.iter().find_map(Stream::expression) else {
        return Ok(true);
    };
    let enough = eighth(connection)?;
    let sql = "SELECT count(*) FROM (SELECT 1 FROM search WHERE search MATCH ?1 LIMIT ?2)";
    let mut statement = connection.prepare_cached(sql)?;
    let found: i64 = statement.query_row((expression, enough), |row| row.get(0))?;
    Ok(found >= enough)
}

struct Searching<'a> {
    connection: &'a Connection,
    search: &'a Search,
    matcher: Matcher<'a>,
    sources: Sources<'a>,
    candidates: Candidates,
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
        let (content, size) = (entry.content, entry.size);
        let candidate = entry.candidate();
        let says = Says::of(self.search.sort);
        // Cutting paths into words costs most, so it is put off.
        if says != Says::Nothing
            && self.candidates.is_too_late(
                &self.judge().place(&candidate, self.judge().most_relevant(&candidate)),
            )
        {
            return Ok(());
        }
        if self.candidates.is_settled(&content, size) {
            return Ok(());
        }
        let Some(relevance) = self.matcher.relevance(entry) else {
            return Ok(());
        };
        let own = self.judge().place(&candidate, relevance);
        let is_exact = match says {
            Says::Exactly => true,
            // Of all its entries the one that gives the hit its place comes sooner or later.
            Says::First if self.judge().is_passed(&own) || self.candidates.is_too_late(&own) => {
                return Ok(());
            }
            Says::First => self.search.after.is_none(),
            Says::Last | Says::Nothing => false,
        };
        let key = if is_exact {
            own.key
        } else {
            self.candidates.settle(content, size);
            self.exact_key(&content, size)?
        };
        let place = Position { key, content, size };
        if !self.judge().is_passed(&place) {
            self.candidates.offer(place);
        }
        Ok(())
    }

    /// Reads the contents one after another, and only their sources: an entry is looked at when its content has enough
    /// of them.
    fn read_by_content(&mut self) -> DatabaseResult<()> {
        let sql = "SELECT content, size, peer, owner, scope FROM entries INDEXED BY entries_content \
                   ORDER BY content, size, peer";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut tally = Tally::default();
        while let Some(row) = rows.next()? {
            let of = (rows::content(row, 0)?, rows::size(row, 1)?);
            if tally.of != Some(of) {
                self.consider_tally(&tally)?;
                tally = Tally::new(of);
            }
            if self.matcher.sight.sees(row.get(3)?, row.get(4)?) {
                self.sources.add(&mut tally, row.get(2)?)?;
            }
        }
        self.consider_tally(&tally)
    }

    fn consider_tally(&mut self, tally: &Tally) -> DatabaseResult<()> {
        let Some((content, size)) = tally.of else {
            return Ok(());
        };
        let rank = Rank { online: tally.online, sources: tally.all, ..NO_RANK };
        let key = sort_key(self.search.sort, &rank);
        let place = Position { key, content, size };
        if self.judge().is_passed(&place) || self.candidates.is_too_late(&place) {
            return Ok(());
        }
        let mut matches = false;
        let sight = self.matcher.sight;
        let seen = |owner, scope| sight.sees(owner, scope);
        each_entry(self.connection, &content, size, seen, |entry| {
            matches = self.matcher.relevance(entry).is_some();
            Ok(if matches { Wanted::Nothing } else { Wanted::Next })
        })?;
        if matches {
            self.candidates.offer(place);
        }
        Ok(())
    }

    /// The key of a hit, from all that makes it.
    fn exact_key(&mut self, content: &ContentId, size: u64) -> DatabaseResult<i64> {
        let mut rank = Rank { size, ..NO_RANK };
        let sight = self.matcher.sight;
        let seen = |owner, scope| sight.sees(owner, scope);
        if self.search.sort == Sort::Sources {
            let tally = self.sources.count(content, size, seen)?;
            (rank.online, rank.sources) = (tally.online, tally.all);
        } else {
            each_entry(self.connection, content, size, seen, |entry| {
                if let Some(relevance) = self.matcher.relevance(entry) {
                    let own = rank_of(&entry.candidate(), relevance);
                    rank.relevance = rank.relevance.max(own.relevance);
                    rank.published_at = rank.published_at.max(own.published_at);
                }
                Ok(Wanted::Next)
            })?;
        }
        Ok(sort_key(self.search.sort, &rank))
    }

    /// The key of an entry in a stream that is in order: those do not depend on words.
    fn key_without_words(&self, entry: &EntryRow<'_>) -> i64 {
        let relevance = relevance_without_words(entry.words);
        sort_key(self.search.sort, &rank_of(&entry.candidate(), relevance))
    }

    fn judge(&self) -> &Judge<'_> {
        &self.matcher.judge
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

/// Tells whether an entry matches.
struct Matcher<'a> {
    judge: Judge<'a>,
    sight: &'a Sight,
    owner: Option<i64>,
}

impl<'a> Matcher<'a> {
    fn new(search: &'a Search, sight: &'a Sight, owner: Option<i64>) -> Self {
        Self { judge: Judge::new(search), sight, owner }
    }

    /// How well an entry suits the search; `None` if the viewer does not see it or it does not match.
    fn relevance(&mut self, entry: &EntryRow<'_>) -> Option<u32> {
        if !self.sight.sees(entry.owner, entry.scope)
            || self.owner.is_some_and(|owner| owner != entry.owner)
        {
            return None;
        }
        self.judge.relevance(&entry.candidate())
    }
}
