//! Who holds part of a content.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::sight::Sight;
use crate::{
    backend::sqlite::{database::DatabaseResult, rows},
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::model::PartialSource,
    time::Timestamp,
};

/// As [`add_partial_source`](crate::index::store::CatalogStore::add_partial_source).
pub(super) fn add(
    connection: &Connection,
    owner: &Username,
    peer: &PeerId,
    partial: &PartialSource,
) -> DatabaseResult<Option<Vec<GroupName>>> {
    let sql = "SELECT p.id FROM peers p JOIN users u ON u.id = p.owner \
               WHERE p.peer = ?1 AND u.name = ?2 AND p.last_seen IS NOT NULL";
    let Some(id) = rows::id_of(connection, sql, (peer.as_bytes(), owner.as_str()))? else {
        return Ok(None);
    };
    let mut groups = Vec::with_capacity(partial.groups.len());
    for name in &partial.groups {
        let sql = "SELECT g.id FROM groups g JOIN members m ON m.\"group\" = g.id \
                   JOIN users u ON u.id = m.user WHERE g.name = ?1 AND u.name = ?2";
        match rows::id_of(connection, sql, (name.as_str(), owner.as_str()))? {
            Some(group) => groups.push(group),
            None => return Ok(None),
        }
    }
    let content = partial.content.as_bytes();
    let sql = "INSERT INTO partial_sources (content, peer, until) VALUES (?1, ?2, ?3) \
               ON CONFLICT DO UPDATE SET until = excluded.until";
    rows::execute(connection, sql, (content, id, partial.until.as_millis()))?;
    for group in groups {
        let sql = "INSERT INTO partial_groups (content, peer, \"group\") VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO NOTHING";
        rows::execute(connection, sql, (content, id, group))?;
    }
    groups_of(connection, &partial.content, id).map(Some)
}

/// The groups that a partial source is noted for, in order of name.
fn groups_of(
    connection: &Connection,
    content: &ContentId,
    peer: i64,
) -> DatabaseResult<Vec<GroupName>> {
    let sql = "SELECT g.name FROM partial_groups s JOIN groups g ON g.id = s.\"group\" \
               WHERE s.content = ?1 AND s.peer = ?2 ORDER BY g.name";
    let mut statement = connection.prepare_cached(sql)?;
    rows::collect(statement.query((content.as_bytes(), peer))?, |row| rows::text(row, 0))
}

/// As [`remove_partial_source`](crate::index::store::CatalogStore::remove_partial_source).
pub(super) fn remove(
    connection: &Connection,
    owner: &Username,
    peer: &PeerId,
    content: &ContentId,
) -> DatabaseResult<bool> {
    let Some(peer) = rows::own_peer_id(connection, owner, peer)? else {
        return Ok(false);
    };
    let sql = "DELETE FROM partial_sources WHERE content = ?1 AND peer = ?2";
    Ok(rows::execute(connection, sql, (content.as_bytes(), peer))? > 0)
}

/// All of a peer, in order of content.
pub(super) fn of_peer(
    connection: &Connection,
    peer: &PeerId,
) -> DatabaseResult<Vec<PartialSource>> {
    let Some(peer) = rows::peer_id(connection, peer)? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT content, until FROM partial_sources WHERE peer = ?1 ORDER BY content";
    let mut statement = connection.prepare_cached(sql)?;
    rows::collect(statement.query([peer])?, |row| {
        let content = rows::content(row, 0)?;
        let groups = groups_of(connection, &content, peer)?;
        Ok(PartialSource { content, until: rows::time(row, 1)?, groups })
    })
}

/// The peers that hold part of a content and of which somebody is told, with the groups, in row ids, that they are told
/// for.
pub(super) fn told_to(
    connection: &Connection,
    sight: &Sight,
    content: &ContentId,
    now: Timestamp,
) -> DatabaseResult<BTreeMap<i64, Vec<i64>>> {
    let sql = "SELECT s.peer, g.\"group\" FROM partial_sources s \
               LEFT JOIN partial_groups g ON g.content = s.content AND g.peer = s.peer \
               WHERE s.content = ?1 AND s.until > ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((content.as_bytes(), now.as_millis()))?;
    let mut found: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        found.entry(row.get(0)?).or_default().extend(row.get::<_, Option<i64>>(1)?);
    }
    found.retain(|_, groups| groups.iter().all(|group| sight.is_in(*group)));
    Ok(found)
}
