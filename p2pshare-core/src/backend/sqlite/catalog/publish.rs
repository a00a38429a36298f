//! Publishing and withdrawing.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::{
    sight::{PUBLIC, UNLISTED},
    words::PathWords,
};
use crate::{
    api::{CatalogChange, Entry, Published, Visibility},
    backend::sqlite::{database::DatabaseResult, rows},
    identity::{GroupName, PeerId, Username},
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

/// Changes of one peer. The words of new entries are kept and written last, all together: each statement that also
/// runs a trigger in between would make FTS5 write out what it has gathered.
struct Batch<'a> {
    connection: &'a Connection,
    peer: i64,
    owner: i64,
    groups: HashMap<&'a GroupName, i64>,
    now: i64,
    find: CachedStatement<'a>,
    insert: CachedStatement<'a>,
    delete: CachedStatement<'a>,
    path_words: PathWords,
    new_words: BTreeMap<i64, String>,
    sizes: SizeSums,
}

/// What is added to the peer's counters.
#[derive(Default)]
struct SizeSums {
    entries: i64,
    low: i64,
    high: i64,
}

/// An entry that is there.
struct Known {
    id: i64,
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
        let find = "SELECT id, content = ?3 AND size = ?4 AND scope = ?5 FROM entries WHERE peer = ?1 AND path = ?2";
        let insert = "INSERT INTO entries (peer, owner, scope, size, published_at, words, content, path) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        Ok(Self {
            connection,
            peer,
            owner,
            groups,
            now: now.as_millis(),
            find: connection.prepare_cached(find)?,
            insert: connection.prepare_cached(insert)?,
            delete: connection.prepare_cached("DELETE FROM entries WHERE id = ?1")?,
            path_words: PathWords::default(),
            new_words: BTreeMap::new(),
            sizes: SizeSums::default(),
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
        let known = self
            .find
            .query_row(
                (self.peer, entry.path.as_str(), entry.content.as_bytes(), size, scope),
                |row| Ok(Known { id: row.get(0)?, is_same: row.get(1)? }),
            )
            .optional()?;
        match known {
            Some(known) if known.is_same => {
                published.unchanged += 1;
                return Ok(());
            }
            // A new row instead of a changed one: so row ids are in order of time, as far as time is.
            Some(known) => {
                self.delete(known.id)?;
                published.replaced += 1;
            }
            None => published.added += 1,
        }

        self.path_words.cut(entry.path.as_str());
        let id = self.insert.insert((
            self.peer,
            self.owner,
            scope,
            size,
            self.now,
            self.path_words.count(),
            entry.content.as_bytes(),
            entry.path.as_str(),
        ))?;
        self.sizes.entries += 1;
        self.sizes.low += size & 0xffff_ffff;
        self.sizes.high += size >> 32;
        let words: Vec<_> = self.path_words.iter().collect();
        self.new_words.insert(id, words.join(" "));
        Ok(())
    }

    fn withdraw(&mut self, path: &SharePath, published: &mut Published) -> DatabaseResult<()> {
        let sql = "SELECT id FROM entries WHERE peer = ?1 AND path = ?2";
        match rows::id_of(self.connection, sql, (self.peer, path.as_str()))? {
            Some(id) => {
                self.delete(id)?;
                published.withdrawn += 1;
            }
            None => published.unchanged += 1,
        }
        Ok(())
    }

    fn delete(&mut self, id: i64) -> DatabaseResult<()> {
        self.new_words.remove(&id);
        self.delete.execute([id])?;
        Ok(())
    }

    /// Writes the words and the counters; says how many entries the peer has now.
    fn finish(self) -> DatabaseResult<u64> {
        let sql = "INSERT INTO search (rowid, words) VALUES (?1, ?2)";
        let mut insert = self.connection.prepare_cached(sql)?;
        for (id, words) in self.new_words {
            insert.execute((id, words))?;
        }
        let sql = "UPDATE peers SET entries = entries + ?2, size_low = size_low + ?3, size_high = size_high + ?4 \
                   WHERE id = ?1 RETURNING entries";
        let mut update = self.connection.prepare_cached(sql)?;
        let sizes = self.sizes;
        let mut rows = update.query((self.peer, sizes.entries, sizes.low, sizes.high))?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        rows::count(row, 0)
    }
}
