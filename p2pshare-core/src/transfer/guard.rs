//! The question a server asks before it reads a byte from disk.

use crate::{
    content::ContentId,
    identity::{Access, PeerConnection, Reach, Username},
    time::Timestamp,
};

/// A call that wants to be let in.
#[derive(Clone, Copy)]
pub struct AccessRequest<'a> {
    /// The credential that the call carries, if any.
    pub credential: Option<&'a str>,
    /// What it wants to do.
    pub access: Access,
    /// With what.
    pub content: ContentId,
    /// The connection it came over.
    pub connection: PeerConnection,
}

impl std::fmt::Debug for AccessRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessRequest")
            .field("credential", &self.credential.map(|_| "redacted"))
            .field("access", &self.access)
            .field("content", &self.content)
            .field("connection", &self.connection)
            .finish()
    }
}

/// Who was let in, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The user on whose behalf the call is served: uploads are shared out fairly among users.
    pub user: Username,
    /// When the permission ends. A transfer that has begun may go on past it.
    pub expires_at: Timestamp,
    /// As whom they are let in: what is for others is not there for them.
    pub reach: Reach,
}

/// Why a call was not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessDenied {
    /// There is no credential, or it is not valid.
    #[error("{0}")]
    Unauthenticated(String),
    /// The credential is valid, but not for this.
    #[error("{0}")]
    Forbidden(String),
}

/// Decides who is let in. Servers of pieces take one and know nothing of credentials themselves.
///
/// It is asked once for each call, before anything else is done for it, and must not block.
pub trait TransferGuard: Send + Sync {
    /// Lets a call in or says why not.
    fn admit(&self, request: &AccessRequest<'_>) -> Result<Admission, AccessDenied>;
}
