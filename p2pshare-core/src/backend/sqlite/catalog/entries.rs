//! The entries of one peer or user.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::sight::{PUBLIC, UNLISTED};
use crate::{
    api::{Entry, Visibility},
    backend::sqlite::{
        database::{DatabaseError, DatabaseResult},
        rows,
    },
    identity::{PeerId, Username},
    path::SharePath,
    time::Timestamp,
};

pub(super) fn of_peer(
    connection: &Connection,
    peer: &PeerId,
    after: Option<&SharePath>,
    limit: u32,
) -> DatabaseResult<Vec<Entry>> {
    let dated = dated(connection, peer, after, limit)?;
    Ok(dated.into_iter().map(|(entry, _)| entry).collect())
}

pub(super) fn dated(
    connection: &Connection,
    peer: &PeerId,
    after: Option<&SharePath>,
    limit: u32,
) -> DatabaseResult<Vec<(Entry, Timestamp)>> {
    let Some(peer) = rows::peer_id(connection, peer)? else {
        return Ok(Vec::new());
    };
    let sql = "SELECT e.path, e.content, e.size, e.scope, g.name, e.published_at FROM entries e \
               LEFT JOIN groups g ON g.id = e.scope WHERE e.peer = ?1 AND e.path > ?2 ORDER BY e.path LIMIT ?3";
    let after = after.map_or("", SharePath::as_str);
    let mut statement = connection.prepare_cached(sql)?;
    rows::collect(statement.query((peer, after, limit))?, |row| {
        Ok((read_entry(row)?, rows::time(row, 5)?))
    })
}

pub(super) fn count_of_peer(connection: &Connection, peer: &PeerId) -> DatabaseResult<u64> {
    let sql = "SELECT entries FROM peers WHERE peer = ?1";
    count(connection, sql, [peer.as_bytes()])
}

pub(super) fn count_of_user(connection: &Connection, owner: &Username) -> DatabaseResult<u64> {
    let sql = "SELECT coalesce(sum(p.entries), 0) FROM users u JOIN peers p ON p.owner = u.id WHERE u.name = ?1";
    count(connection, sql, [owner.as_str()])
}

pub(super) fn count_known(
    connection: &Connection,
    owner: &Username,
    peer: &PeerId,
    paths: &BTreeSet<SharePath>,
) -> DatabaseResult<u64> {
    let Some(peer) = rows::own_peer_id(connection, owner, peer)? else {
        return Ok(0);
    };
    let sql = "SELECT 1 FROM entries WHERE peer = ?1 AND path = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut known = 0;
    for path in paths {
        known += u64::from(statement.exists((peer, path.as_str()))?);
    }
    Ok(known)
}

fn count(connection: &Connection, sql: &str, parameters: impl Params) -> DatabaseResult<u64> {
    let mut statement = connection.prepare_cached(sql)?;
    let count: Option<i64> = statement.query_row(parameters, |row| row.get(0)).optional()?;
    u64::try_from(count.unwrap_or(0)).map_err(DatabaseError::corrupt)
}

fn read_entry(row: &Row<'_>) -> DatabaseResult<Entry> {
    let visibility = match row.get(3)? {
        PUBLIC => Visibility::Public,
        UNLISTED => Visibility::Unlisted,
        _ => Visibility::Group(rows::text(row, 4)?),
    };
    Ok(Entry {
        path: rows::path(row, 0)?,
        content: rows::content(row, 1)?,
        size: rows::size(row, 2)?,
        visibility,
    })
}
