//! What commands do with the catalog: opening it, and telling the index what is new in it.

use p2pshare_core::text::visible;
use serde_json::json;

use crate::{
    catalog::{Catalog, CatalogError},
    cli::{context::Context, exit::CliError, output::count},
    index_keys::IndexKeysError,
    publish::{AnnounceFailure, PublishError},
};

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
    let report = peer.publisher(catalog.clone()).publish_all(&|_| ()).await?;
    for refused in &report.refused {
        shown.warn(visible(&refused.to_string()));
    }
    let total = match report.total {
        Some(total) => total,
        None => catalog.published_count().await?,
    };
    if report.published + report.withdrawn > 0 {
        shown.note(format!("Published: the index knows {} of yours.", count(total, "file")));
    }
    shown.event(
        "published",
        json!({ "published": report.published, "withdrawn": report.withdrawn, "total": total }),
    );
    Ok(())
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
