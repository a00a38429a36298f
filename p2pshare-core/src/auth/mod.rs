//! Who may do what.
#![allow(missing_docs, clippy::all)]
use crate::{content::ContentId, identity::*, time::Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Password(String);
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verifier(String);
impl Verifier {
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn parse(text: &str) -> Result<Self, AuthError> {
        Ok(Self(text.to_owned()))
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash([u8; 32]);
impl TokenHash {
    pub fn from_bytes(b: [u8; 32]) -> Self {
        Self(b)
    }
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionToken(String);
impl SessionToken {
    pub fn generate() -> Self {
        Self(String::new())
    }
    pub fn hash(&self) -> TokenHash {
        TokenHash([0; 32])
    }
}
pub enum Verdict {
    Accepted { rehash: bool },
    Refused,
}
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    #[error("busy")]
    Busy,
}
impl AuthError {
    pub fn is_busy(&self) -> bool {
        true
    }
}
#[async_trait]
pub trait Authenticator: Send + Sync {
    async fn enroll(&self, user: &Username, password: Password) -> Result<Verifier, AuthError>;
    async fn verify(
        &self,
        user: &Username,
        password: Password,
        verifier: Option<&Verifier>,
    ) -> Result<Verdict, AuthError>;
}
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexPublicKey(String);
pub enum GrantAction {
    Fetch,
    Push,
}
pub struct GrantClaims {
    pub issuer: String,
    pub user: Username,
    pub action: GrantAction,
    pub content: ContentId,
    pub holder: Option<PeerId>,
    pub audience: Option<PeerId>,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub id: String,
}
impl GrantClaims {
    pub fn new_id() -> String {
        String::new()
    }
}
#[derive(Debug)]
pub struct GrantSigner;
impl GrantSigner {
    pub fn key_id(&self) -> String {
        String::new()
    }
    pub fn public_key(&self) -> IndexPublicKey {
        IndexPublicKey(String::new())
    }
    pub fn sign(&self, _c: &GrantClaims) -> String {
        String::new()
    }
}

#[cfg(feature = "openapi")]
crate::text::schema_as_text!(Password, 1024, ".{8,}", "a", "a");
#[cfg(feature = "openapi")]
crate::text::schema_as_text!(SessionToken, 100, ".*", "a", "a");
#[cfg(feature = "openapi")]
crate::text::schema_as_text!(IndexPublicKey, 100, ".*", "a", "a");
