//! The folder of a download, which may be on a disk that is away.

use std::{fs, io, path::Path};

use tokio::task::spawn_blocking;

use super::{store::DownloadRow, verdict::Reason};
use crate::download::Cause;

/// Of a download that had begun to come the folder is there, unless its disk is away: made again, it would be on another
/// disk. So it is made only for whoever `wants` that, having been told. Otherwise says why the download waits.
pub(super) async fn check(row: &DownloadRow, wants: bool) -> Result<(), Reason> {
    if row.files_done == 0 && row.bytes_held == 0 {
        return Ok(());
    }
    let folder = row.folder.clone();
    let look = move || match wants {
        true => fs::create_dir_all(&folder),
        false => is_there(&folder),
    };
    // What is wrong with it otherwise is told when it is written to.
    let looked = spawn_blocking(look).await.unwrap_or(Ok(()));
    looked.map_err(|error| {
        let folder = row.folder.display();
        let text = match wants {
            true => format!("the folder {folder} cannot be made: {error}"),
            false => format!(
                "the folder {folder} is not there: {error}; the download goes on when its disk is back, \
                 or when it is resumed, which makes the folder again"
            ),
        };
        Reason { text, cause: Cause::Place }
    })
}

/// Whether nothing can be written into a folder, which is made if it is not there.
pub(super) async fn takes_nothing(folder: &Path) -> bool {
    let folder = folder.to_owned();
    let try_it = move || {
        fs::create_dir_all(&folder)?;
        tempfile::tempfile_in(&folder)
    };
    spawn_blocking(try_it).await.is_ok_and(|made| made.is_err())
}

fn is_there(folder: &Path) -> io::Result<()> {
    match fs::metadata(folder)?.is_dir() {
        true => Ok(()),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}
