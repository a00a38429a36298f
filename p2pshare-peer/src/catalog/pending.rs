//! What of the catalog is to be told to the index, and what of it the index does not take.

use std::collections::HashSet;

use p2pshare_core::{
    api::{CatalogChange, Visibility},
    backend::sqlite::DatabaseResult,
    identity::Reach,
    path::SharePath,
};
use rusqlite::{Connection, params};

use super::{
    Catalog, CatalogError, PublishAccount, ShareId, published,
    rows::{self, signed},
};

/// A change to be told to the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingChange {
    pub(crate) change: CatalogChange,
    /// The share of what is to be published.
    pub(crate) share: Option<ShareId>,
    /// Which group it is for, as in [`Share::reach`](super::Share::reach).
    pub(crate) reach: Option<Reach>,
    /// As in [`Share::lost`](super::Share::lost).
    pub(crate) lost: bool,
}

impl Catalog {
    /// How many paths are still to be told to the index.
    pub async fn pending_count(&self) -> Result<u64, CatalogError> {
        self.count("SELECT count(*) FROM pending").await
    }

    /// A page of what is to be told to the index, without the files of some shares, in order of path.
    pub(crate) async fn pending(
        &self,
        account: PublishAccount,
        after: Option<SharePath>,
        without: &[ShareId],
        limit: usize,
    ) -> Result<Vec<PendingChange>, CatalogError> {
        let (limit, without) = (signed(limit as u64)?, list(without));
        let read = self.read(move |c| {
            if !published::is_current(c, &account)? {
                return Ok(None);
            }
            let after = after.as_ref().map_or("", SharePath::as_str);
            let mut query = c.prepare_cached(
                "SELECT p.path, f.path, f.content, f.size, s.visibility, s.online, s.id, s.reach, s.lost \
                 FROM pending p LEFT JOIN files f ON f.path = p.path LEFT JOIN shares s ON s.id = f.share \
                 WHERE p.path > ?1 AND (s.id IS NULL OR NOT s.online \
                     OR s.id NOT IN (SELECT value FROM json_each(?3))) ORDER BY p.path LIMIT ?2",
            )?;
            let changes = query.query_and_then(params![after, limit, without], change)?;
            changes.collect::<DatabaseResult<Vec<_>>>().map(Some)
        });
        read.await?.ok_or(CatalogError::AccountChanged)
    }

    /// How many paths of these shares are still to be told to the index.
    pub(crate) async fn pending_in(&self, shares: &[ShareId]) -> Result<u64, CatalogError> {
        let shares = list(shares);
        let read = self.read(move |c| {
            let sql = "SELECT count(*) FROM pending p JOIN files f ON f.path = p.path \
                       WHERE f.share IN (SELECT value FROM json_each(?1))";
            rows::unsigned(c.prepare_cached(sql)?.query_row([shares], |row| row.get(0))?)
        });
        read.await
    }

    /// The shares that are for just these; of those that are bound to no group those that are `lost`, or those that are
    /// not.
    pub(crate) async fn shares_for(
        &self,
        visibility: &Visibility,
        reach: Option<Reach>,
        lost: bool,
    ) -> Result<Vec<ShareId>, CatalogError> {
        let shares = self.shares().await?.into_iter();
        let meant = shares.filter(|share| {
            (&share.visibility, share.reach, share.lost) == (visibility, reach, lost)
        });
        Ok(meant.map(|share| share.id).collect())
    }

    /// Of these shares' files some that the index has, as far as this catalog knows: at most `limit`, as withdrawals.
    pub(crate) async fn known_in(
        &self,
        account: PublishAccount,
        shares: &[ShareId],
        limit: usize,
    ) -> Result<Vec<CatalogChange>, CatalogError> {
        let (shares, limit) = (list(shares), signed(limit as u64)?);
        let known = move |c: &Connection| {
            let sql = "SELECT k.path FROM files f JOIN published k ON k.path = f.path \
                       WHERE f.share IN (SELECT value FROM json_each(?1)) LIMIT ?2";
            let mut query = c.prepare_cached(sql)?;
            let found = query.query_and_then(params![shares, limit], |row| {
                rows::text(row, 0).map(CatalogChange::Withdraw)
            })?;
            found.collect()
        };
        self.for_account(account, known).await
    }

    /// Of these paths those of which the index has something, as far as this catalog knows.
    pub(crate) async fn known_of(
        &self,
        account: PublishAccount,
        paths: Vec<SharePath>,
    ) -> Result<HashSet<SharePath>, CatalogError> {
        let known = move |c: &Connection| {
            let mut query = c.prepare_cached("SELECT 1 FROM published WHERE path = ?1")?;
            let mut known = HashSet::new();
            for path in paths {
                if query.exists([path.as_str()])? {
                    known.insert(path);
                }
            }
            Ok(known)
        };
        self.for_account(account, known).await
    }

    /// The index has taken everything the last time but files of these shares. Nobody is told: what is shared has not
    /// changed.
    pub(crate) async fn note_refused(
        &self,
        account: PublishAccount,
        refused: Vec<(ShareId, String)>,
    ) -> Result<(), CatalogError> {
        let note = move |c: &Connection| {
            c.prepare_cached("UPDATE shares SET refused = NULL WHERE refused IS NOT NULL")?
                .execute([])?;
            let mut note = c.prepare_cached("UPDATE shares SET refused = ?2 WHERE id = ?1")?;
            for (share, reason) in &refused {
                note.execute(params![share.0, reason])?;
            }
            Ok(())
        };
        self.for_account(account, note).await
    }

    /// The group that these shares name is not there.
    pub(crate) async fn note_lost(
        &self,
        account: PublishAccount,
        shares: &[ShareId],
    ) -> Result<(), CatalogError> {
        let shares = list(shares);
        let note = move |c: &Connection| {
            let sql = "UPDATE shares SET lost = 1 WHERE reach IS NULL \
                       AND id IN (SELECT value FROM json_each(?1))";
            c.prepare_cached(sql)?.execute([shares])?;
            Ok(())
        };
        self.for_account(account, note).await
    }
}

fn change(row: &rusqlite::Row<'_>) -> DatabaseResult<PendingChange> {
    if !row.get::<_, Option<bool>>(5)?.unwrap_or(false) {
        let change = CatalogChange::Withdraw(rows::text(row, 0)?);
        return Ok(PendingChange { change, share: None, reach: None, lost: false });
    }
    Ok(PendingChange {
        change: CatalogChange::Publish(rows::entry(row, 1)?),
        share: row.get::<_, Option<i64>>(6)?.map(ShareId),
        reach: rows::optional(row, 7)?,
        lost: row.get(8)?,
    })
}

/// As an array for `json_each`.
fn list(shares: &[ShareId]) -> String {
    let numbers: Vec<_> = shares.iter().map(|share| share.0.to_string()).collect();
    format!("[{}]", numbers.join(","))
}
