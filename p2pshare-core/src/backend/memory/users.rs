//! Accounts.

use std::ops::Bound;

use async_trait::async_trait;

use super::{MemoryStore, State, at_most};
use crate::{
    auth::Verifier,
    identity::Username,
    index::{
        model::{KeptSessions, User},
        store::{StoreResult, UserStore},
    },
};

#[async_trait]
impl UserStore for MemoryStore {
    async fn insert_user(&self, user: &User, only_if_first: bool) -> StoreResult<bool> {
        let mut state = self.lock()?;
        if only_if_first && !state.users.is_empty() {
            return Ok(false);
        }
        Ok(state.insert_user(user))
    }

    async fn user(&self, name: &Username) -> StoreResult<Option<User>> {
        Ok(self.lock()?.users.get(name).cloned())
    }

    async fn set_verifier(
        &self,
        name: &Username,
        verifier: &Verifier,
        expected: Option<&Verifier>,
        kept: KeptSessions,
    ) -> StoreResult<bool> {
        let mut state = self.lock()?;
        let Some(user) = state.users.get_mut(name) else {
            return Ok(false);
        };
        if expected.is_some_and(|expected| *expected != user.verifier) {
            return Ok(false);
        }
        user.verifier = verifier.clone();
        if let Some(kept) = kept.end_all_but() {
            state.sessions.retain(|token, session| session.user != *name || Some(*token) == kept);
        }
        Ok(true)
    }

    async fn set_disabled(&self, name: &Username, disabled: bool) -> StoreResult<bool> {
        let mut state = self.lock()?;
        let Some(user) = state.users.get_mut(name) else {
            return Ok(false);
        };
        user.disabled = disabled;
        if disabled {
            state.sessions.retain(|_, session| session.user != *name);
            for peer in state.peer_ids_of(name) {
                state.peer_leaves(&peer);
            }
            state.delete_invites_by(name);
        }
        Ok(true)
    }

    async fn set_operator(&self, name: &Username, operator: bool) -> StoreResult<bool> {
        let mut state = self.lock()?;
        let Some(user) = state.users.get_mut(name) else {
            return Ok(false);
        };
        user.operator = operator;
        Ok(true)
    }

    async fn delete_user(&self, name: &Username) -> StoreResult<bool> {
        Ok(self.lock()?.delete_user(name))
    }

    async fn users(&self, after: Option<&Username>, limit: u32) -> StoreResult<Vec<User>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let state = self.lock()?;
        let users = state.users.range::<Username, _>((from, Bound::Unbounded));
        Ok(users.map(|(_, user)| user.clone()).take(at_most(limit)).collect())
    }
}

impl State {
    pub(super) fn insert_user(&mut self, user: &User) -> bool {
        if self.users.contains_key(&user.name) {
            return false;
        }
        self.users.insert(user.name.clone(), user.clone());
        true
    }

    fn delete_user(&mut self, name: &Username) -> bool {
        if self.users.remove(name).is_none() {
            return false;
        }
        self.sessions.retain(|_, session| session.user != *name);
        for peer in self.peer_ids_of(name) {
            self.delete_peer(&peer);
        }
        self.delete_invites_by(name);
        for group in self.groups_owned_by(name) {
            self.delete_group(&group);
        }
        for group in self.groups.values_mut() {
            group.members.remove(name);
        }
        true
    }
}
