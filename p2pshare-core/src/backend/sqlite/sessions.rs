//! Sessions.

use async_trait::async_trait;
use rusqlite::Connection;

use super::{SqliteStore, database::DatabaseResult, rows};
use crate::{
    auth::{TokenHash, Verifier},
    identity::Username,
    index::{
        model::{OpenSession, Session},
        store::{SessionStore, StoreResult},
    },
    time::Timestamp,
};

#[async_trait]
impl SessionStore for SqliteStore {
    async fn open_session(
        &self,
        session: &Session,
        verifier: &Verifier,
        keep: u32,
    ) -> StoreResult<bool> {
        let (session, verifier) = (session.clone(), verifier.clone());
        let open = move |c: &Connection| open_session(c, &session, &verifier, keep);
        Ok(self.database.write(open).await?)
    }

    async fn session(&self, token: &TokenHash, now: Timestamp) -> StoreResult<Option<OpenSession>> {
        let token = *token;
        let read = move |c: &Connection| {
            let sql = "SELECT u.name, s.created_at, s.expires_at, u.operator, u.disabled \
                       FROM sessions s JOIN users u ON u.id = s.user \
                       WHERE s.token = ?1 AND s.expires_at > ?2";
            let mut statement = c.prepare_cached(sql)?;
            let mut rows = statement.query((token.as_bytes(), now.as_millis()))?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            Ok(Some(OpenSession {
                session: Session {
                    token,
                    user: rows::text(row, 0)?,
                    created_at: rows::time(row, 1)?,
                    expires_at: rows::time(row, 2)?,
                },
                operator: row.get(3)?,
                disabled: row.get(4)?,
            }))
        };
        Ok(self.database.read(read).await?)
    }

    async fn extend_session(&self, token: &TokenHash, expires_at: Timestamp) -> StoreResult<bool> {
        let token = *token;
        let extend = move |c: &Connection| {
            let sql = "UPDATE sessions SET expires_at = max(expires_at, ?2) WHERE token = ?1";
            Ok(rows::execute(c, sql, (token.as_bytes(), expires_at.as_millis()))? > 0)
        };
        Ok(self.database.write(extend).await?)
    }

    async fn end_session(&self, token: &TokenHash) -> StoreResult<bool> {
        let token = *token;
        let end = move |c: &Connection| {
            let sql = "DELETE FROM sessions WHERE token = ?1";
            Ok(rows::execute(c, sql, [token.as_bytes()])? > 0)
        };
        Ok(self.database.write(end).await?)
    }

    async fn end_sessions(&self, user: &Username, except: Option<&TokenHash>) -> StoreResult<u64> {
        let (user, except) = (user.clone(), except.copied());
        Ok(self.database.write(move |c| end(c, &user, except.as_ref())).await?)
    }

    async fn sessions_of(&self, user: &Username) -> StoreResult<Vec<Session>> {
        let user = user.clone();
        let read = move |c: &Connection| {
            let sql = "SELECT s.token, u.name, s.created_at, s.expires_at FROM users u \
                       JOIN sessions s ON s.user = u.id WHERE u.name = ?1 ORDER BY s.token";
            rows::collect(c.prepare_cached(sql)?.query([user.as_str()])?, |row| {
                Ok(Session {
                    token: TokenHash::from_bytes(rows::bytes(row, 0)?),
                    user: rows::text(row, 1)?,
                    created_at: rows::time(row, 2)?,
                    expires_at: rows::time(row, 3)?,
                })
            })
        };
        Ok(self.database.read(read).await?)
    }

    async fn purge_sessions(&self, now: Timestamp) -> StoreResult<u64> {
        let purge = move |c: &Connection| {
            let sql = "DELETE FROM sessions WHERE expires_at <= ?1";
            Ok(rows::execute(c, sql, [now.as_millis()])? as u64)
        };
        Ok(self.database.write(purge).await?)
    }
}

/// Ends the sessions of a user but one. Gives how many.
pub(super) fn end(
    connection: &Connection,
    user: &Username,
    except: Option<&TokenHash>,
) -> DatabaseResult<u64> {
    let sql = "DELETE FROM sessions WHERE user = (SELECT id FROM users WHERE name = ?1) AND token IS NOT ?2";
    let except = except.map(TokenHash::as_bytes);
    Ok(rows::execute(connection, sql, (user.as_str(), except))? as u64)
}

fn open_session(
    connection: &Connection,
    session: &Session,
    verifier: &Verifier,
    keep: u32,
) -> DatabaseResult<bool> {
    let sql = "SELECT id FROM users WHERE name = ?1 AND verifier = ?2 AND NOT disabled";
    let parameters = (session.user.as_str(), verifier.as_str());
    let Some(user) = rows::id_of(connection, sql, parameters)? else {
        return Ok(false);
    };
    // Before the new one is there, since it remains whatever its time.
    let first = "SELECT token FROM sessions WHERE user = ?1 \
                 ORDER BY min(expires_at, ?3) DESC, created_at DESC, token DESC LIMIT -1 OFFSET ?2";
    let sql = "INSERT INTO sessions (token, user, created_at, expires_at) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (token) DO NOTHING";
    let mut statement = connection.prepare_cached(first)?;
    let parameters = (user, keep.saturating_sub(1), session.expires_at.as_millis());
    let ended = rows::collect(statement.query(parameters)?, |row| rows::bytes(row, 0))?;
    let parameters = (
        session.token.as_bytes(),
        user,
        session.created_at.as_millis(),
        session.expires_at.as_millis(),
    );
    if rows::execute(connection, sql, parameters)? == 0 {
        return Ok(false);
    }
    for token in ended {
        rows::execute(connection, "DELETE FROM sessions WHERE token = ?1", [token])?;
    }
    Ok(true)
}
