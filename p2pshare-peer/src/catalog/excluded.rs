//! What lies in a share and is not shared with it: what was unshared, and what is shared for fewer by a share of its own.

use p2pshare_core::{api::Visibility, backend::sqlite::DatabaseResult, path::SharePath};
use rusqlite::{Connection, params};

use super::{
    Catalog, CatalogError, Share, ShareId, local,
    naming::path_below,
    roots::{Apart, for_fewer, keep_out, roots_apart},
    rows::signed,
    shares::{all, find},
};

impl Share {
    /// Whether this share, which lies in `outer`, keeps what is in it from being shared with `outer` too: it is not for
    /// everybody, and not for the same people.
    pub fn is_apart_from(&self, outer: &Self) -> bool {
        let is_below = self.root != outer.root && self.root.starts_with(&outer.root);
        is_below && self.is_for_fewer_than(outer)
    }

    /// Whether it is not for everybody, and not for just those whom `other` is for.
    pub(crate) fn is_for_fewer_than(&self, other: &Self) -> bool {
        self.visibility != Visibility::Public && !self.is_for_whom(other)
    }

    /// Whether it is for the same people.
    pub(crate) fn is_for_whom(&self, other: &Self) -> bool {
        let of = |share: &Self| (share.visibility.clone(), share.reach, share.lost);
        of(self) == of(other)
    }
}

impl Catalog {
    /// What below a share's root is not shared with it, as keys, in order.
    pub(crate) async fn excluded(&self, share: ShareId) -> Result<Vec<Vec<u8>>, CatalogError> {
        self.read(move |c| excluded(c, share)).await
    }

    /// What is not shared with this share, by whatever link one comes there or whatever its name is now: what is excluded
    /// of it, and other shares that are for fewer.
    pub(crate) async fn apart_from(&self, share: ShareId) -> Result<Apart, CatalogError> {
        let read = self.read(move |c| {
            let Some(share) = find(c, "id = ?1", share.0)? else { return Ok(None) };
            let excluded = excluded(c, share.id)?;
            let others = for_fewer(c, &share)?;
            let roots = roots_apart(c, share.id, &others)?;
            let others: Vec<_> = others.into_iter().map(|other| other.root).collect();
            Ok(Some((share.root, excluded, others, roots)))
        });
        let Some((root, excluded, others, roots)) = read.await? else {
            return Ok(Apart::default());
        };
        // Not in a transaction, as below.
        let of = move || Apart::of(&root, &excluded, &others, roots);
        Ok(tokio::task::spawn_blocking(of).await.unwrap_or_default())
    }

    /// Of the shares in one that keep apart what they have those that are not there: what they had may be somewhere else
    /// now.
    pub(super) async fn gone_apart(&self, outer: ShareId) -> Result<Vec<ShareId>, CatalogError> {
        let apart = self.read(move |c| {
            let Some(outer) = find(c, "id = ?1", outer.0)? else { return Ok(Vec::new()) };
            Ok(all(c)?.into_iter().filter(|inner| inner.is_apart_from(&outer)).collect::<Vec<_>>())
        });
        let apart = apart.await?;
        if apart.is_empty() {
            return Ok(Vec::new());
        }
        let is_gone = |inner: &Share| !inner.online || inner.root.symlink_metadata().is_err();
        // Not in a transaction: a disk that does not answer must not keep others from the catalog.
        let all: Vec<_> = apart.iter().map(|inner| inner.id).collect();
        let look = move || apart.iter().filter(|inner| is_gone(inner)).map(|it| it.id).collect();
        Ok(tokio::task::spawn_blocking(look).await.unwrap_or(all))
    }

    /// Sees to it that no share has what a share in it keeps apart.
    pub(crate) async fn keep_apart(&self) -> Result<(), CatalogError> {
        // What changes nothing must not be told as a change.
        match self.read(has_what_is_apart).await? {
            true => self.change(leave_all_out).await,
            false => Ok(()),
        }
    }

    /// Ends the sharing of a file or folder below a share's root, now and in scans to come. Gives the number of files
    /// that were shared. If there were none, nothing changes, unless it is to be so `always`.
    pub(crate) async fn exclude(
        &self,
        share: ShareId,
        key: Vec<u8>,
        always: bool,
    ) -> Result<u64, CatalogError> {
        let excluded = self.change(move |c| {
            let removed = remove_below(c, share, &key)?;
            if removed > 0 || always {
                let sql = "INSERT OR IGNORE INTO excluded VALUES (?1, ?2)";
                c.prepare_cached(sql)?.execute(params![share.0, key])?;
            }
            Ok(removed as u64)
        });
        let excluded = excluded.await?;
        self.keep().await?;
        Ok(excluded)
    }
}

/// What below a share's root is not shared with it, as keys, in order.
pub(super) fn excluded(c: &Connection, share: ShareId) -> DatabaseResult<Vec<Vec<u8>>> {
    let mut query = c.prepare_cached("SELECT local FROM excluded WHERE share = ?1")?;
    let keys = query.query_map([share.0], |row| row.get(0))?;
    let mut keys: Vec<Vec<u8>> = keys.collect::<Result<_, _>>()?;
    if let Some(outer) = find(c, "id = ?1", share.0)? {
        let apart = all(c)?.into_iter().filter(|inner| inner.is_apart_from(&outer));
        keys.extend(apart.filter_map(|inner| key_of(&inner, &outer)));
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// Takes out of the shares around one, and of the one itself, what the shares in them keep apart. It goes to these with
/// its hashes.
pub(super) fn leave_out(c: &Connection, changed: &Share) -> DatabaseResult<()> {
    // From the innermost on, so that what lies in several goes to the nearest.
    let mut others = all(c)?;
    others.sort_by_key(|other| std::cmp::Reverse(other.root.components().count()));
    for other in others {
        for (inner, outer) in [(&other, changed), (changed, &other)] {
            if inner.is_apart_from(outer)
                && let Some(key) = key_of(inner, outer)
            {
                hand_over(c, inner, outer, &key)?;
                remove_below(c, outer.id, &key)?;
                remove_same(c, inner.id, outer.id)?;
            }
        }
    }
    Ok(())
}

/// Whether a share has something that a share in it keeps apart.
fn has_what_is_apart(c: &Connection) -> DatabaseResult<bool> {
    let shares = all(c)?;
    let sql = "SELECT 1 FROM files WHERE share = ?1 AND (local = ?2 OR (local > ?3 AND local < ?4)) LIMIT 1";
    let mut query = c.prepare_cached(sql)?;
    for (inner, outer) in
        shares.iter().flat_map(|inner| shares.iter().map(move |outer| (inner, outer)))
    {
        if inner.is_apart_from(outer)
            && let Some(key) = key_of(inner, outer)
        {
            let [below, after] = bounds(&key);
            if query.exists(params![outer.id.0, key, below, after])? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The same for all shares.
pub(super) fn leave_all_out(c: &Connection) -> DatabaseResult<()> {
    all(c)?.iter().try_for_each(|share| leave_out(c, share))
}

/// What a share that ends has is not shared by those around it instead, nor by others that are for more.
pub(super) fn stay_out(c: &Connection, ending: &Share) -> DatabaseResult<()> {
    for outer in all(c)?.into_iter().filter(|outer| outer.id != ending.id) {
        let key = key_of(ending, &outer);
        // It may have been moved into it, and not been seen there yet.
        if key.is_some() || ending.is_for_fewer_than(&outer) {
            keep_out(c, ending.id, outer.id)?;
        }
        if let Some(key) = key {
            remove_below(c, outer.id, &key)?;
            c.prepare_cached("INSERT OR IGNORE INTO excluded VALUES (?1, ?2)")?
                .execute(params![outer.id.0, key])?;
        }
    }
    Ok(())
}

/// Makes files of a share those of a share in it, as far as that does not know them yet.
fn hand_over(c: &Connection, inner: &Share, outer: &Share, key: &[u8]) -> DatabaseResult<()> {
    let Ok((before, _)) = path_below(&outer.name, key) else { return Ok(()) };
    let [below, after] = bounds(key);
    // Behind the key and the zero byte after it; from the slash after the name on.
    let key_end = signed(key.len() as u64 + 2)?;
    let name_end = signed(before.as_str().chars().count() as u64 + 1)?;
    let sql = "UPDATE OR IGNORE files SET share = ?1, local = substr(local, ?2), path = ?3 || substr(path, ?4) \
               WHERE share = ?5 AND local > ?6 AND local < ?7 AND substr(path, 1, ?4) = ?8 || '/' \
                 AND octet_length(path) <= ?9";
    c.prepare_cached(sql)?.execute(params![
        inner.id.0,
        key_end,
        inner.name.as_str(),
        name_end,
        outer.id.0,
        below,
        after,
        before.as_str(),
        // Nor may it become too long by its new name.
        signed((SharePath::MAX_BYTES - inner.name.as_str().len()) as u64)?
    ])?;
    let sql = "UPDATE OR IGNORE files SET share = ?1, local = x'', path = ?2 WHERE share = ?3 AND local = ?4";
    c.prepare_cached(sql)?.execute(params![inner.id.0, inner.name.as_str(), outer.id.0, key])?;
    Ok(())
}

fn key_of(inner: &Share, outer: &Share) -> Option<Vec<u8>> {
    inner.root.strip_prefix(&outer.root).ok().and_then(local::to_key)
}

/// Forgets the files of a share that are files of a share in it under another name: a link leads to them.
fn remove_same(c: &Connection, inner: ShareId, outer: ShareId) -> DatabaseResult<()> {
    let sql = "DELETE FROM files WHERE share = ?1 AND inode <> 0 AND EXISTS (\
               SELECT 1 FROM files i WHERE i.share = ?2 AND i.inode = files.inode AND i.size = files.size \
                   AND i.mtime_ns = files.mtime_ns)";
    c.prepare_cached(sql)?.execute(params![outer.0, inner.0])?;
    Ok(())
}

/// Forgets the files of a share at and below a key.
fn remove_below(c: &Connection, share: ShareId, key: &[u8]) -> DatabaseResult<usize> {
    let [below, after] = bounds(key);
    let sql = "DELETE FROM files WHERE share = ?1 AND (local = ?2 OR (local > ?3 AND local < ?4))";
    Ok(c.prepare_cached(sql)?.execute(params![share.0, key, below, after])?)
}

/// What is below a key lies between these: its parts have a zero byte between them.
fn bounds(key: &[u8]) -> [Vec<u8>; 2] {
    [0, 1].map(|end| [key, &[end]].concat())
}
