//! Files that are shared where they lie, and change while they are.

#![allow(clippy::unwrap_used)]

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::StreamExt;
use p2pshare_core::{
    content::{Layout, Manifest, PIECE_LEN, PieceIndex, PieceRun, hash_bytes},
    testing::{sample, source::collect},
    transfer::{
        FileSource, FileStamp, PieceSource, ReadOptions, SharedFile, TransferError, read_runs,
    },
};
use tempfile::{TempDir, tempdir};

struct Shared {
    _folder: TempDir,
    path: PathBuf,
    manifest: Manifest,
    source: FileSource,
}

fn share(content: &Bytes) -> Shared {
    let folder = tempdir().unwrap();
    let path = folder.path().join("shared");
    fs::write(&path, content).unwrap();
    let manifest = hash_bytes(content);
    let source = FileSource::new(ReadOptions::default());
    source.insert(SharedFile {
        path: path.clone(),
        manifest: manifest.clone(),
        stamp: FileStamp::of(&fs::metadata(&path).unwrap()),
    });
    Shared { _folder: folder, path, manifest, source }
}

/// Whatever the clock's grain, the file is seen to be modified.
fn touch(path: &Path) {
    let later = SystemTime::now() + Duration::from_secs(10);
    File::options().write(true).open(path).unwrap().set_modified(later).unwrap();
}

async fn assert_changed(shared: &Shared) {
    let id = shared.manifest.id();
    let fetched = shared.source.fetch(&id, &[]).await.err();
    assert!(matches!(fetched, Some(TransferError::Changed)), "{fetched:?}");
    let had = shared.source.have(&id).await.err();
    assert!(matches!(had, Some(TransferError::Changed)), "{had:?}");
}

#[tokio::test]
async fn a_file_that_was_modified_is_not_served() {
    let shared = share(&sample(100, 1));
    touch(&shared.path);
    assert_changed(&shared).await;
}

#[tokio::test]
async fn a_file_that_grew_is_not_served() {
    let shared = share(&sample(100, 1));
    let mut file = File::options().append(true).open(&shared.path).unwrap();
    file.write_all(b"more").unwrap();
    assert_changed(&shared).await;
}

#[tokio::test]
async fn what_is_no_file_any_more_is_not_served() {
    let shared = share(&sample(100, 1));
    fs::remove_file(&shared.path).unwrap();
    assert_changed(&shared).await;
    fs::create_dir(&shared.path).unwrap();
    assert_changed(&shared).await;
}

#[tokio::test]
async fn a_renamed_file_is_the_same_file() {
    let shared = share(&sample(100, 1));
    let stamp = FileStamp::of(&fs::metadata(&shared.path).unwrap());
    let moved = shared.path.with_file_name("moved");
    fs::rename(&shared.path, &moved).unwrap();
    assert_eq!(FileStamp::of(&fs::metadata(&moved).unwrap()), stamp);
}

#[tokio::test]
async fn a_change_in_the_middle_ends_the_stream() {
    let content = sample(40 * PIECE_LEN, 1);
    let shared = share(&content);
    let id = shared.manifest.id();
    let stream = shared.source.fetch(&id, &[]).await.unwrap();
    let mut stream = stream.map(|event| event.map(drop)).boxed();
    stream.next().await.unwrap().unwrap();
    touch(&shared.path);
    let mut segments = 1;
    let error = loop {
        match stream.next().await.unwrap() {
            Ok(()) => segments += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TransferError::Changed), "{error}");
    // What had been read ahead comes still, no more.
    assert!(segments <= 12, "{segments}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_file_that_is_cut_off_while_it_is_read_has_changed() {
    let content = sample(3 * PIECE_LEN, 1);
    let folder = tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, &content[..2_500_000]).unwrap();
    let layout = Layout::new(3 * PIECE_LEN).unwrap();
    let file = Arc::new(File::open(&path).unwrap());
    let stream = read_runs(file, layout, &[], ReadOptions::default()).unwrap();
    let result = collect(layout, &[], stream).await;
    assert!(matches!(result, Err(TransferError::Changed)));
}

#[tokio::test]
async fn the_check_is_asked_before_the_first_byte_and_all_along() {
    let layout = Layout::new(10 * PIECE_LEN).unwrap();
    let file = Arc::new(tempfile::tempfile().unwrap());
    file.set_len(layout.len()).unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = asked.clone();
    let options = ReadOptions {
        check: Some(Arc::new(move || {
            counting.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })),
        ..ReadOptions::default()
    };
    let runs = [PieceRun::new(PieceIndex(2), 5)];
    let stream = read_runs(file.clone(), layout, &runs, options).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    collect(layout, &runs, stream).await.unwrap();
    assert!(asked.load(Ordering::Relaxed) >= 6);

    let refuse = ReadOptions {
        check: Some(Arc::new(|| Err(TransferError::Changed))),
        ..ReadOptions::default()
    };
    let mut stream = read_runs(file, layout, &[], refuse).unwrap();
    let first = stream.next().await.unwrap();
    assert!(matches!(first, Err(TransferError::Changed)));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn reading_stays_close_to_who_takes() {
    let layout = Layout::new(1_000 * PIECE_LEN).unwrap();
    let file = Arc::new(tempfile::tempfile().unwrap());
    file.set_len(layout.len()).unwrap();
    let batches = Arc::new(AtomicUsize::new(0));
    let counting = batches.clone();
    let options = ReadOptions {
        check: Some(Arc::new(move || {
            counting.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })),
        ..ReadOptions::default()
    };
    let mut stream = read_runs(file.clone(), layout, &[], options).unwrap();
    for _ in 0..40 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    // Once nothing reads any more nobody else has the file.
    while Arc::strong_count(&file) > 1 {
        tokio::task::yield_now().await;
    }
    let batches = batches.load(Ordering::Relaxed);
    assert!(batches <= 40 / 4 + 3, "{batches} MiB were read for 10");
}
