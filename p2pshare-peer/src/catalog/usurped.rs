//! Whether something that is for fewer has come to lie in the place of a share.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use p2pshare_core::backend::sqlite::DatabaseResult;
use rusqlite::Connection;

use super::{
    Catalog, CatalogError, ShareId,
    roots::{RootId, for_fewer, roots, roots_apart},
    shares::find,
};

/// What tells whether a share's place is its own.
#[derive(Debug)]
struct Place {
    root: PathBuf,
    /// What lay there and was the share's.
    own: HashSet<RootId>,
    /// Where shares are that are for fewer, but for those around it.
    places: Vec<PathBuf>,
    /// What lay at their roots, and at those of ended shares.
    roots: HashSet<RootId>,
}

impl Catalog {
    /// Whether what lies in the place of a share is not meant by it: it was the root of another that is for fewer (or of
    /// one that has ended), or lies in what was, and never was the root of this one; or a link came there which leads to
    /// what is for fewer. So it is until the share is ended and made anew.
    pub(crate) async fn is_usurped(&self, share: ShareId) -> Result<bool, CatalogError> {
        let Some(place) = self.read(move |c| place(c, share)).await? else { return Ok(false) };
        // Not in a transaction: a disk that does not answer must not keep others from the catalog. What panicked has
        // told nothing.
        Ok(tokio::task::spawn_blocking(move || place.is_usurped()).await.unwrap_or(true))
    }
}

/// `None`: there is nothing that could be in its place.
fn place(c: &Connection, share: ShareId) -> DatabaseResult<Option<Place>> {
    let Some(share) = find(c, "id = ?1", share.0)? else { return Ok(None) };
    let mut others = for_fewer(c, &share)?;
    // It lies in them, and is meant all the same.
    others.retain(|other| !share.root.starts_with(&other.root));
    let roots_apart = roots_apart(c, share.id, &others)?;
    if others.is_empty() && roots_apart.is_empty() {
        return Ok(None);
    }
    Ok(Some(Place {
        own: roots(c, share.id)?.into_iter().collect(),
        root: share.root,
        places: others.into_iter().map(|other| other.root).collect(),
        roots: roots_apart,
    }))
}

impl Place {
    /// Blocks.
    fn is_usurped(&self) -> bool {
        // Nothing is there, or nothing that can be read.
        let Ok(place) = fs::canonicalize(&self.root) else { return false };
        // It was no link when it was shared.
        if place != self.root && self.places.iter().any(|apart| place.starts_with(apart)) {
            return true;
        }
        let is_own = RootId::look(&place).is_some_and(|id| self.own.contains(&id));
        !self.own.is_empty() && !is_own && place.ancestors().any(|above| self.was_root(above))
    }

    fn was_root(&self, place: &Path) -> bool {
        RootId::look(place).is_some_and(|id| self.roots.contains(&id))
    }
}
