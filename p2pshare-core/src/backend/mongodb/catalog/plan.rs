//! In which order the entries of a search are read.

use mongodb::bson::{Bson, Document, doc};

use super::sight::Sight;
use crate::{
    api::{Kind, Sort},
    backend::mongodb::{
        by,
        database::{Database, MongoResult, patiently},
        documents::{EntryDoc, content_key, word_key},
    },
    index::search::{Filter, Position, Search, extensions_of},
    time::Timestamp,
};

/// A word with no more entries than this is rare: to read them all is the least work.
const RARE: u64 = 1000;

/// A word with more entries than this is common: entries are rather read in the order of the hits, and those without the
/// word passed over.
const COMMON: u64 = 10_000;

/// How many entries have a word that begins so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Frequency {
    Rare,
    Some,
    Common,
}

/// Entries that may match, read by one question.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) filter: Document,
    pub(super) index: &'static str,
    pub(super) sort: Option<Document>,
    order: Order,
    /// The lowest key that an entry can have which is in a later stream only; `None` if nobody knows.
    best_of_rest: Option<i64>,
}

/// What the place of an entry in its stream says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Nothing.
    Any,
    /// No entry of it has a lower key than this one, then that of one with more words, each time by one.
    Brevity { whole_words: i64 },
    /// The key is the time or the size, which the sort tells.
    Key(Sort),
}

impl Stream {
    /// Whether neither this entry nor any after it in the stream comes before `bar`.
    pub(super) fn is_past(&self, entry: &EntryDoc, bar: &Position) -> bool {
        let lowest = match self.order {
            Order::Any => return false,
            Order::Brevity { whole_words } => -(1000 * whole_words + 999 - i64::from(entry.n)),
            Order::Key(Sort::Newest) => -entry.at,
            Order::Key(Sort::Oldest) => entry.at,
            Order::Key(Sort::Largest) => -entry.s,
            Order::Key(_) => entry.s,
        };
        let backwards = matches!(self.order, Order::Key(Sort::Oldest | Sort::Smallest));
        let first = if backwards { i64::MIN } else { entry.k };
        (lowest, first) > (bar.key, content_key(&bar.content))
    }

    /// Whether nothing in a later stream comes before `bar`.
    pub(super) fn is_enough(&self, bar: &Position) -> bool {
        self.best_of_rest.is_some_and(|best| best > bar.key)
    }
}

/// What the streams of a search are made from.
pub(super) struct Plan<'a> {
    search: &'a Search,
    /// What every entry must be.
    base: Vec<Document>,
    /// The included words, the rarest first.
    words: Vec<(String, Frequency)>,
    /// What was published in the time that is asked for is no more than that of a rare word.
    is_recent: bool,
    next: usize,
}

impl<'a> Plan<'a> {
    pub(super) async fn new(
        database: &Database,
        search: &'a Search,
        sight: &Sight,
    ) -> MongoResult<Self> {
        let mut base = filtered(&search.filter);
        base.push(sight.seen());
        let is_recent = match search.filter.since {
            Some(since) => are_few(database, since).await?,
            None => false,
        };
        let frequencies = search.query.include.iter().map(async |word| match is_recent {
            // It does not matter.
            true => Ok(Frequency::Some),
            false => frequency(database, word).await,
        });
        let frequencies = futures::future::try_join_all(frequencies).await?;
        let mut words: Vec<_> = search.query.include.iter().cloned().zip(frequencies).collect();
        // Of equally frequent ones the longest says most.
        words.sort_by_key(|(word, frequency)| (*frequency, std::cmp::Reverse(word.len())));
        Ok(Self { search, base, words, is_recent, next: 0 })
    }

    /// The next stream; `None` after the last. All streams together have every entry that matches.
    pub(super) fn next(&mut self) -> Option<Stream> {
        let number = self.next;
        self.next += 1;
        if self.is_recent {
            return (number == 0).then(|| self.recent());
        }
        let Some((rarest, frequency)) = self.words.first() else {
            return (number == 0).then(|| self.without_words());
        };
        let whole = i64::try_from(self.words.len()).unwrap_or(i64::MAX / 4000);
        let others = 2 * (whole - 1);
        // All entries of some words are not too many to read. But those of one word stand in the order of their hits.
        let is_read_whole = match frequency {
            Frequency::Rare => true,
            Frequency::Some => whole > 1,
            Frequency::Common => false,
        };
        let stream = match (number, self.search.sort) {
            (0, _) if is_read_whole => self.matching(rarest),
            _ if is_read_whole => return None,
            (0, Sort::Relevance) => {
                self.whole_word(rarest, true, 2 * whole, 1000 * (others + 1) + 999)
            }
            (1, Sort::Relevance) => self.whole_word(rarest, false, others + 1, 1000 * others + 999),
            (2, Sort::Relevance) if *frequency == Frequency::Some => self.matching(rarest),
            (2, Sort::Relevance) => self.in_order(others),
            (0, Sort::Sources) => self.matching(rarest),
            (0, _) => self.in_order(0),
            _ => return None,
        };
        Some(stream)
    }

    /// Entries that have this very word, in their name or not, short paths first.
    fn whole_word(&self, word: &str, in_name: bool, whole_words: i64, best_of_rest: i64) -> Stream {
        let others = self.all_words(Some(word));
        Stream {
            filter: self.all(Some(doc! { "w": word_key(word, in_name) }), others),
            index: "words",
            sort: Some(doc! { "n": 1, "k": 1 }),
            order: Order::Brevity { whole_words },
            best_of_rest: Some(-best_of_rest),
        }
    }

    /// All entries that match, by their rarest word.
    fn matching(&self, rarest: &str) -> Stream {
        let others = self.all_words(Some(rarest));
        Stream {
            filter: self.all(Some(doc! { "w": { "$elemMatch": begins(rarest) } }), others),
            index: "words",
            sort: None,
            order: Order::Any,
            best_of_rest: None,
        }
    }

    /// All entries that match, in the order of the hits.
    fn in_order(&self, whole_words: i64) -> Stream {
        let (index, field, order) = match self.search.sort {
            Sort::Relevance | Sort::Sources => ("brief", "n", Order::Brevity { whole_words }),
            Sort::Newest | Sort::Oldest => ("time", "at", Order::Key(self.search.sort)),
            Sort::Largest | Sort::Smallest => ("size", "s", Order::Key(self.search.sort)),
        };
        // Read backwards, the contents of one key come backwards too.
        let sort = match self.search.sort {
            Sort::Oldest | Sort::Smallest => doc! { field: 1, "k": -1 },
            Sort::Newest | Sort::Largest => doc! { field: -1, "k": 1 },
            Sort::Relevance | Sort::Sources => doc! { field: 1, "k": 1 },
        };
        Stream {
            filter: self.all(None, self.all_words(None)),
            index,
            sort: Some(sort),
            order,
            best_of_rest: None,
        }
    }

    /// All entries that match, by their time.
    fn recent(&self) -> Stream {
        if matches!(self.search.sort, Sort::Newest | Sort::Oldest) {
            return self.in_order(0);
        }
        Stream {
            filter: self.all(None, self.all_words(None)),
            index: "time",
            sort: None,
            order: Order::Any,
            best_of_rest: None,
        }
    }

    fn without_words(&self) -> Stream {
        let by_owner = self.search.filter.owner.is_some();
        if by_owner || self.search.sort == Sort::Sources {
            return Stream {
                filter: self.all(None, Vec::new()),
                index: if by_owner { "owner" } else { "brief" },
                sort: None,
                order: Order::Any,
                best_of_rest: None,
            };
        }
        self.in_order(0)
    }

    /// That an entry has words that begin as the included ones do, but for one.
    fn all_words(&self, except: Option<&str>) -> Vec<Document> {
        let words = self.words.iter().filter(|(word, _)| Some(word.as_str()) != except);
        words.map(|(word, _)| doc! { "w": { "$elemMatch": begins(word) } }).collect()
    }

    /// All conditions on an entry.
    fn all(&self, first: Option<Document>, others: Vec<Document>) -> Document {
        let base = self.base.iter().cloned();
        doc! { "$and": first.into_iter().chain(others).chain(base).collect::<Vec<_>>() }
    }
}

/// That a word begins so.
fn begins(word: &str) -> Document {
    match after_all(word) {
        Some(after) => doc! { "$gte": word, "$lt": after },
        None => doc! { "$gte": word },
    }
}

/// The first text after all that begin so, in the order of their bytes; `None` if there is none.
fn after_all(beginning: &str) -> Option<String> {
    let mut text: Vec<char> = beginning.chars().collect();
    while let Some(last) = text.pop() {
        // No character is between these two.
        let next =
            if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            text.push(next);
            return Some(text.into_iter().collect());
        }
    }
    None
}

/// Whether no more entries than a rare word has were published since then: told from the index alone.
async fn are_few(database: &Database, since: Timestamp) -> MongoResult<bool> {
    let keys = database.entries.clone_with_type::<Document>();
    let find = || {
        let find = keys.find_one(doc! { "at": { "$gte": since.as_millis() } }).hint(by("time"));
        find.projection(doc! { "_id": 0, "at": 1 }).skip(RARE)
    };
    Ok(patiently(find).await?.is_none())
}

async fn frequency(database: &Database, word: &str) -> MongoResult<Frequency> {
    if !are_more(database, word, RARE).await? {
        return Ok(Frequency::Rare);
    }
    let is_common = are_more(database, word, COMMON).await?;
    Ok(if is_common { Frequency::Common } else { Frequency::Some })
}

/// Whether more entries than so many have a word that begins so: told from the index alone.
async fn are_more(database: &Database, word: &str, than: u64) -> MongoResult<bool> {
    let at = |word: &str| doc! { "w": word, "n": Bson::MinKey, "k": Bson::MinKey };
    let keys = database.entries.clone_with_type::<Document>();
    let find = || {
        let find = keys.find_one(doc! {}).hint(by("words")).return_key(true);
        let find = find.skip(than).min(at(word));
        match after_all(word) {
            Some(after) => find.max(at(&after)),
            None => find,
        }
    };
    Ok(patiently(find).await?.is_some())
}

/// What the server can tell of the filter.
fn filtered(filter: &Filter) -> Vec<Document> {
    let mut all = Vec::new();
    let at_most = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    if let Some(min) = filter.min_size {
        all.push(doc! { "s": { "$gte": at_most(min) } });
    }
    if let Some(max) = filter.max_size {
        all.push(doc! { "s": { "$lte": at_most(max) } });
    }
    if let Some(owner) = &filter.owner {
        all.push(doc! { "o": owner.as_str() });
    }
    if let Some(since) = filter.since {
        all.push(doc! { "at": { "$gte": since.as_millis() } });
    }
    if !filter.extensions.is_empty() {
        all.push(doc! { "e": { "$in": &filter.extensions } });
    }
    match filter.kind {
        None => {}
        Some(Kind::Other) => {
            let known: Vec<_> = Kind::ALL.into_iter().flat_map(extensions_of).copied().collect();
            all.push(doc! { "e": { "$nin": known } });
        }
        Some(kind) => all.push(doc! { "e": { "$in": extensions_of(kind).to_vec() } }),
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_beginning_is_a_range(beginning in "\\PC{0,3}|[\u{d7f0}-\u{d7ff}]{1,2}", word in "\\PC{0,5}") {
            let word = if word.len() % 2 == 0 { format!("{beginning}{word}") } else { word };
            let is_below = after_all(&beginning).is_none_or(|after| word < after);
            prop_assert_eq!(word >= beginning && is_below, word.starts_with(&beginning));
        }
    }

    #[test]
    fn whole_words_of_names_are_between_a_word_and_longer_ones() {
        let (name, path) = (word_key("blue", true), word_key("blue", false));
        assert!("blue" < name.as_str() && name < path && path < word_key("bluebird", true));
    }
}
