//! Changing and ending accounts.

use super::{
    Caller, Index, IndexError, Thing,
    model::{KeptSessions, User},
    store::StoreResult,
};
use crate::{
    api::{Account, CatalogChange},
    auth::{Password, Verdict, Verifier},
    identity::{PeerId, Username},
};

/// Most accounts in one page of [`Index::accounts`].
const ACCOUNTS_PER_PAGE: u32 = 1000;

/// Entries of an account that are withdrawn in one write when it is deleted.
pub(super) const WITHDRAWN_AT_ONCE: u32 = 1000;

impl Index {
    /// The caller's own account.
    pub async fn account(&self, caller: &Caller) -> Result<Account, IndexError> {
        let user = self.store().user(&caller.user).await?.ok_or(IndexError::NotLoggedIn)?;
        Ok(Account::from(&user))
    }

    /// Changes the caller's password and ends their other sessions. A password that was set meanwhile stays.
    pub async fn change_password(
        &self,
        caller: &Caller,
        current: Password,
        new: Password,
    ) -> Result<(), IndexError> {
        let verifier = self.authenticator().enroll(&caller.user, new).await?;
        let kept = KeptSessions::One(caller.session);
        // A login beside it may store the same password anew; then it is checked against that.
        for _ in 0..2 {
            let checked = self.confirm(caller, current.clone()).await?.verifier;
            let setting = self.store().set_verifier(&caller.user, &verifier, Some(&checked), kept);
            if self.inner.sessions.changing(&caller.user, setting).await? {
                return Ok(());
            }
        }
        Err(IndexError::WrongCredentials)
    }

    /// Deletes the caller's account with all it published, which takes time in proportion to that: first its sessions
    /// end and nobody logs in to it any more, so that nothing is published anew.
    ///
    /// Cancellation: it is deleted all the same, by [`maintain`](Self::maintain), or nothing has happened yet.
    pub async fn delete_account(
        &self,
        caller: &Caller,
        password: Password,
    ) -> Result<(), IndexError> {
        let confirmed = self.confirm(caller, password).await?;
        if self.begin_deletion(&confirmed).await? {
            self.end_deletion(&confirmed).await?;
        }
        Ok(())
    }

    /// Has an account deleted, whatever happens to whoever asked for it. `false`: it is gone already.
    async fn begin_deletion(&self, account: &User) -> StoreResult<bool> {
        loop {
            // The name may be somebody else's by now: another call has deleted this account, and it was free.
            let Some(now) = self.same_account(account).await? else { return Ok(false) };
            let (gone, kept) = (Verifier::gone(), KeptSessions::None);
            // A login beside it may store the same password anew.
            let setting = self.store().set_verifier(&now.name, &gone, Some(&now.verifier), kept);
            if self.inner.sessions.changing(&now.name, setting).await? {
                return Ok(true);
            }
        }
    }

    /// Deletes an account of which that has begun.
    pub(super) async fn end_deletion(&self, account: &User) -> StoreResult<()> {
        self.withdraw_in_parts(&account.name, WITHDRAWN_AT_ONCE).await?;
        if self.same_account(account).await?.is_some_and(|user| user.is_leaving()) {
            self.withdraw_owned(&account.name).await?;
            let deleting = self.store().delete_user(&account.name);
            self.inner.sessions.changing(&account.name, deleting).await?;
        }
        Ok(())
    }

    /// The very account, as it is now.
    async fn same_account(&self, account: &User) -> StoreResult<Option<User>> {
        let now = self.store().user(&account.name).await?;
        Ok(now.filter(|now| now.created_at == account.created_at))
    }

    /// Withdraws what each peer of a user shares, until at most `rest` are left, in parts: all at once would hold up
    /// whoever else writes. What is published meanwhile stays.
    pub(super) async fn withdraw_in_parts(&self, user: &Username, rest: u32) -> StoreResult<()> {
        for peer in self.store().peers_of(user).await? {
            self.withdraw_peer(user, &peer.id, rest).await?;
        }
        Ok(())
    }

    /// The same for one peer.
    pub(super) async fn withdraw_peer(
        &self,
        user: &Username,
        peer: &PeerId,
        rest: u32,
    ) -> StoreResult<()> {
        // Who publishes meanwhile does not keep it from its end.
        let mut left = self.store().count_entries(peer).await?;
        while left > u64::from(rest) {
            let some = self.store().entries(peer, None, WITHDRAWN_AT_ONCE).await?;
            if some.is_empty() {
                break;
            }
            left = left.saturating_sub(some.len() as u64);
            left = left.min(self.store().count_entries(peer).await?);
            let changes: Vec<_> =
                some.into_iter().map(|entry| CatalogChange::Withdraw(entry.path)).collect();
            if self.store().publish(user, peer, &changes, self.now()).await?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// A page of all accounts, in order of name: for operators' tools.
    pub async fn accounts(&self, after: Option<&Username>) -> Result<Vec<Account>, IndexError> {
        let users = self.store().users(after, ACCOUNTS_PER_PAGE).await?;
        Ok(users.iter().map(Account::from).collect())
    }

    /// Disables or enables an account: for operators' tools. Disabling ends its sessions and deletes its invites at
    /// once, and withdraws what it shares, in parts; grants that it has end within their lifetime. Its peers publish all
    /// again when they are let in again.
    ///
    /// Cancellation: it is disabled, and [`maintain`](Self::maintain) withdraws the rest of what it shares.
    pub async fn set_disabled(
        &self,
        username: &Username,
        disabled: bool,
    ) -> Result<(), IndexError> {
        let setting = self.store().set_disabled(username, disabled);
        let known = self.inner.sessions.changing(username, setting).await?;
        found(known, username)?;
        if disabled {
            self.withdraw_in_parts(username, 0).await?;
        }
        Ok(())
    }

    /// Deletes an account with all it published and the groups that it owns: for operators' tools. Its name is free.
    ///
    /// Cancellation: it may be disabled, and what it shares withdrawn; the same call again deletes it.
    pub async fn delete_user(&self, username: &Username) -> Result<(), IndexError> {
        self.set_disabled(username, true).await?;
        self.withdraw_owned(username).await?;
        let deleting = self.store().delete_user(username);
        let known = self.inner.sessions.changing(username, deleting).await?;
        found(known, username)
    }

    /// Makes an account an operator, or no longer one: for operators' tools. Its sessions go on, with the new rights.
    pub async fn set_operator(
        &self,
        username: &Username,
        operator: bool,
    ) -> Result<(), IndexError> {
        let setting = self.store().set_operator(username, operator);
        let known = self.inner.sessions.changing(username, setting).await?;
        found(known, username)
    }

    /// Sets a new password for an account and ends its sessions: for operators' tools.
    pub async fn reset_password(
        &self,
        username: &Username,
        password: Password,
    ) -> Result<(), IndexError> {
        let verifier = self.authenticator().enroll(username, password).await?;
        let setting = self.store().set_verifier(username, &verifier, None, KeptSessions::None);
        let known = self.inner.sessions.changing(username, setting).await?;
        found(known, username)
    }

    /// Whether the password is the caller's: asked again before what cannot be undone. Gives the account as it was when
    /// it was checked.
    async fn confirm(&self, caller: &Caller, password: Password) -> Result<User, IndexError> {
        let user = self.store().user(&caller.user).await?.ok_or(IndexError::NotLoggedIn)?;
        let verdict =
            self.authenticator().verify(&caller.user, password, user.checked_against()).await?;
        match verdict {
            Verdict::Accepted { .. } => Ok(user),
            Verdict::Refused => Err(IndexError::WrongCredentials),
        }
    }
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self {
            username: user.name.clone(),
            operator: user.operator,
            disabled: user.disabled || user.is_leaving(),
            created_at: user.created_at,
        }
    }
}

fn found(found: bool, username: &Username) -> Result<(), IndexError> {
    if found { Ok(()) } else { Err(IndexError::NotFound(Thing::User(username.clone()))) }
}
