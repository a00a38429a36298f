//! Private groups.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{MemoryStore, State, entries::Shared};
use crate::{
    api::Visibility,
    identity::{GroupName, Username},
    index::{
        model::GroupRecord,
        store::{GroupStore, StoreResult},
    },
};

/// A group with its members, the owner among them.
pub(super) struct Group {
    record: GroupRecord,
    pub(super) members: BTreeSet<Username>,
}

#[async_trait]
impl GroupStore for MemoryStore {
    async fn insert_group(&self, group: &GroupRecord) -> StoreResult<bool> {
        let mut state = self.lock()?;
        if state.groups.contains_key(&group.name) || !state.users.contains_key(&group.owner) {
            return Ok(false);
        }
        let record = group.clone();
        let members = BTreeSet::from([group.owner.clone()]);
        state.groups.insert(group.name.clone(), Group { record, members });
        Ok(true)
    }

    async fn group(&self, name: &GroupName) -> StoreResult<Option<GroupRecord>> {
        Ok(self.lock()?.groups.get(name).map(|group| group.record.clone()))
    }

    async fn groups_of(&self, user: &Username) -> StoreResult<Vec<GroupRecord>> {
        let state = self.lock()?;
        let joined = state.groups.values().filter(|group| group.members.contains(user));
        Ok(joined.map(|group| group.record.clone()).collect())
    }

    async fn members(&self, name: &GroupName) -> StoreResult<Vec<Username>> {
        let state = self.lock()?;
        let members = state.groups.get(name).map(|group| &group.members);
        Ok(members.into_iter().flatten().cloned().collect())
    }

    async fn add_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool> {
        Ok(self.lock()?.add_member(name, user))
    }

    async fn withdraw_shared(
        &self,
        name: &GroupName,
        users: &[Username],
        limit: u32,
    ) -> StoreResult<u64> {
        let shared_with = Visibility::Group(name.clone());
        let is_it = |shared: &Shared| {
            shared.entry.visibility == shared_with && users.contains(&shared.owner)
        };
        Ok(self.lock()?.entries.remove_some(limit as usize, is_it) as u64)
    }

    async fn remove_member(&self, name: &GroupName, user: &Username) -> StoreResult<bool> {
        let mut state = self.lock()?;
        let Some(group) = state.groups.get_mut(name) else {
            return Ok(false);
        };
        if group.record.owner == *user || !group.members.remove(user) {
            return Ok(false);
        }
        let shared_with = Visibility::Group(name.clone());
        state
            .entries
            .remove_where(|shared| shared.owner == *user && shared.entry.visibility == shared_with);
        let theirs = state.peer_ids_of(user);
        state
            .partial_sources
            .retain(|(_, peer), partial| !theirs.contains(peer) || !partial.groups.contains(name));
        Ok(true)
    }

    async fn set_group_owner(&self, name: &GroupName, owner: &Username) -> StoreResult<bool> {
        let mut state = self.lock()?;
        let Some(group) = state.groups.get_mut(name) else {
            return Ok(false);
        };
        if !group.members.contains(owner) {
            return Ok(false);
        }
        group.record.owner = owner.clone();
        state
            .invites
            .retain(|_, invite| invite.group.as_ref() != Some(name) || invite.created_by == *owner);
        Ok(true)
    }

    async fn delete_group(&self, name: &GroupName) -> StoreResult<bool> {
        Ok(self.lock()?.delete_group(name))
    }
}

impl State {
    pub(super) fn add_member(&mut self, name: &GroupName, user: &Username) -> bool {
        if !self.users.contains_key(user) {
            return false;
        }
        let Some(group) = self.groups.get_mut(name) else {
            return false;
        };
        group.members.insert(user.clone())
    }

    pub(super) fn delete_group(&mut self, name: &GroupName) -> bool {
        if self.groups.remove(name).is_none() {
            return false;
        }
        self.invites.retain(|_, invite| invite.group.as_ref() != Some(name));
        let shared_with = Visibility::Group(name.clone());
        self.entries.remove_where(|shared| shared.entry.visibility == shared_with);
        self.partial_sources.retain(|_, partial| !partial.groups.contains(name));
        true
    }

    pub(super) fn groups_owned_by(&self, user: &Username) -> Vec<GroupName> {
        let owned = self.groups.values().filter(|group| group.record.owner == *user);
        owned.map(|group| group.record.name.clone()).collect()
    }

    pub(super) fn is_member(&self, name: &GroupName, user: &Username) -> bool {
        self.groups.get(name).is_some_and(|group| group.members.contains(user))
    }
}
