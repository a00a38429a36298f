//! Values of the model as they stand in columns.

use rusqlite::{Connection, OptionalExtension, Row, types::FromSqlError};

use super::database::{DatabaseError, DatabaseResult};
use crate::{
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    path::SharePath,
    time::Timestamp,
};

/// A value that has a text form.
pub(super) fn text<T>(row: &Row<'_>, column: usize) -> DatabaseResult<T>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let text = row.get_ref(column)?.as_str().map_err(wrong_type)?;
    text.parse().map_err(DatabaseError::corrupt)
}

/// A path.
pub(super) fn path(row: &Row<'_>, column: usize) -> DatabaseResult<SharePath> {
    text(row, column)
}

/// A value of 32 bytes.
pub(super) fn bytes(row: &Row<'_>, column: usize) -> DatabaseResult<[u8; 32]> {
    let bytes = row.get_ref(column)?.as_blob().map_err(wrong_type)?;
    bytes.try_into().map_err(|_| DatabaseError::Corrupt(format!("an id of {} bytes", bytes.len())))
}

/// A content.
pub(super) fn content(row: &Row<'_>, column: usize) -> DatabaseResult<ContentId> {
    bytes(row, column).map(ContentId::from_bytes)
}

/// A point in time.
pub(super) fn time(row: &Row<'_>, column: usize) -> DatabaseResult<Timestamp> {
    Ok(Timestamp::from_millis(row.get(column)?))
}

/// A number of things.
pub(super) fn count(row: &Row<'_>, column: usize) -> DatabaseResult<u64> {
    let count: i64 = row.get(column)?;
    u64::try_from(count).map_err(|_| DatabaseError::Corrupt(format!("{count} things")))
}

/// A size in bytes.
pub(super) fn size(row: &Row<'_>, column: usize) -> DatabaseResult<u64> {
    count(row, column)
}

/// A sum of sizes from the sums of their lower and upper 32 bits, saturating.
pub(super) fn sum_of_halves(low: i64, high: i64) -> u64 {
    let sum = i128::from(low) + (i128::from(high) << 32);
    u64::try_from(sum.max(0)).unwrap_or(u64::MAX)
}

/// A size as it stands in its column.
pub(super) fn column_size(size: u64) -> DatabaseResult<i64> {
    i64::try_from(size).map_err(|_| DatabaseError::Corrupt(format!("a size of {size} bytes")))
}

pub(super) fn wrong_type(error: FromSqlError) -> DatabaseError {
    DatabaseError::corrupt(error)
}

/// The rows of a query, each read by `read`.
pub(super) fn collect<T>(
    mut rows: rusqlite::Rows<'_>,
    read: impl Fn(&Row<'_>) -> DatabaseResult<T>,
) -> DatabaseResult<Vec<T>> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// The row id that a query gives, if it gives one.
pub(super) fn id_of(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> DatabaseResult<Option<i64>> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(parameters, |row| row.get(0)).optional()?)
}

/// The row id of a user.
pub(super) fn user_id(connection: &Connection, name: &Username) -> DatabaseResult<Option<i64>> {
    let sql = "SELECT id FROM users WHERE name = ?1";
    id_of(connection, sql, [name.as_str()])
}

/// The row id of a group.
pub(super) fn group_id(connection: &Connection, name: &GroupName) -> DatabaseResult<Option<i64>> {
    let sql = "SELECT id FROM groups WHERE name = ?1";
    id_of(connection, sql, [name.as_str()])
}

/// The row id of a peer.
pub(super) fn peer_id(connection: &Connection, peer: &PeerId) -> DatabaseResult<Option<i64>> {
    let sql = "SELECT id FROM peers WHERE peer = ?1";
    id_of(connection, sql, [peer.as_bytes()])
}

/// The row id of a peer, if it belongs to this user.
pub(super) fn own_peer_id(
    connection: &Connection,
    owner: &Username,
    peer: &PeerId,
) -> DatabaseResult<Option<i64>> {
    let sql =
        "SELECT p.id FROM peers p JOIN users u ON u.id = p.owner WHERE p.peer = ?1 AND u.name = ?2";
    id_of(connection, sql, (peer.as_bytes(), owner.as_str()))
}

/// Executes a statement; says how many rows changed.
pub(super) fn execute(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> DatabaseResult<usize> {
    Ok(connection.prepare_cached(sql)?.execute(parameters)?)
}
