//! Accounts.

use async_trait::async_trait;
use rusqlite::{Connection, Row};

use super::{
    SqliteStore,
    database::{DatabaseError, DatabaseResult},
    rows, sessions,
};
use crate::{
    auth::Verifier,
    identity::Username,
    index::{
        model::{KeptSessions, User},
        store::{StoreResult, UserStore},
    },
};

#[async_trait]
impl UserStore for SqliteStore {
    async fn insert_user(&self, user: &User, only_if_first: bool) -> StoreResult<bool> {
        let user = user.clone();
        let insert = move |c: &Connection| {
            if only_if_first && rows::id_of(c, "SELECT id FROM users LIMIT 1", [])?.is_some() {
                return Ok(false);
            }
            insert(c, &user)
        };
        Ok(self.database.write(insert).await?)
    }

    async fn user(&self, name: &Username) -> StoreResult<Option<User>> {
        let name = name.clone();
        let read = move |c: &Connection| {
            let sql =
                "SELECT name, verifier, operator, disabled, created_at FROM users WHERE name = ?1";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query([name.as_str()])?;
            rows.next()?.map(read_user).transpose()
        };
        Ok(self.database.read(read).await?)
    }

    async fn set_verifier(
        &self,
        name: &Username,
        verifier: &Verifier,
        expected: Option<&Verifier>,
        kept: KeptSessions,
    ) -> StoreResult<bool> {
        let sql =
            "UPDATE users SET verifier = ?2 WHERE name = ?1 AND (?3 IS NULL OR verifier = ?3)";
        let (name, verifier, expected) = (name.clone(), verifier.clone(), expected.cloned());
        let update = move |c: &Connection| {
            let expected = expected.as_ref().map(Verifier::as_str);
            let parameters = (name.as_str(), verifier.as_str(), expected);
            if rows::execute(c, sql, parameters)? == 0 {
                return Ok(false);
            }
            if let Some(kept) = kept.end_all_but() {
                sessions::end(c, &name, kept.as_ref())?;
            }
            Ok(true)
        };
        Ok(self.database.write(update).await?)
    }

    async fn set_disabled(&self, name: &Username, disabled: bool) -> StoreResult<bool> {
        let name = name.clone();
        let update = move |c: &Connection| {
            let Some(id) = rows::user_id(c, &name)? else {
                return Ok(false);
            };
            let sql = "UPDATE users SET disabled = ?2 WHERE id = ?1";
            rows::execute(c, sql, (id, disabled))?;
            if disabled {
                rows::execute(c, "DELETE FROM sessions WHERE user = ?1", [id])?;
                rows::execute(c, "DELETE FROM invites WHERE created_by = ?1", [id])?;
                let sql = "DELETE FROM partial_sources WHERE peer IN (SELECT id FROM peers WHERE owner = ?1)";
                rows::execute(c, sql, [id])?;
                let sql = "UPDATE peers SET last_seen = NULL WHERE owner = ?1";
                rows::execute(c, sql, [id])?;
            }
            Ok(true)
        };
        Ok(self.database.write(update).await?)
    }

    async fn set_operator(&self, name: &Username, operator: bool) -> StoreResult<bool> {
        let name = name.clone();
        let update = move |c: &Connection| {
            let sql = "UPDATE users SET operator = ?2 WHERE name = ?1";
            Ok(rows::execute(c, sql, (name.as_str(), operator))? > 0)
        };
        Ok(self.database.write(update).await?)
    }

    async fn delete_user(&self, name: &Username) -> StoreResult<bool> {
        let name = name.clone();
        // The schema takes everything with it that belongs to the account.
        let delete = move |c: &Connection| {
            let sql = "DELETE FROM users WHERE name = ?1";
            Ok(rows::execute(c, sql, [name.as_str()])? > 0)
        };
        Ok(self.database.write(delete).await?)
    }

    async fn users(&self, after: Option<&Username>, limit: u32) -> StoreResult<Vec<User>> {
        let after = after.cloned();
        let read = move |c: &Connection| {
            let sql = "SELECT name, verifier, operator, disabled, created_at FROM users \
                       WHERE name > ?1 ORDER BY name LIMIT ?2";
            let after = after.as_ref().map_or("", Username::as_str);
            rows::collect(c.prepare_cached(sql)?.query((after, limit))?, read_user)
        };
        Ok(self.database.read(read).await?)
    }
}

/// Adds an account. `false`: the name is taken.
pub(super) fn insert(connection: &Connection, user: &User) -> DatabaseResult<bool> {
    let sql = "INSERT INTO users (name, verifier, operator, disabled, created_at) VALUES (?1, ?2, ?3, ?4, ?5) \
               ON CONFLICT (name) DO NOTHING";
    let parameters = (
        user.name.as_str(),
        user.verifier.as_str(),
        user.operator,
        user.disabled,
        user.created_at.as_millis(),
    );
    Ok(rows::execute(connection, sql, parameters)? > 0)
}

fn read_user(row: &Row<'_>) -> DatabaseResult<User> {
    let verifier: String = row.get(1)?;
    Ok(User {
        name: rows::text(row, 0)?,
        // The text may hold a password's hash, so it is not repeated.
        verifier: Verifier::parse(&verifier)
            .map_err(|_| DatabaseError::corrupt("an unreadable password hash"))?,
        operator: row.get(2)?,
        disabled: row.get(3)?,
        created_at: rows::time(row, 4)?,
    })
}
