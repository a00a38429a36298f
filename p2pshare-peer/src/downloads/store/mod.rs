//! The queue in its database.
//!
//! A change of a file and of the counts of its download is one transaction, so that they never differ.

mod control;
mod files;
mod results;
mod rows;
mod schema;

use std::path::Path;

use p2pshare_core::{
    backend::sqlite::{Database, DatabaseResult},
    identity::{IndexKeyId, Username},
};
use rusqlite::{Connection, OptionalExtension, params};

pub(super) use control::Moved;
pub(super) use rows::{DownloadRow, FileRow, Saved, SavedFile};

use super::{DownloadFilter, DownloadId, DownloadTotals};

/// Whose downloads they are: a number for an index and a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AccountId(i64);

/// The queue. A clone is another handle on the same one.
#[derive(Clone, Debug)]
pub(super) struct Store {
    database: Database,
}

impl Store {
    /// Opens it, and makes it if it is not there. Blocks.
    pub(super) fn open(path: &Path) -> DatabaseResult<Self> {
        Ok(Self { database: Database::open(path, &schema::options())? })
    }

    /// The number of an account. An index with one of these keys is the same index, and the first one is its newest.
    pub(super) async fn account(
        &self,
        index_keys: Vec<IndexKeyId>,
        user: Username,
    ) -> DatabaseResult<AccountId> {
        self.database.write(move |c| account(c, &index_keys, &user)).await
    }

    pub(super) async fn download(
        &self,
        account: AccountId,
        id: DownloadId,
    ) -> DatabaseResult<Option<DownloadRow>> {
        self.database.read(move |c| find(c, account, id)).await
    }

    /// A page of downloads, the newest first.
    pub(super) async fn list(
        &self,
        account: AccountId,
        filter: DownloadFilter,
        after: Option<DownloadId>,
        limit: usize,
    ) -> DatabaseResult<Vec<DownloadRow>> {
        let states = match filter {
            DownloadFilter::Active => "AND state < 3",
            DownloadFilter::Settled => "AND state >= 3",
            DownloadFilter::All => "",
        };
        let sql = format!(
            "SELECT {} FROM downloads WHERE account = ?1 AND id < ?2 {states} ORDER BY id DESC LIMIT ?3",
            rows::DOWNLOAD
        );
        let after = after.map_or(i64::MAX, |id| id.0);
        let read = move |c: &Connection| {
            let mut query = c.prepare_cached(&sql)?;
            let found = query.query_and_then(
                params![account.0, after, rows::signed(limit as u64)],
                rows::download,
            )?;
            found.collect()
        };
        self.database.read(read).await
    }

    /// How many there are of each kind, all but the rate.
    pub(super) async fn totals(&self, account: AccountId) -> DatabaseResult<DownloadTotals> {
        let read = move |c: &Connection| {
            let mut totals = DownloadTotals::default();
            let sql = "SELECT state, count(*) FROM downloads WHERE account = ?1 GROUP BY state";
            let mut query = c.prepare_cached(sql)?;
            let mut rows = query.query([account.0])?;
            while let Some(row) = rows.next()? {
                let count = rows::unsigned(row.get(1)?);
                match Saved::from_number(row.get(0)?)? {
                    Saved::Queued => totals.queued = count,
                    Saved::Running => totals.active = count,
                    Saved::Paused => totals.paused = count,
                    Saved::Done => totals.done = count,
                    Saved::Failed => totals.failed = count,
                    Saved::Cancelled | Saved::Cancelling => {}
                }
            }
            Ok(totals)
        };
        self.database.read(read).await
    }

    /// The downloads of an account in this state, the oldest first.
    pub(super) async fn in_state(
        &self,
        account: AccountId,
        state: Saved,
    ) -> DatabaseResult<Vec<DownloadId>> {
        let sql = "SELECT id FROM downloads WHERE account = ?1 AND state = ?2 ORDER BY id";
        let read = move |c: &Connection| ids(c, sql, params![account.0, state as i64]);
        self.database.read(read).await
    }

    /// The download of an account that has been queued for longest.
    pub(super) async fn next_queued(
        &self,
        account: AccountId,
    ) -> DatabaseResult<Option<DownloadId>> {
        let sql = "SELECT id FROM downloads WHERE account = ?1 AND state = ?2 ORDER BY id LIMIT 1";
        let read = move |c: &Connection| ids(c, sql, params![account.0, Saved::Queued as i64]);
        Ok(self.database.read(read).await?.pop())
    }

    /// The downloads of all accounts that were given up and have not been cleared away.
    pub(super) async fn cancelling(&self) -> DatabaseResult<Vec<DownloadId>> {
        let sql = "SELECT id FROM downloads WHERE state = ?1";
        self.database.read(move |c| ids(c, sql, params![Saved::Cancelling as i64])).await
    }
}

fn find(c: &Connection, account: AccountId, id: DownloadId) -> DatabaseResult<Option<DownloadRow>> {
    let sql = format!("SELECT {} FROM downloads WHERE id = ?1 AND account = ?2", rows::DOWNLOAD);
    let mut query = c.prepare_cached(&sql)?;
    let mut found = query.query_and_then((id.0, account.0), rows::download)?;
    found.next().transpose()
}

fn ids(
    c: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> DatabaseResult<Vec<DownloadId>> {
    let mut query = c.prepare_cached(sql)?;
    let found = query.query_map(params, |row| row.get(0).map(DownloadId))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn account(
    c: &Connection,
    index_keys: &[IndexKeyId],
    user: &Username,
) -> DatabaseResult<AccountId> {
    let keys: Vec<_> = index_keys.iter().map(ToString::to_string).collect();
    let newest = keys.first().map_or("", String::as_str);
    let mut query = c.prepare_cached("SELECT id, index_key FROM accounts WHERE username = ?1")?;
    let mut rows = query.query([user.as_str()])?;
    while let Some(row) = rows.next()? {
        let (id, key): (i64, String) = (row.get(0)?, row.get(1)?);
        if keys.contains(&key) {
            // The index may have changed its key since.
            c.prepare_cached("UPDATE accounts SET index_key = ?2 WHERE id = ?1")?
                .execute(params![id, newest])?;
            return Ok(AccountId(id));
        }
    }
    let sql = "INSERT INTO accounts (index_key, username) VALUES (?1, ?2) RETURNING id";
    let id = c
        .prepare_cached(sql)?
        .query_row(params![newest, user.as_str()], |row| row.get(0))
        .optional()?;
    id.map(AccountId).ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}
