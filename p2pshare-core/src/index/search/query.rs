//! The words of a search, as a person types them.

use std::collections::BTreeSet;

use super::words;

/// Most words in a query, and most excluded terms.
pub const MAX_QUERY_WORDS: usize = 16;

/// Longest query in bytes.
const MAX_QUERY_BYTES: usize = 1024;

/// A query, cut into words as names are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Each must be the beginning of a word of the path. In order, no two equal.
    pub include: Vec<String>,
    /// Terms that must not match; a term matches if each of its words is the beginning of a word of the path. No term
    /// is empty.
    pub exclude: Vec<Vec<String>>,
}

/// A query that is too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Too many words.
    #[error("the search has more than {MAX_QUERY_WORDS} words: leave some out")]
    TooManyWords,
    /// Too many bytes.
    #[error("the search is longer than {MAX_QUERY_BYTES} bytes: shorten it")]
    TooLong,
}

impl Query {
    /// Cuts what a person typed into words. `-word` excludes; a dash anywhere else parts words.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text.len() > MAX_QUERY_BYTES {
            return Err(QueryError::TooLong);
        }
        let mut include = BTreeSet::new();
        let mut exclude = BTreeSet::new();
        for term in text.split_whitespace() {
            match term.strip_prefix('-') {
                None => include.extend(words(term)),
                Some(rest) => {
                    let term: BTreeSet<_> = words(rest).collect();
                    if !term.is_empty() {
                        exclude.insert(term.into_iter().collect::<Vec<_>>());
                    }
                }
            }
        }
        if include.len() > MAX_QUERY_WORDS
            || exclude.iter().map(Vec::len).sum::<usize>() > MAX_QUERY_WORDS
        {
            return Err(QueryError::TooManyWords);
        }
        Ok(Self { include: include.into_iter().collect(), exclude: exclude.into_iter().collect() })
    }

    /// Whether a path with these words matches.
    pub fn matches(&self, path_words: &BTreeSet<String>) -> bool {
        let begins = |word: &String| has_beginning(path_words, word);
        self.include.iter().all(begins) && !self.exclude.iter().any(|term| term.iter().all(begins))
    }
}

/// Whether one of `words` begins with `beginning`.
fn has_beginning(words: &BTreeSet<String>, beginning: &str) -> bool {
    words
        .range::<str, _>((std::ops::Bound::Included(beginning), std::ops::Bound::Unbounded))
        .next()
        .is_some_and(|word| word.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(query: &str, path: &str) -> bool {
        Query::parse(query).unwrap().matches(&words(path).collect())
    }

    #[test]
    fn every_word_must_begin_one() {
        let path = "Music/Björk/Homogenic 1997/01 Hunter.flac";
        assert!(matches("bjork hunt", path));
        assert!(matches("HUNTER 199", path));
        assert!(!matches("bjork unter", path));
        assert!(matches("", path));
    }

    #[test]
    fn excluded_terms_do_not_match() {
        let path = "Music/Live 1997/Hunter.flac";
        assert!(!matches("hunter -live", path));
        assert!(!matches("hunter -live1997", path));
        assert!(matches("hunter -live1998", path), "a term excludes only when all its words match");
        assert!(matches("hunter -", path));
        assert!(matches("hun-ter", "the/hun ter.txt"), "a dash inside parts words");
    }

    #[test]
    fn too_much_is_refused() {
        let many: Vec<_> = (0..17).map(|i| format!("w{}", (b'a' + i) as char)).collect();
        assert_eq!(Query::parse(&many.join(" ")), Err(QueryError::TooManyWords));
        assert_eq!(Query::parse(&"a".repeat(2000)), Err(QueryError::TooLong));
    }
}
