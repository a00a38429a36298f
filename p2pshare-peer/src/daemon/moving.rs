//! Where the index knows the peer to be, and what becomes of that when it is reached elsewhere.

use std::{mem, net::SocketAddrV4, time::Duration};

use p2pshare_core::{api::Reached, identity::PeerAddr};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    DaemonError, DaemonEvent,
    addresses::{Place, announce},
    presence::Presence,
};
use crate::index_client::ClientError;

/// A peer moves no more often than this for what the index sees: some lines have several ways out.
const MOVE_EVERY: Duration = Duration::from_secs(60);

/// How long the index has to try whether others reach the peer.
const TRY_PATIENCE: Duration = Duration::from_secs(10);

/// Where the peer is, as the index knows it.
pub(super) struct Whereabouts {
    pub(super) place: Place,
    /// Where the router lets others in.
    pub(super) outside: watch::Receiver<Option<SocketAddrV4>>,
    /// From where the index saw it come at the last beat, if that was not from where it is.
    elsewhere: Option<String>,
    moved_at: Option<Instant>,
}

impl Presence {
    /// Tells the index where the peer is, and asks the router for a way in if that takes one.
    pub(super) async fn arrive(&self) -> Result<Whereabouts, DaemonError> {
        let mut outside = self.mapper.outside();
        let place = self.announce(&mut outside, None).await?;
        Ok(Whereabouts { place, outside, elsewhere: None, moved_at: None })
    }

    /// Moves the peer if the index sees it come from elsewhere now, twice in a row: its line has got another address, or
    /// it has come to another network.
    pub(super) async fn note_seen(
        &self,
        whereabouts: &mut Whereabouts,
        seen_from: Option<String>,
    ) -> Result<(), DaemonError> {
        if seen_from.is_none() || seen_from == whereabouts.place.announced.seen_from {
            whereabouts.elsewhere = None;
            return Ok(());
        }
        let before = mem::replace(&mut whereabouts.elsewhere, seen_from.clone());
        let has_moved = whereabouts.moved_at.is_some_and(|at| at.elapsed() < MOVE_EVERY);
        if before != seen_from || has_moved {
            return Ok(());
        }
        whereabouts.moved_at = Some(Instant::now());
        self.move_to(whereabouts, seen_from).await
    }

    /// Announces the peer where it is reached now; the index sees it come from there, as far as is known.
    pub(super) async fn move_to(
        &self,
        whereabouts: &mut Whereabouts,
        seen_from: Option<String>,
    ) -> Result<(), DaemonError> {
        let new = self.announce(&mut whereabouts.outside, seen_from.as_deref()).await?;
        let before = mem::replace(&mut whereabouts.place, new);
        let place = &whereabouts.place;
        if (&before.addresses, before.let_in) != (&place.addresses, place.let_in) {
            let (addresses, let_in) = (place.addresses.clone(), place.let_in);
            (self.events)(DaemonEvent::Moved { addresses, let_in });
        }
        Ok(())
    }

    async fn announce(
        &self,
        outside: &mut watch::Receiver<Option<SocketAddrV4>>,
        seen_from: Option<&str>,
    ) -> Result<Place, DaemonError> {
        let let_in = *outside.borrow_and_update();
        let place = announce(&self.peer, self.listen, &self.advertise, let_in, seen_from).await?;
        self.mapper.want(place.way);
        Ok(place)
    }

    /// Has the index try once whether others reach the peer where it is, and tells if they do not. By the first beat a
    /// router has had its time.
    pub(super) async fn try_reach(&self, place: &Place, tried: &mut Vec<PeerAddr>) {
        // It tries by TLS.
        if self.insecure || *tried == place.addresses {
            return;
        }
        let (client, id) = (self.peer.client(), self.peer.id());
        let trying = client.reachability(&id);
        let Ok(answer) = timeout(TRY_PATIENCE, trying).await else { return };
        // An answer that makes no sense is one: a proxy may let nothing through that it does not know.
        let is_odd = |error: &ClientError| matches!(error, ClientError::BadAnswer { .. });
        if answer.as_ref().is_err_and(|error| error.is_passing() && !is_odd(error)) {
            return;
        }
        tried.clone_from(&place.addresses);
        match answer {
            Ok(answer) if answer.verdict() == Reached::No => {
                let tried = answer.addresses.into_iter();
                let tried = tried.filter(|check| check.reached == Reached::No).collect();
                (self.events)(DaemonEvent::Unreachable { tried });
            }
            Ok(_) => {}
            // Not every index does it.
            Err(error) => tracing::debug!(%error, "the index did not try to reach the peer"),
        }
    }
}
