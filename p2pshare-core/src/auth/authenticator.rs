//! The port through which passwords are checked.

use std::error::Error;

use async_trait::async_trait;

use super::password::{Password, Verifier, VerifierError};
use crate::identity::Username;

/// Checks passwords. [`Argon2Authenticator`](super::Argon2Authenticator) does it alone; another implementation may
/// ask a directory ([`is_directory`](Self::is_directory)) and ignore the verifier.
///
/// # Contract
/// - **Same work.** `verify` does the same work whether the user exists or not and whether the password is right or
///   not, so that its time tells nobody which users exist.
/// - **Bounded.** However many calls come at once, memory and running work are bounded; a call above the bound fails
///   at once with [`AuthError::Busy`].
/// - **Cancel-safe.** Dropping the future at any point leaves nothing behind: neither call changes what is stored,
///   and work that was started still counts against the bound until it ends.
/// - **Silent.** Neither password nor verifier goes into an error, a log or a trace.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Makes what a store keeps so that `password` can be verified for `user` later. Two calls give two different
    /// verifiers.
    ///
    /// # Errors
    /// [`AuthError`]; [`AuthError::NotManaged`] if passwords are set elsewhere.
    async fn enroll(&self, user: &Username, password: Password) -> Result<Verifier, AuthError>;

    /// Whether users and passwords are those of a directory that is kept elsewhere. Then an account needs no password of
    /// its own: [`enroll`](Self::enroll) is not asked for one, and whoever is accepted for the first time gets an account
    /// where registration is open; else with an invite ([`Index::register`](crate::index::Index::register)), or by
    /// [`Index::admit`](crate::index::Index::admit). Operators are those who are admitted as such, or made so
    /// ([`Index::set_operator`](crate::index::Index::set_operator)).
    ///
    /// Who leaves the directory cannot log in any more, but has sessions: end these with
    /// [`Index::set_disabled`](crate::index::Index::set_disabled). An account that is deleted is made anew at the next login;
    /// one that is disabled keeps its user out. Passwords come as [`Password`]s, which have at least
    /// [`Password::MIN_CHARS`] characters and are in Unicode's normal form C.
    fn is_directory(&self) -> bool {
        false
    }

    /// Says whether `password` is that of `user`. `verifier` is what the store has for the user, `None` if it
    /// has none: there is no such user, or not yet.
    ///
    /// A wrong password is a [`Verdict::Refused`], not an error.
    ///
    /// # Errors
    /// [`AuthError`] when nothing can be said: too busy, or the verifier is damaged.
    async fn verify(
        &self,
        user: &Username,
        password: Password,
        verifier: Option<&Verifier>,
    ) -> Result<Verdict, AuthError>;
}

/// The answer to a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right.
    Accepted {
        /// The verifier was made in a way that is no longer used: enroll the password again and store the result.
        rehash: bool,
    },
    /// There is no such user or the password is wrong; which of the two is not said.
    Refused,
}

/// Why a password could not be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// Too many passwords are being checked.
    #[error("too many logins at once: try again in a few seconds")]
    Busy,
    /// Passwords are set somewhere else.
    #[error("passwords are not managed here: set yours where your account is kept")]
    NotManaged,
    /// The stored verifier cannot be used.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    /// What the authenticator needs failed.
    #[error("passwords cannot be checked now: {0}")]
    Backend(#[source] Box<dyn Error + Send + Sync>),
}

impl AuthError {
    /// True if the same call may well succeed in a moment.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy)
    }
}
