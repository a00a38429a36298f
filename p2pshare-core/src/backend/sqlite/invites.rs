//! Invites.

use async_trait::async_trait;
use rusqlite::{Connection, Row};

use super::{
    SqliteStore,
    database::{DatabaseError, DatabaseResult},
    groups, rows, users,
};
use crate::{
    identity::{GroupName, Username},
    index::{
        model::{InviteHash, InviteRecord, User},
        store::{InviteStore, RedeemOutcome, StoreResult},
    },
    time::Timestamp,
};

/// Select an invite in the order that [`read_invite`] reads; what follows says which.
macro_rules! select_invites {
    ($which:literal) => {
        concat!(
            "SELECT i.hash, u.name, g.name, i.uses_left, i.created_at, i.expires_at FROM invites i \
             JOIN users u ON u.id = i.created_by LEFT JOIN groups g ON g.id = i.\"group\" WHERE ",
            $which
        )
    };
}

#[async_trait]
impl InviteStore for SqliteStore {
    async fn insert_invite(&self, invite: &InviteRecord) -> StoreResult<bool> {
        let invite = invite.clone();
        Ok(self.database.write(move |c| insert(c, &invite)).await?)
    }

    async fn invite(&self, hash: &InviteHash) -> StoreResult<Option<InviteRecord>> {
        let hash = *hash;
        Ok(self.database.read(move |c| find(c, &hash)).await?)
    }

    async fn redeem_invite(
        &self,
        hash: &InviteHash,
        user: &User,
        now: Timestamp,
    ) -> StoreResult<RedeemOutcome> {
        let (hash, user) = (*hash, user.clone());
        let redeem = move |c: &Connection| redeem(c, &hash, &user, now);
        Ok(self.database.write(redeem).await?)
    }

    async fn invites_by(&self, user: &Username) -> StoreResult<Vec<InviteRecord>> {
        let user = user.clone();
        let read = move |c: &Connection| {
            let sql = select_invites!("u.name = ?1 ORDER BY i.created_at DESC, i.hash");
            rows::collect(c.prepare_cached(sql)?.query([user.as_str()])?, read_invite)
        };
        Ok(self.database.read(read).await?)
    }

    async fn good_invites(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, InviteHash)>,
        limit: u32,
    ) -> StoreResult<Vec<InviteRecord>> {
        let read = move |c: &Connection| {
            let sql = select_invites!(
                "i.expires_at > ?1 AND i.uses_left > 0 \
                 AND (?2 IS NULL OR i.expires_at < ?2 OR (i.expires_at = ?2 AND i.hash > ?3)) \
                 ORDER BY i.expires_at DESC, i.hash LIMIT ?4"
            );
            let (ends, hash) = after.map(|(ends, hash)| (ends.as_millis(), hash.0)).unzip();
            let mut statement = c.prepare_cached(sql)?;
            rows::collect(statement.query((now.as_millis(), ends, hash, limit))?, read_invite)
        };
        Ok(self.database.read(read).await?)
    }

    async fn delete_invite(&self, hash: &InviteHash) -> StoreResult<bool> {
        let hash = *hash;
        let delete = move |c: &Connection| {
            let sql = "DELETE FROM invites WHERE hash = ?1";
            Ok(rows::execute(c, sql, [hash.0])? > 0)
        };
        Ok(self.database.write(delete).await?)
    }

    async fn purge_invites(&self, now: Timestamp) -> StoreResult<u64> {
        let purge = move |c: &Connection| {
            let sql = "DELETE FROM invites WHERE expires_at <= ?1";
            Ok(rows::execute(c, sql, [now.as_millis()])? as u64)
        };
        Ok(self.database.write(purge).await?)
    }
}

fn insert(connection: &Connection, invite: &InviteRecord) -> DatabaseResult<bool> {
    let group_id = |name: &GroupName| rows::group_id(connection, name);
    let group = invite.group.as_ref().map(group_id).transpose()?;
    // No group asked for is `None`, one that does not exist `Some(None)`.
    let maker = "SELECT id FROM users WHERE name = ?1 AND NOT disabled";
    let maker = rows::id_of(connection, maker, [invite.created_by.as_str()])?;
    let (Some(maker), false) = (maker, group == Some(None)) else {
        return Ok(false);
    };
    let sql = "INSERT INTO invites (hash, created_by, \"group\", uses_left, created_at, expires_at) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (hash) DO NOTHING";
    let parameters = (
        invite.hash.0,
        maker,
        group.flatten(),
        invite.uses_left,
        invite.created_at.as_millis(),
        invite.expires_at.as_millis(),
    );
    Ok(rows::execute(connection, sql, parameters)? > 0)
}

fn find(connection: &Connection, hash: &InviteHash) -> DatabaseResult<Option<InviteRecord>> {
    let mut statement = connection.prepare_cached(select_invites!("i.hash = ?1"))?;
    let mut rows = statement.query([hash.0])?;
    rows.next()?.map(read_invite).transpose()
}

fn redeem(
    connection: &Connection,
    hash: &InviteHash,
    user: &User,
    now: Timestamp,
) -> DatabaseResult<RedeemOutcome> {
    let Some(invite) = find(connection, hash)?.filter(|invite| invite.is_good(now)) else {
        return Ok(RedeemOutcome::NotGood);
    };
    if !users::insert(connection, user)? {
        return Ok(RedeemOutcome::NameTaken);
    }
    let id = connection.last_insert_rowid();
    if let Some(group) = &invite.group {
        let group = rows::group_id(connection, group)?
            .ok_or_else(|| DatabaseError::corrupt("an invite into no group"))?;
        groups::insert_member(connection, group, id)?;
    }
    let sql = "UPDATE invites SET uses_left = uses_left - 1 WHERE hash = ?1";
    rows::execute(connection, sql, [hash.0])?;
    Ok(RedeemOutcome::Registered)
}

fn read_invite(row: &Row<'_>) -> DatabaseResult<InviteRecord> {
    let group: Option<String> = row.get(2)?;
    let parse = |name: &str| GroupName::parse(name).map_err(DatabaseError::corrupt);
    Ok(InviteRecord {
        hash: InviteHash(rows::bytes(row, 0)?),
        created_by: rows::text(row, 1)?,
        group: group.as_deref().map(parse).transpose()?,
        uses_left: row.get(3)?,
        created_at: rows::time(row, 4)?,
        expires_at: rows::time(row, 5)?,
    })
}
