//! Going on with what an unfinished download of another content to the same file has left: mostly an older version of it.
//!
//! The part file is only renamed. Its pieces are verified like those of any part file that is there, so those that both
//! contents have in common are held at once, and the others are fetched and written over.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io::{Error, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use super::{
    name::Names,
    open::{LOCK_ATTEMPTS, LOCK_PAUSE, manifest_at},
    part::folder_of,
    sys,
};
use crate::content::Manifest;

/// Most folders that are remembered, and most names of each.
const MOST: usize = 10_000;

/// Unfinished downloads that are found beside those that begin, to go on with for another content of the same name. A
/// clone is another handle on the same one.
///
/// Each folder is looked at once, so that many files of one folder do not cost a look each: for one job, not for ever.
#[derive(Clone, Debug, Default)]
pub struct EarlierParts {
    /// The names of the manifests of part files in each folder.
    folders: Arc<Mutex<HashMap<PathBuf, Arc<[String]>>>>,
}

impl EarlierParts {
    /// Gives a part file of an earlier download to `target` the name that the one of this content has, if there is none
    /// of that name. Whatever is in the way: then nothing is gone on with. Blocks.
    pub(super) fn adopt(&self, target: &Path, names: &Names) {
        if fs::symlink_metadata(&names.part).is_ok() {
            return;
        }
        let folder = folder_of(target);
        for name in &*self.look_into(&folder) {
            let Some(digits) = Names::digits_of_manifest(target, name) else { continue };
            let manifest = folder.join(name);
            match take_over(&manifest, digits, names) {
                Ok(()) => {
                    tracing::debug!(part = %names.part.display(), "goes on with an earlier download");
                    return;
                }
                Err(error) => {
                    tracing::debug!(%error, manifest = %manifest.display(), "is not gone on with");
                }
            }
        }
    }

    fn look_into(&self, folder: &Path) -> Arc<[String]> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = folders.get(folder) {
            return known.clone();
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let found: Arc<[String]> =
            names.filter(|name| Names::is_manifest(name)).take(MOST).collect();
        if folders.len() >= MOST {
            folders.clear();
        }
        folders.insert(folder.to_owned(), found.clone());
        found
    }
}

/// Renames the part file of a manifest that is what its name says. Nobody else may be using it.
fn take_over(manifest: &Path, digits: &str, names: &Names) -> Result<(), Error> {
    // `NAME.ID.part.manifest`
    let part = manifest.with_extension("");
    let is_right = |found: Manifest| format!("{:.16}", found.id()) == digits;
    if !manifest_at(manifest).is_some_and(is_right) {
        return Err(Error::new(ErrorKind::InvalidData, "it is not the manifest of that content"));
    }
    let file = sys::open_part(&part, false)?;
    lock(&file)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || sys::has_other_names(&metadata) || !sys::is_at(&metadata, &part)? {
        return Err(ErrorKind::NotFound.into());
    }
    sys::rename_new(&part, &names.part)?;
    // Left over, it does no harm.
    let _ = fs::remove_file(manifest);
    Ok(())
}

/// Where there are no locks, somebody may be writing it: that is an error.
fn lock(file: &File) -> Result<(), Error> {
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            other => return Ok(other?),
        }
    }
    Err(ErrorKind::WouldBlock.into())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::{
        content::{ContentId, PIECE_LEN, PieceIndex, hash_bytes},
        transfer::{FileSink, PieceSink, SinkOptions},
    };

    use super::*;

    const MIB: usize = PIECE_LEN as usize;

    /// Of this many pieces and a bit, of which no two are the same.
    fn content(pieces: usize) -> Vec<u8> {
        let mut bytes = vec![7; pieces * MIB + 9];
        for (number, piece) in bytes.chunks_mut(MIB).enumerate() {
            piece[0] = number as u8;
        }
        bytes
    }

    fn options() -> SinkOptions {
        SinkOptions { earlier: Some(EarlierParts::default()), ..SinkOptions::default() }
    }

    async fn put(sink: &FileSink, content: &[u8], pieces: impl IntoIterator<Item = u32>) {
        for piece in pieces {
            let start = piece as usize * MIB;
            let bytes = Bytes::copy_from_slice(&content[start..content.len().min(start + MIB)]);
            sink.put(PieceIndex(piece), vec![bytes]).await.unwrap();
        }
    }

    fn held(sink: &FileSink) -> Vec<u32> {
        sink.held().iter().map(|piece| piece.0).collect()
    }

    fn files(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    }

    #[tokio::test]
    async fn what_came_of_an_older_version_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("film");
        let old = content(6);
        let mut new = content(4);
        new[MIB + 1] ^= 1;
        let sink = FileSink::open(&target, hash_bytes(&old), options()).await.unwrap();
        put(&sink, &old, [0, 1, 3, 5]).await;
        drop(sink);

        let without = SinkOptions::default();
        let sink = FileSink::open(&target, hash_bytes(&new), without).await.unwrap();
        assert!(held(&sink).is_empty());
        drop(sink);
        assert!(FileSink::discard(&target, &ContentId::of(&new)).await.unwrap());

        let sink = FileSink::open(&target, hash_bytes(&new), options()).await.unwrap();
        assert_eq!(held(&sink), [0, 3]);
        assert_eq!(files(folder.path()).len(), 2, "the part and the manifest of the new one alone");
        put(&sink, &new, [1, 2, 4]).await;
        sink.finish().await.unwrap();
        assert!(fs::read(&target).unwrap() == new);
        assert_eq!(files(folder.path()), ["film"]);
    }

    #[tokio::test]
    async fn what_somebody_uses_or_nobody_has_made_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("film");
        let (old, new) = (content(2), content(3));
        let in_use = FileSink::open(&target, hash_bytes(&old), options()).await.unwrap();
        put(&in_use, &old, [0]).await;
        // Of another file, of no download, and with a manifest that is another's.
        let other = folder.path().join("film.2");
        let beside = FileSink::open(&other, hash_bytes(&old), options()).await.unwrap();
        put(&beside, &old, [0]).await;
        drop(beside);
        let strange = ["film.0123456789abcdef.part", "film.fedcba9876543210.part"];
        for name in strange {
            fs::write(folder.path().join(name), b"mine").unwrap();
        }
        let mut wrong = Vec::new();
        hash_bytes(&old).write_to(&mut wrong).unwrap();
        fs::write(folder.path().join(format!("{}.manifest", strange[0])), wrong).unwrap();
        fs::write(folder.path().join(format!("{}.manifest", strange[1])), b"x").unwrap();
        let before = files(folder.path());

        let sink = FileSink::open(&target, hash_bytes(&new), options()).await.unwrap();
        assert!(held(&sink).is_empty());
        let after = files(folder.path());
        assert!(before.iter().all(|name| after.contains(name)), "{before:?} {after:?}");
        put(&in_use, &old, [1, 2]).await;
        in_use.finish().await.unwrap();
        for name in strange {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"mine");
        }
        let beside = FileSink::open(&other, hash_bytes(&old), options()).await.unwrap();
        assert_eq!(held(&beside), [0]);
    }

    #[tokio::test]
    async fn its_own_part_is_not_given_up_for_an_earlier_one() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("film");
        let (old, new) = (content(2), content(3));
        for (bytes, pieces) in [(&old, 0..2), (&new, 2..4)] {
            // They begin at once, so that neither finds the other.
            let sink =
                FileSink::open(&target, hash_bytes(bytes), SinkOptions::default()).await.unwrap();
            put(&sink, bytes, pieces).await;
        }
        let sink = FileSink::open(&target, hash_bytes(&new), options()).await.unwrap();
        assert_eq!(held(&sink), [2, 3]);
        assert_eq!(files(folder.path()).len(), 4);
    }
}
