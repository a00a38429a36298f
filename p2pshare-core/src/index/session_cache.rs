//! Sessions that were looked up a moment ago.
//!
//! A request costs the store one lookup less while its session is here. What this process does to sessions is seen at
//! once, what another process over the same store does when a session has been here for its time. So is what the store
//! still does of a change after its caller has given it up.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::model::OpenSession;
use crate::{auth::TokenHash, identity::Username, time::Timestamp};

/// Most sessions that are kept.
const MOST: usize = 100_000;

#[derive(Debug)]
pub(super) struct SessionCache {
    lasts: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sessions: HashMap<TokenHash, (OpenSession, Timestamp)>,
    /// How often sessions were forgotten: what was looked up before that is not kept.
    forgotten: u64,
}

/// When a session was looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookedUp {
    at: Timestamp,
    forgotten: u64,
}

/// Forgets what is known of a user when it is dropped.
struct Forgets<'a> {
    cache: &'a SessionCache,
    user: &'a Username,
}

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        self.cache.forget(self.user);
    }
}

impl SessionCache {
    /// Keeps sessions for so long; zero keeps none.
    pub(super) fn new(lasts: Duration) -> Self {
        Self { lasts, state: Mutex::default() }
    }

    /// The session, if it is here and has not ended; else the moment to give to [`keep`](Self::keep).
    pub(super) fn find(&self, token: &TokenHash, now: Timestamp) -> Result<OpenSession, LookedUp> {
        let state = self.lock();
        match state.sessions.get(token) {
            Some((open, since))
                if now >= *since
                    && now.since(*since) < self.lasts
                    && open.session.expires_at > now =>
            {
                Ok(open.clone())
            }
            _ => Err(LookedUp { at: now, forgotten: state.forgotten }),
        }
    }

    /// Keeps a session that was looked up.
    pub(super) fn keep(&self, looked_up: LookedUp, open: &OpenSession) {
        let mut state = self.lock();
        if self.lasts.is_zero() || state.forgotten != looked_up.forgotten {
            return;
        }
        if state.sessions.len() >= MOST {
            state.sessions.clear();
        }
        state.sessions.insert(open.session.token, (open.clone(), looked_up.at));
    }

    /// Has the store change what it keeps of a user, and then forgets what is known of them here. Also when that fails or
    /// is given up: it may have been done all the same.
    pub(super) async fn changing<T>(&self, user: &Username, change: impl Future<Output = T>) -> T {
        let _forgets = Forgets { cache: self, user };
        change.await
    }

    fn forget(&self, user: &Username) {
        let mut state = self.lock();
        state.forgotten += 1;
        state.sessions.retain(|_, (open, _)| open.session.user != *user);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a map of sessions: as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::FutureExt;

    use super::*;
    use crate::index::model::Session;

    const LASTS: Duration = Duration::from_secs(2);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    fn open(token: u8, expires_at: i64) -> OpenSession {
        let session = Session {
            token: TokenHash::from_bytes([token; 32]),
            user: Username::parse("alice").unwrap(),
            created_at: at(0),
            expires_at: at(expires_at),
        };
        OpenSession { session, operator: false, disabled: false }
    }

    #[test]
    fn a_session_is_here_for_its_time() {
        let cache = SessionCache::new(LASTS);
        let open = open(1, 100);
        let token = open.session.token;
        let looked_up = cache.find(&token, at(10)).unwrap_err();
        cache.keep(looked_up, &open);
        assert_eq!(cache.find(&token, at(11)).unwrap(), open);
        assert!(cache.find(&token, at(12)).is_err());
        assert!(cache.find(&token, at(9)).is_err(), "the clock went back");
        let none = SessionCache::new(Duration::ZERO);
        none.keep(none.find(&token, at(10)).unwrap_err(), &open);
        assert!(none.find(&token, at(10)).is_err());
    }

    #[test]
    fn a_session_ends_at_its_time() {
        let cache = SessionCache::new(LASTS);
        let open = open(1, 11);
        cache.keep(cache.find(&open.session.token, at(10)).unwrap_err(), &open);
        assert!(cache.find(&open.session.token, at(10)).is_ok());
        assert!(cache.find(&open.session.token, at(11)).is_err());
    }

    #[test]
    fn what_was_forgotten_while_it_was_looked_up_is_not_kept() {
        let cache = SessionCache::new(LASTS);
        let open = open(1, 100);
        let looked_up = cache.find(&open.session.token, at(10)).unwrap_err();
        cache.forget(&open.session.user);
        cache.keep(looked_up, &open);
        assert!(cache.find(&open.session.token, at(10)).is_err());
        cache.keep(cache.find(&open.session.token, at(10)).unwrap_err(), &open);
        cache.forget(&open.session.user);
        assert!(cache.find(&open.session.token, at(10)).is_err());
    }

    #[tokio::test]
    async fn a_change_that_failed_or_was_given_up_may_be_done() {
        let cache = SessionCache::new(LASTS);
        let open = open(1, 100);
        let (token, user) = (open.session.token, &open.session.user);
        let keep = || cache.keep(cache.find(&token, at(10)).unwrap_err(), &open);
        keep();
        assert!(cache.find(&token, at(10)).is_ok());
        assert_eq!(
            cache.changing(user, async { Err::<(), _>("broken off") }).await,
            Err("broken off")
        );
        assert!(cache.find(&token, at(10)).is_err());
        keep();
        assert!(cache.changing(user, pending::<()>()).now_or_never().is_none());
        assert!(cache.find(&token, at(10)).is_err());
    }
}
