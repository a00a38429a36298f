//! Saying where this peer is.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use p2pshare_core::{
    api::{Announce, Announced, ProblemKind},
    identity::{AnnounceError, AnnounceStatement, PeerAddr, PeerKey},
    time::{Clock, Timestamp},
};

use super::{CatalogIndex, PublishAccount};
use crate::{index_client::ClientError, index_keys::IndexKeysError};

/// Why a peer is not announced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceFailure {
    /// The clocks of this machine and of the index differ by too much.
    #[error(
        "the index refused the announce for its time ({reason}); this machine's clock says {now}: set it right and \
         try again"
    )]
    Clock {
        /// What the index says.
        reason: String,
        /// The time that was sent.
        now: Timestamp,
    },
    /// The index refused for another reason, or cannot be reached.
    #[error(transparent)]
    Index(#[from] ClientError),
    /// It could not be signed.
    #[error(transparent)]
    Sign(#[from] AnnounceError),
    /// The index's keys changed, and it is not known whether the new ones are its own.
    #[error(transparent)]
    Keys(#[from] IndexKeysError),
    /// No key of the index is known.
    #[error("no key of the index is known: log in again")]
    NoIndexKey,
}

/// Tells the index that the account's peer is reached at `addresses` (best first; none: it only downloads), signed with
/// the peer's key.
///
/// An announce that the index calls stale is signed anew and sent once more, for the one before may have arrived though
/// its answer was lost.
///
/// Gives with the answer the time in the announce that was taken.
pub async fn announce(
    index: &dyn CatalogIndex,
    account: &PublishAccount,
    key: &PeerKey,
    addresses: Vec<PeerAddr>,
    clock: &dyn Clock,
) -> Result<(Announced, Timestamp), AnnounceFailure> {
    let first = sign(account, key, addresses.clone(), clock.now())?;
    let error = match index.announce(&first).await {
        Ok(announced) => return Ok((announced, first.issued_at)),
        Err(error) => error,
    };
    if error.kind() != Some(ProblemKind::StaleAnnounce) {
        return Err(error.into());
    }
    // The clock may have stood still since then, or may have been put back.
    let later = first.issued_at.saturating_add(Duration::from_millis(1));
    let second = sign(account, key, addresses, clock.now().max(later))?;
    let announced = index.announce(&second).await.map_err(|error| match error.kind() {
        Some(ProblemKind::StaleAnnounce) => {
            AnnounceFailure::Clock { reason: error.to_string(), now: second.issued_at }
        }
        _ => error.into(),
    })?;
    Ok((announced, second.issued_at))
}

fn sign(
    account: &PublishAccount,
    key: &PeerKey,
    addresses: Vec<PeerAddr>,
    issued_at: Timestamp,
) -> Result<Announce, AnnounceFailure> {
    let statement = AnnounceStatement {
        index_key_id: *account.index_keys.first().ok_or(AnnounceFailure::NoIndexKey)?,
        user: account.user.clone(),
        peer: account.peer,
        addresses,
        issued_at,
    };
    let signature = statement.sign(key)?;
    Ok(Announce {
        public_key: BASE64URL_NOPAD.encode(key.public_key_der()),
        addresses: statement.addresses,
        issued_at,
        signature: BASE64URL_NOPAD.encode(&signature),
    })
}
