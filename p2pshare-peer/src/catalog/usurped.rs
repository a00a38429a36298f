//! Whether something that is for fewer has come to lie in the place of a share.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use p2pshare_core::backend::sqlite::DatabaseResult;
use rusqlite::{Connection, params};

use super::{
    Catalog, CatalogError, ShareId,
    roots::{RootId, ended_roots, for_fewer, meant, read, real},
    shares::find,
};

/// Folders that are kept of those in which a share has lain.
const MOST_ABOVE: usize = 256;

/// What tells whether a share's place is its own.
#[derive(Debug)]
struct Place {
    root: PathBuf,
    /// What lay there and was the share's, and when that was shared there.
    own: HashMap<RootId, i64>,
    /// The folders in which that lay.
    above: HashSet<RootId>,
    /// Shares that are for fewer.
    others: Vec<Other>,
    /// What lay at the roots of shares that have ended.
    ended: HashSet<RootId>,
}

/// A share that is for fewer.
#[derive(Debug)]
struct Other {
    root: PathBuf,
    /// What lay at its root, and when that was shared there.
    roots: HashMap<RootId, i64>,
}

impl Catalog {
    /// Whether what lies in the place of a share is not meant by it. It never was the share's or was shared for fewer
    /// since, and was the root of another that is for fewer or has ended, or lies in what was, and the share never did; or
    /// a link came there that leads to what is for fewer. So it is until somebody shares it anew.
    pub(crate) async fn is_usurped(&self, share: ShareId) -> Result<bool, CatalogError> {
        let Some(place) = self.read(move |c| place(c, share)).await? else { return Ok(false) };
        // Not in a transaction: a disk that does not answer must not keep others from the catalog. What panicked has
        // told nothing.
        Ok(tokio::task::spawn_blocking(move || place.is_usurped()).await.unwrap_or(true))
    }

    /// Notes the folders in which a share's root lies.
    pub(crate) async fn note_above(
        &self,
        share: ShareId,
        above: Vec<RootId>,
    ) -> Result<(), CatalogError> {
        let known = self.read(move |c| roots_above(c, share)).await?;
        // What changes nothing must not be told as a change.
        if above.iter().all(|id| known.contains(id)) {
            return Ok(());
        }
        let is_full = known.len() + above.len() > MOST_ABOVE;
        let note = move |c: &Connection| {
            if is_full {
                c.prepare_cached("DELETE FROM roots_above WHERE share = ?1")?.execute([share.0])?;
            }
            let sql = "INSERT OR IGNORE INTO roots_above (share, inode, born_ns) \
                       SELECT id, ?2, ?3 FROM shares WHERE id = ?1";
            let mut insert = c.prepare_cached(sql)?;
            for RootId { inode, born_ns, .. } in &above {
                insert.execute(params![share.0, inode.cast_signed(), born_ns])?;
            }
            Ok(())
        };
        self.change(note).await
    }
}

/// `None`: there is nothing that could be in its place.
fn place(c: &Connection, share: ShareId) -> DatabaseResult<Option<Place>> {
    let Some(share) = find(c, "id = ?1", share.0)? else { return Ok(None) };
    let others = for_fewer(c, &share)?;
    let ended = ended_roots(c, share.id)?;
    if others.is_empty() && ended.is_empty() {
        return Ok(None);
    }
    let other = |other: super::Share| {
        let roots = meant(c, other.id)?;
        DatabaseResult::Ok(Other { root: other.root, roots })
    };
    Ok(Some(Place {
        own: meant(c, share.id)?,
        above: roots_above(c, share.id)?,
        root: share.root,
        others: others.into_iter().map(other).collect::<Result<_, _>>()?,
        ended,
    }))
}

fn roots_above(c: &Connection, share: ShareId) -> DatabaseResult<HashSet<RootId>> {
    let sql = "SELECT inode, born_ns, 1 FROM roots_above WHERE share = ?1";
    Ok(read(c, sql, share)?.into_iter().collect())
}

impl Place {
    /// Blocks.
    fn is_usurped(&self) -> bool {
        // Nothing is there, or nothing that can be read.
        let Ok(place) = fs::canonicalize(&self.root) else { return false };
        let id = RootId::look(&place);
        if id.is_some_and(|id| self.is_own(id)) {
            return false;
        }
        // It was no link when it was shared.
        if place != self.root && self.others.iter().any(|other| self.leads_into(&place, other)) {
            return true;
        }
        // Nobody has looked at it yet: what lies there is what is meant.
        if self.own.is_empty() {
            return false;
        }
        let was_root = |id| {
            self.ended.contains(&id)
                || self.others.iter().any(|other| other.roots.contains_key(&id))
        };
        id.is_some_and(was_root) || place.ancestors().skip(1).any(|above| self.lies_in(above))
    }

    /// Whether this was the share's and has not been shared for fewer since.
    fn is_own(&self, id: RootId) -> bool {
        let Some(when) = self.own.get(&id).filter(|when| **when >= 0) else { return false };
        !self.others.iter().any(|other| other.roots.get(&id).is_some_and(|later| later > when))
    }

    /// Whether a place that links lead to is one of the other share's. That share may lie around this one, and have been
    /// moved with it.
    fn leads_into(&self, place: &Path, other: &Other) -> bool {
        let real = real(&other.root);
        let is_in = place.starts_with(&other.root) || place.starts_with(&real);
        let below = self.root.strip_prefix(&other.root);
        is_in && below.map_or(true, |below| real.join(below) != place)
    }

    /// Whether a folder in which it lies was a root, and it never lay in that.
    fn lies_in(&self, above: &Path) -> bool {
        let Some(id) = RootId::look(above).filter(|id| !self.above.contains(id)) else {
            return false;
        };
        // A share around this one may have been put there anew with it.
        let is_around =
            |other: &Other| self.root.starts_with(&other.root) && real(&other.root) == above;
        let is_of = |other: &Other| other.roots.contains_key(&id) && !is_around(other);
        self.ended.contains(&id) || self.others.iter().any(is_of)
    }
}
