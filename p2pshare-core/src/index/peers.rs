//! Announcing peers and keeping track of who is online.

use std::collections::HashMap;

use data_encoding::BASE64URL_NOPAD;

use super::{
    Caller, Index, IndexError, Thing,
    accounts::WITHDRAWN_AT_ONCE,
    error::PEERS,
    model::{AnnounceOutcome, Peer},
    store::StoreResult,
};
use crate::{
    api::{Announce, Announced, Heartbeat, PeerList, PeerOverview},
    auth::IndexPublicKey,
    identity::{AnnounceStatement, PeerAddr, PeerId},
    time::Timestamp,
};

/// Most addresses in an announce.
const MAX_ADDRESSES: usize = 8;

/// Heartbeats that have not been written yet.
#[derive(Debug, Default)]
pub(super) struct Presence {
    seen: HashMap<PeerId, Timestamp>,
}

/// Peers that are away, and may have nothing, are looked at in one announce.
const LOOKED_AT: usize = 64;

impl Index {
    /// Announces a peer of the caller: where it can be reached from now on.
    pub async fn announce(
        &self,
        caller: &Caller,
        peer: PeerId,
        announce: &Announce,
        seen_from: Option<String>,
    ) -> Result<Announced, IndexError> {
        if announce.addresses.len() > MAX_ADDRESSES {
            return Err(IndexError::Invalid(format!(
                "a peer has at most {MAX_ADDRESSES} addresses"
            )));
        }
        self.check_signature(caller, peer, announce)?;
        let now = self.now();
        let skew = self.config().announce_skew;
        if announce.issued_at < now.saturating_sub(skew)
            || announce.issued_at > now.saturating_add(skew)
        {
            return Err(IndexError::StaleAnnounce(
                "the announce's time is too far from the index's clock",
            ));
        }
        self.check_peer_quota(caller, &peer).await?;

        let outcome = self
            .store()
            .announce(&Peer {
                id: peer,
                owner: caller.user.clone(),
                addresses: announce.addresses.clone(),
                announced_at: announce.issued_at,
                last_seen: Some(now),
            })
            .await?;
        match outcome {
            AnnounceOutcome::Stored { entries } => {
                Ok(Announced { seen_from, heartbeat_seconds: self.heartbeat_seconds(), entries })
            }
            AnnounceOutcome::OwnedByAnother => Err(IndexError::Forbidden(
                "this peer belongs to another user: use another data directory, or have its owner remove it \
                 (p2pshare-peer peers remove)",
            )),
            // Deleted or disabled since the session was looked up.
            AnnounceOutcome::NoOwner => Err(IndexError::NotLoggedIn),
            AnnounceOutcome::Stale => {
                Err(IndexError::StaleAnnounce("the index has seen this announce or a later one"))
            }
        }
    }

    /// The caller's peer is still there. Written with many others in one go, by [`Index::maintain`].
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        peer: PeerId,
        seen_from: Option<String>,
    ) -> Result<Heartbeat, IndexError> {
        let known = self.own_peer(caller, &peer).await?;
        if known.last_seen.is_none() {
            return Err(not_found(peer));
        }
        let entries = self.store().count_entries(&peer).await?;
        let now = self.now();
        self.presence().seen.insert(peer, now);
        let keys = self.public_keys().iter().map(IndexPublicKey::key_id).collect();
        Ok(Heartbeat {
            heartbeat_seconds: self.heartbeat_seconds(),
            entries,
            seen_from,
            keys,
            announced_at: Some(known.announced_at),
            process: Some(self.inner.holder.clone()),
        })
    }

    /// Where the caller's peer announced that it can be reached; nowhere if it is offline.
    pub async fn announced_addresses(
        &self,
        caller: &Caller,
        peer: PeerId,
    ) -> Result<Vec<PeerAddr>, IndexError> {
        let known = self.own_peer(caller, &peer).await?;
        if known.last_seen.is_none() {
            return Err(not_found(peer));
        }
        Ok(known.addresses)
    }

    /// The caller's peer goes offline.
    pub async fn leave(&self, caller: &Caller, peer: PeerId) -> Result<(), IndexError> {
        self.own_peer(caller, &peer).await?;
        self.presence().seen.remove(&peer);
        if self.store().peer_leaves(&peer).await? { Ok(()) } else { Err(not_found(peer)) }
    }

    /// The caller's peers.
    pub async fn own_peers(&self, caller: &Caller) -> Result<PeerList, IndexError> {
        let online_since = self.online_since();
        let mut peers = Vec::new();
        for peer in self.store().peers_of(&caller.user).await? {
            peers.push(PeerOverview {
                id: peer.id,
                online: peer.online_since(online_since),
                last_seen: peer.last_seen,
                announced_at: peer.announced_at,
                addresses: peer.addresses,
                entries: self.store().count_entries(&peer.id).await?,
            });
        }
        Ok(PeerList { peers })
    }

    /// Forgets a peer of the caller's with all that it published, as one on a machine that is lost. One that still runs and
    /// has a session announces itself anew.
    ///
    /// Cancellation: some of it is withdrawn; the same call again goes on.
    pub async fn forget_peer(&self, caller: &Caller, peer: PeerId) -> Result<(), IndexError> {
        let turn = self.inner.forgettings.take(&caller.user).await;
        let _turn = turn.ok_or(IndexError::Busy("peers of yours are being forgotten already"))?;
        self.own_peer(caller, &peer).await?;
        // From now on nobody is sent there.
        self.presence().seen.remove(&peer);
        self.store().peer_leaves(&peer).await?;
        self.withdraw_peer(&caller.user, &peer, WITHDRAWN_AT_ONCE).await?;
        if self.store().delete_peer(&peer).await? { Ok(()) } else { Err(not_found(peer)) }
    }

    /// Writes the heartbeats that came since the last time, in one go. If the store fails they are kept.
    pub async fn flush_presence(&self) -> StoreResult<()> {
        let seen: Vec<_> = std::mem::take(&mut self.presence().seen).into_iter().collect();
        if seen.is_empty() {
            return Ok(());
        }
        let written = self.store().touch_peers(&seen).await;
        if written.is_err() {
            let mut presence = self.presence();
            for (peer, at) in seen {
                presence.seen.entry(peer).or_insert(at);
            }
        }
        written
    }

    /// The peer, if it is the caller's. Another's peer does not exist for them.
    pub(super) async fn own_peer(
        &self,
        caller: &Caller,
        peer: &PeerId,
    ) -> Result<Peer, IndexError> {
        let found = self.store().peer(peer).await?;
        found.filter(|found| found.owner == caller.user).ok_or_else(|| not_found(*peer))
    }

    fn check_signature(
        &self,
        caller: &Caller,
        peer: PeerId,
        announce: &Announce,
    ) -> Result<(), IndexError> {
        let invalid =
            || IndexError::Invalid("the announce is not signed with this peer's key".to_owned());
        let public_key =
            BASE64URL_NOPAD.decode(announce.public_key.as_bytes()).map_err(|_| invalid())?;
        let signature =
            BASE64URL_NOPAD.decode(announce.signature.as_bytes()).map_err(|_| invalid())?;
        let mut statement = AnnounceStatement {
            index_key_id: self.keys().signer(self.now()).key_id(),
            user: caller.user.clone(),
            peer,
            addresses: announce.addresses.clone(),
            issued_at: announce.issued_at,
        };
        // The peer may know a key that comes or goes: each of them means this index.
        for key in self.public_keys() {
            statement.index_key_id = key.key_id();
            if statement.verify(&public_key, &signature).is_ok() {
                return Ok(());
            }
        }
        Err(invalid())
    }

    /// Makes room for a peer that is new: one that is away and shares nothing is forgotten for it, as a download that has
    /// ended in a folder of its own is.
    async fn check_peer_quota(&self, caller: &Caller, peer: &PeerId) -> Result<(), IndexError> {
        let limit = self.config().peers_per_user;
        let mut peers = self.store().peers_of(&caller.user).await?;
        if peers.len() < limit as usize || peers.iter().any(|known| known.id == *peer) {
            return Ok(());
        }
        let online_since = self.online_since();
        peers.retain(|known| known.last_seen.is_none_or(|seen| seen < online_since));
        peers.sort_by_key(|known| known.announced_at);
        for gone in peers.iter().take(LOOKED_AT) {
            if self.store().count_entries(&gone.id).await? == 0 {
                self.store().delete_peer(&gone.id).await?;
                return Ok(());
            }
        }
        Err(IndexError::Quota { what: PEERS, limit: limit.into() })
    }

    fn heartbeat_seconds(&self) -> u32 {
        u32::try_from(self.config().heartbeat_every.as_secs()).unwrap_or(u32::MAX)
    }

    fn presence(&self) -> std::sync::MutexGuard<'_, Presence> {
        // A panic elsewhere leaves a map of times: as good as before.
        self.inner.presence.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn not_found(peer: PeerId) -> IndexError {
    IndexError::NotFound(Thing::Peer(peer))
}
