//! What becomes of downloads and their files.

use p2pshare_core::{backend::sqlite::DatabaseResult, time::Timestamp, transfer::FileStamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Saved, SavedFile, Store, rows};
use crate::downloads::{DownloadId, verdict::Reason};

impl Store {
    /// A file is complete; it was before, if it is `there`.
    pub(in crate::downloads) async fn file_done(
        &self,
        id: DownloadId,
        number: u64,
        stamp: Option<FileStamp>,
        there: bool,
    ) -> DatabaseResult<()> {
        let write = move |c: &Connection| {
            let Some((size, held)) = leave_waiting(c, id, number, SavedFile::Done, None)? else {
                return Ok(());
            };
            if there {
                let sql = "UPDATE files SET there = 1 WHERE download = ?1 AND number = ?2";
                c.prepare_cached(sql)?.execute(params![id.0, rows::signed(number)])?;
            }
            if let Some(stamp) = stamp {
                let sql = "UPDATE files SET length = ?3, mtime_ns = ?4, inode = ?5 WHERE download = ?1 AND number = ?2";
                c.prepare_cached(sql)?.execute(params![
                    id.0,
                    rows::signed(number),
                    rows::signed(stamp.len),
                    stamp.mtime_ns,
                    stamp.inode.cast_signed()
                ])?;
            }
            let sql = "UPDATE downloads SET files_done = files_done + 1, bytes_done = bytes_done + ?2, \
                       bytes_held = bytes_held - ?3 WHERE id = ?1";
            c.prepare_cached(sql)?.execute(params![id.0, size, held])?;
            Ok(())
        };
        self.database.write(write).await
    }

    /// A file could not be fetched.
    pub(in crate::downloads) async fn file_failed(
        &self,
        id: DownloadId,
        number: u64,
        reason: Reason,
    ) -> DatabaseResult<()> {
        let write = move |c: &Connection| {
            let left = leave_waiting(c, id, number, SavedFile::Failed, Some(&reason))?;
            if left.is_some() {
                c.prepare_cached(
                    "UPDATE downloads SET files_failed = files_failed + 1 WHERE id = ?1",
                )?
                .execute([id.0])?;
            }
            Ok(())
        };
        self.database.write(write).await
    }

    /// A file has stopped before it was complete: so much of it is there, in these parts.
    pub(in crate::downloads) async fn file_stopped(
        &self,
        id: DownloadId,
        number: u64,
        held: u64,
        cells: Vec<u8>,
    ) -> DatabaseResult<()> {
        let write = move |c: &Connection| {
            let (number, held) = (rows::signed(number), rows::signed(held));
            let sql = "UPDATE downloads SET bytes_held = bytes_held + ?3 - f.held FROM files f \
                       WHERE downloads.id = ?1 AND f.download = ?1 AND f.number = ?2 AND f.state <> 1";
            c.prepare_cached(sql)?.execute(params![id.0, number, held])?;
            let sql = "UPDATE files SET held = ?3, cells = ?4 WHERE download = ?1 AND number = ?2 AND state <> 1";
            c.prepare_cached(sql)?.execute(params![id.0, number, held, cells])?;
            Ok(())
        };
        self.database.write(write).await
    }

    /// Settles a running download if nothing of it waits any more. Says whether that is so.
    pub(in crate::downloads) async fn settle(
        &self,
        id: DownloadId,
        now: Timestamp,
    ) -> DatabaseResult<bool> {
        let write = move |c: &Connection| {
            // Of several it tells the first that failed, and what they have in common.
            let sql = "UPDATE downloads SET finished_at = ?2, state = CASE WHEN files_failed = 0 THEN ?3 ELSE ?4 END, \
                       error = CASE WHEN files_failed = 0 THEN NULL \
                           WHEN files = 1 THEN (SELECT error FROM files WHERE download = ?1 AND state = 2) \
                           ELSE files_failed || ' of ' || files || ' files could not be fetched; the first: ' || \
                               (SELECT name || ': ' || error FROM files WHERE download = ?1 AND state = 2 \
                                ORDER BY number LIMIT 1) END, \
                       cause = (SELECT CASE WHEN count(DISTINCT cause) = 1 THEN min(cause) END \
                           FROM files WHERE download = ?1 AND state = 2) \
                       WHERE id = ?1 AND state = ?5 AND resolved AND files_done + files_failed = files";
            let settled = c.prepare_cached(sql)?.execute(params![
                id.0,
                now.as_millis(),
                Saved::Done as i64,
                Saved::Failed as i64,
                Saved::Running as i64
            ])?;
            Ok(settled > 0)
        };
        self.database.write(write).await
    }

    /// A running download failed as a whole. Its files stay as they are.
    pub(in crate::downloads) async fn fail(
        &self,
        id: DownloadId,
        reason: Reason,
        now: Timestamp,
    ) -> DatabaseResult<()> {
        let write = move |c: &Connection| {
            let sql = "UPDATE downloads SET finished_at = ?2, state = ?3, error = ?4, cause = ?6 \
                       WHERE id = ?1 AND state = ?5";
            c.prepare_cached(sql)?.execute(params![
                id.0,
                now.as_millis(),
                Saved::Failed as i64,
                reason.text,
                Saved::Running as i64,
                rows::cause_text(reason.cause)
            ])?;
            Ok(())
        };
        self.database.write(write).await
    }

    /// What was given up has been cleared away.
    pub(in crate::downloads) async fn cleared(
        &self,
        id: DownloadId,
        error: Option<String>,
        now: Timestamp,
    ) -> DatabaseResult<()> {
        let write = move |c: &Connection| {
            c.prepare_cached("UPDATE files SET held = 0, cells = NULL WHERE download = ?1 AND state <> 1 AND held > 0")?
                .execute([id.0])?;
            let sql = "UPDATE downloads SET finished_at = ?2, state = ?3, error = ?4, bytes_held = 0 \
                       WHERE id = ?1 AND state = ?5";
            c.prepare_cached(sql)?.execute(params![
                id.0,
                now.as_millis(),
                Saved::Cancelled as i64,
                error,
                Saved::Cancelling as i64
            ])?;
            Ok(())
        };
        self.database.write(write).await
    }

    /// The folder that the files of a download go to, whoever's it is.
    pub(in crate::downloads) async fn folder(
        &self,
        id: DownloadId,
    ) -> DatabaseResult<Option<std::path::PathBuf>> {
        let read = move |c: &Connection| {
            let mut query = c.prepare_cached("SELECT folder FROM downloads WHERE id = ?1")?;
            let folder: Option<Vec<u8>> = query.query_row([id.0], |row| row.get(0)).optional()?;
            Ok(folder.map(|folder| crate::catalog::local::from_bytes(&folder)))
        };
        self.database.read(read).await
    }
}

/// A waiting file gets another state. Gives its size, and what was held of it; `None` when it does not wait.
fn leave_waiting(
    c: &Connection,
    id: DownloadId,
    number: u64,
    state: SavedFile,
    reason: Option<&Reason>,
) -> DatabaseResult<Option<(i64, i64)>> {
    let sql = "UPDATE files SET state = ?3, error = ?4, cause = ?5 WHERE download = ?1 AND number = ?2 AND state = 0 \
               RETURNING size, held";
    let error = reason.map(|reason| reason.text.as_str());
    let cause = reason.map(|reason| rows::cause_text(reason.cause));
    let values = params![id.0, rows::signed(number), state as i64, error, cause];
    let mut statement = c.prepare_cached(sql)?;
    Ok(statement.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}
