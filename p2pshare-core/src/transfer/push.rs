//! The trait of whatever takes contents that others push.

use std::sync::Arc;

use async_trait::async_trait;

use super::{PieceSink, TransferError};
use crate::{content::Manifest, identity::Username, path::SharePath};

/// A content that somebody wants to push.
#[derive(Clone, Debug)]
pub struct PushOffer {
    /// On whose behalf.
    pub from: Username,
    /// The name that the sender proposes.
    pub name: SharePath,
    /// What it is; verified against its id.
    pub manifest: Manifest,
}

/// Where a push that was accepted goes.
#[derive(Clone)]
pub struct PushTarget {
    /// The name under which it is kept, for the receipt.
    pub name: SharePath,
    /// Where its pieces go. The server finishes it once it holds them all.
    pub sink: Arc<dyn PieceSink>,
}

/// Decides about contents that others push, and says where they go.
///
/// # Laws
///
/// - Nothing is ever written outside of the receiver's own folder, and nothing that exists is overwritten.
/// - The same offer again, from the same user, after an interrupted push leads to the same sink, which still holds what
///   it held.
/// - Refusals are [`TransferError::Refused`], with a sentence for the sender.
#[async_trait]
pub trait PushReceiver: Send + Sync {
    /// Refuses contents of a length that it never takes, before the manifest of one is sent: that of a large one is long.
    fn check_length(&self, length: u64) -> Result<(), TransferError>;

    /// Accepts an offer or refuses it.
    async fn accept(&self, offer: &PushOffer) -> Result<PushTarget, TransferError>;
}
