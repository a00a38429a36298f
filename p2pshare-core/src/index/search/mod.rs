//! What a search means, the same for every store.
//!
//! Names and queries are cut into [words] alike. A path *matches* if every included word is the beginning of
//! one of its words and no excluded term matches it (a term that is cut into several words matches when all of them
//! do). A content is a *hit* if a path that the viewer sees matches and passes the filters; its names, its time and
//! its relevance come from those matching entries, its sources from all entries that the viewer sees.

mod cursor;
mod kind;
mod query;
#[cfg(any(feature = "mongodb", feature = "sqlite"))]
pub(crate) mod scan;
mod words;

pub use cursor::{Cursor, CursorError};
pub use kind::extensions_of;
pub use query::{MAX_QUERY_WORDS, Query, QueryError};
pub use words::{MAX_WORD_CHARS, words};

use std::{cmp::Reverse, collections::BTreeSet};

use crate::{
    api::{Hit, Kind, Sort},
    content::ContentId,
    identity::Username,
    path::SharePath,
    time::Timestamp,
};

/// By what the hits of one content are sorted: what most have first, then what most have online, then the smallest. So who
/// claims other sizes of a content does not hide what others share.
pub fn by_sources(hit: &Hit) -> (Reverse<(u32, u32)>, u64) {
    (Reverse((hit.sources, hit.online)), hit.size)
}

/// Most names in a hit.
pub const NAMES_PER_HIT: usize = 8;

/// A search as a store executes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The words.
    pub query: Query,
    /// What else a matching entry must be.
    pub filter: Filter,
    /// Order of the hits; equal ones are in order of content id, then size.
    pub sort: Sort,
    /// Only hits after this position.
    pub after: Option<Position>,
    /// Most hits.
    pub limit: u32,
    /// Sources heard of at this time or later are online.
    pub online_since: Timestamp,
}

/// What a matching entry must be, besides its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// One of these extensions, as [`SharePath::extension`] gives them. Empty: any.
    pub extensions: Vec<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// At least so many bytes.
    pub min_size: Option<u64>,
    /// At most so many bytes.
    pub max_size: Option<u64>,
    /// Shared by this user.
    pub owner: Option<Username>,
    /// Published at this time or later.
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Whether an entry passes.
    pub fn accepts(
        &self,
        path: &SharePath,
        size: u64,
        owner: &Username,
        published_at: Timestamp,
    ) -> bool {
        let extension = path.extension();
        let extension = extension.as_deref();
        (self.extensions.is_empty()
            || extension.is_some_and(|own| self.extensions.iter().any(|wanted| wanted == own)))
            && self.kind.is_none_or(|kind| kind == Kind::of(extension))
            && self.min_size.is_none_or(|min| size >= min)
            && self.max_size.is_none_or(|max| size <= max)
            && self.owner.as_ref().is_none_or(|wanted| wanted == owner)
            && self.since.is_none_or(|since| published_at >= since)
    }
}

/// The place of a hit in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The [sort key](sort_key) of the hit: smaller comes first.
    pub key: i64,
    /// Its content.
    pub content: ContentId,
    /// Its size.
    pub size: u64,
}

/// A store's answer: at most `limit` hits in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchSlice {
    /// The hits.
    pub hits: Vec<Hit>,
    /// Position of the last hit, if more follow it.
    pub next: Option<Position>,
}

/// What the order of a hit is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Highest [`relevance`] of its matching entries.
    pub relevance: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Newest time of its matching entries.
    pub published_at: Timestamp,
    /// Peers that are online and share it, as the viewer sees it.
    pub online: u32,
    /// Peers that share it, as the viewer sees it.
    pub sources: u32,
}

/// The number by which hits are ordered: smaller comes first.
///
/// Sizes above `i64::MAX` count as that.
pub fn sort_key(sort: Sort, rank: &Rank) -> i64 {
    let size = i64::try_from(rank.size).unwrap_or(i64::MAX);
    match sort {
        Sort::Relevance => -i64::from(rank.relevance),
        Sort::Largest => -size,
        Sort::Smallest => size,
        Sort::Newest => -rank.published_at.as_millis(),
        Sort::Oldest => rank.published_at.as_millis(),
        Sort::Sources => -(i64::from(rank.online) << 32 | i64::from(rank.sources)),
    }
}

/// How well a path that matches suits the query: 1,000 for each included word that is a whole word of the path, 1,000
/// more if it is one of the file's own name, and up to 999 for a short path.
pub fn relevance(
    query: &Query,
    path_words: &BTreeSet<String>,
    name_words: &BTreeSet<String>,
) -> u32 {
    let found = |words: &BTreeSet<String>| {
        query.include.iter().filter(|word| words.contains(*word)).count()
    };
    let whole = 1000 * (found(path_words) + found(name_words));
    let brevity = 999 - path_words.len().min(999);
    u32::try_from(whole + brevity).unwrap_or(u32::MAX)
}

/// The words of a path, and those of its last part: what a store indexes for an entry.
pub fn path_words(path: &SharePath) -> (BTreeSet<String>, BTreeSet<String>) {
    (words(path.as_str()).collect(), words(path.file_name()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(query: &str, path: &str) -> u32 {
        let path = SharePath::parse(path).unwrap();
        let (path_words, name_words) = path_words(&path);
        relevance(&Query::parse(query).unwrap(), &path_words, &name_words)
    }

    #[test]
    fn whole_words_of_the_name_come_first() {
        let in_name = score("blue train", "Coltrane/Blue Train.flac");
        let in_folder = score("blue train", "Blue Train/Locomotion.flac");
        let beginnings = score("blue train", "Coltrane/Bluebird Training.flac");
        assert!(in_name > in_folder && in_folder > beginnings);
        assert!(score("train", "train.mp3") > score("train", "the/long/way/to/the/train.mp3"));
    }

    #[test]
    fn keys_order_as_the_sort_says() {
        let small = Rank {
            relevance: 1,
            size: 1,
            published_at: Timestamp::from_millis(5),
            online: 0,
            sources: 9,
        };
        let large = Rank {
            relevance: 2,
            size: u64::MAX,
            published_at: Timestamp::from_millis(6),
            online: 1,
            sources: 1,
        };
        for sort in [Sort::Relevance, Sort::Largest, Sort::Newest, Sort::Sources] {
            assert!(sort_key(sort, &large) < sort_key(sort, &small), "{sort:?}");
        }
        for sort in [Sort::Smallest, Sort::Oldest] {
            assert!(sort_key(sort, &small) < sort_key(sort, &large), "{sort:?}");
        }
    }
}
