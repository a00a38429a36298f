//! What commands do with the catalog: opening it, and telling the index what is new in it.

use std::time::Duration;

use p2pshare_core::text::visible;
use serde_json::json;
use tokio::time::sleep;

use crate::{
    catalog::{Catalog, CatalogError},
    cli::{
        context::Context,
        exit::CliError,
        output::{Output, count},
    },
    index_keys::IndexKeysError,
    publish::{AnnounceFailure, PublishError},
};

/// Publishing that takes longer is told of,
const LONG: Duration = Duration::from_secs(2);

/// so often.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Opens the catalog of the data directory.
pub(super) async fn open_catalog(context: &Context) -> Result<Catalog, CliError> {
    let path = context.dir.catalog();
    let opened = tokio::task::spawn_blocking(move || Catalog::open(&path)).await;
    Ok(opened.map_err(CliError::failed)??)
}

/// Tells the index what is new.
pub(super) async fn send(context: &Context, catalog: &Catalog) -> Result<(), CliError> {
    let (session, client) = context.session_client()?;
    let peer = context.own_peer(&session, client)?;
    peer.make_known().await?;
    let shown = context.output;
    let pending = catalog.pending_count().await?;
    let publisher = peer.publisher(catalog.clone());
    let report = telling_what_is_left(shown, catalog, publisher.publish_all(&|_| ())).await?;
    for refused in &report.refused {
        shown.warn(visible(&refused.to_string()));
    }
    let total = match report.total {
        Some(total) => total,
        None => catalog.published_count().await?,
    };
    // The running peer may have published it, too.
    let fewer = pending > catalog.pending_count().await?;
    if fewer || report.published + report.withdrawn > 0 {
        shown.note(format!("Published: the index knows {} of yours.", count(total, "file")));
    }
    shown.event(
        "published",
        json!({ "published": report.published, "withdrawn": report.withdrawn, "total": total }),
    );
    Ok(())
}

/// Says how much is left while publishing takes long, whoever does it: of several processes one works at a time.
async fn telling_what_is_left<T>(
    output: Output,
    catalog: &Catalog,
    publishing: impl Future<Output = T>,
) -> T {
    let telling = async {
        sleep(LONG).await;
        let shown = output.progress("Publishing", None);
        loop {
            if let Ok(left @ 1..) = catalog.pending_count().await {
                shown.status(&format!("{} to go", count(left, "file")));
            }
            sleep(TELL_EVERY).await;
        }
    };
    tokio::select! {
        done = publishing => done,
        never = telling => never,
    }
}

impl From<PublishError> for CliError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Index(error) => error.into(),
            other => Self::failed(other),
        }
    }
}

impl From<AnnounceFailure> for CliError {
    fn from(error: AnnounceFailure) -> Self {
        match error {
            AnnounceFailure::Index(error) => error.into(),
            AnnounceFailure::Keys(error) => error.into(),
            other => Self::failed(other),
        }
    }
}

impl From<IndexKeysError> for CliError {
    fn from(error: IndexKeysError) -> Self {
        match error {
            IndexKeysError::Index(error) => error.into(),
            other => Self::failed(other),
        }
    }
}

impl From<CatalogError> for CliError {
    fn from(error: CatalogError) -> Self {
        let is_database = matches!(error, CatalogError::Database(_));
        let failed = Self::failed(error);
        match is_database {
            true => failed.hint("`p2pshare-peer doctor` says what is wrong with it"),
            false => failed,
        }
    }
}
