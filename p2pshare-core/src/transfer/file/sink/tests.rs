use std::fs;

use futures::{FutureExt, StreamExt};

use super::*;
use crate::{
    content::{PIECE_LEN, hash_bytes},
    transfer::{KnownParts, PieceSource, TransferError},
};

const TEXT: &[u8] = b"a text";

async fn sink(target: &Path) -> FileSink {
    let manifest = Manifest::single(ContentId::of(TEXT), TEXT.len() as u64).unwrap();
    FileSink::open(target, manifest, SinkOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_piece_that_comes_twice_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&folder.path().join("a")).await;
    let turn = sink.inner.writing.lock().unwrap();
    let mut second = sink.put(PieceIndex(0), vec![Bytes::from_static(TEXT)]);
    assert!((&mut second).now_or_never().is_none());
    // It waits for its turn while the first one is written, and somebody has changed the file by then.
    fs::write(sink.part_path(), "edited").unwrap();
    sink.inner.held.insert(PieceIndex(0));
    drop(turn);
    second.await.unwrap();
    assert_eq!(fs::read_to_string(sink.part_path()).unwrap(), "edited");
}

#[tokio::test]
async fn what_is_changed_as_soon_as_it_has_its_name_is_seen_to_be() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&folder.path().join("a")).await;
    sink.put(PieceIndex(0), vec![Bytes::from_static(TEXT)]).await.unwrap();
    sink.inner.part.rename().unwrap();
    fs::write(sink.target(), "tagged at once").unwrap();
    let fetch = async || {
        let mut stream = sink.source().fetch(&ContentId::of(TEXT), &[]).await?;
        stream.next().await.unwrap().map(drop)
    };
    assert!(matches!(fetch().await, Err(TransferError::Changed)));
    sink.inner.part.finish();
    assert_ne!(sink.stamp().unwrap(), FileStamp::of(&fs::metadata(sink.target()).unwrap()));
    assert!(matches!(fetch().await, Err(TransferError::Changed)));
}

#[tokio::test]
async fn a_part_file_that_is_removed_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let sink = sink(&folder.path().join("a")).await;
    fs::remove_file(sink.part_path()).unwrap();
    let put = sink.put(PieceIndex(0), vec![Bytes::from_static(TEXT)]).await;
    assert!(matches!(put, Err(SinkError::Io { .. })), "{put:?}");
}

/// Opened again and again, as by a download that has no source.
#[tokio::test]
async fn what_is_as_it_was_left_is_not_hashed_again() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a");
    let bytes = Bytes::from(vec![0; 64 << 20]);
    let manifest = hash_bytes(&bytes);
    let known = KnownParts::default();
    let open = async |known: &KnownParts| {
        let checked = Arc::new(Mutex::new(0));
        let told = checked.clone();
        let options = SinkOptions {
            known: known.clone(),
            progress: Some(Arc::new(move |progress| *told.lock().unwrap() = progress.checked)),
            ..SinkOptions::default()
        };
        let sink = FileSink::open(&target, manifest.clone(), options).await.unwrap();
        let checked = *checked.lock().unwrap();
        (sink, checked)
    };
    let touch = |sink: &FileSink, seconds| {
        let file = fs::File::options().write(true).open(sink.part_path()).unwrap();
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    };
    let (first, checked) = open(&known).await;
    assert_eq!((checked, first.held().len()), (0, 0));
    first.put(PieceIndex(5), vec![bytes.slice(..1 << 20)]).await.unwrap();
    touch(&first, 60);
    drop(first);
    // What was written is hashed, and once. Holes are not.
    for expected in [1 << 20, 0, 0] {
        let (again, checked) = open(&known).await;
        assert_eq!(checked, expected);
        assert_eq!(again.held().iter().map(|piece| piece.0).collect::<Vec<_>>(), [5]);
    }
    // Another program, or this one later, knows nothing of it.
    let (other, checked) = open(&KnownParts::default()).await;
    assert_eq!(checked, 1 << 20);
    // Somebody has changed it; it could be changed once more without a trace.
    touch(&other, 0);
    drop(other);
    for _ in 0..2 {
        assert_eq!(open(&known).await.1, 1 << 20);
    }
}

#[tokio::test]
async fn what_is_known_to_be_something_else_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("a");
    let manifest = hash_bytes(&[1; 2 << 20]);
    let checked = async |replaced| {
        let checked = Arc::new(Mutex::new(0));
        let told = checked.clone();
        let options = SinkOptions {
            overwrite: true,
            replaced,
            progress: Some(Arc::new(move |progress| *told.lock().unwrap() = progress.checked)),
            ..SinkOptions::default()
        };
        let sink = FileSink::open(&target, manifest.clone(), options).await.unwrap();
        let checked = *checked.lock().unwrap();
        (checked, sink.already_complete())
    };
    fs::write(&target, vec![2; 2 << 20]).unwrap();
    let stamp = FileStamp::of(&target.metadata().unwrap());
    assert_eq!(checked(None).await, (2 << 20, false));
    assert_eq!(checked(Some(stamp)).await, (0, false));
    // It is another file now.
    fs::remove_file(&target).unwrap();
    fs::write(&target, vec![1; 2 << 20]).unwrap();
    let before = FileStamp { mtime_ns: stamp.mtime_ns - 1, ..stamp };
    assert_eq!(checked(Some(before)).await, (2 << 20, true));
}

#[tokio::test]
async fn the_manifest_is_kept_until_all_is_permanent() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = vec![7; PIECE_LEN as usize + 1];
    let manifest = hash_bytes(&bytes);
    let target = folder.path().join("a");
    let id = manifest.id();
    let sink = FileSink::open(&target, manifest, SinkOptions::default()).await.unwrap();
    let kept = async || FileSink::stored_manifest(&target, &id).await.is_some();
    sink.inner.part.rename().unwrap();
    assert!(kept().await);
    sink.inner.part.finish();
    assert!(!kept().await);
}

#[tokio::test]
async fn a_file_of_somebody_else_is_not_abandoned() {
    let folder = tempfile::tempdir().unwrap();
    let own = sink(&folder.path().join("own")).await;
    own.abandon();
    assert!(!own.part_path().exists());
    let replaced = sink(&folder.path().join("replaced")).await;
    fs::remove_file(replaced.part_path()).unwrap();
    fs::write(replaced.part_path(), "of somebody else").unwrap();
    replaced.abandon();
    assert_eq!(fs::read_to_string(replaced.part_path()).unwrap(), "of somebody else");
}
