//! Peers and their presence.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    SqliteStore,
    database::{DatabaseError, DatabaseResult},
    rows,
};
use crate::{
    identity::{PeerAddr, PeerId, Username},
    index::{
        model::{AnnounceOutcome, Peer},
        store::{PeerStore, StoreResult},
    },
    time::Timestamp,
};

/// Entries of peers that are forgotten, withdrawn in one write.
const PURGED_AT_ONCE: u32 = 2000;

#[async_trait]
impl PeerStore for SqliteStore {
    async fn announce(&self, peer: &Peer) -> StoreResult<AnnounceOutcome> {
        let peer = peer.clone();
        Ok(self.database.write(move |c| announce(c, &peer)).await?)
    }

    async fn peer(&self, id: &PeerId) -> StoreResult<Option<Peer>> {
        let id = *id;
        let read = move |c: &Connection| {
            let sql = "SELECT p.peer, u.name, p.addresses, p.announced_at, p.last_seen \
                       FROM peers p JOIN users u ON u.id = p.owner WHERE p.peer = ?1";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([id.as_bytes()])?;
            rows.next()?.map(read_peer).transpose()
        };
        Ok(self.database.read(read).await?)
    }

    async fn peers_of(&self, owner: &Username) -> StoreResult<Vec<Peer>> {
        let owner = owner.clone();
        let read = move |c: &Connection| {
            let sql = "SELECT p.peer, u.name, p.addresses, p.announced_at, p.last_seen \
                       FROM users u JOIN peers p ON p.owner = u.id WHERE u.name = ?1 ORDER BY p.peer";
            rows::collect(c.prepare_cached(sql)?.query([owner.as_str()])?, read_peer)
        };
        Ok(self.database.read(read).await?)
    }

    async fn touch_peers(&self, seen: &[(PeerId, Timestamp)]) -> StoreResult<()> {
        let seen = seen.to_vec();
        let touch = move |c: &Connection| {
            // Nothing is written for a time that is not newer, and NULL is not older than anything.
            let sql =
                "UPDATE peers SET last_seen = ?2, heard = ?2 WHERE peer = ?1 AND last_seen < ?2";
            let mut statement = c.prepare_cached(sql)?;
            for (id, at) in &seen {
                statement.execute((id.as_bytes(), at.as_millis()))?;
            }
            Ok(())
        };
        Ok(self.database.write(touch).await?)
    }

    async fn peer_leaves(&self, id: &PeerId) -> StoreResult<bool> {
        let id = *id;
        let leave = move |c: &Connection| {
            let Some(id) = rows::peer_id(c, &id)? else {
                return Ok(false);
            };
            rows::execute(c, "UPDATE peers SET last_seen = NULL WHERE id = ?1", [id])?;
            rows::execute(c, "DELETE FROM partial_sources WHERE peer = ?1", [id])?;
            Ok(true)
        };
        Ok(self.database.write(leave).await?)
    }

    async fn delete_peer(&self, id: &PeerId) -> StoreResult<bool> {
        let id = *id;
        let delete = move |c: &Connection| {
            let sql = "DELETE FROM peers WHERE peer = ?1";
            Ok(rows::execute(c, sql, [id.as_bytes()])? > 0)
        };
        Ok(self.database.write(delete).await?)
    }

    async fn purge_peers(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        // What one of them shared may be very much, and all at once would hold up whoever else writes.
        let withdraw = move |c: &Connection| {
            let sql = "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE peer IN (\
                           SELECT id FROM peers WHERE heard < ?1 ORDER BY heard, peer LIMIT ?2) LIMIT ?3)";
            rows::execute(c, sql, (before.as_millis(), limit, PURGED_AT_ONCE))
        };
        while self.database.write(withdraw).await? == PURGED_AT_ONCE as usize {}
        let purge = move |c: &Connection| {
            let sql = "DELETE FROM partial_sources WHERE until < ?1";
            rows::execute(c, sql, [before.as_millis()])?;
            let sql = "DELETE FROM peers WHERE id IN (\
                           SELECT id FROM peers WHERE heard < ?1 ORDER BY heard, peer LIMIT ?2)";
            Ok(rows::execute(c, sql, (before.as_millis(), limit))? as u64)
        };
        Ok(self.database.write(purge).await?)
    }
}

fn announce(connection: &Connection, peer: &Peer) -> DatabaseResult<AnnounceOutcome> {
    let sql = "SELECT id FROM users WHERE name = ?1 AND NOT disabled";
    let Some(owner) = rows::id_of(connection, sql, [peer.owner.as_str()])? else {
        return Ok(AnnounceOutcome::NoOwner);
    };
    let known = connection
        .prepare_cached("SELECT owner, announced_at FROM peers WHERE peer = ?1")?
        .query_row([peer.id.as_bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    match known {
        Some((other, _)) if other != owner => return Ok(AnnounceOutcome::OwnedByAnother),
        Some((_, at)) if at >= peer.announced_at.as_millis() => return Ok(AnnounceOutcome::Stale),
        _ => {}
    }
    let sql = "INSERT INTO peers (peer, owner, addresses, announced_at, last_seen, heard) \
               VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?5, ?4)) \
               ON CONFLICT (peer) DO UPDATE SET addresses = ?3, announced_at = ?4, last_seen = ?5, heard = coalesce(?5, ?4) \
               RETURNING entries";
    let parameters = (
        peer.id.as_bytes(),
        owner,
        serde_json::to_string(&peer.addresses).map_err(DatabaseError::corrupt)?,
        peer.announced_at.as_millis(),
        peer.last_seen.map(Timestamp::as_millis),
    );
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    let entries = rows::count(row, 0)?;
    Ok(AnnounceOutcome::Stored { entries })
}

fn read_peer(row: &Row<'_>) -> DatabaseResult<Peer> {
    Ok(Peer {
        id: PeerId::from_bytes(rows::bytes(row, 0)?),
        owner: rows::text(row, 1)?,
        addresses: addresses(row, 2)?,
        announced_at: rows::time(row, 3)?,
        last_seen: row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis),
    })
}

/// The addresses of a peer, which stand in one column as a JSON array.
pub(super) fn addresses(row: &Row<'_>, column: usize) -> DatabaseResult<Vec<PeerAddr>> {
    let text = row.get_ref(column)?.as_str().map_err(rows::wrong_type)?;
    serde_json::from_str(text).map_err(DatabaseError::corrupt)
}
