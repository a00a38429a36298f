//! Who shares a content, and who of them is online.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::{
    backend::sqlite::{database::DatabaseResult, rows},
    content::ContentId,
    identity::Username,
    time::Timestamp,
};

/// Peers and users that were looked up while one question is answered.
pub(super) struct Sources<'c> {
    connection: &'c Connection,
    online_since: i64,
    online: HashMap<i64, bool>,
    names: HashMap<i64, Username>,
}

impl<'c> Sources<'c> {
    pub(super) fn new(connection: &'c Connection, online_since: Timestamp) -> Self {
        Self {
            connection,
            online_since: online_since.as_millis(),
            online: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// How many peers have an entry of this content and size whose owner and scope `counts`: those online, and all.
    pub(super) fn count(
        &mut self,
        content: &ContentId,
        size: u64,
        counts: impl Fn(i64, i64) -> bool,
    ) -> DatabaseResult<(u32, u32)> {
        let sql = "SELECT peer, owner, scope FROM entries INDEXED BY entries_content \
                   WHERE content = ?1 AND size = ?2 ORDER BY peer";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query((content.as_bytes(), rows::column_size(size)?))?;
        let (mut online, mut all) = (0, 0);
        let mut last = None;
        while let Some(row) = rows.next()? {
            let peer: i64 = row.get(0)?;
            if last == Some(peer) || !counts(row.get(1)?, row.get(2)?) {
                continue;
            }
            last = Some(peer);
            all += 1;
            online += u32::from(self.is_online(peer)?);
        }
        Ok((online, all))
    }

    /// The name of a user.
    pub(super) fn name(&mut self, user: i64) -> DatabaseResult<Username> {
        if let Some(name) = self.names.get(&user) {
            return Ok(name.clone());
        }
        let sql = "SELECT name FROM users WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([user])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let name: Username = rows::text(row, 0)?;
        self.names.insert(user, name.clone());
        Ok(name)
    }

    fn is_online(&mut self, peer: i64) -> DatabaseResult<bool> {
        if let Some(online) = self.online.get(&peer) {
            return Ok(*online);
        }
        let sql = "SELECT last_seen IS NOT NULL AND last_seen >= ?2 FROM peers WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let online = statement.query_row((peer, self.online_since), |row| row.get(0))?;
        self.online.insert(peer, online);
        Ok(online)
    }
}
