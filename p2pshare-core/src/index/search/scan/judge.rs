//! What one entry says of its hit.

use super::{PathWords, path_words::relevance_without_words};
use crate::{
    api::{Kind, Sort},
    content::ContentId,
    index::search::{Filter, Position, Rank, Search, sort_key},
    time::Timestamp,
};

/// What the place of one entry says of that of its hit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Says {
    /// They are equal.
    Exactly,
    /// The hit's is the first of its entries'.
    First,
    /// The hit's is the last of its entries'.
    Last,
    /// Nothing.
    Nothing,
}

impl Says {
    pub(crate) fn of(sort: Sort) -> Self {
        match sort {
            Sort::Largest | Sort::Smallest => Self::Exactly,
            Sort::Relevance | Sort::Newest => Self::First,
            Sort::Oldest => Self::Last,
            Sort::Sources => Self::Nothing,
        }
    }
}

/// What an entry is judged by. Who may see it, and whose it is, the store tells by itself.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'e> {
    pub(crate) content: ContentId,
    pub(crate) size: u64,
    pub(crate) published_at: i64,
    /// How many different words its path has.
    pub(crate) words: u32,
    pub(crate) path: &'e str,
}

/// The rank of a hit without entries.
pub(crate) const NO_RANK: Rank = Rank {
    relevance: 0,
    size: 0,
    published_at: Timestamp::from_millis(i64::MIN),
    online: 0,
    sources: 0,
};

/// The rank of a hit that has this entry alone, as far as the entry tells.
pub(crate) fn rank_of(entry: &Candidate<'_>, relevance: u32) -> Rank {
    Rank {
        relevance,
        size: entry.size,
        published_at: Timestamp::from_millis(entry.published_at),
        ..NO_RANK
    }
}

/// Tells of one entry after another how well it suits a search.
pub(crate) struct Judge<'a> {
    search: &'a Search,
    words: PathWords,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(search: &'a Search) -> Self {
        Self { search, words: PathWords::default() }
    }

    /// How well an entry suits the search; `None` if its size, its time, its extension or its words do not match.
    pub(crate) fn relevance(&mut self, entry: &Candidate<'_>) -> Option<u32> {
        let query = &self.search.query;
        if !passes(&self.search.filter, entry) {
            return None;
        }
        if query.include.is_empty() && query.exclude.is_empty() {
            return Some(relevance_without_words(entry.words));
        }
        self.words.cut(entry.path);
        self.words.match_query(query).then(|| self.words.relevance(query))
    }

    /// The highest relevance that an entry can have, whatever its words.
    pub(crate) fn most_relevant(&self, entry: &Candidate<'_>) -> u32 {
        let words = u32::try_from(self.search.query.include.len()).unwrap_or(u32::MAX);
        words.saturating_mul(2000).saturating_add(relevance_without_words(entry.words))
    }

    /// The place of a hit that has this entry alone.
    pub(crate) fn place(&self, entry: &Candidate<'_>, relevance: u32) -> Position {
        Position {
            key: sort_key(self.search.sort, &rank_of(entry, relevance)),
            content: entry.content,
            size: entry.size,
        }
    }

    /// Whether a hit in this place is on an earlier page.
    pub(crate) fn is_passed(&self, place: &Position) -> bool {
        self.search.after.is_some_and(|after| *place <= after)
    }
}

/// As [`Filter::accepts`], but for the owner.
fn passes(filter: &Filter, entry: &Candidate<'_>) -> bool {
    let size = entry.size;
    if filter.min_size.is_some_and(|min| size < min)
        || filter.max_size.is_some_and(|max| size > max)
        || filter.since.is_some_and(|since| entry.published_at < since.as_millis())
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

/// As [`SharePath::extension`](crate::path::SharePath::extension), of a path that need not be parsed for it.
fn extension(path: &str) -> Option<String> {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.is_empty()).then(|| extension.to_lowercase())
}
