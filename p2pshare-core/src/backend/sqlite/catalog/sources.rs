//! Who shares a content, and who of them is online.

use std::collections::HashMap;

use rusqlite::Connection;

use super::claims::each_claim;
use crate::{
    backend::sqlite::{database::DatabaseResult, rows},
    content::ContentId,
    identity::Username,
    time::Timestamp,
};

/// How many peers share a content of a size.
#[derive(Default)]
pub(super) struct Tally {
    /// Which.
    pub(super) of: Option<(ContentId, u64)>,
    /// Those that are online.
    pub(super) online: u32,
    /// All.
    pub(super) all: u32,
    last: Option<i64>,
}

impl Tally {
    pub(super) fn new(of: (ContentId, u64)) -> Self {
        Self { of: Some(of), ..Self::default() }
    }
}

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

    /// Counts the peers that have an entry of this content and size whose owner and scope `counts`.
    pub(super) fn count(
        &mut self,
        content: &ContentId,
        size: u64,
        counts: impl Fn(i64, i64) -> bool,
    ) -> DatabaseResult<Tally> {
        let mut tally = Tally::new((*content, size));
        each_claim(self.connection, content, Some(size), |claim| {
            if counts(claim.owner, claim.scope) {
                self.add(&mut tally, claim.peer)?;
            }
            Ok(())
        })?;
        Ok(tally)
    }

    /// Counts a peer. Equal ones come one after another.
    pub(super) fn add(&mut self, tally: &mut Tally, peer: i64) -> DatabaseResult<()> {
        if tally.last == Some(peer) {
            return Ok(());
        }
        tally.last = Some(peer);
        tally.all += 1;
        tally.online += u32::from(self.is_online(peer)?);
        Ok(())
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
