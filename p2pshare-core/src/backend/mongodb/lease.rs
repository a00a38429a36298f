//! Leases: work that one of several processes does.

use std::time::Duration;

use mongodb::bson::doc;

use super::database::{Database, MongoResult, patiently};

/// Takes a lease, or keeps it. Its end is told by the servers' clock, which all processes share.
pub(super) async fn take(
    database: &Database,
    name: &str,
    holder: &str,
    lasts: Duration,
) -> MongoResult<bool> {
    let millis = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
    let free = doc! { "_id": name, "$expr": { "$or": [
        { "$eq": ["$holder", { "$literal": holder }] },
        { "$lt": ["$until", "$$NOW"] },
    ] } };
    let until = doc! { "$add": ["$$NOW", millis] };
    // The name of the holder is a text, whatever it begins with.
    let update = vec![doc! { "$set": { "holder": { "$literal": holder }, "until": until } }];
    let take =
        || database.leases.update_one(free.clone(), update.clone()).upsert(true).into_future();
    match patiently(take).await {
        Ok(_) => Ok(true),
        // It is there and not free, so that it could not be made.
        Err(error) if error.is_duplicate() => Ok(false),
        Err(error) => Err(error),
    }
}
