//! Peers and their presence.

use std::collections::BTreeMap;

use async_trait::async_trait;
use mongodb::{
    bson::{Document, doc},
    options::{Hint, ReturnDocument},
};

use super::{
    MongoStore, catalog,
    database::{MongoError, MongoResult, Tx, patiently, transact},
    documents::{Bytes32, PeerDoc, announced, of_peer},
    many, users,
};
use crate::{
    identity::{PeerId, Username},
    index::{
        model::{AnnounceOutcome, Peer},
        store::{PeerStore, StoreResult},
    },
    time::Timestamp,
};

/// Entries of peers that are forgotten, deleted in one transaction.
const PURGED_AT_ONCE: u32 = 1000;

/// Heartbeats in one write.
const HEARTBEATS: usize = 1000;

#[async_trait]
impl PeerStore for MongoStore {
    async fn announce(&self, peer: &Peer) -> StoreResult<AnnounceOutcome> {
        Ok(transact!(&self.database, announce, peer))
    }

    async fn peer(&self, id: &PeerId) -> StoreResult<Option<Peer>> {
        let peers = &self.database.peers;
        let found = patiently(|| peers.find_one(doc! { "_id": Bytes32::from(id) })).await?;
        Ok(found.map(PeerDoc::into_model).transpose()?)
    }

    async fn peers_of(&self, owner: &Username) -> StoreResult<Vec<Peer>> {
        let find = || {
            let found = self.database.peers.find(doc! { "owner": owner.as_str() });
            found.sort(doc! { "_id": 1 })
        };
        Ok(many(find, PeerDoc::into_model).await?)
    }

    /// Each heartbeat is noted or not by itself: nothing depends on two of them.
    async fn touch_peers(&self, seen: &[(PeerId, Timestamp)]) -> StoreResult<()> {
        // Peers that were heard of at the same moment are one statement.
        let mut moments: BTreeMap<Timestamp, Vec<Bytes32>> = BTreeMap::new();
        for (peer, at) in seen {
            moments.entry(*at).or_default().push(peer.into());
        }
        let updates: Vec<Document> = moments.into_iter().map(heard).collect();
        for updates in updates.chunks(HEARTBEATS) {
            let command = doc! {
                "update": "peers",
                "updates": updates,
                "ordered": false,
                "writeConcern": { "w": "majority" },
            };
            let answer = patiently(|| self.database.raw().run_command(command.clone())).await?;
            check_writes(&answer)?;
        }
        Ok(())
    }

    async fn peer_leaves(&self, id: &PeerId) -> StoreResult<bool> {
        let peer = [Bytes32::from(id)];
        Ok(transact!(&self.database, leave, &peer) > 0)
    }

    async fn delete_peer(&self, id: &PeerId) -> StoreResult<bool> {
        Ok(transact!(&self.database, delete, id.into()))
    }

    async fn purge_peers(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        let ended = doc! { "until": { "$lt": before.as_millis() } };
        patiently(|| self.database.partials.delete_many(ended.clone())).await?;
        if limit == 0 {
            return Ok(0);
        }
        // What one of them shares may be more than a transaction takes.
        while transact!(&self.database, purge_some, before, limit) > 0 {}
        Ok(transact!(&self.database, purge, before, limit))
    }
}

/// Notes the heartbeats of one moment where it is later than what is noted.
fn heard((at, peers): (Timestamp, Vec<Bytes32>)) -> Document {
    let at = at.as_millis();
    // Of a peer that said goodbye it is null, which is not less than anything.
    doc! {
        "q": { "_id": { "$in": peers }, "last_seen": { "$lt": at } },
        "u": { "$set": { "last_seen": at, "heard": at } },
        "multi": true,
    }
}

/// Fails if the server could not do all statements of a command.
pub(super) fn check_writes(answer: &Document) -> MongoResult<()> {
    for of in ["writeErrors", "writeConcernError"] {
        if let Some(error) = answer.get(of) {
            return Err(MongoError::Unwritten(error.to_string()));
        }
    }
    Ok(())
}

async fn announce(tx: &mut Tx<'_>, peer: &Peer) -> MongoResult<AnnounceOutcome> {
    let owner = doc! { "_id": peer.owner.as_str(), "disabled": false };
    if users::hold(tx, owner).await?.is_none() {
        return Ok(AnnounceOutcome::NoOwner);
    }
    let id = doc! { "_id": Bytes32::from(&peer.id) };
    let peers = &tx.database.peers;
    if let Some(known) = peers.find_one(id.clone()).session(&mut tx.session).await? {
        if known.owner != peer.owner.as_str() {
            return Ok(AnnounceOutcome::OwnedByAnother);
        }
        if known.announced_at >= peer.announced_at.as_millis() {
            return Ok(AnnounceOutcome::Stale);
        }
    }
    let none = doc! { "entries": 0_i64, "size_low": 0_i64, "size_high": 0_i64 };
    let update = doc! { "$set": announced(peer), "$setOnInsert": none };
    let stored = peers.find_one_and_update(id, update).upsert(true);
    let stored = stored.return_document(ReturnDocument::After).session(&mut tx.session).await?;
    let entries = stored.map_or(0, |stored| stored.entries);
    Ok(AnnounceOutcome::Stored { entries: u64::try_from(entries).map_err(MongoError::corrupt)? })
}

/// The peers of a user.
pub(super) async fn ids_of(tx: &mut Tx<'_>, owner: &Username) -> MongoResult<Vec<Bytes32>> {
    let find = tx.database.peers.find(doc! { "owner": owner.as_str() });
    let mut found = find.session(&mut tx.session).await?;
    let mut ids = Vec::new();
    while found.advance(&mut tx.session).await? {
        ids.push(found.deserialize_current()?.id);
    }
    Ok(ids)
}

/// Peers say goodbye; says how many there were.
pub(super) async fn leave(tx: &mut Tx<'_>, peers: &[Bytes32]) -> MongoResult<u64> {
    if peers.is_empty() {
        return Ok(0);
    }
    let which = doc! { "_id": { "$in": peers } };
    let gone = doc! { "$set": { "last_seen": null } };
    let left = tx.database.peers.update_many(which, gone);
    let left = left.session(&mut tx.session).await?.matched_count;
    if left > 0 {
        let theirs = doc! { "_id.p": { "$in": peers } };
        tx.database.partials.delete_many(theirs).session(&mut tx.session).await?;
    }
    Ok(left)
}

/// Forgets a peer with all that is its own. `false`: there was none.
pub(super) async fn delete(tx: &mut Tx<'_>, peer: Bytes32) -> MongoResult<bool> {
    let deleted = tx.database.peers.delete_one(doc! { "_id": peer }).session(&mut tx.session);
    if deleted.await?.deleted_count == 0 {
        return Ok(false);
    }
    tx.database.entries.delete_many(of_peer(peer)).session(&mut tx.session).await?;
    let partials = doc! { "_id.p": peer };
    tx.database.partials.delete_many(partials).session(&mut tx.session).await?;
    Ok(true)
}

async fn purge(tx: &mut Tx<'_>, before: Timestamp, limit: u32) -> MongoResult<u64> {
    let gone = silent(tx, before, limit).await?;
    for peer in &gone {
        delete(tx, peer.id).await?;
    }
    Ok(gone.len() as u64)
}

/// Deletes some entries of peers that are to be forgotten, and says how many.
async fn purge_some(tx: &mut Tx<'_>, before: Timestamp, limit: u32) -> MongoResult<u64> {
    let gone = silent(tx, before, limit).await?;
    let Some(peer) = gone.iter().find(|peer| peer.entries > 0) else { return Ok(0) };
    let in_order = Hint::Keys(doc! { "_id": 1 });
    // Should it have been heard meanwhile, this conflicts: its counts are changed too.
    catalog::forget_some(tx, of_peer(peer.id), in_order, PURGED_AT_ONCE).await
}

/// The first peers of which nothing was heard since.
async fn silent(tx: &mut Tx<'_>, before: Timestamp, limit: u32) -> MongoResult<Vec<PeerDoc>> {
    let find = tx.database.peers.find(doc! { "heard": { "$lt": before.as_millis() } });
    let find = find.sort(doc! { "heard": 1, "_id": 1 }).limit(limit.into());
    let mut silent = find.session(&mut tx.session).await?;
    let mut found = Vec::new();
    while silent.advance(&mut tx.session).await? {
        found.push(silent.deserialize_current()?);
    }
    Ok(found)
}
