//! The words of a path, cut without allocating where the path is ASCII, as nearly all are.

use std::ops::Range;

use super::super::{MAX_WORD_CHARS, Query, words};

/// Number of words that counts as any larger one: see [`relevance`](crate::index::search::relevance).
const MOST_WORDS: usize = 999;

/// The words of one path after another, in memory that is used again.
#[derive(Default)]
pub(crate) struct PathWords {
    text: String,
    /// Words of the whole path: sorted, no two equal.
    path: Vec<Range<usize>>,
    /// Words of its last part: in any order.
    name: Vec<Range<usize>>,
}

impl PathWords {
    /// Cuts a path, as [`path_words`](crate::index::search::path_words) does.
    pub(crate) fn cut(&mut self, path: &str) {
        self.text.clear();
        self.path.clear();
        self.name.clear();
        if path.is_ascii() {
            self.cut_ascii(path);
        } else {
            self.cut_any(path);
        }
        let text = &self.text;
        self.path.sort_unstable_by(|a, b| text[a.clone()].cmp(&text[b.clone()]));
        self.path.dedup_by(|a, b| text[a.clone()] == text[b.clone()]);
    }

    /// The different words of the path, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.path.iter().map(|word| self.word(word))
    }

    /// The words as they are written into the index of words.
    #[cfg(feature = "sqlite")]
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.text.len() + self.path.len());
        for word in self.iter() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }

    /// Whether the path matches.
    pub(crate) fn match_query(&self, query: &Query) -> bool {
        let begins = |beginning: &String| self.begins(beginning);
        query.include.iter().all(begins)
            && !query.exclude.iter().any(|term| term.iter().all(begins))
    }

    /// How many different words the path has, as far as that matters.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.path.len().min(MOST_WORDS)).unwrap_or(0)
    }

    /// As [`relevance`](crate::index::search::relevance).
    pub(crate) fn relevance(&self, query: &Query) -> u32 {
        let mut whole = 0;
        for word in &query.include {
            if self.is_word(word) {
                // A word of the name is one of the path.
                whole += 1 + u32::from(self.name.iter().any(|own| self.word(own) == word));
            }
        }
        relevance_without_words(self.count()) + 1000 * whole
    }

    /// Whether this is a word of the path's last part.
    #[cfg(feature = "mongodb")]
    pub(crate) fn has_name(&self, word: &str) -> bool {
        self.name.iter().any(|own| self.word(own) == word)
    }

    fn is_word(&self, word: &str) -> bool {
        self.path.binary_search_by(|own| self.word(own).cmp(word)).is_ok()
    }

    fn begins(&self, beginning: &str) -> bool {
        let at = self.path.partition_point(|own| self.word(own) < beginning);
        let found = self.path.get(at);
        found.is_some_and(|own| self.word(own).starts_with(beginning))
    }

    fn word(&self, range: &Range<usize>) -> &str {
        &self.text[range.clone()]
    }

    /// Folding is making lower case, and each byte is a character.
    fn cut_ascii(&mut self, path: &str) {
        self.text.push_str(path);
        self.text.make_ascii_lowercase();
        let name_from = path.rfind('/').map_or(0, |slash| slash + 1);
        let bytes = self.text.as_bytes();
        let mut at = 0;
        while let Some(first) = bytes.get(at) {
            let same_sort: fn(&u8) -> bool = match first {
                b'0'..=b'9' => u8::is_ascii_digit,
                b'a'..=b'z' => u8::is_ascii_lowercase,
                _ => {
                    at += 1;
                    continue;
                }
            };
            let length = bytes[at..].iter().take_while(|byte| same_sort(byte)).count();
            let word = at..at + length.min(MAX_WORD_CHARS);
            if at >= name_from {
                self.name.push(word.clone());
            }
            self.path.push(word);
            at += length;
        }
    }

    fn cut_any(&mut self, path: &str) {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        for (part, ranges) in [(path, &mut self.path), (name, &mut self.name)] {
            for word in words(part) {
                let from = self.text.len();
                self.text.push_str(&word);
                ranges.push(from..self.text.len());
            }
        }
    }
}

/// The relevance of a path with so many different words to a query without words.
pub(crate) fn relevance_without_words(count: u32) -> u32 {
    (MOST_WORDS as u32).saturating_sub(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        index::search::{path_words, relevance},
        path::SharePath,
    };

    fn any_part() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-cA-C0-2 ._-]{1,12}[a-c]",
            "[a-zA-Z0-9!#$%&'()+,;=@^_`{}~. -]{0,40}x",
            "[aäÄßﬁ½²ⅷ１Ａ١]{1,6}",
            "a{60,70}",
            "\\PC{1,20}",
        ]
    }

    fn any_path() -> impl Strategy<Value = SharePath> {
        prop::collection::vec(any_part(), 1..4)
            .prop_filter_map("not a path", |parts| SharePath::from_parts(parts).ok())
    }

    fn any_query() -> impl Strategy<Value = Query> {
        let text = "([a-cA-C0-2]{1,3}( -?[a-c0-2]{1,3}){0,3}|[aäÄßﬁ½²ⅷ１Ａ١ -]{0,5})";
        text.prop_map(|text| Query::parse(&text).unwrap())
    }

    proptest! {
        #[test]
        fn cutting_and_scoring_are_those_of_the_reference(
            paths in prop::collection::vec(any_path(), 1..4),
            query in any_query(),
        ) {
            let mut fast = PathWords::default();
            for path in &paths {
                let (path_words, name_words) = path_words(path);
                fast.cut(path.as_str());
                prop_assert!(fast.iter().eq(path_words.iter()), "{:?}", path);
                prop_assert_eq!(fast.match_query(&query), query.matches(&path_words));
                prop_assert_eq!(
                    fast.relevance(&query),
                    relevance(&query, &path_words, &name_words)
                );
            }
        }
    }
}
