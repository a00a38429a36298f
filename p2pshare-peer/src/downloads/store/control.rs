//! What people do with downloads.

use p2pshare_core::{backend::sqlite::DatabaseResult, path::SharePath, time::Timestamp};
use rusqlite::{Connection, params};

use super::{AccountId, Saved, Store, rows};
use crate::{
    catalog::{MAX_NUMBER, local, numbered},
    download::Found,
    downloads::{Added, DownloadId, NewDownload},
};

/// So many downloads are forgotten in one step.
const FORGOTTEN_AT_ONCE: i64 = 20;

/// What came of moving a download to another state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::downloads) enum Moved {
    /// It was in this state before.
    From(Saved),
    /// It is in a state from which it cannot move there.
    Stays(Saved),
    /// There is no such download.
    Missing,
}

impl Store {
    /// Adds a download to the end of the queue, unless one of the same things to the same folder is not settled: that one
    /// goes on then, if it was paused.
    pub(in crate::downloads) async fn add(
        &self,
        account: AccountId,
        new: NewDownload,
        title: String,
        now: Timestamp,
    ) -> DatabaseResult<Added> {
        let targets: Vec<_> = new.targets.iter().map(ToString::to_string).collect();
        let write = move |c: &Connection| {
            let targets = serde_json::to_string(&targets)
                .map_err(p2pshare_core::backend::sqlite::DatabaseError::corrupt)?;
            let folder = local::to_bytes(&new.folder).unwrap_or_default();
            if let Some(id) = same(c, account, &targets, folder, new.overwrite)? {
                let sql = "UPDATE downloads SET state = ?3, error = NULL, cause = NULL WHERE id = ?1 AND state = ?2";
                c.prepare_cached(sql)?.execute(params![
                    id.0,
                    Saved::Paused as i64,
                    Saved::Queued as i64
                ])?;
                return Ok(Added { id, joined: true });
            }
            let sql = "INSERT INTO downloads (account, state, title, folder, overwrite, targets, created_at) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id";
            let values = params![
                account.0,
                Saved::Queued as i64,
                title,
                folder,
                new.overwrite,
                targets,
                now.as_millis()
            ];
            let id = c.prepare_cached(sql)?.query_row(values, |row| row.get(0))?;
            Ok(Added { id: DownloadId(id), joined: false })
        };
        self.database.write(write).await
    }

    /// Moves a download of the account from one of the states `from` to the state `to`.
    pub(in crate::downloads) async fn shift(
        &self,
        account: AccountId,
        id: DownloadId,
        from: &'static [Saved],
        to: Saved,
    ) -> DatabaseResult<Moved> {
        let write = move |c: &Connection| {
            let Some(row) = super::find(c, account, id)? else { return Ok(Moved::Missing) };
            if !from.contains(&row.state) {
                return Ok(Moved::Stays(row.state));
            }
            c.prepare_cached(
                "UPDATE downloads SET state = ?2, error = NULL, cause = NULL WHERE id = ?1",
            )?
            .execute(params![id.0, to as i64])?;
            Ok(Moved::From(row.state))
        };
        self.database.write(write).await
    }

    /// Moves all downloads of the account from one of the states `from` to the state `to`, and gives them.
    pub(in crate::downloads) async fn shift_all(
        &self,
        account: AccountId,
        from: &'static [Saved],
        to: Saved,
    ) -> DatabaseResult<Vec<DownloadId>> {
        let write = move |c: &Connection| {
            let mut moved = Vec::new();
            for state in from {
                let sql = "UPDATE downloads SET state = ?3, error = NULL, cause = NULL WHERE account = ?1 AND state = ?2 RETURNING id";
                moved.extend(super::ids(c, sql, params![account.0, *state as i64, to as i64])?);
            }
            moved.sort_unstable();
            Ok(moved)
        };
        self.database.write(write).await
    }

    /// Queues a download that failed or was cancelled again, with all its files that are not complete.
    pub(in crate::downloads) async fn retry(
        &self,
        account: AccountId,
        id: DownloadId,
    ) -> DatabaseResult<Moved> {
        let write = move |c: &Connection| {
            let Some(row) = super::find(c, account, id)? else { return Ok(Moved::Missing) };
            if !matches!(row.state, Saved::Failed | Saved::Cancelled) {
                return Ok(Moved::Stays(row.state));
            }
            c.prepare_cached(
                "UPDATE files SET state = 0, error = NULL, cause = NULL WHERE download = ?1 AND state = 2",
            )?
            .execute([id.0])?;
            let sql = "UPDATE downloads SET state = ?2, files_failed = 0, error = NULL, cause = NULL, finished_at = NULL WHERE id = ?1";
            c.prepare_cached(sql)?.execute(params![id.0, Saved::Queued as i64])?;
            Ok(Moved::From(row.state))
        };
        self.database.write(write).await
    }

    /// Takes a settled download out.
    pub(in crate::downloads) async fn forget(
        &self,
        account: AccountId,
        id: DownloadId,
    ) -> DatabaseResult<Moved> {
        let write = move |c: &Connection| {
            let Some(row) = super::find(c, account, id)? else { return Ok(Moved::Missing) };
            if !matches!(row.state, Saved::Done | Saved::Failed | Saved::Cancelled) {
                return Ok(Moved::Stays(row.state));
            }
            remove(c, id)?;
            Ok(Moved::From(row.state))
        };
        self.database.write(write).await
    }

    /// Takes out settled downloads that ended before so many others, or before others with so many files; the last one is
    /// not counted among these. One that failed and of which something is there stays: it can be retried, or cancelled,
    /// which removes that. Gives those that went: not all at once if they are very many.
    pub(in crate::downloads) async fn forget_oldest(
        &self,
        account: AccountId,
        downloads: u64,
        files: u64,
    ) -> DatabaseResult<Vec<DownloadId>> {
        let write = move |c: &Connection| {
            let sql = "SELECT id FROM (SELECT id, row_number() OVER newest AS place, \
                       sum(files) OVER (newest ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) \
                       - first_value(files) OVER newest AS before \
                       FROM downloads WHERE account = ?1 \
                       AND (state IN (?4, ?6) OR state = ?5 AND bytes_held = 0) \
                       WINDOW newest AS (ORDER BY finished_at DESC, id DESC)) \
                       WHERE place > 1 AND (place > ?2 OR before > ?3) ORDER BY place DESC LIMIT ?7";
            let [most, most_files] =
                [downloads, files].map(|most| i64::try_from(most).unwrap_or(i64::MAX));
            let [done, failed, cancelled] =
                [Saved::Done, Saved::Failed, Saved::Cancelled].map(|state| state as i64);
            let values =
                params![account.0, most, most_files, done, failed, cancelled, FORGOTTEN_AT_ONCE];
            let gone = super::ids(c, sql, values)?;
            gone.iter().try_for_each(|id| remove(c, *id))?;
            Ok(gone)
        };
        self.database.write(write).await
    }

    /// Begins to note anew what a download is made of.
    pub(in crate::downloads) async fn begin_files(&self, id: DownloadId) -> DatabaseResult<()> {
        let write = move |c: &Connection| {
            c.prepare_cached("DELETE FROM files WHERE download = ?1")?.execute([id.0])?;
            c.prepare_cached("UPDATE downloads SET files = 0, bytes = 0 WHERE id = ?1")?
                .execute([id.0])?;
            Ok(())
        };
        self.database.write(write).await
    }

    /// Notes files of a download. What is named twice is wanted once; different contents of one name get numbers.
    pub(in crate::downloads) async fn add_files(
        &self,
        id: DownloadId,
        found: Vec<Found>,
    ) -> DatabaseResult<()> {
        let write = move |c: &Connection| found.iter().try_for_each(|file| add_file(c, id, file));
        self.database.write(write).await
    }

    /// All files of a download are noted. The title of a download of a single file is that file's name.
    pub(in crate::downloads) async fn end_files(&self, id: DownloadId) -> DatabaseResult<()> {
        let write = move |c: &Connection| {
            c.prepare_cached("UPDATE downloads SET resolved = 1 WHERE id = ?1")?.execute([id.0])?;
            let only = "SELECT name FROM files f JOIN downloads d ON d.id = f.download WHERE d.id = ?1 AND d.files = 1";
            let mut query = c.prepare_cached(only)?;
            let mut names = query.query_and_then([id.0], |row| rows::text::<SharePath>(row, 0))?;
            if let Some(name) = names.next().transpose()? {
                c.prepare_cached("UPDATE downloads SET title = ?2 WHERE id = ?1")?
                    .execute(params![id.0, name.last().as_str()])?;
            }
            Ok(())
        };
        self.database.write(write).await
    }
}

/// Takes a download out, with its files.
fn remove(c: &Connection, id: DownloadId) -> DatabaseResult<()> {
    c.prepare_cached("DELETE FROM files WHERE download = ?1")?.execute([id.0])?;
    c.prepare_cached("DELETE FROM downloads WHERE id = ?1")?.execute([id.0])?;
    Ok(())
}

/// The download that is not settled and brings just this, if there is one.
fn same(
    c: &Connection,
    account: AccountId,
    targets: &str,
    folder: &[u8],
    overwrite: bool,
) -> DatabaseResult<Option<DownloadId>> {
    let sql = "SELECT id FROM downloads \
               WHERE account = ?1 AND targets = ?2 AND folder = ?3 AND overwrite = ?4 AND state < 3 \
               ORDER BY id LIMIT 1";
    let found = super::ids(c, sql, params![account.0, targets, folder, overwrite])?;
    Ok(found.first().copied())
}

fn add_file(c: &Connection, id: DownloadId, file: &Found) -> DatabaseResult<()> {
    let content = file.content.as_bytes();
    let mut there =
        c.prepare_cached("SELECT content = ?3 FROM files WHERE download = ?1 AND name = ?2")?;
    for number in 1..=MAX_NUMBER {
        let Some(name) = numbered(&file.name, number) else { break };
        let mut rows = there.query(params![id.0, name.as_str(), content])?;
        match rows.next()? {
            Some(row) if row.get(0)? => return Ok(()),
            Some(_) => continue,
            None => {}
        }
        let size = rows::signed(file.size);
        c.prepare_cached(
            "UPDATE downloads SET files = files + 1, bytes = bytes + ?2 WHERE id = ?1",
        )?
        .execute(params![id.0, size])?;
        let sql = "INSERT INTO files (download, number, name, content, size) \
                   SELECT id, files, ?2, ?3, ?4 FROM downloads WHERE id = ?1";
        c.prepare_cached(sql)?.execute(params![id.0, name.as_str(), content, size])?;
        return Ok(());
    }
    tracing::warn!(download = %id, "an index named too many contents by one name");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downloads::DownloadFilter;

    /// Adds a download with so many files, in this state since this moment.
    async fn add(
        store: &Store,
        account: AccountId,
        state: Saved,
        (files, finished_at): (i64, i64),
    ) -> DownloadId {
        let number = store.list(account, DownloadFilter::All, None, 1000).await.unwrap().len();
        let targets = vec![format!("alice:/{number}").parse().unwrap()];
        let new = NewDownload { targets, folder: "/films".into(), overwrite: false };
        let now = Timestamp::from_secs(0);
        let id = store.add(account, new, "film".to_owned(), now).await.unwrap().id;
        let write = move |c: &Connection| {
            let sql = "UPDATE downloads SET state = ?2, files = ?3, finished_at = ?4 WHERE id = ?1";
            c.execute(sql, params![id.0, state as i64, files, finished_at])?;
            for number in 0..files {
                let sql = "INSERT INTO files (download, number, name, content, size) VALUES (?1, ?2, ?2, x'', 0)";
                c.execute(sql, [id.0, number])?;
            }
            Ok(())
        };
        store.database.write(write).await.unwrap();
        id
    }

    #[tokio::test]
    async fn what_ended_first_is_forgotten_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("queue")).unwrap();
        let user = |name: &str| name.parse().unwrap();
        let mine = store.account(Vec::new(), user("alice")).await.unwrap();
        let other = store.account(Vec::new(), user("bob")).await.unwrap();
        let running = add(&store, mine, Saved::Running, (50, 0)).await;
        let cancelling = add(&store, mine, Saved::Cancelling, (50, 0)).await;
        let done = add(&store, mine, Saved::Done, (70, 40)).await;
        let failed = add(&store, mine, Saved::Failed, (2, 10)).await;
        let cancelled = add(&store, mine, Saved::Cancelled, (4, 30)).await;
        let large = add(&store, mine, Saved::Done, (90, 20)).await;
        let held = add(&store, mine, Saved::Failed, (1, 5)).await;
        let hold = move |c: &Connection| {
            c.execute("UPDATE downloads SET bytes_held = 7 WHERE id = ?1", [held.0])?;
            Ok(())
        };
        store.database.write(hold).await.unwrap();
        let others = add(&store, other, Saved::Done, (90, 1)).await;
        let forget =
            async |downloads, files| store.forget_oldest(mine, downloads, files).await.unwrap();

        assert_eq!(forget(4, 94).await, []);
        assert_eq!(forget(4, 93).await, [failed]);
        assert_eq!(forget(4, 4).await, [], "a large one is counted when others end");
        assert_eq!(forget(4, 3).await, [large]);
        assert_eq!(forget(2, 0).await, [], "the last one is not counted");
        assert_eq!(forget(1, 0).await, [cancelled]);
        assert_eq!(forget(0, 0).await, [], "the last one stays");
        let left = store.list(mine, DownloadFilter::All, None, 100).await.unwrap();
        let left: Vec<_> = left.iter().map(|row| row.id).collect();
        assert_eq!(left, [held, done, cancelling, running]);
        assert!(store.download(other, others).await.unwrap().is_some());
        let count = |c: &Connection| {
            Ok(c.query_row("SELECT count(*) FROM files", [], |row| row.get::<_, i64>(0))?)
        };
        assert_eq!(store.database.read(count).await.unwrap(), 50 + 50 + 70 + 1 + 90);
    }
}
