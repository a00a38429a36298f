//! Noticing what other processes change.

use std::time::Duration;

use super::{Catalog, CatalogError};

/// How often the catalog is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// Tells that the shares or files of a catalog have changed, whichever process did it.
#[derive(Debug)]
pub struct CatalogChanges {
    catalog: Catalog,
    seen: i64,
}

impl CatalogChanges {
    pub(super) async fn new(catalog: Catalog) -> Result<Self, CatalogError> {
        let seen = catalog.generation().await?;
        Ok(Self { catalog, seen })
    }

    /// Waits until something has changed since the last time, or since these changes are followed. It is noticed within
    /// half a second; several changes may be told as one.
    ///
    /// Cancellation: nothing is missed, the next call tells it.
    pub async fn changed(&mut self) -> Result<(), CatalogError> {
        loop {
            let now = self.catalog.generation().await?;
            if now != self.seen {
                self.seen = now;
                return Ok(());
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Catalog {
    /// A number that is another after every change.
    async fn generation(&self) -> Result<i64, CatalogError> {
        let read = self.read(|c| {
            let mut query = c.prepare_cached("SELECT generation FROM state")?;
            Ok(query.query_row([], |row| row.get(0))?)
        });
        read.await
    }
}
