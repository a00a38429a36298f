//! Private groups.
//!
//! For whoever is not a member, a group does not exist: each of these calls answers them as it would for a name that
//! nobody took.

use super::{
    Caller, Index, IndexError, Thing,
    accounts::WITHDRAWN_AT_ONCE,
    error::{GROUPS, GROUPS_OF_OTHERS},
    model::GroupRecord,
    store::StoreResult,
};
use crate::{
    api::{Group, GroupList, GroupMembers},
    identity::{GroupName, Username},
};

/// Members of whom it is withdrawn together what they shared.
const MEMBERS: usize = 1000;

/// So many parts are withdrawn at most: far more than a group has.
const PARTS: u32 = 100_000;

const OWNER_ONLY: IndexError = IndexError::Forbidden("only the group's owner may do this");

impl Index {
    /// Makes a group, owned by the caller.
    pub async fn create_group(
        &self,
        caller: &Caller,
        name: GroupName,
    ) -> Result<Group, IndexError> {
        let _joining = self.inner.joining.lock().await;
        self.check_group_quota(&caller.user, GROUPS, self.config().groups_per_user).await?;
        let group = GroupRecord { name, owner: caller.user.clone(), created_at: self.now() };
        if self.store().insert_group(&group).await? {
            Ok(Group::from(group))
        } else {
            Err(IndexError::Taken(Thing::Group(group.name)))
        }
    }

    /// The groups that the caller is in.
    pub async fn groups(&self, caller: &Caller) -> Result<GroupList, IndexError> {
        let groups = self.store().groups_of(&caller.user).await?;
        Ok(GroupList { groups: groups.into_iter().map(Group::from).collect() })
    }

    /// The members of a group that the caller is in.
    pub async fn group_members(
        &self,
        caller: &Caller,
        name: &GroupName,
    ) -> Result<GroupMembers, IndexError> {
        let members = self.store().members(name).await?;
        if !members.contains(&caller.user) {
            return Err(no_group(name));
        }
        Ok(GroupMembers { members })
    }

    /// Adds a user to a group of the caller's. Adding a member again is fine.
    pub async fn add_member(
        &self,
        caller: &Caller,
        name: &GroupName,
        user: &Username,
    ) -> Result<(), IndexError> {
        self.owned_group(caller, name).await?;
        let members = self.store().members(name).await?;
        if members.contains(user) {
            return Ok(());
        }
        self.check_member_quota(&members)?;
        if self.store().user(user).await?.is_none() {
            return Err(IndexError::NotFound(Thing::User(user.clone())));
        }
        let _joining = self.inner.joining.lock().await;
        // The rest is for groups of their own, whatever others do.
        let limit = self.config().groups_per_user.div_ceil(2);
        self.check_group_quota(user, GROUPS_OF_OTHERS, limit).await?;
        self.store().add_member(name, user).await?;
        Ok(())
    }

    /// Removes a member: the owner may remove any other, a member themselves. What they shared with the group is
    /// withdrawn.
    pub async fn remove_member(
        &self,
        caller: &Caller,
        name: &GroupName,
        user: &Username,
    ) -> Result<(), IndexError> {
        let group = self.joined_group(caller, name).await?;
        if *user == group.owner {
            return Err(IndexError::Conflict(
                "the owner cannot leave the group: give it to another member first, or delete it",
            ));
        }
        if *user != caller.user && group.owner != caller.user {
            return Err(OWNER_ONLY);
        }
        self.withdraw_shared(name, std::slice::from_ref(user)).await?;
        if self.store().remove_member(name, user).await? {
            Ok(())
        } else {
            Err(IndexError::NotFound(Thing::Member(user.clone(), name.clone())))
        }
    }

    /// Gives a group of the caller's to another member. The caller's invites into it are no longer good.
    pub async fn transfer_group(
        &self,
        caller: &Caller,
        name: &GroupName,
        owner: &Username,
    ) -> Result<(), IndexError> {
        self.owned_group(caller, name).await?;
        self.give(name, owner).await
    }

    async fn give(&self, name: &GroupName, owner: &Username) -> Result<(), IndexError> {
        if self.store().set_group_owner(name, owner).await? {
            Ok(())
        } else {
            Err(IndexError::NotFound(Thing::Member(owner.clone(), name.clone())))
        }
    }

    /// The groups of all, in order of their owners' names, each with the number of its members: for operators' tools.
    pub async fn all_groups(&self) -> Result<Vec<(Group, u64)>, IndexError> {
        let mut groups = Vec::new();
        let mut after: Option<Username> = None;
        loop {
            let page = self.accounts(after.as_ref()).await?;
            let Some(last) = page.last() else { return Ok(groups) };
            after = Some(last.username.clone());
            for account in page {
                groups.extend(self.groups_owned_by(&account.username).await?);
            }
        }
    }

    /// The groups that a user owns, each with the number of its members: for operators' tools.
    pub async fn groups_owned_by(&self, user: &Username) -> Result<Vec<(Group, u64)>, IndexError> {
        let mut owned = Vec::new();
        for group in self.store().groups_of(user).await? {
            if group.owner == *user {
                let members = self.store().members(&group.name).await?.len() as u64;
                owned.push((Group::from(group), members));
            }
        }
        Ok(owned)
    }

    /// Gives a group to one of its members, whoever owns it: for operators' tools, as when its owner has gone.
    pub async fn set_group_owner(
        &self,
        name: &GroupName,
        owner: &Username,
    ) -> Result<(), IndexError> {
        if self.store().group(name).await?.is_none() {
            return Err(no_group(name));
        }
        self.give(name, owner).await
    }

    /// Deletes a group of the caller's, with everything that was shared with it.
    pub async fn delete_group(&self, caller: &Caller, name: &GroupName) -> Result<(), IndexError> {
        self.owned_group(caller, name).await?;
        self.withdraw_group(name).await?;
        self.store().delete_group(name).await?;
        Ok(())
    }

    /// Withdraws what is shared with the groups that a user owns, which end with the account.
    pub(super) async fn withdraw_owned(&self, user: &Username) -> StoreResult<()> {
        for group in self.store().groups_of(user).await? {
            if group.owner == *user {
                self.withdraw_group(&group.name).await?;
            }
        }
        Ok(())
    }

    async fn withdraw_group(&self, name: &GroupName) -> StoreResult<()> {
        for members in self.store().members(name).await?.chunks(MEMBERS) {
            self.withdraw_shared(name, members).await?;
        }
        Ok(())
    }

    /// Withdraws what members shared with a group, in parts: all at once would hold up whoever else writes, and may be
    /// more than a store does in one step. The rest goes with the membership.
    async fn withdraw_shared(&self, name: &GroupName, members: &[Username]) -> StoreResult<()> {
        // Who publishes meanwhile does not keep it from its end.
        for _ in 0..PARTS {
            let withdrawn = self.store().withdraw_shared(name, members, WITHDRAWN_AT_ONCE).await?;
            if withdrawn < u64::from(WITHDRAWN_AT_ONCE) {
                break;
            }
        }
        Ok(())
    }

    async fn joined_group(
        &self,
        caller: &Caller,
        name: &GroupName,
    ) -> Result<GroupRecord, IndexError> {
        let groups = self.store().groups_of(&caller.user).await?;
        groups.into_iter().find(|group| group.name == *name).ok_or_else(|| no_group(name))
    }

    pub(super) async fn owned_group(
        &self,
        caller: &Caller,
        name: &GroupName,
    ) -> Result<GroupRecord, IndexError> {
        let group = self.joined_group(caller, name).await?;
        if group.owner == caller.user { Ok(group) } else { Err(OWNER_ONLY) }
    }

    /// That a group which has these members may have one more.
    pub(super) fn check_member_quota(&self, members: &[Username]) -> Result<(), IndexError> {
        let limit = self.config().members_per_group;
        if members.len() < limit as usize {
            return Ok(());
        }
        Err(IndexError::Quota { what: "members of a group", limit: limit.into() })
    }

    async fn check_group_quota(
        &self,
        user: &Username,
        what: &'static str,
        limit: u32,
    ) -> Result<(), IndexError> {
        if self.store().groups_of(user).await?.len() >= limit as usize {
            return Err(IndexError::Quota { what, limit: limit.into() });
        }
        Ok(())
    }
}

fn no_group(name: &GroupName) -> IndexError {
    IndexError::NotFound(Thing::Group(name.clone()))
}
