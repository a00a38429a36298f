//! Hits: all that is told of one content of one size.

use rusqlite::Connection;

use super::{sight::Sight, sources::Sources};
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

/// The columns of an [`EntryRow`], in its order, of a table `e`.
macro_rules! entry_columns {
    () => {
        "e.content, e.size, e.owner, e.scope, e.published_at, e.words, e.path"
    };
}
pub(super) use entry_columns;

impl<'r> EntryRow<'r> {
    pub(super) fn read(row: &'r rusqlite::Row<'_>) -> DatabaseResult<Self> {
        Ok(Self {
            content: rows::content(row, 0)?,
            size: rows::size(row, 1)?,
            owner: row.get(2)?,
            scope: row.get(3)?,
            published_at: row.get(4)?,
            words: row.get(5)?,
            path: row.get_ref(6)?.as_str().map_err(rows::wrong_type)?,
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

/// Reads each entry of a content and size.
pub(super) fn each_entry(
    connection: &Connection,
    content: &ContentId,
    size: u64,
    mut each: impl FnMut(&EntryRow<'_>) -> DatabaseResult<()>,
) -> DatabaseResult<()> {
    let sql = concat!(
        "SELECT ",
        entry_columns!(),
        " FROM entries e INDEXED BY entries_content WHERE e.content = ?1 AND e.size = ?2"
    );
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((content.as_bytes(), rows::column_size(size)?))?;
    while let Some(row) = rows.next()? {
        each(&EntryRow::read(row)?)?;
    }
    Ok(())
}

/// So many sizes that are claimed of one content are looked at, those that most peers claim.
const SIZES: u32 = 100;

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
    let sql = "SELECT size FROM entries WHERE content = ?1 \
               GROUP BY size ORDER BY count(DISTINCT peer) DESC, size LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((content.as_bytes(), SIZES))?;
    let mut hits = Vec::new();
    while let Some(row) = rows.next()? {
        let size = rows::size(row, 0)?;
        let reached = |owner, scope| sight.reaches(owner, scope);
        let relevance = |entry: &EntryRow<'_>| reached(entry.owner, entry.scope).then_some(0);
        hits.extend(hit(connection, &mut sources, content, size, relevance, reached)?);
    }
    hits.sort_by_key(by_sources);
    hits.truncate(limit as usize);
    Ok(hits)
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
    each_entry(connection, content, size, |entry| {
        if let Some(relevance) = relevance(entry) {
            newest = newest.max(Some(entry.published_at));
            names.add(relevance, entry.path, sources.name(entry.owner)?);
        }
        Ok(())
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
