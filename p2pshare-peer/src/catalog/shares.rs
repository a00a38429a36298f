//! Shares: adding, listing, ending them.

use std::path::Path;

use p2pshare_core::{
    api::Visibility,
    backend::sqlite::{DatabaseError, DatabaseResult},
    identity::Reach,
    path::SharePath,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Catalog, CatalogError, MAX_NUMBER, NewShare, Share, ShareId, ShareTotals,
    excluded::{leave_out, stay_out},
    local, numbered,
    roots::note_meant,
    rows,
};

/// Files that are removed in one transaction, so that other processes need not wait long.
const REMOVED_AT_ONCE: u32 = 5000;

impl Catalog {
    /// All shares, in order of name.
    pub async fn shares(&self) -> Result<Vec<Share>, CatalogError> {
        self.read(all).await
    }

    /// A share, if it is there.
    pub async fn share(&self, id: ShareId) -> Result<Option<Share>, CatalogError> {
        self.read(move |c| find(c, "id = ?1", id.0)).await
    }

    /// The share of just this file or folder. `root` is compared as it is, links are not followed.
    pub async fn share_at(&self, root: &Path) -> Result<Option<Share>, CatalogError> {
        let Some(root) = local::to_bytes(root).map(<[u8]>::to_vec) else {
            return Ok(None);
        };
        self.read(move |c| find(c, "root = ?1", root)).await
    }

    /// How much a share holds. Takes time in proportion to its files.
    pub async fn totals(&self, id: ShareId) -> Result<ShareTotals, CatalogError> {
        let read = self.read(move |c| {
            let count = "SELECT count(*), coalesce(sum(size), 0), (SELECT count(*) FROM excluded WHERE share = ?1), \
                         (SELECT count(*) FROM pending p JOIN files f ON f.path = p.path WHERE f.share = ?1) \
                         FROM files WHERE share = ?1";
            let mut query = c.prepare_cached(count)?;
            let count = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            let (files, bytes, excluded, pending) = query.query_row([id.0], count)?;
            Ok(ShareTotals {
                files: rows::unsigned(files)?,
                bytes: rows::unsigned(bytes)?,
                excluded: rows::unsigned(excluded)?,
                pending: rows::unsigned(pending)?,
            })
        });
        read.await
    }

    /// Adds a share, or changes how the one with this root is shared.
    pub(crate) async fn add_share(&self, new: NewShare) -> Result<Share, CatalogError> {
        if local::to_bytes(&new.root).is_none() {
            return Err(CatalogError::BadPath(new.root));
        }
        let others = match new.meant {
            Some(id) => self.also_at(&new.root, id).await?,
            None => Vec::new(),
        };
        let added = self.change(move |c| {
            let root = local::to_bytes(&new.root).unwrap_or_default();
            let changed = match find(c, "root = ?1", root)? {
                Some(share) => update(c, share, &new)?,
                None => insert(c, root, &new)?,
            };
            if let Ok(share) = &changed {
                leave_out(c, share)?;
                if let Some(root) = new.meant {
                    note_meant(c, share.id, root, &others)?;
                }
            }
            Ok(changed)
        });
        let added = added.await??;
        self.keep().await?;
        Ok(added)
    }

    /// Ends a share and forgets its files; what lies in another share as well is not shared with that one either. `false`:
    /// there is no such share.
    pub async fn remove_share(&self, id: ShareId) -> Result<bool, CatalogError> {
        loop {
            let removed = self.change(move |c| {
                let sql = "DELETE FROM files WHERE id IN (SELECT id FROM files WHERE share = ?1 LIMIT ?2)";
                let files = c.prepare_cached(sql)?.execute(params![id.0, REMOVED_AT_ONCE])?;
                if files == REMOVED_AT_ONCE as usize {
                    return Ok(None);
                }
                if let Some(share) = find(c, "id = ?1", id.0)? {
                    stay_out(c, &share)?;
                }
                let shares = c.prepare_cached("DELETE FROM shares WHERE id = ?1")?.execute([id.0])?;
                Ok(Some(shares > 0))
            });
            if let Some(found) = removed.await? {
                self.keep().await?;
                return Ok(found);
            }
        }
    }

    /// Says whether the running peer follows a share. `false`: there is no such share.
    pub async fn set_watched(&self, id: ShareId, watched: bool) -> Result<bool, CatalogError> {
        let set = self.change(move |c| {
            let sql = "UPDATE shares SET watched = ?2 WHERE id = ?1";
            Ok(c.prepare_cached(sql)?.execute(params![id.0, watched])? > 0)
        });
        set.await
    }

    /// Notes whether a share's root is there.
    pub(crate) async fn set_online(&self, id: ShareId, online: bool) -> Result<(), CatalogError> {
        let set = self.change(move |c| {
            let sql = "UPDATE shares SET online = ?2 WHERE id = ?1";
            c.prepare_cached(sql)?.execute(params![id.0, online])?;
            Ok(())
        });
        set.await
    }
}

/// All shares, in order of name.
pub(super) fn all(c: &Connection) -> DatabaseResult<Vec<Share>> {
    let sql = format!("SELECT {} FROM shares ORDER BY name", rows::SHARE);
    let mut query = c.prepare_cached(&sql)?;
    let found = query.query_and_then([], rows::share)?;
    found.collect()
}

pub(super) fn find(
    c: &Connection,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> DatabaseResult<Option<Share>> {
    let sql = format!("SELECT {} FROM shares WHERE {condition}", rows::SHARE);
    let mut query = c.prepare_cached(&sql)?;
    let mut found = query.query_and_then([value], rows::share)?;
    found.next().transpose()
}

/// A change that may not be made, or the share as it is afterwards.
type Changed = DatabaseResult<Result<Share, CatalogError>>;

fn update(c: &Connection, share: Share, new: &NewShare) -> Changed {
    let visibility = new.visibility.clone().unwrap_or_else(|| share.visibility.clone());
    // What is shared with a group stays with it unless another one was named, by what only it has: its name alone may be
    // that of another one by now.
    let kept = share.reach.filter(|_| visibility == share.visibility);
    let reach = told_reach(new).or(kept);
    if let (Visibility::Group(group), Some(kept)) = (&visibility, kept)
        && reach != Some(kept)
        && !new.other_group
    {
        return Ok(Err(CatalogError::OtherGroup { root: share.root, group: group.clone() }));
    }
    let share = Share {
        visibility,
        reach,
        lost: share.lost && new.visibility.is_none(),
        refused: None,
        hidden: new.hidden.unwrap_or(share.hidden),
        follow_links: new.follow_links.unwrap_or(share.follow_links),
        watched: new.watched.unwrap_or(share.watched),
        is_file: new.is_file.or(share.is_file),
        ..share
    };
    let sql = "UPDATE shares SET visibility = ?2, hidden = ?3, follow_links = ?4, watched = ?5, reach = ?6, lost = ?7, \
               is_file = ?8, refused = NULL WHERE id = ?1";
    let visibility = share.visibility.to_string();
    c.prepare_cached(sql)?.execute(params![
        share.id.0,
        visibility,
        share.hidden,
        share.follow_links,
        share.watched,
        reach.map(|reach| reach.to_string()),
        share.lost,
        share.is_file
    ])?;
    Ok(Ok(share))
}

/// Which group is named, by what only it has.
fn told_reach(new: &NewShare) -> Option<Reach> {
    new.reach.filter(|_| matches!(new.visibility, Some(Visibility::Group(_))))
}

fn insert(c: &Connection, root: &[u8], new: &NewShare) -> Changed {
    let Some(name) = free_name(c, &new.name)? else {
        return Ok(Err(CatalogError::NoName(new.name.to_string())));
    };
    let visibility = new.visibility.clone().unwrap_or_default();
    let (hidden, follow_links) =
        (new.hidden.unwrap_or_default(), new.follow_links.unwrap_or_default());
    let watched = new.watched.unwrap_or(true);
    let reach = told_reach(new);
    let sql = "INSERT INTO shares (root, name, visibility, hidden, follow_links, watched, reach, is_file) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let id = c.prepare_cached(sql)?.insert(params![
        root,
        name.as_str(),
        visibility.to_string(),
        hidden,
        follow_links,
        watched,
        reach.map(|reach| reach.to_string()),
        new.is_file
    ])?;
    Ok(Ok(Share {
        id: ShareId(id),
        root: new.root.clone(),
        name,
        visibility,
        hidden,
        follow_links,
        online: true,
        watched,
        reach,
        lost: false,
        refused: None,
        is_file: new.is_file,
    }))
}

fn free_name(c: &Connection, wanted: &SharePath) -> DatabaseResult<Option<SharePath>> {
    let mut query = c.prepare_cached("SELECT 1 FROM shares WHERE name = ?1")?;
    for number in 1..=MAX_NUMBER {
        let Some(name) = numbered(wanted, number) else {
            return Ok(None);
        };
        let taken = query.query_row([name.as_str()], |_| Ok(())).optional();
        if taken.map_err(DatabaseError::from)?.is_none() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
