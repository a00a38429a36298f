//! Giving up downloads to files.

#![allow(clippy::unwrap_used)]

use std::fs;

use p2pshare_core::{
    content::{ContentId, PIECE_LEN, PieceIndex, hash_bytes},
    testing::sample,
    transfer::{FileSink, PieceSink, SinkError, SinkOptions},
};
use tempfile::tempdir;

#[tokio::test]
async fn what_is_given_up_leaves_nothing_and_touches_nothing_else() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("film");
    let content = sample(3 * PIECE_LEN, 1);
    let id = ContentId::of(&content);
    assert!(!FileSink::discard(&target, &id).await.unwrap(), "there was nothing");
    assert!(!FileSink::discard(&folder.path().join("no/such/film"), &id).await.unwrap());

    let sink = FileSink::open(&target, hash_bytes(&content), SinkOptions::default()).await.unwrap();
    let piece = PIECE_LEN as usize;
    sink.put(PieceIndex(1), vec![content.slice(piece..2 * piece)]).await.unwrap();
    let used = FileSink::discard(&target, &id).await;
    assert!(matches!(used, Err(SinkError::Locked(_))), "somebody downloads: {used:?}");
    drop(sink);
    fs::write(&target, "mine").unwrap();
    fs::write(folder.path().join("film.part"), "mine too").unwrap();
    assert!(FileSink::discard(&target, &id).await.unwrap());
    let mut left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["film", "film.part"]);
}

/// Something else under the name of a part file is nobody's download.
#[cfg(unix)]
#[tokio::test]
async fn what_is_no_part_file_stays() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("film");
    let content = sample(2 * PIECE_LEN, 1);
    let id = ContentId::of(&content);
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, "mine").unwrap();
    let part = folder.path().join(format!("film.{id:.16}.part"));
    std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
    assert!(FileSink::discard(&target, &id).await.is_err());
    assert_eq!(fs::read(&elsewhere).unwrap(), b"mine");
    fs::remove_file(&part).unwrap();
    fs::create_dir(&part).unwrap();
    // A folder cannot be opened for writing.
    assert!(FileSink::discard(&target, &id).await.is_err());
    assert!(part.is_dir());
}
