//! Accounts as operators see them.

use rusqlite::{Connection, Row};

use super::{database::DatabaseResult, rows};
use crate::{
    api::UserOverview, identity::Username, index::model::OverviewRequest, time::Timestamp,
};

/// Above every name: names are ASCII.
const HIGHEST: char = '\u{10ffff}';

/// Reads the accounts of the page, their sessions and their peers, which count entries and sizes.
pub(super) fn overviews(
    connection: &Connection,
    request: &OverviewRequest,
) -> DatabaseResult<Vec<UserOverview>> {
    let sql = "WITH page AS (SELECT id, name, operator, disabled, created_at FROM users \
                   WHERE name > ?1 AND name >= ?2 AND name < ?3 ORDER BY name LIMIT ?4) \
               SELECT u.name, u.operator, u.disabled, u.created_at, \
                   (SELECT count(*) FROM sessions s WHERE s.user = u.id AND s.expires_at > ?5), \
                   count(p.id), count(p.id) FILTER (WHERE p.last_seen >= ?6), max(p.last_seen), \
                   coalesce(sum(p.entries), 0), coalesce(sum(p.size_low), 0), coalesce(sum(p.size_high), 0) \
               FROM page u LEFT JOIN peers p ON p.owner = u.id GROUP BY u.name ORDER BY u.name";
    let parameters = (
        request.after.as_ref().map_or("", Username::as_str),
        &request.prefix,
        format!("{}{HIGHEST}", request.prefix),
        request.limit,
        request.now.as_millis(),
        request.online_since.as_millis(),
    );
    rows::collect(connection.prepare_cached(sql)?.query(parameters)?, read)
}

fn read(row: &Row<'_>) -> DatabaseResult<UserOverview> {
    Ok(UserOverview {
        username: rows::text(row, 0)?,
        operator: row.get(1)?,
        disabled: row.get(2)?,
        created_at: rows::time(row, 3)?,
        sessions: rows::count(row, 4)?,
        peers: rows::count(row, 5)?,
        online: rows::count(row, 6)?,
        last_seen: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_millis),
        files: rows::count(row, 8)?,
        bytes: rows::sum_of_halves(row.get(9)?, row.get(10)?),
    })
}
