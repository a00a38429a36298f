//! The files of a download.

use std::path::{Path, PathBuf};

use p2pshare_core::{
    backend::sqlite::{DatabaseError, DatabaseResult},
    content::ContentId,
    path::SharePath,
    transfer::FileStamp,
};
use rusqlite::{Connection, params, params_from_iter};

use super::{FileRow, SavedFile, Store, rows};
use crate::{
    catalog::local,
    downloads::{DownloadId, FileFilter},
};

/// Files with one content that are looked at.
const MAX_COPIES: u32 = 16;

impl Store {
    /// A page of files in order of their number.
    pub(in crate::downloads) async fn files(
        &self,
        id: DownloadId,
        filter: FileFilter,
        after: u64,
        limit: usize,
    ) -> DatabaseResult<Vec<FileRow>> {
        match filter {
            FileFilter::All => self.page(id, after, limit, "TRUE", []).await,
            FileFilter::Failed => {
                self.page(id, after, limit, "state = ?4", [SavedFile::Failed as i64]).await
            }
        }
    }

    /// A page of files that wait for their turn, in order of their number: those of up to `border` bytes, or those of
    /// more.
    pub(in crate::downloads) async fn waiting_files(
        &self,
        id: DownloadId,
        after: u64,
        border: u64,
        larger: bool,
        limit: usize,
    ) -> DatabaseResult<Vec<FileRow>> {
        let which = if larger { "state = ?4 AND size > ?5" } else { "state = ?4 AND size <= ?5" };
        self.page(id, after, limit, which, [SavedFile::Waiting as i64, rows::signed(border)]).await
    }

    /// A page of files that are not complete and of which something may have come, in order of their number.
    pub(in crate::downloads) async fn unfinished_files(
        &self,
        id: DownloadId,
        after: u64,
        limit: usize,
    ) -> DatabaseResult<Vec<FileRow>> {
        self.page(id, after, limit, "state <> ?4", [SavedFile::Done as i64]).await
    }

    /// A page of files for which `which` holds, a condition with `values` from the fourth parameter on.
    async fn page<const N: usize>(
        &self,
        id: DownloadId,
        after: u64,
        limit: usize,
        which: &'static str,
        values: [i64; N],
    ) -> DatabaseResult<Vec<FileRow>> {
        let read = move |c: &Connection| {
            let sql = format!(
                "SELECT {} FROM files WHERE download = ?1 AND number > ?2 AND {which} \
                 ORDER BY number LIMIT ?3",
                rows::FILE
            );
            let mut query = c.prepare_cached(&sql)?;
            let first = [id.0, rows::signed(after), rows::signed(limit as u64)];
            let all = params_from_iter(first.into_iter().chain(values));
            let found = query.query_and_then(all, rows::file)?;
            found.collect()
        };
        self.database.read(read).await
    }

    /// Whether another download that is not given up wants this content to be at the same place.
    pub(in crate::downloads) async fn is_wanted_elsewhere(
        &self,
        id: DownloadId,
        content: ContentId,
        target: PathBuf,
    ) -> DatabaseResult<bool> {
        let read = move |c: &Connection| {
            // Of a content that many files have, those are looked at that are called so.
            let sql = "SELECT d.folder FROM files f JOIN downloads d ON d.id = f.download \
                       WHERE f.content = ?1 AND f.state IN (0, 2) AND f.name = ?2 AND d.id <> ?3 \
                         AND d.state IN (0, 1, 2, 4)";
            let mut query = c.prepare_cached(sql)?;
            for name in names_of(&target) {
                let mut rows = query.query(params![content.as_bytes(), name.as_str(), id.0])?;
                while let Some(row) = rows.next()? {
                    let folder = row.get_ref(0)?.as_blob().map_err(DatabaseError::corrupt)?;
                    if name.under(&local::from_bytes(folder)) == target {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        };
        self.database.read(read).await
    }

    /// Complete files with this content, and what they were when they were completed.
    pub(in crate::downloads) async fn complete_files(
        &self,
        content: ContentId,
    ) -> DatabaseResult<Vec<(PathBuf, FileStamp)>> {
        let read = move |c: &Connection| {
            let sql = "SELECT d.folder, f.name, f.length, f.mtime_ns, f.inode FROM files f \
                       JOIN downloads d ON d.id = f.download WHERE f.content = ?1 AND f.state = 1 LIMIT ?2";
            let mut query = c.prepare_cached(sql)?;
            let found = query.query_and_then(params![content.as_bytes(), MAX_COPIES], |row| {
                let folder = row.get_ref(0)?.as_blob().map_err(DatabaseError::corrupt)?;
                let name: SharePath = rows::text(row, 1)?;
                let stamp = rows::stamp(row, 2)?;
                Ok::<_, DatabaseError>(
                    stamp.map(|stamp| (name.under(&local::from_bytes(folder)), stamp)),
                )
            })?;
            found.filter_map(Result::transpose).collect()
        };
        self.database.read(read).await
    }
}

/// What a file may be called below one of the folders above it, the shortest first.
fn names_of(target: &Path) -> Vec<SharePath> {
    let mut names = Vec::new();
    let mut name = String::new();
    for part in target.components().rev() {
        let Some(part) = part.as_os_str().to_str() else { break };
        name = if name.is_empty() { part.to_owned() } else { format!("{part}/{name}") };
        match SharePath::parse(&name) {
            Ok(name) => names.push(name),
            Err(_) => break,
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_name_below_each_folder_above_it() {
        let names = |target: &str| {
            let names = names_of(Path::new(target));
            names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("/home/bob/a film"), ["a film", "bob/a film", "home/bob/a film"]);
        // What no name can be is a folder.
        assert_eq!(names("/home/b\\ob/x"), ["x"]);
    }
}
