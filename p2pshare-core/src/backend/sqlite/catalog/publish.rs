//! Publishing and withdrawing.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::sight::{PUBLIC, UNLISTED};
use crate::{
    api::{CatalogChange, Entry, Published, Visibility},
    backend::sqlite::{
        database::{DatabaseError, DatabaseResult},
        rows,
    },
    identity::{GroupName, PeerId, Username},
    index::search::scan::PathWords,
    path::SharePath,
    time::Timestamp,
};

pub(super) fn publish(
    connection: &Connection,
    owner: &Username,
    peer: &PeerId,
    changes: &[CatalogChange],
    now: Timestamp,
) -> DatabaseResult<Option<Published>> {
    let Some(peer) = rows::own_peer_id(connection, owner, peer)? else {
        return Ok(None);
    };
    let sql = "SELECT owner FROM peers WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let owner: i64 = statement.query_row([peer], |row| row.get(0))?;
    let Some(groups) = joined_groups(connection, owner, changes)? else {
        return Ok(None);
    };

    let mut batch = Batch::new(connection, peer, owner, groups, now)?;
    let mut published = Published::default();
    for change in changes {
        match change {
            CatalogChange::Publish(entry) => batch.publish(entry, &mut published)?,
            CatalogChange::Withdraw(path) => batch.withdraw(path, &mut published)?,
        }
    }
    published.total = batch.finish()?;
    Ok(Some(published))
}

/// The row ids of the groups that are published to; `None` if the owner is not in all of them.
fn joined_groups<'a>(
    connection: &Connection,
    owner: i64,
    changes: &'a [CatalogChange],
) -> DatabaseResult<Option<HashMap<&'a GroupName, i64>>> {
    let sql = "SELECT g.id FROM groups g JOIN members m ON m.\"group\" = g.id AND m.user = ?2 WHERE g.name = ?1";
    let mut groups = HashMap::new();
    for change in changes {
        let CatalogChange::Publish(entry) = change else {
            continue;
        };
        let Visibility::Group(name) = &entry.visibility else {
            continue;
        };
        if groups.contains_key(name) {
            continue;
        }
        let Some(id) = rows::id_of(connection, sql, (name.as_str(), owner))? else {
            return Ok(None);
        };
        groups.insert(name, id);
    }
    Ok(Some(groups))
}

/// Changes of one peer.
///
/// What concerns the index of words waits until all else is done: a statement that runs a trigger makes FTS5 write out
/// what it has gathered, so that there must be few of them. Till then a withdrawn entry is there and marked, and may be
/// published again.
struct Batch<'a> {
    connection: &'a Connection,
    peer: i64,
    owner: i64,
    groups: HashMap<&'a GroupName, i64>,
    now: i64,
    find: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    update: CachedStatement<'a>,
    path_words: PathWords,
    /// Words of entries that are new.
    words: Vec<(i64, String)>,
    withdrawn: BTreeSet<i64>,
    sums: Sums,
}

/// What is added to the peer's counters.
#[derive(Default)]
struct Sums {
    entries: i64,
    size_low: i64,
    size_high: i64,
}

/// An entry that is there.
struct Known {
    id: i64,
    size: i64,
    is_same: bool,
}

impl<'a> Batch<'a> {
    fn new(
        connection: &'a Connection,
        peer: i64,
        owner: i64,
        groups: HashMap<&'a GroupName, i64>,
        now: Timestamp,
    ) -> DatabaseResult<Self> {
        let find = "SELECT id, size, content = ?3 AND size = ?4 AND scope = ?5 FROM entries \
                    WHERE peer = ?1 AND path = ?2";
        let insert = "INSERT INTO entries (peer, owner, scope, size, published_at, words, content, path) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let update = "UPDATE entries SET scope = ?2, size = ?3, published_at = ?4, content = ?5 WHERE id = ?1";
        Ok(Self {
            connection,
            peer,
            owner,
            groups,
            now: now.as_millis(),
            find: connection.prepare_cached(find)?,
            insert: connection.prepare_cached(insert)?,
            update: connection.prepare_cached(update)?,
            path_words: PathWords::default(),
            words: Vec::new(),
            withdrawn: BTreeSet::new(),
            sums: Sums::default(),
        })
    }

    fn publish(&mut self, entry: &Entry, published: &mut Published) -> DatabaseResult<()> {
        let size = rows::column_size(entry.size)?;
        let scope = match &entry.visibility {
            Visibility::Public => PUBLIC,
            Visibility::Unlisted => UNLISTED,
            // All groups of the batch were looked up before.
            Visibility::Group(name) => self.groups.get(name).copied().unwrap_or(UNLISTED),
        };
        let (path, content) = (entry.path.as_str(), entry.content.as_bytes());
        let key = (self.peer, path, content, size, scope);
        let known = self.find.query_row(key, |row| {
            Ok(Known { id: row.get(0)?, size: row.get(1)?, is_same: row.get(2)? })
        });
        let Some(known) = known.optional()? else {
            published.added += 1;
            self.sums.add(1, size);
            self.path_words.cut(path);
            let words = self.path_words.count();
            let values = (self.peer, self.owner, scope, size, self.now, words, content, path);
            let id = self.insert.insert(values)?;
            self.words.push((id, self.path_words.to_text()));
            return Ok(());
        };

        let was_withdrawn = self.withdrawn.remove(&known.id);
        if known.is_same && !was_withdrawn {
            published.unchanged += 1;
            return Ok(());
        }
        if was_withdrawn {
            published.added += 1;
        } else {
            published.replaced += 1;
        }
        self.sums.add(-1, known.size);
        self.sums.add(1, size);
        // The path is the same, and so are its words.
        self.update.execute((known.id, scope, size, self.now, content))?;
        Ok(())
    }

    fn withdraw(&mut self, path: &SharePath, published: &mut Published) -> DatabaseResult<()> {
        let sql = "SELECT id FROM entries WHERE peer = ?1 AND path = ?2";
        let known = rows::id_of(self.connection, sql, (self.peer, path.as_str()))?;
        match known {
            Some(id) if self.withdrawn.insert(id) => published.withdrawn += 1,
            _ => published.unchanged += 1,
        }
        Ok(())
    }

    /// Writes what has waited; says how many entries the peer has now.
    fn finish(self) -> DatabaseResult<u64> {
        let sql = "INSERT INTO search (rowid, words) VALUES (?1, ?2)";
        let mut insert = self.connection.prepare_cached(sql)?;
        for (id, words) in self.words {
            insert.execute((id, words))?;
        }
        if !self.withdrawn.is_empty() {
            let ids = serde_json::to_string(&self.withdrawn).map_err(DatabaseError::corrupt)?;
            let sql = "DELETE FROM entries WHERE id IN (SELECT value FROM json_each(?1))";
            rows::execute(self.connection, sql, [ids])?;
        }
        let sql = "UPDATE peers SET entries = entries + ?2, size_low = size_low + ?3, size_high = size_high + ?4 \
                   WHERE id = ?1 RETURNING entries";
        let mut update = self.connection.prepare_cached(sql)?;
        let sums = self.sums;
        let mut rows = update.query((self.peer, sums.entries, sums.size_low, sums.size_high))?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        rows::count(row, 0)
    }
}

impl Sums {
    /// Adds so many entries of a size.
    fn add(&mut self, entries: i64, size: i64) {
        self.entries += entries;
        self.size_low += entries * (size & 0xffff_ffff);
        self.size_high += entries * (size >> 32);
    }
}
