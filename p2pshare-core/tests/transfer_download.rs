//! Downloads to files: where they are written, what they refuse, how they end.

#![allow(clippy::unwrap_used)]

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures::{StreamExt, future::join_all};
use p2pshare_core::{
    content::{ContentId, Manifest, PIECE_LEN, PieceIndex, hash_bytes},
    testing::{sample, source::collect},
    transfer::{
        Committer, Durability, FileSink, PieceSink, PieceSource, ResumeProgress, SinkError,
        SinkOptions, TransferError,
    },
};
use tempfile::tempdir;

async fn open(target: &Path, content: &Bytes) -> Result<FileSink, SinkError> {
    FileSink::open(target, hash_bytes(content), SinkOptions::default()).await
}

fn piece(content: &Bytes, manifest: &Manifest, index: PieceIndex) -> Vec<Bytes> {
    let layout = manifest.layout();
    let start = layout.piece_offset(index) as usize;
    vec![content.slice(start..start + layout.piece_len(index))]
}

async fn put(sink: &FileSink, content: &Bytes, index: u32) -> Result<(), SinkError> {
    let index = PieceIndex(index);
    sink.put(index, piece(content, sink.manifest(), index)).await
}

/// Puts all that is missing, and finishes.
async fn complete(sink: &FileSink, content: &Bytes) -> Result<(), SinkError> {
    for index in sink.held().missing() {
        put(sink, content, index.0).await?;
    }
    sink.finish().await
}

fn names(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_download_leaves_only_the_file() {
    let folder = tempdir().unwrap();
    let content = sample(2 * PIECE_LEN + 1, 1);
    let target = folder.path().join("film.mkv");
    let sink = open(&target, &content).await.unwrap();
    let part = format!("film.mkv.{:.16}.part", ContentId::of(&content));
    let manifest = format!("{part}.manifest");
    assert_eq!(names(folder.path()), [part.as_str(), &manifest]);
    assert_eq!(sink.part_path(), folder.path().join(&part));
    complete(&sink, &content).await.unwrap();
    assert_eq!(names(folder.path()), ["film.mkv"]);
    assert!(fs::read(&target).unwrap() == content);
}

#[tokio::test]
async fn a_small_content_needs_no_manifest_beside_it() {
    let folder = tempdir().unwrap();
    let sink = open(&folder.path().join("small"), &sample(PIECE_LEN, 1)).await;
    let sink = sink.unwrap();
    assert_eq!(names(folder.path()), [sink.part_path().file_name().unwrap()]);
}

#[tokio::test]
async fn an_empty_file_is_downloaded_too() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("empty");
    let sink = open(&target, &Bytes::new()).await.unwrap();
    assert!(sink.held().is_full());
    assert!(!target.exists());
    sink.finish().await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"");
}

#[tokio::test]
async fn the_manifest_can_be_had_again() {
    let folder = tempdir().unwrap();
    let content = sample(3 * PIECE_LEN, 1);
    let id = ContentId::of(&content);
    let target = folder.path().join("file");
    assert_eq!(FileSink::stored_manifest(&target, &id).await, None);
    drop(open(&target, &content).await.unwrap());
    let found = FileSink::stored_manifest(&target, &id).await;
    assert_eq!(found, Some(hash_bytes(&content)));
    let other = ContentId::of(b"other");
    assert_eq!(FileSink::stored_manifest(&target, &other).await, None);

    // One that is damaged is as good as none, and is written anew.
    let path = folder.path().join(&names(folder.path())[1]);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(FileSink::stored_manifest(&target, &id).await, None);
    drop(open(&target, &content).await.unwrap());
    assert!(FileSink::stored_manifest(&target, &id).await.is_some());
}

#[tokio::test]
async fn names_as_long_as_the_file_system_takes() {
    let folder = tempdir().unwrap();
    let content = sample(PIECE_LEN + 1, 1);
    let names = [
        "x".repeat(255),
        format!("{}y", "x".repeat(254)),
        "é".repeat(127),
        "🎬".repeat(63),
        "x".repeat(240),
    ];
    let sinks = names.iter().map(async |name| {
        let sink = open(&folder.path().join(name), &content).await.unwrap();
        put(&sink, &content, 1).await.unwrap();
        sink
    });
    // All at once, though they are the same content and begin alike.
    let sinks = join_all(sinks).await;
    for (name, sink) in names.iter().zip(sinks) {
        complete(&sink, &content).await.unwrap();
        assert!(fs::read(folder.path().join(name)).unwrap() == content);
    }
    assert_eq!(self::names(folder.path()).len(), names.len());
}

#[tokio::test]
async fn a_name_that_is_too_long_fails_at_once() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("x".repeat(256));
    let error = open(&target, &sample(5, 1)).await.unwrap_err();
    assert!(matches!(error, SinkError::Io { .. }), "{error}");
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn two_contents_of_one_name_keep_apart() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let contents = [1, 2].map(|seed| sample(2 * PIECE_LEN, seed));
    for content in &contents {
        let sink = open(&target, content).await.unwrap();
        put(&sink, content, 1).await.unwrap();
    }
    for content in &contents {
        let sink = open(&target, content).await.unwrap();
        assert_eq!(sink.held().len(), 1);
        put(&sink, content, 0).await.unwrap();
    }
    let [first, second] = &contents;
    open(&target, first).await.unwrap().finish().await.unwrap();
    assert!(matches!(open(&target, second).await, Err(SinkError::Exists(path)) if path == target));
    assert!(fs::read(&target).unwrap() == *first);
}

#[tokio::test]
async fn a_part_has_one_writer() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(PIECE_LEN, 1);
    let sink = open(&target, &content).await.unwrap();
    // Readers do not keep it locked.
    let source = sink.source();
    assert!(
        matches!(open(&target, &content).await, Err(SinkError::Locked(path)) if path == target)
    );
    drop(sink);
    let sink = open(&target, &content).await.unwrap();
    let gone = source.fetch(&ContentId::of(&content), &[]).await.err();
    assert!(matches!(gone, Some(TransferError::Unavailable(_))), "{gone:?}");
    complete(&sink, &content).await.unwrap();
}

#[tokio::test]
async fn an_existing_file_is_kept() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(1000, 1);
    for existing in [sample(1000, 2), sample(5, 1)] {
        fs::write(&target, &existing).unwrap();
        let error = open(&target, &content).await.unwrap_err();
        assert!(matches!(&error, SinkError::Exists(path) if *path == target));
        assert!(fs::read(&target).unwrap() == existing);
    }
    assert_eq!(names(folder.path()), ["file"]);
}

#[tokio::test]
async fn a_file_that_appears_meanwhile_is_kept() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(2 * PIECE_LEN, 1);
    let sink = open(&target, &content).await.unwrap();
    fs::write(&target, "mine").unwrap();
    let error = complete(&sink, &content).await.unwrap_err();
    assert!(matches!(&error, SinkError::Exists(path) if *path == target), "{error}");
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    // Nothing is lost: out of the way with it, and the download ends.
    fs::remove_file(&target).unwrap();
    sink.finish().await.unwrap();
    assert!(fs::read(&target).unwrap() == content);
}

#[tokio::test]
async fn a_file_is_replaced_only_when_told() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(1000, 1);
    fs::write(&target, "old").unwrap();
    let options = SinkOptions { overwrite: true, ..SinkOptions::default() };
    let sink = FileSink::open(&target, hash_bytes(&content), options.clone());
    let sink = sink.await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"old");
    complete(&sink, &content).await.unwrap();
    assert!(fs::read(&target).unwrap() == content);

    let directory = folder.path().join("directory");
    fs::create_dir(&directory).unwrap();
    let refused = FileSink::open(&directory, hash_bytes(&content), options).await;
    assert!(matches!(refused, Err(SinkError::Special(_))));
}

#[tokio::test]
async fn what_is_there_already_is_not_downloaded() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(3 * PIECE_LEN + 7, 1);
    let sink = open(&target, &content).await.unwrap();
    put(&sink, &content, 0).await.unwrap();
    drop(sink);
    fs::write(&target, &content).unwrap();
    let sink = open(&target, &content).await.unwrap();
    assert!(sink.already_complete() && sink.held().is_full());
    sink.finish().await.unwrap();
    // What an earlier attempt left is gone.
    assert_eq!(names(folder.path()), ["file"]);
    let layout = sink.manifest().layout();
    let stream = sink.source().fetch(&sink.manifest().id(), &[]).await;
    assert!(collect(layout, &[], stream.unwrap()).await.is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn links_in_place_of_the_part_are_not_followed() {
    let folder = tempdir().unwrap();
    let content = sample(1000, 1);
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let target = folder.path().join("file");
    let part = folder.path().join(format!("file.{:.16}.part", ContentId::of(&content)));

    std::os::unix::fs::symlink(&victim, &part).unwrap();
    let error = open(&target, &content).await.unwrap_err();
    assert!(matches!(error, SinkError::Io { .. }), "{error}");
    fs::remove_file(&part).unwrap();

    // Nor is another name of the victim taken for a part.
    fs::hard_link(&victim, &part).unwrap();
    let sink = open(&target, &content).await.unwrap();
    complete(&sink, &content).await.unwrap();
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    assert!(fs::read(&target).unwrap() == content);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_at_the_target_is_something_that_exists() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &target).unwrap();
    let result = open(&target, &sample(10, 1)).await;
    assert!(matches!(result, Err(SinkError::Exists(_))));
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_no_file_is_never_replaced() {
    let folder = tempdir().unwrap();
    let content = sample(1000, 1);
    let [pipe, socket, link] = ["pipe", "socket", "link"].map(|name| folder.path().join(name));
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    let _listens = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for target in [&pipe, &socket] {
        for overwrite in [false, true] {
            let options = SinkOptions { overwrite, ..SinkOptions::default() };
            let refused = FileSink::open(target, hash_bytes(&content), options).await;
            let is_told = matches!(&refused, Err(SinkError::Special(path)) if path == target);
            assert!(is_told, "{refused:?}");
        }
    }
    assert_eq!(names(folder.path()), ["pipe", "socket"]);

    // A link to one is: the link, not what it leads to.
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    assert!(matches!(open(&link, &content).await, Err(SinkError::Exists(_))));
    let options = SinkOptions { overwrite: true, ..SinkOptions::default() };
    let sink = FileSink::open(&link, hash_bytes(&content), options).await.unwrap();
    complete(&sink, &content).await.unwrap();
    assert!(fs::read(&link).unwrap() == content);
    assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());
}

#[tokio::test]
async fn a_part_that_was_replaced_is_not_taken_for_the_content() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(1000, 1);
    let sink = open(&target, &content).await.unwrap();
    put(&sink, &content, 0).await.unwrap();
    fs::remove_file(sink.part_path()).unwrap();
    fs::write(sink.part_path(), "something else").unwrap();
    let error = sink.finish().await.unwrap_err();
    assert!(matches!(error, SinkError::Io { .. }), "{error}");
    assert!(!target.exists());
}

#[tokio::test]
async fn a_file_in_place_of_a_folder_is_told() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "file").unwrap();
    let result = open(&folder.path().join("a/b/c"), &sample(10, 1)).await;
    assert!(matches!(result, Err(SinkError::Io { .. })));
    let result = open(Path::new("/"), &sample(10, 1)).await;
    assert!(result.is_err());
}

#[tokio::test]
async fn progress_of_the_check_is_told() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(5 * PIECE_LEN, 1);
    let sink = open(&target, &content).await.unwrap();
    for index in [0, 1, 4] {
        put(&sink, &content, index).await.unwrap();
    }
    drop(sink);
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = told.clone();
    let options = SinkOptions {
        progress: Some(Arc::new(move |progress: ResumeProgress| {
            telling.lock().unwrap().push(progress);
        })),
        ..SinkOptions::default()
    };
    let sink = FileSink::open(&target, hash_bytes(&content), options);
    assert_eq!(sink.await.unwrap().held().len(), 3);
    let told = told.lock().unwrap();
    assert!(told.is_sorted_by_key(|progress| progress.checked));
    let last = told.last().unwrap();
    assert_eq!(last.checked, last.total);
    if cfg!(target_os = "linux") {
        assert_eq!(last.total, 3 * PIECE_LEN, "holes were hashed");
    }
}

#[tokio::test]
async fn the_source_goes_on_after_the_end_until_the_file_changes() {
    let folder = tempdir().unwrap();
    let target = folder.path().join("file");
    let content = sample(2 * PIECE_LEN, 1);
    let sink = open(&target, &content).await.unwrap();
    let source = sink.source();
    complete(&sink, &content).await.unwrap();
    let (id, layout) = (sink.manifest().id(), sink.manifest().layout());
    drop(sink);
    let stream = source.fetch(&id, &[]).await.unwrap();
    assert!(collect(layout, &[], stream).await.is_ok());
    File::options().append(true).open(&target).unwrap().set_len(5).unwrap();
    let mut stream = source.fetch(&id, &[]).await.unwrap();
    let first = stream.next().await;
    assert!(matches!(first, Some(Err(TransferError::Changed))));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_files_are_made_permanent_together() {
    for durability in [Durability::Sync, Durability::None] {
        let folder = tempdir().unwrap();
        let options =
            SinkOptions { committer: Committer::new(durability), ..SinkOptions::default() };
        let target = |number: u64| -> PathBuf {
            let name = format!("{}/{}/{number}", number % 3, number % 7);
            folder.path().join(name)
        };
        let downloads = (0..200).map(async |number| {
            let content = sample(number * 10, number);
            let manifest = hash_bytes(&content);
            let sink = FileSink::open(&target(number), manifest, options.clone()).await?;
            complete(&sink, &content).await?;
            assert!(fs::read(target(number)).unwrap() == content);
            Ok(())
        });
        let results: Vec<Result<(), SinkError>> = join_all(downloads).await;
        results.into_iter().for_each(|result| result.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_failure_in_a_group_is_only_its_own() {
    let folder = tempdir().unwrap();
    let options = SinkOptions::default();
    let content = sample(1000, 1);
    let target = |number: usize| folder.path().join(number.to_string());
    let mut sinks = Vec::new();
    for number in 0..30 {
        let manifest = hash_bytes(&content);
        let sink = FileSink::open(&target(number), manifest, options.clone()).await.unwrap();
        put(&sink, &content, 0).await.unwrap();
        sinks.push(sink);
    }
    fs::write(target(7), "mine").unwrap();
    let results = join_all(sinks.iter().map(FileSink::finish)).await;
    for (number, result) in results.into_iter().enumerate() {
        match result {
            Err(SinkError::Exists(path)) => assert_eq!(path, target(7)),
            other => {
                other.unwrap();
                assert!(fs::read(target(number)).unwrap() == content);
            }
        }
    }
    assert_eq!(fs::read(target(7)).unwrap(), b"mine");
}

/// Many who want the same file at the same time: one writes at a time, whoever comes too late finds it complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_race_for_one_target_ends_well() {
    for round in 0..10 {
        let folder = tempdir().unwrap();
        let target = folder.path().join("file");
        let content = sample(10_000, round);
        let racers = (0..8).map(|_| {
            let (target, content) = (target.clone(), content.clone());
            tokio::spawn(async move {
                let sink = open(&target, &content).await?;
                complete(&sink, &content).await?;
                Ok(sink.already_complete())
            })
        });
        let mut winners = 0;
        for result in join_all(racers).await {
            match result.unwrap() {
                Ok(already) => winners += usize::from(!already),
                Err(SinkError::Locked(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(winners, 1);
        assert!(fs::read(&target).unwrap() == content);
        assert_eq!(names(folder.path()), ["file"]);
    }
}
