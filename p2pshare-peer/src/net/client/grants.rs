//! Where the permissions come from that calls carry.

use async_trait::async_trait;
use p2pshare_core::content::ContentId;
use p2pshare_core::identity::{Access, PeerId};
use p2pshare_core::transfer::TransferError;

/// What a grant is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrantRequest {
    /// The peer that is called.
    pub peer: PeerId,
    /// The content.
    pub content: ContentId,
    /// What is done with it.
    pub access: Access,
}

/// Gives grants. It is asked before every call, so it keeps what it got while that is valid.
#[async_trait]
pub trait GrantProvider: Send + Sync {
    /// A grant that is valid now.
    ///
    /// # Errors
    /// [`TransferError::Refused`] when there is none to be had, [`TransferError::Unavailable`] when it cannot be asked
    /// for at the moment.
    async fn grant(&self, request: &GrantRequest) -> Result<String, TransferError>;

    /// The peer did not accept this grant as valid: it must not be given again. A call asks for another one once.
    fn refused(&self, request: &GrantRequest, grant: &str) {
        let _ = (request, grant);
    }
}

/// The one grant that there is.
pub(crate) struct OneGrant(pub(crate) String);

#[async_trait]
impl GrantProvider for OneGrant {
    async fn grant(&self, _: &GrantRequest) -> Result<String, TransferError> {
        Ok(self.0.clone())
    }
}
