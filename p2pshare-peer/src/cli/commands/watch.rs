//! `share --watch`, and what is said of followed shares.

use std::{sync::Arc, time::Duration};

use p2pshare_core::text::visible;
use serde_json::json;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::catalog::send;
use crate::{
    catalog::{Catalog, CatalogError},
    cli::{
        context::Context,
        exit::CliError,
        output::{Output, count},
    },
    share::{Sharer, absent},
    watch::{WatchEvent, WatchOptions, Watcher},
};

/// An index that did not take what is new is asked again so soon.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Follows all watched shares and publishes what changes, until it is stopped; unless another process does it.
pub(super) async fn watch(
    context: &Context,
    sharer: Sharer,
    cancel: &CancellationToken,
) -> Result<(), CliError> {
    let output = context.output;
    let watcher = Watcher::new(sharer.clone(), WatchOptions::default());
    if context.dir.is_served()? || watcher.is_running().await? {
        output.note("Another p2pshare-peer of this data directory runs and follows what changes.");
        output.event("watching", json!({ "elsewhere": true }));
        return Ok(());
    }
    output.note("Following what changes, until stopped (Ctrl-C).");
    output.event("watching", json!({ "elsewhere": false }));
    let events = Arc::new(move |event| show_watch(output, &event));
    let publishing = publish_changes(context, sharer.catalog());
    tokio::select! {
        followed = Box::pin(watcher.run(events, cancel.clone())) => followed?,
        failed = publishing => failed?,
    }
    output.note("Stopped.");
    Ok(())
}

/// Publishes what changes, for as long as it can.
async fn publish_changes(context: &Context, catalog: &Catalog) -> Result<(), CatalogError> {
    let mut changes = catalog.changes().await?;
    loop {
        changes.changed().await?;
        let mut told = None;
        // Whoever logs in meanwhile need not start it anew.
        while let Err(error) = send(context, catalog).await {
            if told.as_ref() != Some(&error.message) {
                context.output.warn(visible(&error.message));
                told = Some(error.message);
            }
            sleep(TRY_AGAIN).await;
        }
    }
}

/// Says what happened to followed shares.
pub(super) fn show_watch(output: Output, event: &WatchEvent) {
    match event {
        WatchEvent::Followed { share, hashed, moved, removed } => {
            let said = [(*hashed, "hashed"), (*moved, "moved"), (*removed, "gone")];
            let said = said.into_iter().filter(|(number, _)| *number > 0);
            let said: Vec<_> =
                said.map(|(number, what)| format!("{} {what}", count(number, "file"))).collect();
            output.note(format!(
                "Changed in {}: {}.",
                visible(share.name.as_str()),
                said.join(", ")
            ));
            output.event(
                "followed",
                json!({
                    "root": share.root.display().to_string(),
                    "name": share.name,
                    "hashed": hashed,
                    "moved": moved,
                    "removed": removed,
                }),
            );
        }
        WatchEvent::Polled { share, reason } => output.warn(format!(
            "{} is looked through now and then instead of being followed at once: {}",
            visible(&share.root.display().to_string()),
            visible(reason)
        )),
        WatchEvent::Absent { share, usurped } => output.warn(absent(share, *usurped)),
        WatchEvent::Trouble(what) => output.warn(visible(what)),
        WatchEvent::Begun { .. } | WatchEvent::Step { .. } | WatchEvent::Rested { .. } => {}
    }
}
