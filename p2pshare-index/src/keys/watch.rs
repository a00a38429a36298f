//! Following the file of the signing keys while the index runs.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use p2pshare_core::{
    index::Index,
    private_file::{self, FileError},
};
use tokio::time::{MissedTickBehavior, interval};
use zeroize::Zeroizing;

use super::{KeysError, file};

/// How often the file is read. Much shorter than the time that a new key is told of before it signs.
const EVERY: Duration = Duration::from_secs(1);

/// Gives the index the keys of the file whenever they change. Never ends.
///
/// A file that is away or damaged changes nothing: the index goes on with the keys that it has, and the log says so once.
/// Dropping the future ends it.
pub async fn watch(index: Index, path: PathBuf) {
    let mut seen = None;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let at = path.clone();
        let read = tokio::task::spawn_blocking(move || private_file::read(&at)).await;
        // Only when the runtime ends.
        let Ok(now) = read else { return };
        if seen.as_ref() == Some(&now) {
            continue;
        }
        if let Err(error) = take(&index, &path, &now) {
            tracing::error!(%error, "the signing keys stay as they were");
        }
        seen = Some(now);
    }
}

fn take(
    index: &Index,
    path: &Path,
    read: &Result<Option<Zeroizing<Vec<u8>>>, FileError>,
) -> Result<(), KeysError> {
    let bytes = match read {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Err(KeysError::file(path, "the file is away")),
        Err(error) => return Err(error.clone().into()),
    };
    let keys = file::parse(path, bytes)?;
    tracing::debug!(keys = keys.keys().len(), "read the signing keys");
    index.replace_keys(keys);
    Ok(())
}
