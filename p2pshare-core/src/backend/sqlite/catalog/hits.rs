//! Hits: all that is told of one content of one size.

use std::{cmp::Reverse, collections::BTreeSet};

use rusqlite::Connection;

use super::{
    claims::{Claim, Wanted, each_claim, each_row, select_claims},
    sight::Sight,
    sources::Sources,
};
use crate::{
    api::Hit,
    backend::sqlite::{
        database::{DatabaseError, DatabaseResult},
        rows,
    },
    content::ContentId,
    index::{
        model::Viewer,
        search::{
            by_sources,
            scan::{BestNames, Candidate},
        },
    },
    time::Timestamp,
};

/// An entry while its row is read.
pub(super) struct EntryRow<'r> {
    pub(super) content: ContentId,
    pub(super) size: u64,
    pub(super) owner: i64,
    pub(super) scope: i64,
    pub(super) published_at: i64,
    /// How many different words its path has.
    pub(super) words: u32,
    pub(super) path: &'r str,
}

/// The columns of an [`EntryRow`], in its order, of a table `e`: those of a claim, then its own.
macro_rules! entry_columns {
    () => {
        "e.size, e.peer, e.owner, e.scope, e.content, e.published_at, e.words, e.path"
    };
}
pub(super) use entry_columns;

impl<'r> EntryRow<'r> {
    pub(super) fn read(row: &'r rusqlite::Row<'_>) -> DatabaseResult<Self> {
        Ok(Self {
            size: rows::size(row, 0)?,
            owner: row.get(2)?,
            scope: row.get(3)?,
            content: rows::content(row, 4)?,
            published_at: row.get(5)?,
            words: row.get(6)?,
            path: row.get_ref(7)?.as_str().map_err(rows::wrong_type)?,
        })
    }

    pub(super) fn candidate(&self) -> Candidate<'r> {
        Candidate {
            content: self.content,
            size: self.size,
            published_at: self.published_at,
            words: self.words,
            path: self.path,
        }
    }
}

/// Reads the entries of a content and size whose owner and scope `counts`, until `each` has all that it needs.
pub(super) fn each_entry(
    connection: &Connection,
    content: &ContentId,
    size: u64,
    counts: impl Fn(i64, i64) -> bool,
    mut each: impl FnMut(&EntryRow<'_>) -> DatabaseResult<Wanted>,
) -> DatabaseResult<()> {
    let sql = select_claims!(", e.content, e.published_at, e.words, e.path");
    each_row(connection, sql, content, Some(size), |claim, row| {
        if !counts(claim.owner, claim.scope) {
            return Ok(Wanted::NextClaim);
        }
        each(&EntryRow::read(row)?)
    })
}

/// So many sizes that are claimed of one content are looked at, those that most peers claim.
const SIZES: usize = 100;

/// The hits of a content, those with the most sources first.
pub(super) fn of_content(
    connection: &Connection,
    viewer: &Viewer,
    content: &ContentId,
    online_since: Timestamp,
    limit: u32,
) -> DatabaseResult<Vec<Hit>> {
    let sight = Sight::of(connection, viewer)?;
    let mut sources = Sources::new(connection, online_since);
    let mut hits = Vec::new();
    for size in sizes(connection, content)? {
        let reached = |owner, scope| sight.reaches(owner, scope);
        let relevance = |entry: &EntryRow<'_>| reached(entry.owner, entry.scope).then_some(0);
        hits.extend(hit(connection, &mut sources, content, size, relevance, reached)?);
    }
    hits.sort_by_key(by_sources);
    hits.truncate(limit as usize);
    Ok(hits)
}

/// The sizes that most peers claim of a content.
fn sizes(connection: &Connection, content: &ContentId) -> DatabaseResult<Vec<u64>> {
    // Those of the fewest peers come last, of these the largest.
    let mut most: BTreeSet<(Reverse<u32>, u64)> = BTreeSet::new();
    // Those of one size come one after another, and so do those of one peer.
    let mut run: Option<(Claim, u32)> = None;
    each_claim(connection, content, None, |claim| {
        match &mut run {
            Some((last, peers)) if last.size == claim.size => {
                *peers += u32::from(last.peer != claim.peer);
                *last = *claim;
            }
            _ => {
                let before = run.replace((*claim, 1));
                most.extend(before.map(|(last, peers)| (Reverse(peers), last.size)));
                if most.len() > SIZES {
                    most.pop_last();
                }
            }
        }
        Ok(())
    })?;
    most.extend(run.map(|(last, peers)| (Reverse(peers), last.size)));
    Ok(most.into_iter().take(SIZES).map(|(_, size)| size).collect())
}

/// The hit of a content and size. Its names and its time come from the entries that have a relevance, the best names
/// first; its sources from those whose owner and scope `counts`. `None` if no entry has a relevance.
pub(super) fn hit(
    connection: &Connection,
    sources: &mut Sources<'_>,
    content: &ContentId,
    size: u64,
    mut relevance: impl FnMut(&EntryRow<'_>) -> Option<u32>,
    counts: impl Fn(i64, i64) -> bool,
) -> DatabaseResult<Option<Hit>> {
    let mut names = BestNames::default();
    let mut newest = None;
    each_entry(connection, content, size, &counts, |entry| {
        if let Some(relevance) = relevance(entry) {
            newest = newest.max(Some(entry.published_at));
            names.add(relevance, entry.path, sources.name(entry.owner)?);
        }
        Ok(Wanted::Next)
    })?;
    let Some(newest) = newest else {
        return Ok(None);
    };
    let tally = sources.count(content, size, counts)?;
    Ok(Some(Hit {
        content: *content,
        size,
        names: names.into_names().map_err(DatabaseError::corrupt)?,
        published_at: Timestamp::from_millis(newest),
        online: tally.online,
        sources: tally.all,
    }))
}
