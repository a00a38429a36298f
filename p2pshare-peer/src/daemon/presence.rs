//! Staying online at the index, and keeping it told of what is shared.

use std::{net::SocketAddr, time::Duration};

use p2pshare_core::{api::ProblemKind, identity::PeerAddr};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{DaemonError, DaemonEvent, DaemonEvents, addresses::announce};
use crate::{
    catalog::{Catalog, CatalogChanges},
    publish::{OwnPeer, PublishError, Publisher},
};

/// After a failure it is tried again so soon.
pub(super) const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Heartbeats are never closer than this, whatever the index says.
const SHORTEST_BEAT: Duration = Duration::from_secs(1);

/// And never further apart: a peer is taken for offline after 90 seconds.
const LONGEST_BEAT: Duration = Duration::from_secs(60);

pub(super) struct Presence {
    pub(super) peer: OwnPeer,
    pub(super) publisher: Publisher,
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
        let (announced, told) = announce(&self.peer, self.listen, &self.advertise).await?;
        self.publish().await?;
        self.publisher.reconcile(self.heartbeat().await?.1, &|_| ()).await?;
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
                    let (seconds, entries) = self.heartbeat().await?;
                    beat = beat_of(seconds);
                    next = Instant::now() + beat;
                    self.publisher.reconcile(entries, &|_| ()).await?;
                }
            }
        }
    }

    async fn heartbeat(&self) -> Result<(u32, u64), DaemonError> {
        let beat = self.peer.client().heartbeat(&self.peer.id()).await?;
        Ok((beat.heartbeat_seconds, beat.entries))
    }

    async fn publish(&self) -> Result<(), DaemonError> {
        let report = self.publisher.publish(&|_| ()).await?;
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

pub(super) fn beat_of(seconds: u32) -> Duration {
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
    use crate::publish::AnnounceFailure;
    match error {
        DaemonError::Index(error)
        | DaemonError::Announce(AnnounceFailure::Index(error))
        | DaemonError::Publish(PublishError::Index(error)) => error.is_passing(),
        other => is_unknown(other),
    }
}
