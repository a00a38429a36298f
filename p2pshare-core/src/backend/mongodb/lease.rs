//! Leases: work that one of several processes does.

use std::time::Duration;

use mongodb::{bson::doc, options::ReturnDocument};

use super::database::{Database, MongoResult, patiently};

/// Takes a lease, or keeps it. Its end is told by the servers' clock, which all processes share.
pub(super) async fn take(
    database: &Database,
    name: &str,
    holder: &str,
    lasts: Duration,
) -> MongoResult<bool> {
    let millis = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
    // A text, whatever it begins with.
    let own = doc! { "$literal": holder };
    // A lease that is not there has ended before anything.
    let free = doc! { "$or": [{ "$eq": ["$holder", &own] }, { "$lt": ["$until", "$$NOW"] }] };
    let until = doc! { "$add": ["$$NOW", millis] };
    let update = vec![
        doc! { "$set": { "free": free } },
        doc! { "$set": {
            "holder": { "$cond": ["$free", own, "$holder"] },
            "until": { "$cond": ["$free", until, "$until"] },
        } },
        doc! { "$unset": "free" },
    ];
    let take = || {
        let take = database.leases.find_one_and_update(doc! { "_id": name }, update.clone());
        take.upsert(true).return_document(ReturnDocument::After)
    };
    let lease = match patiently(take).await {
        // Another process has made it at the same moment.
        Err(error) if error.is_duplicate() => patiently(take).await?,
        lease => lease?,
    };
    Ok(lease.is_some_and(|lease| lease.get_str("holder").is_ok_and(|it_is| it_is == holder)))
}
