//! Passwords that are checked while something else happens.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use p2pshare_core::{
    auth::{AuthError, Authenticator, Password, Verdict, Verifier},
    identity::Username,
};

use super::cheap_passwords;

/// Checks passwords; what is to happen happens once, after the next one was checked and before that is told.
pub struct Meanwhile {
    passwords: Arc<dyn Authenticator>,
    next: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Meanwhile {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { passwords: cheap_passwords(), next: Mutex::default() })
    }

    pub fn happens(&self, what: impl Future<Output = ()> + Send + 'static) {
        *self.next.lock().unwrap() = Some(Box::pin(what));
    }
}

#[async_trait::async_trait]
impl Authenticator for Meanwhile {
    async fn enroll(&self, user: &Username, password: Password) -> Result<Verifier, AuthError> {
        self.passwords.enroll(user, password).await
    }

    async fn verify(
        &self,
        user: &Username,
        password: Password,
        verifier: Option<&Verifier>,
    ) -> Result<Verdict, AuthError> {
        let verdict = self.passwords.verify(user, password, verifier).await?;
        let next = self.next.lock().unwrap().take();
        if let Some(next) = next {
            next.await;
        }
        Ok(verdict)
    }
}
