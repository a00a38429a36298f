//! Accounts.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};

use super::{
    MongoStore,
    database::{MongoResult, Tx, patiently, transact},
    documents::{Bytes32, UserDoc},
    groups, many, peers, sessions,
};
use crate::{
    auth::Verifier,
    identity::Username,
    index::{
        model::{KeptSessions, User},
        store::{StoreResult, UserStore},
    },
};

#[async_trait]
impl UserStore for MongoStore {
    async fn insert_user(&self, user: &User, only_if_first: bool) -> StoreResult<bool> {
        Ok(transact!(&self.database, insert, user, only_if_first))
    }

    async fn user(&self, name: &Username) -> StoreResult<Option<User>> {
        let users = &self.database.users;
        let found = patiently(|| users.find_one(doc! { "_id": name.as_str() })).await?;
        Ok(found.map(UserDoc::into_model).transpose()?)
    }

    async fn set_verifier(
        &self,
        name: &Username,
        verifier: &Verifier,
        expected: Option<&Verifier>,
        kept: KeptSessions,
    ) -> StoreResult<bool> {
        Ok(transact!(in haste: &self.database, set_verifier, name, verifier, expected, kept))
    }

    async fn set_disabled(&self, name: &Username, disabled: bool) -> StoreResult<bool> {
        Ok(transact!(in haste: &self.database, set_disabled, name, disabled))
    }

    async fn set_operator(&self, name: &Username, operator: bool) -> StoreResult<bool> {
        let update = doc! { "$set": { "operator": operator } };
        let set = || self.database.users.update_one(doc! { "_id": name.as_str() }, update.clone());
        Ok(patiently(set).await?.matched_count > 0)
    }

    async fn delete_user(&self, name: &Username) -> StoreResult<bool> {
        Ok(transact!(in haste: &self.database, delete, name))
    }

    async fn users(&self, after: Option<&Username>, limit: u32) -> StoreResult<Vec<User>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let after = after.map_or("", Username::as_str);
        let find = || {
            let found = self.database.users.find(doc! { "_id": { "$gt": after } });
            found.sort(doc! { "_id": 1 }).limit(limit.into())
        };
        Ok(many(find, UserDoc::into_model).await?)
    }
}

async fn insert(tx: &mut Tx<'_>, user: &User, only_if_first: bool) -> MongoResult<bool> {
    if only_if_first {
        // Of several at once, one writes this.
        let rev = doc! { "$inc": { "rev": 1 } };
        let first = tx.database.meta.update_one(doc! { "_id": "first" }, rev);
        first.upsert(true).session(&mut tx.session).await?;
        if tx
            .database
            .users
            .find_one(doc! { "_id": { "$gte": "" } })
            .session(&mut tx.session)
            .await?
            .is_some()
        {
            return Ok(false);
        }
    }
    insert_new(tx, user, Vec::new()).await
}

/// Adds an account. `false`: the name is taken, and nothing was written.
pub(super) async fn insert_new(
    tx: &mut Tx<'_>,
    user: &User,
    groups: Vec<String>,
) -> MongoResult<bool> {
    let known = doc! { "_id": user.name.as_str() };
    if tx.database.users.find_one(known).session(&mut tx.session).await?.is_some() {
        return Ok(false);
    }
    let new = UserDoc::new(user, groups);
    tx.database.users.insert_one(new).session(&mut tx.session).await?;
    Ok(true)
}

/// Makes the transaction one with all others that rely on an account: what it finds stays so until it is committed.
/// `None`: no account is as `filter` says.
pub(super) async fn hold(tx: &mut Tx<'_>, filter: Document) -> MongoResult<Option<UserDoc>> {
    let hold = tx.database.users.find_one_and_update(filter, doc! { "$inc": { "rev": 1 } });
    Ok(hold.session(&mut tx.session).await?)
}

async fn set_verifier(
    tx: &mut Tx<'_>,
    name: &Username,
    verifier: &Verifier,
    expected: Option<&Verifier>,
    kept: KeptSessions,
) -> MongoResult<bool> {
    let mut filter = doc! { "_id": name.as_str() };
    if let Some(expected) = expected {
        filter.insert("verifier", expected.as_str());
    }
    let update = doc! { "$set": { "verifier": verifier.as_str() }, "$inc": { "rev": 1 } };
    let set = tx.database.users.update_one(filter, update).session(&mut tx.session).await?;
    if set.matched_count == 0 {
        return Ok(false);
    }
    if let Some(kept) = kept.end_all_but() {
        sessions::end(tx, sessions::all_but(name, kept.as_ref())).await?;
    }
    Ok(true)
}

async fn set_disabled(tx: &mut Tx<'_>, name: &Username, disabled: bool) -> MongoResult<bool> {
    let update = doc! { "$set": { "disabled": disabled }, "$inc": { "rev": 1 } };
    let set = tx.database.users.update_one(doc! { "_id": name.as_str() }, update);
    if set.session(&mut tx.session).await?.matched_count == 0 {
        return Ok(false);
    }
    if disabled {
        let own = doc! { "user": name.as_str() };
        tx.database.sessions.delete_many(own).session(&mut tx.session).await?;
        let peers = peers::ids_of(tx, name).await?;
        peers::leave(tx, &peers).await?;
        delete_invites_by(tx, name).await?;
    }
    Ok(true)
}

async fn delete(tx: &mut Tx<'_>, name: &Username) -> MongoResult<bool> {
    let deleted = tx.database.users.delete_one(doc! { "_id": name.as_str() });
    if deleted.session(&mut tx.session).await?.deleted_count == 0 {
        return Ok(false);
    }
    let own = doc! { "user": name.as_str() };
    tx.database.sessions.delete_many(own).session(&mut tx.session).await?;
    let peers: Vec<Bytes32> = peers::ids_of(tx, name).await?;
    for peer in peers {
        peers::delete(tx, peer).await?;
    }
    // Without a peer the user has no entries. Those of others go with the groups.
    delete_invites_by(tx, name).await?;
    for group in groups::owned_by(tx, name).await? {
        groups::delete(tx, &group).await?;
    }
    Ok(true)
}

async fn delete_invites_by(tx: &mut Tx<'_>, name: &Username) -> MongoResult<()> {
    let made = doc! { "created_by": name.as_str() };
    tx.database.invites.delete_many(made).session(&mut tx.session).await?;
    Ok(())
}
