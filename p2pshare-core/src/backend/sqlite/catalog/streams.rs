//! In which order the entries of a search are read.

use rusqlite::types::Value;

use super::hits::entry_columns;
use crate::{
    api::Sort,
    index::search::{Filter, Query},
    time::Timestamp,
};

/// Entries that may match, read by one statement.
#[derive(Debug, PartialEq)]
pub(super) struct Stream {
    pub(super) sql: &'static str,
    pub(super) parameters: Vec<Value>,
    /// Whether the keys of the entries never decrease, so that what follows one that is too late is too late as well.
    pub(super) in_order: bool,
    /// The highest relevance that an entry can have which is in a later stream only.
    pub(super) best_of_rest: Option<u32>,
}

/// The streams of a search, to be read one after another: together they have every entry that matches.
pub(super) fn streams(
    query: &Query,
    filter: &Filter,
    owner: Option<i64>,
    sort: Sort,
) -> Vec<Stream> {
    let all_are_words = query.include.iter().all(|word| is_word(word));
    let Some(expression) = match_expression(query, "*") else {
        return match owner {
            Some(owner) => vec![Stream::unordered(OF_OWNER, vec![owner.into()])],
            None => of_everybody(filter, sort),
        };
    };
    // Rows are in order of time, as far as time is: the best tend to come first.
    let newest_first = sort == Sort::Newest;
    let sql = if newest_first { MATCHING_BACKWARDS } else { MATCHING };
    let all = Stream::unordered(sql, vec![expression.into()]);
    if sort != Sort::Relevance || !all_are_words {
        return vec![all];
    }
    let whole_words = match_expression(query, "").map(|expression| Stream {
        // An entry that lacks a whole word has at most all but one of them, each in its name.
        best_of_rest: u32::try_from(query.include.len() - 1).ok().map(|words| 2000 * words + 999),
        ..Stream::unordered(MATCHING, vec![expression.into()])
    });
    whole_words.into_iter().chain([all]).collect()
}

impl Stream {
    /// What was published at this time or later, which are few entries.
    pub(super) fn recent(since: Timestamp, sort: Sort) -> Self {
        let since = vec![since.as_millis().into()];
        match sort {
            Sort::Newest => Self::ordered(NEWEST_FIRST, since),
            Sort::Oldest => Self::ordered(OLDEST_FIRST, since),
            _ => Self::unordered(NEWEST_FIRST, since),
        }
    }

    /// The words it asks for in the language of FTS5, if it does.
    pub(super) fn expression(&self) -> Option<&Value> {
        let by_words = self.sql == MATCHING || self.sql == MATCHING_BACKWARDS;
        self.parameters.first().filter(|_| by_words)
    }

    fn unordered(sql: &'static str, parameters: Vec<Value>) -> Self {
        Self { sql, parameters, in_order: false, best_of_rest: None }
    }

    fn ordered(sql: &'static str, parameters: Vec<Value>) -> Self {
        Self { in_order: true, ..Self::unordered(sql, parameters) }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", entry_columns!(), " FROM ", $rest)
    };
}

const MATCHING: &str =
    select!("search CROSS JOIN entries e ON e.id = search.rowid WHERE search MATCH ?1");
const MATCHING_BACKWARDS: &str = select!(
    "search CROSS JOIN entries e ON e.id = search.rowid WHERE search MATCH ?1 ORDER BY search.rowid DESC"
);
const OF_OWNER: &str = select!("entries e INDEXED BY entries_owner WHERE e.owner = ?1");
const SHORT_FIRST: &str = select!("entries e INDEXED BY entries_words ORDER BY e.words");
const NEWEST_FIRST: &str = select!(
    "entries e INDEXED BY entries_time WHERE e.published_at >= ?1 ORDER BY e.published_at DESC"
);
const OLDEST_FIRST: &str =
    select!("entries e INDEXED BY entries_time WHERE e.published_at >= ?1 ORDER BY e.published_at");
const LARGEST_FIRST: &str = select!(
    "entries e INDEXED BY entries_size WHERE e.size BETWEEN ?1 AND ?2 ORDER BY e.size DESC"
);
const SMALLEST_FIRST: &str =
    select!("entries e INDEXED BY entries_size WHERE e.size BETWEEN ?1 AND ?2 ORDER BY e.size");
/// In no order that would matter.
const ALL: &str = select!("entries e");

/// Streams that do not depend on words.
fn of_everybody(filter: &Filter, sort: Sort) -> Vec<Stream> {
    let at_most = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    let sizes = || {
        let from = at_most(filter.min_size.unwrap_or(0));
        let to = at_most(filter.max_size.unwrap_or(u64::MAX));
        vec![from.into(), to.into()]
    };
    let since = || vec![filter.since.map_or(i64::MIN, Timestamp::as_millis).into()];
    match sort {
        Sort::Relevance => vec![Stream::ordered(SHORT_FIRST, Vec::new())],
        Sort::Newest => vec![Stream::ordered(NEWEST_FIRST, since())],
        Sort::Oldest => vec![Stream::ordered(OLDEST_FIRST, since())],
        Sort::Sources => vec![Stream::unordered(ALL, Vec::new())],
        Sort::Largest => vec![Stream::ordered(LARGEST_FIRST, sizes())],
        Sort::Smallest => vec![Stream::ordered(SMALLEST_FIRST, sizes())],
    }
}

/// The query in the language of FTS5, each word in quotes and followed by `suffix`; `None` if it includes no word.
///
/// What is not a word as names are cut is left out: it may not be said in that language, and each entry is held against
/// the whole query anyway.
fn match_expression(query: &Query, suffix: &str) -> Option<String> {
    let mut expression = all_of(&query.include, suffix)?;
    for term in &query.exclude {
        if term.iter().all(|word| is_word(word))
            && let Some(excluded) = all_of(term, "*")
        {
            expression = format!("({expression} NOT {excluded})");
        }
    }
    Some(expression)
}

fn all_of(words: &[String], suffix: &str) -> Option<String> {
    let words = words.iter().filter(|word| is_word(word));
    let words: Vec<_> = words.map(|word| format!("\"{word}\"{suffix}")).collect();
    (!words.is_empty()).then(|| format!("({})", words.join(" AND ")))
}

/// Whether the tokenizer takes it for one word and leaves it as it is.
fn is_word(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() && !c.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(include: &[&str], exclude: &[&[&str]]) -> Option<String> {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let query = Query {
            include: own(include),
            exclude: exclude.iter().map(|term| own(term)).collect(),
        };
        match_expression(&query, "*")
    }

    #[test]
    fn words_are_quoted() {
        assert_eq!(
            expression(&["blue", "or"], &[&["a", "1"], &["not"]]).as_deref(),
            Some(r#"((("blue"* AND "or"*) NOT ("a"* AND "1"*)) NOT ("not"*))"#)
        );
        assert_eq!(expression(&[], &[&["a"]]), None);
    }

    #[test]
    fn what_is_no_word_never_gets_into_an_expression() {
        for hostile in ["", "\"", "a\" OR \"b", "a b", "words:a", "NEAR", "*", "a-b", "\0"] {
            assert_eq!(expression(&[hostile], &[]), None, "{hostile:?}");
            assert_eq!(expression(&["a"], &[&["b", hostile]]).as_deref(), Some(r#"("a"*)"#));
        }
    }
}
