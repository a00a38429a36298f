//! Invites.

use std::cmp::Reverse;

use async_trait::async_trait;

use super::{MemoryStore, State, at_most};
use crate::{
    identity::Username,
    index::{
        model::{InviteHash, InviteRecord, User},
        store::{InviteStore, RedeemOutcome, StoreResult},
    },
    time::Timestamp,
};

#[async_trait]
impl InviteStore for MemoryStore {
    async fn insert_invite(&self, invite: &InviteRecord) -> StoreResult<bool> {
        let mut state = self.lock()?;
        let group_is_there = |name| state.groups.contains_key(name);
        if state.invites.contains_key(&invite.hash)
            || state.users.get(&invite.created_by).is_none_or(|maker| maker.disabled)
            || !invite.group.as_ref().is_none_or(group_is_there)
        {
            return Ok(false);
        }
        state.invites.insert(invite.hash, invite.clone());
        Ok(true)
    }

    async fn invite(&self, hash: &InviteHash) -> StoreResult<Option<InviteRecord>> {
        Ok(self.lock()?.invites.get(hash).cloned())
    }

    async fn redeem_invite(
        &self,
        hash: &InviteHash,
        user: &User,
        now: Timestamp,
    ) -> StoreResult<RedeemOutcome> {
        Ok(self.lock()?.redeem_invite(hash, user, now))
    }

    async fn invites_by(&self, user: &Username) -> StoreResult<Vec<InviteRecord>> {
        let state = self.lock()?;
        let own = state.invites.values().filter(|invite| invite.created_by == *user);
        let mut own: Vec<_> = own.cloned().collect();
        own.sort_by_key(|invite| (Reverse(invite.created_at), invite.hash));
        Ok(own)
    }

    async fn good_invites(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, InviteHash)>,
        limit: u32,
    ) -> StoreResult<Vec<InviteRecord>> {
        let state = self.lock()?;
        let place = |ends, hash| (Reverse(ends), hash);
        let after = after.map(|(ends, hash)| place(ends, hash));
        let of = |invite: &InviteRecord| place(invite.expires_at, invite.hash);
        let good = state.invites.values().filter(|invite| invite.is_good(now));
        let mut good: Vec<_> =
            good.filter(|invite| after.is_none_or(|after| of(invite) > after)).cloned().collect();
        good.sort_by_key(of);
        good.truncate(at_most(limit));
        Ok(good)
    }

    async fn delete_invite(&self, hash: &InviteHash) -> StoreResult<bool> {
        Ok(self.lock()?.invites.remove(hash).is_some())
    }

    async fn purge_invites(&self, now: Timestamp) -> StoreResult<u64> {
        let mut state = self.lock()?;
        let before = state.invites.len();
        state.invites.retain(|_, invite| invite.expires_at > now);
        Ok((before - state.invites.len()) as u64)
    }
}

impl State {
    fn redeem_invite(&mut self, hash: &InviteHash, user: &User, now: Timestamp) -> RedeemOutcome {
        let name_is_taken = self.users.contains_key(&user.name);
        let Some(invite) = self.invites.get_mut(hash).filter(|invite| invite.is_good(now)) else {
            return RedeemOutcome::NotGood;
        };
        if name_is_taken {
            return RedeemOutcome::NameTaken;
        }
        invite.uses_left -= 1;
        let group = invite.group.clone();
        self.insert_user(user);
        if let Some(group) = group {
            self.add_member(&group, &user.name);
        }
        RedeemOutcome::Registered
    }

    pub(super) fn delete_invites_by(&mut self, user: &Username) {
        self.invites.retain(|_, invite| invite.created_by != *user);
    }
}
