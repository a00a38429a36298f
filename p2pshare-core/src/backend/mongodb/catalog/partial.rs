//! Who holds part of a content.

use std::collections::BTreeSet;

use mongodb::bson::doc;

use crate::{
    backend::mongodb::{
        database::{MongoResult, Tx},
        documents::{Bytes32, PartialDoc, PartialKey, group_name},
        users,
    },
    content::ContentId,
    identity::{GroupName, PeerId, Username},
    index::model::PartialSource,
    time::Timestamp,
};

impl PartialDoc {
    pub(super) fn into_model(self) -> MongoResult<PartialSource> {
        let names = self.groups.into_iter().flatten();
        Ok(PartialSource {
            content: ContentId::from_bytes(self.key.c.0),
            until: Timestamp::from_millis(self.until),
            groups: names.map(|name| group_name(&name)).collect::<MongoResult<_>>()?,
        })
    }
}

/// As [`add_partial_source`](crate::index::store::CatalogStore::add_partial_source).
pub(super) async fn add(
    tx: &mut Tx<'_>,
    owner: &Username,
    peer: &PeerId,
    partial: &PartialSource,
) -> MongoResult<Option<Vec<GroupName>>> {
    let peer = Bytes32::from(peer);
    // The peer can neither leave nor be forgotten meanwhile.
    let there = doc! { "_id": peer, "owner": owner.as_str(), "last_seen": { "$ne": null } };
    let hold = tx.database.peers.update_one(there, doc! { "$inc": { "rev": 1 } });
    if hold.session(&mut tx.session).await?.matched_count == 0 {
        return Ok(None);
    }
    if !partial.groups.is_empty() {
        // No membership can end meanwhile.
        let groups: Vec<&str> = partial.groups.iter().map(GroupName::as_str).collect();
        let member = doc! { "_id": owner.as_str(), "groups": { "$all": groups } };
        if users::hold(tx, member).await?.is_none() {
            return Ok(None);
        }
    }
    let key = PartialKey { c: (&partial.content).into(), p: peer };
    let find = tx.database.partials.find_one(doc! { "_id": &key });
    let before = find.session(&mut tx.session).await?.map(PartialDoc::into_model).transpose()?;
    let before = before.into_iter().flat_map(|before| before.groups);
    let groups: BTreeSet<GroupName> = before.chain(partial.groups.iter().cloned()).collect();
    let names: Vec<&str> = groups.iter().map(GroupName::as_str).collect();
    let note = doc! { "$set": { "until": partial.until.as_millis(), "groups": names } };
    let note = tx.database.partials.update_one(doc! { "_id": &key }, note).upsert(true);
    note.session(&mut tx.session).await?;
    Ok(Some(groups.into_iter().collect()))
}

/// As [`remove_partial_source`](crate::index::store::CatalogStore::remove_partial_source).
pub(super) async fn remove(
    tx: &mut Tx<'_>,
    owner: &Username,
    peer: &PeerId,
    content: &ContentId,
) -> MongoResult<bool> {
    let peer = Bytes32::from(peer);
    let own = doc! { "_id": peer, "owner": owner.as_str() };
    if tx.database.peers.find_one(own).session(&mut tx.session).await?.is_none() {
        return Ok(false);
    }
    let key = PartialKey { c: content.into(), p: peer };
    let removed = tx.database.partials.delete_one(doc! { "_id": &key });
    Ok(removed.session(&mut tx.session).await?.deleted_count > 0)
}
