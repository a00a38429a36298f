//! Invites.

use async_trait::async_trait;
use mongodb::bson::doc;

use super::{
    MongoStore, by,
    database::{MongoResult, Tx, patiently, transact},
    documents::{Bytes32, InviteDoc},
    groups, many, users,
};
use crate::{
    identity::Username,
    index::{
        model::{InviteHash, InviteRecord, User},
        store::{InviteStore, RedeemOutcome, StoreResult},
    },
    time::Timestamp,
};

#[async_trait]
impl InviteStore for MongoStore {
    async fn insert_invite(&self, invite: &InviteRecord) -> StoreResult<bool> {
        Ok(transact!(&self.database, insert, invite))
    }

    async fn invite(&self, hash: &InviteHash) -> StoreResult<Option<InviteRecord>> {
        let invites = &self.database.invites;
        let found = patiently(|| invites.find_one(doc! { "_id": Bytes32::from(hash) })).await?;
        Ok(found.map(InviteDoc::into_model).transpose()?)
    }

    async fn redeem_invite(
        &self,
        hash: &InviteHash,
        user: &User,
        now: Timestamp,
    ) -> StoreResult<RedeemOutcome> {
        Ok(transact!(&self.database, redeem, hash, user, now))
    }

    async fn invites_by(&self, user: &Username) -> StoreResult<Vec<InviteRecord>> {
        let find = || {
            let found = self.database.invites.find(doc! { "created_by": user.as_str() });
            found.sort(doc! { "created_at": -1, "_id": 1 })
        };
        Ok(many(find, InviteDoc::into_model).await?)
    }

    async fn good_invites(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, InviteHash)>,
        limit: u32,
    ) -> StoreResult<Vec<InviteRecord>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut ends = doc! { "$gt": now.as_millis() };
        let mut good = doc! { "uses_left": { "$gt": 0 } };
        if let Some((at, hash)) = after {
            let at = at.as_millis();
            ends.insert("$lte", at);
            let here = doc! { "expires_at": at, "_id": { "$gt": Bytes32::from(&hash) } };
            good.insert("$or", [doc! { "expires_at": { "$lt": at } }, here]);
        }
        good.insert("expires_at", ends);
        let find = || {
            let found = self.database.invites.find(good.clone()).hint(by("expiry"));
            found.sort(doc! { "expires_at": -1, "_id": 1 }).limit(limit.into())
        };
        Ok(many(find, InviteDoc::into_model).await?)
    }

    async fn delete_invite(&self, hash: &InviteHash) -> StoreResult<bool> {
        Ok(transact!(&self.database, delete, hash))
    }

    /// Not in one transaction: to forget some of them changes no answer but this one.
    async fn purge_invites(&self, now: Timestamp) -> StoreResult<u64> {
        let ended = doc! { "expires_at": { "$lte": now.as_millis() } };
        let purge = || self.database.invites.delete_many(ended.clone());
        Ok(patiently(purge).await?.deleted_count)
    }
}

async fn insert(tx: &mut Tx<'_>, invite: &InviteRecord) -> MongoResult<bool> {
    let new = InviteDoc::from(invite);
    let known = doc! { "_id": new.hash };
    if tx.database.invites.find_one(known).session(&mut tx.session).await?.is_some() {
        return Ok(false);
    }
    let maker = doc! { "_id": &new.created_by, "disabled": false };
    if users::hold(tx, maker).await?.is_none() {
        return Ok(false);
    }
    if let Some(group) = &new.group
        && !groups::hold(tx, doc! { "_id": group }).await?
    {
        return Ok(false);
    }
    tx.database.invites.insert_one(new).session(&mut tx.session).await?;
    Ok(true)
}

async fn redeem(
    tx: &mut Tx<'_>,
    hash: &InviteHash,
    user: &User,
    now: Timestamp,
) -> MongoResult<RedeemOutcome> {
    let hash = Bytes32::from(hash);
    let invites = &tx.database.invites;
    let good =
        doc! { "_id": hash, "expires_at": { "$gt": now.as_millis() }, "uses_left": { "$gt": 0 } };
    let Some(invite) = invites.find_one(good).session(&mut tx.session).await? else {
        return Ok(RedeemOutcome::NotGood);
    };
    if let Some(group) = &invite.group {
        groups::hold(tx, doc! { "_id": group }).await?;
    }
    if !users::insert_new(tx, user, invite.group.into_iter().collect()).await? {
        return Ok(RedeemOutcome::NameTaken);
    }
    let use_up = doc! { "$inc": { "uses_left": -1 } };
    tx.database.invites.update_one(doc! { "_id": hash }, use_up).session(&mut tx.session).await?;
    Ok(RedeemOutcome::Registered)
}

async fn delete(tx: &mut Tx<'_>, hash: &InviteHash) -> MongoResult<bool> {
    let deleted = tx.database.invites.delete_one(doc! { "_id": Bytes32::from(hash) });
    Ok(deleted.session(&mut tx.session).await?.deleted_count > 0)
}
