//! SQLite: a database file shared by threads, and the index store over it.

mod catalog;
mod database;
mod groups;
mod invites;
mod overview;
mod peers;
mod rows;
mod sessions;
mod users;

use std::path::Path;

use async_trait::async_trait;
use rusqlite::Connection;

pub use database::{
    Database, DatabaseError, DatabaseOptions, DatabaseResult, Migration, Synchronous,
};

use crate::{
    api::UserOverview,
    index::{
        model::{OverviewRequest, StoreCounts},
        store::{IndexStore, StoreError, StoreResult},
    },
    time::Timestamp,
};

/// "p2px" in ASCII.
const APPLICATION_ID: i32 = 0x7032_7078;

const MIGRATIONS: &[Migration] =
    &[include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// An index store in one SQLite file. A clone shares it.
///
/// Several processes may open the same file. Every write is synced to disk before it is answered.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    database: Database,
}

impl SqliteStore {
    /// Opens a file, making it and the folders above it if needed. Blocks.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer version of this program wrote it; [`StoreError::Unavailable`] or
    /// [`StoreError::Failed`] if it cannot be opened or is no index.
    pub fn open(path: &Path) -> StoreResult<Self> {
        Ok(Database::open(path, &Self::options()).map(Self::over)?)
    }

    /// A store in memory that is gone with its last handle. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_in_memory() -> StoreResult<Self> {
        Ok(Database::open_in_memory(&Self::options()).map(Self::over)?)
    }

    /// The store over a database that was opened with [`options`](Self::options).
    pub fn over(database: Database) -> Self {
        Self { database }
    }

    /// How the database of a store is opened: for those who want another number of readers, or to trade durability.
    pub fn options() -> DatabaseOptions {
        DatabaseOptions {
            prepare: catalog::register_functions,
            // Who browses or fetches must not keep anybody from being known, and who searches nobody from these.
            scanners: database::default_readers(),
            searchers: database::default_readers(),
            ..DatabaseOptions::new(APPLICATION_ID, MIGRATIONS)
        }
    }
}

#[async_trait]
impl IndexStore for SqliteStore {
    async fn check(&self) -> StoreResult<()> {
        let read = |c: &Connection| rows::id_of(c, "SELECT id FROM users LIMIT 1", []);
        self.database.read(read).await?;
        Ok(())
    }

    async fn flaws(&self) -> StoreResult<Vec<String>> {
        Ok(self.database.scan_all(flaws).await?)
    }

    async fn counts(&self, now: Timestamp, online_since: Timestamp) -> StoreResult<StoreCounts> {
        let read = move |c: &Connection| counts(c, now, online_since);
        Ok(self.database.read(read).await?)
    }

    async fn overviews(&self, request: &OverviewRequest) -> StoreResult<Vec<UserOverview>> {
        let request = request.clone();
        Ok(self.database.scan_all(move |c| overview::overviews(c, &request)).await?)
    }

    fn kind(&self) -> &'static str {
        "SQLite"
    }
}

/// Most flaws that are told.
const MOST_FLAWS: usize = 20;

/// What SQLite finds wrong with tables, their indexes and the words of searches.
fn flaws(connection: &Connection) -> DatabaseResult<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({MOST_FLAWS})"))?;
    let found = statement.query_map([], |row| row.get(0))?;
    let mut found = found.collect::<Result<Vec<String>, _>>()?;
    found.retain(|flaw| flaw != "ok");
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()?
        && found.len() < MOST_FLAWS
    {
        let (table, of): (String, String) = (row.get(0)?, row.get(2)?);
        found.push(format!("a row of {table} belongs to one of {of} that is not there"));
    }
    Ok(found)
}

/// Reads the peers and the index of sessions, but no entries.
fn counts(
    connection: &Connection,
    now: Timestamp,
    online_since: Timestamp,
) -> DatabaseResult<StoreCounts> {
    let sql = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM sessions WHERE expires_at > ?1), \
                   count(*), count(*) FILTER (WHERE last_seen >= ?2), sum(entries), sum(size_low), sum(size_high) FROM peers";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query((now.as_millis(), online_since.as_millis()))?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    // Sums of nothing are NULL.
    let sum = |column| Ok::<_, DatabaseError>(row.get::<_, Option<i64>>(column)?.unwrap_or(0));
    Ok(StoreCounts {
        users: rows::count(row, 0)?,
        sessions: rows::count(row, 1)?,
        peers: rows::count(row, 2)?,
        online: rows::count(row, 3)?,
        entries: u64::try_from(sum(4)?).unwrap_or(0),
        bytes: rows::sum_of_halves(sum(5)?, sum(6)?),
    })
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::NewerSchema { found, known } => Self::NewerSchema { found, known },
            error if error.is_transient() => Self::Unavailable(Box::new(error)),
            error => Self::Failed(Box::new(error)),
        }
    }
}
