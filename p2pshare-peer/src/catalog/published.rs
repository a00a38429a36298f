//! What of the catalog the index has acknowledged.

use p2pshare_core::{
    api::{CatalogChange, Entry, GroupReach, Visibility},
    backend::sqlite::DatabaseResult,
    identity::{IndexKeyId, PeerId, Reach, Username},
    path::SharePath,
};
use rusqlite::{Connection, params};

use super::{
    Catalog, CatalogError,
    excluded::leave_all_out,
    rows::{self, signed},
};

/// Whom a catalog is published for: what one index knows of it says nothing about another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishAccount {
    /// Keys of the index, the one that signs now first. An index with one of the keys is the same index.
    pub index_keys: Vec<IndexKeyId>,
    /// The user.
    pub user: Username,
    /// This peer.
    pub peer: PeerId,
}

/// What the catalog remembers of an account.
struct SavedAccount {
    index_key: Option<String>,
    username: Option<String>,
    peer: Option<String>,
}

impl Catalog {
    /// How many files the index has acknowledged, as far as this catalog knows.
    pub async fn published_count(&self) -> Result<u64, CatalogError> {
        self.count("SELECT count(*) FROM published").await
    }

    /// The user for whom the catalog was published the last time, at whichever index.
    pub async fn published_for(&self) -> Result<Option<Username>, CatalogError> {
        let user = self.read(|c| Ok(SavedAccount::read(c)?.username)).await?;
        Ok(user.and_then(|user| user.parse().ok()))
    }

    /// From now on the catalog is published for this account. If it was for another one before, nothing counts as
    /// published. `true`: what the index really has is not known for sure and must be asked.
    pub(crate) async fn use_account(&self, account: PublishAccount) -> Result<bool, CatalogError> {
        self.write(move |c| use_account(c, &account)).await
    }

    /// What the index has was asked and is known now.
    pub(crate) async fn note_reconciled(
        &self,
        account: PublishAccount,
    ) -> Result<(), CatalogError> {
        self.for_account(account, |c| {
            c.prepare_cached("UPDATE state SET reconciled = 1")?.execute([])?;
            Ok(())
        })
        .await
    }

    /// The index has done these changes, and said what the grants of the groups' members say: a share for a group that
    /// was named by its name only is for this one from now on.
    pub(crate) async fn acknowledge(
        &self,
        account: PublishAccount,
        changes: Vec<CatalogChange>,
        reaches: Vec<GroupReach>,
    ) -> Result<(), CatalogError> {
        let acknowledge = move |c: &Connection| {
            reaches.iter().try_for_each(|told| bind(c, told))?;
            if !reaches.is_empty() {
                // Whom a share is for is known now.
                leave_all_out(c)?;
            }
            changes.iter().try_for_each(|change| match change {
                CatalogChange::Publish(entry) => published(c, entry, told(&reaches, entry)),
                CatalogChange::Withdraw(path) => withdrawn(c, path),
            })
        };
        self.for_account(account, acknowledge).await
    }

    /// The index has just these entries after `after`, up to the last of them, or to the end if `last` is true. Whatever
    /// was thought to be otherwise is to be told to the index; gives how many paths that are.
    pub(crate) async fn correct(
        &self,
        account: PublishAccount,
        after: Option<SharePath>,
        entries: Vec<Entry>,
        last: bool,
    ) -> Result<u64, CatalogError> {
        let correct = move |c: &Connection| {
            let mut differing = 0;
            let mut previous = after.as_ref().map_or("", SharePath::as_str);
            for entry in &entries {
                differing += not_there(c, previous, Some(&entry.path))?;
                differing += there(c, entry)?;
                previous = entry.path.as_str();
            }
            if last {
                differing += not_there(c, previous, None)?;
            }
            Ok(differing)
        };
        self.for_account(account, correct).await
    }

    /// A write that is done only while the catalog is published for this account.
    pub(super) async fn for_account<T: Send + 'static>(
        &self,
        account: PublishAccount,
        work: impl FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let write = move |c: &Connection| match is_current(c, &account)? {
            true => work(c).map(Some),
            false => Ok(None),
        };
        self.write(write).await?.ok_or(CatalogError::AccountChanged)
    }

    pub(super) async fn count(&self, sql: &'static str) -> Result<u64, CatalogError> {
        let read = self
            .read(move |c| rows::unsigned(c.prepare_cached(sql)?.query_row([], |row| row.get(0))?));
        read.await
    }
}

impl SavedAccount {
    fn read(c: &Connection) -> DatabaseResult<Self> {
        let mut query = c.prepare_cached("SELECT index_key, username, peer FROM state")?;
        Ok(query.query_row([], |row| {
            Ok(Self { index_key: row.get(0)?, username: row.get(1)?, peer: row.get(2)? })
        })?)
    }

    fn is(&self, account: &PublishAccount) -> bool {
        let same_index = self
            .index_key
            .as_ref()
            .is_some_and(|saved| account.index_keys.iter().any(|key| key.to_string() == *saved));
        same_index
            && self.username.as_deref() == Some(account.user.as_str())
            && self.peer.as_deref() == Some(account.peer.to_string().as_str())
    }
}

pub(super) fn is_current(c: &Connection, account: &PublishAccount) -> DatabaseResult<bool> {
    Ok(SavedAccount::read(c)?.is(account))
}

fn use_account(c: &Connection, account: &PublishAccount) -> DatabaseResult<bool> {
    let same = SavedAccount::read(c)?.is(account);
    if !same {
        c.execute("DELETE FROM published", [])?;
        c.execute("DELETE FROM pending", [])?;
        c.execute("INSERT INTO pending SELECT f.path FROM files f JOIN shares s ON s.id = f.share WHERE s.online", [])?;
        c.execute("UPDATE state SET reconciled = 0", [])?;
    }
    // The index may have changed its key since.
    let key = account.index_keys.first().map(ToString::to_string);
    c.prepare_cached("UPDATE state SET index_key = ?1, username = ?2, peer = ?3")?
        .execute(params![key, account.user.as_str(), account.peer.to_string()])?;
    let mut query = c.prepare_cached("SELECT NOT reconciled FROM state")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// The index has this entry; for which group, if it is for one and that is known.
fn published(c: &Connection, entry: &Entry, group: Option<Reach>) -> DatabaseResult<()> {
    let (path, content) = (entry.path.as_str(), entry.content.as_bytes());
    let (size, visibility) = (signed(entry.size)?, entry.visibility.to_string());
    let values = params![path, content, size, visibility];
    c.prepare_cached("INSERT OR REPLACE INTO published VALUES (?1, ?2, ?3, ?4)")?
        .execute(values)?;
    // It stays pending if the file has changed since this was sent, and if it is for a group of which it is not known
    // that it is the one that is meant: the answer to publishing it tells.
    let sql = "DELETE FROM pending WHERE path = ?1 AND EXISTS (\
               SELECT 1 FROM files f JOIN shares s ON s.id = f.share \
               WHERE f.path = ?1 AND f.content = ?2 AND f.size = ?3 AND s.visibility = ?4 AND s.online \
               AND (?5 OR s.reach = ?6))";
    let open = !matches!(entry.visibility, Visibility::Group(_));
    let group = group.map(|group| group.to_string());
    c.prepare_cached(sql)?.execute(params![path, content, size, visibility, open, group])?;
    Ok(())
}

/// Which group an entry was published to, by the index's answer.
fn told(reaches: &[GroupReach], entry: &Entry) -> Option<Reach> {
    let Visibility::Group(group) = &entry.visibility else {
        return None;
    };
    reaches.iter().find(|told| told.group == *group).map(|told| told.reach)
}

/// The shares that were for whichever group has this name are for this one from now on, but for those that named one
/// that was not there.
fn bind(c: &Connection, told: &GroupReach) -> DatabaseResult<()> {
    let visibility = Visibility::Group(told.group.clone()).to_string();
    c.prepare_cached(
        "UPDATE shares SET reach = ?2 WHERE visibility = ?1 AND reach IS NULL AND NOT lost",
    )?
    .execute(params![visibility, told.reach.to_string()])?;
    Ok(())
}

fn withdrawn(c: &Connection, path: &SharePath) -> DatabaseResult<()> {
    c.prepare_cached("DELETE FROM published WHERE path = ?1")?.execute([path.as_str()])?;
    let sql = "DELETE FROM pending WHERE path = ?1 AND NOT EXISTS (\
               SELECT 1 FROM files f JOIN shares s ON s.id = f.share WHERE f.path = ?1 AND s.online)";
    c.prepare_cached(sql)?.execute([path.as_str()])?;
    // What is shared all the same is to be published again.
    let sql = "INSERT OR IGNORE INTO pending SELECT f.path FROM files f JOIN shares s ON s.id = f.share \
               WHERE f.path = ?1 AND s.online";
    c.prepare_cached(sql)?.execute([path.as_str()])?;
    Ok(())
}

/// The index has nothing between these two paths.
fn not_there(c: &Connection, after: &str, before: Option<&SharePath>) -> DatabaseResult<u64> {
    let between = params![after, rows::or_end(before.map(SharePath::to_string))];
    let condition = "path > ?1 AND path < ?2";
    let note =
        format!("INSERT OR IGNORE INTO pending SELECT path FROM published WHERE {condition}");
    c.prepare_cached(&note)?.execute(between)?;
    let delete = format!("DELETE FROM published WHERE {condition}");
    let deleted = c.prepare_cached(&delete)?.execute(between)?;
    Ok(deleted as u64)
}

/// The index has this entry.
fn there(c: &Connection, entry: &Entry) -> DatabaseResult<u64> {
    let mut query =
        c.prepare_cached("SELECT path, content, size, visibility FROM published WHERE path = ?1")?;
    let mut found = query.query_and_then([entry.path.as_str()], |row| rows::entry(row, 0))?;
    let known: Option<Entry> = found.next().transpose()?;
    if known.as_ref() == Some(entry) {
        return Ok(0);
    }
    c.prepare_cached("INSERT OR IGNORE INTO pending VALUES (?1)")?
        .execute([entry.path.as_str()])?;
    published(c, entry, None)?;
    Ok(1)
}
