//! Private groups.

use async_trait::async_trait;
use rusqlite::{Connection, Row};

use super::{
    SqliteStore,
    database::{DatabaseError, DatabaseResult},
    rows,
};
use crate::{
    identity::{GroupName, Username},
    index::{
        model::GroupRecord,
        store::{GroupStore, StoreResult},
    },
};

#[async_trait]
impl GroupStore for SqliteStore {
    async fn insert_group(&self, group: &GroupRecord) -> StoreResult<bool> {
        let group = group.clone();
        let insert = move |c: &Connection| {
            let Some(owner) = rows::user_id(c, &group.owner)? else {
                return Ok(false);
            };
            let sql = "INSERT INTO groups (name, owner, created_at) VALUES (?1, ?2, ?3) \
                       ON CONFLICT (name) DO NOTHING";
            let parameters = (group.name.as_str(), owner, group.created_at.as_millis());
            Ok(rows::execute(c, sql, parameters)? > 0
                && insert_member(c, c.last_insert_rowid(), owner)?)
        };
        Ok(self.database.write(insert).await?)
    }

    async fn group(&self, name: &GroupName) -> StoreResult<Option<GroupRecord>> {
        let name = name.clone();
        let read = move |c: &Connection| {
            let sql = "SELECT g.name, u.name, g.created_at FROM groups g JOIN users u ON u.id = g.owner \
                       WHERE g.name = ?1";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([name.as_str()])?;
            rows.next()?.map(read_group).transpose()
        };
        Ok(self.database.read(read).await?)
    }

    async fn groups_of(&self, user: &Username) -> StoreResult<Vec<GroupRecord>> {
        let user = user.clone();
        let read = move |c: &Connection| {
            let sql = "SELECT g.name, owner.name, g.created_at FROM users u \
                       JOIN members m ON m.user = u.id JOIN groups g ON g.id = m.\"group\" \
                       JOIN users owner ON owner.id = g.owner WHERE u.name = ?1 ORDER BY g.name";
            rows::collect(c.prepare_cached(sql)?.query([user.as_str()])?, read_group)
        };
        Ok(self.database.read(read).await?)
    }

    async fn members(&self, name: &GroupName) -> StoreResult<Vec<Username>> {
        let name = name.clone();
        let read = move |c: &Connection| {
            let sql = "SELECT u.name FROM groups g JOIN members m ON m.\"group\" = g.id \
                       JOIN users u ON u.id = m.user WHERE g.name = ?1 ORDER BY u.name";
            let mut statement = c.prepare_cached(sql)?;
            rows::collect(statement.query([name.as_str()])?, |row| rows::text(row, 0))
        };
        Ok(self.database.read(read).await?)
    }

    async fn add_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool> {
        let (name, user) = (name.clone(), user.clone());
        let add = move |c: &Connection| match (rows::group_id(c, &name)?, rows::user_id(c, &user)?)
        {
            (Some(group), Some(user)) => insert_member(c, group, user),
            _ => Ok(false),
        };
        Ok(self.database.write(add).await?)
    }

    async fn withdraw_shared(
        &self,
        name: &GroupName,
        users: &[Username],
        limit: u32,
    ) -> StoreResult<u64> {
        let name = name.clone();
        let users = serde_json::to_string(users).map_err(DatabaseError::corrupt)?;
        let withdraw = move |c: &Connection| {
            let sql = "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE \
                           owner IN (SELECT id FROM users WHERE name IN (SELECT value FROM json_each(?2))) AND \
                           scope = (SELECT id FROM groups WHERE name = ?1) LIMIT ?3)";
            Ok(rows::execute(c, sql, (name.as_str(), &users, limit))? as u64)
        };
        Ok(self.database.write(withdraw).await?)
    }

    async fn remove_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool> {
        let (name, user) = (name.clone(), user.clone());
        let remove = move |c: &Connection| {
            let sql = "DELETE FROM members WHERE \
                           \"group\" = (SELECT id FROM groups WHERE name = ?1) AND \
                           user = (SELECT id FROM users WHERE name = ?2) AND \
                           user <> (SELECT owner FROM groups WHERE name = ?1)";
            Ok(rows::execute(c, sql, (name.as_str(), user.as_str()))? > 0)
        };
        Ok(self.database.write(remove).await?)
    }

    async fn set_group_owner(&self, name: &GroupName, owner: &Username) -> StoreResult<bool> {
        let (name, owner) = (name.clone(), owner.clone());
        let update = move |c: &Connection| {
            let sql = "UPDATE groups SET owner = u.id FROM users u WHERE groups.name = ?1 AND u.name = ?2 AND \
                           EXISTS (SELECT 1 FROM members m WHERE m.\"group\" = groups.id AND m.user = u.id)";
            if rows::execute(c, sql, (name.as_str(), owner.as_str()))? == 0 {
                return Ok(false);
            }
            let sql = "DELETE FROM invites WHERE \"group\" = (SELECT id FROM groups WHERE name = ?1) AND \
                           created_by <> (SELECT owner FROM groups WHERE name = ?1)";
            rows::execute(c, sql, [name.as_str()])?;
            Ok(true)
        };
        Ok(self.database.write(update).await?)
    }

    async fn delete_group(&self, name: &GroupName) -> StoreResult<bool> {
        let name = name.clone();
        // The schema takes memberships, entries and invites with it.
        let delete = move |c: &Connection| {
            let sql = "DELETE FROM groups WHERE name = ?1";
            Ok(rows::execute(c, sql, [name.as_str()])? > 0)
        };
        Ok(self.database.write(delete).await?)
    }
}

/// Adds a member. `false`: it is one already.
pub(super) fn insert_member(
    connection: &Connection,
    group: i64,
    user: i64,
) -> DatabaseResult<bool> {
    let sql = "INSERT INTO members (\"group\", user) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    Ok(rows::execute(connection, sql, (group, user))? > 0)
}

fn read_group(row: &Row<'_>) -> DatabaseResult<GroupRecord> {
    Ok(GroupRecord {
        name: rows::text(row, 0)?,
        owner: rows::text(row, 1)?,
        created_at: rows::time(row, 2)?,
    })
}
