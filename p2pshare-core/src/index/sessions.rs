//! Logging in and out.

use super::{
    Index, IndexError,
    model::{KeptSessions, Session, User},
};
use crate::{
    api::{Account, SessionOpened, SessionsEnded},
    auth::{Password, SessionToken, TokenHash, Verdict, Verifier},
    identity::Username,
    time::Timestamp,
};

/// Who calls: the user of an open session. Only [`Index::caller`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user.
    pub user: Username,
    /// Whether this is an operator.
    pub operator: bool,
    pub(super) session: TokenHash,
}

impl Index {
    /// Opens a session.
    ///
    /// An unknown name costs the same work and has the same answer as a wrong password; that an account is disabled is
    /// told only to who knows its password. Over a [directory](crate::auth::Authenticator::is_directory) whoever it
    /// accepts for the first time gets an account, as by [`register`](Self::register).
    pub async fn log_in(
        &self,
        username: &Username,
        password: Password,
    ) -> Result<SessionOpened, IndexError> {
        let user = self.store().user(username).await?;
        let verifier = user.as_ref().and_then(User::checked_against);
        let verdict = self.authenticator().verify(username, password.clone(), verifier).await?;
        let Verdict::Accepted { rehash } = verdict else {
            return Err(IndexError::WrongCredentials);
        };
        let user = match user.filter(|user| !user.is_leaving()) {
            Some(user) => user,
            None if self.is_directory() => self.known(username).await?,
            None => return Err(IndexError::WrongCredentials),
        };
        if user.disabled {
            return Err(IndexError::AccountDisabled);
        }
        let verifier = match rehash && !self.is_directory() {
            true => self.rehash(&user, password).await?.ok_or(IndexError::WrongCredentials)?,
            false => user.verifier.clone(),
        };

        let token = SessionToken::generate();
        let now = self.now();
        let session = Session {
            token: token.hash(),
            user: user.name.clone(),
            created_at: now,
            expires_at: now.saturating_add(self.config().session_lifetime),
        };
        let most = self.config().sessions_per_user;
        // Beyond these the ones end that were not used for the longest time.
        let opening = self.store().open_session(&session, &verifier, most);
        if !self.inner.sessions.changing(&user.name, opening).await? {
            // Disabled, deleted, or its password changed since it was read above.
            return Err(IndexError::WrongCredentials);
        }
        Ok(SessionOpened {
            token,
            expires_at: session.expires_at,
            account: Account::from(&user),
            index: self.info(),
        })
    }

    /// The user of an open session.
    pub async fn caller(&self, token: &SessionToken) -> Result<Caller, IndexError> {
        let hash = token.hash();
        let now = self.now();
        let open = match self.inner.sessions.find(&hash, now) {
            Ok(open) => open,
            Err(looked_up) => {
                let mut open =
                    self.store().session(&hash, now).await?.ok_or(IndexError::NotLoggedIn)?;
                self.extend(&mut open.session, now).await;
                self.inner.sessions.keep(looked_up, &open);
                open
            }
        };
        if open.disabled {
            return Err(IndexError::AccountDisabled);
        }
        Ok(Caller { user: open.session.user, operator: open.operator, session: hash })
    }

    /// Has a session that is used last longer, so that who is always there need not log in again. It is written once in
    /// a thirtieth of its time.
    ///
    /// What fails in that fails no request: the next one tries again.
    async fn extend(&self, session: &mut Session, now: Timestamp) {
        let lifetime = self.config().session_lifetime;
        if session.expires_at >= now.saturating_add(lifetime - lifetime / 30) {
            return;
        }
        let expires_at = now.saturating_add(lifetime);
        match self.store().extend_session(&session.token, expires_at).await {
            Ok(true) => session.expires_at = expires_at,
            // Ended since it was looked up.
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "a session was not extended"),
        }
    }

    /// Ends the caller's session.
    pub async fn log_out(&self, caller: &Caller) -> Result<(), IndexError> {
        let ending = self.store().end_session(&caller.session);
        self.inner.sessions.changing(&caller.user, ending).await?;
        Ok(())
    }

    /// Ends all sessions of the caller, this one among them.
    pub async fn log_out_everywhere(&self, caller: &Caller) -> Result<SessionsEnded, IndexError> {
        let ending = self.store().end_sessions(&caller.user, None);
        let ended = self.inner.sessions.changing(&caller.user, ending).await?;
        Ok(SessionsEnded { ended })
    }

    /// Stores the password under today's parameters, unless something else was stored meanwhile. Says what it is checked
    /// against; `None`: it is not the password any more.
    async fn rehash(
        &self,
        user: &User,
        password: Password,
    ) -> Result<Option<Verifier>, IndexError> {
        let verifier = self.authenticator().enroll(&user.name, password.clone()).await?;
        let (old, kept) = (Some(&user.verifier), KeptSessions::All);
        if self.store().set_verifier(&user.name, &verifier, old, kept).await? {
            return Ok(Some(verifier));
        }
        // Another login has done the same, or the password was changed.
        let Some(now) = self.store().user(&user.name).await? else { return Ok(None) };
        let verify = self.authenticator().verify(&user.name, password, now.checked_against());
        Ok(match verify.await? {
            Verdict::Accepted { .. } => Some(now.verifier),
            Verdict::Refused => None,
        })
    }
}
