//! Mending the catalog when a file turns out to be another than was hashed.

use p2pshare_core::text::visible;
use tokio_util::sync::CancellationToken;

use super::{DaemonEvent, DaemonEvents};
use crate::{catalog::ChangedFiles, share::Sharer};

/// Hashes files anew that were found changed when they were to be served; what comes of it is published by whoever
/// follows the catalog. Ends when `stop` is cancelled.
pub(super) async fn run(
    sharer: Sharer,
    mut changed: ChangedFiles,
    events: DaemonEvents,
    stop: CancellationToken,
) {
    while let Some(Some(file)) = stop.run_until_cancelled(changed.next()).await {
        let refreshed = stop.run_until_cancelled(sharer.refresh_file(&file.local)).await;
        if let Some(Err(error)) = refreshed {
            let name = file.local.display().to_string();
            events(DaemonEvent::Trouble(format!("{} changed: {error}", visible(&name))));
        }
    }
}
