//! Pushing several small files in one call.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures::{StreamExt, TryStreamExt, stream};
use p2pshare_core::{
    api::{PushGrantRequest, PushGrants},
    identity::Username,
    transfer::{FileSource, ReadOptions, Throttled, TransferError},
};

use super::{Pace, Parcel, PushError, Pushed};
use crate::{
    net::{Kept, PeerPool, PushProgress, PushProposal, SmallPush},
    publish::OwnPeer,
};

/// Grants that the index is asked for at a time: four calls may do so at once.
const GRANTS_AT_ONCE: usize = 8;

/// What has become of files that were pushed together.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The receiver has so many of them, from the first on.
    pub(super) taken: usize,
    /// If not all: which one failed, and why. It may be up to that one alone.
    pub(super) failed: Option<(usize, TransferError)>,
}

/// Pushes small files in one call to that peer of the user which the index names first, which has to be known to the index.
/// Tells `each` of those that it has, in their order, and whether it had them before.
///
/// Cancellation: dropping the future ends it; what was taken stays.
///
/// # Errors
///
/// Those of the index, and that no peer is online.
pub(super) async fn send_small(
    me: &OwnPeer,
    pool: &PeerPool,
    parcels: &[Parcel],
    user: &Username,
    pace: &Pace,
    each: &(dyn Fn(&Parcel, &Pushed, bool) + Send + Sync),
) -> Result<Outcome, PushError> {
    let ask = |content| {
        let request = PushGrantRequest { user: user.clone(), content, peer: Some(me.id()) };
        async move { me.client().push_grants(&request).await }
    };
    let contents: Vec<_> = parcels.iter().map(|parcel| parcel.manifest.id()).collect();
    let granted: Vec<PushGrants> =
        stream::iter(contents).map(ask).buffered(GRANTS_AT_ONCE).try_collect().await?;
    let target = granted.first().and_then(|granted| granted.peers.first());
    let Some((peer, addresses)) = target.map(|target| (target.peer, target.addresses.clone()))
    else {
        return Err(PushError::NoPeer(user.clone()));
    };
    let source = FileSource::new(ReadOptions::default());
    let mut contents = Vec::with_capacity(parcels.len());
    for (parcel, granted) in parcels.iter().zip(granted) {
        // What has none for this peer, which has just gone, is left to the next time.
        let Some(grant) = granted.peers.into_iter().find(|grant| grant.peer == peer) else { break };
        source.insert(parcel.file.clone());
        let proposal =
            PushProposal { name: parcel.name.clone(), manifest: parcel.manifest.clone() };
        contents.push(SmallPush { proposal, grant: grant.grant });
    }
    let source = Throttled::new(source, pace.limit.clone());
    let taken = AtomicUsize::new(0);
    let kept = |number: usize, kept: Kept| {
        let Some(parcel) = parcels.get(number) else { return };
        taken.store(number + 1, Relaxed);
        if kept.wanted {
            let listed = pace.list(user, peer, parcel.manifest.id());
            listed.note(PushProgress::Sent { bytes: parcel.manifest.len() });
        }
        each(parcel, &Pushed { peer, name: kept.name }, kept.wanted);
    };
    let result = pool.peer(peer, addresses).push_small(&contents, &source, &kept).await;
    let failed = result.err().map(|failure| (failure.number, failure.error));
    Ok(Outcome { taken: taken.into_inner(), failed })
}
