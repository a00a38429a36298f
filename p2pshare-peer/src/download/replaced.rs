//! What a download replaces: pieces that the file there has in common with the new content need not be fetched.
//!
//! A piece is known by its place and its bytes, so what moved inside of the file is fetched all the same.

use futures::{TryStreamExt, stream::FuturesUnordered};
use p2pshare_core::{
    content::{Manifest, PieceIndex, PieceRun, PieceSet},
    transfer::{
        FetchEvent, FileSink, PieceAssembler, PieceSink, ReadOptions, SharedFile, SinkError,
        TransferError,
    },
};

/// Pieces that are verified and written at the same time.
const AT_ONCE: usize = 4;

/// Puts the pieces that a file has in common with the content of a sink into that.
///
/// Nothing that goes wrong is an error: what is missing afterwards is fetched, and what is wrong with the disk is told
/// then.
///
/// Cancellation: the pieces that were put stay.
pub(super) async fn keep_common(file: &SharedFile, sink: &FileSink) {
    let common = common_runs(&file.manifest, sink.manifest(), &sink.held());
    // No runs would mean the whole file.
    if common.is_empty() {
        return;
    }
    if let Err(error) = copy(file, &common, sink).await {
        tracing::debug!(%error, file = %file.path.display(), "what is replaced was not copied");
    }
}

#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error(transparent)]
    Read(#[from] TransferError),
    #[error(transparent)]
    Write(#[from] SinkError),
}

async fn copy(file: &SharedFile, runs: &[PieceRun], sink: &FileSink) -> Result<(), CopyError> {
    let mut assembler = PieceAssembler::new(file.manifest.layout(), runs)?;
    let mut segments = file.read(runs, ReadOptions::default()).await?;
    let mut puts = FuturesUnordered::new();
    while let Some(event) = segments.try_next().await? {
        let FetchEvent::Segment(segment) = event else { continue };
        if let Some((piece, data)) = assembler.push(segment)? {
            puts.push(sink.put(piece, data));
            if puts.len() == AT_ONCE {
                puts.try_next().await?;
            }
        }
    }
    while puts.try_next().await?.is_some() {}
    Ok(())
}

/// The runs of pieces that are the same in both, and are not held.
fn common_runs(old: &Manifest, new: &Manifest, held: &PieceSet) -> Vec<PieceRun> {
    let values = old.chaining_values().iter().zip(new.chaining_values());
    let same = (0..).zip(values).filter(|(_, (old, new))| old == new);
    PieceRun::join(same.map(|(piece, _)| PieceIndex(piece)).filter(|piece| !held.contains(*piece)))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use bytes::Bytes;
    use p2pshare_core::{
        content::{PIECE_LEN, hash_bytes},
        transfer::{FileStamp, SinkOptions},
    };

    use super::*;

    const MIB: usize = PIECE_LEN as usize;

    /// Bytes of which no two pieces are the same.
    fn content(pieces: usize, rest: usize) -> Vec<u8> {
        let mut bytes = vec![7; pieces * MIB + rest];
        for (number, piece) in bytes.chunks_mut(MIB).enumerate() {
            piece[0] = number as u8;
        }
        bytes
    }

    fn shared(path: &Path) -> SharedFile {
        let stamp = FileStamp::of(&path.metadata().unwrap());
        SharedFile { path: path.to_owned(), manifest: hash_bytes(&fs::read(path).unwrap()), stamp }
    }

    /// The pieces of `new` that are kept of a file that holds `old`.
    async fn kept(old: &[u8], new: &[u8]) -> Vec<u32> {
        let folder = tempfile::tempdir().unwrap();
        let target = &folder.path().join("file");
        fs::write(target, old).unwrap();
        let options = SinkOptions { overwrite: true, ..SinkOptions::default() };
        let sink = FileSink::open(target, hash_bytes(new), options).await.unwrap();
        keep_common(&shared(target), &sink).await;
        assert_eq!(fs::read(target).unwrap(), old);
        sink.held().iter().map(|piece| piece.0).collect()
    }

    #[tokio::test]
    async fn pieces_that_did_not_change_are_kept() {
        let old = content(6, 100);
        let mut changed = old.clone();
        changed[2 * MIB + 5] ^= 1;
        assert_eq!(kept(&old, &changed).await, [0, 1, 3, 4, 5, 6]);
        let mut longer = content(9, 7);
        longer[..6 * MIB].copy_from_slice(&old[..6 * MIB]);
        assert_eq!(kept(&old, &longer).await, [0, 1, 2, 3, 4, 5]);
        assert_eq!(kept(&longer, &old).await, [0, 1, 2, 3, 4, 5]);
        assert_eq!(kept(&old[1..], &old).await, [0_u32; 0], "all of it moved");
        assert_eq!(kept(b"small", &old).await, [0_u32; 0]);
        assert_eq!(kept(b"", &old).await, [0_u32; 0]);
    }

    #[tokio::test]
    async fn what_is_kept_is_finished_with_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("file");
        let old = content(5, 0);
        let mut new = content(5, 3);
        new[MIB] ^= 1;
        fs::write(&target, &old).unwrap();
        let options = SinkOptions { overwrite: true, ..SinkOptions::default() };
        let sink = FileSink::open(&target, hash_bytes(&new), options).await.unwrap();
        keep_common(&shared(&target), &sink).await;
        let missing: Vec<_> = sink.held().missing().collect();
        assert_eq!(missing, [PieceIndex(1), PieceIndex(5)]);
        for piece in missing {
            let start = piece.0 as usize * MIB;
            let bytes = &new[start..new.len().min(start + MIB)];
            sink.put(piece, vec![Bytes::copy_from_slice(bytes)]).await.unwrap();
        }
        sink.finish().await.unwrap();
        assert!(fs::read(&target).unwrap() == new);
    }

    #[tokio::test]
    async fn a_file_that_is_not_what_it_was_gives_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("file");
        let (old, new) = (content(3, 0), content(3, 9));
        fs::write(&target, &old).unwrap();
        let mut known = shared(&target);
        let options = SinkOptions { overwrite: true, ..SinkOptions::default() };
        let sink = FileSink::open(&target, hash_bytes(&new), options).await.unwrap();
        // Another time, the same length: it is not even read.
        known.stamp.mtime_ns -= 1;
        keep_common(&known, &sink).await;
        assert!(sink.held().is_empty());
        // Without a trace: what is wrong is not taken.
        fs::write(&target, vec![9; old.len()]).unwrap();
        known.stamp = FileStamp::of(&target.metadata().unwrap());
        keep_common(&known, &sink).await;
        assert!(sink.held().is_empty());
    }
}
