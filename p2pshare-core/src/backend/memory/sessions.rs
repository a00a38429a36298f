//! Sessions.

use async_trait::async_trait;

use super::{MemoryStore, State, at_most};
use crate::{
    auth::{TokenHash, Verifier},
    identity::Username,
    index::{
        model::{OpenSession, Session},
        store::{SessionStore, StoreResult},
    },
    time::Timestamp,
};

#[async_trait]
impl SessionStore for MemoryStore {
    async fn open_session(
        &self,
        session: &Session,
        verifier: &Verifier,
        keep: u32,
    ) -> StoreResult<bool> {
        let mut state = self.lock()?;
        let may = state
            .users
            .get(&session.user)
            .is_some_and(|user| !user.disabled && user.verifier == *verifier);
        if !may || state.sessions.contains_key(&session.token) {
            return Ok(false);
        }
        // The new session is one of those that remain.
        state.make_room_for(session, at_most(keep).saturating_sub(1));
        state.sessions.insert(session.token, session.clone());
        Ok(true)
    }

    async fn session(&self, token: &TokenHash, now: Timestamp) -> StoreResult<Option<OpenSession>> {
        let state = self.lock()?;
        let Some(session) = state.sessions.get(token).filter(|one| one.expires_at > now) else {
            return Ok(None);
        };
        Ok(state.users.get(&session.user).map(|user| OpenSession {
            session: session.clone(),
            operator: user.operator,
            disabled: user.disabled,
        }))
    }

    async fn extend_session(&self, token: &TokenHash, expires_at: Timestamp) -> StoreResult<bool> {
        let mut state = self.lock()?;
        let Some(session) = state.sessions.get_mut(token) else {
            return Ok(false);
        };
        session.expires_at = session.expires_at.max(expires_at);
        Ok(true)
    }

    async fn end_session(&self, token: &TokenHash) -> StoreResult<bool> {
        Ok(self.lock()?.sessions.remove(token).is_some())
    }

    async fn end_sessions(&self, user: &Username, except: Option<&TokenHash>) -> StoreResult<u64> {
        let goes = |session: &Session| session.user == *user && Some(&session.token) != except;
        Ok(self.lock()?.end_sessions_where(goes))
    }

    async fn sessions_of(&self, user: &Username) -> StoreResult<Vec<Session>> {
        let state = self.lock()?;
        let sessions = state.sessions.values();
        Ok(sessions.filter(|session| session.user == *user).cloned().collect())
    }

    async fn purge_sessions(&self, now: Timestamp) -> StoreResult<u64> {
        Ok(self.lock()?.end_sessions_where(|session| session.expires_at <= now))
    }
}

impl State {
    /// Ends those of the user that would end first, but for so many.
    fn make_room_for(&mut self, new: &Session, keep: usize) {
        let mut own: Vec<_> = self
            .sessions
            .values()
            .filter(|session| session.user == new.user)
            .map(|session| {
                (session.expires_at.min(new.expires_at), session.created_at, session.token)
            })
            .collect();
        own.sort_unstable();
        own.truncate(own.len().saturating_sub(keep));
        for (.., token) in own {
            self.sessions.remove(&token);
        }
    }

    fn end_sessions_where(&mut self, goes: impl Fn(&Session) -> bool) -> u64 {
        let before = self.sessions.len();
        self.sessions.retain(|_, session| !goes(session));
        (before - self.sessions.len()) as u64
    }
}
