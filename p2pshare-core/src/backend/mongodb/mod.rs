//! MongoDB: the index store over a replica set or a sharded cluster, for an index of several processes.

mod catalog;
mod database;
mod documents;
mod groups;
mod invites;
mod lease;
mod overview;
mod peers;
mod sessions;
mod users;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use mongodb::{
    Cursor,
    bson::{Document, doc},
    options::Hint,
};
use serde::de::DeserializeOwned;

pub use database::{MongoUri, ParseMongoUriError};

use crate::{
    api::UserOverview,
    index::{
        model::{OverviewRequest, StoreCounts},
        store::{IndexStore, StoreResult},
    },
    time::Timestamp,
};
use database::{Database, MongoError, MongoResult, patiently, read};

/// How long a health check waits for an answer.
const CHECK: Duration = Duration::from_secs(2);

/// An index store in a MongoDB. A clone shares its connections.
///
/// Any number of processes may use the same database. Every write is on disk at a majority of the servers before it is
/// answered. While a primary is elected calls wait, up to about 25 seconds, before they fail with
/// [`Unavailable`](crate::index::store::StoreError::Unavailable).
#[derive(Clone)]
pub struct MongoStore {
    database: Database,
}

impl MongoStore {
    /// Connects, and makes or updates collections and indexes. Several processes may do so at once.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`](crate::index::store::StoreError::NewerSchema) if a newer version of this program
    /// wrote the database; [`Unavailable`](crate::index::store::StoreError::Unavailable) if no primary is found;
    /// [`Failed`](crate::index::store::StoreError::Failed) if the URI is wrong, the user may not, or the server is a
    /// mongod in no replica set. No error tells the password.
    pub async fn open(uri: &MongoUri) -> StoreResult<Self> {
        Ok(Self { database: Database::open(uri).await? })
    }
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let database = self.database.raw().name();
        f.debug_struct("MongoStore").field("database", &database).finish_non_exhaustive()
    }
}

#[async_trait]
impl IndexStore for MongoStore {
    async fn check(&self) -> StoreResult<()> {
        let ping = self.database.meta.find_one(doc! { "_id": "schema" });
        let answer = tokio::time::timeout(CHECK, ping.into_future()).await;
        answer.map_err(|_| MongoError::Silent(CHECK.as_secs()))?.map_err(MongoError::from)?;
        Ok(())
    }

    async fn counts(&self, now: Timestamp, online_since: Timestamp) -> StoreResult<StoreCounts> {
        Ok(self.count(now, online_since).await?)
    }

    async fn overviews(&self, request: &OverviewRequest) -> StoreResult<Vec<UserOverview>> {
        Ok(read!(&self.database, overview::overviews, request))
    }

    async fn lease(&self, name: &str, holder: &str, lasts: Duration) -> StoreResult<bool> {
        Ok(lease::take(&self.database, name, holder, lasts).await?)
    }

    fn kind(&self) -> &'static str {
        "MongoDB"
    }
}

impl MongoStore {
    /// Reads the peers and indexes, but no entries.
    async fn count(&self, now: Timestamp, online_since: Timestamp) -> MongoResult<StoreCounts> {
        let (users, sessions) = (&self.database.users, &self.database.sessions);
        let by_id = || users.count_documents(doc! {}).hint(Hint::Name("_id_".to_owned()));
        let open = doc! { "expires_at": { "$gt": now.as_millis() } };
        let by_expiry = || sessions.count_documents(open.clone());
        let online = doc! { "$gte": ["$last_seen", online_since.as_millis()] };
        let online = doc! { "$and": [{ "$ne": ["$last_seen", null] }, online] };
        let sum = doc! { "$group": {
            "_id": null,
            "peers": { "$sum": 1_i64 },
            "online": { "$sum": { "$cond": [online, 1_i64, 0_i64] } },
            "entries": { "$sum": "$entries" },
            "low": { "$sum": "$size_low" },
            "high": { "$sum": "$size_high" },
        } };
        let of_peers = || self.database.peers.aggregate([sum.clone()]);
        let sums = many(of_peers, Ok).await?.pop().unwrap_or_default();
        let number = |field: &str| sums.get_i64(field).unwrap_or(0);
        let count = |field: &str| u64::try_from(number(field)).unwrap_or(0);
        Ok(StoreCounts {
            users: patiently(by_id).await?,
            sessions: patiently(by_expiry).await?,
            peers: count("peers"),
            online: count("online"),
            entries: count("entries"),
            bytes: sum_of_halves(number("low"), number("high")),
        })
    }
}

/// All documents that `find` finds, each through `map`. Asked for again as long as servers fail in a way that passes.
async fn many<D, T, F>(
    find: impl Fn() -> F,
    map: impl Fn(D) -> MongoResult<T>,
) -> MongoResult<Vec<T>>
where
    D: DeserializeOwned + Send + Sync,
    F: IntoFuture<Output = mongodb::error::Result<Cursor<D>>>,
{
    let found = patiently(|| {
        let found = find();
        async move {
            let mut cursor = found.await?;
            let mut all = Vec::new();
            while cursor.advance().await? {
                all.push(cursor.deserialize_current()?);
            }
            Ok(all)
        }
    });
    found.await?.into_iter().map(map).collect()
}

/// A sum of sizes from the sums of their lower and upper 32 bits, saturating.
fn sum_of_halves(low: i64, high: i64) -> u64 {
    let sum = i128::from(low) + (i128::from(high) << 32);
    u64::try_from(sum.max(0)).unwrap_or(u64::MAX)
}

/// Names an index, so that a question is answered by no other.
fn by(index: &str) -> Hint {
    Hint::Name(index.to_owned())
}

/// Both conditions.
fn and(mut one: Document, other: Document) -> Document {
    one.extend(other);
    one
}
