//! Keeping the catalog true: shares are followed, and what turns out to be another file than was hashed is hashed anew.
//!
//! What comes of it is published by whoever follows the catalog.

use std::sync::Arc;

use p2pshare_core::text::visible;
use tokio_util::sync::CancellationToken;

use super::{DaemonEvent, DaemonEvents};
use crate::{
    catalog::ChangedFiles,
    share::Sharer,
    watch::{WatchEvent, WatchOptions, Watcher},
};

/// Follows the shares that are watched. Ends when `stop` is cancelled.
pub(super) async fn watch(sharer: Sharer, events: DaemonEvents, stop: CancellationToken) {
    let told = events.clone();
    let tell = move |event| match event {
        WatchEvent::Trouble(what) => told(DaemonEvent::Trouble(what)),
        event => told(DaemonEvent::Watch(event)),
    };
    let watcher = Watcher::new(sharer, WatchOptions::default());
    if let Err(error) = watcher.run(Arc::new(tell), stop).await {
        events(DaemonEvent::Trouble(format!("shares are not followed: {error}")));
    }
}

/// Hashes files anew that were found changed when they were to be served. Ends when `stop` is cancelled.
pub(super) async fn run(
    sharer: &Sharer,
    changed: &mut ChangedFiles,
    events: &DaemonEvents,
    stop: &CancellationToken,
) {
    while let Some(Some(file)) = stop.run_until_cancelled(changed.next()).await {
        let refreshed = stop.run_until_cancelled(sharer.refresh_file(&file.local)).await;
        if let Some(Err(error)) = refreshed {
            let name = file.local.display().to_string();
            events(DaemonEvent::Trouble(format!("{} changed: {error}", visible(&name))));
        }
    }
}
