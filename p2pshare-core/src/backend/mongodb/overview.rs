//! Accounts as operators see them.

use std::collections::HashMap;

use mongodb::bson::doc;
use serde::Deserialize;

use super::{
    by,
    database::{MongoError, MongoResult, Reading},
    documents::user_name,
    sum_of_halves,
};
use crate::{
    api::UserOverview, identity::Username, index::model::OverviewRequest, time::Timestamp,
};

/// Above every name: names are ASCII.
const HIGHEST: char = '\u{10ffff}';

/// What the peers of a user are in sum.
#[derive(Default, Deserialize)]
struct OfPeers {
    #[serde(rename = "_id")]
    owner: String,
    peers: i64,
    online: i64,
    last_seen: Option<i64>,
    entries: i64,
    low: i64,
    high: i64,
}

/// How many sessions of a user are open.
#[derive(Deserialize)]
struct OfSessions {
    #[serde(rename = "_id")]
    user: String,
    open: i64,
}

/// Reads the accounts of the page, their sessions and their peers, which count entries and sizes.
pub(super) async fn overviews(
    reading: &mut Reading<'_>,
    request: &OverviewRequest,
) -> MongoResult<Vec<UserOverview>> {
    if request.limit == 0 {
        return Ok(Vec::new());
    }
    let mut page = accounts(reading, request).await?;
    let names: Vec<String> = page.iter().map(|account| account.username.to_string()).collect();
    let sessions = sessions(reading, &names, request.now).await?;
    let peers = peers(reading, &names, request.online_since).await?;
    for account in &mut page {
        let name = account.username.as_str();
        account.sessions = sessions.get(name).copied().map_or(Ok(0), count)?;
        if let Some(sums) = peers.get(name) {
            account.peers = count(sums.peers)?;
            account.online = count(sums.online)?;
            account.files = count(sums.entries)?;
            account.bytes = sum_of_halves(sums.low, sums.high);
            account.last_seen = sums.last_seen.map(Timestamp::from_millis);
        }
    }
    Ok(page)
}

/// The accounts of the page, nothing counted yet.
async fn accounts(
    reading: &mut Reading<'_>,
    request: &OverviewRequest,
) -> MongoResult<Vec<UserOverview>> {
    let after = request.after.as_ref().map_or("", Username::as_str);
    let below = format!("{}{HIGHEST}", request.prefix);
    let names = doc! { "$gt": after, "$gte": &request.prefix, "$lt": below };
    let find = reading.database.users.find(doc! { "_id": names }).sort(doc! { "_id": 1 });
    let mut found = find.limit(request.limit.into()).session(&mut reading.session).await?;
    let mut page = Vec::new();
    while found.advance(&mut reading.session).await? {
        let user = found.deserialize_current()?;
        page.push(UserOverview {
            username: user_name(&user.name)?,
            operator: user.operator,
            disabled: user.disabled,
            created_at: Timestamp::from_millis(user.created_at),
            sessions: 0,
            peers: 0,
            online: 0,
            files: 0,
            bytes: 0,
            last_seen: None,
        });
    }
    Ok(page)
}

async fn sessions(
    reading: &mut Reading<'_>,
    names: &[String],
    now: Timestamp,
) -> MongoResult<HashMap<String, i64>> {
    let pipeline = [
        doc! { "$match": { "user": { "$in": names }, "expires_at": { "$gt": now.as_millis() } } },
        doc! { "$group": { "_id": "$user", "open": { "$sum": 1_i64 } } },
    ];
    let sum = reading.database.sessions.aggregate(pipeline).hint(by("user"));
    let mut sums = sum.with_type::<OfSessions>().session(&mut reading.session).await?;
    let mut counts = HashMap::new();
    while sums.advance(&mut reading.session).await? {
        let OfSessions { user, open } = sums.deserialize_current()?;
        counts.insert(user, open);
    }
    Ok(counts)
}

async fn peers(
    reading: &mut Reading<'_>,
    names: &[String],
    online_since: Timestamp,
) -> MongoResult<HashMap<String, OfPeers>> {
    let online = doc! { "$gte": ["$last_seen", online_since.as_millis()] };
    let online = doc! { "$and": [{ "$ne": ["$last_seen", null] }, online] };
    let pipeline = [
        doc! { "$match": { "owner": { "$in": names } } },
        doc! { "$group": {
            "_id": "$owner",
            "peers": { "$sum": 1_i64 },
            "online": { "$sum": { "$cond": [online, 1_i64, 0_i64] } },
            "last_seen": { "$max": "$last_seen" },
            "entries": { "$sum": "$entries" },
            "low": { "$sum": "$size_low" },
            "high": { "$sum": "$size_high" },
        } },
    ];
    let sum = reading.database.peers.aggregate(pipeline).hint(by("owner"));
    let mut sums = sum.with_type::<OfPeers>().session(&mut reading.session).await?;
    let mut all = HashMap::new();
    while sums.advance(&mut reading.session).await? {
        let of = sums.deserialize_current()?;
        all.insert(of.owner.clone(), of);
    }
    Ok(all)
}

fn count(number: i64) -> MongoResult<u64> {
    u64::try_from(number).map_err(MongoError::corrupt)
}
