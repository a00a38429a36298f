//! Telling the index which contents this peer holds part of.

use std::{collections::HashMap, convert::Infallible, time::Duration};

use p2pshare_core::{api::ProblemKind, content::ContentId, identity::Reach};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::presence::TRY_AGAIN;
use crate::{catalog::PartialSources, index_client::ClientError, publish::OwnPeer};

/// A download that ends within this time is not told of: nobody would come for it.
pub(super) const SETTLE: Duration = Duration::from_millis(250);

/// The index is told again so often. It forgets what it was told after ten minutes, and may lose it sooner.
const RENEW: Duration = Duration::from_secs(60);

/// What the index was told of, and when it was the last time; `None`: it may have forgotten it since.
pub(super) type Told = HashMap<ContentId, Option<Instant>>;

/// Keeps the index told of the downloads of a peer that somebody else keeps online, and them open to those whom the index
/// tells, until `stop` is cancelled. An index that is away or refuses is told again later.
pub(super) async fn run(peer: &OwnPeer, sources: &PartialSources, stop: &CancellationToken) {
    let work = async {
        let mut told = Told::new();
        loop {
            let Err(error) = tell(peer, sources, &mut told).await;
            tracing::info!(%error, "the index was not told of a download");
            sleep(TRY_AGAIN).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

/// The same, until the index refuses or is away. What it was told of before is withdrawn too, once it is gone.
pub(super) async fn tell(
    peer: &OwnPeer,
    sources: &PartialSources,
    told: &mut Told,
) -> Result<Infallible, ClientError> {
    let mut changes = sources.changes();
    told.values_mut().for_each(|at| *at = None);
    loop {
        changes.mark_unchanged();
        let now = Instant::now();
        let held = sources.contents();
        let gone: Vec<_> = told.keys().filter(|content| !held.contains(content)).copied().collect();
        for content in gone {
            withdraw(peer, &content).await?;
            told.remove(&content);
        }
        for content in held {
            let at = told.get(&content).copied().flatten();
            let is_due = at.is_none_or(|at| at + RENEW <= now);
            if is_due || sources.is_untold(&content) {
                // It may arrive although its answer is lost.
                told.entry(content).or_default();
                if let Some(reach) = offer(peer, &content).await? {
                    sources.open_to(&content, reach);
                }
                told.insert(content, Some(now));
            }
        }
        let next = told.values().flatten().min().map_or(now + RENEW, |first| *first + RENEW);
        tokio::select! {
            changed = changes.changed() => {
                // The sender lives as long as `sources`.
                let _ = changed;
                sleep(SETTLE).await;
            }
            () = sleep_until(next) => {}
        }
    }
}

/// Tells the index of a download, and gives for whom it is; `None`: the index does not tell it to anybody.
async fn offer(peer: &OwnPeer, content: &ContentId) -> Result<Option<Reach>, ClientError> {
    match peer.client().add_partial_source(content, &peer.id()).await {
        Err(error) if error.kind() == Some(ProblemKind::NotFound) => {
            // Either the content has gone, which the download will find out, or the index has forgotten the peer.
            peer.client().heartbeat(&peer.id()).await.map(|_| None)
        }
        other => other.map(|noted| Some(noted.reach)),
    }
}

async fn withdraw(peer: &OwnPeer, content: &ContentId) -> Result<(), ClientError> {
    match peer.client().remove_partial_source(content, &peer.id()).await {
        Err(error) if error.kind() == Some(ProblemKind::NotFound) => Ok(()),
        other => other,
    }
}
