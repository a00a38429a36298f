//! In which order the entries of a search are read.

use mongodb::bson::{Document, doc};

use super::sight::Sight;
use crate::{
    api::{Kind, Sort},
    backend::mongodb::{
        by,
        database::{Database, MongoResult, patiently},
        documents::{EntryDoc, content_key, word_key},
    },
    index::search::{Filter, Position, Search, extensions_of},
};

/// A word with more entries than this is a common one: entries are rather read in the order of the hits, and those
/// without the word passed over, than all those with the word.
const COMMON: u64 = 2000;

/// When to read in the order of hits does not end early, so many entries are rather read in any order.
const MANY: u64 = 20_000;

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
    database: &'a Database,
    search: &'a Search,
    /// What every entry must be.
    base: Vec<Document>,
    /// For each included word, that an entry has a word that begins so, and how many have, up to a limit.
    words: Vec<(String, u64)>,
    next: usize,
}

impl<'a> Plan<'a> {
    pub(super) async fn new(
        database: &'a Database,
        search: &'a Search,
        sight: &Sight,
    ) -> MongoResult<Self> {
        let mut base = filtered(&search.filter);
        base.push(sight.seen());
        let include = &search.query.include;
        let mut words: Vec<_> = include.iter().map(|word| (word.clone(), 0)).collect();
        // One word alone is the rarest, and its whole words are read in the best order.
        if words.len() > 1 || search.sort != Sort::Relevance {
            let counts = words.iter().map(|(word, _)| count(database, word, COMMON + 1));
            let counts = futures::future::try_join_all(counts).await?;
            for ((_, known), counted) in words.iter_mut().zip(counts) {
                *known = counted;
            }
        } else if let Some((_, known)) = words.first_mut() {
            *known = COMMON + 1;
        }
        // Of equally common ones the longest says most.
        words.sort_by_key(|(word, count)| (*count, std::cmp::Reverse(word.len())));
        Ok(Self { database, search, base, words, next: 0 })
    }

    /// The next stream; `None` after the last. All streams together have every entry that matches.
    pub(super) async fn next(&mut self) -> MongoResult<Option<Stream>> {
        let number = self.next;
        self.next += 1;
        let Some((rarest, count)) = self.words.first() else {
            return Ok((number == 0).then(|| self.without_words()));
        };
        let is_common = *count > COMMON;
        let relevance = self.search.sort == Sort::Relevance;
        let whole = i64::try_from(self.words.len()).unwrap_or(i64::MAX / 4000);
        let others = 2 * (whole - 1);
        let stream = match (number, is_common) {
            (0, false) => self.matching(rarest),
            (0, true) if relevance => {
                self.whole_word(rarest, true, 2 * whole, 1000 * (others + 1) + 999)
            }
            (1, true) if relevance => {
                self.whole_word(rarest, false, others + 1, 1000 * others + 999)
            }
            (2, true) if relevance => {
                // By now the best are known, and there are few, or the rest is read in vain.
                let few = whole > 1 && self::count(self.database, rarest, MANY).await? < MANY;
                if few { self.matching(rarest) } else { self.in_order(others) }
            }
            (0, true) if self.search.sort == Sort::Sources => self.matching(rarest),
            (0, true) => self.in_order(0),
            _ => return Ok(None),
        };
        Ok(Some(stream))
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

/// How many entries have a word that begins so, up to a limit.
async fn count(database: &Database, word: &str, limit: u64) -> MongoResult<u64> {
    let which = doc! { "w": { "$elemMatch": begins(word) } };
    patiently(|| database.entries.count_documents(which.clone()).limit(limit).hint(by("words")))
        .await
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
