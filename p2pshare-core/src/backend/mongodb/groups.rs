//! Private groups. Who is in a group stands in the documents of its members, so that an account and its memberships are
//! one.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use serde::Deserialize;

use super::{
    MongoStore, by, catalog,
    database::{MongoResult, Tx, patiently, transact},
    documents::{GroupDoc, group_name, user_name},
    many, peers, users,
};
use crate::{
    api::Visibility,
    identity::{GroupName, Username},
    index::{
        model::GroupRecord,
        store::{GroupStore, StoreResult},
    },
};

#[async_trait]
impl GroupStore for MongoStore {
    async fn insert_group(&self, group: &GroupRecord) -> StoreResult<bool> {
        Ok(transact!(&self.database, insert, group))
    }

    async fn group(&self, name: &GroupName) -> StoreResult<Option<GroupRecord>> {
        let groups = &self.database.groups;
        let found = patiently(|| groups.find_one(doc! { "_id": name.as_str() })).await?;
        Ok(found.map(GroupDoc::into_model).transpose()?)
    }

    async fn groups_of(&self, user: &Username) -> StoreResult<Vec<GroupRecord>> {
        let pipeline = [
            doc! { "$match": { "_id": user.as_str() } },
            doc! { "$lookup": {
                "from": "groups", "localField": "groups", "foreignField": "_id", "as": "joined",
            } },
            doc! { "$project": { "joined": 1 } },
        ];
        let find = || self.database.users.aggregate(pipeline.clone()).with_type::<Joined>();
        let found = many(find, Joined::into_model).await?;
        let mut groups: Vec<_> = found.into_iter().flatten().collect();
        groups.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(groups)
    }

    async fn members(&self, name: &GroupName) -> StoreResult<Vec<Username>> {
        let find = || {
            let found = self.database.users.find(doc! { "groups": name.as_str() });
            let names = found.sort(doc! { "_id": 1 }).projection(doc! { "_id": 1 });
            let names = names.hint(mongodb::options::Hint::Name("groups".to_owned()));
            async { Ok(names.await?.with_type::<Named>()) }
        };
        Ok(many(find, |member: Named| user_name(&member.name)).await?)
    }

    async fn add_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool> {
        Ok(transact!(&self.database, add, name, user))
    }

    async fn withdraw_shared(
        &self,
        name: &GroupName,
        users: &[Username],
        limit: u32,
    ) -> StoreResult<u64> {
        Ok(transact!(&self.database, withdraw, name, users, limit))
    }

    async fn remove_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool> {
        Ok(transact!(in haste: &self.database, remove, name, user))
    }

    async fn set_group_owner(&self, name: &GroupName, owner: &Username) -> StoreResult<bool> {
        Ok(transact!(&self.database, set_owner, name, owner))
    }

    async fn delete_group(&self, name: &GroupName) -> StoreResult<bool> {
        Ok(transact!(in haste: &self.database, delete, name))
    }
}

#[derive(Deserialize)]
struct Joined {
    joined: Vec<GroupDoc>,
}

impl Joined {
    fn into_model(self) -> MongoResult<Vec<GroupRecord>> {
        self.joined.into_iter().map(GroupDoc::into_model).collect()
    }
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    name: String,
}

/// Makes the transaction one with all others that rely on a group, as [`users::hold`] does for an account.
pub(super) async fn hold(tx: &mut Tx<'_>, which: Document) -> MongoResult<bool> {
    let hold = tx.database.groups.update_one(which, doc! { "$inc": { "rev": 1 } });
    Ok(hold.session(&mut tx.session).await?.matched_count > 0)
}

async fn insert(tx: &mut Tx<'_>, group: &GroupRecord) -> MongoResult<bool> {
    let new = GroupDoc::from(group);
    let known = doc! { "_id": &new.name };
    if tx.database.groups.find_one(known).session(&mut tx.session).await?.is_some() {
        return Ok(false);
    }
    if !join(tx, &group.name, &group.owner).await? {
        return Ok(false);
    }
    tx.database.groups.insert_one(new).session(&mut tx.session).await?;
    Ok(true)
}

/// Adds to the groups of a user. `false`: no such user, or a member already.
async fn join(tx: &mut Tx<'_>, group: &GroupName, user: &Username) -> MongoResult<bool> {
    let outside = doc! { "_id": user.as_str(), "groups": { "$ne": group.as_str() } };
    let update = doc! { "$push": { "groups": group.as_str() }, "$inc": { "rev": 1 } };
    let joined = tx.database.users.update_one(outside, update).session(&mut tx.session).await?;
    Ok(joined.matched_count > 0)
}

async fn add(tx: &mut Tx<'_>, group: &GroupName, user: &Username) -> MongoResult<bool> {
    Ok(hold(tx, doc! { "_id": group.as_str() }).await? && join(tx, group, user).await?)
}

async fn withdraw(
    tx: &mut Tx<'_>,
    group: &GroupName,
    users: &[Username],
    limit: u32,
) -> MongoResult<u64> {
    let shared_with = Visibility::Group(group.clone()).to_string();
    let users: Vec<_> = users.iter().map(Username::as_str).collect();
    let which = doc! { "o": { "$in": users }, "v": shared_with };
    catalog::forget_some(tx, which, by("owner"), limit).await
}

async fn remove(tx: &mut Tx<'_>, group: &GroupName, user: &Username) -> MongoResult<bool> {
    if !hold(tx, doc! { "_id": group.as_str(), "owner": { "$ne": user.as_str() } }).await? {
        return Ok(false);
    }
    let member = doc! { "_id": user.as_str(), "groups": group.as_str() };
    let update = doc! { "$pull": { "groups": group.as_str() }, "$inc": { "rev": 1 } };
    let left = tx.database.users.update_one(member, update).session(&mut tx.session).await?;
    if left.matched_count == 0 {
        return Ok(false);
    }
    let shared_with = Visibility::Group(group.clone()).to_string();
    catalog::forget(tx, doc! { "o": user.as_str(), "v": shared_with }).await?;
    let noted =
        doc! { "_id.p": { "$in": peers::ids_of(tx, user).await? }, "groups": group.as_str() };
    tx.database.partials.delete_many(noted).session(&mut tx.session).await?;
    Ok(true)
}

async fn set_owner(tx: &mut Tx<'_>, group: &GroupName, owner: &Username) -> MongoResult<bool> {
    let member = doc! { "_id": owner.as_str(), "groups": group.as_str() };
    if users::hold(tx, member).await?.is_none() {
        return Ok(false);
    }
    let update = doc! { "$set": { "owner": owner.as_str() } };
    let set = tx.database.groups.update_one(doc! { "_id": group.as_str() }, update);
    if set.session(&mut tx.session).await?.matched_count == 0 {
        return Ok(false);
    }
    let of_others = doc! { "group": group.as_str(), "created_by": { "$ne": owner.as_str() } };
    let delete = tx.database.invites.delete_many(of_others).hint(by("group"));
    delete.session(&mut tx.session).await?;
    Ok(true)
}

/// The groups that a user owns.
pub(super) async fn owned_by(tx: &mut Tx<'_>, owner: &Username) -> MongoResult<Vec<GroupName>> {
    let find = tx.database.groups.find(doc! { "owner": owner.as_str() });
    let mut found = find.session(&mut tx.session).await?;
    let mut names = Vec::new();
    while found.advance(&mut tx.session).await? {
        names.push(group_name(&found.deserialize_current()?.name)?);
    }
    Ok(names)
}

/// Deletes a group with its memberships, invites and entries. `false`: there was none.
pub(super) async fn delete(tx: &mut Tx<'_>, group: &GroupName) -> MongoResult<bool> {
    let deleted = tx.database.groups.delete_one(doc! { "_id": group.as_str() });
    if deleted.session(&mut tx.session).await?.deleted_count == 0 {
        return Ok(false);
    }
    let into = doc! { "group": group.as_str() };
    tx.database.invites.delete_many(into).session(&mut tx.session).await?;
    let member = doc! { "groups": group.as_str() };
    let find = tx.database.users.find(member.clone()).projection(doc! { "_id": 1 });
    let mut found = find.session(&mut tx.session).await?.with_type::<Named>();
    let mut members = Vec::new();
    while found.advance(&mut tx.session).await? {
        members.push(found.deserialize_current()?.name);
    }
    let update = doc! { "$pull": { "groups": group.as_str() }, "$inc": { "rev": 1 } };
    tx.database.users.update_many(member, update).session(&mut tx.session).await?;
    let noted = doc! { "groups": group.as_str() };
    tx.database.partials.delete_many(noted).session(&mut tx.session).await?;
    // Every entry of a group belongs to a member of it.
    let shared_with = Visibility::Group(group.clone()).to_string();
    for members in members.chunks(1000) {
        catalog::forget(tx, doc! { "o": { "$in": members }, "v": &shared_with }).await?;
    }
    Ok(true)
}
