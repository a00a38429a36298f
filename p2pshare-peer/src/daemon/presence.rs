//! Staying online at the index, and keeping it told of what is shared.

use std::{net::SocketAddr, time::Duration};

use p2pshare_core::{
    api::{Announced, ProblemKind},
    identity::PeerAddr,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{DaemonError, DaemonEvent, DaemonEvents, addresses};
use crate::{
    catalog::{Catalog, CatalogChanges},
    guard::GrantGuard,
    publish::{OwnPeer, PublishError},
};

/// After a failure it is tried again so soon.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Heartbeats are never closer than this, whatever the index says.
const SHORTEST_BEAT: Duration = Duration::from_secs(1);

/// And never further apart: a peer is taken for offline after 90 seconds.
const LONGEST_BEAT: Duration = Duration::from_secs(60);

pub(super) struct Presence {
    pub(super) peer: OwnPeer,
    pub(super) guard: GrantGuard,
    pub(super) catalog: Catalog,
    pub(super) listen: SocketAddr,
    pub(super) advertise: Vec<PeerAddr>,
    pub(super) events: DaemonEvents,
}

impl Presence {
    /// Keeps the peer online until `stop` is cancelled, or the session ends.
    pub(super) async fn run(&self, stop: &CancellationToken) -> Result<(), DaemonError> {
        stop.run_until_cancelled(self.stay()).await.unwrap_or(Ok(()))
    }

    async fn stay(&self) -> Result<(), DaemonError> {
        let mut changes = self.catalog.changes().await?;
        let mut ready = false;
        loop {
            let ended = self.online(&mut changes, &mut ready).await;
            let Err(error) = ended;
            if error.is_logged_out() {
                return Err(DaemonError::LoggedOut);
            }
            // What is wrong at the start is wrong for good, unless it is only that the index is away.
            if !ready && !is_passing(&error) {
                return Err(error);
            }
            self.trouble(&error);
            sleep(TRY_AGAIN).await;
        }
    }

    /// Announces the peer, publishes, and then beats until something fails.
    async fn online(
        &self,
        changes: &mut CatalogChanges,
        ready: &mut bool,
    ) -> Result<std::convert::Infallible, DaemonError> {
        self.refresh_keys().await?;
        let (announced, told) = self.announce().await?;
        self.publish().await?;
        self.beat().await?;
        if !*ready {
            *ready = true;
            let published = self.catalog.published_count().await?;
            (self.events)(DaemonEvent::Ready { listen: self.listen, addresses: told, published });
        }
        let mut beat = beat_of(announced.heartbeat_seconds);
        let mut next = Instant::now() + beat;
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    changed?;
                    self.publish().await?;
                }
                () = sleep_until(next) => {
                    beat = self.beat().await?;
                    next = Instant::now() + beat;
                }
            }
        }
    }

    async fn announce(&self) -> Result<(Announced, Vec<PeerAddr>), DaemonError> {
        if !self.advertise.is_empty() {
            return Ok((self.peer.announce(self.advertise.clone()).await?, self.advertise.clone()));
        }
        let guessed = addresses::guess(self.listen, self.peer.client().url());
        let announced = self.peer.announce(guessed.clone()).await?;
        let better =
            addresses::with_seen(guessed.clone(), announced.seen_from.as_deref(), self.listen);
        if better == guessed {
            return Ok((announced, guessed));
        }
        Ok((self.peer.announce(better.clone()).await?, better))
    }

    /// Says that the peer is there, does what the answer asks for, and gives the time to the next beat.
    async fn beat(&self) -> Result<Duration, DaemonError> {
        let answer = self.peer.client().heartbeat(&self.peer.id()).await?;
        if self.peer.index_keys().differ_from(&answer.keys) {
            self.refresh_keys().await?;
        }
        let publisher = self.peer.publisher(self.catalog.clone());
        publisher.reconcile(answer.entries, &|_| ()).await?;
        Ok(beat_of(answer.heartbeat_seconds))
    }

    /// From now on grants of the keys that the index has now are accepted.
    async fn refresh_keys(&self) -> Result<(), DaemonError> {
        let keys = self.peer.index_keys();
        keys.refresh(self.peer.client()).await?;
        self.guard.replace_keys(keys.current());
        Ok(())
    }

    async fn publish(&self) -> Result<(), DaemonError> {
        let report = self.peer.publisher(self.catalog.clone()).publish(&|_| ()).await?;
        for refused in &report.refused {
            let (files, to) = (refused.files, &refused.visibility);
            let reason = &refused.reason;
            (self.events)(DaemonEvent::Trouble(format!(
                "{files} files for {to} were refused: {reason}"
            )));
        }
        if report.published + report.withdrawn > 0 {
            let total = self.catalog.published_count().await?;
            (self.events)(DaemonEvent::Published { total });
        }
        Ok(())
    }

    fn trouble(&self, error: &DaemonError) {
        // The index has forgotten the peer, as one in memory does when it starts anew: it is announced again.
        if is_unknown(error) {
            tracing::info!("the index does not know this peer any more: it is announced again");
        } else {
            (self.events)(DaemonEvent::Trouble(error.to_string()));
        }
    }
}

fn beat_of(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into()).clamp(SHORTEST_BEAT, LONGEST_BEAT)
}

fn is_unknown(error: &DaemonError) -> bool {
    match error {
        DaemonError::Index(error) => error.kind() == Some(ProblemKind::NotFound),
        DaemonError::Publish(PublishError::NotAnnounced) => true,
        _ => false,
    }
}

/// Whether it may be better in a moment.
fn is_passing(error: &DaemonError) -> bool {
    use crate::{index_keys::IndexKeysError, publish::AnnounceFailure};
    match error {
        DaemonError::Index(error)
        | DaemonError::Announce(AnnounceFailure::Index(error))
        | DaemonError::IndexKeys(IndexKeysError::Index(error))
        | DaemonError::Announce(AnnounceFailure::Keys(IndexKeysError::Index(error)))
        | DaemonError::Publish(PublishError::Index(error)) => error.is_passing(),
        other => is_unknown(other),
    }
}
